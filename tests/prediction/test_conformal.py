"""Split-conformal prediction: the coverage guarantee for any regressor."""

import pickle
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.dummy import DummyRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmulti import MultiOutputMLPRegressor
from skmulti.datasets import load_breast_cancer_measurements
from skmulti.prediction import SplitConformalRegressor


class Zero(RegressorMixin, BaseEstimator):
    """Predicts zero in every column, whatever it is fitted to, so that residuals are the targets."""

    def fit(self, X, y, flag=None):
        self.shape_, self.flag_, self.n_rows_ = np.shape(y)[1:], flag, len(X)
        return self

    def predict(self, X):
        return np.zeros((len(X), *self.shape_))


def half_width(residuals, coverage):
    """Return the half width of a fit in which only held-out rows have residuals other than zero."""
    n = len(residuals)
    conformal = SplitConformalRegressor(Zero(), coverage=coverage, calibration_fraction=n / (n + 1), random_state=0)
    y = np.asarray(residuals, dtype=float)
    # One additional row is for the estimator; the same split is drawn here to place the residuals in held-out rows.
    X = np.arange(n + 1)[:, None]
    held_out = train_test_split(X, test_size=n / (n + 1), random_state=np.random.RandomState(0).randint(2**31 - 1))[1]
    targets = np.zeros(n + 1)
    targets[held_out[:, 0]] = y
    return conformal.fit(X, targets).half_widths_[0]


@pytest.mark.parametrize(
    ("n", "coverage", "rank"),
    # ceil((n + 1) * coverage), by hand
    [(9, 0.9, 9), (10, 0.9, 10), (19, 0.9, 18), (99, 0.9, 90), (4, 0.5, 3), (5, 0.5, 3), (99, 0.99, 99), (39, 0.8, 32)],
)
def test_the_half_width_is_the_residual_of_the_guaranteed_rank(n, coverage, rank):
    sizes = np.random.default_rng(0).permutation(np.arange(1, n + 1))
    signs = np.where(np.arange(n) % 2, 1, -1)
    assert half_width(sizes * signs, coverage) == rank


@pytest.mark.parametrize(("n", "coverage"), [(8, 0.9), (1, 0.6), (98, 0.995), (3, 0.8)])
def test_too_few_held_out_rows_give_an_infinite_half_width(n, coverage):
    assert half_width(np.arange(n), coverage) == np.inf


@pytest.mark.parametrize(
    ("n_rows", "coverage", "n_held_out", "enough"), [(30, 0.9, 6, 9), (100, 0.99, 20, 99), (40, 0.95, 8, 19)]
)
def test_a_coverage_that_needs_more_held_out_rows_is_refused(n_rows, coverage, n_held_out, enough):
    X, y = np.zeros((n_rows, 1)), np.arange(2.0 * n_rows).reshape(-1, 2)
    conformal = SplitConformalRegressor(Zero(), coverage=coverage, random_state=0).fit(X, y)
    assert conformal.predict(X).shape == y.shape
    message = (
        f"The 'coverage' parameter must be one that the held-out rows can give: {coverage} takes {enough} of them with "
        f"a target. Got {n_held_out} in the columns [0, 1]; fit with more rows, with a larger 'calibration_fraction', "
        f"or with a coverage of at most {n_held_out}/{n_held_out + 1}."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        conformal.predict_interval(X)
    # The way out.
    conformal.set_params(coverage=n_held_out / (n_held_out + 1)).fit(X, y)
    assert np.isfinite(conformal.predict_interval(X)).all()


def test_one_column_with_too_few_held_out_targets_is_refused():
    X, y = np.zeros((100, 1)), np.ones((100, 2))
    y[5:, 1] = np.nan
    conformal = SplitConformalRegressor(Zero(), calibration_fraction=0.5, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match=r"takes 9 of them with a target\. Got \d in the columns \[1\]; "):
        conformal.predict_interval(X)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 60), st.floats(0.01, 0.99))
def test_the_rank_is_the_smallest_with_the_guaranteed_coverage(n, coverage):
    width = half_width(np.arange(1, n + 1), coverage)
    # Of n + 1 exchangeable residuals the new one is at most the k-th of the others with probability k / (n + 1).
    if width == np.inf:
        assert n / (n + 1) < coverage
    else:
        assert width / (n + 1) >= coverage - 1e-9
        assert (width - 1) / (n + 1) < coverage


def test_exchangeable_rows_are_covered_as_often_as_the_theorem_says():
    rng = np.random.default_rng(0)
    hits = []
    for seed in range(1500):
        y = rng.standard_t(2, size=26)
        conformal = SplitConformalRegressor(Zero(), coverage=0.8, calibration_fraction=19, random_state=seed)
        conformal.set_params(calibration_fraction=19 / 25).fit(np.zeros((25, 1)), y[:25])
        assert conformal.n_calibration_ == 19
        hits.append(abs(y[25]) <= conformal.half_widths_[0])
    # Exactly ceil(20 * 0.8) / 20 = 0.8; four standard errors of 1500 draws are 0.04.
    assert abs(np.mean(hits) - 0.8) < 0.04


