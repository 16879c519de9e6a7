"""Compare the accuracy of the default estimator with that of other regressors, on tables with several targets.

``python benchmarks/accuracy.py FOLDER`` runs all contestants that are installed on all sets of a folder, which holds
``NAME.csv`` (inputs, then targets) and ``meta.json`` (for each set the names of ``targets`` and ``nominal`` inputs);
``--openml`` takes OpenML's copies instead. Five folds; preprocessing is fitted on the training rows; contestants run
sequentially within each fold, with one thread. It prints per set the aRRMSE (root of squared error relative to
predicting the training rows' mean, mean over targets and folds), and the median over sets of the processor seconds of a
fit.

``--ablation`` runs the default with one component changed at a time instead of peers. ``--measurements`` prints the R2
of ten measurements from the twenty others, ``--random-problems 200`` the errors on random small problems; these two
need no folder.
"""

import argparse
import json
import platform
import sys
import time
from collections import defaultdict
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pandas as pd
import peers
import protocol
import random_problems
import torch
from scipy.stats import rankdata
from sklearn.metrics import r2_score
from threadpoolctl import threadpool_limits

from skmulti.datasets import load_breast_cancer_measurements

WORST_TO_RIDGE = 1.03
MEASUREMENTS = ["ours-raw", "forest", "extra-trees", "ridge", "mlp", "boosted-trees"]


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", help="folder with NAME.csv and meta.json")
    parser.add_argument("--openml", action="store_true", help="load OpenML's copies of the sets, over the network")
    parser.add_argument("--models", nargs="+", help=f"of {', '.join(peers.CONTESTANTS)}; all installed by default")
    parser.add_argument("--sets", nargs="+", help="names of sets; all by default")
    parser.add_argument("--seeds", type=int, default=1, help="number of seeds for estimators of skmulti")
    parser.add_argument("--folds-seed", type=int, default=0, help="seed of the folds")
    parser.add_argument("--results", type=Path, help="file to append a JSON line to per set, model and seed")
    parser.add_argument("--from-results", type=Path, metavar="FILE", help="print the table of such a file, fit nothing")
    parser.add_argument("--ablation", action="store_true", help="our default beside itself with one thing left out")
    parser.add_argument("--measurements", action="store_true", help="R2 on the breast cancer measurements instead")
    parser.add_argument("--random-problems", type=int, metavar="N", help="fit N random small problems instead")
    args = parser.parse_args()
    works = (args.folder, args.openml, args.from_results, args.measurements, args.random_problems)
    if sum(bool(work) for work in works) != 1:
        parser.error("give one of: a folder, --openml, --from-results, --measurements, --random-problems")
    return args


def run_folds(table, contestants, n_seeds, folds_seed, score):
    """Fit all contestants on all folds; return ``{(model, seed): [(score, seconds) of each fold]}``."""
    results = defaultdict(list)
    for train, test in protocol.folds(len(table.y), folds_seed):
        prepared = protocol.prepare(table, train, test)
        for name, contestant in contestants.items():
            for seed in range(n_seeds if contestant.ours else 1):
                predicted, seconds = protocol.run(contestant, prepared, table, train, seed)
                results[name, seed].append((score(table.y, predicted, train, test), seconds))
    return results


def fold_arrmse(y, predicted, train, test):
    return protocol.arrmse(y[test], predicted, y[train].mean(0))


def fold_r2(y, predicted, train, test):
    return r2_score(y[test], predicted)


