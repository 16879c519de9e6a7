"""X and y checked and cast, with messages that name the column."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import sparse
from sklearn.utils.validation import check_array, check_consistent_length, validate_data
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from skmulti._masked import without_mask

# How the names of types of dates begin.
_OF_TIME = ("date", "time", "duration", "period")
_LARGEST = np.finfo(np.float32).max
# What to do about missing values in a table.
IMPUTE = "Use missing_inputs='impute', or a SimpleImputer."


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
        The number of dimensions of what the user gave, 1 or 2.
    """

    values: np.ndarray
    names: tuple[str, ...]
    ndim: int


def check_targets(y: Any, *, parameter: str = "y", missing: bool = False, keep_float32: bool = False) -> Targets:
    """Check targets and cast them to float64; NaN passes where targets may be missing.

    With `keep_float32`, targets in single precision are not copied.

    Raises
    ------
    ValueError
        If y is sparse, no numbers, has no column or more than two dimensions, names a column twice, or holds
        NaN or infinity; the message names the columns and how many values.
    """
    if y is None:
        raise ValueError(f"The estimator requires {parameter} to be passed, but the target {parameter} is None.")
    if sparse.issparse(y):
        raise ValueError(f"{parameter} must be dense. Got a sparse {type(y).__name__}; use {parameter}.toarray().")
    y = to_numbers(y, parameter)
    names = _column_names(y)
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
        raise ValueError(
            f"{parameter} must have shape (n_samples,) or (n_samples, n_columns) with one column or more. "
            f"Got shape {values.shape} instead."
        )
    if any(stride < 0 for stride in values.strides):
        # Tensors can't share the memory of an array that runs backwards.
        values = values.copy()
    ndim = values.ndim
    values = values[:, None] if ndim == 1 else values
    names = names or tuple(f"y{i}" for i in range(values.shape[1]))
    if missing and has_nan(values):
        check_finite(np.where(np.isnan(values), 0.0, values), names, parameter)
    else:
        advice = "Use missing_targets='mask' to leave missing targets out of the loss." if parameter == "y" else ""
        check_finite(values, names, parameter, advice)
    return Targets(values, names, ndim)


