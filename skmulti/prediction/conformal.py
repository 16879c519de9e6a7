"""Intervals that hold for any loss: split-conformal prediction, one interval per column."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, RegressorMixin, clone, is_classifier
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, indexable

from skmulti._checks import without_mask
from skmulti._compat import HasMethods, Interval, fit_context, num_samples, safe_indexing


class SplitConformalRegressor(MetaEstimatorMixin, RegressorMixin, BaseEstimator):
    """Wrap a regressor with intervals that cover each column with at least the wanted probability [1]_.

    A share of the rows is held out. The estimator is fitted on the others, and the absolute residuals of the held-out
    rows say how wide an interval must be. For rows that are exchangeable with those of `fit` (drawn at random
    from the same source, say) and any estimator, the interval of a column covers a new target with a probability
    of at least `coverage`, over the draw of held-out rows and the new row:

        P(y in interval) >= coverage, and <= coverage + 1 / (n + 1) where residuals have no ties,

    with ``n`` held-out rows that have this target. The half width is the residual of rank
    ``ceil((n + 1) * coverage)``; where ``n`` is so small that this exceeds ``n``, it is infinite, and
    `predict_interval` refuses. The guarantee is for each column alone, and on the average over rows: it does not hold
    given X.

    Half widths do not depend on X: for noise that changes from row to row, train with a loss that has quantiles and see
    ``predict_interval`` of the net. MAPIE's regressors have more methods, for one column at a time.

    Parameters
    ----------
    estimator : regressor
        Any regressor, single or multiple output, a pipeline too. Angles of ours are measured the shorter way round.
    coverage : float, default=0.9
        The probability that an interval holds its target, between 0 and 1.
    calibration_fraction : float, default=0.2
        The share of the rows to hold out, between 0 and 1.
    random_state : int, RandomState or None, default=None
        Decides which rows are held out.

    Attributes
    ----------
    estimator_ : regressor
        The fitted estimator.
    half_widths_ : ndarray of shape (n_outputs,)
        Half the width of each column's interval, in its unit.
    n_calibration_ : ndarray of shape (n_outputs,)
        How many held-out rows have each column's target.

    References
    ----------
    .. [1] J. Lei, M. G'Sell, A. Rinaldo, R. J. Tibshirani and L. Wasserman, "Distribution-free predictive inference
       for regression", JASA 113 (2018), 1094-1111, theorem 2.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from skmulti.prediction.conformal import SplitConformalRegressor
    >>> from skmulti.datasets import load_breast_cancer_measurements
    >>> X, y = load_breast_cancer_measurements(return_X_y=True)
    >>> conformal = SplitConformalRegressor(Ridge(), coverage=0.9, random_state=0).fit(X, y)
    >>> conformal.predict_interval(X[:3]).shape
    (3, 10, 2)
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit", "predict"])],
        "coverage": [Interval(Real, 0, 1, closed="neither")],
        "calibration_fraction": [Interval(Real, 0, 1, closed="neither")],
        "random_state": ["random_state"],
    }

    # The names of y's columns, None if it has none.
    _target_names: list[str] | None = None

    def __init__(
        self, estimator: Any, *, coverage: float = 0.9, calibration_fraction: float = 0.2, random_state: Any = None
    ) -> None:
        self.estimator = estimator
        self.coverage = coverage
        self.calibration_fraction = calibration_fraction
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any, **fit_params: Any) -> SplitConformalRegressor:
        """Fit the estimator on a share of the rows, and measure its residuals on the rest.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets; missing ones (NaN) are left out of their column, if the estimator takes them.
        **fit_params : dict
            Passed on to the estimator's ``fit``; what has one entry per row, such as a `sample_weight` (of the last
            step of a pipeline: ``<step>__sample_weight``), for the rows it is fitted on. The held-out rows all count
            alike, since the guarantee is for rows drawn as they are.

        Returns
        -------
        self : object
            The fitted wrapper.

        Raises
        ------
        ValueError
            If a column has no held-out target at all.
        """
        if y is None:
            raise ValueError(f"This {type(self).__name__} estimator requires y to be passed, but the target y is None.")
        if is_classifier(self.estimator):
            raise TypeError(f"The 'estimator' parameter must be a regressor. Got the classifier {self.estimator!r}.")
        X, y = indexable(X, y)
        n_rows = num_samples(X)
        _refuse_other_lengths(fit_params, n_rows)
        names = getattr(y, "columns", None)
        self._target_names = None if names is None else [str(name) for name in names]
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        fit, held_out = train_test_split(np.arange(n_rows), test_size=self.calibration_fraction, random_state=seed)
        fit_params = {
            name: safe_indexing(value, fit) if _is_one_per_row(value, n_rows) else value
            for name, value in fit_params.items()
        }
        self.estimator_ = clone(self.estimator).fit(safe_indexing(X, fit), safe_indexing(y, fit), **fit_params)
        residuals = np.abs(_residuals(self.estimator_, safe_indexing(X, held_out), safe_indexing(y, held_out)))
        self._y_ndim = residuals.ndim
        residuals = residuals.reshape(len(residuals), -1)
        self.n_calibration_ = (~np.isnan(residuals)).sum(axis=0)
        if not self.n_calibration_.all():
            raise ValueError(
                "The 'calibration_fraction' parameter must leave rows with each target. Got none for the columns "
                f"{self._labels(self.n_calibration_ == 0)}; use a larger one, or fit with more rows."
            )
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.estimator_, name):
                setattr(self, name, getattr(self.estimator_, name))
        self.half_widths_ = np.array([_conformal_quantile(column, self.coverage) for column in residuals.T])
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the predictions of the fitted estimator.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Inputs.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The predictions.
        """
        check_is_fitted(self)
        return np.asarray(self.estimator_.predict(X))

    def predict_interval(self, X: Any) -> np.ndarray:
        """Return an interval round each prediction that covers its target with probability `coverage`.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Inputs.

        Returns
        -------
        interval : ndarray of shape (n_samples, n_outputs, 2)
            Lower and upper ends, not wrapped for an angle; without the second dimension where y had one.

        Raises
        ------
        ValueError
            If a column has fewer held-out targets than `coverage` takes: its interval would be infinite.
        """
        check_is_fitted(self)
        self._refuse_infinite()
        y_pred = self.predict(X)
        # Some regressors predict one dimension where y had one column and two.
        y_pred = y_pred.reshape(len(y_pred), -1) if self._y_ndim == 2 else y_pred.reshape(-1)
        half = self.half_widths_[0] if self._y_ndim == 1 else self.half_widths_
        return np.stack([y_pred - half, y_pred + half], axis=-1)

    def _refuse_infinite(self) -> None:
        """Say how many held-out rows the coverage takes, where a column has fewer."""
        short = np.isinf(self.half_widths_)
        if not short.any():
            return
        n_rows = int(self.n_calibration_[short].min())
        # The least n with (n + 1) * coverage <= n, rounded as ranks are.
        enough = math.ceil(round(self.coverage / (1 - self.coverage), 6))
        which = "" if self._y_ndim == 1 else f" in the columns {self._labels(short)}"
        raise ValueError(
            "The 'coverage' parameter must be one that the held-out rows can give: "
            f"{self.coverage:g} takes {enough} of them with a target. Got {n_rows}{which}; fit with more rows, with a "
            f"larger 'calibration_fraction', or with a coverage of at most {n_rows}/{n_rows + 1}."
        )

    def _labels(self, chosen: np.ndarray) -> list[Any]:
        """Return the names of the chosen columns of y, or their positions where y has no names."""
        positions = np.flatnonzero(chosen).tolist()
        return positions if self._target_names is None else [self._target_names[i] for i in positions]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.input_tags, tags.target_tags = inner.input_tags, inner.target_tags
        return tags

    @available_if(lambda self: hasattr(getattr(self, "estimator_", self.estimator), "score"))
    def score(self, X: Any, y: Any, **score_params: Any) -> float:
        """Return the score of the fitted estimator.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        **score_params : dict
            Passed on to the estimator's ``score``.

        Returns
        -------
        score : float
            The score.
        """
        check_is_fitted(self)
        return float(self.estimator_.score(X, y, **score_params))


def _residuals(estimator: Any, X: Any, y: Any) -> np.ndarray:
    """Return targets minus predictions; a net of ours knows which of its columns are angles."""
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    if hasattr(last, "residuals"):
        inputs = estimator[:-1].transform(X) if isinstance(estimator, Pipeline) and len(estimator) > 1 else X
        return np.asarray(last.residuals(inputs, y))
    y = np.asarray(without_mask(y), dtype=float)
    return y - np.asarray(estimator.predict(X)).reshape(y.shape)


def _refuse_other_lengths(fit_params: dict[str, Any], n_rows: int) -> None:
    """Raise a ValueError if sample weights are not one per row of X: the estimator would report the rows it gets."""
    for name, value in fit_params.items():
        if name.rpartition("__")[2] == "sample_weight" and hasattr(value, "__len__") and num_samples(value) != n_rows:
            raise ValueError(
                f"The {name!r} argument must have one weight per row of X, {n_rows}. Got {num_samples(value)} instead."
            )


def _is_one_per_row(value: Any, n_rows: int) -> bool:
    return hasattr(value, "__len__") and not isinstance(value, (str, dict)) and num_samples(value) == n_rows


def _conformal_quantile(residuals: np.ndarray, coverage: float) -> float:
    """Return the residual of rank ``ceil((n + 1) * coverage)``, infinite where there are too few."""
    known = np.sort(residuals[~np.isnan(residuals)])
    # Rounded: (n + 1) * 0.9 must not come out a little above a whole number.
    rank = math.ceil(round((len(known) + 1) * coverage, 9))
    return float(known[rank - 1]) if rank <= len(known) else math.inf
