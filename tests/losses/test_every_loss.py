"""What holds for every loss of the table: it is a value, takes leading dimensions, and stays finite at the edges."""

import copy
import dataclasses
import pickle

import pytest
import torch
from torch.testing import assert_close

from skmulti.losses import COLUMN_LOSSES, AbsoluteError, Huber, MixedLoss, Term
from tests.losses.every_loss import EVERY_EXAMPLE, EVERY_LOSS, batch

each_example = pytest.mark.parametrize("example", EVERY_EXAMPLE, ids=lambda example: example.name)


def value_and_gradient(loss, raw, y):
    raw = raw.detach().clone().requires_grad_()
    value = loss.row_loss(raw, y)
    return value.detach(), torch.autograd.grad(value.sum(), raw)[0]


def test_no_loss_of_the_table_is_left_out():
    assert [example.name for example in EVERY_LOSS] == list(COLUMN_LOSSES)


@each_example
def test_a_loss_is_a_frozen_value(example):
    loss = example.fitted()
    copies = [dataclasses.replace(loss), copy.copy(loss), copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))]
    assert all(one == loss and hash(one) == hash(loss) for one in copies)
    for field in [*dataclasses.fields(loss), None]:
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(loss, field.name if field else "another", 1)


def test_no_two_losses_are_equal_by_default():
    assert len({example.loss for example in EVERY_LOSS}) == len(EVERY_LOSS)


@each_example
def test_a_gradient_that_is_written_out_is_that_of_autograd(example):
    loss = example.fitted()
    raw, y = batch([example], 200)
    for scale in (1.0, 30.0):
        _, expected = value_and_gradient(loss, scale * raw, y)
        assert_close(loss.raw_gradient(scale * raw, y), expected, rtol=1e-10, atol=1e-10)
    if loss.n_raw(1) == 1 and example.n_columns == 1:
        # On the kink of the absolute error and its kin both take the same side.
        _, expected = value_and_gradient(loss, y.clone(), y)
        assert_close(loss.raw_gradient(y, y), expected, rtol=1e-10, atol=1e-10)


