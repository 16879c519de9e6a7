"""The columns of y: their names, their groups, and how a user's key finds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

from skmulti._checks import did_you_mean


@dataclass(frozen=True)
class Columns:
    """The columns of y by position, with their names and the names of groups of them.

    Attributes
    ----------
    names : tuple of str
        One name per column, no two alike.
    groups : dict of str to tuple of int
        Names of groups of columns, and the positions of each group's columns.
    """

    names: tuple[str, ...]
    groups: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    def find(self, key: Any, *, parameter: str) -> tuple[int, ...]:
        """Return the positions of the columns that a key means.

        Parameters
        ----------
        key : str, int, or tuple of them
            The name of a column or of a group, a position (negative ones count from the end), or several. An int
            that is the label of a column means that column.
        parameter : str
            The parameter in which the key stands, for messages.

        Raises
        ------
        ValueError
            If there is no such column, or if a tuple names one twice.
        """
        if isinstance(key, str):
            if key in self.groups:
                return tuple(self.groups[key])
            if key in self.names:
                return (self.names.index(key),)
            raise ValueError(self._unknown(key, parameter))
        if isinstance(key, Integral) and not isinstance(key, bool):
            if str(key) in self.names:  # a data frame with integer labels
                return (self.names.index(str(key)),)
            position = int(key)
            if not -len(self) <= position < len(self):
                raise ValueError(self._unknown(key, parameter))
            return (position % len(self),)
        if isinstance(key, tuple) and key:
            found = [column for part in key for column in self.find(part, parameter=parameter)]
            self.refuse_twice(found, parameter=parameter)
            return tuple(found)
        raise ValueError(
            f"The {parameter!r} parameter must name columns of y by name, position or a tuple of them. "
            f"Got the key {key!r} instead."
        )

    def refuse_twice(self, positions: Sequence[int], *, parameter: str) -> None:
        """Raise ValueError if a column stands in ``positions`` twice."""
        twice = sorted({position for position in positions if positions.count(position) > 1})
        if twice:
            raise ValueError(
                f"The {parameter!r} parameter must name each column of y once. "
                f"Got {', '.join(repr(self.names[i]) for i in twice)} twice."
            )

    def label(self, positions: Sequence[int]) -> str:
        """Return the name of a column, or of several: their group's name where they have one."""
        if len(positions) == 1:
            return self.names[positions[0]]
        for name, members in self.groups.items():
            if members == tuple(positions):
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
        The groups as the user gave them. A group may be one column, and may be named as that column is.
    parameter : str
        The parameter in which the groups stand, for messages.

    Raises
    ------
    ValueError
        If a group is empty, names an unknown column or one twice, or bears the name of another column.
    TypeError
        If `groups` is no mapping of strings.
    """
    columns = Columns(tuple(names))
    if groups is None:
        return columns
    if not isinstance(groups, Mapping) or not all(isinstance(name, str) for name in groups):
        raise TypeError(
            f"The {parameter!r} parameter must map names of groups to columns of y. Got {groups!r} instead."
        )
    found: dict[str, tuple[int, ...]] = {}
    for name, members in groups.items():
        key = tuple(members) if isinstance(members, Iterable) and not isinstance(members, str) else members
        if key == ():
            raise ValueError(f"The {parameter!r} parameter must give each group a column. Got none for {name!r}.")
        positions = columns.find(key, parameter=parameter)
        # A set of strings has another order in each process.
        found[name] = tuple(sorted(positions)) if isinstance(members, Set) else positions
        if name in columns.names and found[name] != (columns.names.index(name),):
            raise ValueError(
                f"The {parameter!r} parameter must not name a group as another column of y. "
                f"Got the group {name!r} of the columns {_quoted(columns.names[i] for i in found[name])}."
            )
    return Columns(columns.names, found)


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))
