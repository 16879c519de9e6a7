"""The one prediction that stands for those of several nets: an arithmetic mean, or one on the circle or sphere."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation as Turn
from torch.testing import assert_close

from skmulti.losses import Circular, IoU, Quantile, Rotation, UnitVector, VonMisesNLL
from tests.losses.every_loss import EVERY_EXAMPLE, batch

each_example = pytest.mark.parametrize("example", EVERY_EXAMPLE, ids=lambda example: example.name)
properties = settings(deadline=None, max_examples=40)
FORMS = {3: Turn.as_rotvec, 4: Turn.as_quat, 9: lambda r: r.as_matrix().reshape(-1, 9)}
READ = {3: Turn.from_rotvec, 4: Turn.from_quat, 9: lambda y: Turn.from_matrix(np.reshape(y, (-1, 3, 3)))}
each_form = pytest.mark.parametrize("n_columns", FORMS)


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


def rotation_loss(n_columns):
    return Rotation(columns=n_columns)


@each_example
def test_equal_predictions_have_themselves_as_their_mean(example):
    loss = example.fitted()
    raw, _ = batch([example], 30)
    y_pred = loss.predict(raw).double()
    mean = loss.mean_prediction(y_pred.expand(4, *y_pred.shape))
    assert mean.shape == y_pred.shape
    assert_close(mean, y_pred, rtol=1e-9, atol=1e-9)


@each_example
def test_the_order_of_the_members_and_leading_dimensions_make_no_difference(example):
    loss = example.fitted()
    raw, _ = batch([example], 30)
    members = loss.predict(raw).double().unflatten(0, (5, 6))
    mean = loss.mean_prediction(members)
    assert_close(loss.mean_prediction(members.flip(0)), mean, rtol=1e-9, atol=1e-9)
    apart = members.unflatten(1, (2, 3))
    assert_close(loss.mean_prediction(apart), mean.unflatten(0, (2, 3)), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("cls", [Circular, VonMisesNLL])
@pytest.mark.parametrize(
    ("low", "period", "members", "mean"),
    [
        (0.0, 360.0, [350.0, 20.0], 5.0),
        (-180.0, 360.0, [170.0, -160.0], -175.0),
        (0.0, 24.0, [23.0, 0.5, 0.5, 23.0], 23.75),
        (0.0, 180.0, [178.0, 4.0], 1.0),
        (100.0, 360.0, [101.0, 459.0], 100.0),
        (None, 2 * math.pi, [0.1, 0.2, 0.3], 0.2),
    ],
)
def test_the_mean_of_angles_is_on_the_circle_and_in_the_range_of_predictions(cls, low, period, members, mean):
    found = cls(period=period, low=low).mean_prediction(tensor(members)[:, None, None])
    distance = (found.item() - mean + period / 2) % period - period / 2
    assert distance == pytest.approx(0, abs=1e-9)
    assert (low or 0.0) <= found.item() < (low or 0.0) + period


@properties
@given(st.lists(st.floats(-60, 60), min_size=1, max_size=6), st.floats(-720, 720))
def test_the_mean_of_angles_turns_with_them(angles, turn):
    loss = Circular(low=0.0)
    first = loss.mean_prediction(tensor(angles)[:, None, None]).item()
    turned = loss.mean_prediction(((tensor(angles) + turn) % 360)[:, None, None]).item()
    assert (turned - first - turn + 180) % 360 - 180 == pytest.approx(0, abs=1e-6)


@each_form
def test_the_mean_of_rotations_is_the_chordal_mean_of_scipy(n_columns):
    turns = Turn.random(60, 0)
    members = torch.from_numpy(FORMS[n_columns](turns).reshape(4, 15, n_columns))
    mean = READ[n_columns](rotation_loss(n_columns).mean_prediction(members).numpy())
    for i in range(15):
        # SciPy's mean of rotations is the one that minimises the chordal distances.
        assert (mean[i].inv() * turns[i::15].mean()).magnitude() < 1e-6


@each_form
@properties
@given(seed=st.integers(0, 10**6))
def test_the_mean_of_rotations_turns_with_them(n_columns, seed):
    turns, before, after = Turn.random(3, seed), Turn.random(None, seed + 1), Turn.random(None, seed + 2)
    loss = rotation_loss(n_columns)
    # Near one another: where they are far apart two rotations may be nearly as near to their mean.
    near = Turn.from_rotvec(turns.as_rotvec() / 4)

    def mean(rotations):
        members = torch.from_numpy(FORMS[n_columns](rotations)).unsqueeze(1)
        return READ[n_columns](loss.mean_prediction(members).numpy())[0]

    expected = before * mean(near) * after
    assert (expected.inv() * mean(before * near * after)).magnitude() < 1e-6


def test_the_mean_of_rotations_that_nearly_turn_half_round_is_not_in_between():
    members = tensor([[3.0, 0.0, 0.0], [-3.0, 0.0, 0.0]]).unsqueeze(1)
    mean = rotation_loss(3).mean_prediction(members)
    assert abs(mean[0, 0].item()) == pytest.approx(math.pi, abs=1e-6)


@pytest.mark.parametrize(
    ("y", "y_pred", "expected"),
    [
        ([3.0, 0.0, 0.0], [-3.0, 0.0, 0.0], [6 - 2 * math.pi, 0.0, 0.0]),
        ([0.1, 0.0, 0.0], [-0.1, 0.0, 0.0], [0.2, 0.0, 0.0]),
        ([0.0, 0.0, 0.0], [3.0, 0.0, 0.0], [-3.0, 0.0, 0.0]),
        ([0.0, 0.6, 0.0, -0.8], [0.0, -0.6, 0.0, 0.8], [0.0, 0.0, 0.0, 0.0]),
        ([0.0, 0.6, 0.0, 0.8], [0.0, 0.0, 0.0, 1.0], [0.0, 0.6, 0.0, -0.2]),
        ([1.0, 0, 0, 0, 1, 0, 0, 0, 1], [0.0, 1, 0, 0, 1, 0, 0, 0, 1], [1.0, -1, 0, 0, 0, 0, 0, 0, 0]),
    ],
    ids=str,
)
def test_the_difference_of_two_rotations_takes_the_nearer_form(y, y_pred, expected):
    found = rotation_loss(len(y)).difference(np.array([y]), np.array([y_pred]))
    np.testing.assert_allclose(found, [expected], atol=1e-9)


def test_the_mean_of_directions_has_norm_one_and_opposite_ones_are_no_error():
    loss = UnitVector()
    assert_close(loss.mean_prediction(tensor([[[1.0, 0.0]], [[0.0, 1.0]]])), tensor([[0.5**0.5, 0.5**0.5]]))
    assert loss.mean_prediction(tensor([[[1.0, 0.0]], [[-1.0, 0.0]]])).norm() == pytest.approx(1)


@pytest.mark.parametrize("box_format", ["cxcywh", "xyxy"])
def test_the_mean_box_is_that_of_its_four_numbers_in_either_format(box_format):
    raw = torch.randn(5, 7, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    unit = (3.0, 4.0, 2.0, 1.0)
    centers = IoU("cxcywh", unit).predict(raw)
    mean = IoU(box_format, unit).mean_prediction(IoU(box_format, unit).predict(raw))
    corners = torch.cat([centers[..., :2] - centers[..., 2:] / 2, centers[..., :2] + centers[..., 2:] / 2], dim=-1)
    assert_close(mean, (corners if box_format == "xyxy" else centers).mean(0))


def test_the_mean_of_several_quantiles_is_that_of_their_medians():
    loss = Quantile((0.1, 0.5, 0.9))
    raw = torch.randn(5, 7, 3, generator=torch.Generator().manual_seed(0))
    expected = loss.quantiles(raw, [0.5])[..., 0].mean(0)
    assert_close(loss.mean_prediction(loss.predict(raw)), expected)
