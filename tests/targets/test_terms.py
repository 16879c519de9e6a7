"""`loss` and `loss_weights` resolved into a table of terms."""

import re
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from skmulti.losses import (
    AbsoluteError,
    Circular,
    ColumnLoss,
    Huber,
    LogCosh,
    Quantile,
    SmoothL1,
    SquaredError,
    TorchLoss,
)
from skmulti.targets.columns import Columns, resolve_groups
from skmulti.targets.terms import resolve_terms

NAMES = ("x", "y", "w", "h")
COLUMNS = resolve_groups(NAMES, {"pose": ["x", "y"], "size": ["w", "h"]}, parameter="column_groups")
Y = np.arange(12.0).reshape(3, 4)


def resolve(loss="squared_error", loss_weights=None, columns=COLUMNS, y=Y, heads=None, **overrides):
    return resolve_terms(loss, loss_weights, columns, y[:, : len(columns)], overrides=overrides, heads=heads)


def losses(*args, **kwargs):
    return [term.loss for term in resolve(*args, **kwargs)]


def weights(*args, **kwargs):
    return [term.weight for term in resolve(*args, **kwargs)]


def refusal(message):
    return pytest.raises(ValueError, match=f"^{re.escape(message)}$")


@pytest.mark.parametrize("loss", ["absolute_error", "mae", AbsoluteError, AbsoluteError(), np.str_("l1")], ids=repr)
def test_one_loss_applies_to_all_columns(loss):
    terms = resolve(loss)
    assert [term.loss for term in terms] == [AbsoluteError()] * 4
    assert [term.name for term in terms] == list(NAMES)
    assert [term.columns for term in terms] == [(0,), (1,), (2,), (3,)]
    assert [term.raw for term in terms] == [(0,), (1,), (2,), (3,)]
    assert [term.weight for term in terms] == [1.0] * 4


@pytest.mark.parametrize("kind", [list, tuple, np.array], ids=lambda kind: kind.__name__)
def test_a_sequence_of_losses_is_by_position(kind):
    found = losses(kind(["huber", "squared_error", "l1", "log_cosh"]))
    assert found == [Huber(), SquaredError(), AbsoluteError(), LogCosh()]


@pytest.mark.parametrize(
    "loss",
    [
        {"y": "huber", "h": "mae"},
        {1: "huber", -1: "mae"},
        {-1: "mae", np.int64(-3): "huber"},
        {("y",): "huber", 3: AbsoluteError},
        MappingProxyType({"h": "mae", "y": Huber()}),
    ],
    ids=repr,
)
def test_columns_outside_of_a_mapping_take_the_squared_error(loss):
    assert losses(loss) == [SquaredError(), Huber(), SquaredError(), AbsoluteError()]


@pytest.mark.parametrize("key", ["size", ("w", "h"), (2, 3), (-1, "w")], ids=repr)
def test_a_key_for_several_columns_gives_one_term_per_column(key):
    terms = resolve({key: "huber"})
    assert [term.name for term in terms] == list(NAMES)
    assert [term.loss for term in terms] == [SquaredError(), SquaredError(), Huber(), Huber()]


@pytest.mark.parametrize(
    ("key", "columns", "name"),
    [("size", (2, 3), "size"), (("w", "h"), (2, 3), "size"), (("h", "w"), (3, 2), "h+w"), ((1, 2), (1, 2), "y+w")],
)
def test_a_torch_loss_over_a_group_is_one_term(key, columns, name):
    terms = resolve({key: nn.MSELoss})
    group = next(term for term in terms if len(term.columns) == 2)
    assert isinstance(group.loss, TorchLoss)
    assert (group.name, group.columns) == (name, columns)
    assert len(terms) == 3
    assert sorted(c for term in terms for c in term.columns) == [0, 1, 2, 3]


def test_a_torch_loss_alone_is_one_term_over_all_columns():
    (term,) = resolve(nn.MSELoss())
    assert (term.columns, term.raw, term.weight) == ((0, 1, 2, 3), (0, 1, 2, 3), 1.0)


