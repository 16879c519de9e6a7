"""Scorers per column, relative errors and errors of angles, against scikit-learn and NumPy."""

import pickle
import re
from functools import partial

import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import (
    check_scoring,
    get_scorer,
    make_scorer,
    mean_absolute_error,
    mean_squared_error,
    median_absolute_error,
    r2_score,
)
from sklearn.model_selection import GridSearchCV, KFold, cross_validate

from skmulti.metrics import average_relative_rmse, circular_error, circular_score, column_scorers

COLUMNS = ["angle", "distance", "speed"]
NEG_CIRCULAR = make_scorer(circular_error, greater_is_better=False)


class Echo(RegressorMixin, BaseEstimator):
    """Predict the first columns of X; count the calls of every copy."""

    calls = 0

    def __init__(self, n_columns=3):
        self.n_columns = n_columns

    def fit(self, X, y):
        self.is_fitted_ = True
        return self

    def predict(self, X):
        Echo.calls += 1
        return np.asarray(X)[:, : self.n_columns]


def biased_by(y_true, y_pred):
    return float(np.mean(y_pred - y_true))


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    y_true = rng.normal(size=(40, 3)) * [1, 10, 100] + [180, 5, -40]
    return y_true, y_true + rng.normal(size=(40, 3)) * [1, 4, 20], rng.uniform(0.1, 3, size=40)


def scores(scorers, y_true, y_pred, **kwargs):
    model = Echo(1 if np.ndim(y_pred) == 1 else y_pred.shape[1]).fit(None, None)
    X = y_pred.reshape(len(y_pred), -1)
    return {key: scorer(model, X, y_true, **kwargs) for key, scorer in scorers.items()}


@pytest.mark.parametrize("as_frame", [False, True])
@pytest.mark.parametrize(
    ("name", "sign", "function"),
    [
        ("r2", 1, r2_score),
        ("neg_mean_absolute_error", -1, mean_absolute_error),
        ("neg_mean_squared_error", -1, mean_squared_error),
        ("neg_median_absolute_error", -1, median_absolute_error),
    ],
)
def test_scores_are_scikit_learns_raw_values_and_their_mean(table, name, sign, function, as_frame):
    y_true, y_pred, _ = table
    raw = sign * function(y_true, y_pred, multioutput="raw_values")
    y = pd.DataFrame(y_true, columns=COLUMNS) if as_frame else y_true
    result = scores(column_scorers(COLUMNS, name), y, y_pred)
    assert list(result) == [*(f"{column}_{name}" for column in COLUMNS), f"mean_{name}"]
    assert_allclose(list(result.values()), [*raw, raw.mean()])


@pytest.mark.parametrize("shape", [(40,), (40, 1)])
@pytest.mark.parametrize("wrap", [np.asarray, lambda y: pd.Series(y.ravel(), name="other")])
def test_one_column_may_be_one_dimensional(table, shape, wrap):
    y_true, y_pred, _ = (part[:, 1] if part.ndim == 2 else part for part in table)
    result = scores(column_scorers(["distance"]), wrap(y_true.reshape(shape)), y_pred)
    assert result == pytest.approx(dict.fromkeys(["distance_r2", "mean_r2"], r2_score(y_true, y_pred)))


def test_an_error_made_a_scorer_enters_negative_with_its_arguments(table):
    y_true, y_pred, _ = table
    wrapped = make_scorer(circular_error, greater_is_better=False, period=7)
    result = scores(column_scorers(COLUMNS, {"angle": wrapped}), y_true, y_pred)
    expected = {
        "angle_neg_circular_error": -circular_error(y_true[:, 0], y_pred[:, 0], period=7),
        "distance_r2": r2_score(y_true[:, 1], y_pred[:, 1]),
        "speed_r2": r2_score(y_true[:, 2], y_pred[:, 2]),
    }
    assert result == pytest.approx({**expected, "mean_score": np.mean(list(expected.values()))})
    assert result["angle_neg_circular_error"] < 0


