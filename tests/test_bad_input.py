"""Invalid parameters and data are refused with a message: what it must be, what was given, the way out."""

import re

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.exceptions import NotFittedError

from skmulti import MultiHeadRegressor, MultiOutputCNNRegressor, MultiOutputMLPRegressor
from skmulti.losses import COLUMN_LOSSES
from skmulti.targets import resolve_groups

NAMES = ["angle", "distance", "area"]
UNKNOWN = "must name columns of y. Got 'distnce', but the columns of y are 'angle', 'distance', 'area'."
RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 3))
Y = pd.DataFrame(X @ [[1, 0, 1], [0, 9, 1], [0, 0, 1]], columns=NAMES)
IMAGES = RNG.normal(size=(20, 1, 8, 8))


def make_net(cls=MultiOutputMLPRegressor, **params):
    return cls(**{"effort": None, "hidden_layer_sizes": (4,), "max_epochs": 1, "random_state": 0, **params})


def refused(message, error=ValueError):
    return pytest.raises(error, match="^" + re.escape(message) + "$")


def a_function(row):
    return row


@pytest.mark.parametrize("effort", [None, "fast"])
@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ("inputs", "'inputs'"),
        (3.5, "3.5"),
        ({1, 2}, "set"),
        (iter([1.0]), "list_iterator"),
        (a_function, "function"),
    ],
    ids=["a word", "a number", "a set", "an iterator", "a function"],
)
def test_other_objects_than_arrays_are_refused(given, kind, effort):
    for args, name in (((given, Y), "X"), ((X, given), "y"), ((X, Y, given), "sample_weight")):
        with refused(
            f"{name} must be an array, a data frame, a tensor or a list of rows. Got {kind} instead.", TypeError
        ):
            make_net(effort=effort).fit(*args)


@pytest.mark.parametrize("fill", [0.0, np.nan])
@pytest.mark.parametrize("effort", [None, "fast"])
def test_data_frames_with_sparse_columns_are_refused_with_the_way_out(effort, fill):
    table = pd.DataFrame(X, columns=["a", "b", "c"])
    table["b"] = table["b"].astype(pd.SparseDtype(float, fill))
    names = {0.0: "0.0"}.get(fill, "nan")
    for args, name in (((table, Y), "X"), ((X, table), "y")):
        message = (
            f"{name}, column 'b', must be dense. Got dtype Sparse[float64, {names}] instead; use the data frame's "
            ".sparse.to_dense()."
        )
        with refused(message):
            make_net(effort=effort).fit(*args)


@pytest.mark.parametrize("effort", [None, "fast"])
def test_rows_of_several_lengths_are_refused(effort):
    ragged = [[1.0], [1.0, 2.0]] * 10
    for args, name in (((ragged, Y), "X"), ((X, ragged), "y"), ((X, Y, ragged), "sample_weight")):
        message = f"{name} must be an array, or a list of rows of numbers of the same length. Got a list that "
        with pytest.raises(ValueError, match="^" + re.escape(message)):
            make_net(effort=effort).fit(*args)


def spoilt(values, at, value):
    values = np.array(values, dtype=float)
    for index in at:
        values[index] = value
    return values


# Columns, losses and weights.


@pytest.mark.parametrize(
    ("parameter", "params"),
    [
        ("loss", {"loss": {"distnce": "huber"}}),
        ("loss_weights", {"loss_weights": {"distnce": 2}}),
        ("loss__distnce", {"loss__distnce": "huber"}),
        ("loss_weights__distnce", {"loss_weights__distnce": 2}),
        ("column_groups", {"column_groups": {"pose": ["angle", "distnce"]}}),
        ("loss", {"loss": {("angle", "distnce"): "huber"}}),
    ],
)
def test_an_unknown_column_is_refused_with_a_suggestion_and_all_names(parameter, params):
    with refused(f"The {parameter!r} parameter {UNKNOWN} Did you mean 'distance'?"):
        make_net(**params).fit(X, Y)


def test_a_column_unlike_any_other_is_refused_without_a_suggestion():
    message = "The 'loss_weights' parameter must name columns of y. Got 'zzz', but the columns of y are "
    with refused(message + "'angle', 'distance', 'area'."):
        make_net(loss_weights={"zzz": 1}).fit(X, Y)
    with refused(message + "'y0', 'y1', 'y2'. y has no column names: use positions."):
        make_net(loss_weights={"zzz": 1}).fit(X, Y.to_numpy())


