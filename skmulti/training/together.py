"""Many nets trained together: those of one shape as one stack, all others in turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from skmulti.training.rows import Rows


@dataclass
class Member:
    """A net that is set up and not yet trained, with its rows; then how its training went.

    Parameters
    ----------
    net : TrainingNet
        The net; its module, criterion and optimizer are built.
    rows : Rows
        What it learns from.
    holdout : Rows, default=None
        What it is validated on, in place of a share of the rows.

    Attributes
    ----------
    error : Exception or None
        What its training raised: the net keeps its last good parameters then.
    seconds : float
        Its share of the time.
    why_in_turn : str
        Why it was trained by itself, empty if in a stack.
    """

    net: Any
    rows: Rows
    holdout: Rows | None = None
    error: Exception | None = None
    seconds: float = 0.0
    why_in_turn: str = ""


def train_together(
    members: Sequence[Member],
    *,
    working_memory: float | None = None,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Train all members as each would be trained by itself.

    Parameters
    ----------
    members : sequence of Member
        The members; each is told its error, its time and whether it was trained in turn.
    working_memory : float, default=None
        The memory of a stack in MiB: larger ones are cut. None takes scikit-learn's
        ``get_config()["working_memory"]``.
    progress : callable, default=None
        Called with the number of members that have finished since the last call.
    """
    for member in members:
        member.why_in_turn = "not yet"
        start = time.perf_counter()
        try:
            member.net._train(member.rows, member.holdout)
        except Exception as error:
            member.error = error
        member.seconds = time.perf_counter() - start
        if progress is not None:
            progress(1)
