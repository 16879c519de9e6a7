"""Which estimators are trained together, and which sequentially; all results are those of scikit-learn."""

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skmulti import MultiHeadRegressor, MultiOutputCNNRegressor, MultiOutputMLPRegressor, MultiOutputNetRegressor
from skmulti.model_selection import BatchedGridSearchCV
from tests.model_selection.problems import (
    LRS,
    X_FRAME,
    Y_FRAME,
    X,
    Y,
    both_searches,
    check_counts,
    check_same,
    make_net,
    make_pipe,
    search_over,
    theirs,
)


class Counting(TransformerMixin, BaseEstimator):
    """Count how often it is fitted, all copies together."""

    n_fits = 0

    def __init__(self, factor=1.0, fail=False):
        self.factor = factor
        self.fail = fail

    def fit(self, X, y=None):
        if self.fail:
            raise RuntimeError("no transformer today")
        type(self).n_fits += 1
        self.mean_ = np.mean(X, axis=0)
        return self

    def transform(self, X):
        return self.factor * (X - self.mean_)


@pytest.fixture(autouse=True)
def _count_from_nothing():
    Counting.n_fits = 0


@both_searches
def test_a_pipeline(make_search):
    grid = {"net__lr": [1e-3, 1e-1], "net__loss": ["huber", "squared_error"]}
    search = search_over(make_search, make_pipe(), grid, return_train_score=True).fit(X_FRAME, Y_FRAME)
    check_same(search, theirs(search).fit(X_FRAME, Y_FRAME))
    check_counts(search, 8)
    assert type(search.best_estimator_) is Pipeline


@both_searches
def test_parameters_of_the_steps_are_in_the_grid(make_search):
    pipe = Pipeline([("scale", StandardScaler()), ("turn", PCA(2)), ("net", make_net())])
    grid = {"turn__n_components": [1, 2], "scale": ["passthrough", StandardScaler()], "net__lr": [1e-3, 1e-1]}
    search = search_over(make_search, pipe, grid).fit(X, Y)
    check_same(search, theirs(search).fit(X, Y))
    check_counts(search, 16)


def test_steps_are_fitted_once_for_each_split_and_setting():
    pipe = Pipeline([("count", Counting()), ("net", make_net())])
    grid = {"count__factor": [1.0, 2.0], "net__lr": [1e-3, 1e-2, 1e-1]}
    search = BatchedGridSearchCV(pipe, grid, cv=3, refit=False).fit(X, Y)
    assert Counting.n_fits == 6
    check_same(search, GridSearchCV(pipe, grid, cv=3, refit=False).fit(X, Y))
    assert Counting.n_fits == 6 + 18


def test_equal_settings_in_different_objects_share_steps():
    pipe = Pipeline([("scale", "passthrough"), ("count", Counting()), ("net", make_net())])
    grid = [{"scale": [StandardScaler()], "net__lr": [1e-3, 1e-2]}, {"scale": [StandardScaler()], "net__lr": [1e-1]}]
    BatchedGridSearchCV(pipe, grid, cv=2, refit=False).fit(X, Y)
    assert Counting.n_fits == 2


def test_settings_that_cannot_be_hashed_are_distinguished():
    pipe = Pipeline([("function", FunctionTransformer()), ("count", Counting()), ("net", make_net())])
    grid = {"function__func": [lambda X: 2 * X, lambda X: X**3], "net__lr": [1e-3, 1e-2]}
    search = BatchedGridSearchCV(pipe, grid, cv=2, refit=False, error_score="raise").fit(X, Y)
    assert Counting.n_fits == 4
    check_same(search, GridSearchCV(pipe, grid, cv=2, refit=False).fit(X, Y))


def test_a_step_that_modifies_its_input_does_not_affect_other_fits():
    pipe = Pipeline([("scale", StandardScaler(copy=False)), ("net", make_net())])
    grid = {"scale__with_mean": [False, True], "net__lr": [1e-2, 1e-1]}
    before = X.copy()
    search = BatchedGridSearchCV(pipe, grid, cv=2, refit=False).fit(X, Y)
    np.testing.assert_array_equal(X, before)
    check_same(search, GridSearchCV(pipe, grid, cv=2, refit=False).fit(X, Y))


