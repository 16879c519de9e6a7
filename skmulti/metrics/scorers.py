"""Scorers for each target column, and for the mean over columns."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from sklearn.metrics import get_scorer, make_scorer, r2_score

from skmulti.metrics._checks import check_table

_SCORER_CLASS = type(get_scorer("r2"))


def column_scorers(columns: Sequence[str], metric: Any = "r2") -> dict[str, Any]:
    """Return one scorer per target column, and their mean, for the `scoring` of a search.

    scikit-learn calls ``predict`` once per fit for all of them. Rows whose target is missing (NaN)
    are skipped in the column they miss; a column without any target scores NaN and is left out of
    the mean.

    Parameters
    ----------
    columns : sequence of str
        The names of the target columns, in the order of y's columns. y itself may be a data frame,
        an array of shape (n_samples, n_columns) or, for one column, of shape (n_samples,).
    metric : str, scorer, callable, mapping or sequence, default="r2"
        What to compute of each column:

        - the name of a scikit-learn scorer of predictions, such as ``"neg_mean_absolute_error"``;
        - a callable ``metric(y_true, y_pred)`` of two arrays of shape (n_samples,), called with
          `sample_weight` if it has this parameter. Greater values are better, unless its name ends with
          ``_error``, ``_loss``, ``_deviance`` or ``_rmse``, as scikit-learn names metrics to minimise:
          its negative is used then;
        - a scorer made by `sklearn.metrics.make_scorer`, whose score function, sign and keyword
          arguments are used, for example
          ``make_scorer(circular_error, greater_is_better=False, period=24)``;
        - a mapping from column names to one of these; a column it does not name gets ``"r2"``;
        - a sequence of the first three: all of them, for every column.

    Returns
    -------
    scorers : dict of str to scorer
        ``f"{column}_{metric}"`` for every column, and ``f"mean_{metric}"``. A metric is called as
        scikit-learn calls it or by the name of its function, with ``neg_`` before an error. Where a
        mapping gives the columns different metrics the mean is ``"mean_score"``.

    Raises
    ------
    ValueError
        If `columns` is empty or names a column twice, `metric` names an unknown column or scorer or
        one that needs more than ``predict``, or two scorers have the same key; when scoring, if y
        has another number of columns or is a data frame whose columns have other names.
    TypeError
        If `columns` is not a sequence of str or a metric is none of the above.

    Examples
    --------
    >>> from sklearn.datasets import load_linnerud
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skmulti.metrics import circular_error, circular_score, column_scorers
    >>> X, y = load_linnerud(return_X_y=True)
    >>> scorers = column_scorers(["weight", "waist", "pulse"])
    >>> list(scorers)
    ['weight_r2', 'waist_r2', 'pulse_r2', 'mean_r2']
    >>> search = GridSearchCV(Ridge(), {"alpha": [1, 1e4]}, scoring=scorers, refit="mean_r2")
    >>> search.fit(X, y).best_params_
    {'alpha': 10000.0}

    For angles use `circular_score`, which is at most 1, like R2, so that their mean is meaningful. The mean of an error
    in degrees and an R2 is not:

    >>> list(column_scorers(["angle", "distance"], {"angle": circular_score}))
    ['angle_circular_score', 'distance_r2', 'mean_score']
    >>> list(column_scorers(["angle", "distance"], {"angle": circular_error}))
    ['angle_neg_circular_error', 'distance_r2', 'mean_score']
    """
    names = _check_column_names(columns)
    if isinstance(metric, Mapping):
        unknown = [name for name in metric if name not in names]
        if unknown:
            raise ValueError(f"The 'metric' parameter must name some of {list(names)}. Got {unknown} as well.")
        tables = [tuple(_resolve_metric(metric.get(name, "r2")) for name in names)]
    else:
        every = [metric] if isinstance(metric, str) or callable(metric) else metric
        if not isinstance(every, Sequence) or not every:
            raise TypeError(_metric_message(metric))
        tables = [(_resolve_metric(one),) * len(names) for one in every]

    scorers: dict[str, Any] = {}
    for table in tables:
        used = {one.name for one in table}
        mean_key = f"mean_{used.pop()}" if len(used) == 1 else "mean_score"
        keys = [f"{column}_{one.name}" for column, one in zip(names, table, strict=True)]
        scored = [*((i,) for i in range(len(names))), tuple(range(len(names)))]
        for key, positions in zip([*keys, mean_key], scored, strict=True):
            if key in scorers:
                raise ValueError(
                    "The 'columns' and 'metric' parameters must give each scorer a different key. "
                    f"Got {key!r} twice; rename a column or a metric's function."
                )
            scorers[key] = _make_column_scorer(names, table, positions)
    return scorers


@dataclass(frozen=True)
class _ColumnMetric:
    """A metric of one column; `sign` times the metric is greater for better predictions."""

    name: str
    function: Callable[..., float]
    sign: int = 1
    kwargs: dict[str, Any] = field(default_factory=dict)

    @property
    def takes_weights(self) -> bool:
        return "sample_weight" in inspect.signature(self.function).parameters

    def __call__(self, y_true: np.ndarray, y_pred: np.ndarray, weight: np.ndarray | None) -> float:
        weights = {} if weight is None or not self.takes_weights else {"sample_weight": weight}
        return float(self.sign * self.function(y_true, y_pred, **{**self.kwargs, **weights}))


_R2 = _ColumnMetric("r2", r2_score)
# The last validated table: a search calls one scorer per column with the same predictions, so that validation is
# reused.
_last_table: dict[str, Any] = {}


def _checked(y_true: Any, y_pred: Any, sample_weight: Any) -> Any:
    """Return the result of `check_table`, from the last call if it had the same arguments."""
    known, others, table = _last_table.get("last", (None, (), None))
    if known is not None and known() is y_pred and others[0] is y_true and others[1] is sample_weight:
        return table
    table = check_table(y_true, y_pred, sample_weight)
    if type(y_pred) is np.ndarray:
        _last_table["last"] = (weakref.ref(y_pred), (y_true, sample_weight), table)
        # Cleared together with the predictions, so that no later array at the same address can be mistaken for them.
        weakref.finalize(y_pred, _last_table.clear).atexit = False
    return table


def _resolve_metric(metric: Any) -> _ColumnMetric:
    scorer = get_scorer(metric) if isinstance(metric, str) else metric
    if isinstance(scorer, _SCORER_CLASS):
        if scorer._response_method != "predict":
            raise ValueError(
                "The 'metric' parameter must score what 'predict' returns. "
                f"Got {metric!r}, which needs {scorer._response_method!r}."
            )
        function, sign, kwargs = scorer._score_func, scorer._sign, scorer._kwargs
    elif callable(scorer):
        function, sign, kwargs = scorer, _sign_by_name(scorer), {}
    else:
        raise TypeError(_metric_message(metric))
    own_name = "neg_" * (sign < 0) + _name_of(function)
    return _ColumnMetric(metric if isinstance(metric, str) else own_name, function, sign, kwargs)


def _name_of(function: Any) -> str:
    plain = function.func if isinstance(function, partial) else function
    return str(getattr(plain, "__name__", type(plain).__name__))


def _sign_by_name(function: Any) -> int:
    """Return -1 if a metric is an error by scikit-learn's naming convention, else 1."""
    return -1 if _name_of(function).endswith(("_error", "_loss", "_deviance", "_rmse")) else 1


