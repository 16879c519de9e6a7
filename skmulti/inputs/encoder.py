"""Preprocessing of inputs: imputation, standardisation, clipping."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from skmulti._checks import has_nan
from skmulti.targets.quantiles import weighted_quantiles

# A column whose range is below this fraction of its largest value is constant: float64 rounds at 1e-16, and a few
# operations before the net lose some digits more.
_CONSTANT = 1e-12
# Inputs are clipped at the training range and this fraction of it on either side: networks extrapolate arbitrarily, but
# a tight limit would hide moderate extrapolation from them.
_CLIP_MARGIN = 0.5


class EncodedInputs(np.ndarray):
    """Inputs that are encoded already; the type prevents that they are encoded twice.

    Attributes
    ----------
    beyond : ndarray or None
        What clipping removed from these inputs, for a linear model that extrapolates; None where there is no such
        model.
    """

    beyond: np.ndarray | None = None


@dataclass(frozen=True)
class InputEncoder:
    """The map from checked inputs to the inputs of the network.

    For tables: missing values are imputed by the column's median, with a missing-value indicator; constant columns and
    duplicates of earlier columns are dropped; columns are standardised to mean 0 and standard deviation 1, and later
    clipped to the training range and half of it on either side, since networks extrapolate arbitrarily. For images:
    each channel is standardised.

    Attributes
    ----------
    fill : ndarray of shape (n_features,) or None
        The medians; None for images.
    indicator_columns : ndarray of int or None
        The columns with a missing-value indicator; None for images.
    selected : ndarray of int or None
        The positions of the columns that are kept, among the imputed columns followed by the indicators. None keeps
        all.
    center, scale : ndarray or float
        The subtrahend and the divisor: one number per kept column, or an array that broadcasts with an image.
    low, high : ndarray or None
        The limits of each kept column, after standardisation; None does not clip.
    dtype : dtype
        The dtype of the encoded inputs.
    keeps_beyond : bool
        Whether `transform` also returns what clipping removed, as `EncodedInputs.beyond`.

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
    keeps_beyond: bool = False

    @classmethod
    def of_table(
        cls, X: np.ndarray, *, scale: bool, sample_weight: np.ndarray | None = None, extrapolates: bool = False
    ) -> InputEncoder:
        """Fit the encoder to a table.

        Parameters
        ----------
        X : ndarray of shape (n_rows, n_features)
            The training inputs, NaN where a value is missing.
        scale : bool
            Whether columns are standardised and clipped, and constant and duplicate ones dropped.
        sample_weight : ndarray of shape (n_rows,), default=None
            The sample weights, above 0, for medians, means and standard deviations.
        extrapolates : bool, default=False
            Whether later inputs are clipped at the training range itself, and `transform` returns what clipping
            removed.
        """
        missing = np.isnan(X)
        some = missing.any(axis=0)
        fill = np.zeros(X.shape[1])
        if some.any():
            # A column without any value has no median; imputed by 0, it is constant and dropped.
            has_values = some & ~missing.all(axis=0)
            fill[has_values] = _medians(X[:, has_values], sample_weight)
        # Complete columns apart: `numpy.nanmedian` is many times slower than `numpy.median`.
        fill[~some] = _medians(X[:, ~some], sample_weight) if not some.all() else fill[:0]
        indicator_columns = np.flatnonzero(some)
        imputed = _impute(X, fill, indicator_columns)
        if not scale:
            return cls(fill, indicator_columns, None, 0.0, 1.0, dtype=_dtype())
        selected = _informative_columns(imputed)
        imputed = imputed[:, selected]
        center, spread = moments(imputed, sample_weight)
        divisor = np.where(spread > 0, spread, 1.0)
        low, high = (imputed.min(axis=0) - center) / divisor, (imputed.max(axis=0) - center) / divisor
        margin = 0.0 if extrapolates else _CLIP_MARGIN * (high - low)
        return cls(
            fill, indicator_columns, selected, center, divisor, low - margin, high + margin, _dtype(), extrapolates
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
        """Fit the encoder to images or signals.

        Parameters
        ----------
        X : ndarray of shape (n_rows, ...)
            The training inputs.
        channel_axis : int or None
            The axis of the channels, each of which is standardised; None standardises all values together.
        image_shape : tuple of int, default=None
            The shape of one image if each row of X is a flattened image; `channel_axis` refers to the reshaped X then.
        sample_weight : ndarray of shape (n_rows,), default=None
            The sample weights, above 0.
        """
        X = X if image_shape is None else X.reshape(len(X), *image_shape)
        axes = tuple(axis for axis in range(X.ndim) if axis != channel_axis)
        if sample_weight is None:
            center = X.mean(axis=axes, keepdims=True, dtype=np.float64)[0]
            spread = X.std(axis=axes, keepdims=True, dtype=np.float64)[0]
        else:
            # By the law of total variance, within images and between their means: no copy in double precision is
            # needed.
            means, variances = (moment(axis=axes[1:], keepdims=True, dtype=np.float64) for moment in (X.mean, X.var))
            center, between = moments(means, sample_weight)
            spread = np.sqrt(np.average(variances, axis=0, weights=sample_weight) + between**2)
        largest = np.abs(X).max(axis=axes, keepdims=True)[0]
        scale = np.where(spread > _CONSTANT * largest, spread, 1.0)
        if image_shape is not None:
            center, scale = (np.broadcast_to(values, image_shape).ravel() for values in (center, scale))
        return cls(None, None, None, center, scale, dtype=_dtype())

    def transform(self, X: np.ndarray) -> EncodedInputs:
        """Return the inputs of the network, shape (n_rows, n_encoded) or the shape of the images."""
        values = X
        if self.fill is not None:
            assert self.indicator_columns is not None
            values = _impute(values, self.fill, self.indicator_columns)
        if self.selected is not None:
            values = values[:, self.selected]
        if np.ndim(self.scale) or self.scale != 1.0:
            values = (values - self.center) / self.scale
        unclipped = values
        if self.low is not None:
            values = np.clip(values, self.low, self.high)
        with np.errstate(over="ignore"):
            encoded = np.ascontiguousarray(values, dtype=self.dtype).view(EncodedInputs)
        if self.keeps_beyond and self.low is not None:
            encoded.beyond = unclipped - values
        return encoded


def _medians(X: np.ndarray, sample_weight: np.ndarray | None) -> np.ndarray:
    """Return the median of each column's values that are not NaN; each column must have one."""
    if sample_weight is None:
        return np.asarray(np.nanmedian(X, axis=0) if has_nan(X) else np.median(X, axis=0))
    present = ~np.isnan(X)
    medians = [
        weighted_quantiles(X[present[:, j], j], [0.5], sample_weight[present[:, j]])[0] for j in range(X.shape[1])
    ]
    return np.array(medians)


def moments(X: np.ndarray, sample_weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the standard deviation over the rows."""
    if sample_weight is None:
        return X.mean(axis=0), X.std(axis=0)
    center = np.average(X, axis=0, weights=sample_weight)
    return center, np.sqrt(np.average((X - center) ** 2, axis=0, weights=sample_weight))


def _impute(X: np.ndarray, fill: np.ndarray, indicator_columns: np.ndarray) -> np.ndarray:
    """Return X with NaN replaced by `fill`, followed by the missing-value indicators of some columns."""
    missing = np.isnan(X)
    if not len(indicator_columns) and not missing.any():
        return X
    return np.concatenate([np.where(missing, fill, X), missing[:, indicator_columns]], axis=1)


def _informative_columns(X: np.ndarray) -> np.ndarray:
    """Return the positions of the columns that are neither constant nor a duplicate of an earlier column."""
    varies = np.ptp(X, axis=0) > _CONSTANT * np.abs(X).max(axis=0)
    first: dict[bytes, int] = {}
    for j in np.flatnonzero(varies):
        first.setdefault(np.ascontiguousarray(X[:, j]).tobytes(), int(j))
    # A network needs at least one input, even if all columns are constant.
    return np.array(sorted(first.values()) or [0])


def _dtype() -> Any:
    """Return the dtype of torch's new parameters, which inputs must have."""
    return np.float64 if torch.get_default_dtype() is torch.float64 else np.float32
