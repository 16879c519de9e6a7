"""Cross-validation whose nets are trained together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn import model_selection
from sklearn.base import is_classifier
from sklearn.model_selection import check_cv

from skmulti._compat import validate_parameter_constraints
from skmulti.model_selection.batched import WORKING_MEMORY
from skmulti.model_selection.fits import Workers
from skmulti.model_selection.prepared import Prepared
from skmulti.training.interrupt import ctrl_c


def cross_validate(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    groups: Any = None,
    scoring: Any = None,
    cv: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
    params: Mapping[str, Any] | None = None,
    pre_dispatch: Any = "2*n_jobs",
    return_train_score: bool = False,
    return_estimator: bool = False,
    return_indices: bool = False,
    error_score: Any = np.nan,
    working_memory: float | None = None,
) -> dict[str, Any]:
    """Score an estimator on several splits: scikit-learn's `cross_validate`, with all nets trained together.

    See `BatchedGridSearchCV` for what is trained together, and what in turn.

    Parameters
    ----------
    estimator : estimator
        An estimator of skmulti, or a `Pipeline` that ends in one; any other works as in scikit-learn.
    X : array-like of shape (n_samples, n_features) or (n_samples, ...)
        Inputs.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        Targets.
    groups : array-like of shape (n_samples,), default=None
        The groups of the rows, for the splitter.
    scoring : str, callable, list, tuple or dict, default=None
        One scorer or several, as in scikit-learn.
    cv : int, splitter or iterable, default=None
        The splits, as in scikit-learn.
    n_jobs : int, default=None
        How many processes train, as in `BatchedGridSearchCV`.
    verbose : int, default=0
        From 1 on: a bar while nets are trained, then a line that says how many were in stacks; and what
        scikit-learn shows.
    params : dict, default=None
        Parameters of the estimator's `fit`, such as `sample_weight`, of the scorers and the splitter.
    pre_dispatch : int or str, default="2*n_jobs"
        As in scikit-learn.
    return_train_score, return_estimator, return_indices : bool, default=False
        What to return beside the scores, as in scikit-learn.
    error_score : "raise" or number, default=np.nan
        The score of a fit that failed.
    working_memory : float, default=None
        The memory in MiB that one stack may take. None means scikit-learn's
        ``get_config()["working_memory"]``.

    Returns
    -------
    scores : dict of str to ndarray of shape (n_splits,)
        As in scikit-learn; the fit time of a net is its share of the time of its stack and of the steps before.

    Raises
    ------
    ValueError
        If a parameter or the data are out of place, or all fits failed.

    See Also
    --------
    cross_val_predict : Predictions in place of scores.
    sklearn.model_selection.cross_validate : What trains the nets one by one.

    Examples
    --------
    >>> from skmulti import MultiOutputMLPRegressor
    >>> from skmulti.datasets import load_breast_cancer_measurements
    >>> from skmulti.model_selection import cross_validate
    >>> X, y = load_breast_cancer_measurements(return_X_y=True)
    >>> scores = cross_validate(MultiOutputMLPRegressor(max_epochs=3, random_state=0), X, y, cv=3)
    >>> scores["test_score"].shape
    (3,)
    """
    workers = _workers("cross_validate", n_jobs, pre_dispatch, verbose, working_memory)
    options = {
        "scoring": scoring,
        "pre_dispatch": pre_dispatch,
        "return_train_score": return_train_score,
        "return_estimator": return_estimator,
        "return_indices": return_indices,
        "error_score": error_score,
    }
    scores, prepared = _run(model_selection.cross_validate, estimator, X, y, groups, cv, params, workers, options)
    scores["fit_time"] = np.array(prepared.seconds())
    found: dict[str, Any] = scores
    return found


def cross_val_predict(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    groups: Any = None,
    cv: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
    params: Mapping[str, Any] | None = None,
    pre_dispatch: Any = "2*n_jobs",
    method: str = "predict",
    working_memory: float | None = None,
) -> Any:
    """Predict each row by a net that has not seen it: scikit-learn's `cross_val_predict`, nets trained together.

    See `BatchedGridSearchCV` for what is trained together, and what in turn.

    Parameters
    ----------
    estimator : estimator
        An estimator of skmulti, or a `Pipeline` that ends in one; any other works as in scikit-learn.
    X : array-like of shape (n_samples, n_features) or (n_samples, ...)
        Inputs.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        Targets.
    groups : array-like of shape (n_samples,), default=None
        The groups of the rows, for the splitter.
    cv : int, splitter or iterable, default=None
        The splits, each row in one test set, as in scikit-learn.
    n_jobs : int, default=None
        How many processes train, as in `BatchedGridSearchCV`.
    verbose : int, default=0
        As in `cross_validate`.
    params : dict, default=None
        Parameters of the estimator's `fit`, such as `sample_weight`, and of the splitter.
    pre_dispatch : int or str, default="2*n_jobs"
        As in scikit-learn.
    method : str, default="predict"
        The method that predicts, as in scikit-learn.
    working_memory : float, default=None
        The memory in MiB that one stack may take. None means scikit-learn's
        ``get_config()["working_memory"]``.

    Returns
    -------
    predictions : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        The prediction of each row.

    Raises
    ------
    ValueError
        If a parameter or the data are out of place. What a fit raises is raised.

    See Also
    --------
    cross_validate : Scores in place of predictions.
    sklearn.model_selection.cross_val_predict : What trains the nets one by one.

    Examples
    --------
    >>> from skmulti import MultiOutputMLPRegressor
    >>> from skmulti.datasets import load_breast_cancer_measurements
    >>> from skmulti.model_selection import cross_val_predict
    >>> X, y = load_breast_cancer_measurements(return_X_y=True)
    >>> cross_val_predict(MultiOutputMLPRegressor(max_epochs=3, random_state=0), X, y, cv=3).shape == y.shape
    True
    """
    workers = _workers("cross_val_predict", n_jobs, pre_dispatch, verbose, working_memory)
    options = {"pre_dispatch": pre_dispatch, "method": method}
    if method != "predict":
        # No net of ours has another; and scikit-learn fits classifiers to codes of their classes then.
        return model_selection.cross_val_predict(
            estimator, X, y, groups=groups, cv=cv, n_jobs=n_jobs, verbose=verbose, params=params, **options
        )
    return _run(model_selection.cross_val_predict, estimator, X, y, groups, cv, params, workers, options)[0]


def _workers(caller: str, n_jobs: int | None, pre_dispatch: Any, verbose: int, working_memory: Any) -> Workers:
    validate_parameter_constraints({"working_memory": WORKING_MEMORY}, {"working_memory": working_memory}, caller)
    return Workers(n_jobs, pre_dispatch, verbose, working_memory)


def _run(
    function: Callable[..., Any],
    estimator: Any,
    X: Any,
    y: Any,
    groups: Any,
    cv: Any,
    params: Mapping[str, Any] | None,
    workers: Workers,
    options: dict[str, Any],
) -> tuple[Any, Prepared]:
    """Run a function of scikit-learn's on fits that are prepared."""
    with ctrl_c() as interrupts:
        prepared = Prepared(estimator, params or {}, workers, interrupts)
        # A fit without candidates is one of the only candidate, which sets nothing.
        splits = prepared.ask_for([{}], check_cv(cv, y, classifier=is_classifier(estimator)))
        with prepared.evaluated_here():
            found = function(
                prepared.estimator,
                X,
                y,
                groups=groups,
                cv=splits,
                n_jobs=1,
                verbose=workers.verbose,
                params=params,
                **options,
            )
        interrupts.check()
    prepared.close()
    return found, prepared
