"""Split-conformal prediction: intervals for any regressor, one per column."""

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
from skmulti.training.interrupt import ctrl_c


class SplitConformalRegressor(MetaEstimatorMixin, RegressorMixin, BaseEstimator):
    """Add prediction intervals to a regressor, which cover each column with at least a given probability [1]_.

    A fraction of the rows is held out. The estimator is fitted on the others, and the absolute residuals of the
    held-out rows determine the width of the intervals. For rows that are exchangeable with the rows of `fit` (for
    example drawn at random from the same source) and any estimator, the interval of a column covers a new target with a
    probability of at least `coverage`, over the draw of held-out rows and the new row:

        P(y in interval) >= coverage, and <= coverage + 1 / (n + 1) where residuals have no ties,

    with ``n`` held-out rows that have this target. The half width is the residual of rank
    ``ceil((n + 1) * coverage)``; if ``n`` is so small that this exceeds ``n``, it is infinite, and `predict_interval`
    raises an error. The guarantee is marginal: it holds for each column separately and on average over rows, not
    conditionally on X.

    Half widths do not depend on X. For noise that varies between rows, train with a loss that supports quantiles and
    use ``predict_interval`` of the net. MAPIE's regressors offer more methods, for one column at a time.

    Parameters
    ----------
    estimator : regressor
        Any regressor or pipeline, with one or several outputs. Residuals of a skmulti net's angles are measured the
        shorter way round.
    coverage : float, default=0.9
        The probability that an interval contains its target, between 0 and 1.
    calibration_fraction : float, default=0.2
        The fraction of the rows to hold out, between 0 and 1.
    random_state : int, RandomState or None, default=None
        Seed of the choice of held-out rows.

    Attributes
    ----------
    estimator_ : regressor
        The fitted estimator.
    half_widths_ : ndarray of shape (n_outputs,)
        Half the width of each column's interval, in the unit of the column.
    n_calibration_ : ndarray of shape (n_outputs,)
        The number of held-out rows that have each column's target.

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
        """Fit the estimator on a part of the rows and compute its residuals for the held-out rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets; missing targets (NaN) are skipped in their column, if the estimator supports them.
        **fit_params : dict
            Passed to the estimator's ``fit``. Of values with one entry per row, such as `sample_weight` (in a pipeline
            ``<step>__sample_weight``), only the entries of the rows that it is fitted on. All held-out rows have the
            same weight, since the guarantee is for rows drawn without weights.

        Returns
        -------
        self : object
            The fitted wrapper.

        Raises
        ------
        ValueError
            If a column has no held-out target, or `sample_weight` does not have one entry per row.
        TypeError
            If the estimator is a classifier.
        KeyboardInterrupt
            If Ctrl-C is pressed while the estimator is fitted.
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
        with ctrl_c() as interrupts:
            estimator = clone(self.estimator).fit(safe_indexing(X, fit), safe_indexing(y, fit), **fit_params)
            # The fit of a net returns after Ctrl-C: residuals of a network cut short are not to be calibrated on.
            interrupts.check()
        self.estimator_ = estimator
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
        """Return an interval around each prediction that covers its target with probability `coverage`.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Inputs.

        Returns
        -------
        interval : ndarray of shape (n_samples, n_outputs, 2)
            Lower and upper ends, not wrapped for angles; shape (n_samples, 2) if y was one-dimensional.

        Raises
        ------
        ValueError
            If a column has fewer held-out targets than `coverage` requires: its interval would be infinite.
        """
        check_is_fitted(self)
        self._refuse_infinite()
        y_pred = self.predict(X)
        # Some regressors return one dimension for a two-dimensional y with one column.
        y_pred = y_pred.reshape(len(y_pred), -1) if self._y_ndim == 2 else y_pred.reshape(-1)
        half = self.half_widths_[0] if self._y_ndim == 1 else self.half_widths_
        return np.stack([y_pred - half, y_pred + half], axis=-1)

    def _refuse_infinite(self) -> None:
        """Raise a ValueError if a column has fewer held-out targets than the coverage requires."""
        short = np.isinf(self.half_widths_)
        if not short.any():
            return
        n_rows = int(self.n_calibration_[short].min())
        # The smallest n with (n + 1) * coverage <= n, rounded as in _conformal_quantile.
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
    """Return targets minus predictions, by the estimator's own method if it has one: nets measure angles correctly."""
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
    """Return whether a fit parameter has one entry per row."""
    return hasattr(value, "__len__") and not isinstance(value, (str, dict)) and num_samples(value) == n_rows


def _conformal_quantile(residuals: np.ndarray, coverage: float) -> float:
    """Return the residual of rank ``ceil((n + 1) * coverage)``, infinite if there are too few."""
    known = np.sort(residuals[~np.isnan(residuals)])
    # Rounded, since (n + 1) * 0.9 may exceed an integer by a rounding error.
    rank = math.ceil(round((len(known) + 1) * coverage, 9))
    return float(known[rank - 1]) if rank <= len(known) else math.inf
