"""`loss_weights`, resolved into one loss weight per loss entry."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np

from skmulti._checks import series_labels
from skmulti.losses import Term, TorchLoss
from skmulti.targets.columns import Columns
from skmulti.targets.parameter_names import LossEntry, entries_inside, parse_name

# The range of the largest loss weight, measured with Adam and AdamW: from 1e-6 to 1e20 networks train almost as with 1,
# at 1e-7 less well, and at 1e-8 and 1e30 hardly at all.
_LEAST, _MOST = 1e-6, 1e15


def resolve_weights(
    loss_weights: Any, entries: list[LossEntry], columns: Columns, overrides: Mapping[str, Any]
) -> list[float]:
    """Return one loss weight per entry, 1 for entries that are not named.

    Raises
    ------
    ValueError
        If a column is unknown or named twice, if the number of loss weights is not that of the columns, or if a loss
        weight is negative or not finite.
    """
    weights = [1.0] * len(entries)
    if isinstance(loss_weights, Mapping) or series_labels(loss_weights) is not None:
        found = [(columns.find(key, parameter="loss_weights"), key, w) for key, w in loss_weights.items()]
        columns.refuse_twice([c for positions, _, _ in found for c in positions], parameter="loss_weights")
        for positions, key, weight in found:
            _set_weight(weights, entries, positions, _check_weight(weight, key), columns, "loss_weights")
    elif loss_weights is not None:
        weights = _weights_by_position(loss_weights, entries, columns)
    overridden: list[int] = []
    for name, weight in overrides.items():
        if name.startswith("loss_weights__"):
            positions, field = parse_name(name, "loss_weights__", columns)
            if field:
                columns.find(name.removeprefix("loss_weights__"), parameter=name)
            _set_weight(
                weights, entries, positions, _check_weight(weight, columns.label(positions), name), columns, name
            )
            overridden.extend(positions)
    columns.refuse_twice(overridden, parameter="loss_weights__<column>")
    if not any(weights):
        raise ValueError(
            "The 'loss_weights' parameter must hold at least one weight above 0. Got only zeros, with which there is "
            "nothing to learn."
        )
    return weights


def refuse_untrainable(terms: Sequence[Term]) -> None:
    """Refuse loss weights of which the largest is so small or so large that networks cannot train.

    Optimizers add an epsilon to their divisors (Adam's 1e-8), and squares of gradients overflow (beyond 3e38 in single
    precision). Other loss weights may be arbitrarily small: their columns are meant not to count. A loss in the user's
    units may need any loss weight.

    Raises
    ------
    ValueError
        If the largest loss weight is out of range.
    """
    heaviest = max(terms, key=lambda term: term.weight)
    is_built_in = type(heaviest.loss).__module__.startswith("skmulti.") and not isinstance(heaviest.loss, TorchLoss)
    if heaviest.loss.target_scaling is None and not is_built_in:
        return
    if not _LEAST <= heaviest.weight <= _MOST:
        raise ValueError(
            f"The 'loss_weights' parameter must have its largest weight from {_LEAST:g} to {_MOST:g}, which single "
            f"precision can train with. Got {heaviest.weight:g} for {heaviest.name!r}; divide all weights by "
            f"{heaviest.weight:g}, since what counts is how they compare."
        )


def _weights_by_position(loss_weights: Any, entries: list[LossEntry], columns: Columns) -> list[float]:
    shape = np.shape(loss_weights)
    if shape != (len(columns),):
        raise ValueError(
            f"The 'loss_weights' parameter must hold one weight per column of y, shape ({len(columns)},), or map "
            f"columns to weights. Got {f'shape {shape}' if shape else repr(loss_weights)} instead."
        )
    values = [_check_weight(weight, columns.names[i]) for i, weight in enumerate(loss_weights)]
    for cols, loss in entries:
        if len({values[i] for i in cols}) > 1:
            raise ValueError(
                f"The 'loss_weights' parameter must give one weight to the columns that share the loss {loss!r}. "
                f"Got {', '.join(f'{values[i]:g} for {columns.names[i]!r}' for i in cols)}."
            )
    return [values[cols[0]] for cols, _ in entries]


def _set_weight(
    weights: list[float],
    entries: list[LossEntry],
    positions: tuple[int, ...],
    weight: float,
    columns: Columns,
    parameter: str,
) -> None:
    for i in entries_inside(entries, positions, columns, parameter=parameter):
        weights[i] = weight


def _check_weight(weight: Any, key: Any, parameter: str = "loss_weights") -> float:
    if not isinstance(weight, Real) or isinstance(weight, bool) or not math.isfinite(weight) or weight < 0:
        raise ValueError(
            f"The {parameter!r} parameter must hold finite numbers of 0 or more. Got {weight!r} for {key!r} instead."
        )
    return float(weight)
