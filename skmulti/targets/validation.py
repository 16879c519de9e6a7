"""Validation of y and sample weights, with messages that name the column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_array

from skmulti._checks import check_finite, column_names, has_nan, refuse_containers, to_numbers


@dataclass(frozen=True)
class Targets:
    """Checked targets.

    Attributes
    ----------
    values : ndarray of shape (n_samples, n_columns), float64 or float32
        The targets.
    names : tuple of str
        One name per column: the data frame's, the series', or ``y0``, ``y1``, ...
    ndim : int
        The number of dimensions of the given y, 1 or 2.
    """

    values: np.ndarray
    names: tuple[str, ...]
    ndim: int


def check_targets(y: Any, *, parameter: str = "y", missing: bool = False, keep_float32: bool = False) -> Targets:
    """Check targets and cast them to float64.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_columns)
        The targets.
    parameter : str, default="y"
        The name of y in messages.
    missing : bool, default=False
        Whether y may contain NaN.
    keep_float32 : bool, default=False
        Whether targets in single precision are returned as they are, not copied to float64.

    Raises
    ------
    ValueError
        If y is sparse or not numeric, has no column, more than two dimensions or a column name twice, or contains NaN
        or infinity; the message names the columns and counts the values.
    """
    if y is None:
        raise ValueError(f"The estimator requires {parameter} to be passed, but the target {parameter} is None.")
    if sparse.issparse(y):
        raise ValueError(f"{parameter} must be dense. Got a sparse {type(y).__name__}; use {parameter}.toarray().")
    y = to_numbers(y, parameter)
    if getattr(y, "shape", (1,))[1:] == (0,):
        # check_array fails on a data frame without columns with a message about dtypes.
        raise ValueError(_shape_message(y.shape, parameter))
    names = column_names(y)
    values = check_array(
        y,
        dtype=[np.float64, np.float32] if keep_float32 else np.float64,
        ensure_2d=False,
        allow_nd=True,
        ensure_all_finite=False,
        ensure_min_samples=0,
        ensure_min_features=0,
        input_name=parameter,
    )
    if values.ndim not in (1, 2) or (values.ndim == 2 and values.shape[1] == 0):
        raise ValueError(_shape_message(values.shape, parameter))
    if any(stride < 0 for stride in values.strides):
        # Tensors cannot share the memory of an array with negative strides.
        values = values.copy()
    ndim = values.ndim
    values = values[:, None] if ndim == 1 else values
    names = names or tuple(f"y{i}" for i in range(values.shape[1]))
    if missing and has_nan(values):
        check_finite(np.where(np.isnan(values), 0.0, values), names, parameter)
    else:
        of_training = parameter in ("y", "y_val")
        advice = "Use missing_targets='mask' to leave missing targets out of the loss." if of_training else ""
        check_finite(values, names, parameter, advice)
    return Targets(values, names, ndim)


def _shape_message(shape: tuple[int, ...], parameter: str) -> str:
    return (
        f"{parameter} must have shape (n_samples,) or (n_samples, n_columns) with one column or more. "
        f"Got shape {tuple(shape)} instead."
    )


def check_sample_weight(
    sample_weight: Any, n_rows: int, names: tuple[str, ...], *, parameter: str = "sample_weight"
) -> np.ndarray | None:
    """Check sample weights, per row or per row and column, and divide them by their mean.

    Returns
    -------
    sample_weight : ndarray of shape (n_rows, 1) or (n_rows, n_columns), or None
        None if all weights are equal, which is equivalent to no weights.

    Raises
    ------
    ValueError
        If the shape is not one of these, if a weight is negative, NaN or infinite, or if all weights of a column are
        zero.
    """
    if sample_weight is None:
        return None
    refuse_containers(sample_weight, parameter)
    given = column_names(sample_weight) if hasattr(sample_weight, "columns") else None
    if isinstance(sample_weight, Mapping) or (given is not None and given != names):
        labels = list(given or sample_weight)
        raise ValueError(
            f"The {parameter!r} parameter must be an array, or a data frame with the columns of y in their order: "
            f"{', '.join(map(repr, names))}. Got {type(sample_weight).__name__} of {', '.join(map(repr, labels))}."
        )
    weights = check_array(
        to_numbers(sample_weight, parameter),
        dtype=np.float64,
        ensure_2d=False,
        allow_nd=True,
        ensure_all_finite=False,
        input_name=parameter,
    )
    if weights.shape not in ((n_rows,), (n_rows, len(names))):
        raise ValueError(
            f"The {parameter!r} parameter must have one weight per row, shape ({n_rows},), or one per row and column "
            f"of y, shape ({n_rows}, {len(names)}). Got shape {weights.shape} instead."
        )
    weights = weights.reshape(n_rows, -1)
    check_finite(weights, names if weights.shape[1] > 1 else (parameter,), parameter)
    if (weights < 0).any():
        raise ValueError(f"The {parameter!r} parameter must hold weights of 0 or more. Got {weights.min():g}.")
    empty = np.flatnonzero(~weights.any(axis=0))
    if len(empty):
        of = "" if weights.shape[1] == 1 else f" for {', '.join(repr(names[i]) for i in empty)}"
        raise ValueError(f"The {parameter!r} parameter must hold a weight above zero. All weights are zero{of}.")
    return None if (weights == weights.flat[0]).all() else weights / weights.mean()
