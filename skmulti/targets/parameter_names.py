"""Lines of the loss table on their way to terms, and how the name of a parameter finds them."""

from __future__ import annotations

import dataclasses

from skmulti.losses import COLUMN_LOSSES, ColumnLoss
from skmulti.targets.columns import Columns

# The columns of an entry, and their loss.
LossEntry = tuple[tuple[int, ...], ColumnLoss]


def parse_name(name: str, prefix: str, columns: Columns) -> tuple[tuple[int, ...], str]:
    """Split ``loss__<key>__<parameter>``, where a key may hold two underscores itself."""
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
    return {field.name for loss in COLUMN_LOSSES.values() for field in dataclasses.fields(loss)}  # type: ignore[arg-type]


def entries_inside(
    entries: list[LossEntry], members: tuple[int, ...], columns: Columns, *, parameter: str
) -> list[int]:
    """Return which entries make up ``members``; an entry that is cut in two is refused."""
    inside = [i for i, (cols, _) in enumerate(entries) if set(cols) <= set(members)]
    if sorted(c for i in inside for c in entries[i][0]) != sorted(members):
        raise ValueError(shared_entry_message(members, entries, columns, parameter=parameter))
    return inside


def shared_entry_message(
    members: tuple[int, ...], entries: list[LossEntry], columns: Columns, *, parameter: str
) -> str:
    """Return what to say of columns that are only some of those of an entry."""
    cols, loss = next(entry for entry in entries if set(entry[0]) & set(members) and not set(entry[0]) <= set(members))
    return (
        f"The {parameter!r} parameter must name all columns that share a loss, or none of them. Got "
        f"{', '.join(repr(columns.names[i]) for i in members)}, but {loss!r} is one term over "
        f"{', '.join(repr(columns.names[i]) for i in cols)}."
    )
