"""Losses of the difference of one raw output and one target."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from skmulti.losses._checks import check_positive
from skmulti.losses.base import DifferenceLoss


@dataclass(frozen=True)
class SquaredError(DifferenceLoss):
    """Squared error, ``(y - p)**2``: the prediction is the mean [1]_.

    Notes
    -----
    Formula: ``(y - p)**2``.

    Prediction: the raw output, the mean.

    Use: the default, for a column with errors of constant variance and no outliers.

    References
    ----------
    .. [1] T. Gneiting, "Making and evaluating point forecasts", JASA 106 (2011), 746-762.

    Examples
    --------
    >>> import torch
    >>> from skmulti.losses import SquaredError
    >>> SquaredError().row_loss(torch.tensor([[1.0], [3.0]]), torch.tensor([[2.0], [0.0]]))
    tensor([1., 9.])
    """

    def row_loss(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return the squared error of each row."""
        return (raw - y).square().squeeze(-1)

    def derivative_(self, difference: Tensor) -> Tensor:
        """Return ``2 (p - y)``."""
        return difference.add_(difference)


@dataclass(frozen=True)
class AbsoluteError(DifferenceLoss):
    """Absolute error, ``|y - p|``: the prediction is the median, robust to outliers [1]_.

    Notes
    -----
    Formula: ``|y - p|``.

    Prediction: the raw output, the median.

    Use: for a column with outliers in its targets, or evaluated by its mean absolute error.

    References
    ----------
    .. [1] T. Gneiting, "Making and evaluating point forecasts", JASA 106 (2011), 746-762.

    Examples
    --------
    >>> import torch
    >>> from skmulti.losses import AbsoluteError
    >>> AbsoluteError().row_loss(torch.tensor([[1.0], [3.0]]), torch.tensor([[2.0], [0.0]]))
    tensor([1., 3.])
    """

    robust_scaling = True

    def row_loss(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return the absolute error of each row."""
        return (raw - y).abs().squeeze(-1)

    def derivative_(self, difference: Tensor) -> Tensor:
        """Return the sign of ``p - y``, 0 where they are equal."""
        return difference.sign_()


@dataclass(frozen=True)
class Huber(DifferenceLoss):
    """Huber's loss: squared near zero, absolute beyond ``delta`` [1]_.

    With ``d = y - p`` it is ``d**2 / 2`` where ``|d| <= delta`` and ``delta * (|d| - delta / 2)`` elsewhere.

    Parameters
    ----------
    delta : float, default=1.0
        The threshold between squared and absolute error, positive. With standardised targets, in units of the
        column's interquartile range divided by 1.349, which is the standard deviation for normally distributed
        targets.

    Raises
    ------
    ValueError
        If `delta` is not a positive number.

    Notes
    -----
    Formula: ``d**2 / 2`` where ``|d| <= delta``, ``delta * (|d| - delta / 2)`` elsewhere, with ``d = y - p``.

    Prediction: the raw output, between the mean (large `delta`) and the median (small `delta`).

    Use: for a few outliers in otherwise well-behaved targets.

    References
    ----------
    .. [1] P. J. Huber, "Robust estimation of a location parameter", Annals of Mathematical Statistics 35
       (1964), 73-101.

    Examples
    --------
    >>> import torch
    >>> from skmulti.losses import Huber
    >>> Huber(delta=1.0).row_loss(torch.tensor([[1.5], [3.0]]), torch.tensor([[2.0], [0.0]]))
    tensor([0.1250, 2.5000])
    """

    delta: float = 1.0

    robust_scaling = True

    def __post_init__(self) -> None:
        check_positive("delta", self.delta, loss="huber")

    def row_loss(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return Huber's loss of each row."""
        return F.huber_loss(raw, y, reduction="none", delta=self.delta).squeeze(-1)

    def derivative_(self, difference: Tensor) -> Tensor:
        """Return ``p - y``, clipped to ``[-delta, delta]``."""
        return difference.clamp_(-self.delta, self.delta)


@dataclass(frozen=True)
class SmoothL1(DifferenceLoss):
    """Smooth L1 loss: absolute error, squared within ``beta`` of zero [1]_.

    With ``d = y - p`` it is ``d**2 / (2 * beta)`` where ``|d| < beta`` and ``|d| - beta / 2`` elsewhere: Huber's
    loss divided by ``beta``.

    Parameters
    ----------
    beta : float, default=1.0
        The threshold between squared and absolute error, positive. With standardised targets, in units of the column's
        interquartile range divided by 1.349, which is the standard deviation where targets are normally distributed.

    Raises
    ------
    ValueError
        If `beta` is not a positive number.

    Notes
    -----
    Formula: ``d**2 / (2 * beta)`` where ``|d| < beta``, ``|d| - beta / 2`` elsewhere, with ``d = y - p``.

    Prediction: the raw output, between the mean (large `beta`) and the median (small `beta`).

    Use: as `Huber`, where the loss of large errors should not scale with the threshold.

    References
    ----------
    .. [1] R. Girshick, "Fast R-CNN", ICCV 2015, equation 3.

    Examples
    --------
    >>> import torch
    >>> from skmulti.losses import SmoothL1
    >>> SmoothL1(beta=2.0).row_loss(torch.tensor([[1.0], [3.0]]), torch.tensor([[2.0], [0.0]]))
    tensor([0.2500, 2.0000])
    """

    beta: float = 1.0

    robust_scaling = True

    def __post_init__(self) -> None:
        check_positive("beta", self.beta, loss="smooth_l1")

    def row_loss(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return the smooth L1 loss of each row."""
        return F.smooth_l1_loss(raw, y, reduction="none", beta=self.beta).squeeze(-1)

    def derivative_(self, difference: Tensor) -> Tensor:
        """Return ``(p - y) / beta``, clipped to ``[-1, 1]``."""
        return difference.div_(self.beta).clamp_(-1.0, 1.0)


@dataclass(frozen=True)
class LogCosh(DifferenceLoss):
    """Logarithm of the hyperbolic cosine, ``log(cosh(y - p))``: smooth everywhere, absolute far away [1]_.

    Computed as ``|d| + softplus(-2 |d|) - log(2)``, which neither overflows nor loses precision far from zero.

    Notes
    -----
    Formula: ``log(cosh(y - p))``.

    Prediction: the raw output, between the mean and the median.

    Use: as `Huber` with `delta` of about 1, without a parameter and smooth everywhere.

    References
    ----------
    .. [1] R. A. Saleh and A. K. M. E. Saleh, "Statistical properties of the log-cosh loss function used in machine
       learning", arXiv:2208.04564.

    Examples
    --------
    >>> import torch
    >>> from skmulti.losses import LogCosh
    >>> LogCosh().row_loss(torch.tensor([[1.0], [300.0]]), torch.tensor([[1.0], [0.0]]))
    tensor([  0.0000, 299.3069])
    """

    robust_scaling = True

    def row_loss(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return the log-cosh loss of each row."""
        d = raw - y
        far = d.abs()
        # log1p keeps precision where cosh is close to one: log(cosh(d)) = log1p(2 sinh(d / 2)^2).
        near = torch.log1p(2 * torch.sinh(d.clamp(-1.0, 1.0) / 2).square())
        value = torch.where(far < 1.0, near, far + F.softplus(-2 * far) - _LOG_2)
        return value.squeeze(-1)

    def derivative_(self, difference: Tensor) -> Tensor:
        """Return ``tanh(p - y)``."""
        return difference.tanh_()


_LOG_2 = 0.6931471805599453
