"""Checks of the losses' parameters, with one sentence form."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any


def check_positive(name: str, value: Any, *, loss: str) -> None:
    """Raise ValueError unless ``value`` is a positive, finite number."""
    if not _is_number(value) or not value > 0:
        raise ValueError(
            f"The {name!r} parameter of the loss {loss!r} must be a positive, finite number. Got {value!r} instead."
        )


def check_level(name: str, value: Any, *, loss: str) -> None:
    """Raise ValueError unless ``value`` lies strictly between 0 and 1."""
    if not _is_number(value) or not 0 < value < 1:
        raise ValueError(
            f"The {name!r} parameter of the loss {loss!r} must be a number between 0 and 1, both excluded. "
            f"Got {value!r} instead."
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
