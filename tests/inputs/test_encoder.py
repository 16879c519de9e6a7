"""Preprocessing inside of the net: scaling, imputation, one-hot encoding and piecewise-linear encoding."""

import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from skorch.dataset import Dataset

from skmulti import MultiHeadRegressor, MultiOutputCNNRegressor, MultiOutputMLPRegressor
from skmulti.inputs.categories import TableEncoder
from skmulti.inputs.encoder import InputEncoder
from skmulti.inputs.piecewise_linear import PiecewiseLinear
from skmulti.model_selection import BatchedGridSearchCV
from skmulti.targets.quantiles import interpolated_quantiles

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
Y = np.column_stack([X[:, 0] + X[:, 1], np.abs(X[:, 2])])


def make_net(**params):
    return MultiOutputMLPRegressor(**{"effort": "fast", "max_epochs": 3, "n_members": 2, "random_state": 0, **params})


def encoded(table, scale=True):
    return np.asarray(InputEncoder.of_table(np.asarray(table, float), scale=scale).transform(np.asarray(table, float)))


def frame(n=60):
    return pd.DataFrame(
        {
            "size": np.where(np.arange(n) % 7 == 0, np.nan, X[:n, 0]),
            "colour": pd.Categorical(np.where(X[:n, 1] > 0, "red", "blue")),
            "place": np.where(X[:n, 2] > 0, "north", "south"),
            "is_new": X[:n, 3] > 0,
            "count": np.arange(n),
        }
    )


# The encoder.


@given(st.floats(-6, 6), st.floats(-1e3, 1e3))
def test_columns_of_any_unit_have_mean_0_and_deviation_1(power, shift):
    values = encoded(10.0**power * (X + shift))
    assert_allclose(values.mean(axis=0), 0, atol=1e-5)
    assert_allclose(values.std(axis=0), 1, atol=1e-4)


def test_constant_and_duplicate_columns_are_dropped():
    table = np.column_stack([X[:, 0], np.full(60, 3.0), X[:, 0], X[:, 1], np.full(60, 1e6)])
    assert encoded(table).shape == (60, 2)


def test_a_table_of_constants_keeps_one_input():
    assert_array_equal(encoded(np.full((5, 3), 7.0)), np.zeros((5, 1)))


def test_a_missing_value_is_imputed_by_the_median_with_an_indicator():
    table = X.copy()
    table[:5, 1] = np.nan
    values = encoded(table, scale=False)
    assert_allclose(values[:5, 1], np.median(X[5:, 1]), rtol=1e-6)
    assert_array_equal(values[:, 4], np.arange(60) < 5)


def test_values_missing_only_in_predict_are_imputed():
    encoder = InputEncoder.of_table(X, scale=False)
    later = X[:2].copy()
    later[0, 2] = np.nan
    assert_allclose(encoder.transform(later)[0, 2], np.median(X[:, 2]), rtol=1e-6)


def test_a_column_without_any_value_is_dropped():
    assert encoded(np.column_stack([X[:, 0], np.full(60, np.nan)])).shape == (60, 1)


@given(st.floats(1, 1e300), st.booleans())
def test_inputs_far_outside_the_training_range_are_clipped(size, below):
    encoder = InputEncoder.of_table(X, scale=True)
    far = np.full((1, 4), -size if below else size)
    seen = encoder.transform(X)
    width = np.ptp(seen, axis=0)
    value = encoder.transform(far)
    assert np.isfinite(value).all()
    assert (value >= seen.min(axis=0) - width).all()
    assert (value <= seen.max(axis=0) + width).all()
    assert_allclose(encoder.transform(X), seen)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=20))
def test_bins_are_monotonic(values):
    encoding = PiecewiseLinear.fit(X[:, :1].astype("float32"))
    bins = np.asarray(encoding.transform(np.sort(np.array(values, dtype="float32"))[:, None]))
    assert bins.shape[1] == encoding.n_encoded
    assert (np.diff(bins, axis=0) >= 0).all()


def test_a_bin_rises_only_above_the_previous_bin():
    encoding = PiecewiseLinear.fit(X[:, :1])
    low, high = (encoding.transform(np.array([[value]]))[0, 1:] for value in (-100.0, 100.0))
    filled = (encoding.transform(X[:, :1])[:, 1:] - low) / (high - low)
    assert ((filled > -1e-9) & (filled < 1 + 1e-9)).all()
    assert ((filled[:, 1:] < 1e-9) | (filled[:, :-1] > 1 - 1e-9)).all()
    # The edges are quantiles: each bin has the same number of rows, within one.
    reached = (filled > 1 - 1e-9).sum(axis=0)
    assert np.ptp(np.diff(np.concatenate([[60], reached]))) <= 1


