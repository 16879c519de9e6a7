"""Asymmetric losses: quantiles and expectiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from skmulti.losses._checks import check_level
from skmulti.losses.base import ColumnLoss, DifferenceLoss


@dataclass(frozen=True)
class Quantile(ColumnLoss):
    """Quantile (pinball) loss: the prediction is the quantile of the given level or levels [1]_.

    With ``d = y - p`` it is ``level * d`` where ``d >= 0`` and ``(level - 1) * d`` elsewhere; several levels give
    the mean of their losses. Each level has one raw output. The raw output of the middle level is its quantile;
    each other quantile is ``softplus(raw)`` away from its neighbour, so that quantiles never cross.

    Parameters
    ----------
    level : float or sequence of float, default=0.5
        The quantile's level, between 0 and 1, or several levels in increasing order. 0.5 gives the median, with half
        the absolute error as the loss. With several levels the prediction is the quantile of level 0.5,
        interpolated between its neighbours, or the nearest level.

    Raises
    ------
    ValueError
        If a level is not a number between 0 and 1, or if levels do not increase.

    Notes
    -----
    Formula: ``max(level * d, (level - 1) * d)`` with ``d = y - p``, averaged over the levels.

    Raw outputs: 1 per level.

    Prediction: the quantile of the level; of several levels the median, or the level nearest to it.

    Use: for a conservative prediction (one level), or an interval without a distribution (several levels).

    References
    ----------
    .. [1] R. Koenker and G. Bassett, "Regression quantiles", Econometrica 46 (1978), 33-50.

    Examples
    --------
    >>> import torch
    >>> from skmulti.losses import Quantile
    >>> Quantile(level=0.75).row_loss(torch.tensor([[1.0], [3.0]]), torch.tensor([[2.0], [0.0]]))
    tensor([0.7500, 0.7500])
    """

    level: float | Sequence[float] = 0.5

    robust_scaling = True

    def __post_init__(self) -> None:
        if isinstance(self.level, Sequence) and not isinstance(self.level, str):
            object.__setattr__(self, "level", tuple(self.level))
        for level in self.levels:
            check_level("level", level, loss="quantile")
        if not self.levels or list(self.levels) != sorted(set(self.levels)):
            raise ValueError(
                "The 'level' parameter of the loss 'quantile' must be one level or several in increasing order. "
                f"Got {self.level!r} instead."
            )

    @property
    def levels(self) -> tuple[float, ...]:
        """Return the levels, one or several."""
        return self.level if isinstance(self.level, tuple) else (self.level,)

    def n_raw(self, n_columns: int) -> int:
        """Return one per level."""
        return len(self.levels)

    def row_loss(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return the mean pinball loss of each row."""
        level = torch.tensor(self.levels, dtype=raw.dtype, device=raw.device)
        d = y - self._read(raw)
        return torch.maximum(level * d, (level - 1) * d).mean(-1)

    def raw_gradient(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return ``-level`` below the target, ``1 - level`` above, their mean on it; autograd's for several levels."""
        if len(self.levels) > 1:
            return super().raw_gradient(raw, y)
        return (raw - y).sign_().add_(1 - 2 * self.levels[0]).mul_(0.5)

    def predict(self, raw: Tensor) -> Tensor:
        """Return the median, or the level nearest to it."""
        low, high = self.levels[0], self.levels[-1]
        return self.quantiles(raw, [min(max(0.5, low), high)])[..., 0]

    def quantiles(self, raw: Tensor, levels: Sequence[float]) -> Tensor:
        """Return quantiles, interpolated linearly; levels outside those of the loss raise a ValueError."""
        known = self._read(raw)
        parts = []
        for level in levels:
            if not self.levels[0] <= level <= self.levels[-1]:
                raise ValueError(
                    f"'levels' must lie within those of {self!r}, from {self.levels[0]:g} to {self.levels[-1]:g}. "
                    f"Got {level:g}."
                )
            above = next(i for i, value in enumerate(self.levels) if value >= level)
            below = above if self.levels[above] == level else above - 1
            span = self.levels[above] - self.levels[below]
            fraction = (level - self.levels[below]) / span if span else 0.0
            parts.append(torch.lerp(known[..., below], known[..., above], fraction))
        return torch.stack(parts, dim=-1).unsqueeze(-2)

    def _read(self, raw: Tensor) -> Tensor:
        """Return the quantiles of all levels, shape (..., n_levels), from the middle one outwards."""
        n_levels = len(self.levels)
        if n_levels == 1:
            return raw
        middle = (n_levels - 1) // 2
        up = F.softplus(raw[..., middle + 1 :]).cumsum(-1)
        down = F.softplus(raw[..., :middle]).flip(-1).cumsum(-1).flip(-1)
        center = raw[..., middle : middle + 1]
        return torch.cat([center - down, center, center + up], dim=-1)


@dataclass(frozen=True)
class Expectile(DifferenceLoss):
    """Expectile loss: an asymmetric squared error, analogous to the pinball loss [1]_.

    With ``d = y - p`` it is ``level * d**2`` where ``d >= 0`` and ``(1 - level) * d**2`` elsewhere.

    Parameters
    ----------
    level : float, default=0.5
        The expectile's level, between 0 and 1. 0.5 gives the mean, with half the squared error as the loss.

    Raises
    ------
    ValueError
        If `level` is not a number between 0 and 1.

    Notes
    -----
    Formula: ``level * d**2`` where ``d >= 0``, ``(1 - level) * d**2`` elsewhere, with ``d = y - p``.

    Prediction: the expectile of the level: 0.5 gives the mean.

    Use: where errors of one sign cost more, with a cost that is quadratic, as in risk.

    References
    ----------
    .. [1] W. K. Newey and J. L. Powell, "Asymmetric least squares estimation and testing", Econometrica 55
       (1987), 819-847.

    Examples
    --------
    >>> import torch
    >>> from skmulti.losses import Expectile
    >>> Expectile(level=0.75).row_loss(torch.tensor([[1.0], [3.0]]), torch.tensor([[2.0], [0.0]]))
    tensor([0.7500, 2.2500])
    """

    level: float = 0.5

    def __post_init__(self) -> None:
        check_level("level", self.level, loss="expectile")

    def row_loss(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return the expectile loss of each row."""
        d = y - raw
        # where() of two Python numbers would have torch's default dtype instead of that of the targets.
        return torch.where(d >= 0, self.level * d.square(), (1 - self.level) * d.square()).squeeze(-1)

    def derivative_(self, difference: Tensor) -> Tensor:
        """Return ``2 level (p - y)`` below the target, ``2 (1 - level) (p - y)`` above."""
        above = 2 * (1 - self.level) * difference.clamp(min=0)
        return difference.clamp_(max=0).mul_(2 * self.level).add_(above)
