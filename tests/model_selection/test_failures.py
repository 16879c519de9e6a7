"""A failed fit gets the error score and a warning of scikit-learn, and the scores of other fits are unaffected."""

import pickle
import re

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline

from skmulti import TrainingDivergedError
from skmulti.model_selection import BatchedGridSearchCV
from skmulti.model_selection.workers import Outcome, fit_alone
from tests.model_selection.problems import LRS, X, Y, both_searches, check_counts, make_net, search_over
from tests.model_selection.test_estimators import Counting

NAN = pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite:UserWarning")


def diverging_net(**params):
    return make_net(optimizer=torch.optim.SGD, scale_targets=False, **params)


@NAN
@both_searches
@pytest.mark.parametrize("error_score", [np.nan, -7.0])
def test_a_diverging_candidate_gets_the_error_score_and_does_not_affect_others(make_search, error_score):
    search = search_over(make_search, diverging_net(), {"lr": [1e-3, 1e30, 1e-2]}, error_score=error_score, refit=False)
    with pytest.warns(FitFailedWarning, match="2 fits failed out of a total of 6") as caught:
        search.fit(X, Y)
    assert "TrainingDivergedError" in str(caught[0].message)
    good = search_over(make_search, diverging_net(), {"lr": [1e-3, 1e-2]}, refit=False).fit(X, Y)
    scores = {params["lr"]: i for i, params in enumerate(search.cv_results_["params"])}
    for name in ("split0_test_score", "split1_test_score", "mean_test_score"):
        assert search.cv_results_[name][scores[1e30]] == pytest.approx(error_score, nan_ok=True)
        for i, params in enumerate(good.cv_results_["params"]):
            assert_allclose(search.cv_results_[name][scores[params["lr"]]], good.cv_results_[name][i], rtol=1e-6)
    if np.isnan(error_score):
        assert search.cv_results_["rank_test_score"][scores[1e30]] == 3
    check_counts(search, 6)


@both_searches
def test_error_score_raise_raises_the_error_of_a_fit(make_search):
    search = search_over(make_search, diverging_net(), {"lr": [1e-3, 1e30]}, error_score="raise")
    with pytest.raises(TrainingDivergedError):
        search.fit(X, Y)


@both_searches
def test_if_all_fits_fail_the_search_fails(make_search):
    search = search_over(make_search, diverging_net(), {"lr": [1e30, 2e30]}, error_score=0.0)
    with pytest.raises(ValueError, match=r"(?s)All the 4 fits failed.*TrainingDivergedError"):
        search.fit(X, Y)


@NAN
@both_searches
def test_an_invalid_parameter_of_one_candidate_fails_only_its_fits(make_search):
    search = search_over(make_search, make_net(), {"max_epochs": [-1, 2, 3]}, error_score=np.nan)
    with pytest.warns(FitFailedWarning, match=r"(?s)2 fits failed out of.*The 'max_epochs' parameter of"):
        search.fit(X, Y)
    assert np.isnan(search.cv_results_["mean_test_score"]).sum() == 1
    assert search.sequential_fits_["its fit failed before training"] == 2
    check_counts(search, 6, n_stacked=4)


@NAN
def test_an_error_in_a_step_fails_all_fits_that_use_it():
    pipe = Pipeline([("count", Counting()), ("net", make_net())])
    grid = {"count__fail": [False, True], "net__lr": [1e-3, 1e-2]}
    search = BatchedGridSearchCV(pipe, grid, cv=2, refit=False)
    with pytest.warns(FitFailedWarning) as caught:
        search.fit(X, Y)
    # The fits share one error object: its traceback is the same for all of them.
    assert "4 fits failed with the following error" in str(caught[0].message)
    assert "no transformer today" in str(caught[0].message)
    assert list(np.isnan(search.cv_results_["mean_test_score"])) == [False, False, True, True]
    check_counts(search, 8, n_stacked=4)


@NAN
def test_an_error_of_another_process_shows_its_traceback():
    search = BatchedGridSearchCV(make_net(), {"max_epochs": [-1, 2]}, cv=2, n_jobs=2)
    with pytest.warns(FitFailedWarning) as caught:
        search.fit(X, Y)
    assert "_check_parameters" in str(caught[0].message)
    assert "The 'max_epochs' parameter of" in str(caught[0].message)


class CannotTravelError(Exception):
    def __init__(self, one, other):
        super().__init__(f"{one} and {other}")


class Failing(Ridge):
    def fit(self, X, y):
        raise CannotTravelError("this", "that")


def test_an_error_that_cannot_be_pickled_is_replaced():
    (outcome,) = fit_alone(Failing(), X, Y, {}, "why", progress=None, is_remote=True)
    loaded = pickle.loads(pickle.dumps(outcome)).unpack()
    assert isinstance(loaded, Outcome)
    assert str(loaded.error) == "CannotTravelError: this and that"
    assert "raise CannotTravelError" in str(loaded.error.__cause__)


@both_searches
def test_an_unknown_parameter_fails_the_search(make_search):
    search = search_over(make_search, make_net(), {"learning_speed": [1, 2]}, error_score=0.0)
    with pytest.raises(ValueError, match=re.escape("Invalid parameter 'learning_speed'")):
        search.fit(X, Y)


@both_searches
def test_a_failing_scorer_gives_the_warning_of_scikit_learn(make_search):
    def fails(net, X, y):
        raise RuntimeError("no score today")

    search = search_over(make_search, make_net(), {"lr": [1e-3, 1e-2]}, scoring=fails, error_score=-1.0)
    with pytest.warns(UserWarning, match="(?s)Scoring failed.*no score today"):
        search.fit(X, Y)
    assert list(search.cv_results_["mean_test_score"]) == [-1, -1]
    with pytest.raises(RuntimeError, match="no score today"):
        search.set_params(error_score="raise").fit(X, Y)


def test_a_failed_search_restores_its_parameters():
    net = diverging_net()
    search = BatchedGridSearchCV(net, {"lr": [1e30]}, cv=2)
    with pytest.raises(ValueError, match="All the 2 fits failed"):
        search.fit(X, Y)
    assert search.estimator is net
    assert (search.cv, search.n_jobs) == (2, None)
    assert "_run_search" not in vars(search)


@both_searches
def test_an_error_of_torch_about_sizes_is_a_sentence_in_a_search_too(make_search):
    search = search_over(make_search, make_net(normalization="batch", batch_size=1), LRS)
    message = "The 'batch_size' parameter must give batches of two rows or more to batch normalisation."
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        search.fit(X, Y)
