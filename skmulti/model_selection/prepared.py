"""Fits that are done before scikit-learn requests them, so that its own code evaluates them."""

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

_UNPLANNED = "scikit-learn requested a fit that was not planned"


class KnownSplits:
    """A splitter that calls another one once, and stores the arguments and the splits."""

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
        """Return the metadata routing of the other splitter."""
        return get_routing_for_object(self.cv)


class Prepared:
    """The fits of one search, done when scikit-learn clones the estimator for the first of them.

    scikit-learn's functions receive `estimator` and the splits from `plan`, with one job. They clone the estimator once
    for each fit, in the order of candidates and splits. Each of these clones is already fitted; its `fit` only raises
    the error of a failed fit. Later clones are ordinary ones, such as the one for the refit.

    Parameters
    ----------
    estimator : estimator
        The estimator of the search.
    params : mapping
        The parameters of `fit`, before metadata routing.
    workers : Workers
        How to run the fits.
    interrupts : Interrupts
        Ends the fits after Ctrl-C.
    """

    def __init__(self, estimator: Any, params: Mapping[str, Any], workers: Workers, interrupts: Interrupts) -> None:
        self._base = clone(estimator)
        self._params = params
        self._workers = workers
        self._interrupts = interrupts
        self._candidates: Sequence[Mapping[str, Any]] = ()
        self._splits: KnownSplits | None = None
        self._handouts: deque[_FittedClone] | None = None
        self._until_fits = ExitStack()
        self.fits: list[Fit] = []
        self.estimator = shallow_copy(estimator)
        # On the instance: scorers and subclasses see an estimator of the same class.
        vars(self.estimator)["__sklearn_clone__"] = self._next

    def plan(self, candidates: Sequence[Mapping[str, Any]], cv: Any) -> KnownSplits:
        """Make the next clones the fits of these candidates; return the splitter to be used with them."""
        self._candidates, self._splits, self._handouts = candidates, KnownSplits(cv), None
        return self._splits

    @contextmanager
    def evaluated_here(self) -> Iterator[None]:
        """Make scikit-learn evaluate in this process inside the block, with any joblib backend.

        Some backends, such as Dask's, send even a single job to a worker, which does not have the prepared fits. The
        sequential backend applies only until the first fit is requested, when scikit-learn has created its `Parallel`:
        the fits themselves and the refit use the backend of the user.
        """
        with self._until_fits:
            self._until_fits.enter_context(joblib.parallel_config(backend="sequential"))
            yield

    def close(self) -> None:
        """Restore ordinary cloning: some scorers keep a reference to the estimator."""
        vars(self.estimator).pop("__sklearn_clone__", None)

    def seconds(self) -> list[float]:
        """Return the duration of each fit in seconds."""
        return [fit.outcome.seconds for fit in self.fits]

    def reasons(self) -> Counter[str]:
        """Return the number of fits for each reason to train sequentially; fits in a stack have the key ""."""
        return Counter(fit.outcome.why_sequential for fit in self.fits)

    def _next(self) -> Any:
        if self._splits is None:
            return self.estimator
        self._interrupts.check()
        if self._handouts is None:
            fits = self._run_fits()
            self.fits += fits
            self._handouts = deque(_FittedClone(fit, self._base) for fit in fits)
        return self._handouts.popleft().estimator if self._handouts else clone(self._base)

    def _run_fits(self) -> list[Fit]:
        assert self._splits is not None
        self._until_fits.close()
        splits = self._splits
        data = Data(splits.X, splits.y, splits.splits or (), _routed(self._base, self._params))
        fits = plan_fits(self._base, self._candidates, data)
        do_fits(fits, data, self._workers, self._interrupts)
        if self._workers.verbose > 0:
            print(_summary(Counter(fit.outcome.why_sequential for fit in fits)))
        return fits


class _FittedClone:
    """A clone that is already fitted, and returns or raises the outcome in `fit`."""

    def __init__(self, fit: Fit, base: Any) -> None:
        self._fit, self._base = fit, base
        self._params: Mapping[str, Any] = {}
        # Fits of a group share one error object, and each raise would add to its traceback.
        self._traceback = fit.outcome.error.__traceback__ if fit.outcome.error is not None else None
        self.estimator = shallow_copy(fit.outcome.estimator)
        fit.estimator = fit.outcome.estimator = None
        vars(self.estimator).update(set_params=self.set_params, fit=self.fit)

    def set_params(self, **params: Any) -> Any:
        self._params = params
        return self.estimator

    def fit(self, X: Any, *args: Any, **params: Any) -> Any:
        # The scorers must see an ordinary estimator.
        del vars(self.estimator)["set_params"], vars(self.estimator)["fit"]
        outcome = self._fit.outcome
        if num_samples(X) != self._fit.n_rows or not _are_compatible(self._params, self._fit.params):
            outcome.why_sequential = _UNPLANNED
            fresh = clone(self._base).set_params(**self._params)
            vars(self.estimator).clear()
            self.estimator.__class__ = type(fresh)
            vars(self.estimator).update(vars(fresh))
            return self.estimator.fit(X, *args, **params)
        if outcome.error is not None:
            raise outcome.error.with_traceback(self._traceback)
        return self.estimator


def _are_compatible(given: Mapping[str, Any], planned: Mapping[str, Any]) -> bool:
    """Return False if parameters differ. Of objects only the types are compared, since copies are rarely equal."""
    return given.keys() == planned.keys() and not any(
        type(given[name]) is not type(value) or (isinstance(value, (int, float, str)) and _differ(given[name], value))
        for name, value in planned.items()
    )


def _differ(one: Any, other: Any) -> bool:
    # Two NaN are the same value of a parameter.
    return bool(one != other) and (one == one or other == other)


def _routed(estimator: Any, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the routed parameters of the estimator's `fit`, which scikit-learn has already validated."""
    if not routing_enabled():
        return dict(params)
    mapping = MethodMapping().add(caller="fit", callee="fit")
    router = MetadataRouter(owner="fit").add(estimator=estimator, method_mapping=mapping)
    routed: dict[str, Any] = router.route_params(caller="fit", params=dict(params)).estimator.fit
    return routed


def _summary(reasons: Counter[str]) -> str:
    n_sequential = reasons.total() - reasons[""]
    why = ", ".join(f"{n} because {reason}" for reason, n in reasons.items() if reason)
    return f"{reasons['']} fits in stacks, {n_sequential} sequential" + (f": {why}" if why else "")
