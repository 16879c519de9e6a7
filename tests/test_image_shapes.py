"""Images are read as what they are, or refused with what to say about them."""

import re

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone

from skmulti import MultiHeadRegressor, MultiOutputCNNRegressor

RNG = np.random.default_rng(0)
COLOURED = RNG.normal(size=(24, 8, 7, 3))
Y = np.column_stack([COLOURED[..., 0].mean(axis=(1, 2)), COLOURED[..., 1].max(axis=(1, 2))])


def default(**params):
    return MultiOutputCNNRegressor(max_epochs=1, random_state=0, **params)


def plain(**params):
    return MultiOutputCNNRegressor((4,), hidden_layer_sizes=(8,), effort=None, max_epochs=1, random_state=0, **params)


def heads(**params):
    return MultiHeadRegressor(trunk="cnn", channels=(4,), max_epochs=1, random_state=0, **params)


def refused(message):
    return pytest.raises(ValueError, match=f"^{re.escape(message)}$")


@pytest.mark.parametrize("make", [default, plain, heads])
@pytest.mark.parametrize(
    ("shape", "params"),
    [
        ((8, 7, 3), {}),
        ((8, 7, 1), {}),
        ((8, 7, 4), {}),
        ((8, 3), {"spatial_dims": 1}),
        ((6, 5, 7, 3), {"spatial_dims": 3}),
        ((8, 7, 3), {"image_shape": (8, 7, 3), "flat": True}),
    ],
    ids=str,
)
def test_a_last_axis_that_looks_like_channels_is_refused_until_it_is_declared(make, shape, params):
    X = RNG.normal(size=(24, *shape))
    if params.pop("flat", False):
        X = X.reshape(24, -1)
        params = {"image_shape": shape}
    message = (
        "The 'channels_last' parameter must be given where the last axis looks like the one of channels. Got rows of "
        f"shape {shape}; use channels_last=True for {shape[-1]} channels, channels_last=False for {shape[0]}."
    )
    with refused(message):
        make(**params).fit(X, Y)
    last, first = (make(channels_last=way, **params).fit(X, Y) for way in (True, False))
    assert n_channels(last) == shape[-1]
    assert n_channels(first) == shape[0]


def n_channels(net):
    return next(parameter.shape[1] for parameter in net.module_.parameters() if parameter.ndim > 2)


@pytest.mark.parametrize("shape", [(3, 8, 3), (1, 8, 4), (3, 8, 7), (5, 8, 7), (8, 7), (8, 3)], ids=str)
def test_channels_come_first_where_nothing_speaks_against_it(shape):
    X = RNG.normal(size=(24, *shape))
    auto, first = (plain(channels_last=way).fit(X, Y) for way in ("auto", False))
    assert_array_equal(auto.predict(X), first.predict(X))
    assert n_channels(auto) == (shape[0] if len(shape) == 3 else 1)


def test_fit_and_clone_leave_the_way_of_reading_as_it_was_given():
    net = default().fit(np.moveaxis(COLOURED, -1, 1), Y)
    assert net.channels_last == clone(net).channels_last == "auto"
    assert net.settings_["channels_last"] is False
    assert clone(default(channels_last=True)).fit(COLOURED, Y).channels_last is True


@pytest.mark.parametrize("value", ["last", None, 2])
def test_a_way_of_reading_that_there_is_not_is_refused(value):
    with pytest.raises(ValueError, match=r"The 'channels_last' parameter of \w+ must be .*Got .* instead\."):
        plain(channels_last=value).fit(COLOURED, Y)


@pytest.mark.parametrize("make", [default, heads])
def test_channels_last_is_refused_where_rows_have_no_channels(make):
    message = (
        "The 'channels_last' parameter must be False or 'auto' where rows have no axis of channels. Got True for rows "
        "of shape (8, 7); use spatial_dims=1 for signals of several channels."
    )
    with refused(message):
        make(channels_last=True).fit(COLOURED[..., 0], Y)
    assert n_channels(make(channels_last=True, spatial_dims=1).fit(COLOURED[..., 0], Y)) == 7


@pytest.mark.parametrize("make", [default, heads])
def test_one_image_is_not_taken_for_signals(make):
    image, y = RNG.normal(size=(8, 8)), RNG.normal(size=8)
    message = (
        "X must be several signals or images. Got one square, which may be an image: use X[None] for one image of "
        "shape (8, 8), spatial_dims=1 for 8 signals of length 8."
    )
    for targets in (y, y[:2]):
        with refused(message):
            make().fit(image, targets)
    make(spatial_dims=1).fit(image, y)


@pytest.mark.parametrize("shape", [(8, 8), (3, 8, 8)], ids=str)
def test_a_single_image_is_led_to_an_axis_of_rows(shape):
    X = RNG.normal(size=(24, *shape))
    net = default().fit(X, Y)
    expected = ", ".join(map(str, shape))
    message = f"X must have shape (n_samples, {expected}), as in fit. Got shape {shape} instead."
    with refused(f"{message} Use X[None] for a single row."):
        net.predict(X[0])
    assert net.predict(X[0][None]).shape == (1, 2)
