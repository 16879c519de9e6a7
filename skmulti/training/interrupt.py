"""Ctrl-C ends many trainings, not one: skorch takes it for "stop this training" and goes on."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_interrupted = threading.Event()
_listening = threading.Event()


class Interrupts:
    """What came of Ctrl-C since `ctrl_c` began to listen."""

    def check(self) -> None:
        """Raise KeyboardInterrupt if there was one, whoever caught it."""
        if was_interrupted():
            raise KeyboardInterrupt


def was_interrupted() -> bool:
    """Return whether Ctrl-C was pressed inside a block of `ctrl_c`, in whatever thread that runs.

    Examples
    --------
    >>> from skmulti.training.interrupt import was_interrupted
    >>> was_interrupted()
    False
    """
    return _interrupted.is_set()


@contextmanager
def ctrl_c() -> Iterator[Interrupts]:
    """Note Ctrl-C inside the block, and raise KeyboardInterrupt as ever.

    Only the main thread can listen; elsewhere, and inside another such block, the outer one's notes serve. A
    handler of somebody else is called first, and what it does not raise is not noted.

    Examples
    --------
    >>> from skmulti.training.interrupt import ctrl_c
    >>> with ctrl_c() as interrupts:
    ...     interrupts.check()
    """
    before = signal.getsignal(signal.SIGINT) if threading.current_thread() is threading.main_thread() else None
    if not callable(before) or _listening.is_set():
        yield Interrupts()
        return

    def note(number: int, frame: Any) -> None:
        try:
            before(number, frame)
        except BaseException:
            _interrupted.set()
            raise

    signal.signal(signal.SIGINT, note)
    _listening.set()
    try:
        yield Interrupts()
    finally:
        signal.signal(signal.SIGINT, before)
        _listening.clear()
        _interrupted.clear()
