"""Fits that are done before scikit-learn asks for them, so that its own code can evaluate them."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import joblib
from sklearn.base import clone
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, get_routing_for_object

from skmulti._compat import num_samples, routing_enabled
from skmulti.model_selection.fits import Data, Fit, Workers, do_fits, plan_fits
from skmulti.model_selection.pipelines import shallow_copy
from skmulti.training.interrupt import Interrupts

_OTHERWISE = "scikit-learn asked for a fit that was not planned"


class KnownSplits:
    """A splitter that asks another one, once, and remembers what it was asked and what it answered."""

    def __init__(self, cv: Any) -> None:
        self.cv = cv
        self.X: Any = None
        self.y: Any = None
        self.splits: list[tuple[Any, Any]] | None = None

    def split(self, X: Any, y: Any = None, **params: Any) -> Any:
        """Return the splits."""
        if self.splits is None:
            self.X, self.y = X, y
            self.splits = list(self.cv.split(X, y, **params))
        return iter(self.splits)

    def get_n_splits(self, X: Any = None, y: Any = None, **params: Any) -> int:
        """Return the number of splits."""
        n_splits: int = self.cv.get_n_splits(X, y, **params)
        return n_splits

    def get_metadata_routing(self) -> Any:
        """Return what the other splitter asks for."""
        return get_routing_for_object(self.cv)


class Prepared:
    """The fits of one search, done when scikit-learn clones the estimator for the first of them.

    scikit-learn's functions are given `estimator` and splits from `ask_for`, with one job. They clone the
    estimator once for each fit, in the order of candidates and splits: each clone is an estimator that was fitted
    already, and whose `fit` does nothing but raise what was raised. After the last one, clones are what they always
    are: the best estimator is refitted as ever.

    Parameters
    ----------
    estimator : estimator
        What the user gave.
    params : mapping
        The parameters of `fit`, not yet routed.
    workers : Workers
        How to do the fits.
    interrupts : Interrupts
        What ends them.
    """

    def __init__(self, estimator: Any, params: Mapping[str, Any], workers: Workers, interrupts: Interrupts) -> None:
        self._base = clone(estimator)
        self._params = params
        self._workers = workers
        self._interrupts = interrupts
        self._candidates: Sequence[Mapping[str, Any]] = ()
        self._splits: KnownSplits | None = None
        self._waiting: deque[_HandOut] | None = None
        self._until_fits = ExitStack()
        self.fits: list[Fit] = []
        self.estimator = shallow_copy(estimator)
        # On the instance: it stays of its class for all who look at it.
        vars(self.estimator)["__sklearn_clone__"] = self._next

    def ask_for(self, candidates: Sequence[Mapping[str, Any]], cv: Any) -> KnownSplits:
        """Let the clones from now on be the fits of these candidates; return the splitter to go with them."""
        self._candidates, self._splits, self._waiting = candidates, KnownSplits(cv), None
        return self._splits

    @contextmanager
    def evaluated_here(self) -> Iterator[None]:
        """Let scikit-learn evaluate in this process inside the block, whatever joblib's backend of the user is.

        One job is no sequence with each backend: Dask's sends it to a worker, where no fit was done before. Only the
        `Parallel` of scikit-learn, which it makes before it asks for the first fit, is to know of this: the fits, and
        what scikit-learn does itself, have the backend of the user.
        """
        with self._until_fits:
            self._until_fits.enter_context(joblib.parallel_config(backend="sequential"))
            yield

    def close(self) -> None:
        """Make the estimator an ordinary one again: some scorers keep it."""
        vars(self.estimator).pop("__sklearn_clone__", None)

    def seconds(self) -> list[float]:
        """Return the time of each fit."""
        return [fit.outcome.seconds for fit in self.fits]

    def reasons(self) -> Counter[str]:
        """Return how many fits were in a stack, under "", and how many in turn, under each reason."""
        return Counter(fit.outcome.why_sequential for fit in self.fits)

    def _next(self) -> Any:
        if self._splits is None:
            return self.estimator
        self._interrupts.check()
        if self._waiting is None:
            fits = self._do()
            self.fits += fits
            self._waiting = deque(_HandOut(fit, self._base) for fit in fits)
        return self._waiting.popleft().estimator if self._waiting else clone(self._base)

    def _do(self) -> list[Fit]:
        assert self._splits is not None
        self._until_fits.close()
        known = self._splits
        data = Data(known.X, known.y, known.splits or (), _routed(self._base, self._params))
        fits = plan_fits(self._base, self._candidates, data)
        do_fits(fits, data, self._workers, self._interrupts)
        if self._workers.verbose > 0:
            print(_summary(Counter(fit.outcome.why_sequential for fit in fits)))
        return fits


class _HandOut:
    """An estimator that was fitted already, for the one who is about to fit it."""

    def __init__(self, fit: Fit, base: Any) -> None:
        self._fit, self._base = fit, base
        self._given: Mapping[str, Any] = {}
        # Several fits may share an error, and each that raises it would lengthen its traceback.
        self._traceback = fit.outcome.error.__traceback__ if fit.outcome.error is not None else None
        self.estimator = shallow_copy(fit.outcome.estimator)
        fit.estimator = fit.outcome.estimator = None
        vars(self.estimator).update(set_params=self.set_params, fit=self.fit)

    def set_params(self, **params: Any) -> Any:
        self._given = params
        return self.estimator

    def fit(self, X: Any, *args: Any, **params: Any) -> Any:
        del vars(self.estimator)["set_params"], vars(self.estimator)["fit"]
        outcome = self._fit.outcome
        if num_samples(X) != self._fit.n_rows or not _may_be_same(self._given, self._fit.params):
            outcome.why_sequential = _OTHERWISE
            own = clone(self._base).set_params(**self._given)
            vars(self.estimator).clear()
            self.estimator.__class__ = type(own)
            vars(self.estimator).update(vars(own))
            return self.estimator.fit(X, *args, **params)
        if outcome.error is not None:
            raise outcome.error.with_traceback(self._traceback)
        return self.estimator


def _may_be_same(given: Mapping[str, Any], planned: Mapping[str, Any]) -> bool:
    """Return whether parameters are the same as far as can be told: copies of objects are seldom equal."""
    return given.keys() == planned.keys() and not any(
        type(given[name]) is not type(value) or (isinstance(value, (int, float, str)) and _differ(given[name], value))
        for name, value in planned.items()
    )


def _differ(one: Any, other: Any) -> bool:
    # NaN is not itself.
    return bool(one != other) and (one == one or other == other)


def _routed(estimator: Any, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of the estimator's `fit`: scikit-learn has checked them by now."""
    if not routing_enabled():
        return dict(params)
    mapping = MethodMapping().add(caller="fit", callee="fit")
    router = MetadataRouter(owner="fit").add(estimator=estimator, method_mapping=mapping)
    routed: dict[str, Any] = router.route_params(caller="fit", params=dict(params)).estimator.fit
    return routed


def _summary(reasons: Counter[str]) -> str:
    in_turn = reasons.total() - reasons[""]
    why = ", ".join(f"{n} because {reason}" for reason, n in reasons.items() if reason)
    return f"{reasons['']} fits in stacks, {in_turn} in turn" + (f": {why}" if why else "")