def test_a_position_out_of_range_is_refused():
    message = (
        "The 'loss' parameter must name columns of y. Got 3, but the columns of y are 'angle', 'distance', 'area'."
    )
    with refused(message):
        make_net(loss={3: "huber"}).fit(X, Y)


def test_a_key_of_another_type_is_refused():
    with refused(
        "The 'loss_weights' parameter must name columns of y by name, position or a tuple of them. "
        "Got the key 1.5 instead."
    ):
        make_net(loss_weights={1.5: 1}).fit(X, Y)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("loss", {"angle": "huber", 0: "squared_error"}),
        ("loss", {("angle", "angle"): "huber"}),
        ("loss_weights", {"angle": 1, -3: 2}),
        ("loss_weights", {("angle", "area"): 1, "angle": 2}),
    ],
)
def test_a_column_named_twice_is_refused(parameter, value):
    with refused(f"The {parameter!r} parameter must name each column of y once. Got 'angle' twice."):
        make_net(**{parameter: value}).fit(X, Y)


def test_another_number_of_losses_than_columns_is_refused():
    with refused("The 'loss' parameter must hold one loss per column of y when it is a sequence: 3. Got 2 instead."):
        make_net(loss=["huber", "squared_error"]).fit(X, Y)


@pytest.mark.parametrize("weights", [[1, 2], [1, 2, 3, 4], 2.0, [[1, 2, 3]]])
def test_another_number_of_weights_than_columns_is_refused(weights):
    with refused(
        "The 'loss_weights' parameter must hold one weight per column of y, shape (3,), or map columns to weights. "
        f"Got {f'shape {np.shape(weights)}' if np.shape(weights) else repr(weights)} instead."
    ):
        make_net(loss_weights=weights).fit(X, Y)


@pytest.mark.parametrize("weight", [-1, -0.5, float("nan"), float("inf"), "2", None, True, 1j], ids=repr)
@pytest.mark.parametrize("form", ["mapping", "sequence", "parameter"])
def test_a_loss_weight_that_is_negative_or_not_finite_is_refused(weight, form):
    params = {
        "mapping": {"loss_weights": {"area": weight}},
        "sequence": {"loss_weights": [1, 1, weight]},
        "parameter": {"loss_weights__area": weight},
    }[form]
    name = "loss_weights__area" if form == "parameter" else "loss_weights"
    with refused(f"The {name!r} parameter must hold finite numbers of 0 or more. Got {weight!r} for 'area' instead."):
        make_net(**params).fit(X, Y)


@pytest.mark.parametrize("weights", [[0, 0, 0], {("angle", "distance", "area"): 0.0}])
def test_loss_weights_of_only_zeros_are_refused(weights):
    with refused(
        "The 'loss_weights' parameter must hold at least one weight above 0. Got only zeros, with which there is "
        "nothing to learn."
    ):
        make_net(loss_weights=weights).fit(X, Y)


@pytest.mark.parametrize("params", [{"loss": "absolut_error"}, {"loss": {"area": "absolut_error"}}])
def test_an_unknown_loss_is_refused_with_a_suggestion_and_all_names(params):
    known = ", ".join(map(repr, COLUMN_LOSSES))
    with refused(
        f"The 'loss' parameter must name a known loss: {known}. Got 'absolut_error' instead. "
        "Did you mean 'absolute_error'?"
    ):
        make_net(**params).fit(X, Y)


@pytest.mark.parametrize("loss", [3, None, dict])
def test_an_invalid_loss_is_refused(loss):
    with refused(
        "The 'loss' parameter must hold names of losses, column losses, torch losses or callables. "
        f"Got {loss!r} instead.",
        TypeError,
    ):
        make_net(loss=loss).fit(X, Y)


def test_an_unknown_parameter_of_a_loss_is_refused():
    with refused(
        "The 'loss__area__dleta' parameter must name a parameter of the loss Huber(delta=1.0), which has 'delta'. "
        "Got 'dleta' instead."
    ):
        make_net(loss="huber", loss__area__dleta=3).fit(X, Y)


def test_heads_that_miss_a_column_are_refused():
    with refused("The 'heads' parameter must give every column of y a head. Got none for 'distance'."):
        make_net(MultiHeadRegressor, heads={"pose": ["angle", "area"]}).fit(X, Y)