def test_a_torch_loss_in_a_sequence_takes_its_column():
    assert [term.columns for term in resolve([nn.MSELoss(), "huber", nn.L1Loss, "mse"])] == [(0,), (1,), (2,), (3,)]


def test_terms_are_in_the_order_of_their_first_columns():
    terms = resolve({("h", "x"): nn.MSELoss, "w": "huber"})
    assert [term.columns for term in terms] == [(1,), (2,), (3, 0)]
    assert [term.raw for term in terms] == [(0,), (1,), (2, 3)]


def test_several_raw_outputs_of_a_term_shift_those_of_later_terms():
    terms = resolve({"y": "circular", "h": Circular(period=24)})
    assert [term.raw for term in terms] == [(0,), (1, 2), (3,), (4, 5)]
    assert [term.loss for term in terms][1::2] == [Circular(low=0.0), Circular(period=24, low=0.0)]


def test_losses_adapt_to_their_columns():
    y = Y.copy()
    y[0, 3] = -1
    assert losses({"y": "circular", "h": "circular"}, y=y)[1::2] == [Circular(low=0.0), Circular(low=-180.0)]


def test_raw_outputs_are_in_the_order_of_the_heads():
    terms = resolve({"y": "circular"}, heads=[(3, 1), (2,), (0,)])
    assert {term.name: term.raw for term in terms} == {"y": (0, 1), "h": (2,), "w": (3,), "x": (4,)}


@settings(deadline=None)
@given(st.permutations(range(4)), st.lists(st.integers(0, 3), max_size=3, unique=True))
def test_raw_outputs_are_each_used_once_whatever_the_heads(order, cuts):
    heads = [tuple(part) for part in np.split(np.array(order), sorted(cuts)) if len(part)]
    raw = [i for term in resolve(["circular", "mse", "huber", "circular"], heads=heads) for i in term.raw]
    assert sorted(raw) == list(range(6))


def test_a_loss_over_two_heads_is_refused():
    loss = TorchLoss(nn.MSELoss())
    with refusal(
        f"The 'heads' parameter must keep the columns of one loss in one head. Got {loss!r} over 'x', 'w', "
        "of which only some are in the head of 'x', 'y'."
    ):
        resolve({("x", "w"): loss}, heads=[(0, 1), (2, 3)])


class Pair(ColumnLoss):
    n_columns = 2

    def row_loss(self, raw, y):
        return (raw - y).norm(dim=-1)

    def __repr__(self):
        return "Pair()"


def test_a_loss_of_two_columns_takes_two():
    terms = resolve({"pose": Pair()})
    assert [term.columns for term in terms] == [(0, 1), (2,), (3,)]
    with refusal("The loss Pair() takes 2 columns. Got 1: 'x'."):
        resolve({"x": Pair})
    with refusal("The loss Pair() takes 2 columns. Got 4: 'x', 'y', 'w', 'h'."):
        resolve(Pair())


@pytest.mark.parametrize("loss", [["mse"], ["mse"] * 5, [], ("mse", "mae")], ids=repr)
def test_another_number_of_losses_is_refused(loss):
    with refusal(
        f"The 'loss' parameter must hold one loss per column of y when it is a sequence: 4. Got {len(loss)} instead."
    ):
        resolve(loss)


@pytest.mark.parametrize("parameter", ["loss", "loss_weights"])
@pytest.mark.parametrize(("keys", "twice"), [(("x", 0), "'x'"), (("pose", "y"), "'y'"), ((("w", "h"), -1), "'h'")])
def test_a_column_named_twice_is_refused(parameter, keys, twice):
    values = dict.fromkeys(keys, "mae" if parameter == "loss" else 2.0)
    with refusal(f"The {parameter!r} parameter must name each column of y once. Got {twice} twice."):
        resolve(**{parameter: values})