def check_sample_weight(
    sample_weight: Any, n_rows: int, names: tuple[str, ...], *, parameter: str = "sample_weight"
) -> np.ndarray | None:
    """Check weights of rows, or of each row's columns, and divide them by their mean.

    Returns
    -------
    sample_weight : ndarray of shape (n_rows, 1) or (n_rows, n_columns), or None
        None where all weights are equal, which is what no weights are.

    Raises
    ------
    ValueError
        If the shape is another one, or a weight is negative, NaN or infinite, or if all weights of a column
        are zero.
    """
    if sample_weight is None:
        return None
    refuse_containers(sample_weight, parameter)
    given = _column_names(sample_weight) if hasattr(sample_weight, "columns") else None
    if isinstance(sample_weight, Mapping) or (given is not None and given != names):
        came = list(given or sample_weight)
        raise ValueError(
            f"The {parameter!r} parameter must be an array, or a data frame with the columns of y in their order: "
            f"{', '.join(map(repr, names))}. Got {type(sample_weight).__name__} of {', '.join(map(repr, came))}."
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


def check_inputs(
    estimator: Any, X: Any, *, reset: bool, parameter: str = "X", min_samples: int = 1, missing: bool = False
) -> np.ndarray:
    """Check inputs and cast them to the estimator's `_input_dtype`; NaN passes where inputs may be missing.

    See scikit-learn's `validate_data` for what is set and raised.

    Returns
    -------
    X : ndarray of shape (n_samples, ...)
        The input itself where it is such an array already.

    Raises
    ------
    ValueError
        If X is no table of numbers, holds NaN or infinity, has too few rows, or other features or another shape
        than in ``fit``.
    """
    if X is None or (isinstance(X, Mapping) and not sparse.issparse(X)):
        raise ValueError(
            f"{parameter} must be one array, data frame or tensor. Got {type(X).__name__} instead; a module of several "
            "inputs takes them side by side in one array, and parts them in its forward."
        )
    if not reset and _is_as_in_fit(estimator, X):
        if X.dtype != estimator._input_dtype or not X.flags.c_contiguous:
            with np.errstate(over="ignore"):
                X = X.astype(estimator._input_dtype, order="C")
        check_finite(X, None, parameter, missing=missing)
        return X
    X = to_numbers(X, parameter)
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


def has_nan(values: np.ndarray) -> bool:
    """Return whether a value is NaN, with no array of answers where none is."""
    with np.errstate(over="ignore", invalid="ignore"):
        return math.isnan(values.sum()) and bool(np.isnan(values).any())


def _is_as_in_fit(estimator: Any, X: Any) -> bool:
    """Return whether X is an array of floats of the right shape without names, of which there is nothing to ask."""
    return (
        type(X) is np.ndarray
        and X.dtype in (np.float32, np.float64)
        and len(X) > 0
        and X.shape[1:] == estimator.input_shape_
        and not hasattr(estimator, "feature_names_in_")
    )


def check_same_length(parameters: tuple[str, str], *values: Any) -> None:
    """Raise a ValueError if inputs and targets have other numbers of rows."""
    try:
        check_consistent_length(*values)
    except ValueError as error:
        raise ValueError(f"{' and '.join(parameters)} must have the same number of rows. {error}.") from None


@contextmanager
def named(parameter: str) -> Iterator[None]:
    """Let errors of scikit-learn, which speaks of X, speak of the parameter."""
    try:
        yield
    except ValueError as error:
        if parameter == "X":
            raise
        text = str(error)
        raise ValueError(f"{parameter} {text[2:]}" if text.startswith("X ") else f"{parameter}: {text}") from error


def refuse_containers(values: Any, parameter: str) -> None:
    """Raise a TypeError for tables and data sets of other libraries, with what makes an array of them."""
    if type(values) is np.ndarray:
        return
    if sparse.issparse(values):
        raise TypeError(
            f"{parameter} must be dense: {parameter}.toarray(), or what OneHotEncoder(sparse_output=False) gives. "
            f"Sparse data was passed for {parameter}, but dense data is required."
        )
    library = type(values).__module__.split(".")[0]
    cures = {
        ("polars", "LazyFrame"): "{0}.collect()",
        ("pyarrow", "Table"): "{0}.to_pandas()",
        ("pyarrow", "RecordBatch"): "{0}.to_pandas()",
        ("datasets", "Dataset"): "{0}.to_pandas()",
        ("datasets", "DatasetDict"): "the to_pandas() of one of its parts",
        ("datasets", "IterableDataset"): "an array of its rows",
        ("numpy", "matrix"): "np.asarray({0})",
    }
    cure = cures.get((library, type(values).__name__))
    if isinstance(values, (TorchDataset, DataLoader)):
        cure = "arrays or tensors of its inputs and its targets, fit(X, y)"
    if cure is not None:
        raise TypeError(
            f"{parameter} must be an array, a data frame, a tensor or a list of rows. "
            f"Got {type(values).__name__} of {library} instead; use {cure.format(parameter)}."
        )


def to_numbers(values: Any, parameter: str) -> Any:
    """Return the values with nothing in them but numbers, or say what is none."""
    refuse_containers(values, parameter)
    values = without_mask(values)
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        # NumPy has no bfloat16, of which single precision keeps every digit.
        values = (values.float() if values.dtype is torch.bfloat16 else values).numpy()
    if isinstance(values, (list, tuple)):
        values = _stacked(values, parameter)
    if not hasattr(values, "dtype") and not hasattr(values, "__array__") and not hasattr(values, "columns"):
        raise TypeError(
            f"{parameter} must be an array, a data frame, a tensor or a list of rows. Got {_kind(values)} instead."
        )
    if hasattr(values, "columns"):
        refuse_repeated_names(values, parameter)
        for name, label, dtype in zip(_column_names(values) or (), values.columns, values.dtypes, strict=True):
            _refuse_non_numeric(values[label], dtype, f"{parameter}, column {name!r},")
    elif isinstance(getattr(values, "dtype", None), np.dtype) and values.dtype.kind in "OSU":
        _refuse_non_numeric(values, values.dtype, parameter)
        return np.asarray(values, dtype=np.float64) if isinstance(values, np.ndarray) else values
    elif hasattr(values, "dtype"):
        _refuse_non_numeric(values, values.dtype, parameter)
    return values


def _stacked(values: Any, parameter: str) -> np.ndarray:
    """Return a list of rows as an array."""
    try:
        return np.asarray(values)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{parameter} must be an array, or a list of rows of numbers that are all of one length. "
            f"Got a {type(values).__name__} of which NumPy can make no array: {error}"
        ) from error