@pytest.mark.parametrize("heads", [{"a": ["angle", "area"], "b": ["area", "distance"]}, {"a": ["area", "area"]}])
def test_heads_that_name_a_column_twice_are_refused(heads):
    with refused("The 'heads' parameter must name each column of y once. Got 'area' twice."):
        make_net(MultiHeadRegressor, heads=heads).fit(X, Y)


def test_heads_that_name_an_unknown_column_are_refused():
    with refused(f"The 'heads' parameter {UNKNOWN} Did you mean 'distance'?"):
        make_net(MultiHeadRegressor, heads={"pose": ["angle", "area"], "size": ["distnce"]}).fit(X, Y)


def test_heads_must_be_a_mapping():
    message = "The 'heads' parameter must map names of groups to columns of y. Got ['angle'] instead."
    with refused(message, TypeError):
        make_net(MultiHeadRegressor, heads=["angle"]).fit(X, Y)


# X and y.


@pytest.mark.parametrize("dtype", ["<U1", "object"])
def test_strings_in_an_array_are_refused(dtype):
    with pytest.raises(ValueError, match=re.escape(f"X must hold numbers. Got dtype {dtype}: could not convert")):
        make_net().fit(np.full((20, 3), "a", dtype=dtype), Y)


def test_other_objects_in_an_array_are_refused():
    with pytest.raises(TypeError, match=re.escape("X must hold numbers. Got dtype object: float() argument must be")):
        make_net().fit(np.full((20, 3), {}, dtype=object), Y)


def test_an_object_array_of_numbers_is_accepted():
    assert_same = np.testing.assert_array_equal
    assert_same(make_net().fit(X.astype(object), Y).predict(X), make_net().fit(X, Y).predict(X))


@pytest.mark.parametrize("dtype", ["str", "object", "category", "datetime64[s]"])
@pytest.mark.parametrize("data", ["X", "y"])
def test_a_column_of_a_data_frame_without_numbers_is_named(data, dtype):
    column = pd.Series(["2020-01-01"] * 20).astype(dtype)
    frame = pd.DataFrame(X, columns=["f", "g", "h"]).assign(town=column)
    message = rf"^{data}, column 'town', must hold numbers\. Got dtype {re.escape(str(column.dtype))}"
    with pytest.raises(ValueError, match=message):
        make_net().fit(*((frame, Y) if data == "X" else (X, frame)))


def test_a_string_column_of_a_polars_frame_is_named():
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({"f": X[:, 0], "town": ["Ulm"] * 20})
    with pytest.raises(ValueError, match=re.escape("X, column 'town', must hold numbers. Got dtype String")):
        make_net().fit(frame, Y)


@pytest.mark.parametrize("data", ["X", "y"])
def test_complex_numbers_are_refused(data):
    with refused(f"Complex data not supported. {data} must hold real numbers. Got dtype complex128 instead."):
        make_net().fit(*((X + 1j, Y) if data == "X" else (X, Y.to_numpy() + 1j)))


def test_sparse_inputs_are_refused():
    with pytest.raises(TypeError, match="Sparse data was passed for X, but dense data is required"):
        make_net().fit(sparse.csr_array(X), Y)


def test_sparse_targets_are_refused():
    with refused("y must be dense. Got a sparse csr_array; use y.toarray()."):
        make_net().fit(X, sparse.csr_array(Y.to_numpy()))


@pytest.mark.parametrize(
    ("value", "word"),
    [(np.nan, "NaN"), (np.inf, "infinity or a value too large for float32"), (1e300, "infinity or a value too large")],
)
@pytest.mark.parametrize(("as_frame", "label"), [(False, "column 1"), (True, "'g'")])
def test_inputs_that_are_not_finite_are_counted_by_column(value, word, as_frame, label):
    bad = spoilt(X, [(3, 1), (5, 1), (5, 2)], value)
    bad = pd.DataFrame(bad, columns=["f", "g", "h"]) if as_frame else bad
    other = "'h'" if as_frame else "column 2"
    net = make_net()
    with pytest.raises(
        ValueError, match=f"^Input X contains {word}.*: {label} has 2, {other} has 1. It must be finite"
    ):
        net.fit(bad, Y)
    with pytest.raises(ValueError, match=f"{label} has 2, {other} has 1"):
        make_net().fit(pd.DataFrame(X, columns=["f", "g", "h"]) if as_frame else X, Y).predict(bad)


