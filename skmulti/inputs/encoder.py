"""Input preprocessing: imputation, standardisation, clipping."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from skmulti._checks import has_nan
from skmulti.targets.quantiles import weighted_quantiles

# A column that varies less than this share of its largest value is constant but for rounding.
_CONSTANT = 1e-12
# How far beyond what was seen inputs may lie: a share of its range.
_FURTHER = 0.5


class EncodedInputs(np.ndarray):
    """Inputs that a network takes as they are: whoever is handed them must not encode them again.

    Attributes
    ----------
    beyond : ndarray or None
        How far the same inputs lie beyond their limits, for a linear model that extrapolates; None where none does.
    """

    beyond: np.ndarray | None = None


@dataclass(frozen=True)
class InputEncoder:
    """The map from checked inputs to those of the network.

    Of a table: missing values become the column's median, with a column that says where they were; constant columns,
    and all but the first of equal ones, are left out; each column has mean 0 and standard deviation 1. Of images: each
    channel has. Later inputs beyond those seen are moved to the nearest end of what was seen, half its range
    further at most: a network says anything of what lies far outside.

    Attributes
    ----------
    fill : ndarray of shape (n_features,)
        The medians.
    indicator_columns : ndarray of int
        The columns beside which another says where they miss a value.
    selected : ndarray of int
        The columns that are selected, of the filled ones and the indicator_columns ones behind them.
    center, scale : ndarray
        What is subtracted, and what divides then: one number per selected column, or an array that fits an image.
    low, high : ndarray or None
        The ends of each selected column, in the units of the network.
    dtype : dtype
        Of the encoded inputs.
    tells_beyond : bool
        Whether `transform` says as well how far inputs lie beyond the ends.

    Examples
    --------
    >>> import numpy as np
    >>> from skmulti.inputs.encoder import InputEncoder
    >>> X = np.array([[1.0, 5.0, np.nan], [3.0, 5.0, 2.0]])
    >>> encoder = InputEncoder.of_table(X, scale=True)
    >>> encoder.transform(X)
    EncodedInputs([[-1.,  1.],
                   [ 1., -1.]], dtype=float32)
    """

    fill: np.ndarray | None
    indicator_columns: np.ndarray | None
    selected: np.ndarray | None
    center: Any
    scale: Any
    low: Any = None
    high: Any = None
    dtype: Any = np.float32
    tells_beyond: bool = False

    @classmethod
    def of_table(
        cls, X: np.ndarray, *, scale: bool, sample_weight: np.ndarray | None = None, extrapolates: bool = False
    ) -> InputEncoder:
        """Learn from a table.

        Parameters
        ----------
        X : ndarray of shape (n_rows, n_features)
            The training inputs, NaN where one is missing.
        scale : bool
            Whether columns are standardised and those left out that tell nothing.
        sample_weight : ndarray of shape (n_rows,), default=None
            The weights of the rows, above 0, in medians, means and standard deviations.
        extrapolates : bool, default=False
            Whether later inputs stop at the ends of what was seen, and `transform` says how far beyond they lie.
        """
        missing = np.isnan(X)
        some = missing.any(axis=0)
        fill = np.zeros(X.shape[1])
        if some.any():
            # A column of nothing but missing values is a constant one.
            seen = some & ~missing.all(axis=0)
            fill[seen] = _medians(X[:, seen], sample_weight)
        full = _medians(X[:, ~some], sample_weight) if not some.all() else fill[:0]
        fill[~some] = full
        indicator_columns = np.flatnonzero(some)
        filled = _filled(X, fill, indicator_columns)
        if not scale:
            return cls(fill, indicator_columns, None, 0.0, 1.0, dtype=_dtype())
        selected = _telling(filled)
        filled = filled[:, selected]
        center, spread = _moments(filled, sample_weight)
        divisor = np.where(spread > 0, spread, 1.0)
        low, high = (filled.min(axis=0) - center) / divisor, (filled.max(axis=0) - center) / divisor
        further = 0.0 if extrapolates else _FURTHER * (high - low)
        return cls(
            fill, indicator_columns, selected, center, divisor, low - further, high + further, _dtype(), extrapolates
        )

    @classmethod
    def of_images(
        cls,
        X: np.ndarray,
        channel_axis: int | None,
        image_shape: tuple[int, ...] | None = None,
        *,
        sample_weight: np.ndarray | None = None,
    ) -> InputEncoder:
        """Learn from images or signals.

        Parameters
        ----------
        X : ndarray of shape (n_rows, ...)
            The training inputs.
        channel_axis : int or None
            The axis of X whose positions are scaled each for itself; None scales all numbers alike.
        image_shape : tuple of int, default=None
            The shape of one image where rows are flat; the axis is one of the images then.
        sample_weight : ndarray of shape (n_rows,), default=None
            The weights of the rows, above 0.
        """
        X = X if image_shape is None else X.reshape(len(X), *image_shape)
        axes = tuple(axis for axis in range(X.ndim) if axis != channel_axis)
        if sample_weight is None:
            center = X.mean(axis=axes, keepdims=True, dtype=np.float64)[0]
            spread = X.std(axis=axes, keepdims=True, dtype=np.float64)[0]
        else:
            # The variance is that inside images and that of their means, so that no image is held in double precision.
            means, variances = (moment(axis=axes[1:], keepdims=True, dtype=np.float64) for moment in (X.mean, X.var))
            center, between = _moments(means, sample_weight)
            spread = np.sqrt(np.average(variances, axis=0, weights=sample_weight) + between**2)
        largest = np.abs(X).max(axis=axes, keepdims=True)[0]
        scale = np.where(spread > _CONSTANT * largest, spread, 1.0)
        if image_shape is not None:
            center, scale = (np.broadcast_to(part, image_shape).ravel() for part in (center, scale))
        return cls(None, None, None, center, scale, dtype=_dtype())

    def transform(self, X: np.ndarray) -> EncodedInputs:
        """Return the inputs of the network, shape (n_rows, n_encoded) or that of the images."""
        values = X
        if self.fill is not None:
            assert self.indicator_columns is not None
            values = _filled(values, self.fill, self.indicator_columns)
        if self.selected is not None:
            values = values[:, self.selected]
        if np.ndim(self.scale) or self.scale != 1.0:
            values = (values - self.center) / self.scale
        unclipped = values
        if self.low is not None:
            values = np.clip(values, self.low, self.high)
        with np.errstate(over="ignore"):
            encoded = np.ascontiguousarray(values, dtype=self.dtype).view(EncodedInputs)
        if self.tells_beyond and self.low is not None:
            encoded.beyond = unclipped - values
        return encoded


def _medians(X: np.ndarray, sample_weight: np.ndarray | None) -> np.ndarray:
    """Return the median of what each column has, one value or more."""
    if sample_weight is None:
        return np.asarray(np.nanmedian(X, axis=0) if has_nan(X) else np.median(X, axis=0))
    seen = ~np.isnan(X)
    each = [weighted_quantiles(X[seen[:, j], j], [0.5], sample_weight[seen[:, j]])[0] for j in range(X.shape[1])]
    return np.array(each)


def _moments(X: np.ndarray, sample_weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation over the rows."""
    if sample_weight is None:
        return X.mean(axis=0), X.std(axis=0)
    center = np.average(X, axis=0, weights=sample_weight)
    return center, np.sqrt(np.average((X - center) ** 2, axis=0, weights=sample_weight))


def _filled(X: np.ndarray, fill: np.ndarray, indicator_columns: np.ndarray) -> np.ndarray:
    missing = np.isnan(X)
    if not len(indicator_columns) and not missing.any():
        return X
    return np.concatenate([np.where(missing, fill, X), missing[:, indicator_columns]], axis=1)


def _telling(X: np.ndarray) -> np.ndarray:
    """Return the columns that vary, and the first only of those that say the same."""
    varies = np.ptp(X, axis=0) > _CONSTANT * np.abs(X).max(axis=0)
    first: dict[bytes, int] = {}
    for j in np.flatnonzero(varies):
        first.setdefault(np.ascontiguousarray(X[:, j]).tobytes(), int(j))
    # A network must have an input.
    return np.array(sorted(first.values()) or [0])


def _dtype() -> Any:
    return np.float64 if torch.get_default_dtype() is torch.float64 else np.float32