@given(st.floats(0.01, 100), st.floats(-100, 100))
def test_bins_do_not_depend_on_the_unit(factor, shift):
    bins, other = (PiecewiseLinear.fit(table).transform(table)[:, 4:] for table in (X, factor * X + shift))
    assert_allclose(bins, other, atol=1e-6)
    assert_allclose(bins.mean(axis=0), 0, atol=1e-9)
    assert_allclose(bins.std(axis=0), bins.std(), rtol=1e-9)


def test_a_negated_column_has_a_negated_encoding():
    assert_allclose(encoded(-X), -encoded(X), atol=1e-6)


def test_nets_in_double_precision_have_inputs_in_double_precision():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        net = make_net().fit(X, Y)
        assert net._encoded(X).dtype == np.float64
        assert {parameter.dtype for parameter in net.module_.parameters()} == {torch.float64}
        assert net.predict(X).shape == (60, 2)
    finally:
        torch.set_default_dtype(before)


def test_bins_are_constant_outside_the_training_range():
    encoding = PiecewiseLinear.fit(X.astype("float32"))
    ends, beyond = (encoding.transform(np.full((1, 4), value, "float32"))[:, 4:] for value in (X.max(), 100.0))
    assert_array_equal(ends, beyond)


def test_a_column_of_two_values_has_no_bins():
    encoding = PiecewiseLinear.fit(np.column_stack([X[:, 0], X[:, 1] > 0]).astype("float32"))
    assert [len(edges) for edges in encoding.edges] == [9, 0]


# Nets.


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_a_scaler_in_front_changes_nothing(unit):
    table = unit * np.column_stack([X, np.exp(X[:, 0]), np.ones(60)])
    alone = make_net().fit(table, Y)
    behind = make_pipeline(StandardScaler(), make_net()).fit(table, Y)
    assert_allclose(behind.predict(table), alone.predict(table), rtol=1e-3, atol=1e-3)


def test_the_units_of_columns_do_not_matter():
    units = np.array([1e-6, 1.0, 1e6, 1e12])
    assert_allclose(make_net().fit(X * units, Y).predict(X * units), make_net().fit(X, Y).predict(X), atol=1e-3)


def test_whole_numbers_far_from_zero_keep_their_digits():
    table = np.column_stack([2**40 + np.arange(60), X[:, 0]])
    encoder = make_net().fit(table, Y).input_encoder_
    assert len(np.unique(encoder.transform(table)[:, 0])) == 60


def test_later_missing_values_are_imputed_in_every_method():
    gaps = X.copy()
    gaps[:3, 1] = np.nan
    gaps[2:6, 3] = np.nan
    net = make_net().fit(X, Y, X_val=gaps, y_val=Y)
    full = np.where(np.isnan(gaps), np.median(X, axis=0), gaps)
    for reads in (net, net.members_[0]):
        assert_allclose(reads.predict(gaps), reads.predict(full), rtol=1e-5, atol=1e-6)
    assert np.isfinite(net.score(gaps, Y))
    assert np.isfinite(net.partial_fit(gaps, Y).predict(gaps)).all()


