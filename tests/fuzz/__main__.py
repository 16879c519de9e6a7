"""Run cases and print what was found: ``python -m tests.fuzz --cases 5000 --seed 0``."""

from __future__ import annotations

import argparse
import collections
import sys
import time

from tests.fuzz.running import run_case, run_cases


def main() -> int:
    """Return 0 where nothing was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=5000, help="how many cases (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="the seed of all cases (default: %(default)s)")
    parser.add_argument("--start", type=int, default=0, help="the number of the first case (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=1, help="how many processes (default: %(default)s)")
    parser.add_argument("--only", type=int, help="run the case of this number and say what it is")
    args = parser.parse_args()
    if args.only is not None:
        outcome = run_case(args.seed, args.only, time_limit=600)
        print(f"{outcome.text}\n{outcome.end} after {outcome.seconds:.2f} s", *outcome.findings, sep="\n")
        return len(outcome.findings) > 0
    start, ends, found, seconds = time.perf_counter(), collections.Counter[str](), 0, []
    for outcome in run_cases(args.seed, range(args.start, args.start + args.cases), args.jobs):
        ends[outcome.end] += 1
        seconds.append(outcome.seconds)
        found += bool(outcome.findings)
        for finding in outcome.findings:
            print(f"[--seed {args.seed} --only {outcome.number}] {finding}", flush=True)
    print(
        f"{args.cases} cases of seed {args.seed}: {found} with findings; {dict(ends)}; "
        f"{time.perf_counter() - start:.0f} s, {1000 * sum(seconds) / max(len(seconds), 1):.0f} ms a case, "
        f"the longest {max(seconds, default=0):.1f} s"
    )
    return found > 0


if __name__ == "__main__":
    sys.exit(main())
