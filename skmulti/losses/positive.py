"""Losses of non-negative targets with a logarithmic link: counts, durations, amounts."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from skmulti.losses._checks import check_interval, check_positive, refuse_targets
from skmulti.losses.base import ColumnLoss

# Above this the exponential is continued linearly to avoid overflow: e^30 is 10^13 times the mean.
_LARGEST = 30.0
# The same for negative exponents down to -2: e^40 is far from overflow.
_LEAST = -20.0
# Keeps predictions positive: the smallest is e^-60, 10^-26 times the mean.
_LEAST_MEAN = -60.0
# Keeps the linear part finite: e^30 times this is 10^33.
_LARGEST_RAW = 1e20


def exponential(raw: Tensor) -> Tensor:
    """Return e to the power of ``raw``, continued linearly above 30, constant below -60 and above 10^20."""
    return raw.clamp(min=_LEAST_MEAN, max=_LARGEST).exp() * (1 + (raw - _LARGEST).clamp(min=0, max=_LARGEST_RAW))


def growth(log: Tensor, rate: float) -> Tensor:
    """Return ``(e**(rate * log) - 1) / rate``, the logarithm itself at rate 0, continued linearly at extremes."""
    if rate == 0:
        return log
    # All rates of one sign become linear at the same logarithm, so that the sign of their difference is kept.
    inside = log.clamp(max=_LARGEST) if rate > 0 else log.clamp(min=_LEAST)
    return (rate * inside).expm1() / rate + (rate * inside).exp() * (log - inside)


class Deviance(ColumnLoss):
    """Half the Tweedie deviance with a logarithmic link, with the `power` and in units of the `mean` of a subclass."""

    target_scaling = None
    power: float
    mean: float | None
    _name: ClassVar[str]

    def __post_init__(self) -> None:
        if self.mean is not None:
            check_positive("mean", self.mean, loss=self._name)

    def adapt_to(self, y: np.ndarray, names: tuple[str, ...], sample_weight: np.ndarray | None = None) -> Any:
        """Return the loss with the mean of the targets; raise a ValueError for targets outside the support."""
        if self.power < 2:
            refuse_targets(y < 0, y, names, loss=self._name, requires="targets of 0 or more", are="negative")
        else:
            refuse_targets(y <= 0, y, names, loss=self._name, requires="positive targets", are="zero or negative")
        if self.mean is not None:
            return self
        return dataclasses.replace(self, mean=float(np.average(y[:, 0], weights=sample_weight)) or 1.0)  # type: ignore[type-var]

    def row_loss(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return half the deviance of each row, in units of the mean."""
        y, raw, p = y[..., 0] / (self.mean or 1.0), raw[..., 0], self.power
        log_y = torch.where(y > 0, y, 1).log()
        # Differences of `growth` stay precise for powers near 1 or 2, and give the limits at 1 and 2.
        at_y = growth(log_y, 2 - p) - y * growth(log_y, 1 - p)
        if p < 2:
            at_y = torch.where(y > 0, at_y, -1 / (2 - p))
        return growth(raw, 2 - p) - y * growth(raw, 1 - p) - at_y

    def predict(self, raw: Tensor) -> Tensor:
        """Return the mean."""
        return (self.mean or 1.0) * exponential(raw)


@dataclass(frozen=True)
class Tweedie(Deviance):
    """Half the Tweedie deviance with a logarithmic link: non-negative amounts with many zeros [1]_.

    The prediction is ``m = mean * exp(raw)``, and the loss ``y**(2 - p) / ((1 - p) (2 - p)) - y m**(1 - p) / (1 - p)
    + m**(2 - p) / (2 - p)``, divided by ``mean**(2 - p)`` so that it does not depend on the unit of the targets.
    Targets are not standardised.

    Parameters
    ----------
    power : float, default=1.5
        The power ``p`` of the mean to which the variance is proportional, from 1 (a count) to 3; 2 is a
        gamma distribution, 3 an inverse Gaussian one.
    mean : float or None, default=None
        The unit of the targets. None means the mean of the training targets.

    Raises
    ------
    ValueError
        If `power` is not a number from 1 to 3, or `mean` not a positive one; in `fit` if a target is negative, or
        zero where `power` is 2 or more.

    Notes
    -----
    Formula: ``y**(2 - p) / ((1 - p) (2 - p)) - y m**(1 - p) / (1 - p) + m**(2 - p) / (2 - p)`` with ``m = mean *
    exp(raw)``, divided by ``mean**(2 - p)``.

    Prediction: the mean ``m``, positive.

    Use: for amounts that are often exactly zero, such as rain or claims (`power` between 1 and 2).

    References
    ----------
    .. [1] B. Jorgensen, "Exponential dispersion models", Journal of the Royal Statistical Society B 49 (1987),
       127-162.

    Examples
    --------
    >>> import torch
    >>> from skmulti.losses import Tweedie
    >>> Tweedie(power=1.5).row_loss(torch.tensor([[0.0]]), torch.tensor([[1.0]]))
    tensor([0.])
    """

    power: float = 1.5
    mean: float | None = None

    _name = "tweedie"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_interval("power", self.power, 1.0, 3.0, loss=self._name)