@each_example
def test_the_gradient_of_a_table_is_that_of_its_total(example):
    terms = [
        Term("a", example.fitted(), tuple(range(1, example.n_columns + 1)), tuple(range(2, example.n_raw + 2)), 3.0),
        Term("b", COLUMN_LOSSES["squared_error"](), (0,), (0,), 0.5),
        Term("c", COLUMN_LOSSES["squared_error"](), (example.n_columns + 1,), (1,), 2.0),
    ]
    mixed = MixedLoss(terms)
    raw, y = batch([example], 20)
    others = torch.randn(20, 4, dtype=raw.dtype, generator=torch.Generator().manual_seed(0))
    raw = torch.cat([others[:, :2], raw], dim=1)
    y = torch.cat([others[:, 2:3], y, others[:, 3:]], dim=1)
    leaf = raw.clone().requires_grad_()
    mixed(leaf, y).backward()
    assert_close(mixed.raw_gradient(raw, y), leaf.grad, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("columns", [(0, 1, 3), (0, 2), (2, 1), (3, 0, 1)], ids=str)
def test_columns_of_a_loss_may_stand_anywhere(columns):
    rest = [i for i in range(4) if i not in columns]
    # Columns and raw outputs in another order, as heads may have them.
    losses = {**dict.fromkeys(columns, Huber()), **dict.fromkeys(rest, AbsoluteError())}
    for order in ([0, 1, 2, 3], [2, 0, 3, 1]):
        mixed = MixedLoss([Term(str(i), losses[i], (i,), (order[i],), 1.0 + i) for i in range(4)])
        raw, y = torch.randn(2, 10, 4, generator=torch.Generator().manual_seed(0)).unbind()
        leaf = raw.clone().requires_grad_()
        mixed(leaf, y).backward()
        assert_close(mixed.raw_gradient(raw, y), leaf.grad)


def test_a_gradient_of_the_parent_is_not_used_for_a_loss_of_ones_own():
    @dataclasses.dataclass(frozen=True)
    class Doubled(type(COLUMN_LOSSES["squared_error"]())):
        def row_loss(self, raw, y):
            return 2 * super().row_loss(raw, y)

    raw, y = torch.tensor([[1.0]]), torch.tensor([[3.0]])
    assert MixedLoss([Term("a", Doubled(), (0,), (0,))]).raw_gradient(raw, y) == -8


@each_example
def test_leading_dimensions_make_no_difference(example):
    loss = example.fitted()
    assert loss.takes_any_batch
    raw, y = batch([example], 30)
    raw_3, y_3 = raw.unflatten(0, (5, 3, 2)), y.unflatten(0, (5, 3, 2))
    assert loss.row_loss(raw, y).shape == (30,)
    assert loss.predict(raw).shape == (30, example.n_columns)
    assert_close(loss.row_loss(raw_3, y_3), loss.row_loss(raw, y).unflatten(0, (5, 3, 2)), rtol=1e-12, atol=1e-12)
    assert_close(loss.predict(raw_3), loss.predict(raw).unflatten(0, (5, 3, 2)), rtol=1e-12, atol=1e-12)
    assert loss.row_loss(raw[0], y[0]).shape == ()
    assert loss.row_loss(raw[:0], y[:0]).shape == (0,)
    assert loss.predict(raw_3[:0]).shape == (0, 3, 2, example.n_columns)
    if loss.supports("std"):
        assert_close(loss.std(raw_3), loss.std(raw).unflatten(0, (5, 3, 2)), rtol=1e-12, atol=1e-12)
        assert loss.std(raw).shape == (30, example.n_columns)
        assert (loss.std(raw) > 0).all()
    if loss.supports("quantiles"):
        levels = [0.1, 0.5, 0.9] if example.name == "quantiles" else [0.5] if example.name == "quantile" else [0.2, 0.7]
        read = loss.quantiles(raw, levels)
        assert read.shape == (30, example.n_columns, len(levels))
        assert_close(loss.quantiles(raw_3, levels), read.unflatten(0, (5, 3, 2)), rtol=1e-12, atol=1e-12)
    if loss.supports("log_likelihood"):
        assert_close(loss.log_likelihood(raw_3, y_3), loss.log_likelihood(raw, y).unflatten(0, (5, 3, 2)))


# The factor of ciou is held constant for the gradient: test_box.py has that of the paper.
@pytest.mark.parametrize("example", [e for e in EVERY_EXAMPLE if e.name != "ciou"], ids=lambda example: example.name)
def test_gradients_pass_gradcheck(example):
    raw, y = batch([example], 6, seed=1)
    loss = example.fitted()
    assert torch.autograd.gradcheck(lambda raw: loss.row_loss(raw, y), raw.requires_grad_())


@each_example
@pytest.mark.parametrize(("dtype", "huge"), [(torch.float32, 1e12), (torch.float64, 1e100)], ids=str)
def test_values_gradients_and_predictions_are_finite_at_the_edges(example, dtype, huge):
    loss = example.fitted()
    # A full covariance squares a product of two raw outputs.
    huge = huge**0.6 if example.name == "multivariate_gaussian_nll" else huge
    y = example.targets(32).to(dtype)
    signs = torch.sign(torch.randn(32, example.n_raw, generator=torch.Generator().manual_seed(0), dtype=dtype))
    ones = torch.ones_like(signs)
    for size in (0.0, 1e-40, 1e-30, 1e-8, 1.0, 90.0, 1e4, huge):
        for direction in (signs, ones, -ones, signs * ones.cumsum(1)):
            value, gradient = value_and_gradient(loss, size * direction, y)
            assert value.isfinite().all(), size
            assert gradient.isfinite().all(), size
            assert loss.predict(size * direction).isfinite().all(), size
            if loss.supports("std"):
                assert loss.std(size * direction).isfinite().all(), size


@each_example
def test_two_terms_of_one_loss_are_what_each_is_alone(example):
    loss = example.fitted()
    raw, y = batch([example, example], 9)
    terms = [
        Term("a", loss, tuple(range(example.n_columns)), tuple(range(example.n_raw))),
        Term("b", loss, tuple(range(example.n_columns, 2 * example.n_columns)),
             tuple(range(example.n_raw, 2 * example.n_raw))),
    ]  # fmt: skip
    both = MixedLoss(terms).double()
    alone = [loss.row_loss(raw[:, term.raw], y[:, term.columns]) for term in terms]
    assert len(both.families) == 1
    assert_close(both.row_losses(raw, y), torch.stack(alone, dim=1), rtol=1e-12, atol=1e-12)
    read = torch.cat([loss.predict(raw[:, term.raw]) for term in terms], dim=1)
    assert_close(both.predict(raw), read, rtol=1e-12, atol=1e-12)
