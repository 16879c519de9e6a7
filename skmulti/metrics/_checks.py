"""Helpers of the metrics: validation, sums that skip missing targets, the mean over columns."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.utils.validation import check_array, check_consistent_length

from skmulti._checks import warn, without_mask
from skmulti._compat import check_row_weights


def check_table(y_true: Any, y_pred: Any, sample_weight: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return targets, predictions and sample weights of shape (n_samples, n_columns), float64.

    The sample weight of a missing target, NaN or masked, is 0.

    Raises
    ------
    ValueError
        If shapes or column names differ, a value is infinite, a prediction is NaN or a sample weight is negative.
    """
    y_true, y_pred, sample_weight = map(without_mask, (y_true, y_pred, sample_weight))
    check_consistent_length(y_true, y_pred, sample_weight)
    names = frame_columns(y_true), frame_columns(y_pred)
    if None not in names and names[0] != names[1]:
        raise ValueError(
            f"y_true and y_pred must have the same columns in the same order. Got {list(names[0] or ())} in y_true and "
            f"{list(names[1] or ())} in y_pred; use y_pred[y_true.columns]."
        )
    true, pred = (
        check_array(y, dtype=np.float64, ensure_2d=False, ensure_all_finite=finite, input_name=name)
        for y, finite, name in ((y_true, "allow-nan", "y_true"), (y_pred, True, "y_pred"))
    )
    true, pred = (y.reshape(len(y), -1) for y in (true, pred))
    if true.shape != pred.shape:
        raise ValueError(
            "y_true and y_pred must have the same number of columns. "
            f"Got {true.shape[1]} in y_true and {pred.shape[1]} in y_pred."
        )
    rows = np.ones(len(true)) if sample_weight is None else sample_weight
    rows = check_row_weights(rows, true, dtype=np.float64, ensure_non_negative=True)
    return true, pred, np.where(np.isnan(true), 0.0, rows[:, None])


def frame_columns(values: Any) -> tuple[str, ...] | None:
    """Return the names of a data frame's columns, None for anything else or if a name is not a string."""
    names = getattr(values, "columns", None)
    return None if names is None or not all(isinstance(name, str) for name in names) else tuple(names)


def weighted_sum(weight: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the weighted sum of each column, ignoring values of weight 0, which may be NaN."""
    result: np.ndarray = np.where(weight > 0, weight * values, 0.0).sum(axis=0)
    return result


def divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Return the quotient, with NaN where the denominator is 0."""
    nothing = np.full_like(numerator, np.nan)
    result: np.ndarray = np.divide(numerator, denominator, out=nothing, where=denominator != 0)
    return result


def average_columns(raw: np.ndarray, multioutput: Any, undefined: str) -> float | np.ndarray:
    """Return `raw`, or its mean over the columns that are not NaN, with the weights of `multioutput`.

    Raises
    ------
    ValueError
        If `multioutput` is neither "raw_values", "uniform_average" nor one weight per column.
    """
    if isinstance(multioutput, str):
        if multioutput == "raw_values":
            return raw
        weights = np.ones_like(raw) if multioutput == "uniform_average" else np.empty(0)
    else:
        weights = np.asarray(multioutput, dtype=np.float64)
    if weights.shape != raw.shape or not (weights >= 0).all() or not 0 < weights.sum() < np.inf:
        raise ValueError(
            "The 'multioutput' parameter must be 'raw_values', 'uniform_average' or one weight per "
            f"column, shape {raw.shape}, none negative and not all 0. Got {multioutput!r} instead."
        )
    counted = (weights > 0) & ~np.isnan(raw)
    if not counted.any():
        warn(undefined, UndefinedMetricWarning)
        return float("nan")
    return float(np.average(raw[counted], weights=weights[counted]))