def test_a_pipeline_in_a_pipeline():
    inner = Pipeline([("count", Counting()), ("net", make_net())])
    pipe = Pipeline([("scale", StandardScaler()), ("inner", inner)])
    grid = {"inner__net__lr": [1e-2, 1e-1], "inner__count__factor": [1.0, 2.0]}
    search = BatchedGridSearchCV(pipe, grid, cv=2, refit=False, error_score="raise").fit(X, Y)
    assert Counting.n_fits == 4
    check_same(search, GridSearchCV(pipe, grid, cv=2, refit=False).fit(X, Y))
    check_counts(search, 8)


def test_a_pipeline_with_a_memory(tmp_path):
    pipe = Pipeline([("scale", StandardScaler()), ("net", make_net())], memory=str(tmp_path))
    search = BatchedGridSearchCV(pipe, {"net__lr": [1e-2, 1e-1]}, cv=2, error_score="raise").fit(X, Y)
    check_same(search, theirs(search).fit(X, Y))


def test_candidates_that_replace_the_net():
    grid = {"net": [make_net(lr=0.1), Ridge(), make_net(max_epochs=1), make_net(MultiHeadRegressor)]}
    search = BatchedGridSearchCV(make_pipe(), grid, cv=2, error_score="raise").fit(X, Y)
    expected = theirs(search).fit(X, Y)
    check_same(search, expected)
    assert search.sequential_fits_["Ridge is not an estimator of skmulti"] == 2
    check_counts(search, 8, n_stacked=6)
    assert type(search.best_estimator_[-1]) is type(expected.best_estimator_[-1])


def test_nets_that_replace_one_another_get_the_metadata_they_request():
    weights = np.where(np.arange(40) % 2, 5.0, 0.5)
    with sklearn.config_context(enable_metadata_routing=True):
        asks = make_net().set_fit_request(sample_weight=True)
        does_not = make_net().set_fit_request(sample_weight=False)
        pipe = make_pipe(asks)
        pipe.named_steps["scale"].set_fit_request(sample_weight=True)
        scorer = get_scorer("r2").set_score_request(sample_weight=False)
        search = BatchedGridSearchCV(pipe, {"net": [asks, does_not]}, cv=2, scoring=scorer, error_score="raise")
        search.fit(X, Y, sample_weight=weights)
        check_same(search, theirs(search).fit(X, Y, sample_weight=weights))
    assert np.ptp(search.cv_results_["mean_test_score"]) > 0


def test_sample_weights_of_one_step():
    weights = np.where(np.arange(40) % 2, 5.0, 0.5)
    search = BatchedGridSearchCV(make_pipe(), {"net__lr": [1e-2, 1e-1]}, cv=2, error_score="raise")
    search.fit(X, Y, net__sample_weight=weights)
    check_same(search, theirs(search).fit(X, Y, net__sample_weight=weights))
    assert search.best_estimator_ is not None


def test_validation_rows_go_through_the_steps():
    with sklearn.config_context(enable_metadata_routing=True):
        net = make_net().set_fit_request(X_val=True, y_val=True)
        pipe = make_pipeline(StandardScaler(), net, transform_input=["X_val"])
        search = BatchedGridSearchCV(pipe, {"multioutputmlpregressor__lr": [1e-2, 1e-1]}, cv=2, error_score="raise")
        search.fit(X[:30], Y[:30], X_val=1000 * X[30:], y_val=Y[30:])
        check_same(search, theirs(search).fit(X[:30], Y[:30], X_val=1000 * X[30:], y_val=Y[30:]))


@pytest.mark.parametrize("heads", [None, {"first": [0], "second": [1]}])
def test_several_heads(heads):
    net = make_net(MultiHeadRegressor, heads=heads)
    search = BatchedGridSearchCV(net, {"loss_weights__0": [0.5, 2.0], **LRS}, cv=2, error_score="raise").fit(X, Y)
    check_same(search, theirs(search).fit(X, Y))
    check_counts(search, 12)


def test_a_custom_module():
    class Straight(torch.nn.Module):
        def __init__(self, input_shape, n_outputs):
            super().__init__()
            self.layer = torch.nn.Linear(input_shape[0], n_outputs)

        def forward(self, X):
            return self.layer(X)

    net = MultiOutputNetRegressor(Straight, max_epochs=3, random_state=0)
    search = BatchedGridSearchCV(net, LRS, cv=2, error_score="raise").fit(X, Y)
    check_same(search, theirs(search).fit(X, Y))
    assert search.n_stacked_fits_ + sum(search.sequential_fits_.values()) == 6


