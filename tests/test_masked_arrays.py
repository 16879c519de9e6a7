"""Masked values are missing values in inputs, targets, metrics and intervals."""

import re

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score

from skmulti import MultiOutputMLPRegressor
from skmulti.losses import COLUMN_LOSSES
from skmulti.metrics import average_relative_rmse, circular_error, circular_score, column_scorers
from skmulti.model_selection import BatchedGridSearchCV
from skmulti.prediction import SplitConformalRegressor

# The value under a mask, which must not affect any result.
UNDER = -9e9


def draw(n=120):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 4))
    return X, X[:, :2] + X[:, 2:] ** 2


def masked(values, where):
    """Return values with a mask, and the same with NaN in its place."""
    mask = np.zeros(values.shape, bool)
    mask[where] = True
    return np.ma.array(np.where(mask, UNDER, values), mask=mask), np.where(mask, np.nan, values)


SOME_X, SOME_Y = np.s_[::7, 1], np.s_[::5, 0]


def default(**params):
    return MultiOutputMLPRegressor(n_members=2, max_epochs=2, random_state=0, **params)


def plain(**params):
    return MultiOutputMLPRegressor(effort=None, max_epochs=2, random_state=0, **params)


@pytest.mark.parametrize("make", [default, plain], ids=["default", "plain"])
def test_masked_targets_are_missing_targets(make):
    X, y = draw()
    y_masked, y_nan = masked(y, SOME_Y)
    net = make(missing_targets="mask")
    ours = net.fit(X, y_masked).predict(X)
    np.testing.assert_array_equal(ours, net.fit(X, y_nan).predict(X))
    assert net.score(X, y_masked) == net.score(X, y_nan)
    np.testing.assert_array_equal(net.residuals(X, y_masked), net.residuals(X, y_nan))


