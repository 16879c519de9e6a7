"""The searches keep the contract of scikit-learn's searches."""

import pickle
import re
from types import GeneratorType

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import loguniform
from sklearn.base import clone, is_regressor
from sklearn.metrics import make_scorer, mean_absolute_error, r2_score
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, RandomizedSearchCV, cross_val_score
from sklearn.utils.validation import check_is_fitted

from skmulti import MultiOutputMLPRegressor
from skmulti.model_selection import BatchedGridSearchCV, BatchedRandomizedSearchCV
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
    search_over,
    theirs,
    without_times,
)


@both_searches
def test_a_fitted_search_has_the_attributes_of_scikit_learn(make_search):
    search = search_over(make_search, make_net(), LRS, return_train_score=True)
    assert not any(name.endswith("_") for name in vars(search))
    assert search.fit(X, Y) is search
    expected = theirs(search).fit(X, Y)
    assert {name for name in vars(search) if name.endswith("_")} == {
        *(name for name in vars(expected) if name.endswith("_")),
        "n_stacked_fits_",
        "sequential_fits_",
    }
    assert type(search.best_estimator_) is MultiOutputMLPRegressor
    assert search.best_score_ == search.cv_results_["mean_test_score"].max()
    assert search.n_features_in_ == 3
    assert search.refit_time_ > 0
    assert is_regressor(search)
    check_counts(search, 6)


@both_searches
def test_a_search_over_a_frame_has_feature_names(make_search):
    search = search_over(make_search, make_net(), LRS).fit(X_FRAME, Y_FRAME)
    assert_array_equal(search.feature_names_in_, X_FRAME.columns)
    assert list(search.best_estimator_.target_names_) == list(Y_FRAME.columns)
    check_same(search, theirs(search).fit(X_FRAME, Y_FRAME))


@both_searches
def test_the_results_have_the_keys_masks_and_dtypes_of_scikit_learn(make_search):
    grid = [
        {"loss": ["huber"], "lr": [1e-3, 1e-2], "batch_size": [8, 16]},
        {"loss": ["squared_error"], "max_epochs": [1, 2]},
    ]
    search = search_over(make_search, make_net(), grid, return_train_score=True, cv=3, refit=False).fit(X, Y)
    check_same(search, theirs(search).fit(X, Y))
    results = search.cv_results_
    for name, kind in {"param_loss": "O", "param_lr": "f", "param_batch_size": "i", "param_max_epochs": "i"}.items():
        assert results[name].dtype.kind == kind
        assert isinstance(results[name], np.ma.MaskedArray)
    for i, params in enumerate(results["params"]):
        assert results["param_lr"].mask[i] == (params["loss"] == "squared_error")
        assert results["param_max_epochs"].mask[i] == (params["loss"] == "huber")
    assert results["rank_test_score"].dtype == np.int32
    assert all(value.shape == (6,) for name, value in results.items() if name != "params")


@both_searches
def test_each_fit_has_a_positive_fit_time(make_search):
    search = search_over(make_search, make_net(), {"max_epochs": [1, 30]}, refit=False).fit(X, Y)
    results = search.cv_results_
    assert (results["mean_fit_time"] > 0).all()
    assert (results["std_fit_time"] >= 0).all()
    assert (results["mean_score_time"] > 0).all()


@both_searches
@pytest.mark.parametrize("scoring", [["r2", "neg_mean_absolute_error"], {"one": "r2", "two": make_scorer(r2_score)}])
def test_several_scorers_give_the_scores_of_each_alone(make_search, scoring):
    search = search_over(make_search, make_net(), LRS, scoring=scoring, refit=next(iter(scoring))).fit(X, Y)
    check_same(search, theirs(search).fit(X, Y))
    assert search.multimetric_
    assert set(search.scorer_) == set(scoring)
    assert search.score(X, Y) == pytest.approx(r2_score(Y, search.predict(X)))
    alone = search_over(make_search, make_net(), LRS, scoring="r2").fit(X, Y)
    name = "r2" if isinstance(scoring, list) else "one"
    assert_allclose(search.cv_results_[f"mean_test_{name}"], alone.cv_results_["mean_test_score"], atol=1e-6)


