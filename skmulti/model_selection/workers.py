"""What one process does: begin the nets of a list, train them together, hand them back."""

from __future__ import annotations

import pickle
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from skmulti.model_selection.pipelines import Call, Place, record_fit
from skmulti.training.stack.train import TrainingTask, train_tasks
from skmulti.training.threads import usable_threads

NOT_TRAINED = "its fit failed before training"


@dataclass
class Outcome:
    """How a fit went: the fitted estimator or net, its error, its time, why it was not in a stack."""

    estimator: Any
    error: Exception | None = None
    seconds: float = 0.0
    why_sequential: str = ""
    words: str = ""

    def unpack(self) -> Outcome:
        """Show where an error of another process came from."""
        if self.error is not None and self.error.__traceback__ is None:
            self.error.__cause__ = _InWorker(self.words)
        return self


class _InWorker(Exception):  # noqa: N818
    """Where an error came from in another process; shown as its cause, since tracebacks can't travel."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'


def train_list(
    calls: Sequence[tuple[Call, Sequence[Any]]],
    *,
    working_memory: float | None,
    progress: Callable[[Fraction | int], None] | None,
    travels: bool,
) -> list[Outcome]:
    """Train nets together, each on what its `fit` would have been given.

    Parameters
    ----------
    calls : sequence of pairs (Call, nets)
        The nets, those of the same data side by side.
    working_memory, progress : optional
        As in `train_tasks`.
    travels : bool
        Whether the outcomes go to another process.

    Returns
    -------
    outcomes : list of Outcome
        One for each net, in order.
    """
    outcomes, members = [], []
    for call, nets in calls:
        begun: dict[Any, TrainingTask] = {}
        for net in nets:
            outcome = Outcome(net)
            outcomes.append(outcome)
            start = time.perf_counter()
            try:
                with usable_threads():
                    member = _begin(net, call, begun)
            except Exception as error:
                outcome.error, outcome.why_sequential = error, NOT_TRAINED
                if progress is not None:
                    progress(1)
            else:
                members.append((member, outcome))
            outcome.seconds = time.perf_counter() - start
    with usable_threads():
        train_tasks([member for member, _ in members], working_memory=working_memory, progress=progress)
    for member, outcome in members:
        outcome.error, outcome.why_sequential = member.error, member.why_sequential
        outcome.seconds += member.seconds
    for outcome in outcomes if travels else ():
        _pack(outcome)
    return outcomes


def fit_alone(
    estimator: Any,
    X: Any,
    y: Any,
    fit_params: dict[str, Any],
    why: str,
    *,
    progress: Callable[[Fraction | int], None] | None,
    travels: bool,
) -> list[Outcome]:
    """Fit an estimator by its own `fit`, as scikit-learn does."""
    outcome = Outcome(estimator, why_sequential=why)
    start = time.perf_counter()
    try:
        estimator.fit(X, **fit_params) if y is None else estimator.fit(X, y, **fit_params)
    except Exception as error:
        outcome.error = error
    outcome.seconds = time.perf_counter() - start
    if travels:
        _pack(outcome)
    if progress is not None:
        progress(1)
    return [outcome]


def fit_steps(
    estimator: Any, place: Place, X: Any, y: Any, fit_params: dict[str, Any], *, travels: bool
) -> tuple[Outcome, Call | None]:
    """Fit the steps before a net, and return what its `fit` is given."""
    outcome, call = Outcome(estimator), None
    start = time.perf_counter()
    try:
        call = record_fit(estimator, place, X, y, fit_params)
    except Exception as error:
        outcome.error = error
    outcome.seconds = time.perf_counter() - start
    if travels:
        _pack(outcome)
    return outcome, call


def _begin(net: Any, call: Call, begun: dict[Any, TrainingTask]) -> TrainingTask:
    # Data are checked and cast once for all nets that read them in the same way.
    reads_as = (type(net), *map(repr, net._reads_as()))
    first = begun.get(reads_as)
    if first is not None:
        net._begin_beside(first.net, first.rows, first.holdout)
        return TrainingTask(net, first.rows, first.holdout)
    rows, holdout = net._begin(call.X, call.y, call.sample_weight, (call.X_val, call.y_val, call.sample_weight_val))
    begun[reads_as] = TrainingTask(net, rows, holdout)
    return begun[reads_as]


def _pack(outcome: Outcome) -> None:
    """Let an error travel: with the words of its traceback, and as another where it can't be pickled."""
    error = outcome.error
    if error is None:
        return
    outcome.words = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        outcome.error = RuntimeError(f"{type(error).__name__}: {error}")
