"""Quantiles and expectiles, against scikit-learn and the formulas in float64."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import mean_pinball_loss
from torch.testing import assert_close

from skmulti.losses import Expectile, Quantile, SquaredError

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
each_level = pytest.mark.parametrize("level", [0.01, 0.3, 0.5, 0.9])
rising = st.lists(st.floats(0.01, 0.99), min_size=2, max_size=6, unique=True).map(sorted).map(tuple)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def softplus(x):
    return np.logaddexp(0, x)


def read_by_hand(raw):
    """Return the quantiles of three levels: the middle one as it is, the others a step away from it."""
    return np.stack([raw[:, 1] - softplus(raw[:, 0]), raw[:, 1], raw[:, 1] + softplus(raw[:, 2])], axis=1)


@each_level
def test_expectile_is_the_squared_error_with_one_side_weighed_more(level):
    raw, y = (part.numpy() for part in normal(2, 500, 1))
    d = (y - raw)[:, 0]
    ours = Expectile(level).row_loss(torch.from_numpy(raw), torch.from_numpy(y)).numpy()
    np.testing.assert_allclose(ours, np.abs(level - (d < 0)) * d**2, rtol=1e-12)


def test_expectile_of_a_half_is_half_the_squared_error():
    raw, y = normal(2, 50, 1)
    assert_close(Expectile().row_loss(raw, y), SquaredError().row_loss(raw, y) / 2, rtol=1e-14, atol=0)


@each_level
def test_expectile_is_least_at_the_expectile_of_scipy(level):
    y = normal(1001, 1)
    guesses = torch.linspace(-3, 3, 1201, dtype=torch.float64)
    costs = torch.stack([Expectile(level).row_loss(guess.expand(1001, 1), y).mean() for guess in guesses])
    assert guesses[costs.argmin()].item() == pytest.approx(stats.expectile(y.numpy().ravel(), level), abs=0.005)


@pytest.mark.parametrize("d", [0.0, 1e-30, -1e-30, 1e-8, 1e8, -1e8, 1e100, -1e100])
def test_expectile_has_the_value_and_slope_of_the_formula_at_the_edges(d):
    raw = torch.zeros(1, 1, dtype=torch.float64, requires_grad=True)
    value = Expectile(0.8).row_loss(raw, torch.tensor([[d]], dtype=torch.float64))
    value.sum().backward()
    side = 0.8 if d >= 0 else 0.2
    assert value.item() == pytest.approx(side * d**2, rel=1e-12)
    assert raw.grad.item() == pytest.approx(-2 * side * d, rel=1e-12)


def test_several_levels_cost_the_mean_of_their_pinball_losses():
    raw, y = normal(400, 3), normal(400, 1, seed=1)
    ours = Quantile(level=(0.1, 0.5, 0.8)).row_loss(raw, y).numpy()
    read = read_by_hand(raw.numpy())
    losses = [
        [mean_pinball_loss(y[i].numpy(), read[i, [j]], alpha=level) for j, level in enumerate((0.1, 0.5, 0.8))]
        for i in range(400)
    ]
    np.testing.assert_allclose(ours, np.mean(losses, axis=1), rtol=1e-12)


def test_several_levels_have_the_gradient_of_the_formula():
    loss = Quantile(level=LEVELS)
    assert torch.autograd.gradcheck(loss.row_loss, (normal(9, 5).requires_grad_(), normal(9, 1, seed=1)))


def test_one_level_in_a_list_is_that_level():
    raw, y = normal(2, 30, 1)
    assert_close(Quantile([0.7]).row_loss(raw, y), Quantile(0.7).row_loss(raw, y), rtol=0, atol=0)
    assert_close(Quantile([0.7]).predict(raw), raw, rtol=0, atol=0)
    assert Quantile([0.2, 0.7]) == Quantile((0.2, 0.7))


@settings(deadline=None)
@given(rising, st.lists(st.floats(-1e6, 1e6, width=32), min_size=6, max_size=6), st.booleans())
def test_quantiles_never_cross(levels, raw, single):
    raw = torch.tensor([raw[: len(levels)]], dtype=torch.float32 if single else torch.float64)
    read = Quantile(levels).quantiles(raw, levels)[0, 0]
    assert read.isfinite().all()
    assert (read.diff() >= 0).all()


@settings(deadline=None)
@given(rising, st.integers(0, 99), st.lists(st.floats(0, 1), min_size=2, max_size=2).map(sorted))
def test_quantiles_between_the_levels_are_linear(levels, seed, shares):
    loss, raw = Quantile(levels), normal(7, len(levels), seed=seed)
    known = loss.quantiles(raw, levels)[:, 0].numpy()
    asked = [min(levels[0] + share * (levels[-1] - levels[0]), levels[-1]) for share in shares]
    read = loss.quantiles(raw, asked)[:, 0].numpy()
    expected = np.stack([np.interp(asked, levels, row) for row in known])
    np.testing.assert_allclose(read, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("levels", "middle"), [((0.1, 0.5, 0.9), 0.5), ((0.6, 0.9), 0.6), ((0.1, 0.2), 0.2), ((0.4, 0.8), 0.5)], ids=str
)
def test_the_prediction_is_the_median_or_the_level_nearest_to_it(levels, middle):
    loss, raw = Quantile(levels), normal(9, len(levels))
    assert_close(loss.predict(raw), loss.quantiles(raw, [middle])[..., 0], rtol=0, atol=0)


def test_trained_raw_outputs_end_at_the_quantiles_of_the_targets():
    loss, y = Quantile(LEVELS), normal(1001, 1)
    raw = torch.zeros(1, 5, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([raw], lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        loss.row_loss(raw.expand(1001, 5), y).mean().backward()
        optimizer.step()
    read = loss.quantiles(raw.detach(), LEVELS)[0, 0].numpy()
    np.testing.assert_allclose(read, np.quantile(y.numpy(), LEVELS), atol=0.06)


def test_a_level_outside_those_of_the_loss_is_refused():
    message = (
        "'levels' must lie within those of Quantile(level=(0.25, 0.75)), from 0.25 to 0.75. Got 0.9."
    )  # fmt: skip
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Quantile((0.25, 0.75)).quantiles(normal(1, 2), [0.5, 0.9])


@pytest.mark.parametrize("levels", [(0.5, 0.1), (0.5, 0.5), ()], ids=str)
def test_levels_that_do_not_rise_are_refused(levels):
    message = (
        "The 'level' parameter of the loss 'quantile' must be one level or several in increasing order. "
        f"Got {levels!r} instead."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Quantile(levels)


@pytest.mark.parametrize("bad", [0, 1, -0.5, float("nan"), "0.5", True, None], ids=repr)
@pytest.mark.parametrize(("cls", "name"), [(Quantile, "quantile"), (Expectile, "expectile")])
def test_a_level_that_is_none_is_refused(cls, name, bad):
    message = (
        f"The 'level' parameter of the loss {name!r} must be a number between 0 and 1, both excluded. "
        f"Got {bad!r} instead."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        cls(bad)