def test_a_mapping_of_one_metric_has_the_mean_of_that_metric():
    named = column_scorers(["a", "b"], {"a": "r2"})
    assert list(named) == ["a_r2", "b_r2", "mean_r2"]


def test_a_sequence_of_metrics_gives_all_of_them(table):
    y_true, y_pred, _ = table
    result = scores(column_scorers(COLUMNS, ["r2", biased_by]), y_true, y_pred)
    bias = (y_pred - y_true).mean(axis=0)
    assert len(result) == 8
    assert result["speed_biased_by"] == pytest.approx(bias[2])
    assert result["mean_biased_by"] == pytest.approx(bias.mean())
    assert result["mean_r2"] == pytest.approx(r2_score(y_true, y_pred))


def test_a_partial_is_named_by_its_function():
    assert "a_biased_by" in column_scorers(["a"], partial(biased_by))


def test_all_columns_are_scored_with_one_prediction_per_fit(table):
    y_true, y_pred, _ = table
    scorers = column_scorers(COLUMNS, ["r2", "neg_mean_absolute_error", NEG_CIRCULAR])
    Echo.calls = 0
    cross_validate(Echo(), y_pred, y_true, cv=4, scoring=scorers)
    assert Echo.calls == 4


def test_a_search_refits_by_the_mean_of_the_columns(table):
    y_true, X, _ = table
    y = pd.DataFrame(y_true, columns=COLUMNS)
    search = GridSearchCV(
        Ridge(),
        {"alpha": [1e-3, 1, 1e3, 1e6]},
        scoring=column_scorers(COLUMNS),
        refit="mean_r2",
        cv=KFold(4),
    ).fit(X, y)
    one_by_one = [search.cv_results_[f"mean_test_{column}_r2"] for column in COLUMNS]
    assert_allclose(search.cv_results_["mean_test_mean_r2"], np.mean(one_by_one, axis=0))
    reference = GridSearchCV(Ridge(), {"alpha": [1e-3, 1, 1e3, 1e6]}, scoring="r2", cv=KFold(4)).fit(X, y)
    assert_allclose(search.cv_results_["mean_test_mean_r2"], reference.cv_results_["mean_test_score"])
    assert search.best_params_ == reference.best_params_


def test_scorers_pickle_and_score_the_same(table):
    y_true, y_pred, _ = table
    scorers = column_scorers(COLUMNS, {"angle": NEG_CIRCULAR, "speed": biased_by})
    again = pickle.loads(pickle.dumps(scorers))
    assert scores(again, y_true, y_pred) == scores(scorers, y_true, y_pred)


def test_sample_weight_reaches_the_metrics_that_take_it(table):
    y_true, y_pred, weight = table
    scorers = column_scorers(COLUMNS, {"angle": NEG_CIRCULAR, "speed": biased_by})
    assert [scorer._accept_sample_weight() for scorer in scorers.values()] == [
        True,
        True,
        False,
        True,
    ]
    del scorers["speed_biased_by"]
    result = scores(scorers, y_true, y_pred, sample_weight=weight)
    angle = -circular_error(y_true[:, 0], y_pred[:, 0], sample_weight=weight)
    distance = r2_score(y_true[:, 1], y_pred[:, 1], sample_weight=weight)
    bias = np.mean(y_pred[:, 2] - y_true[:, 2])
    assert_allclose(list(result.values()), [angle, distance, np.mean([angle, distance, bias])])


@pytest.mark.parametrize("asked", [True, False])
def test_sample_weight_is_routed_as_by_scikit_learns_scorers(table, asked):
    y_true, X, weight = table
    with sklearn.config_context(enable_metadata_routing=True):
        model = LinearRegression().set_fit_request(sample_weight=not asked)
        scorers = {
            key: scorer.set_score_request(sample_weight=asked) for key, scorer in column_scorers(COLUMNS).items()
        }
        reference = get_scorer("r2").set_score_request(sample_weight=asked)
        ours, theirs = (
            cross_validate(model, X, y_true, cv=3, scoring=scoring, params={"sample_weight": weight})
            for scoring in (scorers, reference)
        )
    assert_allclose(ours["test_mean_r2"], theirs["test_score"])


