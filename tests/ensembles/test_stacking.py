"""Stacking of members and a ridge regression, fitted on out-of-fold predictions."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import r2_score

from skmulti import MultiOutputMLPRegressor
from skmulti.ensembles.stacking import Stacking

RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 3))
LINEAR = X @ RNG.normal(size=(3, 2)) + 0.05 * RNG.normal(size=(80, 2))


def make_net(**params):
    given = {"effort": "fast", "max_epochs": 4, "n_members": 4, "random_state": 0, **params}
    return MultiOutputMLPRegressor(**given)


def fitted(y, held_out, weight=None, n_groups=2):
    stacking = Stacking(list(range(n_groups)), 3, y.shape[1])
    stacking.fit(X[: len(y)], y, held_out, range(y.shape[1]), weight)
    return stacking


def total(stacking):
    """Return the total stacking weight of the members in each column."""
    return stacking.weights.sum(0).numpy()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 3), st.floats(0, 3))
def test_stacking_weights_are_not_negative_and_sum_to_at_most_one(seed, noise, other):
    rng = np.random.default_rng(seed)
    y = LINEAR + rng.normal(size=LINEAR.shape)
    held_out = np.stack([y + noise * rng.normal(size=y.shape), other * rng.normal(size=y.shape)])
    stacking = fitted(y, held_out)
    assert (stacking.weights >= 0).all()
    assert (total(stacking) <= 1 + 1e-6).all()


def test_an_accurate_candidate_gets_almost_all_stacking_weight():
    y = RNG.normal(size=(80, 2))
    stacking = fitted(y, np.stack([y, RNG.normal(size=y.shape)]))
    assert (stacking.weights[0] > 0.95).all()
    assert (stacking.weights[1] < 0.05).all()


def test_an_unpredictable_column_is_predicted_by_its_mean():
    y = RNG.normal(size=(80, 1))
    stacking = fitted(y, RNG.normal(size=(2, 80, 1)))
    raws = stacking([torch.randn(5, 1), torch.randn(5, 1)], torch.randn(5, 3))
    assert torch.stack(raws).mean(0).abs().max() < 0.3


def test_a_linear_column_is_predicted_by_the_ridge_regression():
    beside, alone = (make_net(max_epochs=1, linear_path=path).fit(X[:60], LINEAR[:60]) for path in (True, False))
    assert r2_score(LINEAR[60:], beside.predict(X[60:])) > 0.98
    assert r2_score(LINEAR[60:], alone.predict(X[60:])) < 0.9


def test_the_mean_of_the_shifted_members_is_the_stacked_prediction():
    stacking = Stacking([0, 1, 0], 2, 1)
    stacking.weights[:] = torch.tensor([[0.5], [0.2]])
    stacking.coef[:] = torch.tensor([[1.0], [2.0]])
    stacking.intercept[:] = 0.25
    stacking.is_stacked[:] = True
    raws = [torch.tensor([[value]]) for value in (1.0, 5.0, 3.0)]
    joint = torch.stack(stacking(raws, torch.tensor([[10.0, 20.0]])))
    assert_allclose(joint[[0, 2]].mean(), joint[1].item())
    assert_allclose(joint.mean(), 0.5 * 2 + 0.2 * 5 + 10 + 40 + 0.25)
    assert_allclose(np.ptp(joint.numpy()), 0.7 * 2)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.integers(0, 2), min_size=1, max_size=6), st.floats(0, 1))
def test_the_mean_of_members_in_any_groups_is_the_stacked_prediction(seed, groups, total_weight):
    generator = torch.Generator().manual_seed(seed)
    groups = [sorted(set(groups)).index(group) for group in groups]
    stacking = Stacking(groups, 2, 3)
    stacking.weights[:] = total_weight * torch.rand(stacking.weights.shape, generator=generator) / len(stacking.weights)
    stacking.coef[:] = torch.randn(2, 3, generator=generator)
    stacking.low[:], stacking.high[:] = -1.5, 2.0
    stacking.is_stacked[:] = torch.tensor([True, True, False])
    raws = list(torch.randn(len(groups), 5, 3, generator=generator))
    inputs = torch.randn(5, 2, generator=generator)
    shifted = torch.stack(stacking(raws, inputs))
    joint = (stacking.weights[:, None] * stacking.means_of_groups(raws)).sum(0) + inputs @ stacking.coef
    assert_allclose(shifted.mean(0)[:, :2], joint.clamp(-1.5, 2.0)[:, :2], atol=1e-5)
    assert_allclose(shifted[..., 2], torch.stack(raws)[..., 2], atol=1e-6)


def test_equal_stacking_weights_give_the_mean_of_all_members():
    raws = [torch.randn(4, 2) for _ in range(5)]
    stacking = Stacking([0, 1, 0, 1, 0], 3, 2)
    inputs = torch.randn(4, 3)
    assert all(out is raw for out, raw in zip(stacking(raws, inputs), raws, strict=True))
    stacking.is_stacked[:] = True
    assert_allclose(torch.stack(stacking(raws, inputs)).mean(0), torch.stack(raws).mean(0), atol=1e-6)


def buffers_of(*args):
    stacking = fitted(*args)
    return torch.cat(
        [stacking.weights, stacking.coef, stacking.intercept[None], stacking.low[None], stacking.high[None]]
    ).numpy()


HELD_OUT = np.stack([LINEAR + 0.3 * RNG.normal(size=LINEAR.shape), np.tanh(LINEAR)])


@pytest.mark.parametrize("shape", [80, (80, 2)])
def test_only_ratios_of_sample_weights_matter(shape):
    weight = RNG.uniform(0.5, 2, size=shape)
    one, other = (make_net().fit(X, LINEAR, sample_weight=factor * weight) for factor in (1, 64))
    assert_allclose(one.predict(X), other.predict(X))


def test_stacking_weights_follow_the_sample_weights():
    y = np.random.default_rng(0).normal(size=(80, 1))
    is_first = (np.arange(80) < 40)[:, None]
    held_out = np.stack([np.where(is_first, y, 0), np.where(is_first, 0, y)])
    heavy_first, heavy_last = (fitted(y, held_out, np.where(heavy, 1.0, 0.01)) for heavy in (is_first, ~is_first))
    assert heavy_first.weights[0] > 1.3 * heavy_first.weights[1]
    assert heavy_last.weights[1] > 1.3 * heavy_last.weights[0]


def test_a_row_with_zero_sample_weight_or_without_target_is_ignored():
    weight, y = np.ones_like(LINEAR), LINEAR.copy()
    weight[60:], y[60:] = 0, 100.0
    without_weight = buffers_of(y, HELD_OUT, weight)
    y[60:] = np.nan
    without_target = buffers_of(y, HELD_OUT, np.ones_like(LINEAR))
    absent = buffers_of(LINEAR[:60], HELD_OUT[:, :60], np.ones((60, 2)))
    assert_allclose(without_weight, absent, rtol=1e-5)
    assert_allclose(without_target, absent, rtol=1e-5)


def test_rows_that_a_group_never_holds_out_do_not_affect_stacking_weights():
    weights = []
    for other in (HELD_OUT[1, 50:], 1e6, np.nan):
        held_out = HELD_OUT.copy()
        held_out[0, 50:], held_out[1, 50:] = np.nan, other
        weights.append(fitted(LINEAR, held_out).weights)
    assert_allclose(weights[1], weights[0])
    assert_allclose(weights[2], weights[0])
    assert not np.allclose(weights[0], fitted(LINEAR, HELD_OUT).weights)


def test_the_order_of_rows_does_not_matter():
    order = np.random.default_rng(1).permutation(80)
    one, other = Stacking([0, 1], 3, 2), Stacking([0, 1], 3, 2)
    one.fit(X, LINEAR, HELD_OUT, [0, 1])
    other.fit(X[order], LINEAR[order], HELD_OUT[:, order], [0, 1])
    assert_allclose(one.weights, other.weights, rtol=1e-5)
    assert_allclose(one.coef, other.coef, rtol=1e-4, atol=1e-6)


def test_a_single_target_column_is_stacked():
    net = make_net().fit(X, LINEAR[:, 0])
    assert net.module_.stacking.is_stacked.all()
    y_pred, y_std = net.predict(X, return_std=True)
    assert y_pred.shape == y_std.shape == (80,)
    assert r2_score(LINEAR[:, 0], y_pred) > 0.98


@pytest.mark.parametrize("training_loop", ["auto", "skorch"])
def test_stacking_is_fitted_with_bootstrap_in_both_training_loops(training_loop):
    net = make_net(bootstrap=True, training_loop=training_loop).fit(X, LINEAR)
    assert net.module_.stacking.is_stacked.all()
    assert net.module_.stacking.coef.any()


def test_predictions_are_clipped_to_the_range_of_the_training_targets():
    net = make_net().fit(X, LINEAR)
    low, high = LINEAR.min(axis=0), LINEAR.max(axis=0)
    far = net.predict(1e6 * X)
    assert (far >= low - 0.2 * (high - low)).all()
    assert (far <= high + 0.2 * (high - low)).all()


def test_limits_exclude_outliers_that_no_candidate_predicted():
    y = np.where(np.arange(80) == 7, 50.0, LINEAR[:, 0])[:, None]
    stacking = fitted(y, np.zeros((2, 80, 1)) + LINEAR[:, :1])
    assert stacking.high[0] < 20
    heavy = np.exp(2 * X[:, :1])
    assert fitted(heavy, np.stack([heavy, heavy])).high[0] > heavy.max()


def test_columns_with_other_losses_are_not_stacked():
    losses = ["squared_error", "absolute_error"]
    with_path, without = (make_net(loss=losses, linear_path=path).fit(X, LINEAR) for path in (True, False))
    assert with_path.module_.stacking.is_stacked.tolist() == [True, False]
    assert without.module_.stacking is None
    outputs = torch.stack([member._raw(member._encoded(X.astype("float64"))) for member in with_path.members_])
    expected = outputs.mean(0).double().numpy()[:, 1] * with_path.target_scaler_.scale[1]
    assert_allclose(with_path.predict(X)[:, 1], expected + with_path.target_scaler_.center[1], rtol=1e-5, atol=1e-6)


def test_missing_targets_and_rows_of_zero_weight_do_not_affect_the_fit():
    y = LINEAR.copy()
    y[::3, 0] = np.nan
    net = make_net(missing_targets="mask").fit(X, y)
    assert net.module_.stacking.is_stacked.all()
    assert net.score(X, LINEAR) > 0.9
    weight = np.ones(80)
    weight[40:] = 0
    spoilt = np.where(weight[:, None] > 0, LINEAR, -LINEAR)
    assert make_net().fit(X, spoilt, sample_weight=weight).score(X, LINEAR) > 0.9


def test_sample_weights_per_column_select_the_rows_of_each_column():
    weight = np.ones((80, 2))
    weight[:40, 1] = 0
    spoilt = LINEAR.copy()
    spoilt[:40, 1] *= -1
    assert make_net().fit(X, spoilt, sample_weight=weight).score(X, LINEAR) > 0.9


def test_few_rows_give_equal_stacking_weights():
    net = make_net().fit(X[:9], LINEAR[:9])
    assert not net.module_.stacking.is_stacked.any()
    assert np.isfinite(net.predict(X)).all()


@pytest.mark.parametrize(
    "fit",
    [
        lambda net: net.partial_fit(X, LINEAR),
        lambda net: net.fit(X[:60], LINEAR[:60], X_val=X[60:], y_val=LINEAR[60:]),
        lambda net: net.set_params(early_stopping=False).fit(X, LINEAR),
    ],
    ids=["partial_fit", "given validation rows", "no validation rows"],
)
def test_stacking_weights_stay_equal_without_held_out_rows(fit):
    net = fit(make_net())
    assert not net.module_.stacking.is_stacked.any()
    assert_allclose(net.module_.stacking.weights, 0.5)


def test_the_prediction_of_a_row_does_not_depend_on_other_rows():
    net = make_net().fit(X, LINEAR)
    expected = net.predict(X)
    assert_array_equal(np.concatenate([net.predict(X[i : i + 1]) for i in range(20)]), expected[:20])
    assert_array_equal(net.predict(X[::-1]), expected[::-1])


def test_stacked_members_keep_a_spread():
    net = make_net().fit(X, np.abs(X[:, :2]))
    y_pred, y_std = net.predict(X, return_std=True)
    assert_allclose(y_pred, net.predict(X))
    assert (y_std > 0).all()


def test_a_large_table_is_stacked_without_a_ridge_regression(monkeypatch):
    monkeypatch.setattr("skmulti.ensembles.stacking._MOST_NUMBERS", 10)
    stacking = make_net().fit(X, LINEAR).module_.stacking
    assert stacking.is_stacked.all()
    assert not stacking.coef.any()


def test_stacking_is_fitted_on_out_of_fold_predictions(monkeypatch):
    seen = {}
    monkeypatch.setattr(
        Stacking, "fit", lambda self, *args: seen.update(zip(("X", "y", "held_out"), args, strict=False))
    )
    net = make_net(n_members=7, numeric_embedding="mixed").fit(X, LINEAR)
    assert_allclose(seen["y"] * net.target_scaler_.scale + net.target_scaler_.center, LINEAR, atol=1e-6)
    assert_array_equal(seen["X"], net._encoded(X))
    assert seen["held_out"].shape == (2, 80, 2)
    for group, members in enumerate([net.members_[::2], net.members_[1::2]]):
        for row in range(80):
            holding_out = [member for member in members if row in member._left_out(LINEAR)]
            mean = seen["held_out"][group, row] * net.target_scaler_.scale + net.target_scaler_.center
            if holding_out:
                assert_allclose(
                    mean, np.mean([m.predict(X[[row]])[0] for m in holding_out], axis=0), rtol=1e-4, atol=1e-5
                )
            else:
                assert np.isnan(mean).all()


def test_the_spread_of_members_is_scaled_by_their_total_stacking_weight():
    net = make_net(numeric_embedding=None).fit(X, np.abs(X[:, :2]) + X[:, 2:])
    each = np.stack([member.predict(X) for member in net.members_])
    total_weight = net.module_.stacking.weights.sum(0).clamp(max=1).numpy()
    assert ((total_weight > 0) & (total_weight < 1)).all()
    assert_allclose(net.predict(X, return_std=True)[1], total_weight * each.std(axis=0), rtol=1e-4)


def test_the_order_of_groups_does_not_matter():
    assert_allclose(fitted(LINEAR, HELD_OUT[::-1]).weights.flip(0), fitted(LINEAR, HELD_OUT).weights, rtol=1e-5)
