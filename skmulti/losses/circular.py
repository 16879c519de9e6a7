"""Losses of angles and other periodic targets."""

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

from skmulti._checks import warn
from skmulti.losses._checks import check_finite_or_none, check_positive
from skmulti.losses.base import ColumnLoss, mean_over_members
from skmulti.metrics import circular_score

# Periods of a direction and of an undirected line, in radians.
_CIRCLES_IN_RADIANS = (2 * math.pi, math.pi)
# Radians rarely span five turns, while degrees do so from 31 degrees on.
_MANY_PERIODS = 5.0


class DirectionLoss(ColumnLoss):
    """A loss of one angle, predicted as the direction of a point in the plane that the network emits."""

    target_scaling = None
    period: float
    low: float | None
    _name: ClassVar[str]

    def __post_init__(self) -> None:
        check_positive("period", self.period, loss=self._name)
        check_finite_or_none("low", self.low, loss=self._name)

    def n_raw(self, n_columns: int) -> int:
        """Return 2: the coordinates of a point."""
        return 2

    def adapt_to(self, y: np.ndarray, names: tuple[str, ...], sample_weight: np.ndarray | None = None) -> Any:
        """Choose the range of the predictions from the sign of the training targets."""
        if any(math.isclose(self.period, circle, rel_tol=1e-3) for circle in _CIRCLES_IN_RADIANS) and (
            np.ptp(y) > _MANY_PERIODS * self.period and np.abs(y).max() <= 360
        ):
            warn(
                f"The angles of the column {names[0]!r} look like degrees: they span {np.ptp(y) / self.period:.0f} "
                f"periods of {self.period:g}, the period of its loss. If they are, use period=360 (180 for lines). If "
                "they are radians, pass them modulo the period to avoid this warning."
            )
        if self.period == 360 and 5.5 < np.ptp(y) <= 2 * math.pi + 1e-6 and np.abs(y).max() <= 2 * math.pi + 1e-6:
            warn(
                f"The angles of the column {names[0]!r} look like radians, and the period of its loss is 360. If they "
                "are, use a loss with period=2 * math.pi."
            )
        if self.low is not None:
            return self
        return dataclasses.replace(self, low=-self.period / 2 if y.min() < 0 else 0.0)  # type: ignore[type-var]

    def encode(self, y: Tensor) -> Tensor:
        """Return angles modulo the period, so that a time stamp keeps its seconds in single precision."""
        return y.remainder(self.period)

    def unit_circle(self, y: Tensor) -> Tensor:
        """Return the targets' points on the unit circle, shape (..., 2)."""
        angle = y * (2 * math.pi / self.period)
        return torch.cat([angle.cos(), angle.sin()], dim=-1)

    def predict(self, raw: Tensor) -> Tensor:
        """Return the direction of the point, in the user's unit."""
        turn = torch.atan2(raw[..., 1:].double(), raw[..., :1].double()) * (self.period / (2 * math.pi))
        low = self.low or 0.0
        wrapped = low + torch.remainder(turn - low, self.period)
        # An angle just below `low` is rounded to `low + period`, which is outside the half-open range.
        return torch.where(wrapped >= low + self.period, low, wrapped)

    def mean_prediction(self, predictions: Tensor) -> Tensor:
        """Return the mean direction: that of the mean of the points on the unit circle [1]_.

        References
        ----------
        .. [1] K. V. Mardia and P. E. Jupp, "Directional Statistics", Wiley 2000, section 2.2.1.
        """
        return self.predict(mean_over_members(self.unit_circle(predictions)))

    def score(self, y: np.ndarray, y_pred: np.ndarray, sample_weight: np.ndarray | None = None) -> float:
        """Return the score of angles on the scale of R2, see `skmulti.metrics.circular_score`."""
        period = float(self.period)
        return float(circular_score(y, y_pred, period=period, sample_weight=sample_weight, multioutput="raw_values")[0])

    def difference(self, y: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return the signed circular difference of targets and predictions, between minus and plus half a period."""
        half = self.period / 2
        return np.asarray(np.mod(y - y_pred + half, self.period) - half)


@dataclass(frozen=True)
class Circular(DirectionLoss):
    """An angle: 359 degrees and 1 degree are 2 degrees apart.

    The network emits a point ``p`` of the plane, the loss is its squared distance to the target's point on the
    unit circle, ``|p - (cos t, sin t)|**2`` with ``t = 2 pi y / period``, and the prediction is the direction of
    ``p`` [1]_. The loss is smooth everywhere, has no jump at the end of the period, and its minimum for a
    column that does not depend on the inputs is 1, like that of a squared error of standardised targets.

    Parameters
    ----------
    period : float, default=360.0
        The period of the angle, in the user's unit: 360 for degrees, ``2 * math.pi`` for radians, 24 for
        hours, 180 for the direction of a line.
    low : float or None, default=None
        Predictions are in ``[low, low + period)``. None means 0, or ``-period / 2`` if a training target is
        negative.

    Raises
    ------
    ValueError
        If `period` is not a positive number, or `low` not a finite one.

    Notes
    -----
    Formula: ``|p - (cos t, sin t)|**2`` with ``t = 2 pi y / period``.

    Prediction: the direction of the point ``p``, from `low` to ``low + period``.

    Use: for a periodic quantity: an angle, a direction, an hour, a season.

    References
    ----------
    .. [1] K. V. Mardia and P. E. Jupp, "Directional Statistics", Wiley 2000, section 2.2: the mean direction.

    Examples
    --------
    >>> import torch
    >>> from skmulti.losses import Circular
    >>> loss = Circular(period=360.0, low=0.0)
    >>> loss.predict(torch.tensor([[0.0, 1.0], [0.0, -2.0]]))
    tensor([[ 90.],
            [270.]], dtype=torch.float64)
    """

    period: float = 360.0
    low: float | None = None

    _name = "circular"

    def row_loss(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return the squared distance to the target's point on the unit circle."""
        return (raw - self.unit_circle(y)).square().sum(-1)

    def raw_gradient(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return twice the difference of the raw point and the target's point."""
        return (raw - self.unit_circle(y)).mul_(2.0)


@dataclass(frozen=True)
class VonMisesNLL(DirectionLoss):
    """Negative log likelihood of a von Mises distribution: the mean angle and the concentration [1]_.

    The network emits the natural parameter, a point ``p`` of the plane: its direction is the mean angle, its
    length the concentration ``k``. The loss is ``log(2 pi I0(k)) - p . (cos t, sin t)`` with ``t = 2 pi y / period``,
    plus ``log(period / (2 pi))`` for a density in the user's unit; it is convex in ``p`` and smooth everywhere.

    Parameters
    ----------
    period : float, default=360.0
        The period of the angle, in the user's unit.
    low : float or None, default=None
        Predictions are in ``[low, low + period)``. None means 0, or ``-period / 2`` if a training target is
        negative.

    Raises
    ------
    ValueError
        If `period` is not a positive number, or `low` not a finite one.

    Notes
    -----
    Formula: ``log(2 pi I0(|p|)) - p . (cos t, sin t) + log(period / (2 pi))`` with ``t = 2 pi y / period``.

    Prediction: the direction of the point ``p``, from `low` to ``low + period``; its length is the concentration.

    Use: for an angle whose uncertainty is needed too.

    References
    ----------
    .. [1] K. V. Mardia and P. E. Jupp, "Directional Statistics", Wiley 2000, section 3.5.4.

    Examples
    --------
    >>> import torch
    >>> from skmulti.losses import VonMisesNLL
    >>> VonMisesNLL(low=0.0).predict(torch.tensor([[0.0, 5.0]]))
    tensor([[90.]], dtype=torch.float64)
    """

    period: float = 360.0
    low: float | None = None

    _name = "von_mises_nll"

    def row_loss(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return the negative log likelihood of each row."""
        return -self.log_likelihood(raw, y)

    def log_likelihood(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return the logarithm of the density in the user's unit."""
        k = _length(raw)
        log_i0 = torch.special.i0e(k).log() + k
        return (raw * self.unit_circle(y)).sum(-1) - log_i0 - math.log(self.period)

    def std(self, raw: Tensor) -> Tensor:
        """Return the circular standard deviation, ``sqrt(-2 log(I1(k) / I0(k)))``, in the user's unit."""
        k = _length(raw).unsqueeze(-1)
        length = torch.special.i1e(k) / torch.special.i0e(k)
        return (-2 * length.log()).clamp(min=0).sqrt() * (self.period / (2 * math.pi))

    def quantiles(self, raw: Tensor, levels: Sequence[float]) -> Tensor:
        """Return quantiles around the prediction, not wrapped, so that they increase with the level."""
        k = _length(raw).unsqueeze(-1).double().cpu().numpy()
        turn = _von_mises_quantiles(np.asarray(levels), k) * (self.period / (2 * math.pi))
        return (self.predict(raw) + torch.as_tensor(turn, device=raw.device)).unsqueeze(-2)


def _length(raw: Tensor) -> Tensor:
    """Return the length of each point, with a finite gradient at zero."""
    return (raw.square().sum(-1) + torch.finfo(raw.dtype).tiny ** 0.5).sqrt()


def _von_mises_quantiles(levels: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Return quantiles around 0 by vectorised bisection; SciPy's `ppf` iterates over them in Python."""
    shape = np.broadcast_shapes(levels.shape, k.shape)
    low, high = np.full(shape, -math.pi), np.full(shape, math.pi)
    for _ in range(np.finfo(np.float64).nmant):
        middle = (low + high) / 2
        below = stats.vonmises.cdf(middle, k) < levels
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray((low + high) / 2)
