"""Distributions, against torch.distributions and SciPy with the same spread."""

import math
import re

import numpy as np
import pytest
import torch
from scipy import stats
from torch import distributions
from torch.testing import assert_close

from skmulti.losses import GaussianNLL, LaplaceNLL, MultivariateGaussianNLL, SquaredError, StudentTNLL

SHIFT = math.log(math.e - 1)


def spread(raw):
    """Return the spread that the docstring of `GaussianNLL` gives, by NumPy."""
    return np.logaddexp(0, np.asarray(raw) + SHIFT) + 0.001


# (loss, torch's distribution of location and scale, SciPy's, the standard deviation of scale 1)
CASES = [
    (GaussianNLL(), distributions.Normal, stats.norm, 1.0),
    (LaplaceNLL(), distributions.Laplace, stats.laplace, math.sqrt(2)),
    (StudentTNLL(), lambda m, s: distributions.StudentT(4.0, m, s), stats.t(4.0), math.sqrt(2)),
    (StudentTNLL(df=2.1), lambda m, s: distributions.StudentT(2.1, m, s), stats.t(2.1), math.sqrt(21)),
    (StudentTNLL(df=1000.0), lambda m, s: distributions.StudentT(1000.0, m, s), stats.t(1000.0), math.sqrt(1000 / 998)),
]
each_case = pytest.mark.parametrize(("loss", "by_torch", "by_scipy", "std"), CASES, ids=[repr(c[0]) for c in CASES])


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@each_case
def test_rows_cost_the_negative_log_likelihood_of_torch(loss, by_torch, by_scipy, std):
    raw, y = normal(300, 2) * 3, normal(300, 1, seed=1) * 5
    theirs = by_torch(raw[:, 0], torch.from_numpy(spread(raw[:, 1]))).log_prob(y[:, 0])
    assert_close(loss.row_loss(raw, y), -theirs, rtol=1e-10, atol=1e-12)
    assert_close(loss.log_likelihood(raw, y), theirs, rtol=1e-10, atol=1e-12)


@each_case
@pytest.mark.parametrize("d", [0.0, 1e-30, 1e-8, 1e3, 1e12, 1e40])
@pytest.mark.parametrize("scale", [-1e6, -20.0, 0.0, 20.0, 1e6])
def test_edges_have_the_value_and_the_gradient_of_torch(loss, by_torch, by_scipy, std, d, scale):
    raw = torch.tensor([[0.0, scale]], dtype=torch.float64, requires_grad=True)
    mine = loss.row_loss(raw, torch.tensor([[d]], dtype=torch.float64))
    theirs = -by_torch(raw[:, 0], torch.nn.functional.softplus(raw[:, 1] + SHIFT) + 0.001).log_prob(
        torch.tensor([d], dtype=torch.float64)
    )
    assert_close(mine, theirs, rtol=1e-9, atol=1e-9)
    gradients = [torch.autograd.grad(value.sum(), raw)[0] for value in (mine, theirs)]
    assert gradients[0].isfinite().all()
    assert_close(gradients[0], gradients[1], rtol=1e-9, atol=1e-9)


