"""The columns of y: names, groups, and the lookup of a key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

from skmulti._checks import did_you_mean


@dataclass(frozen=True)
class Columns:
    """The names of y's columns and the groups of columns.

    Attributes
    ----------
    names : tuple of str
        One name per column, without duplicates.
    groups : dict of str to tuple of int
        Group names mapped to the positions of the group's columns.
    """

    names: tuple[str, ...]
    groups: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    def find(self, key: Any, *, parameter: str) -> tuple[int, ...]:
        """Return the positions of the columns that a key selects.

        Parameters
        ----------
        key : str, int, or tuple of them
            The name of a column or of a group, a position (negative positions count from the end), or a tuple of these.
            An int that is the label of a column in a data frame selects that column.
        parameter : str
            The name of the parameter that contains the key, for messages.

        Raises
        ------
        ValueError
            If there is no such column, or if a tuple names a column twice.
        """
        if isinstance(key, str):
            if key in self.groups:
                return tuple(self.groups[key])
            if key in self.names:
                return (self.names.index(key),)
            raise ValueError(self._unknown(key, parameter))
        if isinstance(key, Integral) and not isinstance(key, bool):
            # The labels of a data frame may be integers; they take precedence over positions.
            if str(key) in self.names:
                return (self.names.index(str(key)),)
            position = int(key)
            if not -len(self) <= position < len(self):
                raise ValueError(self._unknown(key, parameter))
            return (position % len(self),)
        if isinstance(key, tuple) and key:
            found = [column for item in key for column in self.find(item, parameter=parameter)]
            self.refuse_twice(found, parameter=parameter)
            return tuple(found)
        raise ValueError(
            f"The {parameter!r} parameter must name columns of y by name, position or a tuple of them. "
            f"Got the key {key!r} instead."
        )

    def refuse_twice(self, positions: Sequence[int], *, parameter: str) -> None:
        """Raise a ValueError if ``positions`` contains a column twice."""
        twice = sorted({position for position in positions if positions.count(position) > 1})
        if twice:
            raise ValueError(
                f"The {parameter!r} parameter must name each column of y once. "
                f"Got {', '.join(repr(self.names[i]) for i in twice)} twice."
            )

    def label(self, positions: Sequence[int]) -> str:
        """Return the name of a column or of a group, or the names joined by "+" if the columns form no group."""
        if len(positions) == 1:
            return self.names[positions[0]]
        for name, columns in self.groups.items():
            if columns == tuple(positions):
                return name
        return "+".join(self.names[i] for i in positions)

    def _unknown(self, key: Any, parameter: str) -> str:
        known = [*self.names, *self.groups]
        groups = f" and its groups are {_quoted(self.groups)}" if self.groups else ""
        hint = did_you_mean(key, known)
        if not hint and isinstance(key, str) and self.names == tuple(f"y{i}" for i in range(len(self))):
            hint = " y has no column names: use positions."
        return (
            f"The {parameter!r} parameter must name columns of y. Got {key!r}, but the columns of y are "
            f"{_quoted(self.names)}{groups}.{hint}"
        )


def resolve_groups(names: Sequence[str], groups: Any, *, parameter: str) -> Columns:
    """Return the columns with their groups.

    Parameters
    ----------
    names : sequence of str
        The names of y's columns.
    groups : mapping of str to a sequence of column names or positions, or None
        The groups. A group of one column may have the name of this column.
    parameter : str
        The name of the parameter that contains the groups, for messages.

    Raises
    ------
    ValueError
        If a group is empty, has an unknown column or the same column twice, or has the name of another column.
    TypeError
        If `groups` is not a mapping with strings as keys.
    """
    columns = Columns(tuple(names))
    if groups is None:
        return columns
    if not isinstance(groups, Mapping) or not all(isinstance(name, str) for name in groups):
        raise TypeError(
            f"The {parameter!r} parameter must map names of groups to columns of y. Got {groups!r} instead."
        )
    found: dict[str, tuple[int, ...]] = {}
    for name, given in groups.items():
        key = tuple(given) if isinstance(given, Iterable) and not isinstance(given, str) else given
        if key == ():
            raise ValueError(f"The {parameter!r} parameter must give each group a column. Got none for {name!r}.")
        positions = columns.find(key, parameter=parameter)
        # A set of strings has another order in each process.
        found[name] = tuple(sorted(positions)) if isinstance(given, Set) else positions
        if name in columns.names and found[name] != (columns.names.index(name),):
            raise ValueError(
                f"The {parameter!r} parameter must not name a group as another column of y. "
                f"Got the group {name!r} of the columns {_quoted(columns.names[i] for i in found[name])}."
            )
    return Columns(columns.names, found)


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))
