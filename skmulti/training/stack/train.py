"""Train many networks: those of one shape as a stack, all others sequentially."""

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

from skmulti.training.ensemble_log import EnsembleLog
from skmulti.training.interrupt import was_interrupted
from skmulti.training.progress import TrainingProgress
from skmulti.training.rows import Rows
from skmulti.training.stack import StackTrainer
from skmulti.training.stack.plan import cut, fitting, in_order, key_of, threads_for, why_alone
from skmulti.training.stack.rows import Sources
from skmulti.training.stack.run import TrainingRun
from skmulti.training.threads import AdaptiveThreads

_WITHOUT_OTHERS = "no other net has its shape, and its number of rows where batch normalisation counts them"


@dataclass
class TrainingTask:
    """An initialized net with its training rows; after training, the outcome.

    Parameters
    ----------
    net : TrainingNet
        The net; its module, criterion and optimizer are initialized.
    rows : Rows
        The training rows.
    holdout : Rows, default=None
        Validation rows, in place of a fraction of the training rows.

    Attributes
    ----------
    error : Exception or None
        The error that training raised; the net then keeps its last good parameters.
    seconds : float
        Training time of the net; the time of a stack is divided equally among its nets.
    why_sequential : str
        Why the net was trained sequentially; empty if it was trained in a stack.
    seconds_of_epochs : dict of int to float
        Training time of each epoch in a stack, divided equally among its nets; keys are indices into the history.
    log : EnsembleLog or None
        The log of the ensemble that the net belongs to; None if nothing is printed.
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
        """Whether the net had completed an epoch before this training."""
        return self._n_epochs_before > 0

    def new_epochs(self) -> list[dict[str, Any]]:
        """Return the history rows of this training; the duration of an epoch in a stack is divided among its nets."""
        rows = [dict(row) for row in self.net.history_]
        # Epochs trained outside a stack keep their measured duration.
        for place, seconds in self.seconds_of_epochs.items():
            # LoadInitState may replace the history by a shorter one.
            if place < len(rows) and "dur" in rows[place]:
                rows[place]["dur"] = seconds
        return rows[self._n_epochs_before :]


def train_tasks(
    tasks: Sequence[TrainingTask],
    *,
    working_memory: float | None = None,
    progress: Callable[[Fraction | int], None] | None = None,
    in_step: bool = False,
) -> None:
    """Train the net of each task; the results equal those of separate training.

    Nets of one shape are trained as a stack. Each has its own seed, row order, rows, losses, loss weights, learning
    rate, weight decay, dropout rate and stopping criterion. All others are trained sequentially.

    Parameters
    ----------
    tasks : sequence of TrainingTask
        The nets, which may be ensembles, with their rows. `error`, `seconds` and `why_sequential` are set.
    working_memory : float, default=None
        The memory of a stack in MiB; larger stacks are split. None uses scikit-learn's
        ``get_config()["working_memory"]``.
    progress : callable, default=None
        Called during training with the number of tasks completed since the last call, as a fraction; the sum of all
        calls is the number of tasks.
    in_step : bool, default=False
        Whether stacks alternate epoch by epoch, as many at once as fit into `working_memory`; else one stack is
        trained after the other.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C; the nets keep the parameters learned so far.
    """
    memory = float(sklearn.get_config()["working_memory"] if working_memory is None else working_memory)
    parts = [task.net._parts(task.rows, task.holdout) if _is_ensemble(task) else [task] for task in tasks]
    stacks: dict[Any, list[TrainingRun]] = {}
    for part in chain.from_iterable(parts):
        run = _run_in_stack(part)
        if run is not None:
            stacks.setdefault(key_of(run), []).append(run)
    done = TrainingProgress(parts, [_is_ensemble(task) for task in tasks], progress or _ignore)
    runnable = []
    for runs in stacks.values():
        for stack in cut(in_order(runs), memory):
            if len(runs) == 1:
                stack[0].task.why_sequential = _WITHOUT_OTHERS
            elif len(stack) == 1:
                stack[0].task.why_sequential = "'working_memory' has room for one net only"
            else:
                runnable.append(stack)
    for side_by_side in fitting(runnable, memory) if in_step else [[stack] for stack in runnable]:
        _train_stacks(side_by_side, done)
    for part in chain.from_iterable(parts):
        if part.why_sequential:
            _train_sequentially(part)
            done.finish([part])
    for task, members in zip(tasks, parts, strict=True):
        if _is_ensemble(task):
            _finish_ensemble(task, members)
    done.finish_all()


def _is_ensemble(task: TrainingTask) -> bool:
    return bool(getattr(task.net, "_members", ()))


def _finish_ensemble(task: TrainingTask, members: Sequence[TrainingTask]) -> None:
    """Record the training of the members in their ensemble, and the error, time and reason in its task."""
    try:
        task.net._join(members)
    except Exception as error:
        task.error = error
    task.seconds = sum(member.seconds for member in members)
    task.why_sequential = next((member.why_sequential for member in members if member.why_sequential), "")


def _run_in_stack(task: TrainingTask) -> TrainingRun | None:
    """Return the run of a net that can be stacked, or None if it must be trained sequentially."""
    try:
        run = TrainingRun(task)
        task.why_sequential = why_alone(run)
    except Exception:
        # Sequential training raises the same error and restores the state from before.
        task.why_sequential = "it can't be trained"
    return None if task.why_sequential else run


def _train_stacks(stacks: Sequence[list[TrainingRun]], done: TrainingProgress) -> None:
    """Train several stacks, alternating between them after each epoch."""
    with AdaptiveThreads(max(map(threads_for, stacks))) as threads:
        running = [_epochs_of_stack(stack, threads) for stack in stacks]
        try:
            while running:
                advanced = [(epochs, next(epochs, None)) for epochs in running]
                running = [epochs for epochs, runs in advanced if runs is not None]
                trained = [run for _, runs in advanced for run in runs or ()]
                _print_epochs_of_stacks(trained)
                over = [run.task for run in trained if run.has_left]
                done.add_epoch([run.task for run in trained], finished=over)
        finally:
            for epochs in running:
                epochs.close()


def _epochs_of_stack(runs: list[TrainingRun], threads: AdaptiveThreads) -> Generator[list[TrainingRun], None, None]:
    """Train a stack; yield the runs of each epoch after it."""
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
            if run.reset():
                run.task.why_sequential = reason
                run.task.seconds_of_epochs.clear()
            else:
                # A net that was trained before has no copy of its earlier state to restart from.
                run.task.error = failure


def _print_epochs_of_stacks(runs: Sequence[TrainingRun]) -> None:
    for log in {id(run.task.log): run.task.log for run in runs}.values():
        of_log = [run for run in runs if run.task.log is log]
        try:
            if log is not None:
                log.print_epochs([run.task for run in of_log])
        except Exception as error:
            # An error in a log ends its ensemble only, as an error in a callback ends its net only.
            for run in of_log:
                run.task.error, run.is_over = error, True


def _train_sequentially(task: TrainingTask) -> None:
    start = time.perf_counter()
    if task.log is not None:
        task.net._on_member_epoch = partial(task.log.print_epochs, [task])
    try:
        with task.net._explained_errors():
            task.net._train(task.rows, task.holdout)
        if task.log is not None:
            # A custom print_log of the net may not have called `_on_member_epoch`.
            task.log.print_epochs([task])
    except Exception as error:
        task.error = error
    task.seconds = time.perf_counter() - start
    if was_interrupted():
        raise KeyboardInterrupt


def _ignore(*_: Any) -> None:
    pass
