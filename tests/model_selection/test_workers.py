"""How the fits are divided among processes, and the progress output."""

import itertools
import os
import re
import time
from fractions import Fraction
from types import SimpleNamespace

import joblib
import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

from skmulti import MultiOutputMLPRegressor
from skmulti.model_selection import BatchedGridSearchCV
from skmulti.model_selection.fits import Data, Workers, _divide, plan_fits
from skmulti.model_selection.groups import Group
from skmulti.model_selection.pipelines import Place
from skmulti.model_selection.prepared import KnownSplits, Prepared
from skmulti.model_selection.progress import counted_fits
from skmulti.training.interrupt import Interrupts
from tests.model_selection.problems import LRS, X, Y, both_searches, check_counts, check_same, make_net, make_pipe

GRID = {"net__lr": [1e-3, 1e-2], "net__loss": ["huber", "squared_error"], "scale": ["passthrough"]}


@pytest.fixture(scope="module")
def one_process():
    return BatchedGridSearchCV(make_pipe(), GRID, cv=3, error_score="raise").fit(X, Y)


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_two_jobs_give_the_numbers_of_one(backend, one_process):
    search = BatchedGridSearchCV(make_pipe(), GRID, cv=3, error_score="raise", n_jobs=2)
    with joblib.parallel_config(backend=backend):
        search.fit(X, Y)
    check_same(search, one_process)
    check_counts(search, 12)
    np.testing.assert_array_equal(search.predict(X), one_process.predict(X))


def test_foreign_estimators_and_nets_share_the_processes():
    grid = {"net": [make_net(), Ridge(), make_net(lr=0.1)]}
    search = BatchedGridSearchCV(make_pipe(), grid, cv=2, error_score="raise", n_jobs=2).fit(X, Y)
    check_same(search, BatchedGridSearchCV(make_pipe(), grid, cv=2, error_score="raise").fit(X, Y))
    check_counts(search, 6, n_stacked=4)


