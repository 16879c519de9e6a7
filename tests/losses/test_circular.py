"""An angle as a point of the plane: 359 degrees and 1 degree are 2 apart."""

import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from skmulti.losses import Circular, MixedLoss, Term

PERIODS = [360.0, 2 * math.pi, 24, 180.0, 1e-3, 1e6]
each_period = pytest.mark.parametrize("period", PERIODS)
angles = st.floats(-1e4, 1e4)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def point(angle, period=360.0, radius=1.0):
    """Return the point in the direction of each angle, by the complex exponential."""
    z = radius * np.exp(2j * np.pi * np.asarray(angle, dtype=float) / period)
    return torch.from_numpy(np.stack([z.real, z.imag], axis=-1))


def loss_between(a, b, **params):
    """Return the loss of the net that emits the point of angle a for the target b."""
    loss = Circular(**params)
    return loss.row_loss(point([a], loss.period), torch.tensor([[b]], dtype=torch.float64)).item()


@each_period
def test_rows_have_the_squared_distance_of_complex_numbers(period):
    raw, y = normal(200, 2) * 3, normal(200, 1, seed=1) * period
    ours = Circular(period=period).row_loss(raw, y)
    z = torch.view_as_complex(raw).numpy() - np.exp(2j * np.pi * y[:, 0].numpy() / period)
    assert_close(ours.numpy(), np.abs(z) ** 2, rtol=1e-10, atol=1e-12)


@each_period
def test_on_the_circle_it_is_two_minus_two_cosines(period):
    for turn in (0.0, 1e-3, 0.1, 0.25, 0.5, 0.75, 0.999):
        expected = 4 * math.sin(math.pi * turn) ** 2
        assert loss_between(0.0, turn * period, period=period) == pytest.approx(expected, rel=1e-9, abs=1e-15)


def test_359_and_1_are_as_far_apart_as_0_and_2():
    assert loss_between(359.0, 1.0) == pytest.approx(loss_between(0.0, 2.0), rel=1e-9)
    assert loss_between(1.0, 359.0) == pytest.approx(loss_between(0.0, 2.0), rel=1e-9)
    assert loss_between(359.0, 1.0) < loss_between(0.0, 3.0)


@settings(deadline=None)
@given(angles, angles, angles)
def test_the_loss_is_invariant_under_rotation_of_both_angles(a, b, turn):
    assert loss_between(a + turn, b + turn) == pytest.approx(loss_between(a, b), abs=1e-9)
    assert loss_between(b, a) == pytest.approx(loss_between(a, b), abs=1e-9)
    assert loss_between(a, b + 360.0) == pytest.approx(loss_between(a, b), abs=1e-9)


@pytest.mark.parametrize("size", [0.0, 1e-30, 1.0, 1e18])
@pytest.mark.parametrize("angle", [0.0, 1e-30, -180.0, 360.0, 1e30])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_gradients_are_finite(size, angle, dtype):
    raw = torch.tensor([[size, -size]], dtype=dtype, requires_grad=True)
    value = Circular().row_loss(raw, torch.tensor([[angle]], dtype=dtype))
    value.sum().backward()
    assert value.isfinite().all()
    assert raw.grad.isfinite().all()
    assert Circular().predict(raw.detach()).isfinite().all()


def test_gradients_pass_gradcheck():
    raw, y = normal(6, 2).requires_grad_(), (normal(6, 1, seed=1) * 90).requires_grad_()
    assert torch.autograd.gradcheck(Circular().row_loss, (raw, y))


@each_period
@pytest.mark.parametrize("radius", [1e-30, 1.0, 1e30])
def test_the_prediction_is_the_angle_of_the_point(period, radius):
    y = np.linspace(0, period, 50, endpoint=False)
    y_pred = Circular(period=period).predict(point(y, period, radius))
    # Zero itself may come back as the last number below the period.
    turn = y_pred[:, 0].numpy() - y
    assert_close(np.abs((turn + period / 2) % period - period / 2), np.zeros(50), rtol=0, atol=1e-12 * period)
    assert_close(y_pred[1:, 0].numpy(), y[1:], rtol=1e-12, atol=0)


@settings(deadline=None)
@given(st.floats(-720, 720), st.sampled_from([1e-3, 1.0, 24.0, 360.0]), st.floats(-1000, 1000))
def test_predictions_lie_from_low_to_below_low_plus_period(angle, period, low):
    for just in (angle, low, np.nextafter(low, -np.inf), np.nextafter(low, np.inf), low + period):
        for dtype in (torch.float32, torch.float64):
            y_pred = Circular(period=period, low=low).predict(point([just], period).to(dtype)).item()
            assert low <= y_pred < low + period


