"""End all training runs on Ctrl-C: skorch catches KeyboardInterrupt and ends only the current one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

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