def _metric_message(metric: Any) -> str:
    return (
        "The 'metric' parameter must be the name of a scorer, a scorer, a callable, a sequence of "
        f"them or a mapping from column names to them. Got {metric!r} instead."
    )


def _check_column_names(columns: Any) -> tuple[str, ...]:
    is_sequence = isinstance(columns, Iterable) and not isinstance(columns, (str, Set))
    if not is_sequence or not all(isinstance(name, str) for name in columns):
        raise TypeError(f"The 'columns' parameter must be a sequence of column names. Got {columns!r} instead.")
    names = tuple(columns)
    if not names or len(set(names)) < len(names):
        raise ValueError(f"The 'columns' parameter must name each column of y once. Got {list(names)} instead.")
    return names


def _make_column_scorer(names: tuple[str, ...], table: tuple[_ColumnMetric, ...], positions: tuple[int, ...]) -> Any:
    # scikit-learn inspects the signature to decide whether a scorer takes sample weights.
    weighted = any(table[i].takes_weights for i in positions)
    function = _weighted_column_score if weighted else _column_score
    return make_scorer(function, names=names, table=table, positions=positions)


def _column_score(
    y_true: Any,
    y_pred: Any,
    *,
    names: tuple[str, ...],
    table: tuple[_ColumnMetric, ...],
    positions: tuple[int, ...],
) -> float:
    """Return the mean score of the columns at `positions` that have targets."""
    return _weighted_column_score(y_true, y_pred, names=names, table=table, positions=positions)


def _weighted_column_score(
    y_true: Any,
    y_pred: Any,
    *,
    names: tuple[str, ...],
    table: tuple[_ColumnMetric, ...],
    positions: tuple[int, ...],
    sample_weight: Any = None,
) -> float:
    given = list(getattr(y_true, "columns", names))
    true, pred, weight = _checked(y_true, y_pred, sample_weight)
    if true.shape[1] != len(names):
        raise ValueError(
            "The 'columns' parameter must name every column of y. "
            f"Got {len(names)} names, {list(names)}, for a y of {true.shape[1]} columns."
        )
    if given != list(names) and all(isinstance(name, str) for name in given):
        raise ValueError(
            "The 'columns' parameter must name the columns of y in their order. "
            f"Got {list(names)} for a y whose columns are {given}."
        )
    scores: list[float] = []
    if len(positions) > 1 and all(table[i] == _R2 for i in positions) and sample_weight is None:
        complete = [i for i in positions if not np.isnan(true[:, i]).any()]
        positions = tuple(i for i in positions if i not in complete)
        # One call for all columns: most of the time of r2_score is validation.
        if complete:
            scores += r2_score(true[:, complete], pred[:, complete], multioutput="raw_values").tolist()
    for i in positions:
        rows = ~np.isnan(true[:, i])
        if rows.any():
            row_weight = None if sample_weight is None else weight[rows, i]
            scores.append(table[i](true[rows, i], pred[rows, i], row_weight))
    return float(np.mean(scores)) if scores else float("nan")
