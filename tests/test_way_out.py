"""Mistakes that a newcomer made, and the way out that the message names."""

import math
import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.compose import TransformedTargetRegressor
from skorch.callbacks import EarlyStopping
from torch import nn

from skmulti import MultiHeadRegressor, MultiOutputMLPRegressor, MultiOutputNetRegressor
from skmulti.losses import ColumnLoss, register_loss

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 3))
Y = pd.DataFrame(X @ [[1, 0, 1], [0, 9, 1], [0, 0, 1]], columns=["angle", "distance", "area"])


def make_net(cls=MultiOutputMLPRegressor, **params):
    return cls(**{"effort": None, "hidden_layer_sizes": (4,), "max_epochs": 1, "random_state": 0, **params})


def refused(message, error=ValueError):
    return pytest.raises(error, match=re.escape(message))


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("hiden_layer_sizes", "hidden_layer_sizes"),
        ("epochs", "max_epochs"),
        ("learning_rate", "lr"),
        ("criterion", "loss"),
        ("max_iter", "max_epochs"),
    ],
)
def test_a_parameter_of_another_name_is_led_to_ours(given, meant):
    message = (
        f"MultiOutputMLPRegressor.__init__() got an unexpected keyword argument {given!r}. Did you mean {meant!r}?"
    )
    with refused(message, TypeError):
        MultiOutputMLPRegressor(effort=None, **{given: 1})


def test_a_parameter_of_a_loss_needs_its_column():
    with refused("The 'loss__delta' parameter must name a column first: 'loss__<column>__delta'"):
        make_net(loss="huber", loss__delta=0.5).fit(X, Y)


def test_names_are_missed_where_y_came_without_them():
    model = TransformedTargetRegressor(make_net(loss={"distance": "huber"}), check_inverse=False)
    with refused("Got 'distance', but the columns of y are 'y0', 'y1', 'y2'. y has no column names"):
        model.fit(X, Y)


@pytest.mark.parametrize("inputs", [None, {"a": X}], ids=["None", "dict"])
def test_inputs_are_one_array(inputs):
    with refused(f"X must be one array, data frame or tensor. Got {type(inputs).__name__} instead"):
        make_net().fit(inputs, Y)


def test_a_module_with_lazy_layers_is_led_to_input_shape():
    net = MultiOutputNetRegressor(lambda: nn.LazyLinear(3))
    with refused("give its __init__ a parameter 'input_shape', which receives the shape of a row"):
        net.fit(X, Y)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (
            [("head.angle.*", {"lr": 0.1})],
            "must hold patterns that match parameters of the module: trunk.hidden.0.weight",
        ),
        ([("heads.angle.*", {"learning_rate": 0.1})], "must set options of Adam: lr, betas"),
        ({"heads.angle.*": {"lr": 0.1}}, "must be a list of pairs (pattern of parameter names, {option: value})"),
    ],
)
def test_a_group_of_parameters_that_sets_nothing_is_refused(groups, message):
    net = make_net(MultiHeadRegressor, optimizer__param_groups=groups)
    with refused(f"The 'optimizer__param_groups' parameter {message}"):
        net.fit(X, Y)


def test_early_stopping_of_ones_own_without_validation_rows_is_refused():
    with refused("The 'callbacks' parameter holds EarlyStopping, which watches the validation loss"):
        make_net(callbacks=[EarlyStopping()]).fit(X, Y)


@pytest.mark.parametrize("callback", ["LRScheduler", ("name", "LRScheduler"), 3])
def test_what_is_no_callback_is_refused(callback):
    with refused("The 'callbacks' parameter must hold skorch callbacks, or pairs of a name and a callback."):
        make_net(callbacks=[callback]).fit(X, Y)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_named():
    with refused("The 'device' parameter must be a device that torch can use. Got 'cuda', but there is no GPU"):
        make_net(device="cuda").fit(X, Y)


