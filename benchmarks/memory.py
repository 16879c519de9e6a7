"""Measure the peak memory of a fit beyond its input: ours, a hand-written torch loop, MLPRegressor and stock skorch.

Each fit of one epoch on 1,000,000 rows of 50 columns runs in a separate process, after a fit of a few rows that loads
all code. The result is the peak memory of the process minus its size before the fit: the median of three processes per
contestant, interleaved.
"""

import argparse
import ctypes
import multiprocessing
import resource
import sys
from functools import partial

from contest import compare, save, show

HAND, SKLEARN, SKORCH, DEFAULT = "hand-written loop", "MLPRegressor", "stock skorch", "default"
BARS = {HAND: 1.1, SKLEARN: 1.0, SKORCH: 1.0}
CONTESTANTS = ["ours", DEFAULT, HAND, SKLEARN, SKORCH]


def current_bytes():
    """Return the current memory of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def peak_bytes():
    """Return the peak memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(who, n_rows, queue):
    """Fit once in this process; send the bytes beyond the input."""
    import fit

    trains = {"ours": fit.by_us, HAND: fit.by_hand, SKLEARN: fit.by_sklearn, SKORCH: fit.by_skorch}
    # More epochs take more time, and no more memory.
    train = {**trains, DEFAULT: partial(fit.by_default, max_epochs=1)}[who]
    few = fit.Work((50,), 1_000, 4, (64, 64), 256, 1, {})
    train(few, *few.data())
    work = fit.Work((50,), n_rows, 4, (64, 64), 256, 1, {})
    X, y = data_in_chunks(work)
    # Memory freed before the fit but kept by the allocator would hide allocations of the fit.
    ctypes.CDLL(None).malloc_trim(0)
    before = current_bytes()
    hidden = peak_bytes() - before
    train(work, X, y)
    queue.put((peak_bytes() - before, hidden))


def data_in_chunks(work):
    """Return the inputs and targets of a task, generated in chunks so that this leaves no memory peak."""
    import numpy as np

    rng = np.random.default_rng(0)
    X = np.empty((work.n_rows, *work.shape), dtype=np.float32)
    y = np.empty((work.n_rows, work.n_targets), dtype=np.float32)
    for start in range(0, work.n_rows, 10_000):
        part = X[start : start + 10_000]
        part[:] = rng.normal(size=part.shape)
        y[start : start + 10_000] = part[:, : work.n_targets]
    return X, y


def main():
    """Measure all contestants, interleaved."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    if not sys.platform.startswith("linux"):
        parser.error("the size of a process is read from /proc, which only Linux has")
    spawn = multiprocessing.get_context("spawn")
    figures = {who: [] for who in CONTESTANTS}
    for _ in range(args.rounds):
        for who in CONTESTANTS:
            queue = spawn.Queue()
            process = spawn.Process(target=measure, args=(who, args.rows, queue))
            process.start()
            taken, hidden = queue.get()
            process.join()
            figures[who].append(taken)
            print(f"{who:20} {taken / 2**20:8.1f} MiB beyond its input (earlier peak {hidden / 2**20:.1f})", flush=True)
    compared = compare({who: taken for who, taken in figures.items() if who != DEFAULT}, BARS)
    show("memory", compared)
    default = compare({who: taken for who, taken in figures.items() if who != "ours"}, {}, ours=DEFAULT)
    show("memory", default, ours=DEFAULT)
    save("bench_memory", {"compared": compared, "default": default, "bytes": figures})


if __name__ == "__main__":
    main()
