"""joblib backends that send even one job to a worker, such as Dask's: fits are sent, scores are computed here."""

import pickle
import threading

import joblib
import numpy as np
import pytest
from joblib._parallel_backends import ThreadingBackend
from sklearn.exceptions import FitFailedWarning
from sklearn.metrics import r2_score

from skmulti import MultiOutputMLPRegressor
from skmulti.model_selection import BatchedGridSearchCV, cross_val_predict, cross_validate
from tests.model_selection.problems import LRS, X, Y, both_searches, check_same, make_net, make_pipe, search_over


class Elsewhere(ThreadingBackend):
    """A backend that sends each task as a pickle and marks the threads that run it as remote."""

    supports_sharedmem = False
    n_workers = 2
    lock = threading.Lock()
    place = threading.local()
    tasks: list[str] = []

    def effective_n_jobs(self, n_jobs):
        return self.n_workers

    def submit(self, func, callback=None):
        task = pickle.dumps(func)
        self.tasks.extend(getattr(call[0], "__name__", type(call[0]).__name__) for call in func.items)
        return super().submit(lambda: self.run(task), callback)

    def run(self, task):
        with self.lock:
            self.place.is_elsewhere = True
            return pickle.loads(pickle.dumps(pickle.loads(task)()))


joblib.register_parallel_backend("elsewhere", Elsewhere)


@pytest.fixture(autouse=True, params=["two workers", "one worker", "threads"])
def kind(request, monkeypatch):
    monkeypatch.setattr(Elsewhere, "n_workers", 1 if request.param == "one worker" else 2)
    monkeypatch.setattr(Elsewhere, "supports_sharedmem", request.param == "threads")
    monkeypatch.setattr(Elsewhere, "tasks", [])
    return request.param


def score_here(estimator, X, y):
    """Return a score that depends on where the network is evaluated."""
    assert not getattr(Elsewhere.place, "is_elsewhere", False)
    return r2_score(y, estimator.predict(X))


def elsewhere(n_jobs=None):
    return joblib.parallel_config(backend="elsewhere", **({} if n_jobs is None else {"n_jobs": n_jobs}))


@both_searches
@pytest.mark.parametrize("n_jobs", [None, 1, 2])
def test_a_search_finds_the_same_with_a_remote_backend(make_search, n_jobs):
    expected = search_over(make_search, make_pipe(), {"net__lr": LRS["lr"]}, scoring=score_here).fit(X, Y)
    search = search_over(make_search, make_pipe(), {"net__lr": LRS["lr"]}, scoring=score_here, n_jobs=n_jobs)
    with elsewhere():
        search.fit(X, Y)
    check_same(search, expected)
    np.testing.assert_allclose(search.predict(X), expected.predict(X), rtol=1e-5)


def test_a_search_over_the_default_ensemble_finds_the_same_with_a_remote_backend():
    net = MultiOutputMLPRegressor(effort="fast", max_epochs=2, random_state=0)
    search = BatchedGridSearchCV(net, {"lr": [0.01, 0.02]}, cv=2, scoring=score_here, verbose=1)
    expected = search.fit(X, Y).cv_results_["mean_test_score"]
    with elsewhere():
        search.fit(X, Y)
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], expected, atol=1e-4)


def test_cross_validation_finds_the_same_with_a_remote_backend():
    options = {"cv": 2, "return_estimator": True, "scoring": score_here}
    expected, predicted = cross_validate(make_net(), X, Y, **options), cross_val_predict(make_net(), X, Y, cv=2)
    with elsewhere():
        found = cross_validate(make_net(), X, Y, **options)
        np.testing.assert_allclose(cross_val_predict(make_net(), X, Y, cv=2), predicted, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found["test_score"], expected["test_score"], atol=1e-4)
    assert [type(net) for net in found["estimator"]] == [MultiOutputMLPRegressor] * 2


def test_only_fits_are_sent_and_none_to_a_single_worker_or_to_threads(kind):
    with elsewhere():
        cross_validate(make_net(), X, Y, cv=3)
    assert Elsewhere.tasks == (["train_list"] * 2 if kind == "two workers" else [])


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite:UserWarning")
def test_a_failed_fit_gets_the_error_score_with_a_remote_backend():
    search = BatchedGridSearchCV(make_net(), {"max_epochs": [-1, 2]}, cv=2, error_score=-7.0, refit=False)
    with elsewhere(), pytest.warns(FitFailedWarning):
        search.fit(X, Y)
    scores = search.cv_results_["mean_test_score"]
    assert scores[0] == -7.0 < scores[1]


class RefitsIn(MultiOutputMLPRegressor):
    def fit(self, X, y, **params):
        super().fit(X, y, **params)
        self.backend_ = type(joblib.parallel.get_active_backend()[0])
        return self


def test_the_refit_and_later_calls_use_the_backend_of_the_user():
    before = type(joblib.parallel.get_active_backend()[0])
    net = RefitsIn((5,), effort=None, max_epochs=1)
    with elsewhere():
        search = BatchedGridSearchCV(net, {"lr": [0.1]}, cv=2, n_jobs=1).fit(X, Y)
        assert type(joblib.parallel.get_active_backend()[0]) is Elsewhere
        with pytest.raises(ValueError, match="max_epochs"):
            cross_validate(make_net(max_epochs=-1), X, Y, cv=2, error_score="raise")
        with pytest.raises(ValueError, match="inconsistent"):
            cross_validate(net, X, Y[:3], cv=2)
        assert type(joblib.parallel.get_active_backend()[0]) is Elsewhere
    assert search.best_estimator_.backend_ is Elsewhere
    assert type(joblib.parallel.get_active_backend()[0]) is before
