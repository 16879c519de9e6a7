"""The work of one process: initialize networks, train them together, return the outcomes."""

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
    """The result of a fit.

    Attributes
    ----------
    estimator : estimator
        The fitted estimator, or the network alone.
    error : Exception or None
        The error of a failed fit.
    seconds : float
        The duration.
    why_sequential : str
        The reason why it was not trained in a stack, empty if it was.
    formatted_traceback : str
        The traceback as text, for an error of another process.
    """

    estimator: Any
    error: Exception | None = None
    seconds: float = 0.0
    why_sequential: str = ""
    formatted_traceback: str = ""

    def unpack(self) -> Outcome:
        """Attach the traceback of an error of another process as its cause."""
        if self.error is not None and self.error.__traceback__ is None:
            self.error.__cause__ = _InWorker(self.formatted_traceback)
        return self


class _InWorker(Exception):  # noqa: N818
    """The traceback of an error in another process, as text: traceback objects cannot be pickled."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'


def train_list(
    calls: Sequence[tuple[Call, Sequence[Any]]],
    *,
    working_memory: float | None,
    progress: Callable[[Fraction | int], None] | None,
    is_remote: bool,
) -> list[Outcome]:
    """Train networks together, each on the data of its `fit` call.

    Parameters
    ----------
    calls : sequence of pairs (Call, nets)
        The networks of each `fit` call.
    working_memory, progress : optional
        As in `train_tasks`.
    is_remote : bool
        Whether the outcomes are sent to another process.

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
    for outcome in outcomes if is_remote else ():
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
    is_remote: bool,
) -> list[Outcome]:
    """Fit an estimator by its own `fit`, as scikit-learn does."""
    outcome = Outcome(estimator, why_sequential=why)
    start = time.perf_counter()
    try:
        estimator.fit(X, **fit_params) if y is None else estimator.fit(X, y, **fit_params)
    except Exception as error:
        outcome.error = error
    outcome.seconds = time.perf_counter() - start
    if is_remote:
        _pack(outcome)
    if progress is not None:
        progress(1)
    return [outcome]


def fit_steps(
    estimator: Any, place: Place, X: Any, y: Any, fit_params: dict[str, Any], *, is_remote: bool
) -> tuple[Outcome, Call | None]:
    """Fit the steps before a network, and return the arguments of its `fit`."""
    outcome, call = Outcome(estimator), None
    start = time.perf_counter()
    try:
        call = record_fit(estimator, place, X, y, fit_params)
    except Exception as error:
        outcome.error = error
    outcome.seconds = time.perf_counter() - start
    if is_remote:
        _pack(outcome)
    return outcome, call


def _begin(net: Any, call: Call, begun: dict[Any, TrainingTask]) -> TrainingTask:
    # Data are validated and converted once for all networks with the same settings for it.
    data_settings = (type(net), *map(repr, net._reads_as()))
    first = begun.get(data_settings)
    if first is not None:
        net._begin_beside(first.net, first.rows, first.holdout)
        return TrainingTask(net, first.rows, first.holdout)
    rows, holdout = net._begin(call.X, call.y, call.sample_weight, (call.X_val, call.y_val, call.sample_weight_val))
    begun[data_settings] = TrainingTask(net, rows, holdout)
    return begun[data_settings]


def _pack(outcome: Outcome) -> None:
    """Prepare an error for pickling: keep its traceback as text, and replace an error that cannot be pickled."""
    error = outcome.error
    if error is None:
        return
    outcome.formatted_traceback = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        outcome.error = RuntimeError(f"{type(error).__name__}: {error}")
