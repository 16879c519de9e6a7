"""One-hot encoding of data frames with categories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils.validation import check_array

from skmulti._checks import check_finite, to_numbers, warn
from skmulti.inputs.validation import IMPUTE

# Beyond this many categories the infrequent ones are merged: a column of identifiers would otherwise add as many inputs
# as there are rows.
_MOST_CATEGORIES = 50
# The fraction of a column's strings that must be numbers for a warning: a few placeholders such as "?" among numbers
# turn a whole column into strings.
_NEARLY_ALL = 0.9


@dataclass(frozen=True)
class TableEncoder:
    """The map from a data frame with categories to numbers, by one-hot encoding.

    Missing values form a category of their own, and categories unseen in `fit` are encoded as zeros. Beyond 50
    categories the infrequent ones are merged.

    Attributes
    ----------
    categorical : list of int
        The positions of the columns with categories.
    one_hot : OneHotEncoder
        The fitted encoder of these columns.

    Examples
    --------
    >>> import pandas as pd
    >>> from skmulti.inputs.categories import TableEncoder
    >>> frame = pd.DataFrame({"colour": ["red", "blue"], "size": [1.5, 2.0]})
    >>> TableEncoder.fit(frame).transform(frame)
    array([[1.5, 0. , 1. ],
           [2. , 1. , 0. ]])
    """

    categorical: list[int]
    one_hot: OneHotEncoder

    @classmethod
    def is_for(cls, X: Any) -> bool:
        """Return whether X is a data frame with a column of categories or strings."""
        return hasattr(X, "columns") and bool(_categorical(X))

    @classmethod
    def fit(cls, X: Any) -> TableEncoder:
        """Learn the categories of a data frame; warn if nearly all values of a column of strings are numbers."""
        categorical = _categorical(X)
        labels = _labels(X, categorical)
        for place, i in enumerate(categorical):
            _warn_of_numbers(X, i, labels[:, place])
        one_hot = OneHotEncoder(handle_unknown="ignore", max_categories=_MOST_CATEGORIES, sparse_output=False)
        return cls(categorical, one_hot.fit(labels))

    def transform(self, X: Any, *, missing: bool = True, parameter: str = "X") -> np.ndarray:
        """Return the numeric columns, followed by one column for each category.

        Parameters
        ----------
        X : data frame, or array of objects with its columns
            The inputs.
        missing : bool, default=True
            Whether numeric columns may contain NaN.
        parameter : str, default="X"
            The name of X in messages.

        Returns
        -------
        X : ndarray of shape (n_rows, n_columns), float64
            NaN where a numeric value is missing.

        Raises
        ------
        ValueError
            If a column that held numbers in `fit` does not, or contains infinity, or NaN although `missing` is False.
        """
        labels = _labels(X, self.categorical)
        numeric = [i for i in range(X.shape[1]) if i not in self.categorical]
        numbers = np.empty((len(labels), 0))
        if numeric:
            chosen = to_numbers(X.iloc[:, numeric] if hasattr(X, "iloc") else X[:, numeric], parameter, fitted=True)
            numbers = check_array(chosen, dtype=np.float64, ensure_all_finite=False, input_name=parameter)
            check_finite(numbers, getattr(chosen, "columns", None), parameter, IMPUTE, missing=missing)
        return np.concatenate([numbers, self.one_hot.transform(labels)], axis=1)


def as_table(X: Any, parameter: str) -> Any:
    """Return data frames and two-dimensional arrays unchanged, lists of rows as an array of objects; refuse others."""
    if isinstance(X, (list, tuple)) and len({len(row) if hasattr(row, "__len__") else -1 for row in X}) == 1:
        rows, X = X, np.empty((len(X), len(X[0]) if hasattr(X[0], "__len__") else 1), dtype=object)
        X[:] = rows if hasattr(rows[0], "__len__") else [[row] for row in rows]
    if hasattr(X, "columns") or (isinstance(X, np.ndarray) and X.ndim == 2):
        return X
    raise ValueError(
        f"{parameter} must be a data frame with the columns of fit, or an array of shape (n_samples, n_features) with "
        f"their values. Got {type(X).__name__} instead."
    )


def _categorical(X: Any) -> list[int]:
    """Return the positions of columns with categories or strings. An object column that holds numbers is numeric."""
    found = []
    for i, dtype in enumerate(X.dtypes):
        kind = str(dtype).lower()
        if kind.startswith(("cat", "enum", "str", "utf8")) or (kind == "object" and not _are_numbers(_column(X, i))):
            found.append(i)
    return found


def _column(X: Any, i: int) -> Any:
    return X.iloc[:, i] if hasattr(X, "iloc") else X[:, i]


def _are_numbers(values: Any) -> bool:
    try:
        np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        return False
    return True


def _warn_of_numbers(X: Any, i: int, labels: np.ndarray) -> None:
    """Warn if nearly all values of a column of strings are numbers: one-hot encoding loses their order and distances.

    A categorical dtype states that the values are categories, so such a column passes.
    """
    present = [label for label in labels if label]
    if not present or str(list(X.dtypes)[i]).lower().startswith(("cat", "enum")):
        return
    others = [label for label in present if not _are_numbers([label])]
    n_numbers = len(present) - len(others)
    if n_numbers < _NEARLY_ALL * len(present):
        return
    but = f", all but {', '.join(map(repr, sorted(set(others))[:3]))}" if others else ""
    first = ", after replacing the others by NaN" if others else ""
    warn(
        f"X, column {str(X.columns[i])!r}, has strings of which {n_numbers} of {len(present)} are "
        f"numbers{but}; they are one-hot encoded. For numbers use astype(float){first}; for categories use "
        'astype("category"), which silences this warning.'
    )


def _labels(X: Any, columns: list[int]) -> np.ndarray:
    """Return columns of categories as strings, and "" where one is missing."""
    labels = np.empty((len(X), len(columns)), dtype=object)
    for place, i in enumerate(columns):
        values = list(_column(X, i))
        _refuse_collections(values, str(X.columns[i]) if hasattr(X, "columns") else i)
        labels[:, place] = [_label(value) for value in values]
    return labels


def _refuse_collections(values: list[Any], column: str | int) -> None:
    """Raise a ValueError if a cell holds several values: each would become a category of its own."""
    for row, value in enumerate(values):
        if isinstance(value, (list, set, dict, np.ndarray)):
            raise ValueError(
                f"X, column {column!r}, must hold one number or one category in each row. Got a "
                f"{type(value).__name__} in row {row}: {str(value)[:40]}; use one column for each of its values."
            )


def _label(value: Any) -> str:
    # NaN differs from itself; a comparison with pandas' NA is NA, whose truth value is an error.
    if value is None or type(value).__name__ == "NAType" or (isinstance(value, float) and value != value):
        return ""
    # pandas reads an integer column as floats if a value is missing: 1 and 1.0 must be one category.
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
