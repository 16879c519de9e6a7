"""Losses of an angle, which wraps around."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from skmulti.losses._checks import check_positive
from skmulti.losses.base import ColumnLoss


@dataclass(frozen=True)
class Circular(ColumnLoss):
    """An angle: 359 degrees and 1 degree are 2 degrees apart.

    The network emits a point ``p`` of the plane, the loss is its squared distance to the target's point on the
    unit circle, ``|p - (cos t, sin t)|**2`` with ``t = 2 pi y / period``, and the prediction is the direction of
    ``p`` [1]_. The loss is smooth everywhere, has no jump at the end of the period, and is 1 at its best for a
    column about which the inputs say nothing, as a squared error of standardised targets is.

    Parameters
    ----------
    period : float, default=360.0
        Where the angle wraps around, in the user's unit: 360 for degrees, ``2 * math.pi`` for radians, 24 for
        hours, 180 for the direction of a line.
    low : float or None, default=None
        Predictions lie in ``[low, low + period)``. None takes 0, or ``-period / 2`` where a training target is
        negative.

    Raises
    ------
    ValueError
        If `period` is not a positive number.

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

    target_scaling = None

    def __post_init__(self) -> None:
        check_positive("period", self.period, loss="circular")

    def n_raw(self, n_columns: int) -> int:
        """Return 2: the coordinates of a point."""
        return 2

    def fitted_to(self, y: np.ndarray, names: tuple[str, ...]) -> Circular:
        """Choose the range of the predictions by the sign of the training targets."""
        if self.low is not None:
            return self
        return dataclasses.replace(self, low=-self.period / 2 if np.nanmin(y) < 0 else 0.0)

    def row_loss(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return the squared distance to the target's point on the unit circle."""
        angle = y * (2 * math.pi / self.period)
        return (raw - torch.cat([angle.cos(), angle.sin()], dim=-1)).square().sum(-1)

    def predict(self, raw: Tensor) -> Tensor:
        """Return the direction of the point, in the user's unit."""
        turn = torch.atan2(raw[..., 1:], raw[..., :1]).double() * (self.period / (2 * math.pi))
        low = self.low or 0.0
        wrapped = low + torch.remainder(turn - low, self.period)
        # A turn just below `low` is rounded to the end of the period, which belongs to the next one.
        return torch.where(wrapped >= low + self.period, low, wrapped)