@given(st.permutations(range(60)))
@settings(max_examples=10, deadline=None)
def test_the_encoder_does_not_depend_on_the_order_of_rows(order):
    table = X.copy()
    table[:5, 1] = np.nan
    one, other = (InputEncoder.of_table(rows, scale=True).transform(table) for rows in (table, table[list(order)]))
    assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize(
    "grid",
    [
        {"max_epochs": [1, 2]},
        {"missing_inputs": ["impute"], "scale_inputs": [False, True]},
        {"numeric_embedding": [None, "mixed", "piecewise_linear"]},
    ],
    ids=str,
)
def test_searches_take_data_frames_with_categories_and_missing_values(library, grid):
    table = frame() if library == "pandas" else pl.DataFrame(frame().to_dict("list"))
    ours, theirs = (search(make_net(), grid, cv=2).fit(table, Y) for search in (BatchedGridSearchCV, GridSearchCV))
    assert_allclose(ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"], rtol=1e-3)
    assert ours.sequential_fits_ == {}


def test_pipelines_and_cross_validation_take_raw_data_frames():
    behind = make_pipeline(FunctionTransformer(), make_net()).fit(frame(), Y)
    assert_array_equal(behind.predict(frame()), make_net().fit(frame(), Y).predict(frame()))
    assert np.isfinite(cross_val_predict(make_net(), frame(), Y, cv=3)).all()


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("boolean", [True, False, None]),
        ("Int64", [1, 2, None]),
        ("Float64", [1.5, 2.5, None]),
        ("string", ["a", "b", None]),
        ("category", ["a", "b", None]),
    ],
)
def test_every_kind_of_missing_value_is_recognised(kind, values):
    table = pd.DataFrame({"x": pd.array(values * 20, dtype=kind)})
    net = make_net(numeric_embedding=None).fit(table, Y)
    inputs = net._encoded(net._check_inputs(table))
    assert len(np.unique(inputs, axis=0)) == 3
    assert np.isfinite(net.predict(table)).all()


@pytest.mark.parametrize("kind", [pl.String, pl.Categorical, pl.Enum(["u", "w"])], ids=str)
def test_strings_of_polars_are_categories(kind):
    table = pl.DataFrame({"a": [1.0, None, 3.0] * 20, "b": ["u", None, "w"] * 20, "c": [True, False, None] * 20})
    table = table.with_columns(pl.col("b").cast(kind))
    net = make_net().fit(table, Y)
    assert net.table_encoder_.categorical == [1]
    assert_allclose(net.predict(table[:2]), net.predict(table)[:2])


def test_a_numbered_category_is_the_same_whether_others_are_missing_or_not():
    gaps = pd.DataFrame({"kind": pd.Series([1.0, 2.0, np.nan] * 20, dtype="category")})
    encoder = TableEncoder.fit(gaps)
    whole = pd.DataFrame({"kind": pd.Series([1, 2], dtype="category")})
    assert_array_equal(encoder.transform(whole), encoder.transform(gaps[:2]))
    assert_array_equal(encoder.transform(whole).sum(axis=1), [1, 1])


def test_a_data_frame_of_categories_alone_is_accepted():
    table = pd.DataFrame({"kind": ["a", "b"] * 30})
    y = np.where(table["kind"] == "a", 1.0, 5.0) + 0.01 * X[:, 0]
    assert make_net(max_epochs=20, n_members=4).fit(table, y).score(table, y) > 0.9


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_data_frame_with_categories_booleans_and_missing_values_is_accepted(library):
    table = frame() if library == "pandas" else pl.DataFrame(frame().to_dict("list"))
    net = make_net(max_epochs=20, n_members=4).fit(table, Y)
    assert net.score(table, Y) > 0.3
    assert list(net.feature_names_in_) == ["size", "colour", "place", "is_new", "count"]
    assert net.n_features_in_ == 5
    assert_allclose(net.predict(table[:3]), net.predict(table)[:3], rtol=1e-5)


def test_unseen_and_missing_categories_are_accepted_in_predict():
    net = make_net().fit(frame(), Y)
    later = frame(3)
    later["place"] = ["west", None, np.nan]
    later["colour"] = pd.Categorical(["green", None, "red"])
    assert np.isfinite(net.predict(later)).all()


def test_missing_values_form_a_category():
    table = pd.DataFrame({"kind": ["a", None, "b", np.nan], "x": [1.0, 2.0, 3.0, 4.0]})
    coded = TableEncoder.fit(table).transform(table)
    assert coded.shape == (4, 4)
    assert_array_equal(coded[1, 1:], coded[3, 1:])


def test_numbers_of_object_dtype_are_numeric():
    table = pd.DataFrame({"x": np.array([1, 2.5, None], dtype=object)})
    assert not TableEncoder.is_for(table)


def test_infrequent_categories_are_merged():
    table = pd.DataFrame({"kind": [f"k{i}" for i in range(80)]})
    assert TableEncoder.fit(table).transform(table).shape[1] <= 50


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (lambda t: t.drop(columns="size"), "feature names should match"),
        (lambda t: t.rename(columns={"size": "length"}), "feature names should match"),
        (lambda t: t[["colour", "size", "place", "is_new", "count"]], "feature names.*same order"),
        (lambda t: t.assign(count="many"), "could not convert string to float"),
        (lambda t: t.assign(count=np.inf), "infinity"),
    ],
    ids=["absent", "renamed", "in another order", "strings for numbers", "infinite"],
)
def test_other_columns_than_in_fit_are_refused(changed, message):
    net = make_net().fit(frame(), Y)
    with pytest.raises(ValueError, match=rf"(?s){message}"):
        net.predict(changed(frame()))