def test_missing_targets_are_skipped_in_their_column_only(table):
    y_true, y_pred, _ = table
    y_true[3, 0] = y_true[7:20, 2] = np.nan
    result = scores(column_scorers(COLUMNS), y_true, y_pred)
    there = ~np.isnan(y_true)
    raw = [r2_score(y_true[there[:, i], i], y_pred[there[:, i], i]) for i in range(3)]
    assert_allclose(list(result.values()), [*raw, np.mean(raw)])


def test_a_column_without_targets_scores_nan_and_is_left_out_of_the_mean(table):
    y_true, y_pred, _ = table
    y_true[:, 0] = np.nan
    result = scores(column_scorers(COLUMNS), y_true, y_pred)
    assert np.isnan(result["angle_r2"])
    assert result["mean_r2"] == pytest.approx(r2_score(y_true[:, 1:], y_pred[:, 1:]))
    y_true[:] = np.nan
    assert np.isnan(list(scores(column_scorers(COLUMNS), y_true, y_pred).values())).all()


def test_a_wrong_number_of_columns_is_refused_with_both_numbers(table):
    y_true, y_pred, _ = table
    message = "The 'columns' parameter must name every column of y. Got 2 names, ['a', 'b'], for a y of 3 columns."
    with pytest.raises(ValueError, match=re.escape(message)):
        scores(column_scorers(["a", "b"]), y_true, y_pred)