def test_radians_under_a_period_of_degrees_are_pointed_out():
    angle = RNG.uniform(0, 2 * math.pi, size=20)
    with pytest.warns(UserWarning, match="look like radians, and the period of its loss is 360"):
        make_net(loss="circular").fit(X, angle)


def test_an_angle_is_scored_on_the_circle():
    angle = (Y["angle"].to_numpy() * 3) % 360
    net = make_net(loss="circular", max_epochs=150, lr=0.01).fit(X, angle)
    assert np.median(np.abs(net.residuals(X, angle))) < 2
    turned = np.where(angle > 180, angle - 360, angle)
    assert net.score(X, angle) == pytest.approx(net.score(X, turned))


def test_a_net_that_diverges_at_once_keeps_the_state_from_before():
    with refused("The net keeps the state from before this call."):
        make_net(lr=1e30, batch_size=5).fit(X * 1e10, Y)


class Own(ColumnLoss):
    """A loss of one's own that goes wrong in the way it is told."""

    def __init__(self, wrong):
        self.wrong = wrong

    def row_loss(self, raw, y):
        return self.wrong((raw - y).square())


@pytest.mark.parametrize(
    ("wrong", "came"),
    [
        (lambda d: d.mean(), "shape ()"),
        (lambda d: d, "shape (20, 3, 1)"),
        (lambda d: d.sum(0), "shape (3, 1)"),
        (lambda d: d.detach().numpy(), "ndarray"),
    ],
    ids=["mean", "not reduced", "sum over rows", "numpy"],
)
def test_a_loss_of_ones_own_is_told_what_to_return(wrong, came):
    with refused("a tensor of shape (20, 3). Got " + came):
        make_net(loss=Own(wrong)).fit(X, Y)


def test_a_loss_of_ones_own_that_lets_go_of_the_gradient_is_refused():
    with refused("must be computed from the raw outputs by torch's operations. Got values without a gradient"):
        make_net(loss={"area": Own(lambda d: d.detach().squeeze(-1))}).fit(X, Y)


def test_a_loss_with_more_raw_outputs_than_columns_needs_a_prediction():
    class Two(ColumnLoss):
        def n_raw(self, n_columns):
            return 2

        def row_loss(self, raw, y):
            return (raw[..., 0] - y[..., 0]).square()

    net = make_net(loss={"area": Two()}).fit(X, Y)
    with refused("must return one value per column, 1 in all. Got 2"):
        net.predict(X)


def test_what_is_no_dataclass_can_not_be_registered_nor_have_parameters():
    class Bare(ColumnLoss):
        def row_loss(self, raw, y):
            return (raw - y).square().squeeze(-1)

    @dataclass(frozen=True)
    class NoDefault(Bare):
        scale: float

    with refused("put @dataclass(frozen=True) above it", TypeError):
        register_loss("bare", Bare)
    with refused("must have a default for each field. Got none for scale.", TypeError):
        register_loss("no_default", NoDefault)
    with refused("put @dataclass(frozen=True) above the class Bare", TypeError):
        make_net(loss={"area": Bare()}, loss__area__scale=2.0).fit(X, Y)


def test_weights_by_column_are_a_frame_in_the_order_of_y():
    weights = pd.DataFrame(np.arange(1.0, 61.0).reshape(20, 3), columns=Y.columns)
    make_net().fit(X, Y, sample_weight=weights)
    with refused(
        "The 'sample_weight' parameter must be an array, or a data frame with the columns of y in their order"
    ):
        make_net().fit(X, Y, sample_weight=weights[["area", "distance", "angle"]])
    with refused("Got dict of 'area'."):
        make_net().fit(X, Y, sample_weight={"area": weights["area"]})


@pytest.mark.parametrize(("given", "meant"), [("los__area", "loss__area"), ("loss_weight__area", "loss_weights__area")])
def test_a_mistyped_prefix_is_led_to_the_right_one(given, meant):
    with refused(f"Did you mean '{meant}'?"):
        make_net(**{given: "huber"}).fit(X, Y)
