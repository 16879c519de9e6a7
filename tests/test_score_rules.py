"""A score is a number, whatever the targets: constant angles, rotations near half a turn."""

import importlib.util
import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from sklearn.exceptions import UndefinedMetricWarning

from skmulti import MultiOutputMLPRegressor
from skmulti.losses import Circular, VonMisesNLL
from skmulti.metrics import circular_score

needs_roma = pytest.mark.skipif(importlib.util.find_spec("roma") is None, reason="roma is not installed")


def draw(n=80):
    return np.random.default_rng(0).normal(size=(n, 3))


@pytest.mark.parametrize("period", [360.0, 2 * math.pi, 24.0])
def test_a_constant_angle_scores_as_r2_does(period):
    same = np.full(10, 0.3 * period)
    assert circular_score(same, same, period=period) == 1.0
    assert circular_score(same, same + period, period=period) == 1.0
    assert circular_score(same, same + 0.01 * period, period=period) == 0.0


def test_a_constant_angle_counts_in_the_mean():
    y = np.stack([np.full(8, 30.0), np.arange(8) * 20.0], axis=1)
    np.testing.assert_array_equal(circular_score(y, y, multioutput="raw_values"), [1.0, 1.0])
    assert circular_score(y, y + [1, 0]) == 0.5


@pytest.mark.parametrize("loss", [Circular(), VonMisesNLL()], ids=["circular", "von_mises_nll"])
def test_a_net_with_a_constant_angle_has_a_score(loss):
    X = draw()
    y = np.stack([np.full(len(X), 90.0), X[:, 0]], axis=1)
    net = MultiOutputMLPRegressor(loss={0: loss}, n_members=2, max_epochs=5, random_state=0).fit(X, y)
    assert -1 < net.score(X, y) <= 1


def rotations(X, angle):
    axis = np.stack([np.ones(len(X)), 0.3 * X[:, 0], 0.3 * X[:, 1]], axis=1)
    return Rotation.from_rotvec(angle * axis / np.linalg.norm(axis, axis=1, keepdims=True))


FORMS = {
    "quaternion": lambda r: r.as_quat(),
    "vector": lambda r: r.as_rotvec(),
    "matrix": lambda r: r.as_matrix().reshape(-1, 9),
}


@needs_roma
@pytest.mark.parametrize("angle", [math.pi, math.pi - 1e-6, math.pi - 1e-3, 3.0, 0.5])
@pytest.mark.parametrize("form", FORMS)
def test_rotations_score_the_same_in_every_form(form, angle):
    X = draw()
    r = rotations(X, angle)
    settings = {"loss": "rotation", "effort": None, "lr": 5e-3, "max_epochs": 60, "random_state": 0}
    score = MultiOutputMLPRegressor(**settings).fit(X, FORMS[form](r)).score(X, FORMS[form](r))
    expected = MultiOutputMLPRegressor(**settings).fit(X, FORMS["matrix"](r)).score(X, FORMS["matrix"](r))
    assert 0.9 < score <= 1
    assert score == pytest.approx(expected, abs=0.02)


@needs_roma
def test_a_quaternion_and_its_opposite_score_alike():
    X = draw()
    y = rotations(X, math.pi - 1e-6).as_quat()
    net = MultiOutputMLPRegressor(loss="rotation", n_members=2, max_epochs=10, random_state=0).fit(X, y)
    signs = np.where(np.arange(len(X)) % 2, 1, -1)[:, None]
    assert net.score(X, signs * y) == pytest.approx(net.score(X, y), abs=1e-9)
    weight = np.linspace(1, 2, len(X))
    assert net.score(X, y, sample_weight=weight) == pytest.approx(net.score(X, y), abs=0.1)


@needs_roma
def test_constant_rotations_score_zero_unless_exact():
    X = draw()
    y = np.tile(Rotation.from_rotvec([0.1, 0.2, 0.3]).as_quat(), (len(X), 1))
    net = MultiOutputMLPRegressor(loss="rotation", effort=None, max_epochs=2, random_state=0).fit(X, y)
    assert net.score(X, y) == 0.0
    with_hole = y.copy()
    with_hole[:, 0] = np.nan
    with pytest.warns(UndefinedMetricWarning, match="score is NaN"):
        assert np.isnan(net.score(X, with_hole))
