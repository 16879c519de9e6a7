"""Many nets trained together: those of one shape as one stack, all others in turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from itertools import chain
from typing import Any

import sklearn

from skmulti.training.amount_done import AmountDone
from skmulti.training.ensemble_log import EnsembleLog
from skmulti.training.interrupt import was_interrupted
from skmulti.training.rows import Rows
from skmulti.training.stack import StackTrainer
from skmulti.training.stack.plan import cut, fitting, in_order, key_of, threads_for, why_alone
from skmulti.training.stack.rows import Sources
from skmulti.training.stack.run import TrainingRun
from skmulti.training.threads import AdaptiveThreads

_WITHOUT_OTHERS = "no other net has its shape, and its number of rows where batch normalisation counts them"


@dataclass
class TrainingTask:
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
    why_sequential : str
        Why it was trained by itself, empty if in a stack.
    seconds_of_epochs : dict of int to float
        Its share of the time of each epoch that was in a stack, by the place in the history.
    log : EnsembleLog or None
        What prints the epochs of the ensemble that it is of, where somebody wants to see them.
    """

    net: Any
    rows: Rows
    holdout: Rows | None = None
    error: Exception | None = None
    seconds: float = 0.0
    why_sequential: str = ""
    seconds_of_epochs: dict[int, float] = field(default_factory=dict)
    log: EnsembleLog | None = None

    def __post_init__(self) -> None:
        self._n_epochs_before = len(self.net.history_ or ())

    @property
    def was_trained(self) -> bool:
        """Whether the net had finished an epoch before."""
        return self._n_epochs_before > 0

    def new_epochs(self) -> list[dict[str, Any]]:
        """Return the epochs of this training as the net recorded them, each with its share of the time."""
        rows = [dict(row) for row in self.net.history_]
        # Epochs that were not in a stack have all of their time.
        for place, seconds in self.seconds_of_epochs.items():
            # Who loads the best epoch at the end loads a shorter history.
            if place < len(rows) and "dur" in rows[place]:
                rows[place]["dur"] = seconds
        return rows[self._n_epochs_before :]


def train_tasks(
    members: Sequence[TrainingTask],
    *,
    working_memory: float | None = None,
    progress: Callable[[Fraction | int], None] | None = None,
    in_step: bool = False,
) -> None:
    """Train all members as each would be trained by itself.

    Nets of one shape are trained as one stack: each with its own seed, order of rows, rows, losses, weights, learning
    rate, weight decay, dropout and end. All others are trained in turn.

    Parameters
    ----------
    members : sequence of TrainingTask
        The members, which may be ensembles; each is told its error, its time and whether it was trained in turn.
    working_memory : float, default=None
        The memory of a stack in MiB: larger ones are cut. None takes scikit-learn's
        ``get_config()["working_memory"]``.
    progress : callable, default=None
        Called while members train, with how many were trained since the last call: a fraction, whose sum is the number
        of members when all is done.
    in_step : bool, default=False
        Whether stacks go through their epochs side by side, as many as have room in the memory of one; else one after
        the other.

    Raises
    ------
    KeyboardInterrupt
        If the user asks for it; nets keep what they have learned.
    """
    memory = float(sklearn.get_config()["working_memory"] if working_memory is None else working_memory)
    parts = [member.net._parts(member.rows, member.holdout) if _is_many(member) else [member] for member in members]
    stacks: dict[Any, list[TrainingRun]] = {}
    for part in chain.from_iterable(parts):
        run = _enter(part)
        if run is not None:
            stacks.setdefault(key_of(run), []).append(run)
    done = AmountDone(parts, [_is_many(member) for member in members], progress or _ignore)
    runnable = []
    for runs in stacks.values():
        for stack in cut(in_order(runs), memory):
            if len(runs) == 1:
                stack[0].task.why_sequential = _WITHOUT_OTHERS
            elif len(stack) == 1:
                stack[0].task.why_sequential = "'working_memory' has room for one net only"
            else:
                runnable.append(stack)
    for together in fitting(runnable, memory) if in_step else [[stack] for stack in runnable]:
        _train_stacks(together, done)
    for part in chain.from_iterable(parts):
        if part.why_sequential:
            _train_sequentially(part)
            done.finish([part])
    for member, own in zip(members, parts, strict=True):
        if _is_many(member):
            _join(member, own)
    done.finish_all()