def test_a_frame_in_another_order_is_refused(table):
    y_true, y_pred, _ = table
    message = (
        "The 'columns' parameter must name the columns of y in their order. Got "
        "['angle', 'distance', 'speed'] for a y whose columns are ['speed', 'distance', 'angle']."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        scores(column_scorers(COLUMNS), pd.DataFrame(y_true, columns=COLUMNS[::-1]), y_pred)
    assert scores(column_scorers(COLUMNS), pd.DataFrame(y_true), y_pred)


@pytest.mark.parametrize(
    ("columns", "metric", "error", "message"),
    [
        ("ab", "r2", TypeError, "'columns' parameter must be a sequence of column names. Got 'ab'"),
        (
            [0, 1],
            "r2",
            TypeError,
            "'columns' parameter must be a sequence of column names. Got [0, 1]",
        ),
        ([], "r2", ValueError, "must name each column of y once. Got [] instead."),
        (["a", "a"], "r2", ValueError, "must name each column of y once. Got ['a', 'a'] instead."),
        (
            ["a"],
            {"b": "r2"},
            ValueError,
            "must name some of ['a']. Got ['b'] as well.",
        ),
        (["a"], "r3", ValueError, "'r3' is not a valid scoring value."),
        (["a"], "neg_log_loss", ValueError, "Got 'neg_log_loss', which needs 'predict_proba'."),
        (
            ["a"],
            ["r2", "r2"],
            ValueError,
            "Got 'a_r2' twice; rename a column or a metric's function.",
        ),
        (["mean"], "r2", ValueError, "Got 'mean_r2' twice"),
        (["a"], 3, TypeError, "mapping from column names to them. Got 3 instead."),
        (["a"], [], TypeError, "mapping from column names to them. Got [] instead."),
        (["a"], {"a": 3}, TypeError, "mapping from column names to them. Got 3 instead."),
    ],
)
def test_column_scorers_refuses_invalid_parameters(columns, metric, error, message):
    with pytest.raises(error, match=re.escape(message)):
        column_scorers(columns, metric)


tables = st.tuples(st.integers(3, 12), st.integers(2, 5), st.integers(0, 2**32 - 1)).map(
    lambda drawn: np.random.default_rng(drawn[2]).normal(3, 10, size=(2, *drawn[:2]))
)


@given(tables, st.booleans())
@settings(deadline=None, max_examples=50)
def test_relative_rmse_is_the_root_of_one_minus_r2(y, weighted):
    weight = np.arange(1.0, y.shape[1] + 1) if weighted else None
    raw = average_relative_rmse(*y, baseline="test", sample_weight=weight, multioutput="raw_values")
    r2 = r2_score(*y, sample_weight=weight, multioutput="raw_values")
    assert_allclose(raw, np.sqrt(1 - r2))


@given(tables)
@settings(deadline=None, max_examples=50)
def test_relative_rmse_compares_with_the_baseline_given(y):
    y_true, y_pred = y
    baseline = y_pred[0]
    rmse = np.sqrt(((y_true - y_pred) ** 2).mean(axis=0))
    constant = np.sqrt(((y_true - baseline) ** 2).mean(axis=0))
    assert average_relative_rmse(y_true, y_pred, baseline=baseline) == pytest.approx(np.mean(rmse / constant))
    predicts_baseline = np.tile(baseline, (len(y_true), 1))
    assert average_relative_rmse(y_true, predicts_baseline, baseline=baseline) == pytest.approx(1)


@given(tables, st.floats(1e-6, 1e6), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=50)
def test_relative_rmse_follows_permuted_columns_and_ignores_their_units(y, factor, random):
    order = random.sample(range(y.shape[2]), y.shape[2])
    scale = np.ones(y.shape[2])
    scale[0] = factor
    raw = average_relative_rmse(*y, baseline=y[1, 0], multioutput="raw_values")
    shuffled = (y * scale)[..., order]
    again = average_relative_rmse(*shuffled, baseline=shuffled[1, 0], multioutput="raw_values")
    assert_allclose(again, raw[order])


@given(
    tables,
    st.integers(-3, 3),
    st.sampled_from([360.0, 24.0, 2 * np.pi]),
    st.randoms(use_true_random=False),
)
@settings(deadline=None, max_examples=50)
def test_circular_error_ignores_whole_turns_and_follows_permuted_columns(y, turns, period, random):
    order = random.sample(range(y.shape[2]), y.shape[2])
    raw = circular_error(*y, period=period, multioutput="raw_values")
    moved = circular_error(y[0], y[1] + turns * period, period=period, multioutput="raw_values")
    assert_allclose(moved, raw, atol=1e-9)
    assert_allclose(circular_error(*y[..., order], period=period, multioutput="raw_values"), raw[order])
    point = 2j * np.pi / period
    distance = np.abs(np.angle(np.exp(point * y[0]) / np.exp(point * y[1]))) * period / (2 * np.pi)
    assert_allclose(raw, distance.mean(axis=0), atol=1e-9)
    assert (raw <= period / 2).all()


def test_circular_error_goes_the_short_way_round():
    assert circular_error([359, 1, 10], [1, 359, 190]) == pytest.approx((2 + 2 + 180) / 3)
    assert circular_error([-10.0], [350.0]) == 0


@pytest.mark.parametrize("metric", [circular_error, partial(average_relative_rmse, baseline=[0, 0, 0])])
def test_missing_targets_and_weights_of_zero_are_left_out(table, metric):
    y_true, y_pred, weight = table
    kept = np.arange(40) % 3 > 0
    without = metric(y_true[kept], y_pred[kept], sample_weight=weight[kept], multioutput="raw_values")
    masked, holes = np.where(kept, weight, 0), np.where(kept[:, None], y_true, np.nan)
    assert_allclose(metric(y_true, y_pred, sample_weight=masked, multioutput="raw_values"), without)
    assert_allclose(metric(holes, y_pred, sample_weight=weight, multioutput="raw_values"), without)
    assert metric(holes, y_pred, sample_weight=weight) == pytest.approx(without.mean())


@pytest.mark.parametrize("metric", [circular_error, partial(average_relative_rmse, baseline="test")])
def test_columns_are_averaged_with_the_weights_given(table, metric):
    y_true, y_pred, _ = table
    raw = metric(y_true, y_pred, multioutput="raw_values")
    assert metric(y_true, y_pred) == pytest.approx(raw.mean())
    assert metric(y_true, y_pred, multioutput=[1, 0, 3]) == pytest.approx(raw @ [1, 0, 3] / 4)


@pytest.mark.parametrize("baseline", ["test", [0.1, 0.0]])
def test_a_constant_column_has_no_relative_error(baseline):
    y_true = np.column_stack([np.full(3, 0.1), [1.0, 2.0, 4.0]])
    y_pred = y_true + [[1.0], [2.0], [3.0]]
    raw = average_relative_rmse(y_true, y_pred, baseline=baseline, multioutput="raw_values")
    assert list(np.isnan(raw)) == [True, False]
    assert average_relative_rmse(y_true, y_pred, baseline=baseline) == raw[1]
    assert average_relative_rmse(y_true, y_pred, baseline=baseline, multioutput=[5, 1]) == raw[1]


def test_an_undefined_mean_is_nan_with_a_warning():
    constant, missing = np.full((3, 2), 0.1), np.full((3, 2), np.nan)
    with pytest.warns(UndefinedMetricWarning, match="average_relative_rmse is undefined"):
        assert np.isnan(average_relative_rmse(constant, constant, baseline="test"))
    with pytest.warns(UndefinedMetricWarning, match="average_relative_rmse is undefined"):
        assert np.isnan(average_relative_rmse(missing, constant, baseline="test"))
    with pytest.warns(UndefinedMetricWarning, match="circular_error is undefined"):
        assert np.isnan(circular_error(missing, constant))


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"period": 0}, "The 'period' parameter must be a positive finite number. Got 0 instead."),
        (
            {"period": np.inf},
            "The 'period' parameter must be a positive finite number. Got inf instead.",
        ),
        (
            {"period": "360"},
            "The 'period' parameter must be a positive finite number. Got '360' instead.",
        ),
        (
            {"multioutput": "mean"},
            "one weight per column, shape (3,), none negative and not all 0. Got 'mean'",
        ),
        (
            {"multioutput": [1, 2]},
            "one weight per column, shape (3,), none negative and not all 0. Got [1, 2]",
        ),
        ({"multioutput": [1, 2, -1]}, "none negative and not all 0. Got [1, 2, -1] instead."),
        ({"multioutput": [0, 0, 0]}, "none negative and not all 0. Got [0, 0, 0] instead."),
        ({"y_pred": np.zeros((40, 2))}, "same number of columns. Got 3 in y_true and 2 in y_pred."),
        (
            {"y_pred": np.zeros((4, 3))},
            "Found input variables with inconsistent numbers of samples",
        ),
        ({"y_pred": np.full((40, 3), np.nan)}, "Input y_pred contains NaN"),
        ({"y_true": np.full((40, 3), np.inf)}, "Input y_true contains infinity"),
        ({"sample_weight": -np.ones(40)}, "Negative values"),
    ],
)
def test_circular_error_refuses_invalid_arguments(table, kwargs, message):
    y_true, y_pred, _ = table
    with pytest.raises(ValueError, match=re.escape(message)):
        circular_error(**{"y_true": y_true, "y_pred": y_pred, **kwargs})


