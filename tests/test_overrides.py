"""``loss__<column>``, ``loss__<column>__<parameter>`` and ``loss_weights__<column>``."""

import re

import numpy as np
import pytest
from torch import nn

from skmulti.losses import AbsoluteError, Circular, Huber, SquaredError, TorchLoss
from skmulti.targets.columns import Columns

from .targets.test_terms import losses, refusal, resolve, weights


def test_an_override_changes_one_column():
    assert losses(loss__y="huber") == [SquaredError(), Huber(), SquaredError(), SquaredError()]
    assert weights(loss_weights__y=3) == [1.0, 3.0, 1.0, 1.0]


def test_an_override_wins_over_the_spec():
    assert losses({"y": "mae", "x": "mae"}, loss__y="huber")[:2] == [AbsoluteError(), Huber()]
    assert weights(loss_weights=[1, 2, 3, 4], loss_weights__y=9.0) == [1.0, 9.0, 3.0, 4.0]
    assert weights(loss_weights={"y": 2, "x": 5}, loss_weights__y=0) == [5.0, 0.0, 1.0, 1.0]


@pytest.mark.parametrize("key", ["size", "2", "3"])
def test_an_override_may_name_a_group_or_a_position(key):
    expected = {"size": [1.0, 1.0, 2.0, 2.0], "2": [1.0, 1.0, 2.0, 1.0], "3": [1.0, 1.0, 1.0, 2.0]}[key]
    assert weights(**{f"loss_weights__{key}": 2.0}) == expected
    assert [loss == Huber() for loss in losses(**{f"loss__{key}": "huber"})] == [weight == 2 for weight in expected]


def test_a_group_override_may_be_one_term():
    terms = resolve(loss__size=nn.MSELoss, loss_weights__size=2.0)
    assert [(term.name, term.columns, term.weight) for term in terms] == [
        ("x", (0,), 1.0),
        ("y", (1,), 1.0),
        ("size", (2, 3), 2.0),
    ]


def test_an_override_dissolves_a_group_term_that_it_covers():
    assert losses({"size": nn.MSELoss}, loss__size="huber") == [SquaredError(), SquaredError(), Huber(), Huber()]


def test_a_parameter_of_a_loss_is_overridden():
    assert losses({"y": "huber"}, loss__y__delta=2.0)[1] == Huber(delta=2.0)
    assert losses({"y": Circular(low=5.0)}, loss__y__period=24)[1] == Circular(period=24, low=5.0)
    assert losses({"size": "huber"}, loss__size__delta=0.5)[2:] == [Huber(0.5), Huber(0.5)]


@pytest.mark.parametrize("whole_first", [True, False])
def test_a_loss_and_its_parameter_may_come_in_any_order(whole_first):
    overrides = [("loss__y", "huber"), ("loss__y__delta", np.float64(2.0))]
    assert losses(**dict(overrides if whole_first else overrides[::-1]))[1] == Huber(delta=2.0)


@pytest.mark.parametrize(
    ("loss", "has"), [("huber", "'delta'"), ("squared_error", "no parameters"), ("circular", "'period', 'low'")]
)
def test_a_parameter_that_the_loss_does_not_have_is_refused(loss, has):
    resolved = losses({"y": loss})[1]
    resolved = Circular() if loss == "circular" else resolved
    with refusal(
        f"The 'loss__y__beta' parameter must name a parameter of the loss {resolved!r}, which has {has}. "
        "Got 'beta' instead."
    ):
        resolve({"y": loss}, loss__y__beta=1.0)


def test_a_parameter_of_a_loss_is_checked():
    with refusal("The 'delta' parameter of the loss 'huber' must be a positive, finite number. Got -1 instead."):
        resolve("huber", loss__y__delta=-1)


ODD = Columns(("a", "a__b", "1", "delta", "a__delta"))


@pytest.mark.parametrize(
    ("override", "changed"),
    [("loss__a", 0), ("loss__a__b", 1), ("loss__1", 2), ("loss__delta", 3), ("loss__a__delta", 4), ("loss__0", 0)]
    + [("loss__4", 4)],
)
def test_names_with_underscores_or_digits_come_before_positions_and_parameters(override, changed):
    found = losses(columns=ODD, y=np.ones((3, 5)), **{override: "huber"})
    assert found == [Huber() if i == changed else SquaredError() for i in range(5)]
    name = override.replace("loss", "loss_weights")
    assert weights(columns=ODD, y=np.ones((3, 5)), **{name: 2.0}) == [2.0 if i == changed else 1.0 for i in range(5)]


def test_a_parameter_of_a_column_whose_name_has_underscores():
    found = losses("huber", columns=ODD, y=np.ones((3, 5)), loss__a__b__delta=2.0, loss__1__delta=3.0)
    assert found == [Huber(), Huber(2.0), Huber(3.0), Huber(), Huber()]


UNKNOWN = (
    "must name columns of y. Got {!r}, but the columns of y are 'x', 'y', 'w', 'h' and its groups are 'pose', 'size'."
)


@pytest.mark.parametrize(
    ("name", "value", "got"),
    [
        ("loss__z", "huber", "z"),
        ("loss__z__delta", 1.0, "z"),
        ("loss__9", "huber", "9"),
        ("loss_weights__z", 2.0, "z"),
        ("loss_weights__4", 2.0, "4"),
        ("loss_weights__z__q", 2.0, "z__q"),
    ],
)
def test_an_override_of_an_unknown_column_is_refused(name, value, got):
    with pytest.raises(ValueError, match=re.escape(f"The {name!r} parameter {UNKNOWN.format(got)}")):
        resolve(**{name: value})


def test_a_weight_has_no_parameters():
    with pytest.raises(ValueError, match=re.escape(f"The 'loss_weights__x__foo' parameter {UNKNOWN.format('x__foo')}")):
        resolve(loss_weights__x__foo=2.0)


@pytest.mark.parametrize(
    "names",
    [("size", "w"), ("w", "size"), ("w", "2"), ("2", "w"), ("pose", "0")],
    ids=lambda names: " and ".join(names),
)
@pytest.mark.parametrize("parameter", ["loss", "loss_weights"])
def test_two_overrides_of_one_column_are_refused(parameter, names):
    # Whichever came last would win, and the other be ignored.
    value = {"loss": "huber", "loss_weights": 2.0}[parameter]
    twice = {"pose": "x"}.get(names[0], "w")
    with refusal(f"The '{parameter}__<column>' parameter must name each column of y once. Got {twice!r} twice."):
        resolve(**{f"{parameter}__{name}": value for name in names})


def test_two_overrides_of_one_parameter_are_refused():
    with refusal("The 'loss__<column>__delta' parameter must name each column of y once. Got 'w' twice."):
        resolve("huber", loss__size__delta=1.0, loss__w__delta=2.0)


def test_overrides_of_other_columns_or_parameters_pass():
    found = losses(loss__size="huber", loss__w__delta=2.0, loss__h__delta=3.0, loss__x="mae")
    assert found == [AbsoluteError(), SquaredError(), Huber(2.0), Huber(3.0)]
    assert losses({"x": "circular"}, loss__x__period=24, loss__x__low=1.0)[0] == Circular(period=24, low=1.0)


def test_a_parameter_override_of_a_cut_group_is_refused():
    loss = TorchLoss(nn.MSELoss())
    with refusal(
        "The 'loss__pose__delta' parameter must name all columns that share a loss, or none of them. "
        f"Got 'x', 'y', but {loss!r} is one term over 'y', 'w'."
    ):
        resolve({"x": "huber", ("y", "w"): loss}, loss__pose__delta=2.0)