def _kind(values: Any) -> str:
    """Return what something is, with its value where that is short."""
    return repr(values) if isinstance(values, (str, int, float)) and len(repr(values)) < 40 else type(values).__name__


def _column_names(values: Any) -> tuple[str, ...] | None:
    if hasattr(values, "columns"):
        return tuple(map(str, values.columns))
    name = getattr(values, "name", None)
    return None if name is None or not hasattr(values, "dtype") else (str(name),)


def refuse_repeated_names(values: Any, parameter: str) -> None:
    """Raise a ValueError if a data frame has two columns of one name."""
    names = _column_names(values) or ()
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{parameter} must name each column once. Got {', '.join(map(repr, twice))} twice.")


def _refuse_non_numeric(values: Any, dtype: Any, what: str) -> None:
    """Refuse values that can't be read as real numbers; `what` names them."""
    text = str(dtype).lower()
    if text.startswith("complex"):
        raise ValueError(f"Complex data not supported. {what} must hold real numbers. Got dtype {dtype} instead.")
    if text.startswith("sparse"):
        raise ValueError(f"{what} must be dense. Got dtype {dtype} instead; use the data frame's .sparse.to_dense().")
    advice = "Encode it first, for example with a ColumnTransformer."
    if what.startswith("X") and not text.startswith(("interval", *_OF_TIME)):
        advice += " Or use categorical_inputs='one_hot', for columns of categories or words in a data frame."
    if text.startswith(("cat", "enum", "interval", *_OF_TIME)):
        raise ValueError(f"{what} must hold numbers. Got dtype {dtype} instead. {advice}")
    if text.startswith(("obj", "str", "utf8", "<u", "|s")):
        try:
            np.asarray(values, dtype=np.float64)
        except (ValueError, TypeError) as error:
            raise type(error)(f"{what} must hold numbers. Got dtype {dtype}: {error}. {advice}") from error


def _refuse_other_shape(estimator: Any, shape: tuple[int, ...] | None, parameter: str) -> None:
    """Refuse another shape of one row; of tables scikit-learn speaks, which knows the names of features."""
    expected = estimator.input_shape_
    single = f" Use {parameter}[None] for a single row." if tuple(shape or ()) == expected else ""
    if shape and tuple(shape[1:]) != expected and (len(expected) > 1 or len(shape) > 2):
        raise ValueError(
            f"{parameter} must have shape (n_samples, {', '.join(map(str, expected))}), as in fit. "
            f"Got shape {tuple(shape)} instead.{single}"
        )


def check_finite(values: np.ndarray, names: Any, parameter: str, advice: str = "", *, missing: bool = False) -> None:
    # One pass over the data where all is well: a sum is finite only if all of its parts are.
    with np.errstate(over="ignore", invalid="ignore"):
        finite = math.isfinite(values.sum())
        if finite and (values.dtype == np.float32 or np.max(np.abs(values), initial=0.0) <= _LARGEST):
            return
    too_large = "infinity or a value too large for float32"
    for what, bad in (("NaN", np.isnan(values) & (not missing)), (too_large, np.abs(values) > _LARGEST)):
        if bad.any():
            hint = f" {advice}" if advice and what == "NaN" else ""
            where = _where(bad, names)
            raise ValueError(f"Input {parameter} contains {what}: {where}. It must be finite throughout.{hint}")


def _where(bad: np.ndarray, names: Any) -> str:
    if bad.ndim > 2:
        n_values, n_rows = int(bad.sum()), int(bad.reshape(len(bad), -1).any(1).sum())
        return f"{n_values} value{'s' * (n_values > 1)} in {n_rows} row{'s' * (n_rows > 1)}"
    counts = bad.reshape(len(bad), -1).sum(0)
    columns = np.flatnonzero(counts)
    labels = [f"column {i}" if names is None else repr(names[i]) for i in columns[:10]]
    shown = [f"{label} has {counts[i]}" for label, i in zip(labels, columns, strict=False)]
    more = f", and {len(columns) - 10} more columns" if len(columns) > 10 else ""
    return ", ".join(shown) + more
