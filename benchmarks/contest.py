"""Shared parts of the benchmarks: interleaved contestants, medians of several rounds, ratios with their range."""

import argparse
import json
import os
import platform
import time
from pathlib import Path
from statistics import median

import numpy as np
import sklearn
import skorch
import torch

# An odd number, so that the median is one of the rounds; seven smooth the noise of a shared machine.
ROUNDS = 7


def parse(description, works):
    """Return the command-line arguments of a benchmark: the tasks and the number of rounds."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("works", nargs="*", help=f"of {', '.join(works)}; all by default")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds after the warm-up")
    args = parser.parse_args()
    unknown = set(args.works) - set(works)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(works)}")
    args.works = args.works or list(works)
    return args


def run_interleaved(contestants, rounds, repeat=1, cold=()):
    """Run A B C A B C ... after a warm-up of each; return the seconds of each round, and the last result of each.

    Interleaving spreads a slow phase of the machine over all contestants. With `repeat`, a contestant runs several
    times per round, and the mean counts. Those in `cold` have no warm-up.
    """
    seconds = {name: [] for name in contestants}
    last = {name: run() for name, run in contestants.items() if name not in cold}
    for _ in range(rounds):
        for name, run in contestants.items():
            start = time.perf_counter()
            for _ in range(repeat):
                last[name] = run()
            seconds[name].append((time.perf_counter() - start) / repeat)
    return seconds, last


def compare(seconds, bars, ours="ours"):
    """Return for each rival the ratio of medians ours / theirs, its range over the rounds, and the target ratio."""
    compared = {}
    for rival, times in seconds.items():
        if rival == ours:
            continue
        ratios = sorted(mine / theirs for mine, theirs in zip(seconds[ours], times, strict=True))
        bar = bars.get(rival)
        ratio = median(seconds[ours]) / median(times)
        compared[rival] = {
            "ratio": ratio,
            "least": ratios[0],
            "most": ratios[-1],
            "bar": bar,
            "reached": None if bar is None else ratio <= bar,
        }
    return compared


def show(work, compared, ours="ours"):
    """Print the ratios of one task."""
    for rival, figures in compared.items():
        bar = (
            ""
            if figures["bar"] is None
            else f"   bar {figures['bar']:g}: {'reached' if figures['reached'] else 'NOT REACHED'}"
        )
        spread = f"({figures['least']:.2f} to {figures['most']:.2f})"
        print(f"{work:14} {ours} / {rival:22} {figures['ratio']:6.3f} {spread:16}{bar}", flush=True)


def machine():
    """Return the hardware and the versions of the packages."""
    return {
        "cores": os.cpu_count(),
        "processor": platform.machine(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "scikit-learn": sklearn.__version__,
        "skorch": skorch.__version__,
        "numpy": np.__version__,
    }


def save(name, results):
    """Write the figures to ``output/<name>.json``."""
    path = Path("output") / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"machine": machine(), "results": results}, indent=2))
    print(f"written to {path}")