def _is_many(member: TrainingTask) -> bool:
    return bool(getattr(member.net, "_members", ()))


def _join(member: TrainingTask, parts: Sequence[TrainingTask]) -> None:
    """Tell an ensemble how its members' training went."""
    try:
        member.net._join(parts)
    except Exception as error:
        member.error = error
    member.seconds = sum(part.seconds for part in parts)
    member.why_sequential = next((part.why_sequential for part in parts if part.why_sequential), "")


def _enter(member: TrainingTask) -> TrainingRun | None:
    """Return a net that may enter a stack; None for one that must be trained in turn."""
    try:
        run = TrainingRun(member)
        member.why_sequential = why_alone(run)
    except Exception:
        # Its own training finds the same error, and puts back what it must.
        member.why_sequential = "it can't be trained"
    return None if member.why_sequential else run


def _train_stacks(stacks: Sequence[list[TrainingRun]], done: AmountDone) -> None:
    """Train stacks side by side, an epoch of each in turn."""
    with AdaptiveThreads(max(map(threads_for, stacks))) as threads:
        running = [_epochs_of_stack(stack, threads) for stack in stacks]
        try:
            while running:
                heard = [(epochs, next(epochs, None)) for epochs in running]
                running = [epochs for epochs, runs in heard if runs is not None]
                trained = [run for _, runs in heard for run in runs or ()]
                _print_epochs_of_stacks(trained)
                over = [run.task for run in trained if run.has_left]
                done.add_epoch([run.task for run in trained], finished=over)
        finally:
            for epochs in running:
                epochs.close()


def _epochs_of_stack(runs: list[TrainingRun], threads: AdaptiveThreads) -> Generator[list[TrainingRun], None, None]:
    """Train a stack; yield after each epoch those who were in it."""
    reason, failure, seconds, start = "", None, 0.0, time.perf_counter()
    try:
        for run in runs:
            if run.task.log is not None:
                run.net._on_member_epoch = _ignore
            run.begin()
        trainer = StackTrainer(runs, Sources(), threads)
        reason = trainer.why_not()
        if not reason:
            with closing(trainer.epochs()) as epochs:
                for begun in epochs:
                    seconds += time.perf_counter() - start
                    yield begun
                    start = time.perf_counter()
    except (KeyboardInterrupt, GeneratorExit):
        for run in runs:
            if not run.has_left:
                run.end(None)
        raise
    except Exception as error:
        reason, failure = f"its stack failed: {error}", error
    seconds += time.perf_counter() - start
    for run in runs:
        run.task.seconds = seconds / len(runs)
        if reason and not run.has_left:
            if run.start_again():
                run.task.why_sequential = reason
                run.task.seconds_of_epochs.clear()
            else:
                # It had been trained before, and can't go back to where it was.
                run.task.error = failure


def _print_epochs_of_stacks(runs: Sequence[TrainingRun]) -> None:
    for log in {id(run.task.log): run.task.log for run in runs}.values():
        own = [run for run in runs if run.task.log is log]
        try:
            if log is not None:
                log.print_epochs([run.task for run in own])
        except Exception as error:
            # As an error of its callbacks ends a single net, this one ends the ensemble, and none beside it.
            for run in own:
                run.task.error, run.is_over = error, True


def _train_sequentially(member: TrainingTask) -> None:
    start = time.perf_counter()
    if member.log is not None:
        member.net._on_member_epoch = partial(member.log.print_epochs, [member])
    try:
        with member.net._explained_errors():
            member.net._train(member.rows, member.holdout)
        if member.log is not None:
            # A log of somebody else's does not tell of single epochs.
            member.log.print_epochs([member])
    except Exception as error:
        member.error = error
    member.seconds = time.perf_counter() - start
    if was_interrupted():
        raise KeyboardInterrupt


def _ignore(*_: Any) -> None:
    pass
