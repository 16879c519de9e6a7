"""Validation that all rooms share: numeric, finite and named data, suggestions, warnings."""

from __future__ import annotations

import difflib
import math
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from scipy import sparse
from sklearn.utils.validation import check_consistent_length
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

# The first letters of the dtypes of dates and durations in pandas, polars and pyarrow.
_DATES = ("date", "time", "duration", "period")
# Networks train in single precision, in which larger values are infinite.
_LARGEST = np.finfo(np.float32).max
# Two words of three letters that share two of them have a similarity of 2/3, above difflib's cutoff of 0.6.
_CUTOFF_FOR_SHORT_NAMES = 0.7


def nearest(value: Any, options: Iterable[Any]) -> str | None:
    """Return the string among the options that is spelled most like `value`, None if there is none.

    Examples
    --------
    >>> from skmulti._checks import nearest
    >>> nearest("huberr", ["huber", "pinball"])
    'huber'
    """
    near = difflib.get_close_matches(str(value), [option for option in options if isinstance(option, str)], n=1)
    if not near:
        return None
    # "rnn" is another network, not a misspelled "cnn"; "mpl" and "hh" have the letters of "mlp" and "h".
    is_short, same_letters = len(near[0]) <= 3, set(str(value).lower()) == set(near[0].lower())
    similarity = difflib.SequenceMatcher(None, near[0], str(value)).ratio()
    return None if is_short and not same_letters and similarity < _CUTOFF_FOR_SHORT_NAMES else near[0]


def did_you_mean(value: Any, options: Iterable[Any], form: str = "{}") -> str:
    """Return a sentence with the option that is spelled most like `value`, empty if there is none.

    Parameters
    ----------
    value : object
        The unknown name.
    options : iterable
        The known names; those that are not strings are ignored.
    form : str, default="{}"
        How the suggestion is written, with braces for the option.

    Examples
    --------
    >>> from skmulti._checks import did_you_mean
    >>> did_you_mean("los", ["loss"], "{}__area")
    " Did you mean 'loss__area'?"
    """
    near = nearest(value, options)
    return "" if near is None else f" Did you mean {form.format(near)!r}?"


def series_labels(values: Any) -> tuple[Any, ...] | None:
    """Return the index of a pandas Series whose index holds names, None for anything else.

    Examples
    --------
    >>> import pandas as pd
    >>> from skmulti._checks import series_labels
    >>> series_labels(pd.Series({"angle": 1.0, "area": 2.0}))
    ('angle', 'area')
    >>> series_labels(pd.Series([1.0, 2.0])) is None
    True
    """
    index: Any = getattr(values, "index", None)
    # The `index` of a list or a tuple is a method.
    labels = tuple(index) if hasattr(index, "dtype") and np.ndim(values) == 1 else ()
    return labels if any(isinstance(label, str) for label in labels) else None


def has_nan(values: np.ndarray) -> bool:
    """Return whether a value is NaN, without an array of booleans in the usual case: a finite sum has no NaN."""
    with np.errstate(over="ignore", invalid="ignore"):
        return math.isnan(values.sum()) and bool(np.isnan(values).any())


def check_same_length(parameters: tuple[str, str], *values: Any) -> None:
    """Raise a ValueError if inputs and targets have different numbers of rows."""
    try:
        check_consistent_length(*values)
    except ValueError as error:
        raise ValueError(f"{' and '.join(parameters)} must have the same number of rows. {error}.") from None


@contextmanager
def named(parameter: str) -> Iterator[None]:
    """Put the name of the parameter into errors of scikit-learn, which always names X."""
    try:
        yield
    except ValueError as error:
        if parameter == "X":
            raise
        text = str(error)
        raise ValueError(f"{parameter} {text[2:]}" if text.startswith("X ") else f"{parameter}: {text}") from error