@both_searches
def test_a_callable_may_return_several_scores(make_search):
    def scores(net, X, y):
        y_pred = net.predict(X)
        return {"r2": r2_score(y, y_pred), "mae": mean_absolute_error(y, y_pred)}

    search = search_over(make_search, make_net(), LRS, scoring=scores, refit="r2").fit(X, Y)
    assert search.multimetric_
    assert {"mean_test_r2", "mean_test_mae"} <= set(search.cv_results_)
    search = search_over(make_search, make_net(), LRS, scoring=scores, refit="bad")
    with pytest.raises(ValueError, match="the parameter refit must be set to a scorer key"):
        search.fit(X, Y)


@both_searches
def test_refit_must_name_a_scorer(make_search):
    search = search_over(make_search, make_net(), LRS, scoring=["r2", "neg_max_error"], refit=True)
    with pytest.raises(ValueError, match="the parameter refit must be set to a scorer key"):
        search.fit(X, Y)


@both_searches
def test_a_scorer_gets_an_ordinary_fitted_net(make_search):
    seen = []

    def score(net, X, y):
        seen.append(net)
        check_is_fitted(net)
        assert clone(net).get_params().keys() == net.get_params().keys()
        return net.lr

    search = search_over(make_search, make_net(), LRS, scoring=score).fit(X, Y)
    assert {type(net) for net in seen} == {MultiOutputMLPRegressor}
    assert not any({"fit", "set_params", "__sklearn_clone__"} & set(vars(net)) for net in seen)
    assert [net.lr for net in seen[::2]] == [params["lr"] for params in search.cv_results_["params"]]
    assert search.best_params_ == {"lr": 0.1}


@both_searches
def test_without_refit_there_is_no_best_estimator(make_search):
    search = search_over(make_search, make_net(), LRS, refit=False).fit(X, Y)
    assert not hasattr(search, "best_estimator_")
    assert {"best_index_", "best_params_", "best_score_", "cv_results_"} <= set(vars(search))
    with pytest.raises(AttributeError, match="has no attribute 'predict'"):
        search.predict(X)


@both_searches
def test_a_callable_refit_gets_the_fit_times_and_chooses_the_best_index(make_search):
    def choose(results):
        assert (results["mean_fit_time"] > 1e-4).all()
        return 1

    search = search_over(make_search, make_net(), LRS, refit=choose).fit(X, Y)
    assert search.best_index_ == 1
    assert search.best_estimator_.lr == search.cv_results_["params"][1]["lr"]
    assert not hasattr(search, "best_score_")
    with pytest.raises(IndexError, match="best_index_ index out of range"):
        search_over(make_search, make_net(), LRS, refit=lambda results: 3).fit(X, Y)
    with pytest.raises(TypeError, match="best_index_ returned is not an integer"):
        search_over(make_search, make_net(), LRS, refit=lambda results: None).fit(X, Y)


@both_searches
def test_the_best_estimator_is_an_ordinary_fit(make_search):
    search = search_over(make_search, make_net(), LRS).fit(X, Y)
    alone = clone(make_net()).set_params(**search.best_params_).fit(X, Y)
    assert_array_equal(search.predict(X), alone.predict(X))
    assert search.score(X, Y) == alone.score(X, Y)


@both_searches
def test_the_estimator_of_the_user_is_not_modified(make_search):
    net = make_net()
    before = dict(vars(net))
    search = search_over(make_search, net, LRS).fit(X, Y)
    assert vars(net) == before
    assert search.estimator is net
    assert (search.cv, search.n_jobs) == (2, None)
    assert search.scorer_._estimator is not search.best_estimator_
    clone(search.scorer_._estimator)


