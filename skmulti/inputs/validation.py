"""Validation of X, with messages that name the column."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils.validation import validate_data

from skmulti._checks import check_finite, named, to_numbers

# The advice for missing values in a table.
IMPUTE = "Use missing_inputs='impute', or a SimpleImputer."


def check_inputs(
    estimator: Any, X: Any, *, reset: bool, parameter: str = "X", min_samples: int = 1, missing: bool = False
) -> np.ndarray:
    """Check inputs and cast them to the estimator's `_input_dtype`.

    See scikit-learn's `validate_data` for the attributes that it sets and the errors that it raises.

    Parameters
    ----------
    estimator : estimator
        The net, whose `n_features_in_` and `feature_names_in_` are set or compared.
    X : array-like
        The inputs.
    reset : bool
        True in `fit`; False compares X with the inputs of `fit`.
    parameter : str, default="X"
        The name of X in messages.
    min_samples : int, default=1
        The least number of rows.
    missing : bool, default=False
        Whether tables may contain NaN.

    Returns
    -------
    X : ndarray of shape (n_samples, ...)
        Not a copy if X is such an array already.

    Raises
    ------
    ValueError
        If X is not numeric, contains NaN or infinity, has too few rows, or has other features or another shape than in
        ``fit``.
    """
    if X is None or (isinstance(X, Mapping) and not sparse.issparse(X)):
        raise ValueError(
            f"{parameter} must be one array, data frame or tensor. Got {type(X).__name__} instead; a module with "
            "several inputs takes them concatenated in one array, and splits them in its forward."
        )
    if not reset and _is_as_in_fit(estimator, X):
        if X.dtype != estimator._input_dtype or not X.flags.c_contiguous:
            with np.errstate(over="ignore"):
                X = X.astype(estimator._input_dtype, order="C")
        check_finite(X, None, parameter, missing=missing)
        return X
    X = to_numbers(X, parameter, fitted=not reset)
    if not reset:
        _refuse_other_shape(estimator, getattr(X, "shape", None), parameter)
    with np.errstate(over="ignore"), named(parameter):
        X_checked: np.ndarray = validate_data(
            estimator,
            X,
            reset=reset,
            skip_check_array=False,
            dtype=estimator._input_dtype,
            order="C",
            allow_nd=True,
            ensure_all_finite=False,
            ensure_min_samples=min_samples,
        )
    if not reset:
        _refuse_other_shape(estimator, X_checked.shape, parameter)
    advice = IMPUTE if X_checked.ndim == 2 and not estimator._reads_images() else ""
    names = getattr(estimator, "feature_names_in_", None)
    check_finite(X_checked, names, parameter, advice, missing=missing and X_checked.ndim == 2)
    return X_checked


def _is_as_in_fit(estimator: Any, X: Any) -> bool:
    """Return whether X is a float array of the shape of `fit`, for which the slower `validate_data` is not needed."""
    return (
        type(X) is np.ndarray
        and X.dtype in (np.float32, np.float64)
        and len(X) > 0
        and X.shape[1:] == estimator.input_shape_
        and not hasattr(estimator, "feature_names_in_")
    )


def _refuse_other_shape(estimator: Any, shape: tuple[int, ...] | None, parameter: str) -> None:
    """Refuse images of another shape than in `fit`. For tables, scikit-learn's message names the features."""
    expected = estimator.input_shape_
    single = f" Use {parameter}[None] for a single row." if tuple(shape or ()) == expected else ""
    if shape and tuple(shape[1:]) != expected and (len(expected) > 1 or len(shape) > 2):
        raise ValueError(
            f"{parameter} must have shape (n_samples, {', '.join(map(str, expected))}), as in fit. "
            f"Got shape {tuple(shape)} instead.{single}"
        )