@pytest.mark.parametrize("baseline", ["train", [1, 2], 0.0, [1, 2, np.nan], None])
def test_relative_rmse_refuses_a_baseline_of_another_shape(table, baseline):
    y_true, y_pred, _ = table
    message = (
        "The 'baseline' parameter must be 'test' or one finite number per column of y_true, "
        f"shape (3,). Got {baseline!r} instead."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        average_relative_rmse(y_true, y_pred, baseline=baseline)


def test_relative_rmse_takes_a_float_as_the_baseline_of_one_column():
    assert average_relative_rmse([1.0, 3.0], [1.5, 3.5], baseline=2.0) == pytest.approx(0.5)


@pytest.mark.parametrize("period", [360.0, 24.0])
def test_circular_score_is_r2_for_small_differences_and_never_jumps(period):
    rng = np.random.default_rng(0)
    true = rng.normal(scale=period / 2000, size=500)
    pred = true + rng.normal(scale=period / 4000, size=500)
    score = circular_score(true, pred, period=period)
    assert score == pytest.approx(r2_score(true, pred), abs=1e-4)
    assert circular_score(true % period, pred - 3 * period, period=period) == pytest.approx(score)


def test_circular_score_is_0_for_the_mean_direction_and_1_for_the_truth():
    true = np.array([350.0, 10.0, 30.0])
    assert circular_score(true, np.full(3, 10.0)) == pytest.approx(0.0)
    assert circular_score(true, true + 360) == 1.0


def test_circular_score_of_one_direction_is_that_of_r2():
    assert circular_score([5.0, 5.0], [5.0, 6.0]) == r2_score([5.0, 5.0], [5.0, 6.0]) == 0.0


def test_circular_score_without_targets_is_undefined():
    with pytest.warns(UndefinedMetricWarning, match="circular_score is undefined"):
        assert np.isnan(circular_score([np.nan, np.nan], [5.0, 6.0]))


def test_metrics_named_as_errors_are_negated():
    scorers = column_scorers(["angle"], circular_error)
    assert list(scorers) == ["angle_neg_circular_error", "mean_neg_circular_error"]

    class Constant(RegressorMixin, BaseEstimator):
        def fit(self, X, y):
            return self

        def predict(self, X):
            return np.full(len(X), 90.0)

    assert scorers["mean_neg_circular_error"](Constant(), np.zeros((2, 1)), np.array([80.0, 100.0])) == -10.0


def test_scorers_of_the_same_predictions_do_not_mix_up_tables():
    class Fixed(Ridge):
        def predict(self, X):
            return X[:, :2] + 0.1

    rng = np.random.default_rng(0)
    net = Fixed().fit(rng.normal(size=(8, 3)), rng.normal(size=(8, 2)))
    scorers = column_scorers(["a", "b"])
    for _ in range(3):
        X, y = rng.normal(size=(8, 3)), rng.normal(size=(8, 2))
        expected = r2_score(y, net.predict(X), multioutput="raw_values")
        found = check_scoring(net, scorers)(net, X, y)
        np.testing.assert_allclose([found["a_r2"], found["b_r2"], found["mean_r2"]], [*expected, expected.mean()])


@pytest.mark.parametrize("metric", [circular_error, circular_score, partial(average_relative_rmse, baseline="test")])
def test_predictions_with_other_column_names_are_refused(table, metric):
    y_true, y_pred = (pd.DataFrame(values, columns=COLUMNS) for values in table[:2])
    assert metric(y_true, y_pred) == metric(*table[:2])
    assert metric(y_true, pd.DataFrame(table[1])) == metric(*table[:2])
    message = (
        "y_true and y_pred must have the same columns in the same order. Got ['angle', 'distance', 'speed'] in y_true "
        "and ['speed', 'distance', 'angle'] in y_pred; use y_pred[y_true.columns]."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        metric(y_true, y_pred[COLUMNS[::-1]])


def test_a_baseline_with_other_column_names_is_refused(table):
    y_true, y_pred = pd.DataFrame(table[0], columns=COLUMNS), table[1]
    mean = y_true.mean()
    assert average_relative_rmse(y_true, y_pred, baseline=mean) == average_relative_rmse(
        *table[:2], baseline=mean.to_numpy()
    )
    message = (
        "The 'baseline' parameter must name the columns of y_true in their order when it is a Series: "
        "['angle', 'distance', 'speed']. Got ['speed', 'distance', 'angle'] instead; use baseline[y_true.columns]."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        average_relative_rmse(y_true, y_pred, baseline=mean[::-1])


def test_a_set_of_columns_is_refused():
    with pytest.raises(TypeError, match=r"^The 'columns' parameter must be a sequence of column names\. Got \{"):
        column_scorers({"a", "b"})