@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (-np.inf, "infinity or a value too large for float32")])
def test_pixels_that_are_not_finite_are_counted_by_row(value, word):
    bad = spoilt(IMAGES, [(3, 0, 0, 0), (3, 0, 5, 1), (9, 0, 0, 0)], value)
    with refused(f"Input X contains {word}: 3 values in 2 rows. It must be finite throughout."):
        make_net(MultiOutputCNNRegressor).fit(bad, Y)


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e300])
def test_infinite_targets_are_counted_by_column(value):
    bad = Y.assign(area=spoilt(Y["area"], [1, 2, 3], value), angle=spoilt(Y["angle"], [0], value))
    with refused(
        "Input y contains infinity or a value too large for float32: 'angle' has 1, 'area' has 3. "
        "It must be finite throughout."
    ):
        make_net().fit(X, bad)


def test_targets_that_are_nan_are_counted_by_column():
    with refused(
        "Input y contains NaN: 'y1' has 2. It must be finite throughout. "
        "Use missing_targets='mask' to leave missing targets out of the loss."
    ):
        make_net().fit(X, spoilt(Y, [(3, 1), (4, 1)], np.nan))


def test_no_targets_are_refused():
    message = "This MultiOutputMLPRegressor estimator requires y to be passed, but the target y is None."
    with refused(message):
        make_net().fit(X, None)


@pytest.mark.parametrize("shape", [(20, 2, 2), (20, 0), ()])
def test_targets_of_another_number_of_dimensions_are_refused(shape):
    with refused(
        f"y must have shape (n_samples,) or (n_samples, n_columns) with one column or more. Got shape {shape} instead."
    ):
        make_net().fit(X, np.zeros(shape))


@pytest.mark.parametrize("data", ["X", "y"])
def test_a_data_frame_that_names_a_column_twice_is_refused(data):
    frame = pd.DataFrame(X, columns=["a", "b", "a"])
    with refused(f"{data} must name each column once. Got 'a' twice."):
        make_net().fit(*((frame, Y) if data == "X" else (X, frame)))


def test_other_numbers_of_rows_are_refused():
    with refused(
        "X and y must have the same number of rows. "
        "Found input variables with inconsistent numbers of samples: [20, 15]."
    ):
        make_net().fit(X, Y[:15])


@pytest.mark.parametrize("n_rows", [0, 1])
def test_fewer_rows_than_two_are_refused(n_rows):
    with refused(
        f"Found array with {n_rows} sample(s) (shape=({n_rows}, 3)) while a minimum of 2 is required by "
        "MultiOutputMLPRegressor."
    ):
        make_net().fit(X[:n_rows], Y[:n_rows])


def test_an_image_that_the_pooling_makes_empty_is_refused():
    with refused(
        "The 'pool_size' parameter must not exceed the size that reaches its block. Got 3 instead for blocks[1], which "
        "an input of shape (1, 8, 8) reaches with size (2, 2). Give fewer entries in 'channels', a smaller "
        "'pool_size', or pool_size='auto'."
    ):
        make_net(MultiOutputCNNRegressor, pool_size=3).fit(IMAGES, Y)


def test_predicting_before_fit_is_refused():
    with refused(
        "This MultiOutputMLPRegressor instance is not fitted yet. Call 'fit' with appropriate arguments before using "
        "this estimator.",
        NotFittedError,
    ):
        make_net().predict(X)


def test_another_number_of_features_at_predict_is_refused():
    with refused("X has 2 features, but MultiOutputMLPRegressor is expecting 3 features as input."):
        make_net().fit(X, Y).predict(X[:, :2])


@pytest.mark.parametrize("other", [IMAGES[:, :, :6, :6], IMAGES[:, 0], X])
def test_another_image_size_at_predict_is_refused(other):
    net = make_net(MultiOutputCNNRegressor, channels=(2,)).fit(IMAGES, Y)
    with refused(f"X must have shape (n_samples, 1, 8, 8), as in fit. Got shape {other.shape} instead."):
        net.predict(other)


def test_images_are_refused_by_an_mlp():
    with refused("X must have shape (n_samples, 3), as in fit. Got shape (20, 1, 8, 8) instead."):
        make_net().fit(X, Y).predict(IMAGES)


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "smooth_l1", "log_cosh", "quantile"])
def test_a_constant_column_is_predicted_as_the_constant(loss):
    net = make_net(loss=loss).fit(X, Y.assign(distance=7.25))
    np.testing.assert_array_equal(net.predict(X)[:, 1], np.full(20, 7.25))