def refuse_containers(values: Any, parameter: str) -> None:
    """Raise a TypeError for containers that are not arrays, with the conversion that makes an array of them."""
    if isinstance(values, np.ndarray) and values.dtype.names is not None:
        raise TypeError(
            f"{parameter} must be an array of one dtype. Got a structured array with the fields "
            f"{', '.join(map(repr, values.dtype.names))}; use pandas.DataFrame({parameter}), or "
            f"numpy.lib.recfunctions.structured_to_unstructured({parameter})."
        )
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
        ("datasets", "DatasetDict"): "the to_pandas() of one of its splits",
        ("datasets", "IterableDataset"): "an array of its rows",
        ("numpy", "matrix"): "np.asarray({0})",
    }
    cure = cures.get((library, type(values).__name__))
    if isinstance(values, (TorchDataset, DataLoader)):
        cure = "arrays or tensors of its inputs and its targets, fit(X, y) and predict(X)"
    if cure is not None:
        raise TypeError(
            f"{parameter} must be an array, a data frame, a tensor or a list of rows. "
            f"Got {type(values).__name__} of {library} instead; use {cure.format(parameter)}."
        )


def to_numbers(values: Any, parameter: str, *, fitted: bool = False) -> Any:
    """Return values that can be read as real numbers, or refuse them.

    Parameters
    ----------
    values : object
        An array, a data frame, a tensor or a list of rows.
    parameter : str
        The name of the values in messages.
    fitted : bool, default=False
        Whether the same columns held numbers in `fit`; the message then advises to convert them.

    Raises
    ------
    TypeError
        If the values are of a type that no array is made of.
    ValueError
        If a value is not a number; the message names the column.
    """
    refuse_containers(values, parameter)
    values = without_mask(values)
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        # NumPy has no bfloat16; float32 represents all of its values exactly.
        values = (values.float() if values.dtype is torch.bfloat16 else values).numpy()
    if isinstance(values, (list, tuple)):
        values = _stacked(values, parameter)
    if not hasattr(values, "dtype") and not hasattr(values, "__array__") and not hasattr(values, "columns"):
        raise TypeError(
            f"{parameter} must be an array, a data frame, a tensor or a list of rows. Got {_kind(values)} instead."
        )
    if hasattr(values, "columns"):
        refuse_repeated_names(values, parameter)
        for name, label, dtype in zip(column_names(values) or (), values.columns, values.dtypes, strict=True):
            _refuse_non_numeric(values[label], dtype, f"{parameter}, column {name!r},", fitted=fitted)
    elif isinstance(getattr(values, "dtype", None), np.dtype) and values.dtype.kind in "OSU":
        _refuse_non_numeric(values, values.dtype, parameter, fitted=fitted)
        return np.asarray(values, dtype=np.float64) if isinstance(values, np.ndarray) else values
    elif hasattr(values, "dtype"):
        _refuse_non_numeric(values, values.dtype, parameter, fitted=fitted)
    return values


def _stacked(values: Any, parameter: str) -> np.ndarray:
    """Return a list of rows as an array, or raise a ValueError if the rows differ in length."""
    try:
        return np.asarray(values)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{parameter} must be an array, or a list of rows of numbers of the same length. "
            f"Got a {type(values).__name__} that NumPy cannot convert: {error}"
        ) from error


def _kind(values: Any) -> str:
    """Return the value of a short string or number, and the name of the type of anything else."""
    return repr(values) if isinstance(values, (str, int, float)) and len(repr(values)) < 40 else type(values).__name__


def column_names(values: Any) -> tuple[str, ...] | None:
    """Return the names of a data frame's columns, or of a Series, as strings; None for anything else."""
    if hasattr(values, "columns"):
        return tuple(map(str, values.columns))
    name = getattr(values, "name", None)
    return None if name is None or not hasattr(values, "dtype") else (str(name),)


def refuse_repeated_names(values: Any, parameter: str) -> None:
    """Raise a ValueError if a data frame has two columns with the same name."""
    names = column_names(values) or ()
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{parameter} must name each column once. Got {', '.join(map(repr, twice))} twice.")


def _refuse_non_numeric(values: Any, dtype: Any, what: str, *, fitted: bool = False) -> None:
    """Raise an error if values cannot be read as real numbers; `what` is their name in the message."""
    text = str(dtype).lower()
    if text.startswith("complex"):
        raise ValueError(f"Complex data not supported. {what} must hold real numbers. Got dtype {dtype} instead.")
    if text.startswith("sparse"):
        raise ValueError(f"{what} must be dense. Got dtype {dtype} instead; use the data frame's .sparse.to_dense().")
    advice = "Encode it first, for example with a ColumnTransformer."
    if what.startswith("X") and not text.startswith(("interval", *_DATES)):
        advice += " Or use categorical_inputs='one_hot', for columns of categories or strings in a data frame."
    if fitted and not text.startswith(("interval", *_DATES)):
        what = f"{what.removesuffix(',')}, which held numbers in fit,"
        advice = "Convert it to numbers, with NaN for missing values."
    if text.startswith(("cat", "enum", "interval", *_DATES)):
        raise ValueError(f"{what} must hold numbers. Got dtype {dtype} instead. {advice}")
    if text.startswith(("obj", "str", "utf8", "<u", "|s")):
        try:
            np.asarray(values, dtype=np.float64)
        except (ValueError, TypeError) as error:
            raise type(error)(f"{what} must hold numbers. Got dtype {dtype}: {error}. {advice}") from error


