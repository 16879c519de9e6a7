"""One far value among the targets does not spoil what a robust loss learns."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import r2_score
from skorch.callbacks import Callback
from torch import nn

from skmulti import MultiOutputMLPRegressor
from skmulti.losses import COLUMN_LOSSES, ColumnLoss, Quantile, Term, TorchLoss, make_loss
from skmulti.targets.scaler import TargetScaler

ROBUST = ["absolute_error", "huber", "smooth_l1", "log_cosh", "quantile", "laplace_nll", "student_t_nll"]
OUTLIERS = [1e2, -1e7, 1e12]
# The row of the outlier.
FAR = 7


def draw(seed=0, n=300):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 5))
    signal = [X[:, 0] + np.sin(X[:, 1]), 2 * X[:, 2] - X[:, 3], X[:, 4] + 0.5 * X[:, 0]]
    return X, np.stack(signal, axis=1) + 0.05 * rng.normal(size=(n, 3))


def with_outlier(y, value):
    y = y.copy()
    y[FAR, 0] = value
    return y


def scores(net, X, y):
    return r2_score(y, net.predict(X), multioutput="raw_values")


class Watch(Callback):
    """Look at batches, for which skorch's loop must run."""

    def on_batch_end(self, net, **kwargs):
        pass


@pytest.mark.parametrize("outlier", [1e4, -1e12])
@pytest.mark.parametrize("loss", ["absolute_error", "huber", "student_t_nll"])
def test_the_default_estimator_ignores_an_outlier(loss, outlier):
    X, y = draw()
    fit = MultiOutputMLPRegressor(loss={0: loss}, n_members=4, max_epochs=20, random_state=0).fit
    clean = scores(fit(X, y), *draw(1))
    spoiled = scores(fit(X, with_outlier(y, outlier)), *draw(1))
    assert spoiled[0] > 0.95
    np.testing.assert_allclose(spoiled[1:], clean[1:], atol=0.01)


@pytest.mark.parametrize("outlier", OUTLIERS)
@pytest.mark.parametrize("loss", [loss for loss in ROBUST if loss != "laplace_nll"])
def test_a_plain_net_ignores_an_outlier(loss, outlier):
    X, y = draw()
    net = MultiOutputMLPRegressor(loss={0: loss}, effort=None, lr=3e-3, max_epochs=60, random_state=0)
    spoiled = scores(net.fit(X, with_outlier(y, outlier)), *draw(1))
    assert spoiled[0] > 0.95
    np.testing.assert_allclose(spoiled[1:], scores(net.fit(X, y), *draw(1))[1:], atol=0.01)


@pytest.mark.parametrize("outlier", [1e2, -1e5])
def test_a_laplace_distribution_keeps_its_median(outlier):
    X, y = draw()
    net = MultiOutputMLPRegressor(loss={0: "laplace_nll"}, effort=None, lr=3e-3, max_epochs=60, random_state=0)
    assert (scores(net.fit(X, with_outlier(y, outlier)), *draw(1)) > 0.95).all()


@pytest.mark.parametrize("loss", [nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss], ids=lambda loss: loss.__name__)
def test_robust_losses_of_torch_ignore_an_outlier(loss):
    X, y = draw()
    net = MultiOutputMLPRegressor(loss={0: loss()}, effort=None, lr=3e-3, max_epochs=60, random_state=0)
    assert scores(net.fit(X, with_outlier(y, 1e12)), *draw(1))[0] > 0.95


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("callbacks", [None, [Watch()]], ids=["tensor loop", "skorch loop"])
@pytest.mark.parametrize("outlier", [1e7, 1e12])
def test_a_far_validation_target_does_not_hide_which_epoch_is_best(outlier, callbacks, weighted):
    X, y = draw()
    X_val, y_val = draw(1, n=60)
    net = MultiOutputMLPRegressor(
        loss="huber", effort=None, early_stopping=True, callbacks=callbacks, max_epochs=40, random_state=0
    )
    weight = np.linspace(1, 2, 300) if weighted else None
    fit = {"sample_weight": weight, "X_val": X_val, "sample_weight_val": None if weight is None else weight[:60]}
    net.fit(X, y, y_val=y_val, **fit)
    clean = [row["valid_loss"] for row in net.history_]
    net.fit(X, y, y_val=with_outlier(y_val, outlier), **fit)
    spoiled = [row["valid_loss"] for row in net.history_]
    # But for the outlier's own loss, and what it changes by in an epoch.
    np.testing.assert_allclose(np.diff(spoiled), np.diff(clean), atol=0.05 * np.abs(np.diff(clean)).max() + 0.02)
    assert int(np.argmin(spoiled)) > 20


def test_many_members_measure_an_outlier_as_one_does():
    X, y = draw()
    settings = {"loss": "huber", "effort": None, "early_stopping": True, "max_epochs": 5}
    ensemble = MultiOutputMLPRegressor(n_members=2, random_state=0, **settings).fit(X, with_outlier(y, 1e9))
    assert ensemble.training_loop_.loop == "stack"
    for member in ensemble.members_:
        alone = MultiOutputMLPRegressor(random_state=member.random_state, **settings).fit(X, with_outlier(y, 1e9))
        ours, theirs = ([row["valid_loss"] for row in net.history_] for net in (member, alone))
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-5)


