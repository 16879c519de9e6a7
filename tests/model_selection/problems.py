"""Small data, small nets, and both searches under one name."""

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV, ParameterGrid, RandomizedSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skmulti import MultiOutputMLPRegressor
from skmulti.model_selection import BatchedGridSearchCV, BatchedRandomizedSearchCV

# Whether stacked fits are counted; False for an engine that trains all networks sequentially.
STACKS = True

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
Y = X @ [[1.0, 0.0], [0.0, 9.0], [1.0, 1.0]] + [0, 50]
X_FRAME = pd.DataFrame(X, columns=["width", "height", "depth"])
Y_FRAME = pd.DataFrame(Y, columns=["angle", "distance"])
LRS = {"lr": [1e-3, 1e-2, 1e-1]}

both_searches = pytest.mark.parametrize("make_search", [BatchedGridSearchCV, BatchedRandomizedSearchCV])


def make_net(cls=MultiOutputMLPRegressor, **params):
    return cls(**{"effort": None, "hidden_layer_sizes": (5,), "max_epochs": 3, "lr": 0.01, "random_state": 0, **params})


def make_pipe(net=None, **params):
    return Pipeline([("scale", StandardScaler()), ("net", make_net(**params) if net is None else net)])


def search_over(make_search, estimator, params, **options):
    """Return a search over all of a grid, of either kind."""
    if issubclass(make_search, RandomizedSearchCV):
        options = {"n_iter": len(ParameterGrid(params)), "random_state": 0, **options}
    return make_search(estimator, params, **{"cv": 2, "error_score": "raise", **options})


def theirs(search):
    """Return scikit-learn's own search with the same parameters."""
    cls = GridSearchCV if isinstance(search, GridSearchCV) else RandomizedSearchCV
    params = {name: value for name, value in search.get_params(deep=False).items() if name != "working_memory"}
    return cls(**params)


def without_times(results):
    return {name: value for name, value in results.items() if not name.endswith("_time")}


def check_same(found, expected):
    """Check that two searches have the same results, but for the last digits and the times."""
    assert list(found.cv_results_) == list(expected.cv_results_)
    for name, value in without_times(expected.cv_results_).items():
        own = found.cv_results_[name]
        if name == "params":
            assert [sorted(map(str, params.items())) for params in own] == [
                sorted(map(str, params.items())) for params in value
            ]
        elif name.startswith("param_"):
            assert own.dtype == value.dtype
            np.testing.assert_array_equal(own.mask, value.mask)
            assert list(map(str, own.data[~own.mask])) == list(map(str, value.data[~value.mask]))
        else:
            assert own.dtype == value.dtype
            np.testing.assert_allclose(own, value, atol=1e-3, err_msg=name)
    assert found.n_splits_ == expected.n_splits_
    assert found.multimetric_ == expected.multimetric_
    assert hasattr(found, "best_index_") == hasattr(expected, "best_index_")
    if hasattr(expected, "best_index_"):
        assert found.best_index_ == expected.best_index_
        assert str(found.best_params_) == str(expected.best_params_)


def check_counts(search, n_fits, *, n_stacked=None):
    """Check that each fit is counted once; n_stacked of them in stacks, by default all."""
    assert search.n_stacked_fits_ + sum(search.sequential_fits_.values()) == n_fits
    assert all(reason and n > 0 for reason, n in search.sequential_fits_.items())
    if STACKS or n_stacked == 0:
        assert search.n_stacked_fits_ == (n_fits if n_stacked is None else n_stacked)
