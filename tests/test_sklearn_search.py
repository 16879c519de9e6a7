"""Pipelines, searches over losses and loss weights, cross-validation and metadata routing."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import dirichlet, loguniform
from sklearn.base import clone
from sklearn.metrics import r2_score
from sklearn.model_selection import (
    GridSearchCV,
    RandomizedSearchCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    validation_curve,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skmulti import MultiHeadRegressor, MultiOutputMLPRegressor
from skmulti.datasets import load_breast_cancer_measurements
from skmulti.metrics import column_scorers

NAMES = ["angle", "distance", "area"]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(45, 3))
Y = pd.DataFrame(X @ [[1, 0, 1], [0, 9, 1], [0, 0, 1]] + [0, 50, 0], columns=NAMES)


def make_net(cls=MultiOutputMLPRegressor, **params):
    return cls(**{"effort": None, "hidden_layer_sizes": (8,), "max_epochs": 3, "lr": 0.01, "random_state": 0, **params})


def make_pipe(**params):
    return Pipeline([("scale", StandardScaler()), ("net", make_net(**params))])


def scores_of(search):
    return {
        name: np.asarray(value, dtype=float)
        for name, value in search.cv_results_.items()
        if "test" in name and "time" not in name
    }


@pytest.fixture(scope="module")
def measurements():
    data = load_breast_cancer_measurements(as_frame=True)
    return data.data, data.target


@pytest.fixture(scope="module")
def weight_search(measurements):
    features, targets = measurements
    first, second = targets.columns[:2]
    grid = {f"net__loss_weights__{first}": [0.25, 1, 4], f"net__loss_weights__{second}": [0.25, 1, 4]}
    search = GridSearchCV(make_pipe(batch_size=128), grid, cv=3, n_jobs=1)
    return grid, search.fit(features, targets)


def test_a_grid_over_the_loss_weights_of_two_columns_gives_what_scikit_learn_gives(weight_search, measurements):
    grid, search = weight_search
    features, targets = measurements
    assert len(search.cv_results_["params"]) == 9
    assert {tuple(params) for params in search.cv_results_["params"]} == {tuple(grid)}
    assert set(search.cv_results_["rank_test_score"]) <= set(range(1, 10))
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert len(np.unique(search.cv_results_["mean_test_score"])) > 1
    assert search.best_params_ == search.cv_results_["params"][search.best_index_]
    assert search.best_score_ == search.cv_results_["mean_test_score"].max()
    best = search.best_estimator_
    assert list(best[-1].target_names_) == list(targets.columns)
    weights = {term.name: term.weight for term in best[-1].terms_}
    assert all(weights[name.removeprefix("net__loss_weights__")] == w for name, w in search.best_params_.items())
    assert_array_equal(search.predict(features), best.predict(features))


def test_the_scores_of_a_grid_are_those_of_its_candidates_alone(weight_search, measurements):
    _, search = weight_search
    candidate = clone(make_pipe(batch_size=128)).set_params(**search.cv_results_["params"][5])
    alone = cross_val_score(candidate, *measurements, cv=3)
    assert_array_equal([search.cv_results_[f"split{i}_test_score"][5] for i in range(3)], alone)


def test_two_jobs_give_the_scores_of_one(weight_search, measurements):
    grid, search = weight_search
    parallel = GridSearchCV(make_pipe(batch_size=128), grid, cv=3, n_jobs=2).fit(*measurements)
    assert parallel.best_params_ == search.best_params_
    for name, expected in scores_of(search).items():
        assert_array_equal(scores_of(parallel)[name], expected)
    assert_array_equal(parallel.predict(measurements[0]), search.predict(measurements[0]))


def test_a_grid_over_loss_weights_improves_the_column_that_is_scored():
    scoring = column_scorers(NAMES)
    grid = {"net__loss_weights": [[1, 1e-3, 1e-3], [1e-3, 1, 1e-3], None]}
    search = GridSearchCV(make_pipe(max_epochs=20), grid, scoring=scoring, refit="distance_r2", cv=3).fit(X, Y)
    assert set(scoring) >= {"angle_r2", "distance_r2", "area_r2", "mean_r2"}
    assert {f"mean_test_{name}" for name in scoring} <= set(search.cv_results_)
    assert search.cv_results_["mean_test_distance_r2"][1] > search.cv_results_["mean_test_distance_r2"][0]


def test_a_grid_over_losses_and_their_parameters():
    grid = [
        {"net__loss__distance": ["huber"], "net__loss__distance__delta": [0.5, 2.0]},
        {"net__loss__angle": ["circular", "absolute_error"]},
        {"net__loss": ["log_cosh", ["huber", "squared_error", "mae"], {"area": "huber"}]},
    ]
    search = GridSearchCV(make_pipe(), grid, cv=2, error_score="raise").fit(X, Y)
    assert len(search.cv_results_["params"]) == 7
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_a_random_search_draws_one_loss_weight_from_a_distribution():
    space = {"net__loss_weights__distance": loguniform(0.1, 10), "net__loss__area": ["huber", "squared_error"]}
    search = RandomizedSearchCV(make_pipe(), space, n_iter=4, cv=2, random_state=0, error_score="raise").fit(X, Y)
    drawn = [params["net__loss_weights__distance"] for params in search.cv_results_["params"]]
    assert len(set(drawn)) == 4
    (weight,) = (term.weight for term in search.best_estimator_[-1].terms_ if term.name == "distance")
    assert weight == search.best_params_["net__loss_weights__distance"]


class WeightVectors:
    """A distribution of loss-weight vectors that sum to three, by scipy's Dirichlet distribution."""

    def rvs(self, random_state=None):
        return 3 * dirichlet([2, 2, 2]).rvs(1, random_state=random_state)[0]


