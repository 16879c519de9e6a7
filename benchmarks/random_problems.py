"""Random small problems with the difficulties of real tables: no fit may be much worse than predicting the mean."""

import numpy as np
import pandas as pd
from peers import CONTESTANTS
from protocol import Table, arrmse, prepare, run

# A tolerance for noise in the test rows of a problem that cannot be learned.
WORST_RATIO = 1.10
# Columns are scaled by random powers of ten up to this exponent, in either direction.
LARGEST_SCALE = 6


def _log_uniform(rng, low, high):
    return round(float(np.exp(rng.uniform(np.log(low), np.log(high)))))


def _scales(rng, n_columns):
    return 10 ** rng.uniform(-LARGEST_SCALE, LARGEST_SCALE, n_columns)


def _add_outliers(rng, values):
    """Make one entry in a hundred, and at least one, up to a hundred times as large."""
    n_entries = max(1, values.size // 100)
    places = rng.choice(values.size, n_entries, replace=False)
    values.flat[places] *= rng.uniform(10, 100, n_entries)


def draw(seed):
    """Return the problem of a seed, and a list of its difficulties."""
    rng = np.random.default_rng(seed)
    n_rows, n_features, n_targets = (_log_uniform(rng, *limits) for limits in ((20, 500), (1, 200), (1, 20)))
    X = rng.normal(size=(n_rows, n_features))
    mix = rng.normal(size=(2, n_features, n_targets)) / n_features**0.5
    y = np.tanh(2 * X @ mix[0]) + X @ mix[1] + rng.uniform(0.05, 1) * rng.normal(size=(n_rows, n_targets))
    difficulties = []

    def occurs(probability, difficulty):
        if rng.random() < probability:
            difficulties.append(difficulty)
            return True
        return False

    if occurs(0.3, "targets of noise"):
        noise = rng.random(n_targets) < 0.5
        y[:, noise] = rng.normal(size=(n_rows, noise.sum()))
    if occurs(0.3, "outliers in inputs"):
        _add_outliers(rng, X)
    if occurs(0.3, "outliers in targets"):
        _add_outliers(rng, y)
    if occurs(0.3, "constant inputs"):
        X[:, rng.random(n_features) < 0.2] = 1.0
    if occurs(0.3, "duplicate inputs"):
        X = X[:, rng.integers(n_features, size=n_features)]
    if occurs(0.1, "a constant target"):
        y[:, rng.integers(n_targets)] = 1.0
    X = (X + rng.normal(size=n_features)) * _scales(rng, n_features)
    y = (y + rng.normal(size=n_targets)) * _scales(rng, n_targets)
    return Table(f"random {seed}", pd.DataFrame(X).add_prefix("x"), y), difficulties


def try_one(contestant, seed):
    """Fit two thirds of the rows of a problem; return the error on the rest, infinite if a prediction is not finite."""
    table, _ = draw(seed)
    rows = np.arange(len(table.y))
    train, test = np.split(rows, [2 * len(rows) // 3])
    predicted, _ = run(contestant, prepare(table, train, test), table, train, seed=0)
    return arrmse(table.y[test], predicted, table.y[train].mean(0))


def report(name, n_problems):
    """Fit a contestant on a number of problems, print the result, and return whether none failed."""
    errors = np.array([try_one(CONTESTANTS[name], seed) for seed in range(n_problems)])
    # The error is undefined where the only target is constant; its predictions must be finite.
    errors[np.isnan(errors)] = 0.0
    failed = np.flatnonzero(errors > WORST_RATIO)
    n_infinite = np.isinf(errors).sum()
    print(
        f"{name}: {n_problems} random problems, {n_infinite} with predictions that are not finite, {len(failed)} worse "
        f"than {WORST_RATIO:g} times the mean's error; median {np.median(errors):.3f}, worst {errors.max():.3f} "
        f"(problem {errors.argmax()})"
    )
    for seed in failed:
        table, difficulties = draw(int(seed))
        shape = f"{table.X.shape[0]} rows, {table.X.shape[1]} inputs, {table.y.shape[1]} targets"
        print(f"  problem {seed}: {errors[seed]:.3f}; {', '.join([shape, *difficulties])}")
    return not len(failed)
