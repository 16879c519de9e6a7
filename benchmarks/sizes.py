"""Accuracy and training time of the default estimators on images and on large tables.

``python benchmarks/sizes.py --canvases 500 2000`` fits the CNN on as many digits canvases, and tests on canvases of
other scans. ``--rows 2000 100000`` fits the MLP on as many rows of a synthetic table, compared with scikit-learn's
MLPRegressor and boosted trees; ``--columns`` and ``--targets`` give its shape.
"""

import argparse
import time

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import r2_score
from sklearn.model_selection import GroupShuffleSplit
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmulti import MultiOutputCNNRegressor, MultiOutputMLPRegressor
from skmulti.datasets import load_digit_canvases

# Upper limits in pixels, pixels, degrees and seconds.
BARS = {"centre": 1.0, "size": 1.5, "angle": 12.0, "seconds": 90.0}
N_TEST = 10_000


def timed_fit(estimator, X, y):
    """Fit, and return the wall and the processor seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    estimator.fit(X, y)
    return time.perf_counter() - wall, time.process_time() - cpu


def measure_canvases(n_train):
    """Print the errors on the canvases of a quarter of the scans, after training on those of the others."""
    canvases = load_digit_canvases(round(n_train / 0.75))
    split = GroupShuffleSplit(1, test_size=0.25, random_state=0)
    train, test = next(split.split(canvases.data, groups=canvases.source))
    net = MultiOutputCNNRegressor(loss={"angle": "circular"}, random_state=0)
    frame = load_digit_canvases(len(canvases.data), as_frame=True).target
    wall, cpu = timed_fit(net, canvases.data[train], frame.iloc[train])
    errors = np.abs(net.residuals(canvases.data[test], frame.iloc[test]))
    measured = {
        "centre": errors[:, :2].mean(0).max(),
        "size": errors[:, 2:4].mean(0).max(),
        "angle": np.median(errors[:, 4]),
        "seconds": cpu,
    }
    verdict = "reached" if all(measured[name] <= bar for name, bar in BARS.items()) else "NOT REACHED"
    print(
        f"{len(train)} canvases: centre {measured['centre']:.2f} px, width and height {measured['size']:.2f} px, angle "
        f"{measured['angle']:.1f} degrees (median), {wall:.0f} s ({cpu:.0f} processor seconds)   bars "
        f"{', '.join(f'{name} {bar:g}' for name, bar in BARS.items())}: {verdict}",
        flush=True,
    )


def make_table(n_rows, n_columns, n_targets):
    """Return a table of skewed, rounded and normal columns, and targets that are nonlinear functions of them."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows + N_TEST, n_columns))
    X[:, ::3] = np.exp(X[:, ::3])
    X[:, 1::5] = np.round(X[:, 1::5])
    Z = (X - X.mean(0)) / X.std(0)
    waves, ramps = (2 * rng.normal(size=(n_columns, 40)) / np.sqrt(n_columns) for _ in range(2))
    hidden = np.sin(Z @ waves) + np.maximum(Z @ ramps, 0)
    y = hidden @ rng.normal(size=(40, n_targets)) / 6 + 0.3 * rng.normal(size=(len(X), n_targets))
    return X, y


def measure_rows(n_rows, n_columns, n_targets, peers):
    """Print the R2 on held-out rows, and the times."""
    X, y = make_table(n_rows, n_columns, n_targets)
    contestants = {"ours": MultiOutputMLPRegressor(random_state=0)}
    if peers:
        contestants["mlp"] = make_pipeline(StandardScaler(), MLPRegressor(early_stopping=True, random_state=0))
        contestants["boosted-trees"] = MultiOutputRegressor(HistGradientBoostingRegressor(random_state=0))
    for name, estimator in contestants.items():
        wall, cpu = timed_fit(estimator, X[:n_rows], y[:n_rows])
        start = time.perf_counter()
        score = r2_score(y[n_rows:], estimator.predict(X[n_rows:]))
        print(
            f"{n_rows} x {n_columns}, {n_targets} targets, {name}: R2 {score:.4f}, fit {wall:.0f} s ({cpu:.0f} "
            f"processor seconds), {N_TEST} predictions {time.perf_counter() - start:.2f} s",
            flush=True,
        )


def main():
    """Run the requested measurements."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--canvases", type=int, nargs="*", default=[], metavar="N", help="numbers of training images")
    parser.add_argument("--rows", type=int, nargs="*", default=[], metavar="N", help="numbers of training rows")
    parser.add_argument("--columns", type=int, default=50)
    parser.add_argument("--targets", type=int, default=5)
    parser.add_argument("--no-peers", action="store_true", help="ours only")
    args = parser.parse_args()
    for n_train in args.canvases:
        measure_canvases(n_train)
    for n_rows in args.rows:
        measure_rows(n_rows, args.columns, args.targets, not args.no_peers)


if __name__ == "__main__":
    main()
