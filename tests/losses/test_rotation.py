"""Rotations, against roma and SciPy: the angle between two of them, and their forms."""

import math
import re
import sys

import numpy as np
import pytest
import roma
import torch
from scipy.spatial.transform import Rotation as Turn
from torch.testing import assert_close

from skmulti import MultiOutputMLPRegressor
from skmulti.losses import Rotation

FORMS = {3: Turn.as_rotvec, 4: Turn.as_quat, 9: lambda r: r.as_matrix().reshape(-1, 9)}
READ = {3: Turn.from_rotvec, 4: Turn.from_quat, 9: lambda y: Turn.from_matrix(np.reshape(y, (-1, 3, 3)))}
each_form = pytest.mark.parametrize("n_columns", FORMS)
each_representation = pytest.mark.parametrize("representation", ["6d", "9d"])


def targets(rotations, n_columns):
    return torch.from_numpy(FORMS[n_columns](rotations))


def loss_of(representation, n_columns):
    names = tuple(f"r{i}" for i in range(n_columns))
    return Rotation(representation).adapt_to(FORMS[n_columns](Turn.random(5, 0)), names)


def perfect_raw(rotations, representation):
    """Return raw outputs that are read as the given rotations: columns of the matrix, less those of no rotation."""
    n = 2 if representation == "6d" else 3
    return torch.from_numpy((rotations.as_matrix()[:, :, :n] - np.eye(3)[:, :n]).reshape(len(rotations), -1))


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@each_form
@each_representation
def test_rows_cost_the_angle_between_the_rotations_of_scipy(representation, n_columns):
    p, t = Turn.random(200, 1), Turn.random(200, 2)
    ours = loss_of(representation, n_columns).row_loss(perfect_raw(p, representation), targets(t, n_columns))
    np.testing.assert_allclose(ours, (p.inv() * t).magnitude(), rtol=1e-9, atol=1e-9)
    theirs = roma.rotmat_geodesic_distance(torch.from_numpy(p.as_matrix()), torch.from_numpy(t.as_matrix()))
    assert_close(ours, theirs, rtol=1e-6, atol=1e-6)


@each_form
@each_representation
def test_any_raw_outputs_are_read_as_a_rotation_and_cost_its_angle(representation, n_columns):
    loss, raw = loss_of(representation, n_columns), normal(100, int(representation[0])) * 3
    t = Turn.random(100, 3)
    read = READ[n_columns](loss.predict(raw).numpy())
    np.testing.assert_allclose(loss.row_loss(raw, targets(t, n_columns)), (read.inv() * t).magnitude(), atol=1e-6)
    if n_columns == 9:
        matrix = loss.predict(raw).unflatten(-1, (3, 3))
        assert roma.is_rotation_matrix(matrix, epsilon=1e-6)
    if n_columns == 4:
        assert_close(loss.predict(raw).norm(dim=1), torch.ones(100, dtype=torch.float64))
        assert (loss.predict(raw)[:, 3] >= 0).all()
    if n_columns == 3:
        assert (loss.predict(raw).norm(dim=1) <= math.pi + 1e-9).all()


@each_form
@each_representation
def test_a_perfect_prediction_is_read_back_and_costs_nothing(representation, n_columns):
    t = Turn.random(100, 4)
    loss, raw = loss_of(representation, n_columns), perfect_raw(t, representation)
    read = READ[n_columns](loss.predict(raw).numpy())
    np.testing.assert_allclose((read.inv() * t).magnitude(), 0, atol=1e-7)
    np.testing.assert_allclose(loss.row_loss(raw, targets(t, n_columns)), 0, atol=1e-7)


@each_representation
def test_raw_zeros_are_no_rotation_at_all(representation):
    loss = loss_of(representation, 3)
    assert_close(loss.predict(torch.zeros(2, loss.n_raw(3))), torch.zeros(2, 3))
    assert loss.n_raw(3) == int(representation[0])


@each_form
@each_representation
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("angle", [0.0, 1e-12, 1e-6, 1e-3, math.pi - 1e-3, math.pi - 1e-6, math.pi - 1e-12, math.pi])
def test_gradients_are_finite_and_values_right_at_0_and_at_pi(representation, n_columns, dtype, angle):
    axes = np.concatenate([np.eye(3), Turn.random(20, 5).apply([1.0, 0, 0])])
    p = Turn.random(23, 6)
    t = p * Turn.from_rotvec(axes * angle)
    raw = perfect_raw(p, representation).to(dtype).requires_grad_()
    value = loss_of(representation, n_columns).row_loss(raw, targets(t, n_columns).to(dtype))
    value.sum().backward()
    assert value.isfinite().all()
    assert raw.grad.isfinite().all()
    tolerance = 2e-3 if dtype == torch.float32 else 1e-7
    np.testing.assert_allclose(value.detach().numpy(), angle, atol=tolerance)