@pytest.mark.parametrize("parameter", ["loss", "loss_weights"])
def test_an_unknown_column_is_refused_with_the_known_names(parameter):
    with refusal(
        f"The {parameter!r} parameter must name columns of y. Got 'hh', but the columns of y are 'x', 'y', 'w', 'h' "
        "and its groups are 'pose', 'size'. Did you mean 'h'?"
    ):
        resolve(**{parameter: {"hh": "mae" if parameter == "loss" else 2.0}})


@pytest.mark.parametrize(
    "given",
    [[1, 2, 0, 0.5], (1.0, 2.0, 0.0, 0.5), np.array([1, 2, 0, 0.5]), pd.Series([1, 2, 0, 0.5])]
    + [{"y": 2, "w": 0, "h": 0.5}, {1: 2, (2,): np.float32(0), -1: 0.5}]
    + [pd.Series({"h": 0.5, "w": 0, "y": 2})],
    ids=lambda given: type(given).__name__,
)
def test_loss_weights_by_position_or_by_name(given):
    assert weights(loss_weights=given) == [1.0, 2.0, 0.0, 0.5]


def test_a_loss_weight_of_a_group_applies_to_each_of_its_terms():
    assert weights(loss_weights={"size": 3.0}) == [1.0, 1.0, 3.0, 3.0]
    assert weights({"size": nn.MSELoss}, {"size": 3.0}) == [1.0, 1.0, 3.0]
    assert weights({"size": nn.MSELoss}, [1, 2, 3, 3]) == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("given", [[1, 2, 3], [1] * 5, 2.0, [[1, 2, 3, 4]], "abcd"], ids=repr)
def test_another_number_of_weights_is_refused(given):
    with refusal(
        "The 'loss_weights' parameter must hold one weight per column of y, shape (4,), or map columns to weights. "
        f"Got {f'shape {np.shape(given)}' if np.shape(given) else repr(given)} instead."
    ):
        resolve(loss_weights=given)


@pytest.mark.parametrize("weight", [-1, np.nan, np.inf, -np.inf, "2", None, True], ids=repr)
@pytest.mark.parametrize("form", ["sequence", "mapping", "override"])
def test_a_negative_or_non_finite_loss_weight_is_refused(weight, form):
    given = {
        "sequence": {"loss_weights": [1, weight, 1, 1]},
        "mapping": {"loss_weights": {"y": weight}},
        "override": {"loss_weights__y": weight},
    }[form]
    name = "loss_weights__y" if form == "override" else "loss_weights"
    with refusal(f"The {name!r} parameter must hold finite numbers of 0 or more. Got {weight!r} for 'y' instead."):
        resolve(**given)


def test_loss_weights_that_are_all_zero_are_refused():
    with refusal(
        "The 'loss_weights' parameter must hold at least one weight above 0. Got only zeros, with which there is "
        "nothing to learn."
    ):
        resolve(loss_weights=[0, 0, 0, 0])


def test_columns_of_one_term_have_one_loss_weight():
    loss = TorchLoss(nn.MSELoss())
    with refusal(
        f"The 'loss_weights' parameter must give one weight to the columns that share the loss {loss!r}. "
        "Got 3 for 'w', 4 for 'h'."
    ):
        resolve({"size": loss}, [1, 2, 3, 4])
    shared = (
        f"must name all columns that share a loss, or none of them. Got 'w', but {loss!r} is one term over 'w', 'h'."
    )
    with refusal(f"The 'loss_weights' parameter {shared}"):
        resolve({"size": loss}, {"w": 2.0})
    with refusal(f"The 'loss_weights__w' parameter {shared}"):
        resolve({"size": loss}, loss_weights__w=2.0)
    with refusal(f"The 'loss__w' parameter {shared}"):
        resolve({"size": loss}, loss__w="huber")


def test_terms_are_resolved_from_columns_alone():
    assert [term.name for term in resolve(columns=Columns(("a", "b")))] == ["a", "b"]
    assert losses(["huber", SmoothL1(2.0)], columns=Columns(("a", "b"))) == [Huber(), SmoothL1(2.0)]
    assert losses(Quantile(0.9), columns=Columns(("a",))) == [Quantile(0.9)]