def test_real_measurements_are_covered_on_average():
    X, y = load_breast_cancer_measurements(return_X_y=True)
    covered, names = [], load_breast_cancer_measurements().target_names
    for seed in range(20):
        X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=seed)
        model = make_pipeline(StandardScaler(), Ridge())
        conformal = SplitConformalRegressor(model, coverage=0.9, calibration_fraction=0.4, random_state=seed)
        low, high = np.moveaxis(conformal.fit(X_train, y_train).predict_interval(X_test), -1, 0)
        covered.append(((low <= y_test) & (y_test <= high)).mean(0))
    by_column = np.mean(covered, axis=0)
    print("coverage:", dict(zip(names, by_column.round(3).tolist(), strict=True)))
    assert ((by_column > 0.88) & (by_column < 0.92)).all()


def test_intervals_are_symmetric_around_the_prediction():
    X, y = load_breast_cancer_measurements(return_X_y=True)
    conformal = SplitConformalRegressor(Ridge(), random_state=0).fit(X, y)
    interval, y_pred = conformal.predict_interval(X), conformal.predict(X)
    assert interval.shape == (569, 10, 2)
    np.testing.assert_array_equal(interval[..., 0], y_pred - conformal.half_widths_)
    np.testing.assert_array_equal(interval[..., 1], y_pred + conformal.half_widths_)
    assert (conformal.n_calibration_ == 114).all()


def test_the_estimator_is_not_fitted_on_held_out_rows():
    X, y = np.arange(50.0)[:, None], np.random.default_rng(0).normal(size=50)
    conformal = SplitConformalRegressor(Zero(), calibration_fraction=0.3, random_state=0)
    conformal.fit(X, y, flag="passed on")
    assert conformal.estimator_.n_rows_ == 35
    assert conformal.n_calibration_ == 15
    assert conformal.estimator_.flag_ == "passed on"
    assert not hasattr(conformal.estimator, "flag_")


def test_one_dimensional_targets_give_arrays_with_one_dimension_less():
    X, y = load_breast_cancer_measurements(return_X_y=True)
    conformal = SplitConformalRegressor(Ridge(), random_state=0).fit(X, y[:, 0])
    assert conformal.predict(X).shape == (569,)
    assert conformal.predict_interval(X).shape == (569, 2)
    both = SplitConformalRegressor(Ridge(), random_state=0).fit(X, y[:, :1])
    assert both.predict_interval(X).shape == (569, 1, 2)
    np.testing.assert_allclose(both.predict_interval(X)[:, 0], conformal.predict_interval(X))


def test_missing_targets_are_skipped_in_their_column():
    X = np.zeros((100, 1))
    y = np.random.default_rng(0).normal(size=(100, 2))
    holes = y.copy()
    holes[::2, 1] = np.nan
    full, part = (
        SplitConformalRegressor(Zero(), calibration_fraction=0.5, random_state=0).fit(X, t) for t in (y, holes)
    )
    assert part.half_widths_[0] == full.half_widths_[0]
    assert part.n_calibration_[0] == 50 > part.n_calibration_[1] > 10
    held_out = train_test_split(holes, test_size=0.5, random_state=np.random.RandomState(0).randint(2**31 - 1))[1]
    known = np.sort(np.abs(held_out[~np.isnan(held_out[:, 1]), 1]))
    assert part.half_widths_[1] == known[int(np.ceil((len(known) + 1) * 0.9)) - 1]
    holes[:, 1] = np.nan
    message = (
        "The 'calibration_fraction' parameter must leave rows with each target. Got none for the columns [1]; use "
        "a larger one, or fit with more rows."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        part.fit(X, holes)


def angles(n=200):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 2)).astype(np.float32)
    # All within a few degrees of north: from 355 to 5.
    return X, pd.DataFrame({"angle": rng.normal(0, 2, n) % 360, "size": 3 * X[:, 0]})


@pytest.mark.parametrize("in_pipeline", [False, True], ids=["net", "pipeline"])
def test_residuals_of_angles_take_the_shorter_way_round(in_pipeline):
    X, y = angles()
    net = MultiOutputMLPRegressor((8,), effort=None, loss={"angle": "circular"}, max_epochs=30, lr=0.01, random_state=0)
    model = make_pipeline(StandardScaler(), net) if in_pipeline else net
    conformal = SplitConformalRegressor(model, random_state=0).fit(X, y)
    assert conformal.half_widths_[0] < 60
    fitted = conformal.estimator_
    inputs, last = (fitted[:-1].transform(X), fitted[-1]) if in_pipeline else (X, fitted)
    seed = np.random.RandomState(0).randint(2**31 - 1)
    rows = train_test_split(np.arange(200), test_size=0.2, random_state=seed)[1]
    residuals = np.sort(np.abs(last.residuals(inputs[rows], y.iloc[rows])), axis=0)
    np.testing.assert_array_equal(conformal.half_widths_, residuals[36])  # rank ceil(41 * 0.9) = 37