def test_missing_values_and_categories_are_refused_without_the_parameters():
    gaps = X.copy()
    gaps[3, 1] = np.nan
    for net in (make_net(missing_inputs="error"), make_net(effort=None, n_members=1)):
        with pytest.raises(ValueError, match=re.escape("missing_inputs='impute'")):
            net.fit(gaps, Y)
    with pytest.raises(ValueError, match=r"column 'colour', must hold numbers.*categorical_inputs='one_hot'"):
        make_net(categorical_inputs="error").fit(frame().drop(columns="size"), Y)


def test_missing_values_beside_categories_are_refused_with_the_way_out():
    with pytest.raises(ValueError, match=r"NaN: 'size' has 9.*missing_inputs='impute'"):
        make_net(missing_inputs="error").fit(frame(), Y)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (lambda t: t.assign(count=pd.date_range("2020", periods=60)), "X, column 'count', must hold numbers.*datetime"),
        (lambda t: t.assign(count=1j), "X, column 'count', must hold real numbers"),
        (lambda t: t.rename(columns={"count": "size"}), "X must name each column once. Got 'size' twice"),
    ],
    ids=["dates", "complex", "a name twice"],
)
def test_columns_that_are_neither_categories_nor_numbers_are_named(changed, message):
    with pytest.raises(ValueError, match=message):
        make_net().fit(changed(frame()), Y)


def test_impute_alone_does_not_scale_columns():
    gaps = X.copy()
    gaps[3, 1] = np.nan
    net = MultiOutputMLPRegressor(effort=None, missing_inputs="impute", max_epochs=1, random_state=0).fit(gaps, Y)
    assert net.module_.hidden[0].in_features == 5
    assert np.isfinite(net.predict(gaps)).all()


# Images and signals.

IMAGES = (RNG.normal(size=(20, 3, 6, 5)) * [[[1e-3]], [[1.0]], [[1e4]]] + 7).astype("float32")


@pytest.mark.parametrize(
    ("images", "params", "axis"),
    [
        (IMAGES, {}, 1),
        (np.moveaxis(IMAGES, 1, -1), {"channels_last": True}, 3),
        (IMAGES[:, :, 0], {"spatial_dims": 1}, 1),
        (IMAGES[:, 1], {}, None),
        (IMAGES[:, 1, 0], {}, None),
        (IMAGES[:, 1].reshape(20, -1), {"image_shape": (6, 5)}, None),
        (IMAGES[:, None], {"spatial_dims": 3}, 1),
    ],
    ids=["channels first", "channels last", "signals", "one channel", "plain signals", "flat", "volumes"],
)
def test_each_channel_is_scaled(images, params, axis):
    net = MultiOutputCNNRegressor(max_epochs=1, random_state=0, **params).fit(images, Y[:20])
    values = np.asarray(net.input_encoder_.transform(images), dtype=float)
    others = tuple(i for i in range(images.ndim) if i != axis)
    assert values.shape == images.shape
    assert_allclose(values.mean(axis=others), 0, atol=1e-2)
    assert_allclose(values.std(axis=others), 1, atol=1e-2)
    assert np.isfinite(net.predict(images)).all()


@pytest.mark.parametrize(
    ("images", "params"),
    [
        (IMAGES[:, 1], {}),
        (IMAGES[:, 1, 0], {}),
        (IMAGES[:, 1].reshape(20, -1), {"image_shape": (6, 5)}),
        (IMAGES, {}),
    ],
    ids=["images", "signals", "flat", "channels"],
)
@pytest.mark.parametrize("cls", [MultiOutputCNNRegressor, MultiHeadRegressor])
def test_constant_pixels_are_encoded_as_zeros(images, params, cls):
    images = images.copy()
    images[..., :2] = 7
    params = {**params, "trunk": "cnn"} if cls is MultiHeadRegressor else params
    net = cls(effort="fast", n_members=1, max_epochs=1, random_state=0, **params).fit(images, Y[:20])
    values = np.asarray(net.input_encoder_.transform(images))
    assert values.shape == images.shape
    # One scale for all places of a channel: what was equal is.
    assert (np.ptp(values[..., :2], axis=(0, -1)) < 1e-6).all()
    assert np.isfinite(net.predict(images)).all()


