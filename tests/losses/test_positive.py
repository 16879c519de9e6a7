"""Poisson, gamma and Tweedie, against scikit-learn's deviances and SciPy."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import mean_gamma_deviance, mean_poisson_deviance, mean_tweedie_deviance
from torch.testing import assert_close

from skmulti.losses import Gamma, Poisson, Tweedie

LOSSES = [
    (Poisson, {}, 1, mean_poisson_deviance),
    (Gamma, {}, 2, mean_gamma_deviance),
    *[
        (Tweedie, {"power": p}, p, lambda y, m, p=p: mean_tweedie_deviance(y, m, power=p))
        for p in (1, 1.1, 1.5, 1.9, 2, 2.5, 3)
    ],
]
each_loss = pytest.mark.parametrize(
    ("cls", "params", "power", "deviance"),
    LOSSES,
    ids=[f"{cls.__name__}{params or ''}" for cls, params, _, _ in LOSSES],
)


def amounts(power, n=200):
    rng = np.random.default_rng(0)
    y = rng.gamma(2.0, 3.0, n) + 1e-3
    return np.where(rng.random(n) < 0.3, 0.0, y) if power < 2 else y


def column(values, **kwargs):
    return torch.tensor(np.asarray(values, dtype=float), **kwargs).reshape(-1, 1)


@each_loss
@pytest.mark.parametrize("mean", [None, 0.01, 7.0, 1e6])
def test_rows_cost_half_the_deviance_of_scikit_learn_in_units_of_the_mean(cls, params, power, deviance, mean):
    unit = mean or 1.0
    y = amounts(power) * unit
    raw = np.random.default_rng(1).normal(0, 2, len(y))
    ours = cls(**params, mean=mean).row_loss(column(raw), column(y)).numpy()
    m = unit * np.exp(raw)
    theirs = [deviance([a], [b]) / 2 / unit ** (2 - power) for a, b in zip(y, m, strict=True)]
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


@each_loss
def test_a_perfect_prediction_costs_nothing_and_has_no_slope(cls, params, power, deviance):
    y = np.array([1e-6, 0.1, 1.0, 12.0, 1e6])
    raw = column(np.log(y / 3), requires_grad=True)
    raw = torch.log(column(y) / 3).requires_grad_()
    value = cls(**params, mean=3.0).row_loss(raw, column(y))
    value.sum().backward()
    size = np.maximum((y / 3) ** (2 - power), 1)
    assert (value.detach().numpy() <= 1e-12 * size * 10).all()
    assert (raw.grad[:, 0].numpy() <= 1e-12 * size * 10).all()


@each_loss
def test_values_grow_and_slopes_point_home_far_beyond_where_the_exponential_overflows(cls, params, power, deviance):
    raw = column([-1e6, -1e3, -100, 100, 1e3, 1e6]).requires_grad_()
    y = column(np.full(6, 2.0))
    value = cls(**params, mean=2.0).row_loss(raw, y)
    value.sum().backward()
    low, high = value.detach()[:3], value.detach()[3:]
    assert value.isfinite().all()
    assert (low.diff() < 0).all()
    assert raw.grad.isfinite().all()
    assert (raw.grad[:3] < 0).all()
    # Beyond power 2 the deviance of a target from ever larger means has a bound, which it reaches in float64.
    assert (high.diff() > 0).all() or power > 2
    assert (high.diff() >= 0).all()
    assert (raw.grad[3:] > 0).all() or power > 2
    assert (raw.grad[3:] >= 0).all()


@settings(deadline=None)
@given(st.floats(1.0, 3.0), st.floats(1e-3, 1e3), st.floats(-5, 5), st.floats(1e-6, 1e6))
def test_the_unit_of_the_targets_makes_no_difference(power, y, raw, unit):
    values = [Tweedie(power, mean=m).row_loss(column(raw), column(y * m)) for m in (1.0, unit)]
    parts = [1.0, y * np.exp((1 - power) * raw), np.exp((2 - power) * raw), y ** (2 - power)]
    assert_close(values[1], values[0], rtol=1e-9, atol=1e-12 * max(parts))


@pytest.mark.parametrize(("power", "cls"), [(1.0, Poisson), (2.0, Gamma)])
@pytest.mark.parametrize("off", [0.0, 1e-12, 1e-9, 1e-6, 1e-4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_tweedie_goes_over_into_poisson_and_gamma(power, cls, off, dtype):
    rng = np.random.default_rng(0)
    y, raw = column(rng.gamma(2.0, 1.0, 50) + 0.1).to(dtype), column(rng.normal(size=50)).to(dtype)
    near = Tweedie(power + (off if power == 1 else -off)).row_loss(raw, y)
    assert_close(near, cls().row_loss(raw, y), rtol=1e-3, atol=1e-3)


@each_loss
def test_the_prediction_is_the_mean_times_the_exponential(cls, params, power, deviance):
    raw = np.linspace(-20, 20, 9)
    read = cls(**params, mean=5.0).predict(column(raw)).numpy()[:, 0]
    np.testing.assert_allclose(read, 5 * np.exp(raw), rtol=1e-12)


@each_loss
def test_the_mean_is_learned_from_the_training_targets(cls, params, power, deviance):
    y, weight = amounts(power)[:, None], np.random.default_rng(3).random(200)
    assert cls(**params).adapt_to(y, ("n",)).mean == pytest.approx(y.mean())
    assert cls(**params).adapt_to(y, ("n",), weight).mean == pytest.approx((y[:, 0] * weight).sum() / weight.sum())
    assert cls(**params, mean=9.0).adapt_to(y, ("n",)).mean == 9.0


def test_a_column_of_zeros_has_the_unit_1():
    loss = Poisson().adapt_to(np.zeros((5, 1)), ("n",))
    assert loss.mean == 1.0
    assert loss.row_loss(torch.zeros(1, 1), torch.zeros(1, 1)) == 1.0


@pytest.mark.parametrize(
    ("loss", "y", "requires", "found"),
    [
        (
            Poisson(),
            [0, -1, -2],
            "'poisson' requires targets of 0 or more",
            "2 values that are negative, the first: -1",
        ),
        (Gamma(), [0, 1, 2], "'gamma' requires positive targets", "1 value that is zero or negative, the first: 0"),
        (Tweedie(), [0, 1, -2], "'tweedie' requires targets of 0 or more", "1 value that is negative, the first: -2"),
        (Tweedie(2), [0, 0], "'tweedie' requires positive targets", "2 values that are zero or negative, the first: 0"),
    ],
    ids=str,
)
def test_targets_outside_the_support_are_refused(loss, y, requires, found):
    message = f"The loss {requires}. Column 'n' has {found}."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        loss.adapt_to(np.array(y, dtype=float)[:, None], ("n",))


@pytest.mark.parametrize("power", [0.5, 3.1, float("nan"), "1.5", None], ids=repr)
def test_a_power_out_of_range_is_refused(power):
    message = f"The 'power' parameter of the loss 'tweedie' must be a number from 1 to 3. Got {power!r} instead."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Tweedie(power)


@pytest.mark.parametrize("cls", [Poisson, Gamma, Tweedie])
@pytest.mark.parametrize("mean", [0, -1.0, float("nan"), "3"], ids=repr)
def test_a_mean_that_is_no_positive_number_is_refused(cls, mean):
    message = (
        f"The 'mean' parameter of the loss {cls.__name__.lower()!r} must be a positive, finite number. "
        f"Got {mean!r} instead."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        cls(mean=mean)


def test_a_count_has_the_probability_spread_and_quantiles_of_scipy():
    raw, y = np.linspace(-3, 4, 60), np.random.default_rng(0).poisson(6.0, 60)
    loss, theirs = Poisson(mean=4.0), stats.poisson(4.0 * np.exp(raw))
    np.testing.assert_allclose(loss.log_likelihood(column(raw), column(y)), theirs.logpmf(y), rtol=1e-9)
    np.testing.assert_allclose(loss.std(column(raw))[:, 0], theirs.std(), rtol=1e-12)
    for i, level in enumerate([0.05, 0.5, 0.9]):
        np.testing.assert_array_equal(loss.quantiles(column(raw), [0.05, 0.5, 0.9])[:, 0, i], theirs.ppf(level))


@each_loss
def test_a_mean_is_positive_whatever_the_network_emits(cls, params, power, deviance):
    raw = torch.tensor([[-1e30], [-1e4], [-200.0], [0.0], [1e38]])
    mean = cls(**params, mean=2.0).predict(raw)
    assert (mean > 0).all()
    assert mean.isfinite().all()
    assert mean[3] == 2.0
