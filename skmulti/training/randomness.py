"""The random streams of one net, drawn from one seed; global generators keep their state."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state

# Held while torch's global generator has the state of a net's stream, since all threads share this generator. A
# forked child gets a new lock: a thread that holds it in the parent does not exist in the child.
_lock = threading.RLock()


def _renew_lock() -> None:
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


class RandomStreams:
    """Two random streams from one seed: torch's own draws, such as dropout masks, and the order of the rows.

    They are separate so that the order of the rows does not depend on how many numbers the network draws. The first
    is that of torch's global generator after ``torch.manual_seed(seed)``.

    Parameters
    ----------
    random_state : int, numpy.random.RandomState or None
        As in scikit-learn.
    device : str or torch.device, default="cpu"
        The device of the net; for CUDA, the stream includes the generator of the device.

    Attributes
    ----------
    seed : int
        The seed of torch's own stream.
    order : torch.Generator
        The generator for the order of the rows.
    split_seed : int
        A seed for the choice of validation rows, the same at every call.
    bootstrap_seed : int
        A seed for drawing rows with replacement, the same at every call.

    Examples
    --------
    >>> import torch
    >>> from skmulti.training import RandomStreams
    >>> streams = RandomStreams(0)
    >>> with streams.active():
    ...     ours = torch.rand(2)
    >>> bool((ours == torch.rand(2, generator=torch.Generator().manual_seed(0))).all())
    True
    """

    def __init__(self, random_state: Any, device: Any = "cpu") -> None:
        if isinstance(random_state, (int, np.integer)):
            self.seed = int(random_state)
        else:
            self.seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
        order_seed, split_seed, bootstrap_seed = np.random.SeedSequence(self.seed).generate_state(3)
        self.split_seed, self.bootstrap_seed = int(split_seed), int(bootstrap_seed)
        self.order = torch.Generator().manual_seed(int(order_seed))
        self._state = torch.Generator().manual_seed(self.seed).get_state()
        device = torch.device("cpu" if device is None else device)
        self._cuda = [device.index or 0] if device.type == "cuda" else []
        self._cuda_state: torch.Tensor | None = None
        self._depth = 0

    @contextmanager
    def active(self) -> Iterator[None]:
        """Let torch draw from this stream inside the block; its global state is restored afterwards.

        A lock excludes blocks of other threads until the block ends.
        """
        if self._depth:
            yield
            return
        with _lock, torch.random.fork_rng(devices=self._cuda):
            torch.set_rng_state(self._state)
            for index in self._cuda:
                if self._cuda_state is None:
                    torch.cuda.manual_seed(self.seed)
                else:
                    torch.cuda.set_rng_state(self._cuda_state, index)
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                self._state = torch.get_rng_state()
                for index in self._cuda:
                    self._cuda_state = torch.cuda.get_rng_state(index)

    def seeds_of_members(self, n_members: int) -> list[int]:
        """Return a seed for each member of an ensemble; they do not change when members are added."""
        return [int(child.generate_state(1)[0]) for child in np.random.SeedSequence(self.seed).spawn(n_members)]

    def generator(self) -> torch.Generator:
        """Return a generator with the state of torch's own stream."""
        generator = torch.Generator()
        generator.set_state(self._state)
        return generator

    def follow(self, generator: torch.Generator) -> None:
        """Continue torch's own stream from the state of a generator."""
        self._state = generator.get_state()

    def __getstate__(self) -> dict[str, Any]:
        state = vars(self).copy()
        state["order"] = self.order.get_state()
        state["_depth"] = 0
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.order = torch.Generator()
        self.order.set_state(state["order"])
