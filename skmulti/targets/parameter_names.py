"""Lines of the loss table on their way to terms, and how the name of a parameter finds them."""

from __future__ import annotations

import dataclasses

from skmulti.losses import COLUMN_LOSSES, ColumnLoss
from skmulti.targets.columns import Columns

# The columns of a line, and their loss.
Line = tuple[tuple[int, ...], ColumnLoss]


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


def lines_inside(lines: list[Line], members: tuple[int, ...], columns: Columns, *, parameter: str) -> list[int]:
    """Return which lines make up ``members``; a line that is cut in two is refused."""
    inside = [i for i, (cols, _) in enumerate(lines) if set(cols) <= set(members)]
    if sorted(c for i in inside for c in lines[i][0]) != sorted(members):
        raise ValueError(shared_line_message(members, lines, columns, parameter=parameter))
    return inside


def shared_line_message(members: tuple[int, ...], lines: list[Line], columns: Columns, *, parameter: str) -> str:
    """Return what to say of columns that are only some of those of a line."""
    cols, loss = next(line for line in lines if set(line[0]) & set(members) and not set(line[0]) <= set(members))
    return (
        f"The {parameter!r} parameter must name all columns that share a loss, or none of them. Got "
        f"{', '.join(repr(columns.names[i]) for i in members)}, but {loss!r} is one term over "
        f"{', '.join(repr(columns.names[i]) for i in cols)}."
    )