def check_finite(values: np.ndarray, names: Any, parameter: str, advice: str = "", *, missing: bool = False) -> None:
    """Raise a ValueError if values contain NaN, infinity or values too large for float32, with a count per column.

    Parameters
    ----------
    values : ndarray of shape (n_rows, ...)
        The values.
    names : sequence of str or None
        The names of the columns; None for positions.
    parameter : str
        The name of the values in messages.
    advice : str, default=""
        What to do about NaN, added to the message.
    missing : bool, default=False
        Whether values may be NaN.
    """
    # One pass over valid data: a sum is finite only if all of its summands are.
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
    """Return the number of bad values per column, or in all rows of an array of images."""
    if bad.ndim > 2:
        n_values, n_rows = int(bad.sum()), int(bad.reshape(len(bad), -1).any(1).sum())
        return f"{n_values} value{'s' * (n_values > 1)} in {n_rows} row{'s' * (n_rows > 1)}"
    counts = bad.reshape(len(bad), -1).sum(0)
    columns = np.flatnonzero(counts)
    labels = [f"column {i}" if names is None else repr(names[i]) for i in columns[:10]]
    shown = [f"{label} has {counts[i]}" for label, i in zip(labels, columns, strict=False)]
    more = f", and {len(columns) - 10} more columns" if len(columns) > 10 else ""
    return ", ".join(shown) + more


def without_mask(values: Any) -> Any:
    """Return a masked array as an ordinary array with NaN where it is masked, and anything else unchanged.

    scikit-learn's validation and `numpy.asarray` drop the mask and keep the values under it.

    Parameters
    ----------
    values : object
        A masked array, a list of masked arrays, or anything else.

    Returns
    -------
    values : object
        An ndarray for a masked array, in double precision if it holds integers of which some are masked.

    Examples
    --------
    >>> import numpy as np
    >>> from skmulti._checks import without_mask
    >>> without_mask(np.ma.array([1, -999], mask=[False, True]))
    array([ 1., nan])
    """
    if isinstance(values, (list, tuple)) and any(isinstance(row, np.ma.MaskedArray) for row in values):
        values = np.ma.asarray(values)
    if not isinstance(values, np.ma.MaskedArray):
        return values
    if not np.ma.is_masked(values) or values.dtype.kind not in "biufcOUS":
        return np.asarray(values)
    kind = values.dtype.kind
    numbers = float if kind in "biu" else object if kind in "US" else values.dtype
    return np.ma.filled(values.astype(numbers), np.nan)


# Packages whose frames stand between the user's call and the cause of a warning: searches, pipelines, skorch's loop,
# workers and decorators.
_LIBRARIES = {"concurrent", "contextlib", "functools", "joblib", "skmulti", "sklearn", "skorch", "threading", "torch"}


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn with the file and the line of the user's call, the first frame outside of the libraries.

    The `skip_file_prefixes` of `warnings.warn`, which does the same, needs Python 3.12.

    Parameters
    ----------
    message : str
        The problem and the way out.
    category : type of Warning, default=UserWarning
        The class of the warning.

    Examples
    --------
    >>> import warnings
    >>> from skmulti._checks import warn
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn("The units look wrong.")
    >>> str(caught[0].message)
    'The units look wrong.'
    """
    frame = sys._getframe(1)
    while frame.f_back is not None and _package(frame.f_globals) in _LIBRARIES:
        frame = frame.f_back
    warnings.warn_explicit(
        message,
        category,
        frame.f_code.co_filename,
        frame.f_lineno,
        module=frame.f_globals.get("__name__"),
        registry=frame.f_globals.setdefault("__warningregistry__", {}),
    )


def _package(names: dict[str, object]) -> str:
    return str(names.get("__name__", "")).partition(".")[0]