@dataclass(frozen=True)
class Poisson(Deviance):
    """Half the Poisson deviance with a logarithmic link: counts [1]_.

    The prediction is ``m = mean * exp(raw)``, and the loss ``y log(y / m) - y + m``, divided by ``mean``. Targets
    are not standardised.

    Parameters
    ----------
    mean : float or None, default=None
        The unit of the targets. None means the mean of the training targets.

    Raises
    ------
    ValueError
        If `mean` is not a positive number; in `fit` if a target is negative.

    Notes
    -----
    Formula: ``(y log(y / m) - y + m) / mean`` with ``m = mean * exp(raw)``.

    Prediction: the mean ``m``, positive.

    Use: for counts, such as events per hour.

    References
    ----------
    .. [1] P. McCullagh and J. A. Nelder, "Generalized Linear Models", Chapman and Hall 1989, chapter 6.

    Examples
    --------
    >>> import torch
    >>> from skmulti.losses import Poisson
    >>> Poisson().row_loss(torch.tensor([[0.0], [0.0]]), torch.tensor([[1.0], [0.0]]))
    tensor([0., 1.])
    """

    mean: float | None = None

    power = 1.0
    _name = "poisson"

    def raw_gradient(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return prediction minus target, in units of the mean."""
        return raw.clamp(max=_LARGEST).exp_().sub_(y / (self.mean or 1.0))

    def std(self, raw: Tensor) -> Tensor:
        """Return the standard deviation, the square root of the mean."""
        return self.predict(raw).sqrt()

    def quantiles(self, raw: Tensor, levels: Sequence[float]) -> Tensor:
        """Return quantiles of each row's Poisson distribution, which are integers."""
        mean = self.predict(raw).unsqueeze(-1).double().cpu().numpy()
        return torch.as_tensor(stats.poisson.ppf(np.asarray(levels), mean), dtype=raw.dtype, device=raw.device)

    def log_likelihood(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return the logarithm of the probability of each row's count."""
        y = y[..., 0]
        log_mean = raw[..., 0] + math.log(self.mean or 1.0)
        return y * log_mean - self.predict(raw)[..., 0] - torch.lgamma(y + 1)


@dataclass(frozen=True)
class Gamma(Deviance):
    """Half the gamma deviance with a logarithmic link: positive amounts with constant relative spread [1]_.

    The prediction is ``m = mean * exp(raw)``, and the loss ``log(m / y) + y / m - 1``. Targets are not
    standardised.

    Parameters
    ----------
    mean : float or None, default=None
        The unit of the targets. None means the mean of the training targets.

    Raises
    ------
    ValueError
        If `mean` is not a positive number; in `fit` if a target is zero or negative.

    Notes
    -----
    Formula: ``log(m / y) + y / m - 1`` with ``m = mean * exp(raw)``.

    Prediction: the mean ``m``, positive.

    Use: for positive amounts and durations whose standard deviation grows with their mean.

    References
    ----------
    .. [1] P. McCullagh and J. A. Nelder, "Generalized Linear Models", Chapman and Hall 1989, chapter 8.

    Examples
    --------
    >>> import torch
    >>> from skmulti.losses import Gamma
    >>> Gamma().row_loss(torch.tensor([[0.0]]), torch.tensor([[1.0]]))
    tensor([0.])
    """

    mean: float | None = None

    power = 2.0
    _name = "gamma"
