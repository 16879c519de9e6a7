"""Quantiles with sample weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Cumulative weights that differ from a wanted level by this fraction of the total are equal to it but for rounding.
_ROUNDING = 1e-12
# Sample weights are multiples of a common unit if it is at least the smallest weight divided by this. More parts would
# hardly change the interpolation.
_MOST_PARTS = 100


def weighted_quantiles(
    values: np.ndarray, levels: Sequence[float], sample_weight: np.ndarray | None = None
) -> np.ndarray:
    """Return quantiles by the averaged inverse of the distribution function [1]_.

    A sample weight of 2 is equivalent to the value twice, and 0 to its absence. `numpy.quantile` supports weights only
    from NumPy 2 on.

    Parameters
    ----------
    values : ndarray of shape (n_values,)
        The values, none NaN.
    levels : sequence of float
        The levels, from 0 to 1.
    sample_weight : ndarray of shape (n_values,), default=None
        The sample weight of each value, 0 or more and not all 0. None gives all values the same weight.

    Returns
    -------
    quantiles : ndarray of shape (n_levels,)
        The quantiles.

    References
    ----------
    .. [1] R. J. Hyndman and Y. Fan, "Sample quantiles in statistical packages", The American Statistician 50 (1996),
       361-365, definition 2.

    Examples
    --------
    >>> import numpy as np
    >>> from skmulti.targets.quantiles import weighted_quantiles
    >>> weighted_quantiles(np.array([1.0, 2.0, 9.0]), [0.5], np.array([1.0, 1.0, 2.0]))
    array([5.5])
    """
    if sample_weight is None:
        return np.asarray(np.quantile(values, levels, method="averaged_inverted_cdf"))
    counts = sample_weight > 0
    values, weight = values[counts], sample_weight[counts]
    order = np.argsort(values, kind="stable")
    values, below = values[order], np.cumsum(weight[order])
    wanted = np.asarray(levels) * below[-1]
    slack, last = _ROUNDING * below[-1], len(values) - 1
    first = np.minimum(np.searchsorted(below, wanted - slack), last)
    second = np.minimum(np.searchsorted(below, wanted + slack, side="right"), last)
    return np.asarray((values[first] + values[second]) / 2)


def interpolated_quantiles(values: np.ndarray, levels: np.ndarray, sample_weight: np.ndarray) -> np.ndarray:
    """Return the quantiles of `numpy.quantile` for rows that are repeated according to their sample weights.

    Only ratios of weights matter. Weights that are multiples of a common unit are numbers of repetitions; other weights
    are rounded to so many repetitions that interpolation has almost no effect.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_columns)
        The values, none NaN.
    levels : ndarray of shape (n_levels,)
        The levels, from 0 to 1.
    sample_weight : ndarray of shape (n_rows,)
        The sample weight of each row, above 0.

    Returns
    -------
    quantiles : ndarray of shape (n_levels, n_columns)
        The quantiles.

    Examples
    --------
    >>> import numpy as np
    >>> from skmulti.targets.quantiles import interpolated_quantiles
    >>> interpolated_quantiles(np.array([[0.0], [3.0]]), np.array([0.5, 0.75]), np.array([1.0, 3.0]))
    array([[3.],
           [3.]])
    """
    counts = _counts(sample_weight)
    order = np.argsort(values, axis=0, kind="stable")
    ordered, below = np.take_along_axis(values, order, axis=0), np.cumsum(counts[order], axis=0)
    # The position of each quantile among the repeated rows, as in numpy.quantile's default method "linear".
    position = levels * (counts.sum() - 1)
    whole = np.floor(position)
    quantiles = np.empty((len(levels), values.shape[1]))
    for j in range(values.shape[1]):
        first, second = (
            ordered[np.minimum(np.searchsorted(below[:, j], place, side="right"), len(values) - 1), j]
            for place in (whole, whole + 1)
        )
        quantiles[:, j] = first + (position - whole) * (second - first)
    return quantiles


def _counts(sample_weight: np.ndarray) -> np.ndarray:
    """Return weights as multiples of their common unit, or of a small unit if they have none."""
    least = sample_weight.min()
    ratios = np.unique(sample_weight) / least
    for parts in range(1, _MOST_PARTS + 1):
        multiples = parts * ratios
        if (np.abs(multiples - np.rint(multiples)) <= _ROUNDING * multiples).all():
            return np.asarray(np.rint(parts * sample_weight / least))
    return np.asarray(_MOST_PARTS * sample_weight / least)