@pytest.mark.parametrize("make", [default, plain], ids=["default", "plain"])
def test_masked_targets_are_refused_where_missing_targets_are(make):
    X, y = draw()
    message = (
        "Input y contains NaN: 'y0' has 24. It must be finite throughout. "
        "Use missing_targets='mask' to leave missing targets out of the loss."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        make().fit(X, masked(y, SOME_Y)[0])


def test_masked_inputs_are_imputed():
    X, y = draw()
    X_masked, X_nan = masked(X, SOME_X)
    net = default().fit(X_masked, y)
    expected = default().fit(X_nan, y).predict(X_nan)
    np.testing.assert_array_equal(net.predict(X_masked), expected)
    np.testing.assert_array_equal(net.predict(X_nan), expected)


def test_masked_inputs_are_refused_where_missing_inputs_are():
    X, y = draw()
    X_masked = masked(X, SOME_X)[0]
    with pytest.raises(ValueError, match=r"Input X contains NaN: column 1 has 18\. .* Use missing_inputs='impute'"):
        plain().fit(X_masked, y)
    net = plain().fit(X, y)
    with pytest.raises(ValueError, match="Input X contains NaN: column 1 has 18"):
        net.predict(X_masked)


def test_masked_validation_targets_are_missing_targets():
    X, y = draw()
    (y_masked, y_nan), (X_masked, X_nan) = masked(y, SOME_Y), masked(X, SOME_X)
    net = default(missing_targets="mask")
    ours = net.fit(X, y, X_val=X_masked, y_val=y_masked).history_[:, "valid_loss"]
    assert ours == net.fit(X, y, X_val=X_nan, y_val=y_nan).history_[:, "valid_loss"]


def test_masked_weights_are_refused():
    X, y = draw()
    weight = masked(np.ones(len(X)), np.s_[:3])[0]
    with pytest.raises(ValueError, match="Input sample_weight contains NaN: 'sample_weight' has 3"):
        plain().fit(X, y, sample_weight=weight)
    net = plain().fit(X, y)
    with pytest.raises(ValueError, match="Input sample_weight contains NaN: 'sample_weight' has 3"):
        net.score(X, y, sample_weight=weight)


@pytest.mark.parametrize("mask", [np.ma.nomask, np.zeros((120, 2), bool)], ids=["no mask", "nothing masked"])
def test_an_array_without_masked_values_is_an_ordinary_one(mask):
    X, y = draw()
    y_masked = np.ma.array(y, mask=mask)
    ours = default().fit(np.ma.array(X), y_masked, sample_weight=np.ma.array(np.ones(120)))
    np.testing.assert_array_equal(ours.predict(np.ma.array(X)), default().fit(X, y).predict(X))


def test_masked_integers_become_floats():
    X, _ = draw()
    y = np.arange(240).reshape(120, 2) % 7
    y_masked = np.ma.array(np.where(y == 3, -999, y), mask=y == 3)
    net = default(missing_targets="mask")
    np.testing.assert_array_equal(net.fit(X, y_masked).predict(X), net.fit(X, np.where(y == 3, np.nan, y)).predict(X))


def test_lists_of_masked_rows_keep_their_masks():
    X, y = draw()
    y_masked, y_nan = masked(y, SOME_Y)
    net = plain(missing_targets="mask")
    np.testing.assert_array_equal(net.fit(X, list(y_masked)).predict(X), net.fit(X, y_nan).predict(X))


def test_masked_strings_are_missing_numbers():
    X, y = draw()
    words = np.ma.array(y.astype(str), mask=np.zeros(y.shape, bool))
    words[3, 0] = np.ma.masked
    net = plain(missing_targets="mask")
    y[3, 0] = np.nan
    np.testing.assert_array_equal(net.fit(X, words).predict(X), net.fit(X, y).predict(X))


@pytest.mark.parametrize("loss", ["circular", "poisson", "huber", "gaussian_nll"])
def test_masked_targets_do_not_affect_losses(loss):
    X, y = draw()
    y_masked, y_nan = masked(np.abs(y), SOME_Y)
    assert loss in COLUMN_LOSSES
    net = plain(loss={0: loss}, missing_targets="mask")
    np.testing.assert_array_equal(net.fit(X, y_masked).predict(X), net.fit(X, y_nan).predict(X))


def test_searches_keep_the_mask():
    X, y = draw()
    y_masked, y_nan = masked(y, SOME_Y)
    net, grid = plain(missing_targets="mask"), {"lr": [1e-3, 1e-2]}
    for search in (GridSearchCV, BatchedGridSearchCV):
        ours, theirs = (search(net, grid, cv=3).fit(X, targets) for targets in (y_masked, y_nan))
        np.testing.assert_array_equal(ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"])
    scorer = column_scorers(["y0", "y1"])["y0_r2"]
    ours, theirs = (cross_val_score(net, X, targets, cv=3, scoring=scorer) for targets in (y_masked, y_nan))
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    "metric",
    [circular_error, circular_score, lambda *args, **kwargs: average_relative_rmse(*args, baseline="test", **kwargs)],
)
def test_metrics_skip_masked_targets(metric):
    _, y = draw()
    y_masked, y_nan = masked(y, SOME_Y)
    assert metric(y_masked, y + 0.1) == metric(y_nan, y + 0.1)
    with pytest.raises(ValueError, match="Input y_pred contains NaN"):
        metric(y, y_masked)
    with pytest.raises(ValueError, match="Input sample_weight contains NaN"):
        metric(y, y, sample_weight=masked(np.ones(120), np.s_[:3])[0])


def test_conformal_intervals_skip_masked_targets():
    X, y = draw()

    class Blind(LinearRegression):
        """A regressor that ignores missing targets."""

        def fit(self, X, y):
            return super().fit(X, np.nan_to_num(np.ma.filled(y, 0.0)))

    y_masked, y_nan = masked(y, SOME_Y)
    ours, theirs = (
        SplitConformalRegressor(Blind(), random_state=0).fit(X, targets) for targets in (y_masked, np.nan_to_num(y_nan))
    )
    assert ours.n_calibration_[0] < ours.n_calibration_[1] == theirs.n_calibration_[1]
    assert ours.half_widths_.max() < 100
    assert r2_score(y[:, 1], ours.predict(X)[:, 1]) == r2_score(y[:, 1], theirs.predict(X)[:, 1])
