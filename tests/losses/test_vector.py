"""Groups of columns that are a vector: its distance and its direction."""

import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.distance import cosine, euclidean
from torch.testing import assert_close

from skmulti.losses import Euclidean, UnitVector

each_length = pytest.mark.parametrize("k", [1, 2, 3, 17])
each_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@each_length
def test_euclidean_is_the_norm_of_the_difference(k):
    raw, y = normal(2, 60, k) * 3
    expected = [euclidean(*pair) for pair in zip(raw.numpy(), y.numpy(), strict=True)]
    np.testing.assert_allclose(Euclidean().row_loss(raw, y), expected, rtol=1e-12)
    assert_close(Euclidean().predict(raw), raw, rtol=0, atol=0)


@each_length
def test_the_gradient_of_a_distance_is_the_direction_away_from_the_target(k):
    raw, y = normal(2, 60, k)
    raw.requires_grad_()
    Euclidean().row_loss(raw, y).sum().backward()
    d = (raw - y).detach().numpy()
    np.testing.assert_allclose(raw.grad, d / np.linalg.norm(d, axis=1, keepdims=True), rtol=1e-10)


@each_dtype
@pytest.mark.parametrize("size", [0.0, 1e-30, 1.0, 1e15])
def test_a_perfect_vector_costs_nothing_and_has_no_slope(size, dtype):
    y = size * torch.ones(2, 3, dtype=dtype)
    raw = y.clone().requires_grad_()
    value = Euclidean().row_loss(raw, y)
    value.sum().backward()
    assert (value == 0).all()
    assert (raw.grad == 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_distance_of_huge_and_tiny_vectors_keeps_its_value(dtype):
    big, small = (1e18, 1e-18) if dtype == torch.float32 else (1e150, 1e-150)
    raw = torch.tensor([[3 * big, 4 * big], [3 * small, 4 * small]], dtype=dtype, requires_grad=True)
    value = Euclidean().row_loss(raw, torch.zeros(2, 2, dtype=dtype))
    value.sum().backward()
    assert_close(value, torch.tensor([5 * big, 5 * small], dtype=dtype), rtol=1e-5, atol=0)
    assert_close(raw.grad, torch.tensor([[0.6, 0.8], [0.6, 0.8]], dtype=dtype), rtol=1e-5, atol=0)


@pytest.mark.parametrize("k", [2, 3, 17])
def test_unit_vector_is_one_minus_the_cosine(k):
    raw, y = normal(2, 60, k) * 3
    ours = UnitVector().row_loss(raw, y)
    assert_close(ours, 1 - F.cosine_similarity(raw, y), rtol=1e-12, atol=1e-12)
    expected = [cosine(*pair) for pair in zip(raw.numpy(), y.numpy(), strict=True)]
    np.testing.assert_allclose(ours, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("k", [2, 3, 17])
def test_the_gradient_of_a_direction_is_that_of_the_cosine(k):
    raw, y = normal(60, k).requires_grad_(), normal(60, k, seed=1)
    ours = torch.autograd.grad(UnitVector().row_loss(raw, y).sum(), raw)[0]
    theirs = torch.autograd.grad((1 - F.cosine_similarity(raw, y)).sum(), raw)[0]
    assert_close(ours, theirs, rtol=1e-10, atol=1e-12)
    assert torch.autograd.gradcheck(UnitVector().row_loss, (raw[:5].detach().requires_grad_(), y[:5]))


@settings(deadline=None)
@given(
    hnp.arrays(np.float32, st.tuples(st.just(1), st.integers(1, 5)), elements=st.floats(-1.0, 1.0, width=32)),
    st.sampled_from([0.0, 1e-45, 1e-38, 1e-30, 1e-10, 1.0, 1e10, 1e30, 3e38]),
)
def test_a_predicted_direction_has_norm_1_whatever_the_network_emits(values, size):
    raw = torch.from_numpy(values).mul(size).requires_grad_()
    direction = UnitVector().predict(raw)
    assert torch.linalg.vector_norm(direction.detach()).item() == pytest.approx(1.0, abs=1e-6)
    direction.sum().backward()
    assert raw.grad.isfinite().all()


@pytest.mark.parametrize("size", [1e-30, 1e-3, 1e3, 1e30])
def test_the_length_of_a_target_or_of_the_raw_outputs_makes_no_difference(size):
    raw, y = normal(2, 20, 3).float()
    expected = UnitVector().row_loss(raw, y)
    assert_close(UnitVector().row_loss(raw * size, y), expected, rtol=1e-5, atol=1e-6)
    assert_close(UnitVector().row_loss(raw, y * size), expected, rtol=1e-5, atol=1e-6)


def test_same_opposite_and_right_angles_cost_0_2_and_1():
    y = torch.tensor([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]], dtype=torch.float64)
    raw = torch.tensor([[2.0, 4.0], [-1.0, -2.0], [-2.0, 1.0]], dtype=torch.float64, requires_grad=True)
    value = UnitVector().row_loss(raw, y)
    value.sum().backward()
    assert_close(value, torch.tensor([0.0, 2.0, 1.0], dtype=torch.float64), rtol=0, atol=1e-12)
    assert_close(raw.grad[:2], torch.zeros(2, 2, dtype=torch.float64), rtol=0, atol=1e-12)


def test_targets_without_a_direction_are_refused():
    message = (
        "The loss 'unit_vector' requires targets with a direction. Columns 'x', 'y' have 2 rows that are zero "
        "throughout, the first: 0, 0."
    )
    y = np.array([[0.0, 0.0], [0.0, 1.0], [0.0, 0.0], [-1.0, 0.0]])
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        UnitVector().adapt_to(y, ("x", "y"))
    assert UnitVector().adapt_to(y[1::2], ("x", "y")) == UnitVector()


@pytest.mark.parametrize(("loss", "scaling"), [(Euclidean(), "group"), (UnitVector(), None)], ids=repr)
def test_a_vector_of_any_length_is_one_term_and_keeps_its_directions(loss, scaling):
    assert loss.n_columns is None
    assert loss.n_raw(7) == 7
    assert loss.target_scaling == scaling