@pytest.mark.parametrize("n_lists", [1, 2, 3, 5, 20])
def test_lists_are_balanced_and_hold_each_fit_once(n_lists):
    groups = [Group(fits=[(g, i) for i in range(n)]) for g, n in enumerate([4, 1, 6, 1])]
    lists = _divide(groups, n_lists)
    held = [fit for parts in lists for _, part in parts for fit in part]
    assert held == [fit for group in groups for fit in group.fits]
    assert len(lists) <= n_lists
    assert max(sum(len(part) for _, part in parts) for parts in lists) == -(-12 // n_lists)
    assert all(fit[0] == groups.index(group) for parts in lists for group, part in parts for fit in part)


@both_searches
def test_without_verbose_nothing_is_shown(make_search, capfd):
    params = {"n_iter": 3} if "Randomized" in make_search.__name__ else {}
    make_search(make_net(), LRS, cv=2, **params).fit(X, Y)
    assert capfd.readouterr() == ("", "")


def test_verbose_shows_a_bar_and_prints_the_reasons_for_sequential_fits(capfd):
    BatchedGridSearchCV(make_pipe(), {"net": [make_net(), Ridge()]}, cv=2, verbose=1).fit(X, Y)
    shown, bar = capfd.readouterr()
    first, last = shown.strip().splitlines()
    assert first == "Fitting 2 folds for each of 2 candidates, totalling 4 fits"
    assert re.match(r"\d fits in stacks, \d sequential: .*2 because Ridge is not an estimator of skmulti", last)
    assert "4/4" in bar


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite:UserWarning")
def test_the_bar_counts_fits_that_failed(capfd):
    grid = {"scale": [StandardScaler(), PCA(99)], "net__max_epochs": [-1, 2]}
    with pytest.warns(FitFailedWarning):
        BatchedGridSearchCV(make_pipe(), grid, cv=2, verbose=1).fit(X, Y)
    assert "8/8" in capfd.readouterr().err


def test_the_bar_counts_fits_of_other_processes(capfd):
    BatchedGridSearchCV(make_net(), LRS, cv=2, verbose=1, n_jobs=2).fit(X, Y)
    assert "6/6" in capfd.readouterr().err


@pytest.mark.parametrize("return_train_score", [True, False])
def test_more_verbose_shows_the_lines_of_scikit_learn(capfd, return_train_score):
    BatchedGridSearchCV(make_net(), LRS, cv=2, verbose=3, return_train_score=return_train_score).fit(X, Y)
    shown = capfd.readouterr().out
    score = r"score=\(train=-?[\d.]+, test=-?[\d.]+\)" if return_train_score else r"score=-?[\d.]+"
    assert len(re.findall(rf"\[CV \d/2\] END .*lr=[\d.]+;, {score} total time=", shown)) == 6


def prepared_fits(candidates=({"lr": 0.01}, {"lr": 0.1})):
    prepared = Prepared(make_net(), {}, Workers(None, "2*n_jobs", 0, None), Interrupts())
    two_halves = [(np.arange(20), np.arange(20, 40)), (np.arange(20, 40), np.arange(20))]
    splits = prepared.plan(list(candidates), SimpleNamespace(split=lambda X, y: iter(two_halves)))
    splits.split(X, Y)
    return prepared


def test_an_unplanned_fit_is_run_at_once():
    prepared = prepared_fits()
    other = prepared.estimator.__sklearn_clone__().set_params(lr=0.5)
    assert other.fit(X[:20], Y[:20]) is other
    np.testing.assert_array_equal(other.predict(X), make_net(lr=0.5).fit(X[:20], Y[:20]).predict(X))
    shorter = prepared.estimator.__sklearn_clone__().set_params(lr=0.01).fit(X[:10], Y[:10])
    np.testing.assert_array_equal(shorter.predict(X), make_net(lr=0.01).fit(X[:10], Y[:10]).predict(X))
    prepared.estimator.__sklearn_clone__().set_params(lr=0.1).fit(X[:20], Y[:20])
    assert prepared.reasons()["scikit-learn requested a fit that was not planned"] == 2


def test_after_the_last_fit_clones_are_ordinary():
    prepared = prepared_fits()
    for _ in range(4):
        prepared.estimator.__sklearn_clone__()
    assert prepared.estimator.__sklearn_clone__().get_params() == make_net().get_params()


def test_a_splitter_is_called_once_with_its_metadata():
    asked = []
    splits = KnownSplits(SimpleNamespace(split=lambda X, y, **params: asked.append(params) or iter([(1, 2)])))
    assert list(splits.split(X, Y, groups=3)) == list(splits.split(X, Y)) == [(1, 2)]
    assert asked == [{"groups": 3}]


def test_a_fit_is_planned_with_its_own_copy_of_the_parameters():
    net = make_net()
    data = Data(X, Y, [(np.arange(20), np.arange(20)), (np.arange(30), np.arange(20))], {})
    fits = plan_fits(make_pipe(), [{"net": net}, {"net__lr": 0.5}], data)
    assert [(fit.split, fit.n_rows) for fit in fits] == [(0, 20), (1, 30)] * 2
    assert len({id(fit.place.net_of(fit.estimator)) for fit in fits} | {id(net)}) == 5
    assert {fit.place for fit in fits} == {Place(("net",))}


class Marks(Callback):
    """Writes a mark to stderr after each epoch of each member, and slows training down."""

    def on_epoch_end(self, net, **kwargs):
        time.sleep(0.004)
        os.write(2, b"*")


def shown_beside_bar(capfd):
    """Return the percentages of the bar in order, each with the number of marks before it."""
    parts = re.split(r"(\d+)%\|", capfd.readouterr().err)
    n_marks = itertools.accumulate(part.count("*") for part in parts[::2])
    return list(zip(map(int, parts[1::2]), n_marks, strict=False))


def make_marked(**params):
    return MultiOutputMLPRegressor(
        **{"effort": "fast", "max_epochs": 10, "callbacks": [Marks()], "random_state": 0, **params}
    )


@pytest.mark.parametrize("params", [{}, {"training_loop": "skorch", "max_epochs": 5}], ids=["stacked", "sequential"])
def test_the_bar_of_ensembles_moves_with_their_members_and_is_full_at_the_end_only(params, capfd):
    net, grid = make_marked(**params), {"lr": [0.01, 0.02]}
    search = BatchedGridSearchCV(net, grid, cv=2, refit=False, verbose=1).fit(X, Y)
    assert search.n_stacked_fits_ == (0 if params else 4)
    shown = shown_beside_bar(capfd)
    percents = [percent for percent, _ in shown]
    assert percents == sorted(percents)
    assert (percents[0], percents[-1]) == (0, 100)
    n_epochs = 4 * 6 * net.max_epochs
    assert all(n == n_epochs for percent, n in shown if percent == 100)
    # The shown percentage lags behind: a bar is redrawn only at intervals.
    assert len(set(percents)) > 6
    assert all(abs(percent - 100 * n / n_epochs) < 30 for percent, n in shown)


def test_the_bar_moves_with_the_members_of_other_processes(capfd):
    grid = {"lr": [0.01, 0.02]}
    BatchedGridSearchCV(make_marked(), grid, cv=2, refit=False, verbose=1, n_jobs=2).fit(X, Y)
    # Existing worker processes keep their earlier stderr.
    percents = [percent for percent, _ in shown_beside_bar(capfd)]
    assert percents == sorted(percents)
    assert (percents[0], percents[-1]) == (0, 100)
    assert len(set(percents)) > 3


def test_a_bar_is_full_although_other_machines_cannot_count(tmp_path, capfd):
    with counted_fits(3, verbose=True, shared=True, interrupts=Interrupts()) as count:
        type(count)(str(tmp_path / "elsewhere" / "finished"))(2)
        count(Fraction(1, 2))
    assert "3/3" in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_bar_of_parts_of_fits_rounds_down(capfd):
    with counted_fits(3, verbose=True, shared=False, interrupts=Interrupts()) as count:
        for amount in (Fraction(1, 3), 1, Fraction(1, 2), Fraction(7, 6) - Fraction(1, 10**6)):
            count(amount)
        time.sleep(0.15)
        count(Fraction(1, 10**7))
        assert capfd.readouterr().err.rpartition("\r")[2].startswith("Training:  99%|")
        count(Fraction(9, 10**7))
    assert "Training: 100%|" in (last := capfd.readouterr().err.rpartition("\r")[2])
    assert "3/3" in last
