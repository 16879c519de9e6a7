"""Many nets trained together: those of one shape as one stack, all others in turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import sklearn

from skmulti.training.interrupt import was_interrupted
from skmulti.training.rows import Rows
from skmulti.training.stack import StackTrainer
from skmulti.training.stack.entrant import Entrant
from skmulti.training.stack.plan import cut, in_order, key_of, threads_for, why_alone
from skmulti.training.stack.rows import Sources
from skmulti.training.threads import AdaptiveThreads

_WITHOUT_OTHERS = "no other net has its shape, and its number of rows where batch normalisation counts them"


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

    Nets of one shape are trained as one stack: each with its own seed, order of rows, rows, losses, weights, learning
    rate, weight decay, dropout and end. All others are trained in turn.

    Parameters
    ----------
    members : sequence of Member
        The members, which may be ensembles; each is told its error, its time and whether it was trained in turn.
    working_memory : float, default=None
        The memory of a stack in MiB: larger ones are cut. None takes scikit-learn's
        ``get_config()["working_memory"]``.
    progress : callable, default=None
        Called with the number of members that have finished since the last call.

    Raises
    ------
    KeyboardInterrupt
        If the user asks for it; nets keep what they have learned.
    """
    report = progress or _ignore
    memory = float(sklearn.get_config()["working_memory"] if working_memory is None else working_memory)
    parts = [member.net._parts(member.rows, member.holdout) if _is_many(member) else [member] for member in members]
    stacks: dict[Any, list[Entrant]] = {}
    for part in chain.from_iterable(parts):
        entrant = _enter(part)
        if entrant is not None:
            stacks.setdefault(key_of(entrant), []).append(entrant)
    # An ensemble is one of those whose progress is reported: with the first of its members.
    counted = {id(own[0]) for own in parts}
    for entrants in stacks.values():
        for stack in cut(in_order(entrants), memory):
            if len(entrants) == 1:
                stack[0].member.why_in_turn = _WITHOUT_OTHERS
            elif len(stack) == 1:
                stack[0].member.why_in_turn = "'working_memory' has room for one net only"
            else:
                _train_stack(stack, lambda member: report(id(member) in counted))
    for part in chain.from_iterable(parts):
        if part.why_in_turn:
            _train_in_turn(part)
            report(id(part) in counted)
    for member, own in zip(members, parts, strict=True):
        if _is_many(member):
            _join(member, own)


def _is_many(member: Member) -> bool:
    return bool(getattr(member.net, "_members", ()))


def _join(member: Member, parts: Sequence[Member]) -> None:
    """Tell an ensemble how its members' training went."""
    try:
        member.net._join(parts)
    except Exception as error:
        member.error = error
    member.seconds = sum(part.seconds for part in parts)
    member.why_in_turn = next((part.why_in_turn for part in parts if part.why_in_turn), "")


def _enter(member: Member) -> Entrant | None:
    """Return a net that may enter a stack; None for one that must be trained in turn."""
    try:
        entrant = Entrant(member)
        member.why_in_turn = why_alone(entrant)
    except Exception:
        # Its own training finds the same error, and puts back what it must.
        member.why_in_turn = "it can't be trained"
    return None if member.why_in_turn else entrant


def _train_stack(entrants: list[Entrant], report: Callable[[Member], None]) -> None:
    start, reason, failure = time.perf_counter(), "", None
    try:
        for entrant in entrants:
            entrant.begin()
        with AdaptiveThreads(threads_for(entrants)) as threads:
            trainer = StackTrainer(entrants, Sources(), threads, lambda entrant: report(entrant.member))
            reason = trainer.why_not()
            if not reason:
                trainer.run()
    except Exception as error:
        reason, failure = f"its stack failed: {error}", error
    for entrant in entrants:
        entrant.member.seconds = (time.perf_counter() - start) / len(entrants)
        if reason and not entrant.has_left:
            if entrant.start_again():
                entrant.member.why_in_turn = reason
            else:
                # It had been trained before, and can't go back to where it was.
                entrant.member.error = failure


def _train_in_turn(member: Member) -> None:
    start = time.perf_counter()
    try:
        member.net._train(member.rows, member.holdout)
    except Exception as error:
        member.error = error
    member.seconds = time.perf_counter() - start
    if was_interrupted():
        raise KeyboardInterrupt


def _ignore(n_finished: int) -> None:
    pass