def records_of(table, contestants, n_seeds, folds_seed):
    """Run one set; return one record per model and seed, in the form of the results file."""
    records = []
    for (name, seed), by_fold in run_folds(table, contestants, n_seeds, folds_seed, fold_arrmse).items():
        errors, seconds = np.transpose(by_fold)
        module = contestants[name].module
        records.append(
            {
                "set": table.name,
                "model": name,
                "seed": seed,
                "folds_seed": folds_seed,
                "arrmse": float(np.nanmean(errors)),
                "arrmse_of_folds": [None if np.isnan(error) else error for error in errors.tolist()],
                "seconds": float(seconds.mean()),
                "versions": {
                    "python": platform.python_version(),
                    "numpy": np.__version__,
                    "torch": torch.__version__,
                    module: contestants[name].version(),
                },
                "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            }
        )
    return records


def run_sets(tables, args):
    """Run all sets; return the records, and append them to the results file after each set."""
    contestants = peers.choose(["ours", *peers.ABLATIONS] if args.ablation else args.models)
    records = []
    for table in tables:
        start = time.perf_counter()
        new = records_of(table, contestants, args.seeds, args.folds_seed)
        records += new
        if args.results:
            args.results.parent.mkdir(parents=True, exist_ok=True)
            with args.results.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(record) + "\n" for record in new)
        print(f"{table.name} took {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    return records


def read_records(path, args):
    """Return the requested records of a file: the last one of each set, model and seed."""
    last = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        wanted = (args.sets is None or record["set"] in args.sets) and (
            args.models is None or record["model"] in args.models
        )
        if wanted and record["folds_seed"] == args.folds_seed:
            last[record["set"], record["model"], record["seed"]] = record
    return list(last.values())


def summarise(records):
    """Return a frame: per model its error on each set (mean over seeds), mean, deviation over seeds, rank, seconds.

    A model that did not run on all sets has no mean and no rank.
    """
    frame = pd.DataFrame(records)
    sets = sorted(frame["set"].unique())
    of_seeds = frame.pivot_table(index=["model", "seed"], columns="set", values="arrmse")[sets]
    errors = of_seeds.groupby("model").mean()
    summary = errors.copy()
    summary["mean"] = errors.mean(axis=1, skipna=False)
    summary["deviation"] = of_seeds.mean(axis=1, skipna=False).groupby("model").std()
    complete = errors.dropna()
    summary["rank"] = pd.Series(rankdata(complete, axis=0).mean(axis=1), index=complete.index, dtype=float)
    summary["seconds"] = frame.pivot_table(index="model", columns="set", values="seconds").median(axis=1)
    return summary.sort_values("mean"), sets


def show(records):
    """Print the table, sorted by mean, and the checks below it."""
    if not records:
        raise SystemExit("no results to show")
    summary, sets = summarise(records)
    several = summary["deviation"].notna().any()
    heads = ["model", *sets, "mean", *(["± over seeds"] if several else []), "mean rank", "cpu s/fit"]
    print("| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
    for name, row in summary.iterrows():
        last = [("mean", "{:.4f}"), *([("deviation", "{:.4f}")] if several else []), ("rank", "{:.1f}")]
        figures = [(key, "{:.3f}") for key in sets] + last + [("seconds", "{:.2f}")]
        cells = ["-" if np.isnan(row[key]) else form.format(row[key]) for key, form in figures]
        print("| " + " | ".join([str(name), *cells]) + " |")
    print()
    show_checks(summary, sets)


def show_checks(summary, sets):
    """Print for each of ours its largest ratio to ridge regression, which a network should never exceed by much."""
    ours = [name for name in summary.index if name in peers.CONTESTANTS and peers.CONTESTANTS[name].ours]
    if "ridge" not in summary.index:
        return
    for name in ours:
        ratios = (summary.loc[name, sets] / summary.loc["ridge", sets]).dropna()
        if len(ratios):
            verdict = "reached" if ratios.max() <= WORST_TO_RIDGE else "NOT REACHED"
            print(f"{name} / ridge: at most {ratios.max():.3f}, on {ratios.idxmax()}   bar {WORST_TO_RIDGE}: {verdict}")


def measure_measurements(args):
    """Print the mean R2 over the folds on the breast cancer measurements."""
    X, y = load_breast_cancer_measurements(return_X_y=True, as_frame=True)
    table = protocol.Table("measurements", X, y.to_numpy())
    results = run_folds(table, peers.choose(args.models or MEASUREMENTS), args.seeds, args.folds_seed, fold_r2)
    of_seeds = pd.DataFrame({key: np.mean(by_fold, axis=0) for key, by_fold in results.items()}, index=["r2", "s"]).T
    scores = of_seeds.groupby(level=0).agg(["mean", "std"]).sort_values(("r2", "mean"), ascending=False)
    print("| model | mean R2 | ± over seeds | cpu s/fit |\n|---|---|---|---|")
    for name, row in scores.iterrows():
        deviation = "-" if np.isnan(row["r2", "std"]) else f"{row['r2', 'std']:.4f}"
        print(f"| {name} | {row['r2', 'mean']:.4f} | {deviation} | {row['s', 'mean']:.2f} |")


def main():
    """Run the requested benchmarks."""
    args = parse()
    torch.set_num_threads(1)
    peers.hush()
    with threadpool_limits(1):
        if args.random_problems:
            names = peers.choose(args.models or ["ours-raw"])
            passed = [random_problems.report(name, args.random_problems) for name in names]
            sys.exit(not all(passed))
        elif args.measurements:
            measure_measurements(args)
        elif args.from_results:
            show(read_records(args.from_results, args))
        else:
            load = protocol.load_openml(args.sets) if args.openml else protocol.load_folder(args.folder, args.sets)
            show(run_sets(load, args))


if __name__ == "__main__":
    main()
