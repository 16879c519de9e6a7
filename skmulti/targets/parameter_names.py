"""Loss entries, and the lookup of the entries that a parameter such as ``loss_weights__area`` names."""

from __future__ import annotations

import dataclasses

from skmulti.losses import COLUMN_LOSSES, ColumnLoss
from skmulti.targets.columns import Columns

# One row of the loss table before it becomes a `Term`: the positions of its columns, and the loss that they share. It
# has no loss weight and no raw outputs yet; `resolve_terms` adds both.
LossEntry = tuple[tuple[int, ...], ColumnLoss]


def parse_name(name: str, prefix: str, columns: Columns) -> tuple[tuple[int, ...], str]:
    """Split ``loss__<column>__<parameter>`` into the positions of the columns and the rest, empty if there is none.

    Names of columns may contain two underscores themselves: the longest prefix that is a column or a group is taken.
    """
    rest = name.removeprefix(prefix)
    parts = rest.split("__")
    for n in range(len(parts), 0, -1):
        key = "__".join(parts[:n])
        if key in columns.names or key in columns.groups:
            return columns.find(key, parameter=name), "__".join(parts[n:])
        if key.isdecimal() and int(key) < len(columns):
            return (int(key),), "__".join(parts[n:])
    if prefix == "loss__" and rest in _loss_parameters():
        raise ValueError(
            f"The {name!r} parameter must name a column first: 'loss__<column>__{rest}', with one of the columns "
            f"{', '.join(map(repr, columns.names))}. For all columns, give 'loss' a loss with this parameter."
        )
    return columns.find(parts[0] if prefix == "loss__" else rest, parameter=name), ""


def _loss_parameters() -> set[str]:
    """Return the names of the parameters of all column losses."""
    return {field.name for loss in COLUMN_LOSSES.values() for field in dataclasses.fields(loss)}  # type: ignore[arg-type]


def entries_inside(
    entries: list[LossEntry], positions: tuple[int, ...], columns: Columns, *, parameter: str
) -> list[int]:
    """Return the indices of the entries that make up ``positions``; a ValueError if an entry is only partly in them."""
    inside = [i for i, (cols, _) in enumerate(entries) if set(cols) <= set(positions)]
    if sorted(c for i in inside for c in entries[i][0]) != sorted(positions):
        raise ValueError(shared_entry_message(positions, entries, columns, parameter=parameter))
    return inside


def shared_entry_message(
    positions: tuple[int, ...], entries: list[LossEntry], columns: Columns, *, parameter: str
) -> str:
    """Return the message for columns that are only a part of the columns of an entry."""
    cols, loss = next(
        entry for entry in entries if set(entry[0]) & set(positions) and not set(entry[0]) <= set(positions)
    )
    return (
        f"The {parameter!r} parameter must name all columns that share a loss, or none of them. Got "
        f"{', '.join(repr(columns.names[i]) for i in positions)}, but {loss!r} is one term over "
        f"{', '.join(repr(columns.names[i]) for i in cols)}."
    )
