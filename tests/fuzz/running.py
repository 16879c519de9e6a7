"""How cases are run: alone, in order, or in several processes."""

from __future__ import annotations

import io
import itertools
import multiprocessing
import signal
import time
import traceback
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from sklearn import model_selection
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmulti import MultiOutputMLPRegressor
from skmulti.model_selection import BatchedGridSearchCV, cross_val_predict, cross_validate
from skmulti.prediction import SplitConformalRegressor
from tests.fuzz.cases import Case, draw_case
from tests.fuzz.questions import QUESTIONS, Fitted
from tests.fuzz.watch import CaseTimeout, Watch, random_state_of


@dataclass(frozen=True)
class Outcome:
    """How one case went.

    Attributes
    ----------
    end : {"fitted", "refused", "broken"}
        Whether `fit` returned, raised, or the case itself failed.
    """

    number: int
    end: str
    findings: tuple[str, ...]
    text: str
    seconds: float


def run_case(seed: int, number: int, time_limit: float = 20.0) -> Outcome:
    """Run the case of a number."""
    _warm_up()
    start, watch, text, end = time.perf_counter(), Watch(), "", "broken"
    try:
        # What the case itself is warned of, such as of np.matrix, is not what the calls are watched for.
        with (
            _limited(time_limit),
            random_state_of(number),
            redirect_stdout(io.StringIO()),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            case = draw_case(seed, number)
            text = str(case)
            end = _run(case, watch)
    except CaseTimeout:
        watch.find(f"took more than {time_limit:g} seconds")
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        watch.find(f"outside of a watched call: {type(error).__name__}: {error} at {place.filename}:{place.lineno}")
    return Outcome(number, end, tuple(watch.findings), text, time.perf_counter() - start)


def run_cases(seed: int, numbers: Any, jobs: int = 1) -> Iterator[Outcome]:
    """Run cases, in several processes where wanted, and yield how they went."""
    numbers = list(numbers)
    if jobs == 1:
        yield from (run_case(seed, number) for number in numbers)
        return
    # Spawned: torch's threads do not survive a fork.
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(run_case, itertools.repeat(seed), numbers, chunksize=20)


@cache
def _warm_up() -> None:
    """Fit once: what a library loads then takes its time, and may set filters of warnings of its own."""
    X = np.random.default_rng(0).normal(size=(12, 2))
    MultiOutputMLPRegressor(effort="fast", n_members=2, max_epochs=1, random_state=0).fit(X, X).predict(X)


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    def too_late(*_: Any) -> None:
        raise CaseTimeout

    before = signal.signal(signal.SIGALRM, too_late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _run(case: Case, watch: Watch) -> str:
    if case.wrapper:
        return _run_wrapped(case, watch)
    net, X, y, fit_params = case.estimator, case.give_inputs(), case.give_targets_of(), case.fit_params
    if case.spoil is not None:
        X, y, fit_params = case.spoil(X, y, fit_params)
    params = net.get_params(deep=False)
    text = repr(params)
    _, error = watch.call(
        "fit",
        lambda: net.fit(X, y, **fit_params),
        expected=case.expected,
        mine={"X": X, "y": y, **fit_params},
        draws=net.random_state is None,
    )
    after = net.get_params(deep=False)
    if any(after.get(name) is not value for name, value in params.items()) or repr(after) != text:
        watch.find("fit: changed the parameters of the estimator")
    if error is not None or case.expected == "refused":
        return "refused"
    fitted = Fitted(case, watch, net)
    if fitted.predict():
        n_questions = int(case.rng.integers(2, 5))
        for i in case.rng.choice(len(QUESTIONS), n_questions, replace=False):
            QUESTIONS[i](fitted)
    return "fitted"


def _run_wrapped(case: Case, watch: Watch) -> str:
    """Run a case whose net stands inside of something else; it asks less."""
    net, X, y = case.estimator, case.give_inputs(), case.give_targets_of()
    # Folds and held-out rows may leave what is drawn for all rows.
    expected = "either" if case.expected == "either" or len(case.X) < 20 or np.isnan(case.y).any() else "works"
    draws = net.random_state is None
    shape = (len(case.X),) if case.y_ndim == 1 else case.y.shape
    if case.wrapper == "pipeline" and ("tensor" in case.form or "sparse" in case.form):
        # It is scikit-learn's scaler that would have to take it.
        X = case.give_inputs(form="float64")
    mine = {"X": X, "y": y}
    if case.wrapper == "cross_validate":
        scores, error = watch.call(
            "cross_validate",
            lambda: cross_validate(net, X, y, cv=2, error_score="raise"),
            expected=expected,
            mine=mine,
            draws=draws,
        )
        if error is None and not np.isfinite(scores["test_score"]).all():
            watch.find(f"cross_validate: scores {scores['test_score']}")
        elif error is None and not draws and case.learns:
            theirs = model_selection.cross_validate(net, X, y, cv=2, error_score="raise")["test_score"]
            if not np.allclose(scores["test_score"], theirs, rtol=0.05, atol=0.05):
                watch.find(f"cross_validate: scores {scores['test_score']}, scikit-learn has {theirs}")
        return "fitted" if error is None else "refused"
    if case.wrapper == "cross_val_predict":
        pred, error = watch.call(
            "cross_val_predict", lambda: cross_val_predict(net, X, y, cv=2), expected=expected, mine=mine, draws=draws
        )
        if error is None and (pred.shape != shape or not np.isfinite(pred).all()):
            watch.find(f"cross_val_predict: shape {pred.shape}, finite: {np.isfinite(pred).all()}")
        return "fitted" if error is None else "refused"
    if case.wrapper == "pipeline":
        if case.X.ndim > 2 or case.form in ("matrix", "strings of numbers", "scipy sparse"):
            expected = "either"
        outer: Any = make_pipeline(StandardScaler(), net)
    elif case.wrapper == "conformal":
        outer = SplitConformalRegressor(net, coverage=0.5, calibration_fraction=0.3, random_state=0)
    else:
        name = case.rng.choice(["max_epochs", "lr", "random_state"])
        grid = {"max_epochs": [1, 2], "lr": [1e-3, 1e-2], "random_state": [0, 1]}[name]
        outer = BatchedGridSearchCV(net, {name: grid}, cv=2, error_score="raise")
    before = repr(net.get_params(deep=False))
    _, error = watch.call(
        f"fit of a {case.wrapper}", lambda: outer.fit(X, y), expected=expected, mine=mine, draws=draws
    )
    if repr(net.get_params(deep=False)) != before:
        watch.find(f"fit of a {case.wrapper}: changed the parameters of the net")
    if error is not None:
        return "refused"
    pred, error = watch.call(f"predict of a {case.wrapper}", lambda: outer.predict(X), mine=mine)
    if error is None and (pred.shape != shape or not np.isfinite(pred).all()):
        watch.find(f"predict of a {case.wrapper}: shape {pred.shape}, finite: {np.isfinite(pred).all()}")
    watch.call(f"score of a {case.wrapper}", lambda: outer.score(X, y), mine=mine)
    if case.wrapper == "conformal":
        interval, error = watch.call("predict_interval", lambda: outer.predict_interval(X))
        if error is None and not (interval[..., 0] <= interval[..., 1]).all():
            watch.find("predict_interval of a conformal: the lower end above the upper one")
    clone(outer)
    return "fitted"
