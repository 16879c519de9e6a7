"""Time the training of ours, a hand-written torch loop, MLPRegressor and stock skorch on the same data.

``python benchmarks/fit.py`` runs all tasks, ``python benchmarks/fit.py small tiny`` those two. Contestants are
interleaved in one process; the table shows ratios of medians, ours / theirs, with their range over the rounds, and the
mean squared error on the training rows, since a faster fit must not be a worse one. The hand-written loop has the same
initial parameters and the same batches. ``ours`` is one plain net (``effort=None``); ``default`` times the default
estimator on the same data, and shows the error of all contestants on held-out rows. ``numbers`` trains each network
with the tensor loop and with the skorch loop, and compares the results.
"""

import dataclasses
import warnings
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

import numpy as np
import torch
from contest import compare, parse, run_interleaved, save, show
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from skorch import NeuralNetRegressor
from torch import nn

from skmulti import MultiOutputCNNRegressor, MultiOutputMLPRegressor
from skmulti.training import RandomStreams

LR = 1e-3
# Enough rows for a test error.
MOST_TEST_ROWS = 2_000


@dataclass(frozen=True)
class Work:
    """A network and its data, with the target ratios."""

    shape: tuple
    n_rows: int
    n_targets: int
    hidden: tuple
    batch_size: int
    epochs: int
    bars: dict
    seed: int = 0

    def data(self):
        """Return inputs and standardised targets that depend on them."""
        rng = np.random.default_rng(self.seed)
        X = rng.normal(size=(self.n_rows, *self.shape)).astype(np.float32)
        flat = X.reshape(self.n_rows, -1)
        mix = rng.normal(size=(2, flat.shape[1], self.n_targets)) / flat.shape[1] ** 0.5
        y = np.tanh(2 * flat @ mix[0]) + flat @ mix[1] + 0.1 * rng.normal(size=(self.n_rows, self.n_targets))
        return X, ((y - y.mean(0)) / y.std(0)).astype(np.float32)

    def module(self):
        """Return the network in plain torch."""
        if len(self.shape) == 3:
            n_pooled = 32 * (self.shape[1] // 4) * (self.shape[2] // 4)
            return nn.Sequential(
                *(nn.Conv2d(self.shape[0], 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
                *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
                *(nn.Flatten(), nn.Linear(n_pooled, 128), nn.ReLU(), nn.Linear(128, self.n_targets)),
            )
        sizes = (*self.shape, *self.hidden)
        layers = [part for n, m in pairwise(sizes) for part in (nn.Linear(n, m), nn.ReLU())]
        return nn.Sequential(*layers, nn.Linear(sizes[-1], self.n_targets))

    def estimator(self, **params):
        """Return the estimator of skmulti."""
        params = {"batch_size": self.batch_size, "max_epochs": self.epochs, "lr": LR, "random_state": 0, **params}
        if len(self.shape) == 3:
            return MultiOutputCNNRegressor((16, 32), effort=None, **params)
        return MultiOutputMLPRegressor(self.hidden, effort=None, **params)


HAND, SKLEARN, SKORCH = "hand-written loop", "MLPRegressor", "stock skorch"
WORKS = {
    "small": Work((20,), 10_000, 4, (64, 64), 128, 10, {HAND: 0.5, SKLEARN: 0.5, SKORCH: 0.12}),
    "tiny": Work((10,), 150, 3, (64, 64), 32, 200, {HAND: 0.5, SKLEARN: 0.5, SKORCH: 0.12}),
    "wide": Work((100,), 50_000, 8, (256, 256), 256, 2, {HAND: 0.9, SKLEARN: 0.8, SKORCH: 0.6}),
    "images": Work((3, 28, 28), 2_000, 4, (), 64, 2, {HAND: 1.0, SKORCH: 0.95}),
}
OPTIMIZERS: dict[str, Any] = {
    "Adam": {"optimizer": torch.optim.Adam},
    "AdamW": {"optimizer": torch.optim.AdamW},
    "SGD, momentum": {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9},
    "RMSprop": {"optimizer": torch.optim.RMSprop},
}


def by_hand(work, X, y):
    """Train as a careful torch user does: tensors, no DataLoader, torch's fused Adam, one gather per batch."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = work.module()
    X, y = torch.from_numpy(X), torch.from_numpy(y)
    optimizer = torch.optim.Adam(module.parameters(), lr=LR, fused=True)
    criterion, order = nn.MSELoss(), RandomStreams(0).order
    for _ in range(work.epochs):
        for rows in torch.randperm(len(X), generator=order).split(work.batch_size):
            optimizer.zero_grad()
            criterion(module(X[rows]), y[rows]).backward()
            optimizer.step()
    return lambda inputs: module(torch.from_numpy(inputs)).detach().numpy()


def by_sklearn(work, X, y):
    """Train scikit-learn's network with the same optimizer, batches of the same size and no penalty."""
    net = MLPRegressor(
        hidden_layer_sizes=work.hidden,
        batch_size=work.batch_size,
        max_iter=work.epochs,
        n_iter_no_change=work.epochs,
        tol=0.0,
        alpha=0.0,
        learning_rate_init=LR,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        net.fit(X, y)
    return net.predict


def by_skorch(work, X, y):
    """Train a stock skorch net."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = NeuralNetRegressor(
            work.module(), criterion=nn.MSELoss, optimizer=torch.optim.Adam, lr=LR, max_epochs=work.epochs,
            batch_size=work.batch_size, iterator_train__shuffle=True, train_split=None, verbose=0,
        )  # fmt: skip
        net.fit(X, y)
    return net.predict


def by_us(work, X, y, **params):
    """Train one plain net of skmulti."""
    return work.estimator(**params).fit(X, y).predict


def by_default(work, X, y, **params):
    """Train the default estimator, which uses only the data of the task."""
    estimator = MultiOutputCNNRegressor if len(work.shape) == 3 else MultiOutputMLPRegressor
    return estimator(random_state=0, **params).fit(X, y).predict


def contestants_on(work, X, y, **ours):
    """Return training functions by name; scikit-learn has no network for images."""
    rivals = {HAND: by_hand, SKLEARN: by_sklearn, SKORCH: by_skorch}
    if len(work.shape) == 3:
        del rivals[SKLEARN]
    return {who: lambda train=train: train(work, X, y) for who, train in {**ours, **rivals}.items()}


def errors(predict, X, y):
    """Return the mean squared error of each contestant; predicting the mean gives 1."""
    return {who: float(np.mean((read(X) - y) ** 2)) for who, read in predict.items()}


def in_words(quality):
    """Return errors as one line."""
    return ", ".join(f"{who} {value:.4f}" for who, value in quality.items())


def race(name, rounds):
    """Time one task; return its ratios and the error of each contestant."""
    work = WORKS[name]
    X, y = work.data()
    seconds, predict = run_interleaved(contestants_on(work, X, y, ours=by_us), rounds)
    compared = compare(seconds, work.bars)
    quality = errors(predict, X, y)
    show(name, compared)
    print(f"{name:14} training error: {in_words(quality)}", flush=True)
    return {"compared": compared, "seconds": seconds, "training_error": quality}


def race_default(rounds):
    """Time the default estimator on all tasks, and compare the errors on held-out rows.

    Each fit takes seconds, so a seventh of the rounds is enough, without a warm-up.
    """
    results = {}
    for name, work in WORKS.items():
        n_test = min(work.n_rows, MOST_TEST_ROWS)
        X, y = dataclasses.replace(work, n_rows=work.n_rows + n_test).data()
        runs = contestants_on(work, X[n_test:], y[n_test:], default=by_default)
        seconds, predict = run_interleaved(runs, max(1, rounds // 7), cold=("default",))
        compared = compare(seconds, {}, ours="default")
        quality = errors(predict, X[:n_test], y[:n_test])
        show(name, compared, ours="default")
        print(f"{name:14} default {median(seconds['default']):.1f} s   test error: {in_words(quality)}", flush=True)
        results[name] = {"compared": compared, "seconds": seconds, "test_error": quality}
    return results


def race_losses(rounds):
    """Time the small table with three losses against the same with one."""
    work = WORKS["small"]
    X, y = work.data()
    three = ["squared_error", "absolute_error", "huber", "squared_error"]
    contestants = {
        "ours": lambda: by_us(work, X, y, loss=three),
        "one loss": lambda: by_us(work, X, y, loss="squared_error"),
    }
    seconds, _ = run_interleaved(contestants, max(rounds, 15))
    compared = compare(seconds, {"one loss": 1.2})
    show("three losses", compared)
    return {"compared": compared, "seconds": seconds}


def race_sizes(rounds):
    """Time a row and an epoch among 1,000,000 rows against one among 10,000."""
    few = dataclasses.replace(WORKS["small"], epochs=20)
    many = dataclasses.replace(few, n_rows=1_000_000, epochs=1)
    data = {"ours": many.data(), "few rows": few.data()}
    works = {"ours": many, "few rows": few}
    runs = {who: lambda who=who: by_us(works[who], *data[who]) for who in works}
    seconds, _ = run_interleaved(runs, rounds)
    per_row = {who: [t / (works[who].n_rows * works[who].epochs) for t in times] for who, times in seconds.items()}
    compared = compare(per_row, {"few rows": 1.15})
    show("a million", compared)
    return {"compared": compared, "seconds_per_row": per_row}


def time_short_fit(rounds):
    """Time a complete fit of one epoch on 100 rows."""
    work = dataclasses.replace(WORKS["small"], n_rows=100, epochs=1)
    X, y = work.data()
    seconds, _ = run_interleaved({"ours": lambda: by_us(work, X, y)}, 20 * rounds)
    ms = 1000 * median(seconds["ours"])
    print(f"100 rows, one epoch: {ms:.1f} ms in the median   bar 10 ms: {'reached' if ms < 10 else 'NOT REACHED'}")
    return {"median_ms": ms, "seconds": seconds}


def compare_numbers(rounds):
    """Train each network with the tensor loop and with the skorch loop; return the differences of their parameters."""
    apart = {}
    for name, work in WORKS.items():
        X, y = work.data()
        for label, optimizer in OPTIMIZERS.items():
            ours, theirs = (work.estimator(**optimizer, training_loop=loop).fit(X, y) for loop in ("auto", "skorch"))
            pairs = zip(ours.module_.parameters(), theirs.module_.parameters(), strict=True)
            with torch.no_grad():
                most = max(float((a - b).norm() / b.norm()) for a, b in pairs)
            apart[f"{name}, {label}"] = most
            verdict = "reached" if most <= 1e-5 else "NOT REACHED"
            print(f"{name:8} {label:14} parameters apart by {most:.1e}   bar 1e-5: {verdict}", flush=True)
    return apart


def main():
    """Run the requested tasks."""
    others = {
        "default": race_default,
        "losses": race_losses,
        "growth": race_sizes,
        "short": time_short_fit,
        "numbers": compare_numbers,
    }
    args = parse(__doc__.splitlines()[0], [*WORKS, *others])
    results = {}
    for name in args.works:
        results[name] = others[name](args.rounds) if name in others else race(name, args.rounds)
    save("bench_fit", results)


if __name__ == "__main__":
    main()
