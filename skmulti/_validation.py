"""X and y checked and cast, with messages that name the column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import sparse
from sklearn.utils.validation import check_array, check_consistent_length, validate_data


@dataclass(frozen=True)
class Targets:
    """Checked targets.

    Attributes
    ----------
    values : ndarray of shape (n_samples, n_columns), float64
        The targets.
    names : tuple of str
        One name per column: the data frame's, the series', or ``y0``, ``y1``, ...
    ndim : int
        The number of dimensions of what the user gave, 1 or 2.
    """

    values: np.ndarray
    names: tuple[str, ...]
    ndim: int


def check_targets(y: Any, *, parameter: str = "y") -> Targets:
    """Check targets and cast them to float64.

    Raises
    ------
    ValueError
        If y is sparse, no numbers, has no column or more than two dimensions, names a column twice, or holds
        NaN or infinity; the message names the columns and how many values.
    """
    if sparse.issparse(y):
        raise ValueError(f"{parameter} must be dense. Got a sparse {type(y).__name__}; use {parameter}.toarray().")
    y = _from_torch(y)
    names = _column_names(y)
    _refuse_non_numeric_columns(y, names, parameter)
    values = check_array(
        y, dtype=np.float64, ensure_2d=False, ensure_all_finite=False, input_name=parameter, ensure_min_samples=0
    )
    if values.ndim not in (1, 2) or (values.ndim == 2 and values.shape[1] == 0):
        raise ValueError(
            f"{parameter} must have shape (n_samples,) or (n_samples, n_columns) with one column or more. "
            f"Got shape {values.shape} instead."
        )
    ndim = values.ndim
    values = values.reshape(len(values), -1)
    names = names or tuple(f"y{i}" for i in range(values.shape[1]))
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{parameter} must name each column once. Got {', '.join(map(repr, twice))} twice.")
    _refuse_non_finite(values, names, parameter)
    return Targets(values, names, ndim)


def check_inputs(estimator: Any, X: Any, *, reset: bool, parameter: str = "X", min_samples: int = 1) -> np.ndarray:
    """Check inputs and cast them to float32; see scikit-learn's `validate_data` for what is set and raised.

    Returns
    -------
    X : ndarray of shape (n_samples, ...), float32
        The input itself where it is such an array already.

    Raises
    ------
    ValueError
        If X is no table of numbers, holds NaN or infinity, has too few rows, or other features or another shape
        than in ``fit``.
    """
    X = _from_torch(X)
    _refuse_non_numeric_columns(X, _column_names(X), parameter)
    if not reset:
        _refuse_other_shape(estimator, getattr(X, "shape", None), parameter)
    with np.errstate(over="ignore"):
        X_checked: np.ndarray = validate_data(
            estimator,
            X,
            reset=reset,
            skip_check_array=False,
            dtype=np.float32,
            order="C",
            allow_nd=True,
            ensure_all_finite=False,
            ensure_min_samples=min_samples,
        )
    if not reset:
        _refuse_other_shape(estimator, X_checked.shape, parameter)
    _refuse_non_finite(X_checked, getattr(estimator, "feature_names_in_", None), parameter)
    return X_checked


def check_same_length(X: Any, y: Any) -> None:
    """Raise ValueError unless X and y have the same number of rows."""
    check_consistent_length(X, y)


def _from_torch(values: Any) -> Any:
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else values


def _column_names(values: Any) -> tuple[str, ...] | None:
    if hasattr(values, "columns"):
        return tuple(map(str, values.columns))
    name = getattr(values, "name", None)
    return None if name is None or not hasattr(values, "dtype") else (str(name),)


def _refuse_non_numeric_columns(values: Any, names: tuple[str, ...] | None, parameter: str) -> None:
    dtypes = getattr(values, "dtypes", None)
    if names is None or dtypes is None or not hasattr(values, "columns"):
        return
    for name, dtype in zip(names, dtypes, strict=True):
        text = str(dtype).lower()
        if text.startswith(("str", "cat", "enum", "date", "time", "duration", "utf8")):
            raise ValueError(
                f"{parameter} must hold numbers. The column {name!r} is of dtype {dtype}; encode it first, for example "
                "with a ColumnTransformer."
            )


def _refuse_other_shape(estimator: Any, shape: tuple[int, ...] | None, parameter: str) -> None:
    """Refuse another shape of one row; of tables scikit-learn speaks, which knows the names of features."""
    expected = estimator.input_shape_
    if shape and tuple(shape[1:]) != expected and (len(expected) > 1 or len(shape) > 2):
        raise ValueError(
            f"{parameter} must have shape (n_samples, {', '.join(map(str, expected))}), as in fit. "
            f"Got shape {tuple(shape)} instead."
        )


def _refuse_non_finite(values: np.ndarray, names: Any, parameter: str) -> None:
    # One pass over the data where all is well: a sum is finite only if all of its parts are.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(np.sum(values, dtype=np.float64)):
            return
    for kind, bad in (("NaN", np.isnan(values)), ("infinity", np.isinf(values))):
        if not bad.any():
            continue
        what = "infinity or a value too large for float32" if kind == "infinity" and parameter == "X" else kind
        raise ValueError(f"Input {parameter} contains {what}: {_where(bad, names)}. It must be finite throughout.")


def _where(bad: np.ndarray, names: Any) -> str:
    if bad.ndim > 2:
        return f"{int(bad.sum())} values in {int(bad.reshape(len(bad), -1).any(1).sum())} rows"
    counts = bad.reshape(len(bad), -1).sum(0)
    columns = np.flatnonzero(counts)
    labels = [f"column {i}" if names is None else repr(names[i]) for i in columns[:10]]
    shown = [f"{label} has {counts[i]}" for label, i in zip(labels, columns, strict=False)]
    more = f", and {len(columns) - 10} more columns" if len(columns) > 10 else ""
    return ", ".join(shown) + more