@pytest.mark.parametrize("low", [0.0, -180.0, 90.0])
def test_the_prediction_of_a_point_just_below_low_is_in_the_range(low):
    z = np.exp(1j * np.deg2rad(low))
    for step in (0.0, 1e-17, 1e-30, 1e-300):
        for sign in (1, -1):
            turned = z * (1 + 1j * sign * step)
            raw = torch.tensor([[turned.real, turned.imag]])
            assert low <= Circular(low=low).predict(raw).item() < low + 360
    assert Circular(low=0.0).predict(torch.tensor([[1.0, -1e-30]], dtype=torch.float64)).item() == 0.0


@pytest.mark.parametrize(
    ("targets", "low"),
    [([0.0, 359.0], 0.0), ([10.0, 500.0], 0.0), ([-1.0, 50.0], -180.0), ([-170.0, 170.0], -180.0)],
)
def test_low_follows_the_sign_of_the_training_targets(targets, low):
    fitted = Circular().adapt_to(np.array(targets)[:, None], ("angle",))
    assert fitted == Circular(low=low)


def test_half_the_period_is_the_low_of_radians():
    fitted = Circular(period=2 * math.pi).adapt_to(np.array([[-0.1]]), ("angle",))
    assert fitted.low == -math.pi


def test_a_given_low_stays():
    loss = Circular(low=90.0)
    assert loss.adapt_to(np.array([[-5.0]]), ("angle",)) is loss


def test_any_leading_dimensions_give_the_same_numbers():
    raw, y = normal(5, 3, 4, 2), normal(5, 3, 4, 1, seed=1) * 100
    loss = Circular()
    values, y_pred = loss.row_loss(raw, y), loss.predict(raw)
    assert values.shape == (5, 3, 4)
    assert y_pred.shape == (5, 3, 4, 1)
    assert_close(values.flatten(), loss.row_loss(raw.reshape(-1, 2), y.reshape(-1, 1)), rtol=1e-14, atol=0)
    assert_close(y_pred.reshape(-1, 1), loss.predict(raw.reshape(-1, 2)), rtol=1e-14, atol=0)


def test_an_angle_takes_two_raw_outputs_and_is_never_standardised():
    assert Circular().n_raw(1) == 2
    assert Circular().n_columns == 1
    assert Circular().target_scaling is None
    assert pickle.loads(pickle.dumps(Circular(period=24, low=1.0))) == Circular(period=24, low=1.0)


def test_the_minimum_for_a_uniform_angle_is_one():
    y = torch.arange(360.0, dtype=torch.float64)[:, None]
    assert Circular().row_loss(torch.zeros(360, 2), y).mean().item() == pytest.approx(1.0)


def test_two_circular_terms_are_predicted_from_separate_raw_outputs():
    terms = [Term(name, Circular(low=0.0), (i,), (2 * i, 2 * i + 1)) for i, name in enumerate("ab")]
    y = np.array([[10.0, 200.0], [359.0, 0.5]])
    raw = torch.cat([point(y[:, 0]), point(y[:, 1])], dim=1)
    assert_close(MixedLoss(terms).predict(raw).numpy(), y, rtol=1e-12, atol=1e-12)
    assert_close(MixedLoss(terms).term_losses(raw, torch.from_numpy(y)), torch.zeros(2).double(), atol=1e-12, rtol=0)


@pytest.mark.parametrize("period", [2 * math.pi, 6.2832, math.pi], ids=str)
def test_degrees_with_a_period_in_radians_are_pointed_out(period):
    degrees = np.linspace(0, 359, 50)[:, None]
    with pytest.warns(UserWarning, match=r"The angles of the column 'ang' look like degrees: they span \d+ periods of"):
        Circular(period=period).adapt_to(degrees, ("ang",))


@pytest.mark.parametrize(
    ("period", "y"),
    [(2 * math.pi, np.linspace(0, 12, 50)), (24, np.arange(300.0)), (2 * math.pi, np.linspace(0, 1e6, 50))],
    ids=["two turns of radians", "hours of days", "unwrapped phase"],
)
def test_targets_that_do_not_look_like_degrees_pass_without_warning(period, y):
    Circular(period=period).adapt_to(y[:, None], ("ang",))
