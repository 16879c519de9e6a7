"""Loss weights with which nothing would be learned are refused, all others train."""

import re

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score

from skmulti import MultiOutputMLPRegressor
from skmulti.losses import TorchLoss


def draw(n=150):
    X = np.random.default_rng(0).normal(size=(n, 3))
    return X, np.stack([X[:, 0] + X[:, 1], X[:, 2]], axis=1)


def plain(**params):
    return MultiOutputMLPRegressor(effort=None, lr=5e-3, max_epochs=60, random_state=0, **params)


@pytest.mark.parametrize("make", [MultiOutputMLPRegressor, plain], ids=["default", "plain"])
@pytest.mark.parametrize(
    ("weights", "largest", "column"),
    [([1e30, 1], 1e30, "y0"), ([1, 1e16], 1e16, "y1"), ([1e-12, 1e-12], 1e-12, "y0"), ({1: 1e-8, 0: 1e-9}, 1e-8, "y1")],
    ids=str,
)
def test_weights_out_of_range_are_refused(make, weights, largest, column):
    X, y = draw()
    message = (
        "The 'loss_weights' parameter must have its largest weight from 1e-06 to 1e+15, which single precision can "
        f"train with. Got {largest:g} for {column!r}; divide all weights by {largest:g}, since what counts is how they "
        "compare."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make(loss_weights=weights).fit(X, y)


def test_one_parameter_out_of_range_is_refused_and_keeps_a_fitted_net():
    X, y = draw()
    net = plain().fit(X, y)
    before = net.predict(X)
    with pytest.raises(ValueError, match="must have its largest weight"):
        net.set_params(loss_weights__y0=1e30).fit(X, y)
    np.testing.assert_array_equal(net.predict(X), before)


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.AdamW])
@pytest.mark.parametrize("weight", [1e-6, 1e-3, 1e6, 1e15])
def test_weights_at_the_ends_of_the_range_train(weight, optimizer):
    X, y = draw()
    net = plain(loss_weights=[weight, weight], optimizer=optimizer).fit(X, y)
    assert (r2_score(y, net.predict(X), multioutput="raw_values") > 0.9).all()


def test_the_heaviest_column_is_learned_beside_one_that_hardly_counts():
    X, y = draw()
    net = plain(loss_weights=[1e15, 1e-30]).fit(X, y)
    assert r2_score(y[:, 0], net.predict(X)[:, 0]) > 0.9


def test_weights_make_up_for_units_where_targets_are_not_scaled():
    X, y = draw()
    net = plain(loss_weights=[1e-12, 1e-12], scale_targets=False)
    net.fit(X, 1e6 * y)
    own = TorchLoss(lambda raw, y: (raw - y).square())
    plain(loss=own, loss_weights={"y0": 1e-12}).fit(X, 1e6 * y[:, 0])
