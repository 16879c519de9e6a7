"""A warning of ours points at the line of the user's call, whatever stands between that line and the cause."""

import inspect
import re
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skmulti
from skmulti import MultiOutputMLPRegressor
from skmulti._checks import warn
from skmulti.metrics import circular_error
from skmulti.model_selection import BatchedGridSearchCV

RADIANS = "look like radians"


def radians():
    X = np.random.default_rng(0).normal(size=(60, 2))
    return X, np.arctan2(X[:, 1], X[:, 0]) % (2 * np.pi)


def make_net(**params):
    return MultiOutputMLPRegressor(loss="circular", **{"effort": None, "max_epochs": 1, "random_state": 0, **params})


def places(call, text):
    """Return the file and line of each warning of a call that holds a text."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    found = [(warning.filename, warning.lineno) for warning in caught if text in str(warning.message)]
    assert found
    return set(found)


def body_of(call):
    return {(__file__, inspect.getsourcelines(call)[1] + 1)}


@pytest.mark.parametrize("params", [{"effort": "default", "n_members": 2}, {}, {"training_loop": "skorch"}], ids=str)
def test_fit_warns_at_the_line_that_calls_it(params):

    def call():
        make_net(**params).fit(*radians())

    assert places(call, RADIANS) == body_of(call)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda net: make_pipeline(StandardScaler(), net),
        lambda net: GridSearchCV(net, {"lr": [1e-3]}, cv=2),
        lambda net: BatchedGridSearchCV(net, {"lr": [1e-3, 1e-2]}, cv=2),
    ],
    ids=["pipeline", "GridSearchCV", "BatchedGridSearchCV"],
)
def test_a_net_inside_another_estimator_warns_at_the_line_that_fits_that(wrap):

    def call():
        wrap(make_net()).fit(*radians())

    assert places(call, RADIANS) == body_of(call)


def test_cross_validation_warns_at_the_line_that_calls_it():
    X, y = radians()

    def call():
        cross_val_score(make_net(), X, y, cv=2)

    assert places(call, RADIANS) == body_of(call)


def test_one_net_per_column_warns_at_the_line_that_fits_them():
    X, y = radians()

    def call():
        MultiOutputRegressor(make_net()).fit(X, y[:, None])

    assert places(call, RADIANS) == body_of(call)


def test_metrics_warn_at_the_line_that_calls_them():
    missing = np.full((3, 1), np.nan)

    def call():
        circular_error(missing, np.zeros((3, 1)))

    assert places(call, "is undefined") == body_of(call)


def test_a_fit_in_a_thread_of_a_pool_still_warns():
    with ThreadPoolExecutor(1) as pool:
        assert places(lambda: pool.submit(make_net().fit, *radians()).result(), RADIANS)


def test_the_same_line_warns_once_under_the_filters_of_python():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            warn("The units look wrong.")
    assert len(caught) == 1


def test_no_module_warns_at_a_line_of_its_own():
    sources = Path(skmulti.__file__).parent.rglob("*.py")
    direct = [
        path.name for path in sources if re.search(r"^\s*warnings\.warn\(", path.read_text("utf-8"), re.MULTILINE)
    ]
    assert direct == [], "use skmulti._warnings.warn"
