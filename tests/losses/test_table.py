"""Names, classes, instances and callables become column losses; anything else gets a sentence."""

import re

import numpy as np
import pytest
import torch
from torch import nn

import skmulti.losses
from skmulti.losses import ALIASES, COLUMN_LOSSES, AbsoluteError, ColumnLoss, Huber, SquaredError, TorchLoss, make_loss


@pytest.mark.parametrize("name", COLUMN_LOSSES)
def test_a_name_gives_its_class_with_defaults(name):
    loss = make_loss(name)
    assert type(loss) is COLUMN_LOSSES[name]
    assert loss == COLUMN_LOSSES[name]()


@pytest.mark.parametrize("alias", ALIASES)
def test_an_alias_gives_the_loss_of_its_name(alias):
    assert make_loss(alias) == make_loss(ALIASES[alias])
    assert alias not in COLUMN_LOSSES


def test_the_first_losses_have_their_names():
    names = {"squared_error", "absolute_error", "huber", "smooth_l1", "log_cosh", "quantile", "circular"}
    assert names <= set(COLUMN_LOSSES)
    assert {"mse": "squared_error", "mae": "absolute_error", "l1": "absolute_error"}.items() <= ALIASES.items()


@pytest.mark.parametrize("cls", COLUMN_LOSSES.values())
def test_every_loss_of_the_table_can_be_imported_and_has_a_docstring(cls):
    assert issubclass(cls, ColumnLoss)
    assert getattr(skmulti.losses, cls.__name__) is cls
    assert cls.__name__ in skmulti.losses.__all__
    assert cls.__doc__


def test_classes_and_instances_pass():
    huber = Huber(delta=3.0)
    assert make_loss(huber) is huber
    assert make_loss(AbsoluteError) == AbsoluteError()
    assert isinstance(make_loss(nn.MSELoss), TorchLoss)
    assert isinstance(make_loss(torch.dist), TorchLoss)


def test_a_loss_of_the_users_own_passes():
    class CubicError(SquaredError):
        def row_loss(self, raw, y):
            return (raw - y).abs().pow(3).squeeze(-1)

    assert make_loss(CubicError).row_loss(torch.zeros(1, 1), torch.full((1, 1), 2.0)).item() == 8.0


@pytest.mark.parametrize(
    ("name", "near"),
    [("squared_errors", "squared_error"), ("hubber", "huber"), ("circlar", "circular"), ("pinbal", "pinball")],
)
def test_an_unknown_name_gets_the_nearest_known_one(name, near):
    message = (
        f"The 'loss' parameter must name a known loss: {', '.join(map(repr, COLUMN_LOSSES))}. "
        f"Got {name!r} instead. Did you mean {near!r}?"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make_loss(name)


@pytest.mark.parametrize("name", ["zzzzzz", ""])
def test_a_name_that_is_near_to_none_gets_the_known_ones(name):
    message = (
        f"The 'loss' parameter must name a known loss: {', '.join(map(repr, COLUMN_LOSSES))}. Got {name!r} instead."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make_loss(name)


@pytest.mark.parametrize("wrong", [None, 1.0, 3, int, dict, np.ones(2), {"x": "mse"}, b"mse"], ids=repr)
def test_what_can_not_be_a_loss_is_refused(wrong):
    message = (
        "The 'loss' parameter must hold names of losses, column losses, torch losses or callables. "
        f"Got {wrong!r} instead."
    )
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        make_loss(wrong)
