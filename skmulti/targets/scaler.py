"""Targets standardised per column, where the column's loss allows it."""

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

_ROWS_AT_ONCE = 2**12
# Half of the values lie within the interquartile range, and so many in the wider ones that are asked where it is zero.
_OUTSIDE = (0.25, 0.1, 0.05, 0.01)
# A range this much narrower than the next wider one is that of a value that repeats, but for rounding.
_REPEATED = 1e-9
# Robust losses see no target further away, in units: divided by the least spread of a likelihood, 0.001, it can still
# be squared in single precision, and how far it lies beyond makes no difference to what they learn.
_FARTHEST = 1e15


@dataclass(frozen=True)
class TargetScaler:
    """The affine map between the user's units and the units in which the network learns.

    Attributes
    ----------
    center : ndarray of shape (n_columns,)
        What is subtracted from each column: its mean, its median where the loss is robust, or 0.
    scale : ndarray of shape (n_columns,)
        What divides it then: its standard deviation, its interquartile range divided by 1.349 where the loss is
        robust, or 1. A constant column has 0 here: every raw output reads as the constant.
    encoders : tuple of pairs of list of int and ColumnLoss
        Columns whose losses bring targets into a form that single precision can hold.
    robust : tuple of int
        Columns scaled by their interquartile range, whose outliers are moved to within 1e15 units.
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
        """Learn centre and scale of each column that its loss lets be standardised.

        They are mean and standard deviation, or for robust losses median and interquartile range.

        Parameters
        ----------
        y : ndarray of shape (n_samples, n_columns)
            The training targets, NaN where one is missing.
        terms : sequence of Term
            The table of terms; each loss says with `target_scaling` and `robust_scaling` what it wants.
        standardize : bool
            False leaves all columns as they are.
        sample_weight : ndarray of shape (n_samples, 1) or (n_samples, n_columns), default=None
            The weights of the rows, or of each row's columns.
        """
        center, scale = np.zeros(y.shape[1]), np.ones(y.shape[1])
        scaled = [term for term in terms if standardize and term.loss.target_scaling is not None]
        columns = [column for term in scaled if not term.loss.robust_scaling for column in term.columns]
        if columns:
            center[columns], scale[columns] = _moments(y, columns, sample_weight)
        robust = [column for term in scaled if term.loss.robust_scaling for column in term.columns]
        for column in robust:
            center[column], scale[column] = _robust_moments(*_seen(y, column, sample_weight))
        for term in scaled:
            members = list(term.columns)
            if term.loss.target_scaling == "group" and scale[members].any():
                scale[members] = np.sqrt(np.mean(scale[members] ** 2))
        encoders = [(list(t.columns), t.loss) for t in terms if type(t.loss).encode is not ColumnLoss.encode]
        return cls(center, scale, tuple(encoders), tuple(robust))

    @property
    def divisor(self) -> np.ndarray:
        """Return what divides targets: the scale, and 1 where it is 0."""
        return np.where(self.scale == 0, 1.0, self.scale)

    def transform(self, y: Tensor) -> Tensor:
        """Return targets in the network's units and torch's default dtype; y has shape (n_rows, n_columns)."""
        scaled = (y.double() - as_tensor(self.center)) / as_tensor(self.divisor)
        if self.robust:
            robust = list(self.robust)
            scaled[..., robust] = scaled[..., robust].clamp(-_FARTHEST, _FARTHEST)
        for columns, loss in self.encoders:
            scaled[..., columns] = loss.encode(scaled[..., columns])
        return scaled.to(torch.get_default_dtype())

    def thaw(self, y: np.ndarray | None = None) -> TargetScaler:
        """Return a scaler whose constant columns may vary: all of them, or those that vary in new targets y."""
        varies = True if y is None else ((y != self.center) & ~np.isnan(y)).any(axis=0)
        return dataclasses.replace(self, scale=np.where((self.scale == 0) & varies, 1.0, self.scale))

    def inverse_transform(self, y: np.ndarray) -> np.ndarray:
        """Return predictions in the user's units, in place of y, an array of shape (n_rows, n_columns)."""
        y *= self.scale
        y += self.center
        return y


def _moments(y: np.ndarray, columns: list[int], sample_weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of columns; a constant one has its value and exactly 0."""
    if sample_weight is not None or has_nan(y):
        return _moments_by_column(y, columns, sample_weight)
    scaler, least, most = StandardScaler(), y[0, columns], y[0, columns]
    # In parts, since the library makes copies in double precision.
    for start in range(0, len(y), _ROWS_AT_ONCE):
        part = y[start : start + _ROWS_AT_ONCE, columns].astype(np.float64, copy=False)
        scaler.partial_fit(part)
        least, most = np.minimum(least, part.min(0)), np.maximum(most, part.max(0))
    constant = least == most
    return np.where(constant, least, scaler.mean_), np.where(constant, 0.0, scaler.scale_)


def _moments_by_column(
    y: np.ndarray, columns: list[int], sample_weight: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return means and standard deviations of columns, each over the rows that have it and weigh something in it."""
    mean, spread = np.empty(len(columns)), np.empty(len(columns))
    for i, column in enumerate(columns):
        values, weight = _seen(y, column, sample_weight)
        if (values == values[0]).all():
            mean[i], spread[i] = values[0], 0.0
        else:
            scaler = StandardScaler().fit(values[:, None], sample_weight=weight)
            mean[i], spread[i] = scaler.mean_[0], scaler.scale_[0]
    return mean, spread


def _seen(y: np.ndarray, column: int, sample_weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the values of a column that are there and weigh something, and their weights."""
    seen = ~np.isnan(y[:, column])
    if sample_weight is None:
        return y[seen, column].astype(np.float64), None
    weight = sample_weight[:, column if sample_weight.shape[1] > 1 else 0]
    seen &= weight > 0
    return y[seen, column].astype(np.float64), weight[seen]


def _robust_moments(values: np.ndarray, weight: np.ndarray | None) -> tuple[float, float]:
    """Return median and interquartile range of a column, in the unit of a standard deviation.

    Where more than half of the values are the same, the range is that between the outer tenths, twentieths or
    hundredths, and at last the mean distance from the median. A constant column has its value and exactly 0.
    """
    if (values == values[0]).all():
        return float(values[0]), 0.0
    levels = [0.5, *_OUTSIDE, *(1 - outside for outside in _OUTSIDE)]
    median, *ends = weighted_quantiles(values, levels, weight).tolist()
    low, high = ends[: len(_OUTSIDE)], ends[len(_OUTSIDE) :]
    ranges = [above - below for below, above in zip(low, high, strict=True)]
    for outside, own, wider in zip(_OUTSIDE, ranges, [*ranges[1:], 0.0], strict=True):
        if own > _REPEATED * wider:
            return median, own / (2 * norm.ppf(1 - outside))
    return median, float(np.average(np.abs(values - median), weights=weight)) * np.sqrt(np.pi / 2)
