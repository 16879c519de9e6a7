"""Progress of the training of many networks, in this process or in others."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from typing import Any

from tqdm import tqdm

from skmulti.training.interrupt import Interrupts

# Seconds between two reads of the file: often enough for a bar to look alive, without measurable cost.
_READ_INTERVAL = 0.2


class FileCount:
    """A counter in a file, one line per amount, to which all processes of this machine can append concurrently."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __call__(self, amount: Fraction | int) -> None:
        """Add to the count."""
        # The folder does not exist on another machine: fits there are counted when all are done.
        with suppress(FileNotFoundError), open(self.path, "ab", buffering=0) as file:
            file.write(b"%d/%d\n" % (amount.numerator, amount.denominator))


class FitBar(tqdm):
    """A progress bar of fits, with fractions of fits; it rounds down, and is full only when all fits are done."""

    def __init__(self, n_fits: int) -> None:
        self._done = Fraction(0)
        layout = "{desc}: {percent:3d}%|{bar}| {finished}/{total} [{elapsed}<{remaining}]"
        super().__init__(total=n_fits, desc="Training", file=sys.stderr, bar_format=layout)

    @property
    def format_dict(self) -> dict[str, Any]:
        """The values for `bar_format`."""
        percent = int(100 * self._done / self.total) if self.total else 100
        return {**super().format_dict, "percent": percent, "finished": int(self._done)}

    def add(self, amount: Fraction | int) -> None:
        """Advance by a number of fits, which may be a fraction."""
        self._done += amount
        self.update(float(self._done) - self.n)

    def fill(self) -> None:
        """Advance to the end."""
        self.add(self.total - self._done)


@contextmanager
def counted_fits(
    n_fits: int, *, verbose: bool, shared: bool, interrupts: Interrupts
) -> Iterator[Callable[[Fraction | int], None] | None]:
    """Show a progress bar during the block; yield the function to call with the number of finished fits.

    Parameters
    ----------
    n_fits : int
        The number of all fits.
    verbose : bool
        Whether to show a bar, which is full when all fits are done.
    shared : bool
        Whether the fits run in other processes. On Ctrl-C, joblib ends these.
    interrupts : Interrupts
        Checked after each call, so that Ctrl-C ends the block between two fits of this process.
    """
    if not verbose:
        yield None if shared else lambda _: interrupts.check()
        return
    with FitBar(n_fits) as bar:
        if shared:
            with tempfile.TemporaryDirectory(prefix="skmulti-") as folder:
                count = FileCount(os.path.join(folder, "finished"))
                with _followed(count, bar):
                    yield count
            bar.fill()
            return

        def count_here(amount: Fraction | int) -> None:
            bar.add(amount)
            interrupts.check()

        yield count_here


@contextmanager
def _followed(count: FileCount, bar: FitBar) -> Iterator[None]:
    done = threading.Event()
    count(0)

    def watch() -> None:
        with open(count.path, "rb") as file:
            is_last = False
            while not is_last:
                is_last = done.wait(_READ_INTERVAL)
                # The last line may be incomplete.
                *lines, rest = file.read().split(b"\n")
                file.seek(-len(rest), os.SEEK_CUR)
                if lines:
                    bar.add(sum((Fraction(line.decode()) for line in lines), Fraction(0)))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
