"""Time searches over loss weights and ensembles, and check that results equal those of separate fits.

``python benchmarks/search.py`` runs all tasks, ``python benchmarks/search.py grid ensemble`` those two. ``grid`` is the
search that this package is for: loss weights of three losses, each on five folds, after a StandardScaler, compared with
scikit-learn's GridSearchCV over stock skorch with a hand-written criterion and over the same estimator. Contestants are
interleaved in one process; the table shows ratios of medians, ours / theirs, with their range over the rounds, and the
best score of each, since a faster search must not be a worse one.
"""

import itertools
import time
import warnings

import numpy as np
import torch
from contest import compare, parse, run_interleaved, save, show
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetRegressor
from torch import nn

from skmulti import MultiOutputMLPRegressor
from skmulti.datasets import load_breast_cancer_measurements
from skmulti.model_selection import BatchedGridSearchCV

BY_HAND, SEQUENTIAL = "stock skorch, n_jobs=2", "ours sequentially, n_jobs=2"
GRID_BARS = {BY_HAND: 1 / 15, SEQUENTIAL: 1 / 2.5}
# Hidden layers, and the target time of an ensemble of 16 relative to one member.
ENSEMBLES = {"64-64": ((64, 64), 4.0), "256-256": ((256, 256), 8.0)}
N_ROUNDS_OF_SLOW = 3


def table(n_rows, n_features, n_targets, seed=0):
    """Return inputs and targets that depend on them."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, n_features)).astype(np.float32)
    mix = rng.normal(size=(2, n_features, n_targets)) / n_features**0.5
    y = np.tanh(2 * X @ mix[0]) + X @ mix[1] + 0.1 * rng.normal(size=(n_rows, n_targets))
    return X, ((y - y.mean(0)) / y.std(0)).astype(np.float32)


class WeightedLoss(nn.Module):
    """A hand-written criterion: squared, absolute and squared error, each with a loss weight."""

    def __init__(self, w0=1.0, w1=1.0, w2=1.0):
        super().__init__()
        self.w0, self.w1, self.w2 = w0, w1, w2

    def forward(self, predicted, true):
        """Return the weighted sum of the losses."""
        first = (predicted[:, 0] - true[:, 0]).square().mean()
        second = (predicted[:, 1] - true[:, 1]).abs().mean()
        third = (predicted[:, 2] - true[:, 2]).square().mean()
        return self.w0 * first + self.w1 * second + self.w2 * third


class Net(nn.Module):
    """The network in plain torch."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3))

    def forward(self, X):
        """Return the predictions."""
        return self.layers(X)


def weightings(n, columns, seed=0):
    """Return n settings of loss weights."""
    values = np.random.default_rng(seed).uniform(0.2, 5.0, size=(n, len(columns))).round(2)
    return [dict(zip(columns, map(float, row), strict=True)) for row in values]


def grid(rounds):
    """Time 20 settings of loss weights on 5 folds."""
    X, y = table(1000, 20, 3)
    common = {"batch_size": 64, "max_epochs": 20, "lr": 1e-3}
    given = weightings(20, (0, 1, 2))
    net = MultiOutputMLPRegressor(
        effort=None,
        loss=["squared_error", "absolute_error", "squared_error"],
        random_state=0,
        scale_targets=False,
        **common,
    )
    by_hand = NeuralNetRegressor(
        Net,
        criterion=WeightedLoss,
        optimizer=torch.optim.Adam,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
        **common,
    )
    ours = {"net__loss_weights": given}
    theirs = [{f"net__criterion__w{i}": [value] for i, value in one.items()} for one in given]
    settings = {"cv": KFold(5), "scoring": "r2"}

    def pipe(last):
        chain = make_pipeline(StandardScaler(), last)
        chain.steps[-1] = ("net", last)
        return chain

    runs = {
        "ours": lambda: BatchedGridSearchCV(pipe(net), ours, **settings).fit(X, y),
        BY_HAND: lambda: GridSearchCV(pipe(by_hand), theirs, n_jobs=2, **settings).fit(X, y),
        SEQUENTIAL: lambda: GridSearchCV(pipe(net), ours, n_jobs=2, **settings).fit(X, y),
    }
    seconds, last = run_interleaved(runs, min(rounds, N_ROUNDS_OF_SLOW))
    compared = compare(seconds, GRID_BARS)
    show("grid", compared)
    scores = {who: float(search.best_score_) for who, search in last.items()}
    print("grid           best mean R2: " + ", ".join(f"{who} {score:.3f}" for who, score in scores.items()))
    return {"compared": compared, "seconds": seconds, "scores": scores}


def many(rounds):
    """Time 256 members relative to 64, per member."""
    X, y = table(1000, 20, 3)

    def run(n_members):
        return lambda: MultiOutputMLPRegressor(
            effort=None, n_members=n_members, batch_size=64, max_epochs=20, random_state=0
        ).fit(X, y)

    seconds, _ = run_interleaved({"ours": run(256), "64 members": run(64)}, rounds)
    seconds["64 members"] = [4 * s for s in seconds["64 members"]]
    compared = compare({"ours": seconds["ours"], "4 x 64 members": seconds["64 members"]}, {"4 x 64 members": 1.1})
    show("256 members", compared)
    return {"compared": compared, "seconds": seconds}


