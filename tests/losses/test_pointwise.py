"""Losses of a difference, against SciPy, scikit-learn and the formulas in float64."""

import dataclasses
import pickle

import numpy as np
import pytest
import scipy.special
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mean_pinball_loss
from torch.testing import assert_close

from skmulti.losses import AbsoluteError, Huber, LogCosh, Quantile, SmoothL1, SquaredError


def log_cosh(d):
    """Two forms of it, each where it keeps its digits."""
    near = np.log1p(2 * np.sinh(np.clip(d, -20, 20) / 2) ** 2)
    return np.where(np.abs(d) < 10, near, np.logaddexp(d, -d) - np.log(2))


def pinball(level):
    def of_each_row(d):
        y = np.asarray(d).reshape(1, -1)
        return mean_pinball_loss(y, np.zeros_like(y), alpha=level, multioutput="raw_values")

    return of_each_row


# (loss, its value by the difference d = y - p, its derivative by d, where its formula changes beside zero)
CASES = [
    (SquaredError(), lambda d: d**2, lambda d: 2 * d, 1.0),
    (AbsoluteError(), np.abs, np.sign, 1.0),
    (Huber(), lambda d: scipy.special.huber(1.0, d), lambda d: np.clip(d, -1, 1), 1.0),
    (Huber(delta=0.25), lambda d: scipy.special.huber(0.25, d), lambda d: np.clip(d, -0.25, 0.25), 0.25),
    (SmoothL1(), lambda d: scipy.special.huber(1.0, d), lambda d: np.clip(d, -1, 1), 1.0),
    (SmoothL1(beta=2.5), lambda d: scipy.special.huber(2.5, d) / 2.5, lambda d: np.clip(d / 2.5, -1, 1), 2.5),
    (LogCosh(), log_cosh, np.tanh, 1.0),
    (Quantile(), pinball(0.5), lambda d: np.sign(d) / 2, 1.0),
    (Quantile(level=0.9), pinball(0.9), lambda d: np.where(d > 0, 0.9, -0.1), 1.0),
    (Quantile(level=0.01), pinball(0.01), lambda d: np.where(d > 0, 0.01, -0.99), 1.0),
]
LOSSES = [case[0] for case in CASES]
each_case = pytest.mark.parametrize(("loss", "value", "slope", "kink"), CASES, ids=[repr(case[0]) for case in CASES])
each_loss = pytest.mark.parametrize("loss", LOSSES, ids=repr)


