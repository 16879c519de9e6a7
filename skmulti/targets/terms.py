"""`loss` and `loss_weights`, resolved against the columns of y into a flat table of terms."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from skmulti._checks import has_nan
from skmulti.losses import ColumnLoss, SquaredError, Term, make_loss
from skmulti.targets.columns import Columns
from skmulti.targets.parameter_names import LossEntry, entries_inside, parse_name, shared_entry_message
from skmulti.targets.weights import resolve_weights


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
        One loss for all columns, one per column by position, or a mapping from columns to losses; other columns take
        the squared error.
    loss_weights : sequence, mapping or None
        One loss weight per column by position, or a mapping (or a Series) from columns or groups to loss weights; other
        columns have a loss weight of 1.
    columns : Columns
        The columns of y.
    y : ndarray of shape (n_samples, n_columns)
        The training targets, to which some losses adapt; NaN where a target is missing.
    sample_weight : ndarray of shape (n_samples, 1) or (n_samples, n_columns), default=None
        Sample weights, per row or per row and column.
    overrides : mapping
        The estimator's parameters ``loss__<column>``, ``loss__<column>__<parameter>`` and
        ``loss_weights__<column>``.
    heads : sequence of tuple of int, default=None
        The columns of each head of the module, in the order of the raw outputs. None means one head.
    before : sequence of Term
        The table of an earlier fit. Its losses stay as they were adapted, since the raw outputs are in their units; its
        terms need no row in y.

    Raises
    ------
    ValueError
        If a column is unknown or named twice, if the number of losses or of loss weights is not that of the columns, if
        a loss weight is negative or not finite, or if a loss is unknown or takes another number of columns.
    TypeError
        If a loss is neither a name, a loss nor a callable.
    """
    entries = _override_losses(_resolve_losses(loss, columns), columns, overrides)
    entries.sort(key=lambda entry: entry[0][0])
    weights = resolve_weights(loss_weights, entries, columns, overrides)
    raw = _raw_positions(entries, columns, heads)
    adapted = {term.columns: term.loss for term in before}
    return tuple(
        Term(
            name=columns.label(positions),
            loss=_adapted(column_loss, positions, columns, y, sample_weight, adapted.get(positions)),
            columns=positions,
            raw=raw[positions],
            weight=weight,
        )
        for (positions, column_loss), weight in zip(entries, weights, strict=True)
    )


def _adapted(
    loss: ColumnLoss,
    positions: tuple[int, ...],
    columns: Columns,
    y: np.ndarray,
    sample_weight: np.ndarray | None,
    before: ColumnLoss | None,
) -> ColumnLoss:
    """Return the loss adapted to the rows that have all of its targets, or as adapted in an earlier fit."""
    if type(loss).adapt_to is ColumnLoss.adapt_to and sample_weight is None and not has_nan(y):
        return loss
    names = tuple(columns.names[i] for i in positions)
    targets, weights = y[:, positions].astype(np.float64), None
    present = ~np.isnan(targets).any(axis=1)
    if sample_weight is not None:
        weights = sample_weight[:, list(positions) if sample_weight.shape[1] > 1 else [0]].mean(axis=1)
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
    return loss.adapt_to(targets[present], names, weights)


def _resolve_losses(loss: Any, columns: Columns) -> list[LossEntry]:
    everything = tuple(range(len(columns)))
    if isinstance(loss, Mapping):
        found = [(columns.find(key, parameter="loss"), value) for key, value in loss.items()]
        named = [column for positions, _ in found for column in positions]
        columns.refuse_twice(named, parameter="loss")
        entries = [entry for positions, value in found for entry in _entries(value, positions, columns)]
        rest = [column for column in everything if column not in named]
        return entries + [((column,), SquaredError()) for column in rest]
    if isinstance(loss, (list, tuple, np.ndarray)):
        if len(loss) != len(columns):
            raise ValueError(
                f"The 'loss' parameter must hold one loss per column of y when it is a sequence: {len(columns)}. "
                f"Got {len(loss)} instead."
            )
        return [entry for i, value in enumerate(loss) for entry in _entries(value, (i,), columns)]
    return _entries(loss, everything, columns)


