"""The number of torch threads, chosen by the size of a step and limited to the time of training or prediction."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Generator
from typing import Any

import torch
from torch import nn

# Multiplications per thread in one step. Below, threads spend more time synchronizing than computing, and on a busy
# machine many times more.
_WORK_PER_THREAD = 10_000_000
# More threads than the largest machines have cores never pay, and at some ten thousand OpenMP ends the process.
_MOST_THREADS = 1024
# The process that imported torch: in its forked children only one thread is safe, see `available_threads`.
_IMPORTED_IN = os.getpid()


def available_threads() -> int:
    """Return the number of threads torch may use: one in a forked child, else its present number.

    fork copies the memory of a process but not its threads: an OpenMP region in the child deadlocks, since the threads
    that the parent started do not exist.
    """
    return _threads_outside() if os.getpid() == _IMPORTED_IN else 1


def check_n_threads(n_threads: Any) -> None:
    """Refuse more threads than a machine can start: OpenMP ends the process where it can't."""
    if n_threads != "auto" and n_threads > _MOST_THREADS:
        raise ValueError(
            f"The 'n_threads' parameter must be at most {_MOST_THREADS}. Got {n_threads!r} instead; use 'auto' or a "
            "number of threads that pays, such as that of the machine's cores."
        )


def choose_threads(n_threads: Any, work: int) -> int:
    """Return the number of threads for steps of ``work`` multiplications.

    A given number is used as it is. "auto" depends only on `work` and is at most torch's present number, so that
    results are reproducible. In a forked child it is one in either case.
    """
    check_n_threads(n_threads)
    if n_threads != "auto" and os.getpid() == _IMPORTED_IN:
        return int(n_threads)
    return max(1, min(available_threads(), work // _WORK_PER_THREAD))


def multiplications(module: nn.Module, input_shape: tuple[int, ...]) -> int:
    """Return an upper bound of the multiplications for one row; strides and pooling of images are ignored."""
    work = 0
    for part in module.modules():
        weight = getattr(part, "weight", None)
        if isinstance(weight, torch.Tensor):
            n_axes = weight.ndim - 2
            work += weight.numel() * (math.prod(input_shape[-n_axes:]) if n_axes > 0 else 1)
    return work


class _Limits:
    """The open blocks of `limited_threads` in this process.

    torch stores the number per thread and gives a new thread the one set last. While another thread is inside a block,
    that is the limit of the block and not the number of the process.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._lock, self._in_block = threading.Lock(), threading.local()
        self._n_open, self._outside = 0, 1

    def outside(self) -> int:
        """Return the number of threads outside of all blocks, as seen by this thread."""
        n_threads: int = torch.get_num_threads()
        return self._outside if self._n_open and not hasattr(self._in_block, "entered") else n_threads

    def open(self) -> int:
        """Register a block; return the number of threads outside of it."""
        with self._lock:
            outside = self.outside()
            if not self._n_open:
                self._outside = outside
            self._n_open += 1
        self._in_block.entered = True
        return outside

    def close(self) -> None:
        with self._lock:
            self._n_open = max(0, self._n_open - 1)


_limits = _Limits()
_threads_outside = _limits.outside
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_limits.reset)


class limited_threads:  # noqa: N801
    """Let torch use ``n_threads`` threads inside a block, then restore the number from before.

    A class, because the overhead of a generator-based context manager is noticeable in predictions of one row.
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
    """Return a context with the number of threads that is safe in this process, see `available_threads`."""
    return limited_threads(available_threads())


class AdaptiveThreads(limited_threads):
    """Use several threads for steps while they are faster than one, else one.

    Threads synchronize at the end of each operation: if other processes occupy the cores, this takes many times as long
    as the computation. Results do not depend on the choice.

    Parameters
    ----------
    n_threads : int
        The largest number of threads.

    Examples
    --------
    >>> from skmulti.training.threads import AdaptiveThreads
    >>> with AdaptiveThreads(2) as threads:
    ...     threads.begin_step()
    ...     threads.end_step(n_members=10)
    """

    def __enter__(self) -> AdaptiveThreads:  # type: ignore[override]
        super().__enter__()
        self._trials = _trials(self._n_threads)
        self._spent, self._n_done = 0.0, 0
        self._use(*next(self._trials))
        return self

    def __exit__(self, *error: object) -> None:
        torch.set_num_threads(self._before)
        _limits.close()

    def begin_step(self) -> None:
        """Start the timer of a step."""
        self._start = time.perf_counter()

    def end_step(self, n_members: int) -> None:
        """Stop the timer of a step of ``n_members`` networks and set the number of threads of the next step."""
        self._spent += time.perf_counter() - self._start
        self._n_done += n_members
        self._n_steps -= 1
        if not self._n_steps:
            self._use(*self._trials.send(self._spent / self._n_done))
            self._spent, self._n_done = 0.0, 0

    def _use(self, n_threads: int, n_steps: int) -> None:
        torch.set_num_threads(n_threads)
        self._n_steps = n_steps


def _trials(n_threads: int) -> Generator[tuple[int, int], float, None]:
    """Yield pairs (number of threads, number of steps); receive the mean time of a step per network."""
    # Steps until the next comparison; doubled each time, so that comparisons take a vanishing fraction of the time.
    n_steps = 100
    while True:
        # The first steps after a change are not compared: they warm up threads and caches.
        yield n_threads, 2
        seconds_several = yield n_threads, 4
        if n_threads == 1:
            n_steps = 10**9
        else:
            yield 1, 1
            seconds_single = yield 1, 3
            while seconds_several < seconds_single:
                seconds_several = yield n_threads, 25
        yield 1, n_steps
        n_steps *= 2
