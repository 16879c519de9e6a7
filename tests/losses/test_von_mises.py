"""An angle with its concentration, against SciPy's von Mises distribution."""

import math
import re

import numpy as np
import pytest
import torch
from scipy import stats
from torch.testing import assert_close

from skmulti.losses import Circular, VonMisesNLL

PERIODS = [360.0, 2 * math.pi, 24.0, 1e-3]
each_period = pytest.mark.parametrize("period", PERIODS)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_scipy(raw):
    """Return SciPy's distribution, in radians, of the point that the network emits."""
    return stats.vonmises(np.hypot(raw[..., 0], raw[..., 1]), np.arctan2(raw[..., 1], raw[..., 0]))


@each_period
@pytest.mark.parametrize("size", [1e-3, 1.0, 30.0])
def test_rows_cost_the_negative_log_likelihood_of_scipy_per_users_unit(period, size):
    raw, y = normal(300, 2) * size, normal(300, 1, seed=1) * period
    theirs = by_scipy(raw.numpy()).logpdf(y[:, 0].numpy() * 2 * np.pi / period) - np.log(period / (2 * np.pi))
    loss = VonMisesNLL(period=period)
    np.testing.assert_allclose(loss.row_loss(raw, y), -theirs, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(loss.log_likelihood(raw, y), theirs, rtol=1e-9, atol=1e-9)


@each_period
def test_the_density_sums_to_one_over_a_period(period):
    grid = torch.linspace(0, period, 2001, dtype=torch.float64)[:-1, None]
    for raw in ([0.0, 0.0], [1.0, -2.0], [8.0, 3.0]):
        point = torch.tensor(raw, dtype=torch.float64).expand(2000, 2)
        density = VonMisesNLL(period=period).log_likelihood(point, grid).exp()
        assert density.mean().item() * period == pytest.approx(1.0, rel=1e-9)


@pytest.mark.parametrize("k", [1e-30, 1e-8, 0.1, 5.0, 500.0])
def test_the_gradient_is_the_mean_point_minus_the_target(k):
    # Of an exponential family: by the ratio of Bessel functions that SciPy's exponentially scaled ones give.
    from scipy.special import i0e, i1e

    raw = torch.tensor([[0.6 * k, -0.8 * k]], dtype=torch.float64, requires_grad=True)
    VonMisesNLL(period=2 * math.pi).row_loss(raw, torch.tensor([[1.0]], dtype=torch.float64)).sum().backward()
    expected = i1e(k) / i0e(k) * np.array([0.6, -0.8]) - [math.cos(1.0), math.sin(1.0)]
    np.testing.assert_allclose(raw.grad[0], expected, rtol=1e-9, atol=1e-12)


def test_no_point_at_all_is_the_uniform_distribution():
    raw = torch.zeros(3, 2, dtype=torch.float64, requires_grad=True)
    y = torch.tensor([[0.0], [90.0], [180.0]], dtype=torch.float64)
    value = VonMisesNLL().row_loss(raw, y)
    value.sum().backward()
    assert_close(value, torch.full((3,), math.log(360.0), dtype=torch.float64))
    np.testing.assert_allclose(raw.grad, [[-1, 0], [0, -1], [1, 0]], atol=1e-12)


@each_period
def test_the_spread_is_the_circular_standard_deviation_of_scipy(period):
    raw = normal(200, 2) * 4
    ours = VonMisesNLL(period=period).std(raw)[:, 0].numpy() * 2 * np.pi / period
    draws = stats.vonmises(np.hypot(*raw[0].numpy())).rvs(100_000, random_state=0)
    assert ours[0] == pytest.approx(stats.circstd(draws), rel=0.02)
    grid = np.linspace(-np.pi, np.pi, 4001)[:-1]
    density = by_scipy(raw.numpy()[:, None]).pdf(grid)
    length = np.abs((density * np.exp(1j * grid)).mean(1) * 2 * np.pi)
    np.testing.assert_allclose(ours, np.sqrt(-2 * np.log(length)), rtol=1e-6)


@each_period
def test_quantiles_are_those_of_scipy_round_the_prediction(period):
    raw, levels = normal(50, 2) * 5, [0.05, 0.3, 0.5, 0.95]
    loss = VonMisesNLL(period=period, low=-period / 2)
    read = loss.quantiles(raw, levels)[:, 0].numpy()
    theirs = by_scipy(raw.numpy()[:, None]).ppf(levels) * period / (2 * np.pi)
    np.testing.assert_allclose(read, theirs, rtol=1e-7, atol=1e-7 * period)
    np.testing.assert_allclose(read[:, 2], loss.predict(raw)[:, 0], rtol=1e-7, atol=1e-7 * period)
    assert (np.diff(read, axis=1) > 0).all()


def test_it_is_read_and_measured_as_the_circular_loss_is():
    raw = normal(50, 2)
    y = normal(2, 50, 1).numpy() * 400
    for params in ({}, {"low": -180.0}, {"period": 24.0}, {"period": 24.0, "low": 3.0}):
        assert_close(VonMisesNLL(**params).predict(raw), Circular(**params).predict(raw), rtol=0, atol=0)
        difference = VonMisesNLL(**params).difference(*y)
        np.testing.assert_array_equal(difference, Circular(**params).difference(*y))
        assert (np.abs(difference) <= params.get("period", 360.0) / 2).all()
    names = ("angle",)
    assert VonMisesNLL().adapt_to(np.array([[-3.0], [5.0]]), names).low == -180.0
    assert VonMisesNLL().adapt_to(np.array([[3.0], [5.0]]), names).low == 0.0
    assert VonMisesNLL(low=7.0).adapt_to(np.array([[-3.0]]), names).low == 7.0


def test_trained_points_end_at_the_angle_and_the_concentration_that_scipy_fits():
    draws = stats.vonmises(3.0, 1.0).rvs(2000, random_state=1)
    raw = torch.zeros(1, 2, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([raw], max_iter=100)
    y = torch.from_numpy(draws)[:, None]

    def closure():
        optimizer.zero_grad()
        loss = VonMisesNLL(period=2 * math.pi).row_loss(raw.expand(len(y), 2), y).mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    kappa, loc, _ = stats.vonmises.fit(draws, fscale=1)
    raw = raw.detach()
    assert raw.norm().item() == pytest.approx(kappa, rel=1e-4)
    assert math.atan2(raw[0, 1], raw[0, 0]) == pytest.approx(loc, rel=1e-4)


@pytest.mark.parametrize("bad", [0, -1.0, float("inf"), "360", None], ids=repr)
def test_a_period_that_is_no_positive_number_is_refused(bad):
    message = (
        f"The 'period' parameter of the loss 'von_mises_nll' must be a positive, finite number. Got {bad!r} instead."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        VonMisesNLL(period=bad)