def ensemble(rounds):
    """Time an ensemble of 16 members relative to one net."""
    X, y = table(10_000, 20, 4)
    results = {}
    for name, (hidden, bar) in ENSEMBLES.items():

        def run(n_members, hidden=hidden):
            settings = {"batch_size": 128, "max_epochs": 10, "random_state": 0}
            return lambda: MultiOutputMLPRegressor(hidden, effort=None, n_members=n_members, **settings).fit(X, y)

        seconds, last = run_interleaved({"ours": run(16), "one net": run(1)}, rounds)
        compared = compare(seconds, {"one net": bar})
        show(f"16 of {name}", compared)
        scores = {who: float(net.score(X, y)) for who, net in last.items()}
        print(f"{f'16 of {name}':14} R2: " + ", ".join(f"{who} {score:.3f}" for who, score in scores.items()))
        results[name] = {"compared": compared, "seconds": seconds, "scores": scores}
    return results


def same(rounds):
    """Compare a search on the real measurements with GridSearchCV over the same estimator, also step by step."""
    X, y = load_breast_cancer_measurements(return_X_y=True, as_frame=True)
    net = MultiOutputMLPRegressor(effort=None, max_epochs=30, random_state=0)
    given = weightings(16, list(y)[:5])
    settings = {"cv": KFold(5, shuffle=True, random_state=0), "scoring": "r2"}
    pipe = make_pipeline(StandardScaler(), net)
    parameters = {"multioutputmlpregressor__loss_weights": given}
    batched, alone = (cls(pipe, parameters, **settings).fit(X, y) for cls in (BatchedGridSearchCV, GridSearchCV))
    splits = [f"split{i}_test_score" for i in range(5)]
    apart = max(float(np.abs(batched.cv_results_[key] - alone.cv_results_[key]).max()) for key in splits)
    ranks = batched.cv_results_["rank_test_score"], alone.cv_results_["rank_test_score"]
    mean = alone.cv_results_["mean_test_score"]
    # Candidates whose scores differ by no more than the tolerance are tied.
    swapped = [
        (i, j)
        for i, j in itertools.combinations(range(len(mean)), 2)
        if (ranks[0][i] - ranks[0][j]) * (ranks[1][i] - ranks[1][j]) < 0 and abs(mean[i] - mean[j]) > 1e-3
    ]
    steps = _twenty_steps(X.to_numpy()[:320], y.to_numpy()[:320])
    results = {
        "best_params_ equal": batched.best_params_ == alone.best_params_,
        "split scores apart": apart,
        "ranks equal": bool((ranks[0] == ranks[1]).all()),
        "swapped ranks that are no ties": len(swapped),
        "parameters apart after 20 steps": steps,
    }
    for what, value in results.items():
        print(f"same           {what}: {value if not isinstance(value, float) else f'{value:.1e}'}")
    return results


def _twenty_steps(X, y):
    X = StandardScaler().fit_transform(X)
    settings = {"max_epochs": 4, "batch_size": 64}
    joint = MultiOutputMLPRegressor(effort=None, n_members=16, random_state=0, **settings).fit(X, y)
    apart = 0.0
    for member in joint.members_:
        alone = MultiOutputMLPRegressor(effort=None, random_state=member.random_state, **settings).fit(X, y)
        pairs = zip(member.module_.parameters(), alone.module_.parameters(), strict=True)
        apart = max(apart, *((ours - theirs).abs().max().item() for ours, theirs in pairs))
    return apart


def calibration(rounds):
    """Compare the likelihood of held-out measurements: an ensemble of 16 against one net, both with gaussian_nll."""
    X, y = load_breast_cancer_measurements(return_X_y=True, as_frame=True)
    likelihood = {"one net": [], "16 members": []}
    for train, test in KFold(5, shuffle=True, random_state=0).split(X):
        for who, n_members in (("one net", 1), ("16 members", 16)):
            net = MultiOutputMLPRegressor(effort=None, loss="gaussian_nll", n_members=n_members, random_state=0)
            pipe = make_pipeline(StandardScaler(), net).fit(X.iloc[train], y.iloc[train])
            mean, std = pipe.predict(X.iloc[test], return_std=True)
            error = y.iloc[test].to_numpy() - mean
            likelihood[who].append(0.5 * (error / std) ** 2 + np.log(std) + 0.5 * np.log(2 * np.pi))
    one, many = (np.concatenate(likelihood[who]).mean(0) for who in ("one net", "16 members"))
    for name, single, joint in zip(y, one, many, strict=True):
        print(f"calibration    {name:25} negative log likelihood: one net {single:8.3f}, 16 members {joint:8.3f}")
    better = int((many < one).sum())
    print(f"calibration    16 members are better on {better} of {len(one)} columns   bar 8")
    return {"one net": one.tolist(), "16 members": many.tolist(), "better": better}


WORKS = {"grid": grid, "many": many, "ensemble": ensemble, "same": same, "calibration": calibration}


def main():
    """Run the requested tasks."""
    args = parse(__doc__.splitlines()[0], WORKS)
    results = {}
    for name in args.works:
        start = time.perf_counter()
        results[name] = WORKS[name](args.rounds)
        print(f"{name:14} took {time.perf_counter() - start:.0f} s", flush=True)
    save("bench_search", results)


if __name__ == "__main__":
    warnings.simplefilter("error")
    main()
