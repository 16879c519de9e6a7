"""Checks of the losses' parameters and targets, with one sentence form, and positive numbers from raw outputs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np


def check_positive(name: str, value: Any, *, loss: str) -> None:
    """Raise ValueError unless ``value`` is a positive, finite number."""
    if not _is_number(value) or not value > 0:
        raise ValueError(
            f"The {name!r} parameter of the loss {loss!r} must be a positive, finite number. Got {value!r} instead."
        )


def check_finite_or_none(name: str, value: Any, *, loss: str) -> None:
    """Raise ValueError unless ``value`` is a finite number or None."""
    if value is not None and not _is_number(value):
        raise ValueError(
            f"The {name!r} parameter of the loss {loss!r} must be a finite number or None. Got {value!r} instead."
        )


def check_interval(name: str, value: Any, low: float, high: float, *, loss: str) -> None:
    """Raise ValueError unless ``value`` is a number from ``low`` to ``high``, both included."""
    if not _is_number(value) or not low <= value <= high:
        raise ValueError(
            f"The {name!r} parameter of the loss {loss!r} must be a number from {low:g} to {high:g}. "
            f"Got {value!r} instead."
        )


def check_level(name: str, value: Any, *, loss: str) -> None:
    """Raise ValueError unless ``value`` lies strictly between 0 and 1."""
    if not _is_number(value) or not 0 < value < 1:
        raise ValueError(
            f"The {name!r} parameter of the loss {loss!r} must be a number between 0 and 1, both excluded. "
            f"Got {value!r} instead."
        )


def check_option(name: str, value: Any, options: Sequence[str], *, loss: str) -> None:
    """Raise ValueError unless ``value`` is one of the options."""
    if value not in options:
        raise ValueError(
            f"The {name!r} parameter of the loss {loss!r} must be one of {', '.join(map(repr, options))}. "
            f"Got {value!r} instead."
        )


def refuse_targets(
    bad: np.ndarray, values: np.ndarray, names: Sequence[str], *, loss: str, requires: str, are: str
) -> None:
    """Raise ValueError for unsuitable targets, with their number and the first of them.

    Parameters
    ----------
    bad : ndarray of shape (n_samples, n_columns) or (n_samples,)
        Whether each target, or each row of a group, is unsuitable.
    values : ndarray of shape (n_samples, n_columns)
        What to show of the first one.
    names : sequence of str
        The names of the columns.
    loss : str
        The name of the loss.
    requires : str
        What the loss requires, such as "positive targets".
    are : str
        What unsuitable targets are, such as "zero or negative".

    Raises
    ------
    ValueError
        If any target is unsuitable.
    """
    if not bad.any():
        return
    if bad.ndim == 1:
        first = ", ".join(f"{value:g}" for value in values[bad.argmax()])
        n_rows = int(bad.sum())
        found = f"columns {', '.join(map(repr, names))} have {n_rows} row{'s' * (n_rows > 1)}"
        counts = [f"{found} that {'are' if n_rows > 1 else 'is'} {are}, the first: {first}"]
    else:
        counts = [
            f"column {name!r} has {n} value{'s' * (n > 1)} that {'are' if n > 1 else 'is'} {are}, "
            f"the first: {values[bad[:, i].argmax(), i]:g}"
            for i, (name, n) in enumerate(zip(names, bad.sum(axis=0).tolist(), strict=True))
            if n
        ]
    text = "; ".join(counts)
    raise ValueError(f"The loss {loss!r} requires {requires}. {text[0].upper()}{text[1:]}.")


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
