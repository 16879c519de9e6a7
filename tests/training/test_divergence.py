"""A loss that is not finite stops training; the last good parameters are kept."""

import math
import pickle
import re

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import ShuffleSplit
from skorch.dataset import ValidSplit
from torch import nn

from skmulti import MultiOutputMLPRegressor, TrainingDivergedError
from skmulti.training.divergence import LastGood, divergence_message

ADVICE = (
    "The net keeps the parameters of the last good epoch. "
    "Lower 'lr', scale X and the targets, or clip the gradients (skorch.callbacks.GradientNormClipping)."
)


def data(n=64):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 3)).astype(np.float32)
    return X, X @ rng.normal(size=(3, 2))


class BreaksAt:
    """A squared error multiplied by `value` from call number `call` on."""

    __name__ = "BreaksAt"

    def __init__(self, call, value=math.nan):
        self.call, self.value, self.n_calls = call, value, 0

    def __call__(self, raw, y):
        self.n_calls += 1
        rows = (raw - y).square().mean(1)
        return rows * self.value if self.n_calls >= self.call else rows


def make(loss=None, **params):
    params = {"max_epochs": 5, "batch_size": 32, "random_state": 0, **params}
    return MultiOutputMLPRegressor((8,), effort=None, loss="squared_error" if loss is None else loss, **params)


def parameters(net):
    return [p.detach().clone() for p in net.module_.parameters()]


def assert_same(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_divergence_names_epoch_and_term_and_keeps_the_last_good_parameters(value):
    X, y = data()
    two_epochs = make({"y1": BreaksAt(99)}, max_epochs=2).fit(X, y)
    net = make({"y1": BreaksAt(call=6, value=value)})  # two batches an epoch: the end of the third epoch
    message = f"Training diverged in epoch 3: the loss of 'y1' ({value}) is not finite. {ADVICE}"
    with pytest.raises(TrainingDivergedError, match=f"^{re.escape(message)}$"):
        net.fit(X, y)
    assert_same(parameters(net), parameters(two_epochs))
    np.testing.assert_array_equal(net.predict(X), two_epochs.predict(X))


def test_divergence_names_the_first_non_finite_term_only():
    X, y = data()
    net = make({"y1": BreaksAt(call=5)})  # the first batch of the third epoch; the second is lost for all terms
    with pytest.raises(TrainingDivergedError, match=re.escape("in epoch 3: the loss of 'y1' (nan) is not finite")):
        net.fit(X, y)


def test_a_net_that_diverged_pickles_and_can_continue():
    X, y = data()
    net = make({"y1": BreaksAt(call=5)})
    with pytest.raises(TrainingDivergedError):
        net.fit(X, y)
    net = pickle.loads(pickle.dumps(net)).set_params(loss="squared_error")
    before = net.score(X, y)
    net.partial_fit(X, y)
    assert np.isfinite(net.predict(X)).all()
    assert net.score(X, y) > before


def test_a_first_epoch_that_diverges_keeps_the_initial_parameters():
    X, y = data()
    net = make({"y0": BreaksAt(call=1)}).initialize(X, y)
    with pytest.raises(TrainingDivergedError, match=re.escape("in epoch 1: the loss of 'y0' (nan) is not finite")):
        net.fit(X, y)
    assert_same(parameters(net), parameters(make({"y0": BreaksAt(99)}).initialize(X, y)))


def test_a_far_too_high_learning_rate_is_detected():
    X, y = data()
    net = make(lr=1e30, optimizer=torch.optim.SGD)
    with pytest.raises(TrainingDivergedError, match=r"^Training diverged in epoch 1: .* is not finite\. The net keeps"):
        net.fit(X, y)
    with pytest.raises(NotFittedError):
        net.predict(X)


def test_a_validation_loss_that_is_not_finite_is_named():
    X, y = data()
    split = ValidSplit(ShuffleSplit(1, test_size=0.25, random_state=0))
    # Two training batches of the 48 rows, then one of validation: the third call.
    net = make({"y1": BreaksAt(call=3)}, train_split=split)
    with pytest.raises(TrainingDivergedError, match=re.escape("epoch 1: the loss of 'y1, validation' (nan)")):
        net.fit(X, y)


def test_a_finite_training_is_not_affected():
    X, y = data()
    net = make().fit(X, y)
    assert len(net.history) == 5
    assert net._last_good is None


def test_the_error_is_a_value_error():
    assert issubclass(TrainingDivergedError, ValueError)


@pytest.mark.parametrize(
    ("losses", "what"),
    [
        ({"a": math.nan, "b": 1.0}, "the loss of 'a' (nan) is not finite"),
        ({"a": math.nan, "b": math.inf, "c": 0.0}, "the loss of 'a' (nan), 'b' (inf) is not finite"),
        ({"a": 1.0}, "a parameter of the network is not finite"),
        ({}, "a parameter of the network is not finite"),
    ],
)
def test_the_message_names_all_terms_that_are_not_finite(losses, what):
    assert divergence_message(4, losses) == f"Training diverged in epoch 4: {what}. {ADVICE}"


def network():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def values(module):
    return [value.detach().clone() for value in module.state_dict().values()]


def test_a_copy_restores_parameters_and_buffers():
    module = network()
    module(torch.rand(8, 3))
    guard, before = LastGood(module), values(module)
    module(torch.rand(8, 3))
    with torch.no_grad():
        module[0].weight += 1
    guard.restore()
    assert_same(values(module), before)


def test_a_renewed_copy_is_the_newer_one():
    module = network()
    guard = LastGood(module)
    with torch.no_grad():
        module[0].weight += 1
    assert guard.renew()
    after = values(module)
    with torch.no_grad():
        module[0].weight += 1
    guard.restore()
    assert_same(values(module), after)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("where", ["0.weight", "2.bias", "1.running_mean"])
def test_a_value_that_is_not_finite_is_not_copied(value, where):
    module = network()
    guard, before = LastGood(module), values(module)
    with torch.no_grad():
        module.state_dict()[where].view(-1)[0] = value
    assert not guard.renew()
    guard.restore()
    assert_same(values(module), before)


def test_large_but_finite_parameters_are_good():
    module = network()
    guard = LastGood(module)
    with torch.no_grad():
        module[0].weight.fill_(1e25)
    assert guard.renew()
