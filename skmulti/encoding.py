"""Inputs as they come made into numbers that a network learns from: scaled, filled in, and bent where that helps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

# A column that varies less than this share of its largest value is constant but for rounding.
_CONSTANT = 1e-12
# How far beyond what was seen inputs may lie: a share of its range.
_FURTHER = 0.5
# Pieces of a piecewise linear encoding.
_N_PIECES = 8
# The standard deviation of the parts: there are many of them, and the columns are to count beside them.
_OF_PARTS = 0.5


class EncodedInputs(np.ndarray):
    """Inputs that a network takes as they are: whoever is handed them must not encode them again."""


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
    told : ndarray of int
        The columns beside which another says where they miss a value.
    kept : ndarray of int
        The columns that are kept, of the filled ones and the told ones behind them.
    center, scale : ndarray
        What is subtracted, and what divides then: one number per kept column, or an array that fits an image.
    low, high : ndarray or None
        The ends of each kept column, in the units of the network.
    dtype : dtype
        Of the encoded inputs.

    Examples
    --------
    >>> import numpy as np
    >>> from skmulti.encoding import InputEncoder
    >>> X = np.array([[1.0, 5.0, np.nan], [3.0, 5.0, 2.0]])
    >>> encoder = InputEncoder.of_table(X, scale=True)
    >>> encoder.transform(X)
    EncodedInputs([[-1.,  1.],
                   [ 1., -1.]], dtype=float32)
    """

    fill: np.ndarray | None
    told: np.ndarray | None
    kept: np.ndarray | None
    center: Any
    scale: Any
    low: Any = None
    high: Any = None
    dtype: Any = np.float32

    @classmethod
    def of_table(cls, X: np.ndarray, *, scale: bool) -> InputEncoder:
        """Learn from a table.

        Parameters
        ----------
        X : ndarray of shape (n_rows, n_features)
            The training inputs, NaN where one is missing.
        scale : bool
            Whether columns are standardised and those left out that tell nothing.
        """
        missing = np.isnan(X)
        some = missing.any(axis=0)
        fill = np.zeros(X.shape[1])
        if some.any():
            # A column of nothing but missing values is a constant one.
            seen = some & ~missing.all(axis=0)
            fill[seen] = np.nanmedian(X[:, seen], axis=0)
        full = np.median(X[:, ~some], axis=0) if not some.all() else fill[:0]
        fill[~some] = full
        told = np.flatnonzero(some)
        filled = _filled(X, fill, told)
        if not scale:
            return cls(fill, told, None, 0.0, 1.0, dtype=_dtype())
        kept = _telling(filled)
        filled = filled[:, kept]
        center, spread = filled.mean(axis=0), filled.std(axis=0)
        divisor = np.where(spread > 0, spread, 1.0)
        low, high = (filled.min(axis=0) - center) / divisor, (filled.max(axis=0) - center) / divisor
        further = _FURTHER * (high - low)
        return cls(fill, told, kept, center, divisor, low - further, high + further, _dtype())

    @classmethod
    def of_images(
        cls, X: np.ndarray, channel_axis: int | None, image_shape: tuple[int, ...] | None = None
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
        """
        X = X if image_shape is None else X.reshape(len(X), *image_shape)
        axes = tuple(axis for axis in range(X.ndim) if axis != channel_axis)
        center = X.mean(axis=axes, keepdims=True, dtype=np.float64)[0]
        spread = X.std(axis=axes, keepdims=True, dtype=np.float64)[0]
        largest = np.abs(X).max(axis=axes, keepdims=True)[0]
        scale = np.where(spread > _CONSTANT * largest, spread, 1.0)
        if image_shape is not None:
            center, scale = (np.broadcast_to(part, image_shape).ravel() for part in (center, scale))
        return cls(None, None, None, center, scale, dtype=_dtype())

    def transform(self, X: np.ndarray) -> EncodedInputs:
        """Return the inputs of the network, shape (n_rows, n_encoded) or that of the images."""
        values = X
        if self.fill is not None:
            assert self.told is not None
            values = _filled(values, self.fill, self.told)
        if self.kept is not None:
            values = values[:, self.kept]
        if np.ndim(self.scale) or self.scale != 1.0:
            values = (values - self.center) / self.scale
        if self.low is not None:
            values = np.clip(values, self.low, self.high)
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(values, dtype=self.dtype).view(EncodedInputs)


@dataclass(frozen=True)
class PiecewiseLinear:
    """Each column beside its parts between quantiles: how far each part is filled up [1]_.

    Attributes
    ----------
    edges : list of ndarray
        The ends of the parts of each column; a column with fewer than two parts has none.
    center, scale : ndarray of shape (n_encoded,)
        What standardises the filled parts.

    References
    ----------
    .. [1] Y. Gorishniy, I. Rubachev and A. Babenko, "On Embeddings for Numerical Features in Tabular Deep Learning",
       NeurIPS 2022, arXiv:2203.05556.

    Examples
    --------
    >>> import numpy as np
    >>> from skmulti.encoding import PiecewiseLinear
    >>> X = np.arange(9.0)[:, None]
    >>> PiecewiseLinear.fit(X).transform(X).shape
    (9, 9)
    """

    edges: list[np.ndarray]
    center: np.ndarray
    scale: np.ndarray

    @property
    def n_encoded(self) -> int:
        """Return the number of columns and parts."""
        return len(self.edges) + len(self.center)

    @classmethod
    def fit(cls, X: np.ndarray) -> PiecewiseLinear:
        """Learn the quantiles of the columns of encoded inputs X."""
        levels = np.linspace(0, 1, _N_PIECES + 1)
        edges = [np.unique(column) for column in np.quantile(np.asarray(X, np.float64), levels, axis=0).T]
        edges = [own if len(own) > 2 else own[:0] for own in edges]
        parts = _parts(np.asarray(X, np.float64), edges)
        center, spread = parts.mean(axis=0), parts.std(axis=0)
        return cls(edges, center, np.where(spread > 0, spread, 1.0) / _OF_PARTS)

    def transform(self, X: np.ndarray) -> EncodedInputs:
        """Return the columns, and their parts behind them."""
        parts = (_parts(np.asarray(X, np.float64), self.edges) - self.center) / self.scale
        return np.concatenate([X, parts.astype(X.dtype)], axis=1).view(EncodedInputs)


def _parts(X: np.ndarray, edges: list[np.ndarray]) -> np.ndarray:
    parts = [np.clip((X[:, [j]] - own[:-1]) / np.diff(own), 0, 1) for j, own in enumerate(edges) if len(own)]
    return np.concatenate(parts, axis=1) if parts else np.empty((len(X), 0))


def _filled(X: np.ndarray, fill: np.ndarray, told: np.ndarray) -> np.ndarray:
    missing = np.isnan(X)
    if not len(told) and not missing.any():
        return X
    return np.concatenate([np.where(missing, fill, X), missing[:, told]], axis=1)


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
