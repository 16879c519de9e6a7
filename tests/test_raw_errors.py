"""Former errors of other libraries are messages: what it must be, what was given, the way out."""

import re

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from skmulti import (
    MultiHeadRegressor,
    MultiOutputCNNRegressor,
    MultiOutputMLPRegressor,
    MultiOutputNetRegressor,
)
from skmulti.metrics import column_scorers
from skmulti.model_selection import BatchedGridSearchCV

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 3))
Y = RNG.normal(size=(20, 2))
FRAME = pd.DataFrame(X, columns=list("abc"))
ROWS = TensorDataset(torch.tensor(X), torch.tensor(Y))
ONE_ROW = np.eye(20)[0]


def default(**params):
    return MultiOutputMLPRegressor(**{"n_members": 2, "max_epochs": 1, "random_state": 0, **params})


def plain(**params):
    return MultiOutputMLPRegressor(**{"effort": None, "max_epochs": 1, "random_state": 0, **params})


def stand_in(library, name):
    """Return an object that looks like one of a library, which need not be installed."""
    return type(name, (), {"__module__": f"{library}.inside", "__len__": lambda self: 20, "shape": (20, 3)})()


def refused(message, error=ValueError):
    return pytest.raises(error, match=re.escape(message))


SUPPORTED = "must be an array, a data frame, a tensor or a list of rows. Got "
PARTS = "use arrays or tensors of its inputs and its targets, fit(X, y) and predict(X)."
CONTAINERS = {
    "lazy frame": (
        lambda: pytest.importorskip("polars").DataFrame(X).lazy(),
        "LazyFrame of polars instead; use {0}.collect().",
    ),
    "arrow table": (lambda: stand_in("pyarrow", "Table"), "Table of pyarrow instead; use {0}.to_pandas()."),
    "hugging face": (lambda: stand_in("datasets", "Dataset"), "Dataset of datasets instead; use {0}.to_pandas()."),
    "torch dataset": (lambda: ROWS, f"TensorDataset of torch instead; {PARTS}"),
    "torch loader": (lambda: DataLoader(ROWS), f"DataLoader of torch instead; {PARTS}"),
    "matrix": (lambda: X.view(np.matrix), "matrix of numpy instead; use np.asarray({0})."),
}  # fmt: skip


@pytest.mark.parametrize("make", [default, plain])
@pytest.mark.parametrize("kind", CONTAINERS)
def test_data_of_other_libraries_are_refused_with_the_conversion(make, kind):
    build, message = CONTAINERS[kind]
    fitted = make().fit(X, Y)
    for fit, name in [
        (lambda: make().fit(build(), Y), "X"),
        (lambda: make().fit(build(), None), "X"),
        (lambda: make().fit(X, build()), "y"),
        (lambda: make().fit(X, Y, X_val=build(), y_val=Y), "X_val"),
        (lambda: make().fit(X, Y, sample_weight=build()), "sample_weight"),
        (lambda: fitted.score(X, build()), "y"),
    ]:
        with refused(f"{name} {SUPPORTED}{message.format(name)}", TypeError):
            fit()
    if not kind.startswith("torch"):
        # Callbacks of skorch predict for data sets of torch.
        with refused(f"X {SUPPORTED}{message.format('X')}", TypeError):
            fitted.predict(build())


@pytest.mark.parametrize("make", [default, plain])
def test_strings_as_sample_weights_are_refused(make):
    with refused("sample_weight must be an array, a data frame, a tensor or a list of rows. Got 'balanced'", TypeError):
        make().fit(X, Y, sample_weight="balanced")


@pytest.mark.parametrize("make", [default, plain])
@pytest.mark.parametrize(
    "values",
    [pd.period_range("2020", periods=20, freq="D"), pd.arrays.IntervalArray.from_breaks(range(21))],
    ids=["period", "interval"],
)
def test_a_column_of_periods_or_intervals_is_named(make, values):
    with refused(f"X, column 'when', must hold numbers. Got dtype {values.dtype} instead. Encode it first"):
        make().fit(FRAME.assign(when=values), Y)
    with refused(f"y, column 'when', must hold numbers. Got dtype {values.dtype} instead."):
        make().fit(X, pd.DataFrame(Y).assign(when=values))


def test_unequal_numbers_of_rows_name_both():
    with refused("X and y must have the same number of rows. Found input variables with"):
        default().fit(X, Y[:15])
    with refused("X_val and y_val must have the same number of rows."):
        default().fit(X, Y, X_val=X, y_val=Y[:3])


@pytest.mark.parametrize("make", [default, plain])
def test_half_precision_tensors_are_accepted(make):
    half, targets = torch.tensor(X).bfloat16(), torch.tensor(Y).bfloat16()
    net = make().fit(half, targets)
    np.testing.assert_array_equal(net.predict(half), make().fit(half.float(), targets.float()).predict(half.float()))


@pytest.mark.parametrize("make", [default, plain])
@pytest.mark.parametrize(
    ("given", "message"),
    [
        (X[:, :2], "X_val has 2 features, but MultiOutputMLPRegressor is expecting 3 features as input."),
        (X[0], "X_val: Expected 2D array, got 1D array instead"),
        (X[:0], "X_val: Found array with 0 sample(s)"),
    ],
)
def test_errors_of_validation_rows_name_their_argument(make, given, message):
    with refused(message):
        make().fit(X, Y, X_val=given, y_val=Y[: len(given)])
    with refused("X_val: The feature names should match"):
        make().fit(FRAME, Y, X_val=FRAME.rename(columns={"a": "z"}), y_val=Y)