@each_form
@each_representation
def test_the_edges_of_the_forms_of_targets_are_finite_too(representation, n_columns):
    none_and_half_turns = Turn.from_rotvec(np.array([[0, 0, 0], [np.pi, 0, 0], [0, np.pi, 0], [0, 0, np.pi]], float))
    y = targets(none_and_half_turns, n_columns)
    loss = loss_of(representation, n_columns)
    raw = torch.zeros(4, loss.n_raw(n_columns), dtype=torch.float64, requires_grad=True)
    value = loss.row_loss(raw, y)
    value.sum().backward()
    np.testing.assert_allclose(value.detach(), [0, np.pi, np.pi, np.pi], atol=1e-7)
    assert raw.grad.isfinite().all()


@each_form
@each_representation
def test_gradients_pass_gradcheck(representation, n_columns):
    raw, y = normal(4, int(representation[0])).requires_grad_(), targets(Turn.random(4, 7), n_columns)
    assert torch.autograd.gradcheck(lambda raw: loss_of(representation, n_columns).row_loss(raw, y), raw)


def test_targets_that_mean_the_same_rotation_cost_the_same():
    t, raw = Turn.random(50, 8), normal(50, 6)
    of_vector, of_quaternion = loss_of("6d", 3), loss_of("6d", 4)
    vector = t.as_rotvec()
    longer = vector * (1 + 2 * np.pi / np.linalg.norm(vector, axis=1, keepdims=True))
    expected = of_vector.row_loss(raw, torch.from_numpy(vector))
    assert_close(of_vector.row_loss(raw, torch.from_numpy(longer)), expected)
    for factor in (-1.0, 0.01, 300.0):
        assert_close(of_quaternion.row_loss(raw, torch.from_numpy(factor * t.as_quat())), expected)


@each_representation
def test_the_length_of_the_raw_form_makes_no_difference(representation):
    loss, form = loss_of(representation, 9), perfect_raw(Turn.random(20, 9), representation)
    unit = torch.eye(3, int(representation[0]) // 3, dtype=torch.float64).flatten()
    expected = loss.predict(form)
    for size in (1e-3, 1e3, 1e12, 1e100):
        assert_close(loss.predict((form + unit) * size - unit), expected, rtol=1e-6, atol=1e-6)


def refused(n_columns, y, counts):
    names = tuple(f"r{i}" for i in range(n_columns))
    which = ", ".join(map(repr, names))
    message = (
        f"The loss 'rotation' requires rotations as targets. Columns {which} have {counts} rows that are not a "
        "rotation, the first: "
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        Rotation().adapt_to(y, names)


def test_targets_that_are_not_rotations_are_refused():
    quaternions = Turn.random(5, 0).as_quat()
    quaternions[[1, 3]] = 0
    refused(4, quaternions, 2)
    matrices = Turn.random(5, 0).as_matrix()
    matrices[2] *= 1.1
    matrices[3] = -matrices[3]
    matrices[4] = 0
    refused(9, matrices.reshape(-1, 9), 3)


@pytest.mark.parametrize("n_columns", [1, 2, 5, 6])
def test_groups_that_are_no_form_of_a_rotation_are_refused(n_columns):
    names = tuple(f"r{i}" for i in range(n_columns))
    message = (
        "The loss 'rotation' requires a group of columns: 3 (a rotation vector), 4 (a quaternion (x, y, z, w)), "
        f"9 (a matrix, row by row). Got {n_columns}: {names}."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Rotation().adapt_to(np.zeros((3, n_columns)), names)


def test_an_unknown_representation_is_refused():
    message = "The 'representation' parameter of the loss 'rotation' must be one of '6d', '9d'. Got '5d' instead."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Rotation("5d")


def test_without_roma_fit_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "roma", None)
    message = "The loss 'rotation' needs the package roma. Install it with: pip install skmulti[rotation]"
    with pytest.raises(ImportError, match=f"^{re.escape(message)}$"):
        MultiOutputMLPRegressor(effort=None, loss="rotation").fit(np.zeros((4, 2)), Turn.random(4, 0).as_rotvec())
