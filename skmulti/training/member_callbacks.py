"""Callbacks of an ensemble: each member has copies, which write separate files."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any

from sklearn.base import clone
from skorch.callbacks import Checkpoint, TrainEndCheckpoint

_PREFIX = "callbacks"


def is_of_callbacks(name: str) -> bool:
    """Return whether a parameter of a net is `callbacks` or a parameter of a callback.

    Examples
    --------
    >>> from skmulti.training.member_callbacks import is_of_callbacks
    >>> [is_of_callbacks(name) for name in ("callbacks", "callbacks__print_log__sink", "lr")]
    [True, True, False]
    """
    return name == _PREFIX or name.startswith(f"{_PREFIX}__")


def member_copies(params: Mapping[str, Any]) -> dict[str, Any]:
    """Copy parameters for one member; references between callbacks refer to the copies.

    Parameters
    ----------
    params : mapping of str to object
        Parameters of the ensemble.

    Raises
    ------
    ValueError
        If a callback can't be copied, or holds an Optuna trial, which belongs to one net.
    """
    copies: dict[int, Any] = {}

    def copied(value: Any, name: str) -> Any:
        if id(value) not in copies:
            copies[id(value)] = _copied(value, name)
        return copies[id(value)]

    found = {}
    for name, value in params.items():
        if name == _PREFIX and isinstance(value, list):
            found[name] = [
                (item[0], copied(item[1], item[0])) if isinstance(item, (tuple, list)) else copied(item, name)
                for item in value
            ]
        else:
            found[name] = copied(value, name)
    for value in list(params.get(_PREFIX) or ()) if isinstance(params.get(_PREFIX), list) else ():
        callback = value[1] if isinstance(value, (tuple, list)) else value
        for attribute, other in _attributes(callback).items():
            # LoadInitState refers to a Checkpoint that may be in the same list.
            if id(other) in copies and hasattr(other, "on_epoch_end"):
                setattr(copies[id(callback)], attribute, copies[id(other)])
    return found


def _attributes(value: Any) -> dict[str, Any]:
    return {} if isinstance(value, type) else dict(getattr(value, "__dict__", {}))


def _copied(value: Any, name: str) -> Any:
    if any(type(held).__module__.partition(".")[0] == "optuna" for held in _attributes(value).values()):
        raise ValueError(
            "The 'callbacks' parameter of an ensemble must hold callbacks that can be copied for each member. Got "
            f"{_named(value, name)}, which reports a single net to an Optuna trial; use n_members=1."
        )
    try:
        return clone(value, safe=False)
    except Exception:
        try:
            return copy.deepcopy(value)
        except Exception as error:
            raise ValueError(
                "The 'callbacks' parameter of an ensemble must hold callbacks that can be copied, since each member "
                f"needs its own. Got {_named(value, name)}, whose copy fails with {type(error).__name__}: {error}; "
                "give its class in place of an object, let copy.deepcopy copy it, or use n_members=1."
            ) from error


def _named(value: Any, name: str) -> str:
    kind = type(value).__name__
    return kind if name == _PREFIX else f"{name!r} ({kind})"


def number_files(callbacks: Iterable[tuple[str, Any]], number: int, n_members: int) -> None:
    """Add the number of a member to the file names of its checkpoints.

    Parameters
    ----------
    callbacks : iterable of pairs (str, callback)
        The callbacks of the member. File names that already have the number do not change.
    number : int
        The number of the member, counted from 1.
    n_members : int
        The number of members.

    Raises
    ------
    ValueError
        If a checkpoint writes to an open file, which members can't share.
    """
    suffix = f"_member_{number:0{max(2, len(str(n_members)))}d}"
    for name, callback in callbacks:
        # LoadInitState and TrainEndCheckpoint hold a Checkpoint as an attribute.
        for candidate in (callback, getattr(callback, "checkpoint", None), getattr(callback, "checkpoint_", None)):
            if isinstance(candidate, (Checkpoint, TrainEndCheckpoint)):
                _number_files(candidate, name, suffix)


def _number_files(checkpoint: Any, name: str, suffix: str) -> None:
    files = {key: value for key, value in vars(checkpoint).items() if key.startswith("f_") and value is not None}
    for key, value in files.items():
        if not isinstance(value, (str, PurePath)):
            raise ValueError(
                f"The {key!r} parameter of the callback {name!r} must be the name of a file, since each member of an "
                f"ensemble writes its own. Got {value!r} instead; give a name, or use n_members=1."
            )
        setattr(checkpoint, key, type(value)(_with_suffix(str(value), suffix)))


def _with_suffix(name: str, suffix: str) -> str:
    """Return the name of a file, which may be a format string, with a suffix before its extension."""
    root, extension = os.path.splitext(name)
    if "}" in extension:
        root, extension = name, ""
    return name if root.endswith(suffix) else f"{root}{suffix}{extension}"
