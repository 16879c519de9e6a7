"""The user's losses and weights, resolved once against the columns of y into a flat table of terms."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np

from skmulti.columns import Columns
from skmulti.losses import ColumnLoss, SquaredError, Term, make_loss

Line = tuple[tuple[int, ...], ColumnLoss]


def resolve_terms(
    loss: Any,
    loss_weights: Any,
    columns: Columns,
    y: np.ndarray,
    *,
    sample_weight: np.ndarray | None = None,
    overrides: Mapping[str, Any] = {},
    heads: Sequence[tuple[int, ...]] | None = None,
    before: Sequence[Term] = (),
) -> tuple[Term, ...]:
    """Return the table of terms, in the order of their first columns.

    Parameters
    ----------
    loss : str, loss, sequence or mapping
        One loss for all columns, one per column by position, or a mapping from columns to losses; columns that
        it does not name take the squared error.
    loss_weights : sequence, mapping or None
        One weight per column by position, or a mapping from columns or groups to weights; what it does not name
        weighs 1.
    columns : Columns
        The columns of y.
    y : ndarray of shape (n_samples, n_columns)
        The training targets, from which some losses learn; NaN where one is missing.
    sample_weight : ndarray of shape (n_samples, 1) or (n_samples, n_columns), default=None
        The weights of the rows, or of each row's columns.
    overrides : mapping
        The estimator's parameters ``loss__<column>``, ``loss__<column>__<parameter>`` and
        ``loss_weights__<column>``.
    heads : sequence of tuple of int, default=None
        The columns of each head of the module, in the order of the raw outputs. None means one head.
    before : sequence of Term
        The table of an earlier fit. What its losses learned is the unit of their raw outputs, and stays; a term of
        it needs no row in y.

    Raises
    ------
    ValueError
        If a column is unknown or named twice, if the number of losses or weights is another one, if a weight is
        no finite number of 0 or more, if a loss is unknown or takes another number of columns.
    TypeError
        If a loss is something that can't be one.
    """
    lines = _override_losses(_resolve_losses(loss, columns), columns, overrides)
    lines.sort(key=lambda line: line[0][0])
    weights = _resolve_weights(loss_weights, lines, columns, overrides)
    raw = _lay_out(lines, columns, heads)
    learned = {term.columns: term.loss for term in before}
    return tuple(
        Term(
            name=columns.label(members),
            loss=_fitted(column_loss, members, columns, y, sample_weight, learned.get(members)),
            columns=members,
            raw=raw[members],
            weight=weight,
        )
        for (members, column_loss), weight in zip(lines, weights, strict=True)
    )


def _fitted(
    loss: ColumnLoss,
    members: tuple[int, ...],
    columns: Columns,
    y: np.ndarray,
    sample_weight: np.ndarray | None,
    before: ColumnLoss | None,
) -> ColumnLoss:
    """Let a loss learn from the rows that have all of its targets what it did not learn before."""
    names = tuple(columns.names[i] for i in members)
    targets, weights = y[:, members], None
    present = ~np.isnan(targets).any(axis=1)
    if sample_weight is not None:
        weights = sample_weight[:, list(members) if sample_weight.shape[1] > 1 else [0]].mean(axis=1)
        present &= weights > 0
        weights = weights[present]
    if type(before) is type(loss) and dataclasses.is_dataclass(loss):
        open_fields = [f.name for f in dataclasses.fields(loss) if getattr(loss, f.name) is None]
        loss = dataclasses.replace(loss, **{name: getattr(before, name) for name in open_fields})
        if not present.any():
            return loss
    if not present.any():
        raise ValueError(
            f"y must have rows with all columns of the loss {loss!r}: {', '.join(map(repr, names))}. Got none, "
            "counting those with a positive weight."
        )
    return loss.fitted_to(targets[present], names, weights)


def _resolve_losses(loss: Any, columns: Columns) -> list[Line]:
    everything = tuple(range(len(columns)))
    if isinstance(loss, Mapping):
        found = [(columns.find(key, parameter="loss"), value) for key, value in loss.items()]
        named = [column for members, _ in found for column in members]
        columns.refuse_twice(named, parameter="loss")
        lines = [line for members, value in found for line in _lines(value, members, columns)]
        rest = [column for column in everything if column not in named]
        return lines + [((column,), SquaredError()) for column in rest]
    if isinstance(loss, (list, tuple, np.ndarray)):
        if len(loss) != len(columns):
            raise ValueError(
                f"The 'loss' parameter must hold one loss per column of y when it is a sequence: {len(columns)}. "
                f"Got {len(loss)} instead."
            )
        return [line for i, value in enumerate(loss) for line in _lines(value, (i,), columns)]
    return _lines(loss, everything, columns)


def _lines(value: Any, members: tuple[int, ...], columns: Columns) -> list[Line]:
    """Return the lines of one loss: one per column, or one for all of them, as the loss wants it."""
    loss = make_loss(str(value) if isinstance(value, np.str_) else value)
    if loss.n_columns == 1:
        return [((member,), loss) for member in members]
    if loss.n_columns is not None and loss.n_columns != len(members):
        raise ValueError(
            f"The loss {loss!r} takes {loss.n_columns} columns. Got {len(members)}: "
            f"{', '.join(repr(columns.names[i]) for i in members)}."
        )
    return [(members, loss)]


def _override_losses(lines: list[Line], columns: Columns, overrides: Mapping[str, Any]) -> list[Line]:
    whole: list[tuple[tuple[int, ...], Any, str]] = []
    parts: list[tuple[tuple[int, ...], str, Any, str]] = []
    for name, value in overrides.items():
        if name.startswith("loss__"):
            members, field = _parse(name, "loss__", columns)
            if field:
                parts.append((members, field, value, name))
            else:
                whole.append((members, value, name))
    columns.refuse_twice([c for members, _, _ in whole for c in members], parameter="loss__<column>")
    for part in dict.fromkeys(field for _, field, _, _ in parts):
        same = [c for members, field, _, _ in parts if field == part for c in members]
        columns.refuse_twice(same, parameter=f"loss__<column>__{part}")
    for members, value, name in whole:
        lines = _without(lines, members, columns, parameter=name) + _lines(value, members, columns)
    for members, field, value, name in parts:
        inside = _inside(lines, members, columns, parameter=name)
        lines = [
            (cols, _replace(loss, field, value, name)) if i in inside else (cols, loss)
            for i, (cols, loss) in enumerate(lines)
        ]
    return lines


def _replace(loss: ColumnLoss, field: str, value: Any, parameter: str) -> ColumnLoss:
    fields = [f.name for f in dataclasses.fields(loss)]  # type: ignore[arg-type]
    if field not in fields:
        has = ", ".join(map(repr, fields)) or "no parameters"
        raise ValueError(
            f"The {parameter!r} parameter must name a parameter of the loss {loss!r}, which has {has}. "
            f"Got {field!r} instead."
        )
    return dataclasses.replace(loss, **{field: value})  # type: ignore[type-var]


def _without(lines: list[Line], members: tuple[int, ...], columns: Columns, *, parameter: str) -> list[Line]:
    """Return the lines that keep clear of ``members``; a line that is cut in two is refused."""
    kept = [line for line in lines if not set(line[0]) & set(members)]
    for cols, _ in lines:
        if set(cols) & set(members) and not set(cols) <= set(members):
            raise ValueError(_shared(members, lines, columns, parameter=parameter))
    return kept


def _parse(name: str, prefix: str, columns: Columns) -> tuple[tuple[int, ...], str]:
    """Split ``loss__<key>__<parameter>``, where a key may hold two underscores itself."""
    rest = name.removeprefix(prefix)
    parts = rest.split("__")
    for n in range(len(parts), 0, -1):
        key = "__".join(parts[:n])
        if key in columns.names or key in columns.groups:
            return columns.find(key, parameter=name), "__".join(parts[n:])
        if key.isdecimal() and int(key) < len(columns):
            return (int(key),), "__".join(parts[n:])
    return columns.find(parts[0] if prefix == "loss__" else rest, parameter=name), ""


def _resolve_weights(
    loss_weights: Any, lines: list[Line], columns: Columns, overrides: Mapping[str, Any]
) -> list[float]:
    weights = [1.0] * len(lines)
    if isinstance(loss_weights, Mapping):
        found = [(columns.find(key, parameter="loss_weights"), key, w) for key, w in loss_weights.items()]
        columns.refuse_twice([c for members, _, _ in found for c in members], parameter="loss_weights")
        for members, key, weight in found:
            _set_weight(weights, lines, members, _check_weight(weight, key), columns, "loss_weights")
    elif loss_weights is not None:
        weights = _weights_by_position(loss_weights, lines, columns)
    overridden: list[int] = []
    for name, weight in overrides.items():
        if name.startswith("loss_weights__"):
            members, field = _parse(name, "loss_weights__", columns)
            if field:
                columns.find(name.removeprefix("loss_weights__"), parameter=name)
            _set_weight(weights, lines, members, _check_weight(weight, columns.label(members)), columns, name)
            overridden.extend(members)
    columns.refuse_twice(overridden, parameter="loss_weights__<column>")
    if not any(weights):
        raise ValueError(
            "The 'loss_weights' parameter must hold at least one weight above 0. Got only zeros, with which there is "
            "nothing to learn."
        )
    return weights


def _weights_by_position(loss_weights: Any, lines: list[Line], columns: Columns) -> list[float]:
    shape = np.shape(loss_weights)
    if shape != (len(columns),):
        raise ValueError(
            f"The 'loss_weights' parameter must hold one weight per column of y, shape ({len(columns)},), or map "
            f"columns to weights. Got shape {shape} instead."
        )
    values = [_check_weight(weight, columns.names[i]) for i, weight in enumerate(loss_weights)]
    for cols, loss in lines:
        if len({values[i] for i in cols}) > 1:
            raise ValueError(
                f"The 'loss_weights' parameter must give one weight to the columns that share the loss {loss!r}. "
                f"Got {', '.join(f'{values[i]:g} for {columns.names[i]!r}' for i in cols)}."
            )
    return [values[cols[0]] for cols, _ in lines]


def _set_weight(
    weights: list[float],
    lines: list[Line],
    members: tuple[int, ...],
    weight: float,
    columns: Columns,
    parameter: str,
) -> None:
    for i in _inside(lines, members, columns, parameter=parameter):
        weights[i] = weight


def _inside(lines: list[Line], members: tuple[int, ...], columns: Columns, *, parameter: str) -> list[int]:
    """Return which lines make up ``members``; a line that is cut in two is refused."""
    inside = [i for i, (cols, _) in enumerate(lines) if set(cols) <= set(members)]
    if sorted(c for i in inside for c in lines[i][0]) != sorted(members):
        raise ValueError(_shared(members, lines, columns, parameter=parameter))
    return inside


def _check_weight(weight: Any, key: Any) -> float:
    if not isinstance(weight, Real) or isinstance(weight, bool) or not math.isfinite(weight) or weight < 0:
        raise ValueError(
            f"The 'loss_weights' parameter must hold finite numbers of 0 or more. Got {weight!r} for {key!r} instead."
        )
    return float(weight)


def _shared(members: tuple[int, ...], lines: list[Line], columns: Columns, *, parameter: str) -> str:
    cols, loss = next(line for line in lines if set(line[0]) & set(members) and not set(line[0]) <= set(members))
    return (
        f"The {parameter!r} parameter must name all columns that share a loss, or none of them. Got "
        f"{', '.join(repr(columns.names[i]) for i in members)}, but {loss!r} is one term over "
        f"{', '.join(repr(columns.names[i]) for i in cols)}."
    )


def _lay_out(
    lines: list[Line], columns: Columns, heads: Sequence[tuple[int, ...]] | None
) -> dict[tuple[int, ...], tuple[int, ...]]:
    """Return the positions of each line's raw outputs: head by head, within a head in the order of columns."""
    raw: dict[tuple[int, ...], tuple[int, ...]] = {}
    start = 0
    for head in heads if heads is not None else [tuple(range(len(columns)))]:
        for cols, loss in lines:
            if set(cols) <= set(head):
                n_raw = loss.n_raw(len(cols))
                raw[cols] = tuple(range(start, start + n_raw))
                start += n_raw
            elif set(cols) & set(head):
                raise ValueError(
                    f"The 'heads' parameter must keep the columns of one loss in one head. Got {loss!r} over "
                    f"{', '.join(repr(columns.names[i]) for i in cols)}, of which only some are in the head of "
                    f"{', '.join(repr(columns.names[i]) for i in head)}."
                )
    return raw