def test_robust_losses_say_so_and_no_others():
    assert [name for name, loss in COLUMN_LOSSES.items() if loss().robust_scaling] == ROBUST
    assert not make_loss(nn.MSELoss).robust_scaling
    assert not TorchLoss(nn.L1Loss()).robust_scaling


# The scaler.


def fitted(y, loss="absolute_error", **kwargs):
    return TargetScaler.fit(y, [Term("y", make_loss(loss), (0,), (0,))], standardize=True, **kwargs)


def test_a_robust_column_has_its_median_and_its_interquartile_range():
    y = np.random.default_rng(0).normal(3.0, 2.0, size=(20_001, 1))
    scaler = fitted(y)
    assert scaler.center[0] == np.median(y)
    # In the unit of a standard deviation where targets are normally distributed.
    np.testing.assert_allclose(scaler.scale, 2.0, rtol=0.03)
    np.testing.assert_allclose(scaler.scale, np.subtract(*np.quantile(y, [0.75, 0.25])) / 1.34898, rtol=1e-3)


@pytest.mark.parametrize(
    "y",
    [
        np.r_[np.zeros(240), np.linspace(1, 3, 60)],
        np.r_[np.zeros(280), np.linspace(1, 3, 20)],
        np.r_[np.zeros(294), np.linspace(1, 3, 6)],
        np.r_[np.zeros(299), 2.0],
        np.r_[np.zeros(240), np.linspace(1, 3, 60)] + 1e-16 * np.random.default_rng(0).normal(size=300),
    ],
    ids=["a fifth", "a fifteenth", "a fiftieth", "one", "rounding"],
)
def test_a_value_that_repeats_leaves_a_scale_to_the_others(y):
    scale = fitted(y[:, None]).scale[0]
    assert 1e-3 < scale < 3.0


def test_a_constant_column_stays_exactly_constant():
    y = np.full((50, 2), 0.1)
    y[:, 1] = draw(n=50)[1][:, 0]
    X = draw(n=50)[0]
    net = MultiOutputMLPRegressor(loss="huber", effort="fast", max_epochs=2, random_state=0).fit(X, y)
    assert (net.predict(X)[:, 0] == 0.1).all()


def test_weights_of_two_scale_as_rows_given_twice():
    y = np.random.default_rng(0).normal(size=(101, 1))
    counts = np.random.default_rng(1).integers(0, 4, size=101)
    weighted = fitted(y, sample_weight=counts[:, None] / counts.mean())
    repeated = fitted(np.repeat(y, counts, axis=0))
    np.testing.assert_allclose([weighted.center, weighted.scale], [repeated.center, repeated.scale], rtol=1e-12)


def test_missing_targets_leave_the_scale_to_the_others():
    y = np.random.default_rng(0).normal(size=(101, 1))
    holes = np.r_[y, np.full((20, 1), np.nan)]
    np.testing.assert_array_equal([fitted(holes).center, fitted(holes).scale], [fitted(y).center, fitted(y).scale])


def test_weights_and_missing_targets_keep_an_outlier_out():
    X, y = draw()
    y = with_outlier(y, 1e10)
    y[::9, 0] = np.nan
    net = MultiOutputMLPRegressor(
        loss={0: "huber"}, effort=None, missing_targets="mask", lr=3e-3, max_epochs=60, random_state=0
    )
    net.fit(X, y, sample_weight=np.linspace(0.5, 1.5, 300))
    assert (scores(net, *draw(1)) > 0.95).all()


def test_a_target_at_the_end_of_single_precision_is_one_more_outlier():
    X, y = draw()
    y = with_outlier(1e-6 * y, 3e38)
    net = MultiOutputMLPRegressor(loss={0: "student_t_nll"}, effort=None, lr=3e-3, max_epochs=60, random_state=0)
    assert scores(net.fit(X, y), *(part * unit for part, unit in zip(draw(1), (1, 1e-6), strict=True)))[0] > 0.95


def test_targets_that_are_not_scaled_stay_as_they_are():
    y = np.array([[0.0], [1.0], [1e20]])
    terms = [Term("y", make_loss("huber"), (0,), (0,))]
    scaler = TargetScaler.fit(y, terms, standardize=False)
    np.testing.assert_allclose(scaler.transform(torch.from_numpy(y)), y)


def test_a_custom_loss_may_ask_for_robust_scaling():
    class Late(ColumnLoss):
        robust_scaling = True

        def row_loss(self, raw, y):
            return (raw - y).squeeze(-1).abs()

    X, y = draw()
    y = pd.DataFrame(with_outlier(y, 1e12), columns=["a", "b", "c"])
    net = MultiOutputMLPRegressor(loss={"a": Late()}, effort=None, lr=3e-3, max_epochs=60, random_state=0).fit(X, y)
    assert scores(net, *draw(1))[0] > 0.95


def test_several_quantiles_ignore_an_outlier():
    X, y = draw()
    net = MultiOutputMLPRegressor(
        loss={0: Quantile((0.1, 0.5, 0.9))}, effort=None, lr=3e-3, max_epochs=60, random_state=0
    )
    net.fit(X, with_outlier(y, 1e12))
    assert scores(net, *draw(1))[0] > 0.95
    low, _, high = net.predict_quantiles(X, [0.1, 0.5, 0.9], columns=[0])[:, 0].T
    assert np.median(high - low) < 1.0