def test_images_are_trained_sequentially():
    images = np.random.default_rng(0).normal(size=(24, 1, 8, 8)).astype(np.float32)
    targets = images.mean(axis=(2, 3)) * [1, 2]
    net = MultiOutputCNNRegressor(effort=None, max_epochs=1, random_state=0)
    search = BatchedGridSearchCV(net, LRS, cv=2, error_score="raise").fit(images, targets)
    check_same(search, theirs(search).fit(images, targets))
    check_counts(search, 6, n_stacked=0)


@both_searches
def test_an_estimator_of_scikit_learn_is_fitted_sequentially(make_search):
    search = search_over(make_search, Ridge(), {"alpha": [0.1, 1, 10]}, return_train_score=True).fit(X, Y)
    check_same(search, theirs(search).fit(X, Y))
    assert search.sequential_fits_ == {"Ridge is not an estimator of skmulti": 6}
    assert search.n_stacked_fits_ == 0


def test_a_meta_estimator_around_a_net_is_fitted_sequentially():
    wrapped = TransformedTargetRegressor(make_net(), transformer=StandardScaler())
    search = BatchedGridSearchCV(wrapped, {"regressor__lr": [1e-2, 1e-1]}, cv=2, error_score="raise").fit(X, Y)
    check_same(search, theirs(search).fit(X, Y))
    assert search.sequential_fits_ == {"TransformedTargetRegressor is not an estimator of skmulti": 4}


class OwnFit(MultiOutputMLPRegressor):
    def __init__(self, hidden_layer_sizes=(5,), **params):
        super().__init__(hidden_layer_sizes, **params)

    def fit(self, X, y, sample_weight=None):
        super().fit(X, 2 * np.asarray(y), sample_weight)
        return self


class OwnPipeline(Pipeline):
    pass


@pytest.mark.parametrize(
    ("estimator", "reason"),
    [
        (make_net(OwnFit), "OwnFit overrides fit"),
        (make_net(warm_start=True), "warm_start is set"),
        (OwnPipeline([("net", make_net())]), "OwnPipeline is not a plain Pipeline"),
        (RandomForestRegressor(n_estimators=2, random_state=0), "RandomForestRegressor is not an estimator of skmulti"),
    ],
)
def test_an_estimator_that_cannot_be_stacked_is_fitted_by_its_own_fit(estimator, reason):
    name = {"OwnPipeline": "net__max_epochs", "RandomForestRegressor": "max_depth"}
    grid = {name.get(type(estimator).__name__, "max_epochs"): [1, 3]}
    search = BatchedGridSearchCV(estimator, grid, cv=2, error_score="raise").fit(X, Y)
    check_same(search, theirs(search).fit(X, Y))
    assert search.sequential_fits_ == {reason: 4}


def test_tensors_lists_and_frames_are_accepted():
    for inputs, targets in (
        (torch.as_tensor(X), torch.as_tensor(Y)),
        (X.tolist(), Y.tolist()),
        (X_FRAME, pd.Series(Y[:, 0], name="angle")),
    ):
        search = BatchedGridSearchCV(make_net(), LRS, cv=2, error_score="raise").fit(inputs, targets)
        check_same(search, theirs(search).fit(inputs, targets))


def test_a_fitted_net_is_trained_from_scratch():
    net = make_net().fit(X[:, :2], Y)
    search = BatchedGridSearchCV(net, LRS, cv=2, error_score="raise").fit(X, Y)
    check_same(search, theirs(search).fit(X, Y))


def test_nets_with_different_missing_targets_settings_in_one_search():
    gaps = Y.copy()
    gaps[::5, 1] = np.nan
    grid = {"missing_targets": ["mask"], "scale_targets": [True, False], "loss": ["huber", "squared_error"]}
    score = "neg_mean_squared_error"

    def first_column(net, X, y):
        return -np.mean((net.predict(X)[:, 0] - y[:, 0]) ** 2)

    search = BatchedGridSearchCV(make_net(), grid, cv=2, scoring=first_column, error_score="raise").fit(X, gaps)
    check_same(search, theirs(search).fit(X, gaps))
    grid["missing_targets"] = ["error", "mask"]
    search = BatchedGridSearchCV(make_net(), grid, cv=2, scoring=score, error_score="raise").fit(X, Y)
    check_same(search, theirs(search).fit(X, Y))
