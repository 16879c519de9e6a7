"""Negative log likelihoods of distributions whose parameters are the raw outputs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy import stats
from torch import Tensor

from skmulti.losses._checks import check_interval
from skmulti.losses.base import ColumnLoss

# A raw output of 0 means a scale of 1 in standardised targets: softplus(log(e - 1)) = 1.
_SHIFT = math.log(math.e - 1)
# The smallest scale, in units of the standardised column: without it the likelihood of a constant has no upper bound.
_LEAST_SPREAD = 1e-3


def spread(raw: Tensor) -> Tensor:
    """Return a positive scale from any raw output: 1.001 at 0, asymptotically linear."""
    return F.softplus(raw + _SHIFT) + _LEAST_SPREAD


class LikelihoodLoss(ColumnLoss):
    """A loss that is a negative log likelihood."""

    def row_loss(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return the negative log likelihood of each row."""
        return -self.log_likelihood(raw, y)


class LocationScaleLoss(LikelihoodLoss):
    """A loss of one column with two raw outputs: the location, and the scale before `spread`."""

    def n_raw(self, n_columns: int) -> int:
        """Return 2: location and scale."""
        return 2

    def predict(self, raw: Tensor) -> Tensor:
        """Return the location."""
        return raw[..., :1]

    def quantiles(self, raw: Tensor, levels: Sequence[float]) -> Tensor:
        """Return quantiles of each row's distribution."""
        units = torch.as_tensor(self._standard_quantiles(np.asarray(levels)), dtype=raw.dtype, device=raw.device)
        return (raw[..., :1] + spread(raw[..., 1:]) * units).unsqueeze(-2)

    def _standard_quantiles(self, levels: np.ndarray) -> np.ndarray:
        """Return the quantiles of the distribution with location 0 and scale 1."""
        raise NotImplementedError


