"""End all training runs on Ctrl-C: skorch catches KeyboardInterrupt and ends only the current one."""

from __future__ import annotations

import functools
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from skmulti._compat import import_dynamo

# Events, since fits may run in other threads than the main one, which receives the signal.
_interrupted = threading.Event()
_installed = threading.Event()


class Interrupts:
    """Whether Ctrl-C was pressed inside a block of `ctrl_c`."""

    def check(self) -> None:
        """Raise KeyboardInterrupt if Ctrl-C was pressed, even if the first exception was caught."""
        if was_interrupted():
            raise KeyboardInterrupt


def was_interrupted() -> bool:
    """Return whether Ctrl-C was pressed inside a block of `ctrl_c`, which may run in another thread.

    Examples
    --------
    >>> from skmulti.training.interrupt import was_interrupted
    >>> was_interrupted()
    False
    """
    return _interrupted.is_set()


@contextmanager
def ctrl_c() -> Iterator[Interrupts]:
    """Record Ctrl-C inside the block; KeyboardInterrupt is raised as usual.

    Python allows signal handlers in the main thread only: in other threads and in nested blocks, the record of the
    outer block is used. An existing handler is called first; Ctrl-C is recorded only if that handler raises.

    Examples
    --------
    >>> from skmulti.training.interrupt import ctrl_c
    >>> with ctrl_c() as interrupts:
    ...     interrupts.check()
    """
    before = signal.getsignal(signal.SIGINT) if threading.current_thread() is threading.main_thread() else None
    if not callable(before) or _installed.is_set():
        yield Interrupts()
        return

    def record(number: int, frame: Any) -> None:
        try:
            before(number, frame)
        except BaseException:
            _interrupted.set()
            raise

    signal.signal(signal.SIGINT, record)
    _installed.set()
    try:
        yield Interrupts()
    finally:
        signal.signal(signal.SIGINT, before)
        _installed.clear()
        _interrupted.clear()


@contextmanager
def delayed_interrupt() -> Iterator[None]:
    """Handle Ctrl-C after the block, not inside it. Only the main thread handles signals.

    Examples
    --------
    >>> from skmulti.training.interrupt import delayed_interrupt
    >>> with delayed_interrupt():
    ...     import decimal
    """
    before = signal.getsignal(signal.SIGINT) if threading.current_thread() is threading.main_thread() else None
    if not callable(before):
        yield
        return
    received: list[tuple[int, Any]] = []
    signal.signal(signal.SIGINT, lambda number, frame: received.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if received:
            before(*received[0])


@functools.cache
def finish_imports() -> None:
    """Import what torch imports lazily at the first optimizer, with Ctrl-C handled afterwards.

    An interrupted import leaves torch's and sympy's modules half loaded, and no later fit of the process could build
    an optimizer.
    """
    with delayed_interrupt():
        import_dynamo()
