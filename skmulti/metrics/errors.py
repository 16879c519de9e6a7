"""Errors of tables that scikit-learn does not have."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np

from skmulti._checks import series_labels
from skmulti.metrics._checks import average_columns, check_table, divide, frame_columns, weighted_sum

# A mean of 1 - cos(difference) below this is rounding: it corresponds to differences of about 1e-6 radians.
_ROUNDING = 1e-12


def average_relative_rmse(
    y_true: Any,
    y_pred: Any,
    *,
    baseline: Any,
    sample_weight: Any = None,
    multioutput: Any = "uniform_average",
) -> float | np.ndarray:
    """Average relative root mean squared error (aRRMSE): RMSE over that of a constant prediction.

    Per column ``sqrt(sum((y_true - y_pred)**2) / sum((y_true - baseline)**2))``, then the mean over
    columns. 0 is perfect, 1 is as good as the baseline. It has no unit, so that columns can be compared.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_columns)
        The targets. NaN is a missing target and is skipped.
    y_pred : array-like of the shape of `y_true`
        The predictions.
    baseline : array-like of shape (n_columns,), float or "test"
        What to compare with: the mean of each column of the *training* targets [1]_ (a float where
        there is one column), or ``"test"`` for the mean of `y_true` itself [2]_.
    sample_weight : array-like of shape (n_samples,), default=None
        Sample weights. None gives all rows the same weight.
    multioutput : {"uniform_average", "raw_values"} or array-like of shape (n_columns,), \
            default="uniform_average"
        Return the mean of the columns, one value per column, or the mean with these weights.

    Returns
    -------
    error : float or ndarray of shape (n_columns,)
        A column whose `y_true` equals its baseline throughout, or is missing throughout, has no
        relative error: NaN in the raw values, and left out of the mean. If that holds for every
        column, the mean is NaN and `sklearn.exceptions.UndefinedMetricWarning` is given.

    Raises
    ------
    ValueError
        If shapes or column names differ, a value is infinite, a prediction is NaN, or a parameter is invalid.

    References
    ----------
    .. [1] E. Spyromitros-Xioufis, G. Tsoumakas, W. Groves and I. Vlahavas, "Multi-target regression
       via input space expansion: treating targets as inputs", Machine Learning 104 (2016), 55-98.
    .. [2] H. Borchani, G. Varando, C. Bielza and P. Larranaga, "A survey on multi-output
       regression", WIREs Data Mining and Knowledge Discovery 5 (2015), 216-233.

    Examples
    --------
    >>> from skmulti.metrics import average_relative_rmse
    >>> y_train, y_true = [[0, 10], [2, 30]], [[1, 10], [3, 30]]
    >>> y_pred = [[1, 15], [2, 25]]
    >>> average_relative_rmse(y_true, y_pred, baseline=[1, 20])
    0.5
    >>> average_relative_rmse(y_true, y_pred, baseline="test", multioutput="raw_values")
    array([0.70710678, 0.5       ])
    """
    true, pred, weight = check_table(y_true, y_pred, sample_weight)
    total = weight.sum(axis=0)
    if isinstance(baseline, str) and baseline == "test":
        base = np.nan_to_num(divide(weighted_sum(weight, true), total))
    else:
        base = _check_baseline(baseline, n_columns=true.shape[1], names=frame_columns(y_true) or frame_columns(y_pred))
    squared = weighted_sum(weight, (true - base) ** 2)
    # The mean of a constant column may differ from its value by rounding.
    largest = np.maximum(np.where(weight > 0, np.abs(true), 0).max(axis=0), np.abs(base))
    squared[squared <= total * (8 * np.finfo(float).eps * largest) ** 2] = 0
    return average_columns(
        np.sqrt(divide(weighted_sum(weight, (true - pred) ** 2), squared)),
        multioutput,
        "average_relative_rmse is undefined: no column has targets that differ from its baseline.",
    )


def circular_error(
    y_true: Any,
    y_pred: Any,
    *,
    period: float = 360.0,
    sample_weight: Any = None,
    multioutput: Any = "uniform_average",
) -> float | np.ndarray:
    """Mean absolute difference of angles, the shorter way round: 2 degrees for 359 and 1.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_columns)
        The angles, in any unit, not necessarily within one period. NaN is a missing target and is skipped.
    y_pred : array-like of the shape of `y_true`
        The predicted angles, in the same unit.
    period : float, default=360.0
        Where the angle wraps around, in its unit: 360 for degrees, ``2 * math.pi`` for radians, 24
        for hours, 180 for the direction of a line.
    sample_weight : array-like of shape (n_samples,), default=None
        Sample weights. None gives all rows the same weight.
    multioutput : {"uniform_average", "raw_values"} or array-like of shape (n_columns,), \
            default="uniform_average"
        Return the mean of the columns, one value per column, or the mean with these weights.

    Returns
    -------
    error : float or ndarray of shape (n_columns,)
        From 0 to ``period / 2``, in the unit of the angle. A column whose targets are all missing
        is NaN in the raw values and left out of the mean; if all are, the mean is NaN and
        `sklearn.exceptions.UndefinedMetricWarning` is given.

    Raises
    ------
    ValueError
        If `period` is not positive and finite, shapes or column names differ, a value is infinite, a
        prediction is NaN, or a parameter is invalid.

    References
    ----------
    .. [1] K. V. Mardia and P. E. Jupp, "Directional Statistics", Wiley 2000, section 2.3.

    Examples
    --------
    >>> from skmulti.metrics import circular_error
    >>> circular_error([359, 90], [1, 80])
    6.0
    >>> circular_error([23.5], [0.5], period=24)
    1.0
    """
    _check_period(period)
    true, pred, weight = check_table(y_true, y_pred, sample_weight)
    difference = (pred - true) % float(period)
    distance = np.minimum(difference, float(period) - difference)
    return average_columns(
        divide(weighted_sum(weight, distance), weight.sum(axis=0)),
        multioutput,
        "circular_error is undefined: no column has a target that is not missing.",
    )


def circular_score(
    y_true: Any,
    y_pred: Any,
    *,
    period: float = 360.0,
    sample_weight: Any = None,
    multioutput: Any = "uniform_average",
) -> Any:
    """Score of angles on the scale of R2: 1 is perfect, 0 is as good as the mean direction.

    One minus the ratio of ``sum(1 - cos(y - p))`` to the same about the mean direction of the targets [1]_: for small
    differences it is R2, and it has no jump where the angle wraps around.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_columns)
        The angles, in any unit, not necessarily within one period. NaN is a missing target and is skipped.
    y_pred : array-like of the shape of `y_true`
        The predicted angles, in the same unit.
    period : float, default=360.0
        Where the angle wraps around, in its unit.
    sample_weight : array-like of shape (n_samples,), default=None
        Sample weights. None gives all rows the same weight.
    multioutput : {"uniform_average", "raw_values"} or array-like of shape (n_columns,), \
            default="uniform_average"
        Return the mean of the columns, one value per column, or the mean with these weights.

    Returns
    -------
    score : float or ndarray of shape (n_columns,)
        At most 1. A column whose targets are all the same direction scores as in `sklearn.metrics.r2_score`: 1 if
        predictions are that direction, else 0. One whose targets are missing is NaN in the raw values and left out of
        the mean.

    Raises
    ------
    ValueError
        If `period` is not positive and finite, shapes or column names differ, a value is infinite, a
        prediction is NaN, or a parameter is invalid.

    References
    ----------
    .. [1] K. V. Mardia and P. E. Jupp, "Directional Statistics", Wiley 2000, section 2.3.

    Examples
    --------
    >>> from skmulti.metrics import circular_score
    >>> circular_score([359, 1, 90], [1, 359, 90]) > 0.99
    True
    """
    _check_period(period)
    true, pred, weight = check_table(y_true, y_pred, sample_weight)
    turn = 2 * np.pi / float(period)
    loss = weighted_sum(weight, 1 - np.cos((true - pred) * turn))
    total = weight.sum(axis=0)
    length = np.hypot(weighted_sum(weight, np.cos(true * turn)), weighted_sum(weight, np.sin(true * turn)))
    spread = total - length
    # Equal directions have a spread of rounding errors, not of exactly 0.
    varies, is_exact = spread > _ROUNDING * total, loss <= _ROUNDING * total
    score = np.where(varies, 1 - divide(loss, np.where(varies, spread, 0.0)), np.where(is_exact, 1.0, 0.0))
    return average_columns(
        np.where(total > 0, score, np.nan), multioutput, "circular_score is undefined: no column has targets."
    )


def _check_period(period: Any) -> None:
    if not isinstance(period, numbers.Real) or not 0 < float(period) < np.inf:
        raise ValueError(f"The 'period' parameter must be a positive finite number. Got {period!r} instead.")


def _check_baseline(baseline: Any, *, n_columns: int, names: tuple[str, ...] | None) -> np.ndarray:
    labels = series_labels(baseline)
    if names and labels and labels != names:
        raise ValueError(
            "The 'baseline' parameter must name the columns of y_true in their order when it is a Series: "
            f"{list(names)}. Got {list(labels)} instead; use baseline[y_true.columns]."
        )
    try:
        base = np.atleast_1d(np.asarray(baseline, dtype=np.float64))
    except (TypeError, ValueError):
        base = np.empty(0)
    if base.shape != (n_columns,) or not np.isfinite(base).all():
        raise ValueError(
            "The 'baseline' parameter must be 'test' or one finite number per column of y_true, "
            f"shape ({n_columns},). Got {baseline!r} instead."
        )
    return base
