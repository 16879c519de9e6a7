"""Standardisation of targets and its inverse."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler
from torch import nn

from skmulti.losses import Circular, ColumnLoss, Poisson, SquaredError, Term, make_loss
from skmulti.targets.scaler import TargetScaler


class Length(ColumnLoss):
    """The distance between two vectors."""

    n_columns = None
    target_scaling = "group"

    def row_loss(self, raw, y):
        return (raw - y).norm(dim=-1)


def terms_of(*losses):
    """Return a table of terms from (loss, columns)."""
    return [Term(f"term{i}", make_loss(loss), columns, columns) for i, (loss, columns) in enumerate(losses)]


def each(n_columns, loss=SquaredError):
    return terms_of(*[(loss(), (i,)) for i in range(n_columns)])


def draw(*scales, n=200, offset=0.0):
    return np.random.default_rng(0).normal(size=(n, len(scales))) * scales + offset


def test_each_column_is_standardised_as_scikit_learn_does():
    y = draw(0.01, 1.0, 900.0, offset=[3.0, -7.0, 1e4])
    scaler = TargetScaler.fit(y, each(3), standardize=True)
    np.testing.assert_allclose(scaler.transform(torch.from_numpy(y)), StandardScaler().fit_transform(y), atol=1e-6)
    np.testing.assert_allclose(scaler.center, y.mean(0))
    np.testing.assert_allclose(scaler.scale, y.std(0))


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1.0, 1e3, 1e6])
@pytest.mark.parametrize("offset", [0.0, 1.0, -1e3, 1e6])
def test_inverse_transform_returns_the_targets(scale, offset):
    y = draw(scale, offset=offset * max(scale, 1e-3))
    scaler = TargetScaler.fit(y, each(1), standardize=True)
    back = scaler.inverse_transform(scaler.transform(torch.from_numpy(y)).double().numpy())
    # Accurate to float32 in units of the standard deviation: an offset loses no precision.
    np.testing.assert_allclose(back, y, rtol=0, atol=1e-6 * scale)


@settings(deadline=None)
@given(st.floats(-6, 6), st.floats(-5, 5))
def test_scaled_targets_do_not_depend_on_unit_and_offset(log_scale, shift):
    y = draw(1.0)
    moved = (y + shift) * 10**log_scale
    first, second = (
        TargetScaler.fit(values, each(1), standardize=True).transform(torch.from_numpy(values)) for values in (y, moved)
    )
    np.testing.assert_allclose(first, second, atol=1e-5)


@pytest.mark.parametrize("constant", [0.0, 5.0, 0.1, -1e6, 1e-6])
def test_a_constant_column_is_predicted_as_its_constant(constant):
    y = np.column_stack([np.full(50, constant), draw(1.0, n=50)])
    scaler = TargetScaler.fit(y, each(2), standardize=True)
    assert scaler.transform(torch.from_numpy(y))[:, 0].eq(0).all()
    assert (scaler.inverse_transform(draw(10.0, 10.0, n=50))[:, 0] == constant).all()


def test_a_loss_without_target_scaling_leaves_its_column_unscaled():
    y = draw(100.0, 100.0, 100.0, 100.0, offset=50.0)
    terms = terms_of((SquaredError(), (0,)), (Poisson(), (1,)), (lambda raw, y: (raw - y) ** 2, (3, 2)))
    scaler = TargetScaler.fit(y, terms, standardize=True)
    assert list(scaler.center[1:]) == [0, 0, 0]
    assert list(scaler.scale[1:]) == [1, 1, 1]
    np.testing.assert_array_equal(scaler.transform(torch.from_numpy(y))[:, 1:], y[:, 1:].astype(np.float32))
    assert scaler.scale[0] == pytest.approx(y[:, 0].std())


def test_unwrapped_angles_keep_their_precision():
    seconds = 1.7e9 + np.arange(5.0)[:, None]
    scaler = TargetScaler.fit(seconds, terms_of((Circular(period=86400.0), (0,))), standardize=True)
    np.testing.assert_array_equal(scaler.transform(torch.from_numpy(seconds)), np.mod(seconds, 86400.0))


def test_a_constant_column_without_target_scaling_is_unscaled():
    scaler = TargetScaler.fit(np.full((9, 1), 90.0), terms_of((Circular(), (0,))), standardize=True)
    assert (scaler.center, scaler.scale) == (0, 1)


def test_standardize_false_scales_no_column():
    y = draw(0.01, 900.0, offset=4.0)
    scaler = TargetScaler.fit(y, each(2), standardize=False)
    assert list(scaler.center) == [0, 0]
    assert list(scaler.scale) == [1, 1]
    np.testing.assert_array_equal(scaler.transform(torch.from_numpy(y)), y.astype(np.float32))


def test_columns_of_a_torch_loss_are_scaled_separately():
    y = draw(1.0, 100.0)
    scaler = TargetScaler.fit(y, terms_of((nn.MSELoss, (0, 1))), standardize=True)
    np.testing.assert_allclose(scaler.scale, y.std(0))


def test_a_group_keeps_its_directions():
    y = draw(1.0, 10.0, 3.0, offset=[5.0, 0.0, -2.0])
    scaler = TargetScaler.fit(y, terms_of((Length(), (2, 0)), (SquaredError(), (1,))), standardize=True)
    common = np.sqrt((y[:, 0].var() + y[:, 2].var()) / 2)
    np.testing.assert_allclose(scaler.scale, [common, y[:, 1].std(), common])
    np.testing.assert_allclose(scaler.center, y.mean(0))
    z = scaler.transform(torch.from_numpy(y)).numpy()
    np.testing.assert_allclose(z[:, 2] * (y - y.mean(0))[:, 0], z[:, 0] * (y - y.mean(0))[:, 2], rtol=1e-4, atol=1e-5)
    assert (z[:, [0, 2]] ** 2).mean() == pytest.approx(1.0, rel=1e-5)


def test_a_constant_column_of_a_group_is_scaled_with_the_others():
    y = np.column_stack([draw(4.0), np.full(200, 7.0)])
    scaler = TargetScaler.fit(y, terms_of((Length(), (0, 1))), standardize=True)
    np.testing.assert_allclose(scaler.scale, y[:, 0].std() / np.sqrt(2))
    assert scaler.center[1] == 7.0


def test_a_group_of_constant_columns_is_predicted_as_its_constants():
    scaler = TargetScaler.fit(np.tile([3.0, 7.0], (5, 1)), terms_of((Length(), (0, 1))), standardize=True)
    assert scaler.inverse_transform(np.array([[5.0, -5.0]])).tolist() == [[3.0, 7.0]]


def constant_and_not():
    y = np.column_stack([np.full(50, 2.0), np.full(50, 3.0), draw(5.0, n=50)])
    return y, TargetScaler.fit(y, each(3), standardize=True)


def test_thawed_columns_may_vary():
    _, scaler = constant_and_not()
    thawed = scaler.thaw()
    assert list(scaler.scale[:2]) == [0, 0]
    assert list(thawed.scale) == [1, 1, scaler.scale[2]]
    assert list(thawed.center) == list(scaler.center)
    assert thawed.inverse_transform(np.ones((1, 3)))[0, :2].tolist() == [3.0, 4.0]


def test_only_columns_that_vary_in_new_targets_are_thawed():
    y, scaler = constant_and_not()
    assert list(scaler.thaw(y).scale) == list(scaler.scale)
    y[3, 1] = 4.0
    assert list(scaler.thaw(y).scale) == [0, 1, scaler.scale[2]]
    assert list(scaler.thaw(y[:, :]).transform(torch.from_numpy(y))[:, 0]) == [0] * 50


def test_targets_are_float32_for_the_network_and_float64_for_the_user():
    y, scaler = constant_and_not()
    assert scaler.transform(torch.from_numpy(y)).dtype == torch.float32
    assert scaler.transform(torch.from_numpy(y).float()).dtype == torch.float32
    assert scaler.inverse_transform(np.zeros((2, 3))).dtype == np.float64
