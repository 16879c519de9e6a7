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


def refuse_targets(bad: np.ndarray, names: Sequence[str], *, loss: str, must: str) -> None:
    """Raise ValueError where ``bad``, of shape (n_samples, n_columns), holds for a target."""
    counts = bad.sum(axis=0)
    if counts.any():
        which = ", ".join(f"{name!r} has {count}" for name, count in zip(names, counts, strict=True) if count)
        raise ValueError(f"The loss {loss!r} takes targets that {must}. Others came: {which}.")


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