def normal(*shape, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def differences(kink):
    """Return zero, tiny and huge differences, and those around the kink, with both signs."""
    d = [0.0, 1e-30, 1e-15, 1e-8, 1e-4, 0.3, 3.0, 20.0, 1e3, 1e30]
    d += [kink, np.nextafter(kink, 9), np.nextafter(kink, -9)]
    return np.array(d + [-value for value in d])


def value_and_gradient(loss, raw, y):
    raw, y = (torch.from_numpy(np.asarray(part)).reshape(-1, 1).clone().requires_grad_() for part in (raw, y))
    value = loss.row_loss(raw, y)
    value.sum().backward()
    return value.detach(), raw.grad[:, 0], y.grad[:, 0]


@each_case
def test_rows_have_the_value_of_the_reference(loss, value, slope, kink):
    raw, y = normal(2, 500, 1) * 3
    assert_close(loss.row_loss(raw, y).numpy(), value((y - raw)[:, 0].numpy()), rtol=1e-12, atol=0)


@each_case
def test_rows_have_the_value_of_the_reference_at_the_edges(loss, value, slope, kink):
    d = differences(kink)
    ours, _, _ = value_and_gradient(loss, np.zeros_like(d), d)
    assert_close(ours.numpy(), value(d), rtol=1e-12, atol=0)
    ours, _, _ = value_and_gradient(loss, -d, np.zeros_like(d))
    assert_close(ours.numpy(), value(d), rtol=1e-12, atol=0)


@each_case
def test_gradients_are_the_derivative_at_the_edges_too(loss, value, slope, kink):
    d = differences(kink)
    d = d[d != 0]
    _, by_raw, by_y = value_and_gradient(loss, np.zeros_like(d), d)
    assert_close(by_y.numpy(), np.asarray(slope(d)), rtol=1e-12, atol=0)
    assert_close(by_raw, -by_y, rtol=0, atol=0)


@each_loss
@pytest.mark.parametrize("level", [0.0, 1e-30, 1.0, 1e30])
def test_a_perfect_prediction_costs_nothing(loss, level):
    value, by_raw, by_y = value_and_gradient(loss, [level], [level])
    assert value == 0
    assert by_raw.isfinite().all()
    assert by_y.isfinite().all()


@each_loss
def test_gradients_pass_gradcheck(loss):
    raw, y = normal(2, 6, 1).unbind()
    assert torch.autograd.gradcheck(loss.row_loss, (raw.requires_grad_(), y.requires_grad_()))


@each_loss
@pytest.mark.parametrize("size", [1e-30, 1e-3, 1.0, 1e18, 1e30])
def test_float32_stays_finite_where_the_number_itself_fits(loss, size):
    if isinstance(loss, SquaredError) and size > 1e18:
        size = 1e18  # its square, 1e36, is the largest that float32 holds
    y = torch.tensor([size, -size], dtype=torch.float32)
    for values in value_and_gradient(loss, torch.zeros(2), y):
        assert values.isfinite().all()


@each_loss
def test_any_leading_dimensions_give_the_same_numbers(loss):
    raw, y = normal(2, 5, 3, 2, 1)
    values = loss.row_loss(raw, y)
    assert values.shape == (5, 3, 2)
    assert_close(values.flatten(), loss.row_loss(raw.reshape(-1, 1), y.reshape(-1, 1)), rtol=1e-14, atol=0)
    assert_close(values[2, 1], loss.row_loss(raw[2, 1], y[2, 1]), rtol=1e-14, atol=0)
    assert loss.row_loss(raw[:0], y[:0]).shape == (0, 3, 2)


@each_loss
def test_the_prediction_is_the_raw_output(loss):
    raw = normal(4, 2, 1)
    assert_close(loss.predict(raw), raw, rtol=0, atol=0)
    assert loss.n_raw(1) == 1
    assert loss.n_columns == 1
    assert loss.target_scaling == "column"


@each_loss
def test_a_loss_is_a_value(loss):
    assert loss == dataclasses.replace(loss)
    assert hash(loss) == hash(dataclasses.replace(loss))
    assert pickle.loads(pickle.dumps(loss)) == loss
    assert sum(loss == other for other in LOSSES) == 1
    assert loss.adapt_to(np.zeros((3, 1)), ("x",)) == loss


@settings(deadline=None)
@given(st.floats(min_value=1e-15, max_value=1e-2))
def test_log_cosh_keeps_its_digits_near_zero(d):
    value, _, by_y = value_and_gradient(LogCosh(), [0.0], [d])
    # Its series: d^2 / 2 - d^4 / 12 + d^6 / 45 - ...
    assert value.item() == pytest.approx(d**2 / 2 - d**4 / 12 + d**6 / 45, rel=1e-13)
    assert by_y.item() == pytest.approx(np.tanh(d), rel=1e-13)


def test_log_cosh_keeps_its_digits_near_zero_in_float32():
    d = torch.logspace(-15, 2, 200)
    value, _, by_y = value_and_gradient(LogCosh(), torch.zeros(200), d)
    assert_close(value.double().numpy(), log_cosh(d.double().numpy()), rtol=3e-6, atol=0)
    assert_close(by_y, d.tanh(), rtol=3e-6, atol=0)


def test_quantile_is_least_at_the_quantile():
    y = normal(1001, 1)
    guesses = torch.linspace(-2, 2, 401, dtype=torch.float64)
    costs = torch.stack([Quantile(level=0.8).row_loss(guess.expand(1001, 1), y).mean() for guess in guesses])
    assert guesses[costs.argmin()].item() == pytest.approx(y.quantile(0.8).item(), abs=0.01)


@pytest.mark.parametrize("one", [np.float64(1), np.float32(1), np.int64(1), 1], ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("cls", [Huber, SmoothL1])
def test_a_parameter_may_be_any_kind_of_number(cls, one):
    # np.int64 is what a search over np.arange(1, 4) gives.
    raw, y = normal(2, 20, 1)
    assert_close(cls(one).row_loss(raw, y), cls(1.0).row_loss(raw, y), rtol=0, atol=0)


@pytest.mark.parametrize("half", [np.float64(0.5), np.float32(0.5)], ids=lambda half: type(half).__name__)
def test_a_level_may_be_any_kind_of_number(half):
    raw, y = normal(2, 20, 1)
    value = Quantile(half).row_loss(raw.requires_grad_(), y)
    assert_close(value, Quantile(0.5).row_loss(raw, y), rtol=0, atol=0)
    assert value.requires_grad
