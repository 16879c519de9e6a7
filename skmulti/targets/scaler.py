"""Standardisation of targets, for columns whose loss permits it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import norm
from sklearn.preprocessing import StandardScaler
from torch import Tensor, as_tensor

from skmulti._checks import has_nan
from skmulti.losses import ColumnLoss, Term
from skmulti.targets.quantiles import weighted_quantiles

# Rows per call of StandardScaler, which makes copies in double precision: a few megabytes at a time.
_ROWS_AT_ONCE = 2**12
# The fraction of the values on either side of a range: the interquartile range and, if it is zero, wider ranges.
_TAILS = (0.25, 0.1, 0.05, 0.01)
# A range below this fraction of the next wider one is zero except for rounding: most values are the same.
_REPEATED = 1e-9
# Targets of robust losses are clipped here, in units of the scale: divided by 0.001, the least scale of a likelihood,
# the result can still be squared in single precision, and beyond it the distance no longer affects the gradient.
_LARGEST = 1e15


@dataclass(frozen=True)
class TargetScaler:
    """The affine map between the user's units and the network's units.

    Attributes
    ----------
    center : ndarray of shape (n_columns,)
        The subtrahend of each column: its mean, its median if the loss is robust, or 0 if it is not standardised.
    scale : ndarray of shape (n_columns,)
        The divisor of each column: its standard deviation, its interquartile range divided by 1.349 if the loss is
        robust, or 1. It is 0 for a constant column, whose predictions are then the constant.
    encoders : tuple of pairs of list of int and ColumnLoss
        Columns and the losses that encode their targets into a form that single precision can represent.
    robust : tuple of int
        Columns scaled by their interquartile range, whose targets are clipped at 1e15 units.
    """

    center: np.ndarray
    scale: np.ndarray
    encoders: tuple[tuple[list[int], ColumnLoss], ...] = ()
    robust: tuple[int, ...] = ()

    @classmethod
    def fit(
        cls,
        y: np.ndarray,
        terms: Sequence[Term],
        *,
        standardize: bool,
        sample_weight: np.ndarray | None = None,
    ) -> TargetScaler:
        """Fit the centre and the scale of each column whose loss permits standardisation.

        They are the mean and the standard deviation, or the median and the interquartile range for robust losses.

        Parameters
        ----------
        y : ndarray of shape (n_samples, n_columns)
            The training targets, NaN where a target is missing.
        terms : sequence of Term
            The table of terms; `target_scaling` and `robust_scaling` of each loss select the scaling.
        standardize : bool
            False scales no column.
        sample_weight : ndarray of shape (n_samples, 1) or (n_samples, n_columns), default=None
            Sample weights, per row or per row and column.
        """
        center, scale = np.zeros(y.shape[1]), np.ones(y.shape[1])
        scaled = [term for term in terms if standardize and term.loss.target_scaling is not None]
        columns = [column for term in scaled if not term.loss.robust_scaling for column in term.columns]
        if columns:
            center[columns], scale[columns] = _moments(y, columns, sample_weight)
        robust = [column for term in scaled if term.loss.robust_scaling for column in term.columns]
        for column in robust:
            center[column], scale[column] = _robust_moments(*_weighted_targets(y, column, sample_weight))
        for term in scaled:
            group = list(term.columns)
            # One scale for all columns keeps the shape of a group, such as the aspect ratio of a box.
            if term.loss.target_scaling == "group" and scale[group].any():
                scale[group] = np.sqrt(np.mean(scale[group] ** 2))
        encoders = [(list(t.columns), t.loss) for t in terms if type(t.loss).encode is not ColumnLoss.encode]
        return cls(center, scale, tuple(encoders), tuple(robust))

    @property
    def divisor(self) -> np.ndarray:
        """Return the divisor of targets: the scale, and 1 for constant columns."""
        return np.where(self.scale == 0, 1.0, self.scale)

    def transform(self, y: Tensor) -> Tensor:
        """Return targets in the network's units and torch's default dtype; y has shape (n_rows, n_columns)."""
        scaled = (y.double() - as_tensor(self.center)) / as_tensor(self.divisor)
        if self.robust:
            robust = list(self.robust)
            scaled[..., robust] = scaled[..., robust].clamp(-_LARGEST, _LARGEST)
        for columns, loss in self.encoders:
            scaled[..., columns] = loss.encode(scaled[..., columns])
        return scaled.to(torch.get_default_dtype())

    def thaw(self, y: np.ndarray | None = None) -> TargetScaler:
        """Return a scaler in which constant columns may vary: all of them, or those that vary in new targets y.

        The network has learned nothing of a constant column; with new targets it must be able to predict other values.
        """
        varies = True if y is None else ((y != self.center) & ~np.isnan(y)).any(axis=0)
        return dataclasses.replace(self, scale=np.where((self.scale == 0) & varies, 1.0, self.scale))

    def inverse_transform(self, y: np.ndarray) -> np.ndarray:
        """Return predictions in the user's units; y, of shape (n_rows, n_columns), is overwritten."""
        y *= self.scale
        y += self.center
        return y


