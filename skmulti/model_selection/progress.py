"""How far the training of many nets is, in this process or in others."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

from skmulti.training.interrupt import Interrupts

_SECONDS_BETWEEN_LOOKS = 0.2


class FileCount:
    """Count in a file, one byte each, which any process of this machine can do at the same time."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __call__(self, n_fits: int) -> None:
        """Add to the count."""
        with open(self.path, "ab", buffering=0) as file:
            file.write(b"." * n_fits)


@contextmanager
def counted_fits(
    n_fits: int, *, verbose: bool, shared: bool, interrupts: Interrupts
) -> Iterator[Callable[[int], None] | None]:
    """Show a bar while the block runs; give what is to be called with the number of finished fits.

    Parameters
    ----------
    n_fits : int
        The number of all fits.
    verbose : bool
        Whether there is a bar.
    shared : bool
        Whether other processes count. They can't be interrupted from here: joblib ends them.
    interrupts : Interrupts
        What ends the block between two fits of this process.
    """
    if not verbose:
        yield None if shared else lambda _: interrupts.check()
        return
    with tqdm(total=n_fits, unit="fit", desc="Training", file=sys.stderr) as bar:
        if shared:
            with tempfile.TemporaryDirectory(prefix="skmulti-") as folder:
                count = FileCount(os.path.join(folder, "finished"))
                with _watched(count, bar):
                    yield count
            return

        lock = threading.Lock()

        def count_here(n: int) -> None:
            # Parts of a stack are trained in threads.
            with lock:
                bar.update(n)
            interrupts.check()

        yield count_here


@contextmanager
def _watched(count: FileCount, bar: tqdm) -> Iterator[None]:
    done = threading.Event()

    def look() -> None:
        if os.path.exists(count.path):
            bar.update(os.path.getsize(count.path) - bar.n)

    def watch() -> None:
        while not done.wait(_SECONDS_BETWEEN_LOOKS):
            look()

    count(0)
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
        look()