@both_searches
def test_a_search_can_be_cloned_and_pickled_and_fitted_again(make_search):
    search = search_over(make_search, make_net(), LRS, working_memory=64).fit(X, Y)
    again = clone(search)
    assert again.working_memory == 64
    assert not hasattr(again, "cv_results_")
    loaded = pickle.loads(pickle.dumps(search))
    assert_array_equal(loaded.predict(X), search.predict(X))
    np.testing.assert_equal(without_times(loaded.cv_results_), without_times(search.cv_results_))
    check_same(search.fit(X, Y), loaded)


@both_searches
def test_a_search_in_cross_validation(make_search):
    scores = cross_val_score(search_over(make_search, make_net(), LRS), X, Y, cv=2, error_score="raise")
    assert_allclose(scores, cross_val_score(theirs(search_over(make_search, make_net(), LRS)), X, Y, cv=2), atol=1e-3)


@both_searches
def test_groups_reach_the_splitter(make_search):
    groups = np.arange(40) % 4
    search = search_over(make_search, make_net(), LRS, cv=GroupKFold(n_splits=4)).fit(X, Y, groups=groups)
    assert search.n_splits_ == 4
    check_same(search, theirs(search).fit(X, Y, groups=groups))
    with pytest.raises(ValueError, match="The 'groups' parameter should not be None"):
        search.fit(X, Y)


@both_searches
def test_splits_of_a_generator_are_read_once(make_search):
    splits = KFold(3).split(X)
    assert isinstance(splits, GeneratorType)
    search = search_over(make_search, make_net(), LRS, cv=splits).fit(X, Y)
    check_same(search, theirs(search_over(make_search, make_net(), LRS, cv=3)).fit(X, Y))


@both_searches
def test_boolean_masks_are_accepted_as_splits(make_search):
    first = np.arange(40) < 15
    search = search_over(make_search, make_net(), LRS, cv=[(first, ~first), (~first, first)]).fit(X, Y)
    check_same(search, theirs(search).fit(X, Y))
    assert not any("not planned" in reason for reason in search.sequential_fits_)


@both_searches
def test_a_random_splitter_gives_all_candidates_the_same_splits(make_search):
    search = search_over(make_search, make_net(), {"lr": [0.01, 0.01, 0.01]}, cv=KFold(3, shuffle=True), refit=False)
    if make_search is BatchedRandomizedSearchCV:
        search.set_params(n_iter=3)
    results = search.fit(X, Y).cv_results_
    for split in range(3):
        assert_allclose(results[f"split{split}_test_score"], results[f"split{split}_test_score"][0], atol=1e-6)


@both_searches
def test_sample_weights_are_indexed_with_the_rows(make_search):
    weights = np.where(np.arange(40) % 2, 5.0, 0.5)
    search = search_over(make_search, make_net(), LRS).fit(X, Y, sample_weight=weights)
    check_same(search, theirs(search).fit(X, Y, sample_weight=weights))
    plain = search_over(make_search, make_net(), LRS).fit(X, Y)
    assert (plain.cv_results_["mean_test_score"] != search.cv_results_["mean_test_score"]).all()


@both_searches
def test_metadata_is_routed(make_search):
    weights = np.where(np.arange(40) % 2, 5.0, 0.5)
    with sklearn.config_context(enable_metadata_routing=True):
        net = make_net().set_fit_request(sample_weight=True).set_score_request(sample_weight=False)
        search = search_over(make_search, net, LRS).fit(X, Y, sample_weight=weights)
        check_same(search, theirs(search).fit(X, Y, sample_weight=weights))
        unasked = search_over(make_search, make_net(), LRS)
        with pytest.raises(ValueError, match="sample_weight"):
            unasked.fit(X, Y, sample_weight=weights)
        grouped = search_over(make_search, net, LRS, cv=GroupKFold(2).set_split_request(groups=True))
        assert grouped.fit(X, Y, groups=np.arange(40) % 2).n_splits_ == 2