def _moments(y: np.ndarray, columns: list[int], sample_weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the standard deviation of columns; exactly the value and 0 for a constant column."""
    if sample_weight is not None or has_nan(y):
        return _moments_by_column(y, columns, sample_weight)
    scaler, least, most = StandardScaler(), y[0, columns], y[0, columns]
    # In blocks of rows, since StandardScaler makes copies in double precision.
    for start in range(0, len(y), _ROWS_AT_ONCE):
        block = y[start : start + _ROWS_AT_ONCE, columns].astype(np.float64, copy=False)
        scaler.partial_fit(block)
        least, most = np.minimum(least, block.min(0)), np.maximum(most, block.max(0))
    constant = least == most
    return np.where(constant, least, scaler.mean_), np.where(constant, 0.0, scaler.scale_)


def _moments_by_column(
    y: np.ndarray, columns: list[int], sample_weight: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the means and the standard deviations of columns, each over rows with a target and a positive weight."""
    mean, spread = np.empty(len(columns)), np.empty(len(columns))
    for i, column in enumerate(columns):
        values, weight = _weighted_targets(y, column, sample_weight)
        if (values == values[0]).all():
            mean[i], spread[i] = values[0], 0.0
        else:
            scaler = StandardScaler().fit(values[:, None], sample_weight=weight)
            mean[i], spread[i] = scaler.mean_[0], scaler.scale_[0]
    return mean, spread


def _weighted_targets(
    y: np.ndarray, column: int, sample_weight: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the targets of a column that are present and have a positive sample weight, and their weights."""
    present = ~np.isnan(y[:, column])
    if sample_weight is None:
        return y[present, column].astype(np.float64), None
    weight = sample_weight[:, column if sample_weight.shape[1] > 1 else 0]
    present &= weight > 0
    return y[present, column].astype(np.float64), weight[present]


def _robust_moments(values: np.ndarray, weight: np.ndarray | None) -> tuple[float, float]:
    """Return the median and the interquartile range of a column, divided by 1.349 as for a normal distribution.

    If more than half of the values are the same, a wider range takes its place: without the outer 10 %, 5 % or 1 % on
    either side, and finally the mean distance from the median. A constant column has exactly its value and 0.
    """
    if (values == values[0]).all():
        return float(values[0]), 0.0
    levels = [0.5, *_TAILS, *(1 - tail for tail in _TAILS)]
    median, *ends = weighted_quantiles(values, levels, weight).tolist()
    low, high = ends[: len(_TAILS)], ends[len(_TAILS) :]
    ranges = [above - below for below, above in zip(low, high, strict=True)]
    for tail, width, wider in zip(_TAILS, ranges, [*ranges[1:], 0.0], strict=True):
        if width > _REPEATED * wider:
            return median, width / (2 * norm.ppf(1 - tail))
    # The mean distance from the mean of a normal distribution is sqrt(2 / pi) standard deviations.
    return median, float(np.average(np.abs(values - median), weights=weight)) * np.sqrt(np.pi / 2)
