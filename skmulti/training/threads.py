"""As many threads as the work is worth, inside the work only."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Generator
from typing import Any

import torch
from torch import nn

# Multiplications of one step for which a further thread pays. Below, threads wait for one another longer than they
# work, and on a machine with other things to do they wait many times as long.
_WORK_PER_THREAD = 10_000_000
# The process in which torch's threads can be used, see `available_threads`.
_IMPORTED_IN = os.getpid()


def available_threads() -> int:
    """Return how many threads torch may use in this process: one in a forked child, else as many as it has now.

    fork copies the memory of a process and not its threads: a child that hands work to OpenMP threads its parent
    started waits for them forever.
    """
    return _threads_outside() if os.getpid() == _IMPORTED_IN else 1


def choose_threads(n_threads: Any, work: int) -> int:
    """Return the number of threads for steps of so many multiplications: the given one, or one by their number.

    The choice is never more than torch has now, and depends on sizes alone, so that a run can be repeated. In a forked
    child it is one, whatever was given.
    """
    if n_threads != "auto" and os.getpid() == _IMPORTED_IN:
        return int(n_threads)
    return max(1, min(available_threads(), work // _WORK_PER_THREAD))


def multiplications(module: nn.Module, input_shape: tuple[int, ...]) -> int:
    """Return about how many multiplications the module needs for one row: at most, since images shrink on the way."""
    work = 0
    for part in module.modules():
        weight = getattr(part, "weight", None)
        if isinstance(weight, torch.Tensor):
            n_axes = weight.ndim - 2
            work += weight.numel() * (math.prod(input_shape[-n_axes:]) if n_axes > 0 else 1)
    return work


class _Limits:
    """The blocks of `limited_threads` that are open in this process.

    torch keeps a number for each thread, and gives a new thread the one that was set last: inside a block of another
    thread, that is not the number of the process.
    """

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        self._lock, self._known = threading.Lock(), threading.local()
        self._n_open, self._outside = 0, 1

    def outside(self) -> int:
        """Return the number that this thread has where it is not limited by the block of another one."""
        n_threads: int = torch.get_num_threads()
        return self._outside if self._n_open and not hasattr(self._known, "yes") else n_threads

    def open(self) -> int:
        """Note that a block begins; return the number outside of it."""
        with self._lock:
            outside = self.outside()
            if not self._n_open:
                self._outside = outside
            self._n_open += 1
        self._known.yes = True
        return outside

    def close(self) -> None:
        with self._lock:
            self._n_open = max(0, self._n_open - 1)


_limits = _Limits()
_threads_outside = _limits.outside
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_limits.renew)


class limited_threads:  # noqa: N801
    """Let torch use ``n_threads`` threads inside a block, and as many as before afterwards.

    A class, and not a generator, since a prediction of one row takes little longer than one.
    """

    def __init__(self, n_threads: int) -> None:
        self._n_threads = n_threads

    def __enter__(self) -> None:
        self._before = _limits.open()
        if self._n_threads != torch.get_num_threads():
            torch.set_num_threads(self._n_threads)

    def __exit__(self, *error: object) -> None:
        if self._n_threads != self._before:
            torch.set_num_threads(self._before)
        _limits.close()


def usable_threads() -> limited_threads:
    """Return a context in which torch uses no threads that this process lacks, see `available_threads`."""
    return limited_threads(available_threads())


class AdaptiveThreads(limited_threads):
    """Several threads for steps while they are faster than one, else one.

    Threads inside an operation wait for one another at its end: where others want the cores, that takes many times as
    long as the work. The numbers that are computed do not depend on the choice.

    Parameters
    ----------
    n_threads : int
        The most threads.

    Examples
    --------
    >>> from skmulti.training.threads import AdaptiveThreads
    >>> with AdaptiveThreads(2) as threads:
    ...     threads.begin_step()
    ...     threads.end_step(n_members=10)
    """

    def __enter__(self) -> AdaptiveThreads:  # type: ignore[override]
        super().__enter__()
        self._course = _course(self._n_threads)
        self._spent, self._n_done = 0.0, 0
        self._use(*next(self._course))
        return self

    def __exit__(self, *error: object) -> None:
        torch.set_num_threads(self._before)
        _limits.close()

    def begin_step(self) -> None:
        """Say that a step begins."""
        self._start = time.perf_counter()

    def end_step(self, n_members: int) -> None:
        """Say that a step of so many members has ended, and let the next have the threads that are faster."""
        self._spent += time.perf_counter() - self._start
        self._n_done += n_members
        self._n_steps -= 1
        if not self._n_steps:
            self._use(*self._course.send(self._spent / self._n_done))
            self._spent, self._n_done = 0.0, 0

    def _use(self, n_threads: int, n_steps: int) -> None:
        torch.set_num_threads(n_threads)
        self._n_steps = n_steps


def _course(n_threads: int) -> Generator[tuple[int, int], float, None]:
    """Yield how many threads the next so many steps have; take how long one member's step took."""
    wait = 100
    while True:
        # What is not timed warms up.
        yield n_threads, 2
        together = yield n_threads, 4
        if n_threads == 1:
            wait = 10**9
        else:
            yield 1, 1
            alone = yield 1, 3
            while together < alone:
                together = yield n_threads, 25
        yield 1, wait
        wait *= 2
