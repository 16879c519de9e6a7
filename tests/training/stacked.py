"""Helpers that train nets as a stack and compare them with the same nets trained separately."""

import numpy as np
import torch
from sklearn.base import clone

from skmulti import MultiOutputMLPRegressor
from skmulti.training.stack.train import TrainingTask, train_tasks

NOTHING = (None, None, None)


def rows(n=160, seed=0):
    """Return inputs and four targets: two of any sign, one positive, one angle."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 5)).astype(np.float32)
    linear = X @ np.random.default_rng(1).normal(size=(5, 2))
    return X, np.column_stack([linear, np.abs(X[:, 0]) + 0.1, rng.uniform(0, 360, n)])


def mlp(**params):
    return MultiOutputMLPRegressor(
        effort=None, **{"hidden_layer_sizes": (8, 6), "max_epochs": 3, "batch_size": 32, **params}
    )


def train_stacked(nets, data, **options):
    """Train clones of nets on (X, y, sample_weight, (X_val, y_val, sample_weight_val)); return their tasks."""
    tasks = []
    for net, (X, y, sample_weight, validation) in zip(nets, data, strict=True):
        begun = clone(net)
        tasks.append(TrainingTask(begun, *begun._begin(X, y, sample_weight, validation)))
    train_tasks(tasks, **options)
    return tasks


def train_alone(net, X, y, sample_weight, validation):
    """Return a fitted clone of a net and the error raised by fit, or None."""
    net = clone(net)
    names = ("X_val", "y_val", "sample_weight_val")
    try:
        net.fit(X, y, sample_weight, **dict(zip(names, validation, strict=True)))
    except ValueError as error:
        return net, error
    return net, None


def assert_as_alone(nets, data=None, *, stacked=True, atol=1e-5):
    """Check that nets trained as a stack equal those trained separately."""
    data = data or [(*rows(), None, NOTHING)] * len(nets)
    tasks = train_stacked(nets, data)
    for net, task, given in zip(nets, tasks, data, strict=True):
        expected, error = train_alone(net, *given)
        assert type(task.error) is type(error)
        assert str(task.error) == str(error)
        assert bool(task.why_sequential) is not stacked, task.why_sequential
        if expected.__sklearn_is_fitted__():
            assert_same_net(task.net, expected, atol)
        else:
            assert not task.net.history_
    return tasks


def assert_same_net(net, expected, atol=1e-5):
    for name, value in expected.module_.state_dict().items():
        torch.testing.assert_close(net.module_.state_dict()[name], value, atol=atol, rtol=1e-5, msg=name)
    assert len(net.history_) == len(expected.history_) == net.n_iter_
    for ours, theirs in zip(net.history_, expected.history_, strict=True):
        assert set(ours) == set(theirs)
        for key in set(ours) - {"batches", "dur"}:
            assert ours[key] == theirs[key] or abs(ours[key] - theirs[key]) < 1e-4 * (1 + abs(theirs[key])), key
    states = [[one.optimizer_.state.get(p, {}) for p in one.module_.parameters()] for one in (net, expected)]
    for ours, theirs in zip(*states, strict=True):
        assert set(ours) == set(theirs)
        for key, value in theirs.items():
            if isinstance(value, torch.Tensor):
                torch.testing.assert_close(ours[key], value, atol=1e-4, rtol=1e-3)
    assert not [name for name in vars(net) if name in ("_loop", "_flat", "_last_good", "_holdout", "_exact_losses")]