def test_a_search_over_channel_axes_scales_the_channels_of_each_candidate():
    images, y = IMAGES[:, :, 0], Y[:20]
    net = MultiOutputCNNRegressor(max_epochs=3, random_state=0)
    grid = {"spatial_dims": [2, 1]}
    ours, theirs = (search(net, grid, cv=2).fit(images, y) for search in (BatchedGridSearchCV, GridSearchCV))
    assert_allclose(ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"], rtol=1e-4)


@pytest.mark.parametrize("missing_inputs", ["auto", "error"])
def test_missing_values_in_images_are_refused(missing_inputs):
    images = IMAGES[:, 1, 0].copy()
    images[2, 3] = np.nan
    with pytest.raises(ValueError, match="Input X contains NaN") as raised:
        MultiOutputCNNRegressor(missing_inputs=missing_inputs, max_epochs=1).fit(images, Y[:20])
    assert "missing_inputs" not in str(raised.value)


@pytest.mark.parametrize(
    ("images", "params"),
    [
        (IMAGES, {"image_shape": (3, 6, 5)}),
        (np.moveaxis(IMAGES, 1, -1), {"image_shape": (6, 5, 3), "channels_last": True}),
        (IMAGES[:, :, 0], {"image_shape": (3, 5), "spatial_dims": 1}),
    ],
    ids=["channels first", "channels last", "signals"],
)
@pytest.mark.parametrize("cls", [MultiOutputCNNRegressor, MultiHeadRegressor])
def test_flat_images_are_scaled_and_learned_as_those_in_shape(images, params, cls):
    params = {**params, "effort": None, "scale_inputs": True, "max_epochs": 2, "random_state": 0}
    params |= {"trunk": "cnn"} if cls is MultiHeadRegressor else {}
    whole, flat = (cls(**params).fit(X, Y[:20]) for X in (images, images.reshape(20, -1)))
    values = whole.input_encoder_.transform(images).reshape(20, -1)
    assert_array_equal(flat.input_encoder_.transform(images.reshape(20, -1)), values)
    assert_allclose(flat.predict(images.reshape(20, -1)), whole.predict(images), rtol=1e-5)


def test_images_of_one_value_stay_finite():
    net = MultiOutputCNNRegressor(max_epochs=1, random_state=0).fit(np.ones((10, 4, 4)), Y[:10])
    assert np.isfinite(net.predict(np.zeros((2, 4, 4)))).all()


def test_dates_are_refused_without_advice_for_categories():
    table = frame().assign(day=pd.date_range("2026-01-01", periods=60))
    with pytest.raises(
        ValueError, match=r"column 'day', must hold numbers\. Got dtype datetime64.*ColumnTransformer\.$"
    ):
        make_net().fit(table, Y)


def test_a_skorch_dataset_is_encoded_like_its_inputs():
    net = make_net().fit(1000 * X, Y)
    assert_array_equal(net.predict(Dataset(1000 * X)), net.predict(1000 * X))


def test_flat_images_are_not_encoded_as_a_table_by_multi_head_nets():
    flat = IMAGES.reshape(20, -1)
    net = MultiHeadRegressor(trunk="cnn", image_shape=(3, 6, 5), effort="fast", max_epochs=1).fit(flat, Y[:20])
    assert not hasattr(net, "members_")
    assert net.settings_["early_stopping"] is False


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_a_net_of_a_data_frame_with_categories_takes_rows_as_lists_and_refuses_what_is_no_table():
    table = frame().assign(size=X[:, 0])
    net = make_net().fit(table, Y)
    assert_array_equal(net.predict(table.to_numpy().tolist()[:5]), net.predict(table.to_numpy()[:5]))
    for values in ({"size": 1.0}, None, 3, "rows", [], [[1.0], [1.0, 2.0]], iter([1]), table["size"], torch.ones(2, 2)):
        message = (
            "X must be a data frame with the columns of fit, or an array of shape (n_samples, n_features) with their "
            f"values. Got {type(values).__name__} instead."
        )
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            net.predict(values)


# Weights of rows.


COUNTS = np.random.default_rng(1).integers(0, 4, 60)


def with_gaps():
    table = X.copy()
    table[::7, 1] = np.nan
    table[3:9, 2] = np.nan
    return table


def both_fits(table, counts, factor=1.0, **params):
    """Return a net of weighted rows, and one of rows that are repeated as often, in double precision."""
    params = {"effort": None, "batch_size": -1, "max_epochs": 3, "random_state": 0, **params}
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        net = MultiOutputCNNRegressor(**params) if table.ndim > 2 else MultiOutputMLPRegressor(**params)
        return (
            net.fit(table, Y, sample_weight=factor * counts).predict(table),
            clone(net).fit(table.repeat(counts, axis=0), Y.repeat(counts, axis=0)).predict(table),
        )
    finally:
        torch.set_default_dtype(before)


@pytest.mark.parametrize("factor", [1.0, 0.3, 7.0])
@pytest.mark.parametrize("numeric_embedding", [None, "piecewise_linear"])
def test_weighted_rows_are_scaled_imputed_and_binned_as_repeated_ones(numeric_embedding, factor):
    params = {"scale_inputs": True, "missing_inputs": "impute", "numeric_embedding": numeric_embedding}
    weighted, repeated = both_fits(with_gaps(), COUNTS, factor, **params)
    assert_allclose(weighted, repeated, rtol=1e-9)


def test_columns_that_are_not_scaled_are_imputed_by_weighted_medians():
    weighted, repeated = both_fits(with_gaps(), COUNTS, scale_inputs=False, missing_inputs="impute")
    assert_allclose(weighted, repeated, rtol=1e-9)


def test_weighted_images_are_scaled_as_repeated_ones():
    images = np.random.default_rng(0).normal(size=(60, 2, 6, 6)) + np.arange(60)[:, None, None, None] / 10
    weighted, repeated = both_fits(images, COUNTS, scale_inputs=True, channels=(2,))
    assert_allclose(weighted, repeated, rtol=1e-9)


def test_rows_of_weight_zero_do_not_affect_the_default():
    table, wild = with_gaps(), with_gaps()
    keep = np.arange(60) % 5 > 0
    wild[~keep] = 1e6
    net = MultiOutputMLPRegressor(max_epochs=2, random_state=0)
    weighted = clone(net).fit(wild, Y, sample_weight=3.0 * keep)
    assert_array_equal(weighted.predict(table), net.fit(table[keep], Y[keep]).predict(table))


def test_sample_weights_per_column_weight_inputs_by_their_mean():
    of_columns = np.column_stack([COUNTS, 3 * COUNTS[::-1]])
    given = {"missing_inputs": "impute", "effort": None, "max_epochs": 1, "scale_inputs": True}
    encoders = [
        MultiOutputMLPRegressor(**given).fit(X, Y, sample_weight=weight).input_encoder_
        for weight in (of_columns, of_columns.mean(axis=1))
    ]
    assert_allclose(encoders[0].transform(X), encoders[1].transform(X), rtol=1e-6)


@given(
    st.lists(st.tuples(st.floats(-1e3, 1e3), st.integers(1, 5)), min_size=2, max_size=30),
    st.floats(1e-3, 1e3),
    st.lists(st.floats(0, 1), min_size=1, max_size=5),
)
def test_interpolated_quantiles_of_weights_are_those_of_repeated_values(pairs, unit, levels):
    values, counts = np.array(pairs).T
    # Only ratios count.
    counts /= np.gcd.reduce(counts.astype(int))
    levels = np.array(levels)
    found = interpolated_quantiles(values[:, None], levels, unit * counts)[:, 0]
    assert_allclose(found, np.quantile(values.repeat(counts.astype(int)), levels), rtol=1e-9, atol=1e-9)


@given(st.lists(st.floats(0.1, 10), min_size=2, max_size=30), st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_interpolated_quantiles_of_any_weights_lie_near_the_distribution_function(weights, levels):
    weights, levels = np.array(weights), np.array(levels)
    values = np.arange(len(weights), dtype=float)
    found = interpolated_quantiles(values[:, None], levels, weights)[:, 0]
    below = np.array([weights[values < value].sum() for value in found])
    upto = np.array([weights[values <= np.ceil(value)].sum() for value in found])
    slack = weights.max() + weights.min()
    assert (below <= levels * weights.sum() + slack).all()
    assert (upto >= levels * weights.sum() - slack).all()