@both_searches
def test_validation_rows_reach_the_nets(make_search):
    with sklearn.config_context(enable_metadata_routing=True):
        net = make_net().set_fit_request(X_val=True, y_val=True)
        search = search_over(make_search, net, LRS).fit(X[:30], Y[:30], X_val=X[30:], y_val=Y[30:])
        check_same(search, theirs(search).fit(X[:30], Y[:30], X_val=X[30:], y_val=Y[30:]))
    assert "valid_loss" in search.best_estimator_.history_[-1]


@both_searches
def test_fit_without_y_raises_for_the_missing_argument(make_search):
    search = search_over(make_search, make_net(), LRS)
    with pytest.raises(TypeError, match=re.escape("missing 1 required positional argument: 'y'")):
        search.fit(X)


def test_no_candidates_and_no_splits_are_an_error():
    with pytest.raises(ValueError, match="No fits were performed"):
        BatchedGridSearchCV(make_net(), LRS, cv=iter([])).fit(X, Y)
    with pytest.raises(ValueError, match="Parameter grid"):
        BatchedGridSearchCV(make_net(), {"lr": []}).fit(X, Y)


@both_searches
@pytest.mark.parametrize("working_memory", [0, -1.0, "much"])
def test_an_invalid_working_memory_is_refused(make_search, working_memory):
    search = search_over(make_search, make_net(), LRS, working_memory=working_memory)
    expected = f"The 'working_memory' parameter of {make_search.__name__} must be a float in the range (0.0, inf)"
    with pytest.raises(ValueError, match=re.escape(expected)):
        search.fit(X, Y)


@both_searches
def test_bad_parameters_are_refused_as_in_scikit_learn(make_search):
    for bad in ({"cv": "many"}, {"n_jobs": 1.5}, {"verbose": "loud"}, {"error_score": "no"}, {"scoring": "no"}):
        search = search_over(make_search, make_net(), LRS, **bad)
        with pytest.raises(ValueError, match=f"The '{next(iter(bad))}' parameter of {make_search.__name__}"):
            search.fit(X, Y)


def test_parameters_are_those_of_scikit_learn_and_working_memory():
    for ours, parent in ((BatchedGridSearchCV, GridSearchCV), (BatchedRandomizedSearchCV, RandomizedSearchCV)):
        assert issubclass(ours, parent)
        own, known = (cls(make_net(), LRS).get_params(deep=False) for cls in (ours, parent))
        assert own.pop("working_memory") is None
        known.pop("estimator"), own.pop("estimator")
        np.testing.assert_equal(own, known)


def test_a_random_search_draws_what_scikit_learn_draws():
    search = BatchedRandomizedSearchCV(make_net(), {"lr": loguniform(1e-3, 1)}, n_iter=3, cv=2, random_state=1)
    search.fit(X, Y)
    check_same(search, theirs(search).fit(X, Y))


def test_a_subclass_with_its_own_run_search_gets_prepared_fits():
    class Halves(BatchedGridSearchCV):
        def _run_search(self, evaluate_candidates):
            first = evaluate_candidates([{"lr": 1e-3}, {"lr": 1e-2}])
            assert (first["mean_fit_time"] > 1e-4).all()
            evaluate_candidates([{"lr": 1e-1}])

    search = Halves(make_net(), {}, cv=2).fit(X, Y)
    check_same(search, theirs(search_over(BatchedGridSearchCV, make_net(), LRS)).fit(X, Y))
    check_counts(search, 6)


def test_an_estimator_class_is_refused_as_in_scikit_learn():
    with pytest.raises(TypeError, match="Cannot clone object"):
        BatchedGridSearchCV(MultiOutputMLPRegressor, LRS).fit(X, Y)
