"""Grid and randomized search whose networks are trained together."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV

from skmulti.model_selection.batched import WORKING_MEMORY, BatchedSearch


class BatchedGridSearchCV(BatchedSearch, GridSearchCV):
    """scikit-learn's `GridSearchCV`, with the networks of all candidates and splits trained together.

    Networks of equal shape are trained as one stack, which takes little longer than training one of them; the results
    are those of separate training. Parameters, scores, ranks, errors and the refit are those of scikit-learn.

    Stacks are formed for estimators of skmulti, and for pipelines that end in one. The steps before it are fitted once
    for each split and each setting of their parameters. Other estimators, and networks that cannot be stacked, are
    trained sequentially; `sequential_fits_` gives the reasons.

    Parameters
    ----------
    estimator : estimator
        An estimator of skmulti, or a `Pipeline` that ends in one; any other estimator works as in `GridSearchCV`.
    param_grid : dict or list of dicts
        Parameter names and the values to try, as in `GridSearchCV`.
    scoring : str, callable, list, tuple or dict, default=None
        One scorer or several, as in `GridSearchCV`.
    n_jobs : int, default=None
        The number of training processes, among which the fits are divided: None means one, unless set by a
        `joblib.parallel_config`, and -1 all processors. Larger stacks are often faster than more processes. Thread
        backends train in this process. Scores are always computed in this process.
    refit : bool, str or callable, default=True
        Whether and by which score to refit the best candidate, as in `GridSearchCV`.
    cv : int, splitter or iterable, default=None
        The splits, as in `GridSearchCV`.
    verbose : int, default=0
        From 1: a progress bar on stderr during training, then a line with the number of fits trained in stacks and
        sequentially. From 2: also scikit-learn's line for each fit, whose time is that of scoring.
    pre_dispatch : int or str, default="2*n_jobs"
        As in `GridSearchCV`.
    error_score : "raise" or number, default=np.nan
        The score of a failed fit, as in `GridSearchCV`. Other fits are not affected.
    return_train_score : bool, default=False
        Whether to compute scores on the training rows too.
    working_memory : float, default=None
        The memory limit of one stack in MiB. None means scikit-learn's
        ``get_config()["working_memory"]``.

    Attributes
    ----------
    cv_results_ : dict of str to ndarray
        As in `GridSearchCV`; the fit time of a network is the time of its stack and of the preceding steps, divided
        among the fits that used them.
    best_estimator_ : estimator
        The best candidate, fitted to all rows; only if `refit` is not False.
    best_score_ : float
        The mean score of the best candidate.
    best_params_ : dict
        The parameters of the best candidate.
    best_index_ : int
        The index of the best candidate in `cv_results_`.
    scorer_ : callable or dict
        The scorers.
    n_splits_ : int
        The number of splits.
    refit_time_ : float
        The duration of the refit in seconds.
    multimetric_ : bool
        Whether there are several scorers.
    n_features_in_ : int
        The number of features of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        The names of the features; only if X has names.
    n_stacked_fits_ : int
        The number of fits that were trained in a stack, without the refit.
    sequential_fits_ : dict of str to int
        The number of fits that were trained sequentially, for each reason.

    Raises
    ------
    ValueError
        In `fit`, if a parameter or the data are invalid, or all fits failed.

    See Also
    --------
    BatchedRandomizedSearchCV : The same for randomly drawn candidates.
    sklearn.model_selection.GridSearchCV : Trains all candidates one by one.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skmulti import MultiOutputMLPRegressor
    >>> from skmulti.datasets import load_breast_cancer_measurements
    >>> from skmulti.model_selection import BatchedGridSearchCV
    >>> X, y = load_breast_cancer_measurements(return_X_y=True)
    >>> net = make_pipeline(StandardScaler(), MultiOutputMLPRegressor(max_epochs=3, random_state=0))
    >>> grid = {"multioutputmlpregressor__lr": [1e-4, 1e-2]}
    >>> search = BatchedGridSearchCV(net, grid, cv=3).fit(X, y)
    >>> search.best_params_
    {'multioutputmlpregressor__lr': 0.01}
    >>> search.n_stacked_fits_ + sum(search.sequential_fits_.values())
    6
    """

    _parameter_constraints = {**GridSearchCV._parameter_constraints, "working_memory": WORKING_MEMORY}

    def __init__(
        self,
        estimator: Any,
        param_grid: Any,
        *,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: Any = "2*n_jobs",
        error_score: Any = np.nan,
        return_train_score: bool = False,
        working_memory: float | None = None,
    ) -> None:
        super().__init__(
            estimator,
            param_grid,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.working_memory = working_memory


class BatchedRandomizedSearchCV(BatchedSearch, RandomizedSearchCV):
    """scikit-learn's `RandomizedSearchCV`, with the networks of all candidates and splits trained together.

    See `BatchedGridSearchCV` for which networks are trained together, and which sequentially.

    Parameters
    ----------
    estimator : estimator
        An estimator of skmulti, or a `Pipeline` that ends in one; any other estimator works as in `RandomizedSearchCV`.
    param_distributions : dict or list of dicts
        Parameter names and the distributions or lists from which values are drawn, as in `RandomizedSearchCV`.
    n_iter : int, default=10
        The number of candidates.
    scoring, n_jobs, refit, cv, verbose, pre_dispatch : optional
        As in `BatchedGridSearchCV`.
    random_state : int, RandomState or None, default=None
        The seed of the drawn candidates.
    error_score, return_train_score, working_memory : optional
        As in `BatchedGridSearchCV`.

    Attributes
    ----------
    cv_results_, best_estimator_, best_score_, best_params_, best_index_ : optional
        As in `BatchedGridSearchCV`.
    scorer_, n_splits_, refit_time_, multimetric_, n_features_in_, feature_names_in_ : optional
        As in `BatchedGridSearchCV`.
    n_stacked_fits_ : int
        The number of fits that were trained in a stack, without the refit.
    sequential_fits_ : dict of str to int
        The number of fits that were trained sequentially, for each reason.

    Raises
    ------
    ValueError
        In `fit`, if a parameter or the data are invalid, or all fits failed.

    See Also
    --------
    BatchedGridSearchCV : The same for all candidates of a grid.
    sklearn.model_selection.RandomizedSearchCV : Trains all candidates one by one.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from skmulti import MultiOutputMLPRegressor
    >>> from skmulti.datasets import load_breast_cancer_measurements
    >>> from skmulti.model_selection import BatchedRandomizedSearchCV
    >>> X, y = load_breast_cancer_measurements(return_X_y=True)
    >>> net = MultiOutputMLPRegressor(max_epochs=3, random_state=0)
    >>> space = {"lr": loguniform(1e-4, 1e-2)}
    >>> search = BatchedRandomizedSearchCV(net, space, n_iter=2, cv=2, random_state=0).fit(X, y)
    >>> len(search.cv_results_["params"])
    2
    """

    _parameter_constraints = {**RandomizedSearchCV._parameter_constraints, "working_memory": WORKING_MEMORY}

    def __init__(
        self,
        estimator: Any,
        param_distributions: Any,
        *,
        n_iter: int = 10,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: Any = "2*n_jobs",
        random_state: Any = None,
        error_score: Any = np.nan,
        return_train_score: bool = False,
        working_memory: float | None = None,
    ) -> None:
        super().__init__(
            estimator,
            param_distributions,
            n_iter=n_iter,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            random_state=random_state,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.working_memory = working_memory