@pytest.mark.parametrize("make", [default, plain])
def test_weights_that_leave_one_row_are_refused(make):
    message = "The 'sample_weight' parameter must leave two rows or more with a weight above zero, and a target. Got 1."
    with refused(message):
        make().fit(X, Y, sample_weight=ONE_ROW)
    holes = np.where(ONE_ROW[:, None] > 0, Y, np.nan)
    with refused("y must leave two rows or more with a target. Got 1."):
        make(missing_targets="mask").fit(X, holes)


@pytest.mark.parametrize("make", [default, plain])
@pytest.mark.parametrize("form", [sparse.csr_array, sparse.csr_matrix, sparse.coo_array])
def test_sparse_inputs_are_refused_with_the_conversion(make, form):
    message = "X must be dense: X.toarray(), or what OneHotEncoder(sparse_output=False) gives. Sparse data was"
    with refused(message, TypeError):
        make().fit(form(X), Y)
    with refused(message, TypeError):
        make().fit(X, Y).predict(form(X))


class Fixed(nn.Module):
    """A network with sizes that do not depend on the data."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, rows):
        return self.layer(rows)


@pytest.mark.parametrize("n_members", [1, 2])
def test_a_module_for_other_inputs_is_refused_with_their_shape(n_members):
    message = "The 'module' parameter must be a network that takes batches of rows of shape (3,). torch says: "
    with refused(message) as caught:
        MultiOutputNetRegressor(Fixed(nn.Linear(5, 2)), n_members=n_members, max_epochs=1).fit(X, Y)
    assert str(caught.value).endswith("a module whose __init__ has a parameter 'input_shape' is given this shape.")
    images = RNG.normal(size=(20, 3, 6, 6))
    with refused("The 'module' parameter must be a network that takes batches of rows of shape (3, 6, 6)."):
        MultiOutputNetRegressor(Fixed(nn.Conv2d(1, 2, 6)), n_members=n_members, max_epochs=1).fit(images, Y)


@pytest.mark.parametrize("make", [default, plain])
def test_batch_normalisation_of_one_row_is_refused(make):
    net = make(normalization="batch").fit(X, Y)
    before = net.predict(X)
    with refused(
        "The 'batch_size' parameter must give batches of two rows or more to batch normalisation. Got a batch"
    ):
        net.set_params(batch_size=1).fit(X, Y)
    np.testing.assert_array_equal(net.predict(X), before)


@pytest.mark.parametrize("make", [default, plain])
def test_a_net_trimmed_for_prediction_can_be_cloned(make):
    net = make(callbacks=[]).fit(X, Y)
    given, y_pred = net.get_params(deep=False), net.predict(X)
    net.trim_for_prediction()
    assert net.get_params(deep=False) == given
    np.testing.assert_array_equal(net.predict(X), y_pred)
    np.testing.assert_array_equal(clone(net).fit(X, Y).predict(X), y_pred)


@pytest.mark.parametrize("columns", [4, None, 2.5], ids=str)
def test_scorers_of_invalid_columns_are_refused(columns):
    with refused(f"The 'columns' parameter must be a sequence of column names. Got {columns!r} instead.", TypeError):
        column_scorers(columns)


def test_layers_left_at_auto_are_those_of_the_default():
    images = RNG.normal(size=(20, 6, 6))
    for cls, data in [(MultiOutputCNNRegressor, images), (MultiHeadRegressor, X)]:
        auto, given = (
            cls(max_epochs=1, random_state=0, **params).fit(data, Y) for params in ({"hidden_layer_sizes": "auto"}, {})
        )
        np.testing.assert_array_equal(auto.predict(data), given.predict(data))


class Mine(MultiOutputMLPRegressor):
    pass


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ({"epochs": 3}, "Give Mine(max_epochs=3) to the constructor."),
        ({"batch_size": 8}, "Give Mine(batch_size=8) to the constructor."),
        ({"X_vall": X}, "Did you mean 'X_val'?"),
        ({"nonsense": 1}, "It has X, y, sample_weight, "),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_an_unknown_argument_is_refused_with_its_right_place(method, given, hint):
    name = next(iter(given))
    with refused(f"Mine.{method}() got an unexpected keyword argument {name!r}. {hint}", TypeError):
        getattr(Mine(max_epochs=1), method)(X, Y, **given)


@pytest.mark.parametrize("search", [GridSearchCV, BatchedGridSearchCV])
@pytest.mark.parametrize("make", [default, plain])
def test_a_mistyped_prefix_is_refused_by_the_search(search, make):
    message = "^The 'loss_weight__y0' parameter bears a prefix that is none of loss, loss_weights, .*"
    with pytest.raises(ValueError, match=message + re.escape("Did you mean 'loss_weights__y0'?")):
        search(make(), {"loss_weight__y0": [1, 2]}, cv=2).fit(X, Y)
    with pytest.raises(ValueError, match=message):
        make().set_params(loss_weight__y0=1)


def test_accelerate_is_refused():
    mixin = pytest.importorskip("skorch.hf").AccelerateMixin

    class Accelerated(mixin, MultiOutputMLPRegressor):
        def __init__(self, accelerator=None, **prefix__params):
            super().__init__(accelerator=accelerator, **prefix__params)

    class Accelerator:
        device = "cpu"

        def prepare(self, *parts):
            return parts[0] if len(parts) == 1 else parts

    with refused("Accelerated must not inherit from skorch's AccelerateMixin", TypeError):
        Accelerated(Accelerator(), max_epochs=1).fit(X, Y)