def test_a_constant_angle_is_learned():
    net = make_net(loss="circular", max_epochs=300, lr=0.01).fit(X, np.full(20, 7.25))
    np.testing.assert_allclose(net.predict(X), 7.25, atol=2)


def test_validation_targets_that_a_loss_refuses_are_refused():
    net = make_net(loss="poisson")
    counts = np.arange(20.0)
    message = "Column 'y0 of y_val' has 1 value that is negative, the first: -1."
    with refused(f"The loss 'poisson' requires targets of 0 or more. {message}"):
        net.fit(X, counts, X_val=X[:2], y_val=[1.0, -1.0])


@pytest.mark.parametrize("effort", [None, "fast"])
@pytest.mark.parametrize("parameter", ["callbacks__nobody", "callbacks__nobody__patience"])
def test_a_parameter_of_an_unknown_callback_is_refused(parameter, effort):
    net = make_net(effort=effort, **{parameter: None})
    message = (
        f"^The {parameter!r} parameter must name a callback of this net: 'epoch_timer', .*Got 'nobody' instead\\.$"
    )
    with pytest.raises(ValueError, match=message):
        net.fit(X, Y)


@pytest.mark.parametrize("effort", [None, "fast"])
def test_an_optimizer_that_does_not_take_its_parameters_is_refused(effort):
    must = "The 'optimizer' parameter must be a class of torch.optim.Optimizer that takes the parameters of the module"
    for params, message, error in (
        ({"optimizer": int}, f"{must} and lr=0.1. int refused: ", TypeError),
        (
            {"optimizer__eps": -1.0},
            "The 'optimizer__eps' parameter must be valid for Adam. Got lr=0.1, optimizer__eps=-1.0; Adam raised: "
            "Invalid epsilon value: -1.0",
            ValueError,
        ),
    ):
        net = make_net(**{"effort": effort, "lr": 0.1, "optimizer": torch.optim.Adam, **params})
        with pytest.raises(error, match="^" + re.escape(message)):
            net.fit(X, Y)
    with pytest.raises(
        TypeError, match=r"^The 'optimizer' parameter must be a class of torch\.optim\.Optimizer\. Got "
    ):
        make_net(effort=effort, optimizer=lambda params, lr: params).fit(X, Y)


@pytest.mark.parametrize("empty", [Y[[]], np.empty((20, 0))], ids=["data frame", "array"])
def test_targets_without_columns_are_refused(empty):
    message = (
        "y must have shape (n_samples,) or (n_samples, n_columns) with one column or more. Got shape (20, 0) instead."
    )
    with refused(message):
        make_net().fit(X, empty)


def test_structured_arrays_are_refused_with_the_way_out():
    records = pd.DataFrame(X, columns=list("abc")).to_records(index=False)
    message = (
        "X must be an array of one dtype. Got a structured array with the fields 'a', 'b', 'c'; use "
        "pandas.DataFrame(X), or numpy.lib.recfunctions.structured_to_unstructured(X)."
    )
    with refused(message, TypeError):
        make_net().fit(records, Y)
    with refused(message.replace("X", "y"), TypeError):
        make_net().fit(X, records)


def test_a_data_loader_is_refused_with_arguments_of_every_method():
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.as_tensor(X)))
    message = (
        "X must be an array, a data frame, a tensor or a list of rows. Got DataLoader of torch instead; use arrays or "
        "tensors of its inputs and its targets, fit(X, y) and predict(X)."
    )
    with refused(message, TypeError):
        make_net().fit(X, Y).predict(loader)


def test_loss_weights_in_a_series_are_found_by_name():
    net = make_net(loss_weights=pd.Series({"area": 9.0, "angle": 1.0, "distance": 2.0})).fit(X, Y)
    assert [term.weight for term in net.terms_] == [1.0, 2.0, 9.0]
    with refused(UNKNOWN.replace("must", "The 'loss_weights' parameter must") + " Did you mean 'distance'?"):
        make_net(loss_weights=pd.Series({"distnce": 9.0})).fit(X, Y)


def test_a_set_of_columns_is_a_group_in_the_order_of_y():
    assert resolve_groups(NAMES, {"both": {"distance", "angle"}}, parameter="heads").groups == {"both": (0, 1)}
