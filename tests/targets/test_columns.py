"""The lookup of columns of y by name, group or position."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skmulti.targets.columns import Columns, resolve_groups

COLUMNS = Columns(("x", "y", "w", "h"), {"size": (2, 3), "pose": (1, 0), "w": (2,)})


def refusal(message):
    return pytest.raises(ValueError, match=f"^{re.escape(message)}$")


@pytest.mark.parametrize(
    ("key", "positions"),
    [
        ("x", (0,)),
        ("h", (3,)),
        (0, (0,)),
        (-1, (3,)),
        (-4, (0,)),
        (np.int64(2), (2,)),
        ("size", (2, 3)),
        ("pose", (1, 0)),
        (("x", "h"), (0, 3)),
        (("h", "x"), (3, 0)),
        ((0, -1), (0, 3)),
        (("x", "size"), (0, 2, 3)),
        (("x", 1, -2), (0, 1, 2)),
        (("y",), (1,)),
        (("x", ("y", "w")), (0, 1, 2)),
    ],
)
def test_a_key_finds_its_columns(key, positions):
    assert COLUMNS.find(key, parameter="loss") == positions


@settings(deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=4, unique=True), st.data())
def test_names_positions_and_negative_positions_are_equivalent(positions, data):
    key = tuple(data.draw(st.sampled_from([i, i - 4, COLUMNS.names[i]])) for i in positions)
    assert COLUMNS.find(key, parameter="loss") == tuple(positions)


@pytest.mark.parametrize(
    ("key", "hint"),
    [("z", ""), (4, ""), (-5, ""), ("sizes", " Did you mean 'size'?"), ("pos", " Did you mean 'pose'?"), ("", "")],
)
def test_an_unknown_key_is_refused_with_the_known_names(key, hint):
    message = (
        f"The 'loss' parameter must name columns of y. Got {key!r}, but the columns of y are 'x', 'y', 'w', 'h' "
        f"and its groups are 'size', 'pose', 'w'.{hint}"
    )
    for wrong in (key, ("x", key)):
        with refusal(message):
            COLUMNS.find(wrong, parameter="loss")


def test_the_message_without_groups_names_only_columns():
    with refusal("The 'heads' parameter must name columns of y. Got 'z', but the columns of y are 'a', 'b'."):
        Columns(("a", "b")).find("z", parameter="heads")


@pytest.mark.parametrize("key", [None, 1.0, True, (), ["x"], {"x"}, np.array([0])], ids=repr)
def test_an_invalid_key_is_refused(key):
    with refusal(
        "The 'loss' parameter must name columns of y by name, position or a tuple of them. "
        f"Got the key {key!r} instead."
    ):
        COLUMNS.find(key, parameter="loss")


@pytest.mark.parametrize(
    ("key", "twice"), [(("x", "x"), "'x'"), (("x", 0), "'x'"), (("w", "size"), "'w'"), (("size", 2, -1), "'w', 'h'")]
)
def test_a_tuple_names_a_column_once(key, twice):
    with refusal(f"The 'loss' parameter must name each column of y once. Got {twice} twice."):
        COLUMNS.find(key, parameter="loss")


@pytest.mark.parametrize(
    ("positions", "label"),
    [((0,), "x"), ((2,), "w"), ((2, 3), "size"), ((1, 0), "pose"), ((0, 1), "x+y"), ((0, 2, 3), "x+w+h")],
)
def test_a_label_is_the_name_of_the_column_or_group(positions, label):
    assert COLUMNS.label(positions) == label


def test_groups_are_given_as_names_positions_or_tuples():
    columns = resolve_groups(
        ["x", "y", "w", "h"],
        {"pose": ["x", "y"], "size": (2, -1), "all": range(4), "x": "x", "tall": "h"},
        parameter="column_groups",
    )
    assert columns.groups == {"pose": (0, 1), "size": (2, 3), "all": (0, 1, 2, 3), "x": (0,), "tall": (3,)}
    assert columns.names == ("x", "y", "w", "h")
    assert len(columns) == 4


def test_a_group_may_be_an_array_of_names_or_positions():
    groups = {"a": np.array(["x", "y"]), "b": np.array([2, 3]), "c": 1}
    assert resolve_groups(list("xywh"), groups, parameter="heads").groups == {"a": (0, 1), "b": (2, 3), "c": (1,)}


def test_no_groups_give_an_empty_mapping():
    assert resolve_groups(["x"], None, parameter="heads") == Columns(("x",))


@pytest.mark.parametrize("groups", [["x"], "x", 3, {1: ["x"]}, {("a",): ["x"]}], ids=repr)
def test_groups_must_map_names(groups):
    message = f"The 'heads' parameter must map names of groups to columns of y. Got {groups!r} instead."
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        resolve_groups(["x", "y"], groups, parameter="heads")


def test_a_group_must_not_be_named_as_another_column():
    with refusal(
        "The 'heads' parameter must not name a group as another column of y. Got the group 'x' of the columns 'x', 'y'."
    ):
        resolve_groups(["x", "y"], {"x": ["x", "y"]}, parameter="heads")


@pytest.mark.parametrize("members", [[], (), {}], ids=repr)
def test_an_empty_group_is_refused(members):
    with refusal("The 'heads' parameter must give each group a column. Got none for 'none'."):
        resolve_groups(["x", "y"], {"none": members}, parameter="heads")


def test_a_group_names_known_columns_once():
    with refusal("The 'heads' parameter must name each column of y once. Got 'x' twice."):
        resolve_groups(["x", "y"], {"a": ["x", -2]}, parameter="heads")
    with refusal("The 'heads' parameter must name columns of y. Got 'z', but the columns of y are 'x', 'y'."):
        resolve_groups(["x", "y"], {"a": ["x", "z"]}, parameter="heads")
