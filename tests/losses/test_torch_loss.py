"""torch's losses and callables as column losses."""

import pickle
import re
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from skmulti.losses import MixedLoss, Term, TorchLoss, make_loss

MODULES = [nn.MSELoss(), nn.L1Loss(), nn.SmoothL1Loss(beta=0.5), nn.HuberLoss(delta=2.0), nn.SoftMarginLoss()]


def normal(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def group_term(loss, n_columns):
    return MixedLoss([Term("group", make_loss(loss), tuple(range(n_columns)), tuple(range(n_columns)))])


@pytest.mark.parametrize("loss", MODULES, ids=repr)
@pytest.mark.parametrize("n_columns", [1, 4])
def test_a_term_is_what_the_module_is_in_torch(loss, n_columns):
    raw, y = normal(2, 8, n_columns)
    assert_close(group_term(loss, n_columns)(raw, y), loss(raw, y))
    assert loss.reduction == "mean"


@pytest.mark.parametrize("cls", [nn.MSELoss, nn.L1Loss, nn.HuberLoss])
def test_a_class_is_its_instance_with_defaults(cls):
    raw, y = normal(2, 8, 3)
    assert_close(group_term(cls, 3)(raw, y), cls()(raw, y))


def test_a_module_without_reduction_gives_its_values_as_they_are():
    raw, y = normal(2, 8, 3)
    assert_close(TorchLoss(nn.MSELoss(reduction="none")).row_loss(raw, y), (raw - y).square().mean(1))


def by_element(raw, y):
    return (raw - y).abs()


def by_row(raw, y):
    return (raw - y).norm(dim=1)


def by_batch(raw, y):
    return (raw - y).square().sum()


class Euclidean(nn.Module):
    def __init__(self, factor=3.0):
        super().__init__()
        self.factor = factor

    def forward(self, raw, y):
        return self.factor * (raw - y).norm(dim=1)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (by_element, lambda d: d.abs().mean(1)),
        (by_row, lambda d: d.norm(dim=1)),
        (by_batch, lambda d: d.square().sum().expand(8)),
        (Euclidean(2.0), lambda d: 2 * d.norm(dim=1)),
        (Euclidean, lambda d: 3 * d.norm(dim=1)),
        (F.l1_loss, lambda d: d.abs().mean().expand(8)),
    ],
    ids=["element", "row", "batch", "module", "module class", "torch function"],
)
@pytest.mark.parametrize("n_columns", [1, 3, 8])
def test_a_callable_may_answer_by_element_row_or_batch(loss, expected, n_columns):
    raw, y = normal(2, 8, n_columns)
    rows = make_loss(loss).row_loss(raw, y)
    assert rows.shape == (8,)
    assert_close(rows, expected(raw - y))


def test_gradients_are_those_of_torch():
    raw, y = normal(2, 8, 4)
    gradients = []
    for criterion in (group_term(nn.SmoothL1Loss(), 4), nn.SmoothL1Loss()):
        leaf = raw.clone().requires_grad_()
        criterion(leaf, y).backward()
        gradients.append(leaf.grad)
    assert_close(*gradients)


@pytest.mark.parametrize("reduction", ["sum", "batchmean"])
def test_another_reduction_is_refused(reduction):
    loss = nn.KLDivLoss(reduction=reduction)
    message = (
        "The loss KLDivLoss must have reduction='mean' or 'none', since a term is the mean over the rows. "
        f"Got reduction={reduction!r} instead; put factors into 'loss_weights'."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make_loss(loss)


def transposed(raw, y):
    return (raw - y).T


def as_a_number(raw, y):
    return float((raw - y).sum())


def kept_dimension(raw, y):
    return (raw - y).norm(dim=1, keepdim=True)


@pytest.mark.parametrize(
    ("loss", "came"),
    [(transposed, "(3, 8)"), (as_a_number, "float"), (kept_dimension, "(8, 1)"), (lambda raw, y: None, "NoneType")],
)
def test_another_shape_is_refused(loss, came):
    raw, y = normal(2, 8, 3)
    message = (
        f"The loss {loss.__name__} must return one value per row, shape (8,), or one per row and column, "
        f"shape (8, 3), or one number. Got {came} instead."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make_loss(loss).row_loss(raw, y)


@pytest.mark.parametrize(
    ("loss", "scaling"),
    [(nn.MSELoss, "column"), (nn.L1Loss(), "column"), (nn.HuberLoss(), "column"), (nn.SmoothL1Loss, "column")]
    + [(by_row, None), (Euclidean, None), (nn.PoissonNLLLoss(), None), (F.mse_loss, None)],
)
def test_only_losses_of_a_difference_take_standardised_targets(loss, scaling):
    assert make_loss(loss).target_scaling == scaling


def test_the_user_may_say_that_targets_are_standardised():
    assert TorchLoss(by_row, standardize=True).target_scaling == "column"
    assert make_loss(TorchLoss(nn.MSELoss())).target_scaling is None


def test_it_takes_any_number_of_columns_as_one_term():
    loss = make_loss(nn.MSELoss)
    assert loss.n_columns is None
    assert [loss.n_raw(n) for n in (1, 4)] == [1, 4]
    assert_close(loss.predict(normal(3, 4)), normal(3, 4), rtol=0, atol=0)


def test_it_pickles():
    raw, y = normal(2, 8, 3)
    loss = make_loss(nn.HuberLoss(delta=0.3))
    assert_close(pickle.loads(pickle.dumps(loss)).row_loss(raw, y), loss.row_loss(raw, y), rtol=0, atol=0)
    assert pickle.loads(pickle.dumps(make_loss(by_row))) == make_loss(by_row)


def needs_three(raw, y, var):
    return (raw - y).square() / var


@pytest.mark.parametrize(
    ("loss", "signature", "way_out"),
    [
        (nn.GaussianNLLLoss(), "GaussianNLLLoss(input, target, var)", "use loss='gaussian_nll'"),
        (nn.GaussianNLLLoss, "GaussianNLLLoss(input, target, var)", "use loss='gaussian_nll'"),
        (F.gaussian_nll_loss, "gaussian_nll_loss(input, target, var, full, eps, reduction)", "use loss='gaussian_nll'"),
        (needs_three, "needs_three(raw, y, var)", "fix further arguments with functools.partial."),
        (lambda raw: raw, "<lambda>(raw)", "fix further arguments with functools.partial."),
    ],
)
def test_a_callable_that_does_not_take_two_arguments_is_refused(loss, signature, way_out):
    message = f"must take two positional arguments, raw outputs and targets. Got the signature {signature} instead; "
    with pytest.raises(TypeError, match=re.escape(message + way_out)):
        make_loss(loss)


def test_a_callable_whose_third_argument_is_fixed_is_accepted():
    raw, y = normal(2, 8, 1)
    assert_close(make_loss(partial(needs_three, var=2.0)).row_loss(raw, y), (raw - y).square().squeeze(1) / 2)