@dataclass(frozen=True)
class GaussianNLL(LocationScaleLoss):
    """Negative log likelihood of a Gaussian whose mean and standard deviation the network emits [1]_.

    ``log(s) + (y - m)**2 / (2 s**2) + log(2 pi) / 2``, with ``s = softplus(raw) + 0.001`` in standard deviations
    of the column.

    Parameters
    ----------
    beta : float, default=0.0
        From 0 to 1: each row's loss is multiplied by ``s**(2 beta)``, held constant for the gradient. 0 is the
        likelihood; with 0.5 rows with large variance keep a gradient for the mean [2]_; with 1 the gradient for the
        mean is that of a squared error.

    Raises
    ------
    ValueError
        If `beta` is not a number from 0 to 1.

    Notes
    -----
    Formula: ``log(s) + (y - m)**2 / (2 s**2) + log(2 pi) / 2`` with ``s = softplus(raw + log(e - 1)) + 0.001``, times
    ``s**(2 beta)`` held constant for the gradient.

    Prediction: the mean ``m``.

    Use: where the noise depends on X and a standard deviation of each prediction is needed; with ``beta=0.5`` where the
    mean is fitted poorly.

    References
    ----------
    .. [1] D. A. Nix and A. S. Weigend, "Estimating the mean and variance of the target probability
       distribution", ICNN 1994.
    .. [2] M. Seitzer, A. Tavakoli, D. Antic and G. Martius, "On the pitfalls of heteroscedastic uncertainty
       estimation with probabilistic neural networks", ICLR 2022, equation 5.

    Examples
    --------
    >>> import torch
    >>> from skmulti.losses import GaussianNLL
    >>> GaussianNLL().std(torch.tensor([[3.0, 0.0]])).round(decimals=3)
    tensor([[1.0010]])
    """

    beta: float = 0.0

    def __post_init__(self) -> None:
        check_interval("beta", self.beta, 0.0, 1.0, loss="gaussian_nll")

    def row_loss(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return the (beta-weighted) negative log likelihood of each row."""
        loss = -self.log_likelihood(raw, y)
        return loss * spread(raw[..., 1]).detach() ** (2 * self.beta) if self.beta else loss

    def raw_gradient(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return the derivatives with respect to the mean, ``-d / s**2``, and to the raw output of the scale."""
        s = spread(raw[..., 1])
        d = (y[..., 0] - raw[..., 0]) / s
        by_mean, by_scale = -d / s, (1 - d.square()) / s * torch.sigmoid(raw[..., 1] + _SHIFT)
        gradient = torch.stack([by_mean, by_scale], dim=-1)
        return gradient * (s ** (2 * self.beta)).unsqueeze(-1) if self.beta else gradient

    def log_likelihood(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return the logarithm of the density."""
        s = spread(raw[..., 1])
        return -s.log() - ((y[..., 0] - raw[..., 0]) / s).square() / 2 - math.log(2 * math.pi) / 2

    def std(self, raw: Tensor) -> Tensor:
        """Return the standard deviation."""
        return spread(raw[..., 1:])

    def _standard_quantiles(self, levels: np.ndarray) -> np.ndarray:
        return np.asarray(stats.norm.ppf(levels))


@dataclass(frozen=True)
class LaplaceNLL(LocationScaleLoss):
    """Negative log likelihood of a Laplace distribution: the median and the scale, with heavy tails [1]_.

    ``log(2 b) + |y - m| / b``, with ``b = softplus(raw) + 0.001`` in units of the column's interquartile range divided
    by 1.349, which is the standard deviation where targets are normally distributed. An outlier affects the
    median little, but increases the scale ``b`` without bound; `StudentTNLL` is more robust.

    Notes
    -----
    Formula: ``log(2 b) + |y - m| / b`` with ``b = softplus(raw + log(e - 1)) + 0.001``.

    Prediction: the median ``m``.

    Use: as `GaussianNLL`, for noise with heavy tails.

    References
    ----------
    .. [1] S. Kotz, T. J. Kozubowski and K. Podgorski, "The Laplace Distribution and Generalizations",
       Birkhauser 2001, chapter 2.

    Examples
    --------
    >>> import torch
    >>> from skmulti.losses import LaplaceNLL
    >>> LaplaceNLL().predict(torch.tensor([[3.0, 0.0]]))
    tensor([[3.]])
    """

    robust_scaling = True

    def log_likelihood(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return the logarithm of the density."""
        b = spread(raw[..., 1])
        return -(2 * b).log() - (y[..., 0] - raw[..., 0]).abs() / b

    def std(self, raw: Tensor) -> Tensor:
        """Return the standard deviation, the scale times the square root of 2."""
        return math.sqrt(2) * spread(raw[..., 1:])

    def _standard_quantiles(self, levels: np.ndarray) -> np.ndarray:
        return np.asarray(stats.laplace.ppf(levels))


@dataclass(frozen=True)
class StudentTNLL(LocationScaleLoss):
    """Negative log likelihood of Student's t distribution: the mean and the scale, robust to outliers [1]_.

    Parameters
    ----------
    df : float, default=4.0
        Degrees of freedom, from 2.1 (heavy tails; the standard deviation is finite above 2) to 1000 (nearly Gaussian).

    Raises
    ------
    ValueError
        If `df` is not a number from 2.1 to 1000.

    Notes
    -----
    Formula: ``-log(t_df((y - m) / s) / s)`` with the density ``t_df`` of Student's t and ``s = softplus(raw + log(e -
    1)) + 0.001``.

    Prediction: the mean ``m``.

    Use: as `GaussianNLL`, for targets with outliers, to which it is the most robust.

    References
    ----------
    .. [1] K. L. Lange, R. J. A. Little and J. M. G. Taylor, "Robust statistical modeling using the t
       distribution", JASA 84 (1989), 881-896.

    Examples
    --------
    >>> import torch
    >>> from skmulti.losses import StudentTNLL
    >>> StudentTNLL(df=4.0).predict(torch.tensor([[3.0, 0.0]]))
    tensor([[3.]])
    """

    df: float = 4.0

    robust_scaling = True

    def __post_init__(self) -> None:
        check_interval("df", self.df, 2.1, 1000.0, loss="student_t_nll")

    def log_likelihood(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return the logarithm of the density."""
        s, df = spread(raw[..., 1]), self.df
        const = math.lgamma((df + 1) / 2) - math.lgamma(df / 2) - math.log(df * math.pi) / 2
        return const - s.log() - (df + 1) / 2 * torch.log1p(((y[..., 0] - raw[..., 0]) / s).square() / df)

    def std(self, raw: Tensor) -> Tensor:
        """Return the standard deviation, the scale times ``sqrt(df / (df - 2))``."""
        return math.sqrt(self.df / (self.df - 2)) * spread(raw[..., 1:])

    def _standard_quantiles(self, levels: np.ndarray) -> np.ndarray:
        return np.asarray(stats.t.ppf(levels, self.df))


@dataclass(frozen=True)
class MultivariateGaussianNLL(LikelihoodLoss):
    """Negative log likelihood of a Gaussian over a group of columns, with a full covariance [1]_.

    The network emits the ``k`` means and a lower triangular matrix ``T`` with a positive diagonal, the Cholesky
    factor of the precision ``T T'``: the loss is ``|T'(y - m)|**2 / 2 - sum(log(diag(T))) + k log(2 pi) / 2``.

    Notes
    -----
    Formula: ``|T'(y - m)|**2 / 2 - sum(log(diag(T))) + k log(2 pi) / 2`` with a lower triangular ``T``.

    Raw outputs: ``k + k (k + 1) / 2``.

    Prediction: the means ``m``.

    Use: for a small group of columns with correlated errors; the number of raw outputs grows with the square of the
    number of columns.

    References
    ----------
    .. [1] P. M. Williams, "Using neural networks to model conditional multivariate densities", Neural
       Computation 8 (1996), 843-854.

    Examples
    --------
    >>> import torch
    >>> from skmulti.losses import MultivariateGaussianNLL
    >>> loss = MultivariateGaussianNLL()
    >>> loss.n_raw(2)
    5
    >>> loss.std(torch.zeros(1, 5)).round(decimals=2)
    tensor([[1., 1.]])
    """

    n_columns = None

    def n_raw(self, n_columns: int) -> int:
        """Return the number of means and of entries of the triangle."""
        return n_columns + n_columns * (n_columns + 1) // 2

    def log_likelihood(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return the logarithm of the density of the group."""
        mean, factor = self._read(raw)
        z = (factor * (y - mean).unsqueeze(-1)).sum(-2)
        log_det = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        return log_det - z.square().sum(-1) / 2 - mean.shape[-1] * math.log(2 * math.pi) / 2

    def predict(self, raw: Tensor) -> Tensor:
        """Return the means."""
        return self._read(raw)[0]

    def covariance(self, raw: Tensor) -> Tensor:
        """Return the covariance matrices, shape (..., k, k)."""
        return self._covariance(raw).to(raw.dtype)

    def std(self, raw: Tensor) -> Tensor:
        """Return the standard deviation of each column."""
        return self._covariance(raw).diagonal(dim1=-2, dim2=-1).sqrt().to(raw.dtype)

    def quantiles(self, raw: Tensor, levels: Sequence[float]) -> Tensor:
        """Return the quantiles of each column's marginal distribution."""
        units = torch.as_tensor(stats.norm.ppf(levels), dtype=raw.dtype, device=raw.device)
        return self.predict(raw).unsqueeze(-1) + self.std(raw).unsqueeze(-1) * units

    def _covariance(self, raw: Tensor) -> Tensor:
        return torch.cholesky_inverse(self._read(raw)[1].double())

    def _read(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        k = int((math.sqrt(9 + 8 * raw.shape[-1]) - 3) / 2 + 0.5)
        mean, triangle = raw[..., :k], raw[..., k:]
        rows, columns = torch.tril_indices(k, k, -1)
        factor = torch.diag_embed(spread(triangle[..., :k]))
        factor[..., rows, columns] = triangle[..., k:]
        return mean, factor
