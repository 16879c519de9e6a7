"""What estimators refuse by name: parameters and arguments that would have no effect, or can't be used together."""

import re

import numpy as np
import pytest
import torch
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.model_selection import KFold
from skorch.callbacks import LRScheduler
from skorch.dataset import ValidSplit

from skmulti import MultiOutputCNNRegressor, MultiOutputMLPRegressor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
Y = X[:, :2] + 1


def make(**params):
    return MultiOutputMLPRegressor(**{"effort": None, "max_epochs": 1, "random_state": 0, **params})


@pytest.fixture(scope="module")
def fitted():
    return make().fit(X, Y)


def refused(message):
    return pytest.raises((ValueError, TypeError), match=re.escape(message))


@pytest.mark.parametrize("y", [Y, Y[:, 0]], ids=["two columns", "one dimension"])
def test_the_score_of_a_single_row_is_nan(y):
    net = make().fit(X, y)
    with pytest.warns(UndefinedMetricWarning):
        assert np.isnan(net.score(X[:1], y[:1]))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"lr_schedule": "one_cycle", "callbacks": [LRScheduler("StepLR", step_size=1)]}, "leave out one of them"),
        ({"n_members": 1, "numeric_embedding": "mixed"}, "'numeric_embedding' parameter must be 'piecewise_linear'"),
        ({"torch_load_kwargs": 3}, "The 'torch_load_kwargs' parameter"),
        ({"optimizer": "adam"}, "such as torch.optim.Adam."),
        ({"optimizer": "sgd"}, "such as torch.optim.SGD."),
        ({"train_split": 0.2}, "Use early_stopping=True with validation_fraction=0.2"),
        ({"train_split": KFold(3)}, "Use skorch.dataset.ValidSplit(KFold("),
        ({"train_split": ValidSplit}, "Got the class ValidSplit; use ValidSplit()."),
        ({"initialization": "hee"}, "Did you mean 'he'?"),
        ({"initialization": "xavier"}, "'auto'"),
        ({"scaling_layer": "yes"}, "'auto'"),
        ({"lr_schedule": "cosine"}, "use a skorch.callbacks.LRScheduler in 'callbacks'."),
        ({"effort": "high"}, "'fast' takes the least time, 'best' the most."),
        ({"missing_targets": "masked"}, "Did you mean 'mask'?"),
    ],
    ids=lambda value: "_".join(value) if isinstance(value, dict) else "",
)
def test_a_parameter_is_refused_with_the_way_out(params, message):
    with refused(message):
        make(**params).fit(X, Y)


def test_spatial_dims_must_be_a_number():
    with refused("The 'spatial_dims' parameter"):
        MultiOutputCNNRegressor(spatial_dims="2", effort=None).fit(RNG.normal(size=(40, 4, 4)), Y)


def test_weights_of_validation_rows_without_rows_are_refused():
    with refused("The 'sample_weight_val' argument must be None without validation rows."):
        make().fit(X, Y, sample_weight_val=np.ones(5))


@pytest.mark.parametrize(("name", "value"), [("hidden_layer_sizes", (5,)), ("activation", "tanh"), ("dropout", 0.5)])
def test_another_architecture_is_refused_in_a_warm_start(name, value):
    net = make(warm_start=True).fit(X, Y)
    with refused(f"The {name!r} parameter must stay as it is in a net that goes on training. Got {value!r} instead"):
        net.set_params(**{name: value}).fit(X, Y)
    net.set_params(warm_start=False).fit(X, Y)


def test_the_same_architecture_in_another_form_goes_on_in_a_warm_start():
    net = make(warm_start=True, hidden_layer_sizes=(8,)).fit(X, Y)
    assert len(net.set_params(hidden_layer_sizes=[8]).fit(X, Y).history_) == 2


@pytest.mark.parametrize("value", ["a", "yes", 1])
def test_return_std_must_be_a_bool(fitted, value):
    with refused(f"The 'return_std' argument must be True or False. Got {value!r} instead"):
        fitted.predict(X, value)


def test_a_slice_of_columns_is_refused(fitted):
    with refused("Got slice(0, 2, None) instead; use for example columns=[0, 1]."):
        fitted.predict(X, columns=slice(0, 2))


@pytest.mark.parametrize(("name", "meant"), [("loss_weight", "loss_weights"), ("epochs", "max_epochs")])
def test_the_parameter_that_was_meant_is_named_in_set_params(name, meant):
    with refused(f"Did you mean {meant!r}?"):
        make().set_params(**{name: 3})


def test_optimizers_and_splits_in_their_right_form_are_taken():
    make(optimizer=torch.optim.SGD, train_split=ValidSplit(KFold(3)), torch_load_kwargs={}).fit(X, Y)
