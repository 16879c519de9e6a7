"""Helpers that train the same net with the tensor loop and with skorch's loop and compare the results."""

import numpy as np
import pytest

from skmulti import MultiHeadRegressor, MultiOutputMLPRegressor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 5)).astype(np.float32)
Y = np.column_stack([X @ RNG.normal(size=5), 100 + 30 * np.sin(X[:, 0]), RNG.normal(size=90), X[:, 1] ** 2])
IMAGES = RNG.normal(size=(60, 2, 6, 6)).astype(np.float32)
WEIGHTS = RNG.uniform(0.1, 3, size=90)


def make(cls=MultiOutputMLPRegressor, **params):
    settings = {"effort": None, "max_epochs": 4, "batch_size": 16, "lr": 0.01, "random_state": 3}
    if cls in (MultiOutputMLPRegressor, MultiHeadRegressor):
        settings["hidden_layer_sizes"] = (12, 8)
    return cls(**{**settings, **params})


def both(fit=lambda net: net.fit(X, Y), **params):
    """Return the same net trained by either loop."""
    return [fit(make(**params, training_loop=loop)) for loop in ("auto", "skorch")]


def assert_same(ours, theirs, *, loop="tensor", rtol=1e-5):
    assert ours.training_loop_.loop == loop
    assert theirs.training_loop_.loop == "skorch"
    own, their = ours.module_.state_dict(), theirs.module_.state_dict()
    assert list(own) == list(their)
    for name, value in own.items():
        difference = (value - their[name]).double().norm() / their[name].double().norm().clamp(min=1e-3)
        assert difference <= rtol, name
    assert len(ours.history) == len(theirs.history)
    for row, other in zip(ours.history, theirs.history, strict=True):
        assert set(row) == set(other)
        for key in set(row) - {"batches", "dur"}:
            assert row[key] == pytest.approx(other[key], rel=1e-4, abs=1e-6), key
