"""The tensor loop gives the results of skorch's loop for all losses, sample weights and batches."""

import numpy as np
import pytest
import torch
from skorch.dataset import ValidSplit
from torch import nn

from skmulti.losses import TorchLoss
from skmulti.training import device_rows
from tests.training.either_loop import RNG, WEIGHTS, X, Y, assert_same, both

SPLIT = ValidSplit(3)


@pytest.mark.parametrize(
    "loss",
    [
        "squared_error",
        ["squared_error", "absolute_error", "huber", "squared_error"],
        ["gaussian_nll", "quantile", "log_cosh", "poisson"],
        {(0, 1, 2): "euclidean"},
        {(0, 1): nn.MSELoss(), 2: nn.HuberLoss()},
        {(0, 1): lambda raw, y: ((raw - y) ** 2).mean()},
    ],
    ids=["one", "three", "others", "group", "torch", "callable"],
)
def test_every_loss_learns_the_same(loss):
    assert_same(*both(loss=loss, loss_weights={3: 0.5}))


class Learned(nn.Module):
    """A loss with a parameter."""

    def __init__(self):
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(()))

    def forward(self, raw, y):
        return ((raw - y) ** 2).mean() * torch.exp(-self.log_scale) + self.log_scale


def test_a_loss_with_parameters_learns_them():
    ours, theirs = both(loss={(0, 1, 2, 3): TorchLoss(Learned())})
    assert_same(ours, theirs)
    learned = [dict(net.get_all_learnable_params()) for net in (ours, theirs)]
    assert set(learned[0]) == set(learned[1])
    for name, value in learned[0].items():
        assert float((value - learned[1][name]).detach().norm()) < 1e-5


@pytest.mark.parametrize("weight", [WEIGHTS, WEIGHTS[:, None] * [1, 2, 3, 4]], ids=["rows", "columns"])
@pytest.mark.parametrize("missing", [False, True])
def test_sample_weights_and_missing_targets_give_the_same(weight, missing):
    y = Y.copy()
    if missing:
        y[RNG.random(y.shape) < 0.3] = np.nan
    fit = lambda net: net.fit(X, y, sample_weight=weight, X_val=X[:20], y_val=y[:20])  # noqa: E731
    assert_same(*both(fit, missing_targets="mask", loss={0: "absolute_error"}))


def test_missing_targets_give_the_same_without_sample_weights():
    y = Y.copy()
    y[RNG.random(y.shape) < 0.3] = np.nan
    assert_same(*both(lambda net: net.fit(X, y), missing_targets="mask"))


@pytest.mark.parametrize(
    "params",
    [
        {"batch_size": -1},
        {"batch_size": 1, "max_epochs": 1},
        {"batch_size": 500},
        {"batch_size": "auto"},
        {"shuffle": False},
        {"iterator_train__drop_last": True},
        {"train_split": SPLIT},
        {"train_split": SPLIT, "shuffle": False},
        {"early_stopping": True, "n_iter_no_change": 1, "tol": 100.0, "max_epochs": 20},
        {"early_stopping": True, "lr": 0.3, "max_epochs": 30},
        {"scale_targets": False},
    ],
    ids=lambda params: ", ".join(params),
)
def test_batches_and_validation_rows_are_the_same(params):
    assert_same(*both(**params))


def test_an_epoch_in_several_blocks_gives_the_same(monkeypatch):
    monkeypatch.setitem(device_rows._BLOCK_BYTES, "cpu", X[:32].nbytes)
    assert_same(*both())
    assert_same(*both(shuffle=False, train_split=SPLIT))


def test_double_precision_learns_the_same():
    torch.set_default_dtype(torch.float64)
    try:
        ours, theirs = both()
        assert next(ours.module_.parameters()).dtype == torch.float64
        assert_same(ours, theirs, rtol=1e-12)
    finally:
        torch.set_default_dtype(torch.float32)
