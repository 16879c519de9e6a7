"""The weighted sum of terms, equal losses computed together."""

import pickle
import re
from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from skmulti.losses import AbsoluteError, Circular, Huber, LogCosh, MixedLoss, Quantile, SquaredError, Term, make_loss

WEIGHTS = st.floats(0, 1e3, width=32)


def normal(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def table(losses, weights=None):
    """Return one term per loss and column, raw outputs in the order of the columns."""
    terms, start = [], 0
    for i, loss in enumerate(map(make_loss, losses)):
        stop = start + loss.n_raw(1)
        weight = 1.0 if weights is None else weights[i]
        terms.append(Term(f"y{i}", loss, (i,), tuple(range(start, stop)), weight=weight))
        start = stop
    return terms


def test_the_total_is_the_sum_written_by_hand():
    criterion = MixedLoss(table(["squared_error", "absolute_error", "huber", "circular"], [2.0, 0.5, 1.0, 3.0]))
    raw, y = normal(7, 5), normal(7, 4, seed=1) * 50
    d = raw[:, :3] - y[:, :3]
    angle = torch.deg2rad(y[:, 3])
    by_hand = (
        2.0 * d[:, 0].square().mean()
        + 0.5 * d[:, 1].abs().mean()
        + nn.HuberLoss()(raw[:, 2], y[:, 2])
        + 3.0 * ((raw[:, 3] - angle.cos()) ** 2 + (raw[:, 4] - angle.sin()) ** 2).mean()
    )
    assert_close(criterion(raw, y), by_hand)


@pytest.mark.parametrize("n_columns", [1, 3])
def test_columns_of_squared_error_are_so_many_times_the_mse(n_columns):
    raw, y = normal(2, 16, n_columns)
    assert_close(MixedLoss(table(["squared_error"] * n_columns))(raw, y), n_columns * nn.MSELoss()(raw, y))


@settings(deadline=None)
@given(st.tuples(WEIGHTS, WEIGHTS, WEIGHTS), st.tuples(WEIGHTS, WEIGHTS, WEIGHTS))
def test_the_total_is_linear_in_the_weights(first, second):
    raw, y = normal(2, 8, 3)
    both = [a + b for a, b in zip(first, second, strict=True)]
    totals = [MixedLoss(table(["squared_error", "huber", "quantile"], w))(raw, y) for w in (first, second, both)]
    assert_close(totals[2], totals[0] + totals[1], rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("order", list(permutations(range(4))), ids=str)
def test_permuting_the_columns_permutes_the_terms(order):
    losses = ["squared_error", "huber", "squared_error", "quantile"]
    raw, y = normal(2, 8, 4)
    order = list(order)
    permuted = MixedLoss(table([losses[i] for i in order]))
    assert_close(permuted.row_losses(raw[:, order], y[:, order]), MixedLoss(table(losses)).row_losses(raw, y)[:, order])
    assert_close(permuted.predict(raw[:, order]), raw[:, order].double(), rtol=0, atol=0)


@pytest.mark.parametrize("weight", [0.0, 2.0])
def test_a_weight_of_0_sends_no_gradient_to_its_raw_outputs(weight):
    raw, y = normal(8, 5).requires_grad_(), normal(8, 4, seed=1)
    MixedLoss(table(["squared_error", "circular", "squared_error", "huber"], [1, weight, weight, 1]))(raw, y).backward()
    for column in (0, 4):
        assert raw.grad[:, column].abs().min() > 0
    for column in (1, 2, 3):
        assert bool(raw.grad[:, column].any()) == (weight > 0)


INTERLEAVED = ["circular", "squared_error", "circular", "huber", "squared_error", "log_cosh", "huber", "circular"]


def test_a_fused_table_equals_its_terms_one_by_one():
    terms = table(INTERLEAVED)
    raw, y = normal(9, 11), normal(9, 8, seed=1) * 100
    raw_alone, raw_fused = raw.clone().requires_grad_(), raw.clone().requires_grad_()
    rows = [term.loss.row_loss(raw_alone[:, term.raw], y[:, term.columns]) for term in terms]
    fused = MixedLoss(terms)
    assert_close(fused.row_losses(raw_fused, y), torch.stack(rows, dim=1), rtol=1e-6, atol=0)
    fused(raw_fused, y).backward()
    sum(row.mean() for row in rows).backward()
    assert_close(raw_fused.grad, raw_alone.grad, rtol=1e-6, atol=1e-9)
    read = [term.loss.predict(raw[:, term.raw]) for term in terms]
    assert_close(fused.predict(raw), torch.cat(read, dim=1).double(), rtol=0, atol=0)


def test_differences_are_the_same_bit_for_bit_when_fused():
    losses = ["squared_error", "absolute_error", "squared_error", "absolute_error", "squared_error"]
    raw, y = normal(2, 9, 5)
    rows = [term.loss.row_loss(raw[:, term.raw], y[:, term.columns]) for term in table(losses)]
    assert_close(MixedLoss(table(losses)).row_losses(raw, y), torch.stack(rows, dim=1), rtol=0, atol=0)


def test_terms_may_take_raw_outputs_and_columns_from_anywhere():
    terms = [
        Term("a", SquaredError(), (2,), (4,)),
        Term("b", Circular(low=0.0), (0,), (5, 1)),
        Term("c", make_loss(nn.MSELoss), (3, 1), (0, 3), weight=2.0),
        Term("d", SquaredError(), (4,), (2,)),
    ]
    raw, y = normal(6, 6), normal(6, 5, seed=1)
    criterion = MixedLoss(terms)
    expected = [
        (raw[:, 4] - y[:, 2]).square(),
        Circular().row_loss(raw[:, [5, 1]], y[:, [0]]),
        (raw[:, [0, 3]] - y[:, [3, 1]]).square().mean(1),
        (raw[:, 2] - y[:, 4]).square(),
    ]
    assert_close(criterion.row_losses(raw, y), torch.stack(expected, dim=1))
    angle = torch.rad2deg(torch.atan2(raw[:, 1], raw[:, 5])) % 360
    read = torch.stack([angle, raw[:, 3], raw[:, 4], raw[:, 0], raw[:, 2]], dim=1)
    assert_close(criterion.predict(raw), read.double(), rtol=1e-5, atol=1e-4)


class CountedSquaredError(SquaredError):
    shapes = []

    def row_loss(self, raw, y):
        self.shapes.append(tuple(raw.shape))
        return super().row_loss(raw, y)


def test_sixteen_equal_losses_are_computed_by_one_call():
    CountedSquaredError.shapes.clear()
    raw, y = normal(2, 5, 16)
    MixedLoss(table([CountedSquaredError()] * 16))(raw, y)
    assert CountedSquaredError.shapes == [(5, 16, 1)]


def test_losses_with_other_parameters_are_not_taken_for_equal():
    raw, y = normal(2, 8, 4) * 3
    terms = table([Quantile(0.1), Quantile(0.9), Huber(0.5), Huber(2.0)])
    expected = [term.loss.row_loss(raw[:, term.raw], y[:, term.columns]) for term in terms]
    assert_close(MixedLoss(terms).row_losses(raw, y), torch.stack(expected, dim=1))


def test_groups_of_other_sizes_are_not_mixed_up():
    criterion = MixedLoss(
        [
            Term("xy", make_loss(nn.L1Loss), (0, 1), (0, 1)),
            Term("whd", make_loss(nn.L1Loss), (2, 3, 4), (2, 3, 4)),
        ]
    )
    raw, y = normal(2, 8, 5)
    d = (raw - y).abs()
    assert_close(criterion.term_losses(raw, y), torch.stack([d[:, :2].mean(), d[:, 2:].mean()]))


@pytest.mark.parametrize("shape", [(8, 3), (8, 5), (8,), (8, 4, 1), (2, 8, 4)], ids=str)
def test_raw_outputs_of_another_shape_are_refused(shape):
    message = (
        "The module must return raw outputs of shape (n_rows, 4), 4 for the loss table's 4 columns. "
        f"Got shape {shape} instead; a module whose __init__ has a parameter 'n_outputs' is given this number."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        MixedLoss(table(["squared_error"] * 4))(normal(*shape), normal(8, 4))


@pytest.mark.parametrize("shape", [(8,), (8, 1), (1, 4), (7, 4), (8, 4, 1)], ids=str)
def test_targets_of_another_shape_are_refused(shape):
    message = (
        "Targets must have shape (8, 4), one row per row of the raw outputs and one column per target. "
        f"Got shape {shape} instead."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        MixedLoss(table(["squared_error"] * 4))(normal(8, 4), normal(*shape))


@pytest.mark.parametrize(
    "copied", [lambda c: pickle.loads(pickle.dumps(c)), lambda c: c.to("cpu")], ids=["pickle", "to cpu"]
)
def test_a_copy_gives_the_same_numbers(copied):
    terms = table(INTERLEAVED, np.arange(8.0))
    raw, y = normal(9, 11), normal(9, 8, seed=1)
    assert_close(copied(MixedLoss(terms))(raw, y), MixedLoss(terms)(raw, y), rtol=0, atol=0)
    assert copied(MixedLoss(terms)).terms == tuple(terms)


def test_it_computes_in_float64_when_moved_there():
    terms = table([LogCosh(), AbsoluteError(), LogCosh()], [0.5, 2.0, 0.25])
    raw, y = normal(2, 9, 3, dtype=torch.float64)
    total = MixedLoss(terms).to(torch.float64)(raw, y)
    assert total.dtype == torch.float64
    parts = [term.weight * term.loss.row_loss(raw[:, term.raw], y[:, term.columns]).mean() for term in terms]
    assert_close(total, sum(parts), rtol=1e-12, atol=0)


def test_the_weights_are_its_state():
    one, two = (MixedLoss(table(["squared_error", "huber"], weights)) for weights in ([1.0, 2.0], [3.0, 4.0]))
    assert list(one.state_dict()) == ["weights"]
    assert list(one.parameters()) == []
    two.load_state_dict(one.state_dict())
    raw, y = normal(2, 8, 2)
    assert_close(two(raw, y), one(raw, y), rtol=0, atol=0)


def test_the_parts_add_up():
    criterion = MixedLoss(table(INTERLEAVED, np.linspace(0, 1, 8)))
    raw, y = normal(9, 11), normal(9, 8, seed=1)
    rows = criterion.row_losses(raw, y)
    assert rows.shape == (9, 8)
    assert_close(criterion.term_losses(raw, y), rows.mean(0))
    assert_close(criterion.total(rows.mean(0)), criterion(raw, y))
    assert_close(criterion(raw, y), (rows.mean(0) * torch.linspace(0, 1, 8)).sum())


def test_predictions_are_float64_for_no_rows_too():
    y_pred = MixedLoss(table(INTERLEAVED)).predict(torch.zeros(0, 11))
    assert y_pred.shape == (0, 8)
    assert y_pred.dtype == torch.float64