def test_a_random_search_draws_vectors_of_loss_weights():
    space = {"net__loss_weights": WeightVectors()}
    search = RandomizedSearchCV(make_pipe(), space, n_iter=3, cv=2, random_state=0, error_score="raise").fit(X, Y)
    weights = [term.weight for term in search.best_estimator_[-1].terms_]
    assert_allclose(weights, search.best_params_["net__loss_weights"])
    assert sum(weights) == pytest.approx(3)


def test_a_search_over_the_loss_weight_of_a_head():
    pipe = make_pipeline(StandardScaler(), make_net(MultiHeadRegressor, heads={"pose": NAMES[:2], "size": NAMES[2:]}))
    grid = {"multiheadregressor__loss_weights__pose": [0.5, 2], "multiheadregressor__module__activation": ["tanh"]}
    search = GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(X, Y)
    weights = [term.weight for term in search.best_estimator_[-1].terms_]
    assert weights == [search.best_params_["multiheadregressor__loss_weights__pose"]] * 2 + [1.0]


def test_a_candidate_with_an_unknown_column_raises():
    search = GridSearchCV(make_pipe(), {"net__loss_weights__distnce": [1, 2]}, cv=2, error_score="raise")
    with pytest.raises(ValueError, match=r"Did you mean 'distance'\?"):
        search.fit(X, Y)


def test_a_grid_overrides_a_loss_weight_of_the_constructor():
    search = GridSearchCV(make_pipe(loss_weights__area=7.0), {"net__loss_weights__area": [0.5]}, cv=2).fit(X, Y)
    assert [term.weight for term in search.best_estimator_[-1].terms_] == [1.0, 1.0, 0.5]


def test_cross_validate_takes_several_scorers_and_returns_the_nets():
    scoring = {**column_scorers(NAMES), "mae": "neg_mean_absolute_error"}
    found = cross_validate(make_pipe(), X, Y, cv=3, scoring=scoring, return_estimator=True, return_train_score=True)
    for name in scoring:
        assert np.isfinite(found[f"test_{name}"]).all()
        assert found[f"train_{name}"].shape == (3,)
    columns = np.array([found[f"test_{name}_r2"] for name in NAMES])
    assert_allclose(columns.mean(0), found["test_mean_r2"])
    assert [list(pipe[-1].target_names_) for pipe in found["estimator"]] == [NAMES] * 3


def test_cross_val_predict_gives_every_row_once_in_the_units_of_y():
    y_pred = cross_val_predict(make_pipe(max_epochs=20), X, Y, cv=3)
    assert y_pred.shape == (45, 3)
    assert abs(y_pred[:, 1].mean() - 50) < 5


def test_learning_and_validation_curves():
    sizes, train, test = learning_curve(make_pipe(), X, Y, cv=2, train_sizes=[0.5, 1.0])
    assert len(sizes) == len(train) == len(test) == 2
    train, test = validation_curve(
        make_pipe(), X, Y, cv=2, param_name="net__loss_weights__area", param_range=[0.1, 1, 10]
    )
    assert train.shape == test.shape == (3, 2)


def test_a_pipeline_passes_fit_parameters_through():
    pipe = make_pipe(early_stopping=True).fit(X[:30], Y[:30], net__X_val=X[30:], net__y_val=Y[30:])
    assert "valid_loss" in pipe[-1].history[-1]


def test_validation_rows_go_through_the_transformers_of_a_pipeline():
    shifted = 1000 * X + 500
    with sklearn.config_context(enable_metadata_routing=True):
        net = make_net(max_epochs=5).set_fit_request(X_val=True, y_val=True)
        pipe = make_pipeline(StandardScaler(), net, transform_input=["X_val"])
        pipe.fit(shifted[:30], Y[:30], X_val=shifted[30:], y_val=Y[30:])
    scaler = StandardScaler().fit(shifted[:30])
    alone = make_net(max_epochs=5).fit(
        scaler.transform(shifted[:30]), Y[:30], X_val=scaler.transform(shifted[30:]), y_val=Y[30:]
    )
    assert_array_equal(pipe[-1].history[:, "valid_loss"], alone.history[:, "valid_loss"])
    assert pipe[-1].history[-1, "valid_loss"] < 5


def test_validation_rows_reach_the_net_through_a_search():
    with sklearn.config_context(enable_metadata_routing=True):
        pipe = make_pipeline(
            StandardScaler(), make_net().set_fit_request(X_val=True, y_val=True), transform_input=["X_val"]
        )
        grid = {"multioutputmlpregressor__loss_weights__area": [0.5, 2]}
        search = GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(X[:30], Y[:30], X_val=X[30:], y_val=Y[30:])
    assert "valid_loss__area" in search.best_estimator_[-1].history[-1]


def test_metadata_without_a_request_are_refused():
    with sklearn.config_context(enable_metadata_routing=True), pytest.raises(ValueError, match="X_val"):
        make_pipe().fit(X, Y, X_val=X, y_val=Y)


def test_a_pipeline_predicts_what_the_net_alone_predicts():
    scaler = StandardScaler().fit(X)
    alone = make_net().fit(scaler.transform(X), Y)
    pipe = make_pipe().fit(X, Y)
    assert_array_equal(pipe.predict(X), alone.predict(scaler.transform(X)))
    assert pipe.score(X, Y) == pytest.approx(r2_score(Y, pipe.predict(X)), rel=1e-12)