def _entries(value: Any, positions: tuple[int, ...], columns: Columns, *, parameter: str = "loss") -> list[LossEntry]:
    """Return the entries of one loss: one per column, or one for all columns if the loss takes several."""
    loss = make_loss(str(value) if isinstance(value, np.str_) else value, parameter=parameter)
    if loss.n_columns == 1:
        return [((member,), loss) for member in positions]
    if loss.n_columns is not None and loss.n_columns != len(positions):
        raise ValueError(
            f"The loss {loss!r} takes {loss.n_columns} columns. Got {len(positions)}: "
            f"{', '.join(repr(columns.names[i]) for i in positions)}."
        )
    return [(positions, loss)]


def _override_losses(entries: list[LossEntry], columns: Columns, overrides: Mapping[str, Any]) -> list[LossEntry]:
    whole: list[tuple[tuple[int, ...], Any, str]] = []
    parts: list[tuple[tuple[int, ...], str, Any, str]] = []
    for name, value in overrides.items():
        if name.startswith("loss__"):
            positions, field = parse_name(name, "loss__", columns)
            if field:
                parts.append((positions, field, value, name))
            else:
                whole.append((positions, value, name))
    columns.refuse_twice([c for positions, _, _ in whole for c in positions], parameter="loss__<column>")
    for part in dict.fromkeys(field for _, field, _, _ in parts):
        same = [c for positions, field, _, _ in parts if field == part for c in positions]
        columns.refuse_twice(same, parameter=f"loss__<column>__{part}")
    for positions, value, name in whole:
        entries = _without(entries, positions, columns, parameter=name) + _entries(
            value, positions, columns, parameter=name
        )
    for positions, field, value, name in parts:
        inside = entries_inside(entries, positions, columns, parameter=name)
        entries = [
            (cols, _replace(loss, field, value, name)) if i in inside else (cols, loss)
            for i, (cols, loss) in enumerate(entries)
        ]
    return entries


def _replace(loss: ColumnLoss, field: str, value: Any, parameter: str) -> ColumnLoss:
    if not dataclasses.is_dataclass(loss):
        raise TypeError(
            f"The {parameter!r} parameter must belong to a loss that is a dataclass. Got {loss!r}; put "
            f"@dataclass(frozen=True) above the class {type(loss).__name__}."
        )
    fields = [f.name for f in dataclasses.fields(loss)]
    if field not in fields:
        has = ", ".join(map(repr, fields)) or "no parameters"
        raise ValueError(
            f"The {parameter!r} parameter must name a parameter of the loss {loss!r}, which has {has}. "
            f"Got {field!r} instead."
        )
    return dataclasses.replace(loss, **{field: value})


def _without(
    entries: list[LossEntry], positions: tuple[int, ...], columns: Columns, *, parameter: str
) -> list[LossEntry]:
    """Return the entries without the columns ``positions``; raise a ValueError if an entry has only some of them."""
    kept = [entry for entry in entries if not set(entry[0]) & set(positions)]
    for cols, _ in entries:
        if set(cols) & set(positions) and not set(cols) <= set(positions):
            raise ValueError(shared_entry_message(positions, entries, columns, parameter=parameter))
    return kept


def _raw_positions(
    entries: list[LossEntry], columns: Columns, heads: Sequence[tuple[int, ...]] | None
) -> dict[tuple[int, ...], tuple[int, ...]]:
    """Return the positions of each entry's raw outputs, in the order of the heads and, within one, of the columns."""
    raw: dict[tuple[int, ...], tuple[int, ...]] = {}
    start = 0
    for head in heads if heads is not None else [tuple(range(len(columns)))]:
        for cols, loss in entries:
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
