"""One-hot encoding of data frames: strings that are numbers, and cells that hold several values."""

import re

import numpy as np
import pandas as pd
import polars as pl
import pytest

from skmulti import MultiOutputMLPRegressor
from skmulti.inputs.categories import TableEncoder

X = np.random.default_rng(0).normal(size=(40, 2))


def make_net(**params):
    return MultiOutputMLPRegressor(**{"effort": "fast", "max_epochs": 1, "random_state": 0, **params})


@pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])
def test_strings_that_are_numbers_are_encoded_with_a_warning(library):
    table = library.DataFrame({"size": [f"{value}" for value in X[:, 0]], "count": range(40)})
    message = (
        "X, column 'size', has strings of which 40 of 40 are numbers; they are one-hot encoded. For numbers use "
        'astype(float); for categories use astype("category"), which silences this warning.'
    )
    with pytest.warns(UserWarning, match=f"^{re.escape(message)}$"):
        make_net().fit(table, X)


def test_a_placeholder_among_numbers_is_shown_in_the_warning():
    table = pd.DataFrame({"size": [*X[:39, 0], "?"]}, dtype=object)
    with pytest.warns(UserWarning, match=r"has strings of which 39 of 40 are numbers, all but '\?'; .* by NaN; "):
        assert TableEncoder.fit(table).categorical == [0]


@pytest.mark.parametrize(
    "values",
    [pd.Categorical(["1", "2"] * 20), ["1", "a"] * 20, [None] * 39 + ["a"]],
    ids=["a categorical dtype", "half of them", "missing"],
)
def test_categories_are_encoded_without_a_warning(values):
    assert TableEncoder.fit(pd.DataFrame({"kind": values})).categorical == [0]


@pytest.mark.parametrize("value", [[1, 2], {"a": 1}, np.ones(2)], ids=["list", "dict", "ndarray"])
def test_a_cell_with_several_values_is_refused(value):
    table = pd.DataFrame({"size": [1.0] * 5, "kind": ["a", "b", "a", value, "b"]})
    with pytest.raises(ValueError, match=r"^X, column 'kind', must hold one number or one category .* in row 3: "):
        make_net().fit(table, X[:5])


@pytest.mark.parametrize("kind", [["a", "b"] * 20, list(range(40))], ids=["with categories", "without"])
def test_a_string_in_a_column_that_held_numbers_in_fit_is_refused_with_advice_for_that(kind):
    table = pd.DataFrame({"size": X[:, 0], "kind": kind})
    net = make_net().fit(table, X)
    table = table.astype({"size": object})
    table.loc[3, "size"] = "large"
    message = (
        "X, column 'size', which held numbers in fit, must hold numbers. Got dtype object: could not convert string to "
        "float: 'large'. Convert it to numbers, with NaN for missing values."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        net.predict(table)
