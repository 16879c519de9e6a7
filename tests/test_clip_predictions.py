"""How far predictions reach: limited by default, along the linear model where they are to extrapolate."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skmulti import MultiOutputMLPRegressor
from skmulti.model_selection import BatchedGridSearchCV

RNG = np.random.default_rng(0)
X = RNG.uniform(0, 10, size=(120, 1))
Y = np.column_stack([3 * X[:, 0], -2 * X[:, 0] + RNG.normal(size=120)])
FAR = np.array([[12.0], [15.0], [20.0], [40.0]])


def default(**params):
    return MultiOutputMLPRegressor(**{"random_state": 0, "max_epochs": 20, "n_members": 6, **params})


def test_predictions_are_limited_to_a_tenth_of_the_range_by_default():
    net = default().fit(X, Y)
    assert net.settings_["clip_predictions"] is True
    margin = 0.1 * np.ptp(Y, axis=0)
    assert (net.predict(FAR) <= Y.max(axis=0) + margin + 1e-4).all()
    assert (net.predict(FAR) >= Y.min(axis=0) - margin - 1e-4).all()
    assert_array_equal(net.predict(FAR), default(clip_predictions=True).fit(X, Y).predict(FAR))
    assert_array_equal(net.predict(FAR), default(clip_predictions=0.1).fit(X, Y).predict(FAR))


def test_without_limits_a_linear_column_goes_on_beyond_what_was_seen():
    net = default(clip_predictions=False).fit(X, Y)
    assert_allclose(net.predict(FAR)[:, 0], 3 * FAR[:, 0], rtol=0.03)
    # Of noise too, where the members have the stacking weights.
    assert_allclose(net.predict(FAR)[:, 1], -2 * FAR[:, 0], rtol=0.1)
    assert_allclose(net.predict(-FAR)[:, 0], -3 * FAR[:, 0], rtol=0.1)


def test_within_what_was_seen_limits_change_nothing():
    inside = np.linspace(X.min() + 0.5, X.max() - 0.5, 30)[:, None]
    limited, free = (default(clip_predictions=clip).fit(X, Y).predict(inside) for clip in (True, False))
    assert_allclose(limited, free, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("margin", [0, 0.0, 1.0, 0.5])
def test_a_number_is_the_margin_as_a_fraction_of_the_range(margin):
    y = 3 * X[:, 0]
    net = default(clip_predictions=margin).fit(X, y)
    assert net.predict(FAR).max() <= y.max() + margin * np.ptp(y) + 1e-3
    if margin < 0.4:
        assert net.predict(FAR).max() == pytest.approx(y.max() + margin * np.ptp(y), abs=1e-3)


def test_a_row_alone_extrapolates_as_among_others():
    net = default(clip_predictions=False).fit(X, Y)
    assert_array_equal(np.concatenate([net.predict(row[None]) for row in FAR]), net.predict(FAR))


def test_a_copy_extrapolates_as_the_original():
    net = default(clip_predictions=False).fit(X, Y)
    assert_array_equal(pickle.loads(pickle.dumps(net)).predict(FAR), net.predict(FAR))


def test_missing_inputs_extrapolate_beside_others():
    table = np.column_stack([X, RNG.normal(size=120)])
    table[::7, 1] = np.nan
    net = default(clip_predictions=False).fit(table, Y)
    far = np.column_stack([FAR, [0.0, np.nan, 0.0, np.nan]])
    assert_allclose(net.predict(far)[:, 0], 3 * FAR[:, 0], rtol=0.2)


def test_a_search_tells_nets_with_limits_from_those_without():
    order = np.argsort(X[:, 0])
    sorted_X, sorted_Y = X[order], Y[order]
    folds = [(np.arange(60), np.arange(60, 120))]
    search = BatchedGridSearchCV(default(n_members=2), {"clip_predictions": [True, False]}, cv=folds)
    limited, free = search.fit(sorted_X, sorted_Y).cv_results_["mean_test_score"]
    alone = default(n_members=2, clip_predictions=False).fit(sorted_X[:60], sorted_Y[:60])
    assert free == pytest.approx(alone.score(sorted_X[60:], sorted_Y[60:]), abs=1e-3)
    assert free > limited + 1


@pytest.mark.parametrize("params", [{"effort": None}, {"linear_path": False}, {"n_members": 1}])
@pytest.mark.parametrize("value", [True, 0.5])
def test_limits_without_a_linear_path_are_refused(params, value):
    with pytest.raises(ValueError, match="The 'clip_predictions' parameter must be False or 'auto' without"):
        default(**{"n_members": "auto", **params, "clip_predictions": value}).fit(X, Y)


@pytest.mark.parametrize("params", [{"effort": None}, {"linear_path": False}, {"n_members": 1}])
def test_a_net_without_a_linear_path_has_no_limits_to_tell(params):
    net = default(**{"n_members": "auto", **params}).fit(X, Y)
    assert net.settings_["clip_predictions"] is False


@pytest.mark.parametrize("value", [-0.1, "yes", None])
def test_what_is_no_margin_is_refused(value):
    with pytest.raises(ValueError, match="The 'clip_predictions' parameter"):
        default(clip_predictions=value).fit(X, Y)
