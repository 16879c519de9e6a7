"""The forms in which the same numbers come: arrays of many layouts, lists, tensors, data frames."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import torch
from scipy import sparse


@dataclass(frozen=True)
class Container:
    """A form of numbers.

    Attributes
    ----------
    give : callable
        From an array of float64 to the form.
    represents : callable
        From an array of float64 to the nearest numbers that the form can hold.
    ndim : int or None
        The number of dimensions that it takes; None for any.
    refusable : bool
        Whether an estimator may refuse it.
    """

    give: Callable[[np.ndarray], Any]
    represents: Callable[[np.ndarray], np.ndarray] = lambda X: X
    ndim: int | None = None
    refusable: bool = False


def _through(dtype: Any) -> Callable[[np.ndarray], np.ndarray]:
    return lambda X: X.astype(dtype).astype(np.float64)


def _whole(X: np.ndarray) -> np.ndarray:
    """Return whole numbers from 0 to 100, with gaps for none: they fit into each type of integers."""
    return np.rint(20 * X + 50).clip(0, 100)


def _bfloat16(X: np.ndarray) -> np.ndarray:
    return torch.from_numpy(X.copy()).bfloat16().double().numpy()


def _backwards(X: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(X[::-1])[::-1]


def _every_other(X: np.ndarray) -> np.ndarray:
    wide = np.zeros((2 * len(X), *X.shape[1:]))
    wide[::2] = X
    return wide[::2]


def _read_only(X: np.ndarray) -> np.ndarray:
    X = X.copy()
    X.flags.writeable = False
    return X


def _memmap(X: np.ndarray) -> Any:
    with tempfile.NamedTemporaryFile() as file:
        X.tofile(file.name)
        return np.memmap(file.name, dtype=X.dtype, mode="r", shape=X.shape)


def _frame(X: np.ndarray, dtype: Any = None) -> pd.DataFrame:
    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
    return frame if dtype is None else frame.astype(dtype)


def _polars(X: np.ndarray, dtype: Any = pl.Float64) -> pl.DataFrame:
    return pl.DataFrame({f"x{i}": pl.Series(X[:, i].tolist(), dtype=pl.Float64).cast(dtype) for i in range(X.shape[1])})


CONTAINERS = {
    "float64": Container(lambda X: X.copy()),
    "float32": Container(lambda X: X.astype(np.float32), _through(np.float32)),
    "float16": Container(lambda X: X.astype(np.float16), _through(np.float16)),
    "longdouble": Container(lambda X: X.astype(np.longdouble)),
    "big endian": Container(lambda X: X.astype(">f8")),
    "int64": Container(lambda X: X.astype(np.int64), _whole),
    "int8": Container(lambda X: X.astype(np.int8), _whole),
    "uint8": Container(lambda X: X.astype(np.uint8), _whole),
    "bool": Container(lambda X: X.astype(bool), lambda X: (X > 0).astype(float)),
    "object": Container(lambda X: X.astype(object)),
    "strings of numbers": Container(lambda X: X.astype(str), lambda X: X, None, True),
    "Fortran order": Container(np.asfortranarray),
    "negative strides": Container(_backwards),
    "strides": Container(_every_other),
    "read-only": Container(_read_only),
    "read-only float32": Container(lambda X: _read_only(X.astype(np.float32)), _through(np.float32)),
    "memmap": Container(_memmap),
    "list": Container(lambda X: X.tolist()),
    "tuple": Container(lambda X: tuple(map(tuple, X.tolist())) if X.ndim == 2 else tuple(X.tolist())),
    "list of arrays": Container(list),
    "masked array without a mask": Container(lambda X: np.ma.MaskedArray(X.copy())),
    "scipy sparse": Container(sparse.csr_matrix, lambda X: X, 2, True),
    "matrix": Container(np.matrix, lambda X: X, 2, True),
    "tensor of float32": Container(lambda X: torch.tensor(X, dtype=torch.float32), _through(np.float32)),
    "tensor of float64": Container(lambda X: torch.tensor(X)),
    "tensor of float16": Container(lambda X: torch.tensor(X).half(), _through(np.float16)),
    "tensor of bfloat16": Container(lambda X: torch.tensor(X).bfloat16(), _bfloat16),
    "tensor of int64": Container(lambda X: torch.tensor(X).long(), _whole),
    "tensor of bool": Container(lambda X: torch.tensor(X).bool(), lambda X: (X > 0).astype(float)),
    "tensor with a gradient": Container(lambda X: torch.tensor(X, requires_grad=True)),
    "transposed tensor": Container(lambda X: torch.tensor(np.ascontiguousarray(X.T)).T, lambda X: X, 2),
    "pandas": Container(_frame, lambda X: X, 2),
    "pandas float32": Container(lambda X: _frame(X, np.float32), _through(np.float32), 2),
    "pandas Float64": Container(lambda X: _frame(X, "Float64"), lambda X: X, 2),
    "pandas Int64": Container(lambda X: _frame(X, "Int64"), _whole, 2),
    "pandas boolean": Container(lambda X: _frame(X, "boolean"), lambda X: (X > 0).astype(float), 2),
    "pandas of integer names": Container(pd.DataFrame, lambda X: X, 2),
    "pandas with another index": Container(lambda X: _frame(X).set_index(np.arange(len(X))[::-1] * 3), lambda X: X, 2),
    "pandas sparse": Container(lambda X: _frame(X, pd.SparseDtype(float)), lambda X: X, 2, True),
    "polars": Container(_polars, lambda X: X, 2),
    "polars Float32": Container(lambda X: _polars(X, pl.Float32), _through(np.float32), 2),
    "polars Int64": Container(lambda X: _polars(X, pl.Int64), _whole, 2),
}


def names_for(ndim: int) -> list[str]:
    """Return the containers that take an array of so many dimensions."""
    return [name for name, container in CONTAINERS.items() if container.ndim in (None, ndim)]


def give_targets(form: str, y: np.ndarray, names: list[str]) -> Any:
    """Return targets, an array of shape (n_rows,) or (n_rows, n_columns), in a form of `TARGET_FORMS`."""
    if form == "pandas":
        return pd.Series(y, name=names[0]) if y.ndim == 1 else pd.DataFrame(y, columns=names)
    if form == "polars":
        return pl.Series(names[0], y) if y.ndim == 1 else pl.DataFrame(y, schema=names)
    if form == "masked array":
        return np.ma.MaskedArray(np.where(np.isnan(y), 1e9, y), mask=np.isnan(y))
    return {
        "float64": lambda: y.copy(),
        "float32": lambda: y.astype(np.float32),
        "list": y.tolist,
        "tensor": lambda: torch.tensor(y),
        "tensor of float32": lambda: torch.tensor(y, dtype=torch.float32),
        "Fortran order": lambda: np.asfortranarray(y),
        "read-only": lambda: _read_only(y),
        "negative strides": lambda: _backwards(y),
        "strides": lambda: _every_other(y),
        "big endian": lambda: y.astype(">f8"),
        "memmap": lambda: _memmap(y),
        "object": lambda: y.astype(object),
    }[form]()


TARGET_FORMS = [
    "float64",
    "float64",
    "float32",
    "list",
    "tensor",
    "tensor of float32",
    "Fortran order",
    "read-only",
    "negative strides",
    "strides",
    "big endian",
    "memmap",
    "object",
    "masked array",
    "pandas",
    "pandas",
    "polars",
]


def take(values: Any, rows: Any) -> Any:
    """Return rows of a container, in a container of the same form."""
    if isinstance(values, (pd.DataFrame, pd.Series)):
        return values.iloc[rows]
    if isinstance(values, (list, tuple)):
        return type(values)(values[i] for i in rows)
    if isinstance(values, torch.Tensor):
        return values[torch.as_tensor(np.asarray(rows))]
    return values[rows]


def same(one: Any, other: Any) -> bool:
    """Return whether two containers hold the same, NaN included."""
    if type(one) is not type(other):
        # A copy of a memmap is an array.
        return isinstance(one, np.memmap) and np.array_equal(np.asarray(one), np.asarray(other), equal_nan=True)
    if isinstance(one, np.ma.MaskedArray):
        return np.array_equal(one.mask, other.mask) and np.array_equal(one.data, other.data, equal_nan=True)
    if isinstance(one, np.ndarray):
        if one.dtype != other.dtype or one.shape != other.shape:
            return False
        if one.dtype.kind == "O":
            return repr(one.tolist()) == repr(other.tolist())
        return np.array_equal(one, other, equal_nan=one.dtype.kind in "fc")
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.allclose(one, other, rtol=0, atol=0, equal_nan=True)
    if sparse.issparse(one):
        return np.array_equal(one.toarray(), other.toarray())
    if hasattr(one, "equals"):
        return bool(one.equals(other))
    return repr(one) == repr(other)
