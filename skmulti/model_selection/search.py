"""Grid and random search whose nets are trained together."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV

from skmulti.model_selection.batched import WORKING_MEMORY, BatchedSearch


class BatchedGridSearchCV(BatchedSearch, GridSearchCV):
    """scikit-learn's `GridSearchCV`, with the nets of all candidates and splits trained together.

    Nets of equal shape are trained as one stack, which takes little longer than one of them; each learns what it
    would learn by itself. Everything else is scikit-learn's: parameters, scores, ranks, errors, the refit.

    The estimator is one of ours, or a pipeline that ends in one. The steps before the net are fitted once for each
    split and setting of their parameters. Whatever else comes, and nets that can't be in a stack, are trained in
    turn: `sequential_fits_` says why.

    Parameters
    ----------
    estimator : estimator
        An estimator of skmulti, or a `Pipeline` that ends in one; any other works as in `GridSearchCV`.
    param_grid : dict or list of dicts
        Names of parameters and the values to try, as in `GridSearchCV`.
    scoring : str, callable, list, tuple or dict, default=None
        One scorer or several, as in `GridSearchCV`.
    n_jobs : int, default=None
        How many processes train, each a list of the nets: None means one, unless a `joblib.parallel_config` says
        otherwise, and -1 all processors. Larger stacks are often faster than more processes. Threads of joblib's are
        not used. Whatever the backend, scores are computed in this process.
    refit : bool, str or callable, default=True
        Whether and by which score to refit the best candidate, as in `GridSearchCV`.
    cv : int, splitter or iterable, default=None
        The splits, as in `GridSearchCV`.
    verbose : int, default=0
        From 1 on: a bar on stderr while nets are trained, then a line that says how many were in stacks and how many
        in turn. From 2 on also scikit-learn's lines, one for each fit; their times are those of scoring.
    pre_dispatch : int or str, default="2*n_jobs"
        As in `GridSearchCV`.
    error_score : "raise" or number, default=np.nan
        The score of a fit that failed, as in `GridSearchCV`; the others are not touched by it.
    return_train_score : bool, default=False
        Whether to score the training rows too.
    working_memory : float, default=None
        The memory in MiB that one stack may take. None means scikit-learn's
        ``get_config()["working_memory"]``.

    Attributes
    ----------
    cv_results_ : dict of str to ndarray
        As in `GridSearchCV`; the fit time of a net is its share of the time of its stack and of the steps before.
    best_estimator_ : estimator
        The best candidate, fitted to all rows; where `refit` is not False.
    best_score_ : float
        The mean score of the best candidate.
    best_params_ : dict
        The parameters of the best candidate.
    best_index_ : int
        Its place in `cv_results_`.
    scorer_ : callable or dict
        The scorers.
    n_splits_ : int
        The number of splits.
    refit_time_ : float
        The seconds of the refit.
    multimetric_ : bool
        Whether there are several scorers.
    n_features_in_ : int
        The number of features of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        The names of the features, where X had names.
    n_stacked_fits_ : int
        How many fits were trained in a stack; the refit is not counted.
    sequential_fits_ : dict of str to int
        How many fits were trained in turn, for each reason.

    Raises
    ------
    ValueError
        In `fit`, if a parameter or the data are out of place, or all fits failed.

    See Also
    --------
    BatchedRandomizedSearchCV : The same for candidates that are drawn.
    sklearn.model_selection.GridSearchCV : What trains all candidates one by one.

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
    """scikit-learn's `RandomizedSearchCV`, with the nets of all candidates and splits trained together.

    See `BatchedGridSearchCV` for what is trained together, and what in turn.

    Parameters
    ----------
    estimator : estimator
        An estimator of skmulti, or a `Pipeline` that ends in one; any other works as in `RandomizedSearchCV`.
    param_distributions : dict or list of dicts
        Names of parameters and what their values are drawn from, as in `RandomizedSearchCV`.
    n_iter : int, default=10
        The number of candidates.
    scoring, n_jobs, refit, cv, verbose, pre_dispatch : optional
        As in `BatchedGridSearchCV`.
    random_state : int, RandomState or None, default=None
        Decides which candidates are drawn.
    error_score, return_train_score, working_memory : optional
        As in `BatchedGridSearchCV`.

    Attributes
    ----------
    cv_results_, best_estimator_, best_score_, best_params_, best_index_ : optional
        As in `BatchedGridSearchCV`.
    scorer_, n_splits_, refit_time_, multimetric_, n_features_in_, feature_names_in_ : optional
        As in `BatchedGridSearchCV`.
    n_stacked_fits_ : int
        How many fits were trained in a stack; the refit is not counted.
    sequential_fits_ : dict of str to int
        How many fits were trained in turn, for each reason.

    Raises
    ------
    ValueError
        In `fit`, if a parameter or the data are out of place, or all fits failed.

    See Also
    --------
    BatchedGridSearchCV : The same for all candidates of a grid.
    sklearn.model_selection.RandomizedSearchCV : What trains all candidates one by one.

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
