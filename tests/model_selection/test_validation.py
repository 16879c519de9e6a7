"""Cross-validation gives the results of scikit-learn."""

import inspect
import re

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import model_selection
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GroupKFold, KFold
from sklearn.pipeline import Pipeline

from skmulti.metrics import column_scorers
from skmulti.model_selection import BatchedGridSearchCV, cross_val_predict, cross_validate
from tests.model_selection.problems import LRS, X_FRAME, Y_FRAME, X, Y, make_net, make_pipe
from tests.model_selection.test_failures import diverging_net

both_functions = pytest.mark.parametrize("function", [cross_validate, cross_val_predict])


def theirs(function):
    return getattr(model_selection, function.__name__)


def check_equal(found, expected):
    if not isinstance(expected, dict):
        assert type(found) is type(expected)
        assert_allclose(found, expected, atol=1e-4)
        return
    assert list(found) == list(expected)
    for name, value in expected.items():
        if name not in ("estimator", "indices") and not name.endswith("_time"):
            assert_allclose(found[name], value, atol=1e-4)


@both_functions
@pytest.mark.parametrize(
    "make",
    [make_net, make_pipe, lambda: make_pipe(Ridge()), lambda: BatchedGridSearchCV(make_net(), LRS, cv=2)],
    ids=["net", "pipeline", "foreign", "search"],
)
def test_the_results_are_those_of_scikit_learn(function, make):
    options = {"cv": 3}
    if function is cross_validate:
        options |= {"scoring": column_scorers(list(Y_FRAME.columns)), "return_train_score": True}
    check_equal(function(make(), X_FRAME, Y_FRAME, **options), theirs(function)(make(), X_FRAME, Y_FRAME, **options))


@both_functions
def test_the_parameters_are_those_of_scikit_learn_and_working_memory(function):
    own, known = (inspect.signature(f).parameters for f in (function, theirs(function)))
    assert list(own) == [*known, "working_memory"]
    assert all(repr(own[name].default) == repr(known[name].default) for name in known)
    assert all(own[name].kind == known[name].kind for name in known)


@both_functions
def test_two_jobs_give_the_numbers_of_one(function):
    check_equal(function(make_pipe(), X, Y, cv=3, n_jobs=2), function(make_pipe(), X, Y, cv=3))


def test_estimators_and_indices_are_returned():
    found = cross_validate(make_pipe(), X, Y, cv=3, return_estimator=True, return_indices=True)
    for pipe, train, score, test in zip(
        found["estimator"], found["indices"]["train"], found["test_score"], found["indices"]["test"], strict=True
    ):
        assert type(pipe) is Pipeline
        assert_allclose(pipe.predict(X), make_pipe().fit(X[train], Y[train]).predict(X), atol=1e-4)
        assert pipe.score(X[test], Y[test]) == score
    assert (found["fit_time"] > 1e-4).all()


@both_functions
def test_random_splits_groups_and_iterables(function):
    groups = np.arange(40) % 4
    for options in (
        {"cv": KFold(3, shuffle=True, random_state=1)},
        {"cv": GroupKFold(2), "groups": groups},
        {"cv": list(KFold(2).split(X))},
    ):
        check_equal(function(make_net(), X, Y, **options), theirs(function)(make_net(), X, Y, **options))
    found = function(make_net(), X, Y, cv=KFold(2).split(X))
    check_equal(found, theirs(function)(make_net(), X, Y, cv=2))


@both_functions
def test_sample_weights_with_and_without_routing(function):
    params = {"sample_weight": np.where(np.arange(40) % 2, 5.0, 0.5)}
    expected = theirs(function)(make_net(), X, Y, cv=2, params=params)
    check_equal(function(make_net(), X, Y, cv=2, params=params), expected)
    with sklearn.config_context(enable_metadata_routing=True):
        net = make_net().set_fit_request(sample_weight=True).set_score_request(sample_weight=False)
        check_equal(function(net, X, Y, cv=2, params=params), expected)
        with pytest.raises(ValueError, match=r"\[sample_weight\] are passed but are not explicitly set"):
            function(make_net(), X, Y, cv=2, params=params)


def test_splits_must_be_a_partition_for_cross_val_predict():
    with pytest.raises(ValueError, match="only works for partitions"):
        cross_val_predict(make_net(), X, Y, cv=[(np.arange(20), np.arange(10))])


def test_errors_are_those_of_scikit_learn():
    with pytest.raises(ValueError, match=r"(?s)All the 2 fits failed.*TrainingDivergedError"):
        cross_validate(diverging_net().set_params(lr=1e30), X, Y, cv=2)
    gaps = Y.copy()
    gaps[0, 0] = np.nan
    with pytest.warns(FitFailedWarning, match="1 fits failed out of a total of 2"):
        found = cross_validate(make_net(), X, gaps, cv=2, scoring=lambda net, X, y: 1.0, error_score=-3)
    assert_array_equal(found["test_score"], [1, -3])
    with pytest.raises(ValueError, match="NaN"):
        cross_val_predict(make_net(), X, gaps, cv=2)


@both_functions
def test_an_invalid_working_memory_is_refused(function):
    message = f"The 'working_memory' parameter of {function.__name__} must be a float in the range (0.0, inf) or None"
    with pytest.raises(ValueError, match=re.escape(message)):
        function(make_net(), X, Y, working_memory=0)


@pytest.mark.parametrize("classifier", [DummyClassifier(), LogisticRegression()])
def test_classifiers_give_the_probabilities_of_scikit_learn(classifier):
    classes = np.array(["a", "b"])[(Y[:, 0] > 0).astype(int)]
    for method in ("predict", "predict_proba"):
        found = cross_val_predict(classifier, X, classes, cv=2, method=method)
        assert_array_equal(found, model_selection.cross_val_predict(classifier, X, classes, cv=2, method=method))


def test_verbose_prints_the_numbers_of_stacked_and_sequential_fits(capfd):
    cross_validate(make_net(), X, Y, cv=2, verbose=1)
    shown, bar = capfd.readouterr()
    assert re.search(r"\d fits in stacks, \d sequential", shown)
    assert "2/2" in bar
