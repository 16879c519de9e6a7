"""Base class of the searches: all fits are done first, then scikit-learn evaluates them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.model_selection import check_cv
from sklearn.utils.validation import indexable

from skmulti._compat import Interval, routing_enabled
from skmulti.model_selection.fits import Workers
from skmulti.model_selection.prepared import Prepared
from skmulti.training.interrupt import ctrl_c

if TYPE_CHECKING:
    from typing_extensions import Self

WORKING_MEMORY = [Interval(Real, 0, None, closed="neither"), None]


class BatchedSearch:
    """Mixin for a search of scikit-learn: trains all networks first, then lets scikit-learn evaluate them."""

    n_stacked_fits_: int
    sequential_fits_: dict[str, int]

    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Fit all candidates on all splits, then the best one on all rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Targets.
        **params : dict
            As in scikit-learn: `groups` for the splitter, `sample_weight` and others for the estimator's `fit` and
            the scorers.

        Returns
        -------
        self : object
            The fitted search.

        Raises
        ------
        ValueError
            If a parameter or the data are invalid, or all fits failed.
        KeyboardInterrupt
            On Ctrl-C. No partly trained network remains.
        """
        search: Any = self
        search._validate_params()
        X, y = indexable(X, y)
        fit_params = params if routing_enabled() else {name: params[name] for name in params if name != "groups"}
        workers = Workers(search.n_jobs, search.pre_dispatch, search.verbose, search.working_memory)
        with ctrl_c() as interrupts:
            prepared = Prepared(search.estimator, fit_params, workers, interrupts)
            cv = check_cv(search.cv, y, classifier=is_classifier(search.estimator))
            # The splits of a generator can be read only once.
            changed = {"estimator": prepared.estimator, "cv": cv, "n_jobs": 1}
            before = {name: vars(self)[name] for name in changed}
            # On the instance: a subclass may override `_run_search`, and its candidates are prepared as well.
            vars(self).update(changed, _run_search=_prepared_search(search._run_search, prepared, cv))
            try:
                with prepared.evaluated_here():
                    super().fit(X, y, **params)  # type: ignore[misc]
            finally:
                vars(self).update(before)
                del vars(self)["_run_search"]
                prepared.close()
            interrupts.check()
        self.sequential_fits_ = dict(prepared.reasons())
        self.n_stacked_fits_ = self.sequential_fits_.pop("", 0)
        return self


def _prepared_search(run_search: Callable[..., None], prepared: Prepared, default_cv: Any) -> Callable[..., None]:
    """Return a `_run_search` whose candidates are prepared before scikit-learn evaluates them."""

    def _run_search(evaluate_candidates: Callable[..., Any], *, callback_ctx: Any = None) -> None:
        def evaluate(candidate_params: Iterable[Any], cv: Any = None, more_results: Any = None, **context: Any) -> Any:
            candidates = list(candidate_params)
            splits = prepared.plan(candidates, default_cv if cv is None else cv)
            results = evaluate_candidates(candidates, cv=splits, more_results=more_results, **context)
            seconds = np.array(prepared.seconds()).reshape(len(results["params"]), -1)
            results["mean_fit_time"], results["std_fit_time"] = seconds.mean(axis=1), seconds.std(axis=1)
            return results

        # scikit-learn 1.7 has no callbacks, and `_run_search` of a subclass need not take them.
        takes_callbacks = "callback_ctx" in inspect.signature(run_search).parameters
        run_search(evaluate, **({"callback_ctx": callback_ctx} if takes_callbacks else {}))

    return _run_search