@each_case
def test_the_spread_and_the_quantiles_are_those_of_scipy(loss, by_torch, by_scipy, std):
    raw = normal(40, 2) * 2
    levels = [0.001, 0.05, 0.5, 0.8, 0.999]
    m, s = raw[:, :1].numpy(), spread(raw[:, 1:])
    np.testing.assert_allclose(loss.quantiles(raw, levels)[:, 0], m + s * by_scipy.ppf(levels), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(loss.std(raw), s * std, rtol=1e-9)
    np.testing.assert_allclose(loss.std(raw), s * by_scipy.std(), rtol=1e-9)
    assert_close(loss.predict(raw), raw[:, :1], rtol=0, atol=0)
    assert loss.n_raw(1) == 2


def test_beta_multiplies_each_row_by_a_power_of_its_variance_without_a_gradient():
    raw, y = normal(50, 2).requires_grad_(), normal(50, 1, seed=1)
    for beta in (0.25, 0.5, 1.0):
        ours = GaussianNLL(beta=beta).row_loss(raw, y)
        factor = torch.from_numpy(spread(raw[:, 1].detach()) ** (2 * beta))
        assert_close(ours, GaussianNLL().row_loss(raw, y) * factor)
        by_raw = torch.autograd.grad(ours.sum(), raw, retain_graph=True)[0]
        theirs = torch.autograd.grad((GaussianNLL().row_loss(raw, y) * factor).sum(), raw)[0]
        assert_close(by_raw, theirs)


def test_beta_1_learns_the_mean_as_half_a_squared_error_does():
    raw, y = normal(50, 2).requires_grad_(), normal(50, 1, seed=1)
    ours = torch.autograd.grad(GaussianNLL(beta=1.0).row_loss(raw, y).sum(), raw)[0][:, :1]
    theirs = torch.autograd.grad(SquaredError().row_loss(raw[:, :1], y).sum(), raw)[0][:, :1] / 2
    assert_close(ours, theirs)


def test_beta_does_not_change_the_likelihood_itself():
    raw, y = normal(50, 2), normal(50, 1, seed=1)
    assert_close(GaussianNLL(beta=0.5).log_likelihood(raw, y), GaussianNLL().log_likelihood(raw, y), rtol=0, atol=0)


def triangle(raw, k):
    """Return means and the Cholesky factor of the precision, entry by entry."""
    factor = np.zeros((len(raw), k, k))
    entries = iter(range(2 * k, raw.shape[1]))
    for i in range(k):
        factor[:, i, i] = spread(raw[:, k + i])
        for j in range(i):
            factor[:, i, j] = raw[:, next(entries)]
    return raw[:, :k], factor


@pytest.mark.parametrize("k", [1, 2, 3, 5, 9])
def test_a_group_costs_the_negative_log_likelihood_of_torch(k):
    loss = MultivariateGaussianNLL()
    raw, y = normal(30, loss.n_raw(k)), normal(30, k, seed=1)
    mean, factor = triangle(raw.numpy(), k)
    precision = torch.from_numpy(factor @ factor.transpose(0, 2, 1))
    theirs = distributions.MultivariateNormal(torch.from_numpy(mean), precision_matrix=precision)
    assert loss.n_raw(k) == raw.shape[1] == k + k * (k + 1) // 2
    assert_close(loss.row_loss(raw, y), -theirs.log_prob(y), rtol=1e-7, atol=1e-7)
    assert_close(loss.covariance(raw), theirs.covariance_matrix, rtol=1e-6, atol=1e-9)
    assert_close(loss.predict(raw), theirs.mean, rtol=0, atol=0)
    assert_close(loss.std(raw), theirs.variance.sqrt(), rtol=1e-6, atol=1e-9)
    levels = [0.1, 0.5, 0.95]
    marginal = distributions.Normal(theirs.mean.unsqueeze(-1), theirs.variance.sqrt().unsqueeze(-1))
    expected = marginal.icdf(torch.tensor(levels, dtype=torch.float64))
    assert_close(loss.quantiles(raw, levels), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("k", [1, 3])
def test_a_group_has_the_gradient_of_torch(k):
    loss = MultivariateGaussianNLL()
    raw, y = normal(6, loss.n_raw(k)).requires_grad_(), normal(6, k, seed=1)
    assert torch.autograd.gradcheck(loss.row_loss, (raw, y))


def test_a_group_of_one_is_a_gaussian_in_its_precision():
    raw, y = normal(30, 2), normal(30, 1, seed=1)
    theirs = stats.norm(raw[:, 0], 1 / spread(raw[:, 1])).logpdf(y[:, 0])
    np.testing.assert_allclose(MultivariateGaussianNLL().log_likelihood(raw, y), theirs, rtol=1e-10)


def test_columns_without_correlation_cost_the_sum_of_what_each_costs():
    loss, raw, y = MultivariateGaussianNLL(), normal(30, 9), normal(30, 3, seed=1)
    raw[:, 6:] = 0
    alone = [loss.row_loss(raw[:, [i, 3 + i]], y[:, [i]]) for i in range(3)]
    assert_close(loss.row_loss(raw, y), sum(alone))


@pytest.mark.parametrize(
    ("cls", "parameter", "name", "low", "high", "bad"),
    [
        *[(GaussianNLL, "beta", "gaussian_nll", 0, 1, bad) for bad in (-0.1, 1.1, float("nan"), "0", None)],
        *[(StudentTNLL, "df", "student_t_nll", 2.1, 1000, bad) for bad in (2.0, 1001, float("inf"), "4")],
    ],
)
def test_a_parameter_out_of_range_is_refused(cls, parameter, name, low, high, bad):
    message = (
        f"The {parameter!r} parameter of the loss {name!r} must be a number from {low} to {high}. Got {bad!r} instead."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        cls(**{parameter: bad})