def test_nets_with_missing_targets_have_intervals():
    X, y = angles()
    holes = y.mask(np.random.default_rng(1).random(y.shape) < 0.4)
    net = MultiOutputMLPRegressor(
        (8,), effort=None, loss={"angle": "circular"}, max_epochs=3, random_state=0, missing_targets="mask"
    )
    conformal = SplitConformalRegressor(net, random_state=0).fit(X, holes)
    assert np.isfinite(conformal.predict_interval(X)).all()
    assert (conformal.n_calibration_ < 40).all()


def test_clone_pickle_and_score():
    X, y = load_breast_cancer_measurements(return_X_y=True)
    conformal = SplitConformalRegressor(Ridge(alpha=3.0), coverage=0.8, random_state=0)
    assert clone(conformal).get_params()["estimator__alpha"] == 3.0
    assert clone(conformal).coverage == 0.8
    fitted = clone(conformal).set_params(estimator__alpha=0.1).fit(X, y)
    copied = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(copied.predict_interval(X), fitted.predict_interval(X))
    assert fitted.score(X, y) == fitted.estimator_.score(X, y)
    assert fitted.n_features_in_ == 20
    np.testing.assert_array_equal(clone(fitted).fit(X, y).half_widths_, fitted.half_widths_)


def test_feature_names_are_those_of_the_estimator():
    X, y = load_breast_cancer_measurements(return_X_y=True, as_frame=True)
    fitted = SplitConformalRegressor(LinearRegression(), random_state=0).fit(X, y)
    assert list(fitted.feature_names_in_) == list(X.columns)
    assert fitted.predict_interval(X).shape == (569, 10, 2)


@pytest.mark.parametrize(
    ("params", "start"),
    [
        (
            {"coverage": 1.0},
            "The 'coverage' parameter of SplitConformalRegressor must be a float in the range (0.0, 1.0)",
        ),
        (
            {"coverage": 90},
            "The 'coverage' parameter of SplitConformalRegressor must be a float in the range (0.0, 1.0)",
        ),
        (
            {"calibration_fraction": 0.0},
            "The 'calibration_fraction' parameter of SplitConformalRegressor must be a float in the range (0.0, 1.0)",
        ),
        ({"estimator": 3}, "The 'estimator' parameter of SplitConformalRegressor must be an object implementing"),
    ],
    ids=str,
)
def test_bad_parameters_are_refused_in_fit(params, start):
    conformal = SplitConformalRegressor(DummyRegressor()).set_params(**params)
    with pytest.raises(ValueError, match=f"^{re.escape(start)}"):
        conformal.fit(np.zeros((9, 1)), np.zeros(9))


def test_an_unfitted_wrapper_raises_not_fitted_error():
    conformal = SplitConformalRegressor(Ridge())
    for ask in (conformal.predict, conformal.predict_interval, lambda X: conformal.score(X, np.zeros(3))):
        with pytest.raises(NotFittedError):
            ask(np.zeros((3, 1)))


@pytest.mark.parametrize("with_pipeline", [False, True])
def test_sample_weights_are_those_of_the_fitted_rows(with_pipeline):
    rng = np.random.default_rng(0)
    X, weight = rng.normal(size=(60, 2)), rng.uniform(0.1, 5, size=60)
    y = X @ [1.0, -2.0] + rng.normal(size=60)
    inner = make_pipeline(Ridge()) if with_pipeline else Ridge()
    name = "ridge__sample_weight" if with_pipeline else "sample_weight"
    conformal = SplitConformalRegressor(inner, random_state=0).fit(X, y, **{name: weight})
    seed = np.random.RandomState(0).randint(np.iinfo(np.int32).max)
    rows, _ = train_test_split(np.arange(60), test_size=0.2, random_state=seed)
    expected = Ridge().fit(X[rows], y[rows], sample_weight=weight[rows]).predict(X)
    np.testing.assert_allclose(conformal.predict(X), expected)


@pytest.mark.parametrize(
    "classifier",
    [LogisticRegression(), make_pipeline(StandardScaler(), LogisticRegression())],
    ids=["alone", "pipeline"],
)
def test_a_classifier_is_refused(classifier):
    with pytest.raises(TypeError, match=r"^The 'estimator' parameter must be a regressor\. Got the classifier "):
        SplitConformalRegressor(classifier).fit(np.arange(20.0)[:, None], np.arange(20) % 2)


def test_sample_weights_of_another_length_are_refused_with_the_number_of_rows_given():
    X = np.arange(40.0)[:, None]
    message = "The 'sample_weight' argument must have one weight per row of X, 40. Got 3 instead."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        SplitConformalRegressor(Ridge()).fit(X, X[:, 0], sample_weight=np.ones(3))


def test_columns_with_too_few_held_out_rows_are_named():
    X = np.arange(10.0)[:, None]
    y = pd.DataFrame({"width": X[:, 0], "height": X[:, 0]})
    conformal = SplitConformalRegressor(Ridge(), random_state=0).fit(X, y)
    with pytest.raises(ValueError, match=re.escape("Got 2 in the columns ['width', 'height']; fit with more rows")):
        conformal.predict_interval(X)
