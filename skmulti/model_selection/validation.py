"""Cross-validation whose networks are trained together."""

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
    """Score an estimator on several splits: scikit-learn's `cross_validate`, with all networks trained together.

    See `BatchedGridSearchCV` for which networks are trained together, and which sequentially.

    Parameters
    ----------
    estimator : estimator
        An estimator of skmulti, or a `Pipeline` that ends in one; any other estimator works as in scikit-learn.
    X : array-like of shape (n_samples, n_features) or (n_samples, ...)
        Inputs.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        Targets.
    groups : array-like of shape (n_samples,), default=None
        The group of each row, for the splitter.
    scoring : str, callable, list, tuple or dict, default=None
        One scorer or several, as in scikit-learn.
    cv : int, splitter or iterable, default=None
        The splits, as in scikit-learn.
    n_jobs : int, default=None
        The number of training processes, as in `BatchedGridSearchCV`.
    verbose : int, default=0
        From 1: a progress bar during training, then a line with the number of fits trained in stacks and
        sequentially; and the output of scikit-learn.
    params : dict, default=None
        Parameters of the estimator's `fit`, such as `sample_weight`, of the scorers and the splitter.
    pre_dispatch : int or str, default="2*n_jobs"
        As in scikit-learn.
    return_train_score, return_estimator, return_indices : bool, default=False
        What to return in addition to the scores, as in scikit-learn.
    error_score : "raise" or number, default=np.nan
        The score of a failed fit.
    working_memory : float, default=None
        The memory limit of one stack in MiB. None means scikit-learn's
        ``get_config()["working_memory"]``.

    Returns
    -------
    scores : dict of str to ndarray of shape (n_splits,)
        As in scikit-learn; the fit time of a network is the time of its stack and of the preceding steps, divided
        among the fits that used them.

    Raises
    ------
    ValueError
        If a parameter or the data are invalid, or all fits failed.

    See Also
    --------
    cross_val_predict : Returns predictions instead of scores.
    sklearn.model_selection.cross_validate : Trains the networks one by one.

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
    results: dict[str, Any] = scores
    return results


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

    See `BatchedGridSearchCV` for which networks are trained together, and which sequentially.

    Parameters
    ----------
    estimator : estimator
        An estimator of skmulti, or a `Pipeline` that ends in one; any other estimator works as in scikit-learn.
    X : array-like of shape (n_samples, n_features) or (n_samples, ...)
        Inputs.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        Targets.
    groups : array-like of shape (n_samples,), default=None
        The group of each row, for the splitter.
    cv : int, splitter or iterable, default=None
        The splits, each row in one test set, as in scikit-learn.
    n_jobs : int, default=None
        The number of training processes, as in `BatchedGridSearchCV`.
    verbose : int, default=0
        As in `cross_validate`.
    params : dict, default=None
        Parameters of the estimator's `fit`, such as `sample_weight`, and of the splitter.
    pre_dispatch : int or str, default="2*n_jobs"
        As in scikit-learn.
    method : str, default="predict"
        The method that predicts, as in scikit-learn.
    working_memory : float, default=None
        The memory limit of one stack in MiB. None means scikit-learn's
        ``get_config()["working_memory"]``.

    Returns
    -------
    predictions : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        The prediction of each row.

    Raises
    ------
    ValueError
        If a parameter or the data are invalid. Errors of a fit are raised as they are.

    See Also
    --------
    cross_validate : Returns scores instead of predictions.
    sklearn.model_selection.cross_val_predict : Trains the networks one by one.

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
        # Estimators of skmulti have no other method, and for classifiers scikit-learn encodes the classes first.
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
    """Run a function of scikit-learn on prepared fits."""
    with ctrl_c() as interrupts:
        prepared = Prepared(estimator, params or {}, workers, interrupts)
        # Cross-validation is a search with one candidate that sets no parameters.
        splits = prepared.plan([{}], check_cv(cv, y, classifier=is_classifier(estimator)))
        with prepared.evaluated_here():
            results = function(
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
    return results, prepared
