"""The convolutional network."""

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional
from torch.testing import assert_close

from skmulti.modules import CNN
from skmulti.modules._layers import ACTIVATIONS

from .test_mlp import assert_copies_are_equal, assert_vmap_equals_a_loop, copy_parameters, normal


def same_parameters(first, second):
    second.load_state_dict(first.state_dict())
    return first, second


def test_forward_and_gradients_equal_those_of_a_handwritten_net():
    net = CNN((3, 28, 28), 4, channels=(16, 32), hidden_layer_sizes=(128,))
    by_hand = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 7 * 7, 128),
        nn.ReLU(),
        nn.Linear(128, 4),
    )
    copy_parameters(net, by_hand)
    X = normal(6, 3, 28, 28)
    for model in (net, by_hand):
        model(X).square().sum().backward()
    assert_close(net(X), by_hand(X))
    for a, b in zip(net.parameters(), by_hand.parameters(), strict=True):
        assert_close(a.grad, b.grad)


@pytest.mark.parametrize("shape", [(1,), (2,), (3,), (5, 7), (1, 1), (3, 17, 9), (1, 28, 28), (2, 1, 6), 8])
@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("normalization", [None, "batch", "layer"])
def test_any_size_works_in_training_and_for_one_row_in_eval(shape, pooling, normalization):
    net = CNN(shape, 4, (4, 4, 4), pooling=pooling, normalization=normalization)
    X = normal(3, *net.input_shape)
    assert net(X).shape == (3, 4)
    net.eval()
    assert_close(net(X[:1]), net(X)[:1])


@given(
    size=st.lists(st.integers(1, 20), min_size=1, max_size=3),
    n_channels=st.integers(1, 3),
    n_blocks=st.integers(0, 4),
    kernel_size=st.integers(1, 5),
    channels_last=st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_any_size_channels_and_kernel_give_the_output_shape(size, n_channels, n_blocks, kernel_size, channels_last):
    shape = (*size, n_channels) if channels_last else (n_channels, *size)
    net = CNN(
        shape,
        2,
        (2,) * n_blocks,
        kernel_size,
        hidden_layer_sizes=(3,),
        channels_last=channels_last,
        spatial_dims=len(size),
    )
    assert net(torch.zeros(2, *shape)).shape == (2, 2)


@given(
    size=st.lists(st.integers(1, 20), min_size=1, max_size=2),
    pool_sizes=st.lists(st.integers(1, 3), max_size=3),
)
@settings(deadline=None, max_examples=60)
def test_a_pool_size_gives_the_output_shape_or_is_refused(size, pool_sizes):
    smallest, fits = min(size), True
    for pool in pool_sizes:
        fits, smallest = fits and pool <= smallest, smallest // pool
    channels = (2,) * len(pool_sizes)
    if fits:
        net = CNN(tuple(size), 2, channels, pool_size=pool_sizes)
        assert net(torch.zeros(2, *size)).shape == (2, 2)
    else:
        with pytest.raises(ValueError, match="The 'pool_size' parameter must not exceed"):
            CNN(tuple(size), 2, channels, pool_size=pool_sizes)


@pytest.mark.parametrize(
    ("params", "conv", "pool"),
    [
        ({"input_shape": (8,)}, nn.Conv1d, nn.MaxPool1d),
        ({"input_shape": (8, 8)}, nn.Conv2d, nn.MaxPool2d),
        ({"input_shape": (3, 8, 8)}, nn.Conv2d, nn.MaxPool2d),
        ({"input_shape": (3, 8), "spatial_dims": 1}, nn.Conv1d, nn.MaxPool1d),
        ({"input_shape": (4, 8, 8), "spatial_dims": 3}, nn.Conv3d, nn.MaxPool3d),
        ({"input_shape": (3, 4, 8, 8), "spatial_dims": 3}, nn.Conv3d, nn.MaxPool3d),
    ],
)
def test_the_shape_and_spatial_dims_choose_the_kind_of_convolution(params, conv, pool):
    net = CNN(n_outputs=2, channels=(5,), **params)
    assert [type(layer) for layer in net.blocks[0]] == [conv, nn.ReLU, pool]
    assert net.blocks[0][0].in_channels == (3 if params["input_shape"][0] == 3 else 1)
    assert net(normal(2, *params["input_shape"])).shape == (2, 2)


@pytest.mark.parametrize("shape", [(3, 7, 5), (1, 4, 4)])
def test_channels_last_equals_the_permuted_channels_first(shape):
    c, h, w = shape
    first, last = same_parameters(CNN(shape, 2), CNN((h, w, c), 2, channels_last=True))
    X = normal(4, *shape)
    assert_close(last(X.permute(0, 2, 3, 1)), first(X))


def test_channels_last_leaves_an_image_of_one_channel_as_it_is():
    first, last = same_parameters(CNN((7, 5), 2), CNN((7, 5), 2, channels_last=True))
    X = normal(4, 7, 5)
    assert_close(last(X), first(X))


@pytest.mark.parametrize(
    "params",
    [
        {"image_shape": (3, 7, 5)},
        {"image_shape": (7, 5)},
        {"image_shape": (7, 5, 3), "channels_last": True},
        {"image_shape": (3, 7), "spatial_dims": 1},
        {"image_shape": (6,)},
    ],
)
def test_flattened_rows_equal_rows_in_their_image_shape(params):
    shape = params["image_shape"]
    options = {name: value for name, value in params.items() if name != "image_shape"}
    X = normal(4, *shape)
    flat = X.flatten(1)
    deep, unflattened = same_parameters(CNN(shape, 2, **options), CNN(flat.shape[1:], 2, **params))
    assert_close(unflattened(flat), deep(X))


def test_an_image_shape_that_rows_already_have_changes_nothing():
    plain, named = same_parameters(CNN((3, 7, 5), 2), CNN((3, 7, 5), 2, image_shape=(3, 7, 5)))
    X = normal(4, 3, 7, 5)
    assert_close(named(X), plain(X))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_acts_in_the_blocks_and_the_hidden_layers(activation):
    net = CNN((4, 4), 2, (3,), hidden_layer_sizes=5, activation=activation)
    act = ACTIVATIONS[activation]()
    X = normal(3, 4, 4)
    features = functional.max_pool2d(act(net.blocks[0][0](X[:, None])), 2).flatten(1)
    assert_close(net(X), net.output(act(net.hidden[0](features))))


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("kernel_size", [2, 4])
def test_an_even_kernel_pads_as_torch_pads_same(kernel_size):
    net = CNN((6, 5), 2, (3,), kernel_size)
    X = normal(3, 1, 6, 5)
    pad, conv = net.blocks[0][:2]
    expected = functional.conv2d(X, conv.weight, conv.bias, padding="same")
    assert_close(conv(pad(X)), expected)


def test_kernel_and_pool_sizes_may_differ_between_blocks():
    net = CNN((12, 12), 2, (3, 4), kernel_size=(5, 3), pool_size=(3, 1))
    assert net.blocks[0][0].kernel_size == (5, 5)
    assert net.blocks[1][0].kernel_size == (3, 3)
    assert [len(block) for block in net.blocks] == [3, 2]
    assert net.hidden[0].in_features == 4 * 4 * 4


def test_average_pooling_averages():
    net = CNN((4,), 1, (2,), pooling="average")
    net.blocks[0][1] = nn.Identity()
    X = normal(3, 4)
    pooled = net.blocks[0][0](X[:, None]).reshape(3, 2, 2, 2).mean(dim=-1)
    assert_close(net.blocks(X[:, None]), pooled)


@pytest.mark.parametrize(("normalization", "layer"), [("batch", nn.BatchNorm2d), ("layer", nn.GroupNorm)])
def test_normalization_stands_between_convolution_and_activation(normalization, layer):
    net = CNN((3, 8, 8), 2, (5,), normalization=normalization, dropout=0.5)
    kinds = [type(module) for module in net.blocks[0]]
    assert kinds == [nn.Conv2d, layer, nn.ReLU, nn.MaxPool2d]
    assert type(net.hidden[-1]) is nn.Dropout


def test_group_normalization_has_one_group():
    block = CNN((3, 8, 8), 2, (5,), normalization="layer").blocks[0]
    rows = block[1](block[0](normal(4, 3, 8, 8))).flatten(1)
    assert_close(rows.mean(dim=1), torch.zeros(4), atol=1e-5, rtol=0)


def test_pickle_deepcopy_and_state_dict_keep_the_outputs():
    assert_copies_are_equal(lambda: CNN((3, 8, 8), 2, normalization="batch"), normal(8, 3, 8, 8))


@pytest.mark.parametrize("normalization", [None, "layer"])
def test_many_nets_run_at_once_under_vmap(normalization):
    params = {"image_shape": (3, 4, 4), "normalization": normalization}
    assert_vmap_equals_a_loop(lambda: CNN(48, 2, **params), normal(5, 48))


@pytest.mark.parametrize("shape", [(5, 3, 8, 9), (3, 8, 8), (5, 192)])
def test_rows_of_another_shape_are_refused(shape):
    message = f"The input must have shape (n_samples, 3, 8, 8). Got {shape} instead."
    with pytest.raises(ValueError, match="^" + re.escape(message) + "$"):
        CNN((3, 8, 8), 2)(torch.zeros(shape))


POOL = "The 'pool_size' parameter must not exceed the size that reaches its block. "
WAYS_OUT = "Give fewer entries in 'channels', a smaller 'pool_size', or pool_size='auto'."
AXES = "parameter must have 2 axes, or 3 with the channels, for 2 spatial axes."
SET = "Set 'spatial_dims' to 1 for signals, 2 for images or 3 for volumes, or 'image_shape' for flattened rows."
SIZES = "parameter must be a positive int or a sequence of"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"input_shape": (5, 7), "channels": (4, 4, 4), "pool_size": 2},
            f"{POOL}Got 2 instead for blocks[2], which an input of shape (5, 7) reaches with size (1, 1). {WAYS_OUT}",
        ),
        (
            {"input_shape": 64, "image_shape": (8, 8), "pool_size": (2, 5)},
            f"{POOL}Got 5 instead for blocks[1], which an input of shape (8, 8) reaches with size (4, 4). {WAYS_OUT}",
        ),
        ({"pool_size": (2, 2, 2)}, f"The 'pool_size' {SIZES} 2 of them. Got (2, 2, 2) instead."),
        (
            {"pool_size": "atuo"},
            "The 'pool_size' parameter must be one of ['auto']. Got 'atuo' instead. Did you mean 'auto'?",
        ),
        (
            {"pooling": "mean"},
            "The 'pooling' parameter must be one of ['max', 'average']. Got 'mean' instead.",
        ),
        ({"kernel_size": 0}, f"The 'kernel_size' {SIZES} 2 of them. Got 0 instead."),
        ({"channels": (16, -1)}, f"The 'channels' {SIZES} them. Got (16, -1) instead."),
        (
            {"channels": (), "normalization": "group"},
            "The 'normalization' parameter must be one of [None, 'batch', 'layer']. Got 'group' instead.",
        ),
        ({"n_outputs": 0}, "The 'n_outputs' parameter must be a positive int. Got 0 instead."),
        (
            {"input_shape": (784,), "image_shape": (3, 28, 28)},
            "The 'image_shape' parameter must multiply to the features of a row, which has shape "
            "(784,). Got (3, 28, 28), 3 x 28 x 28 = 2352, instead.",
        ),
        (
            {"input_shape": (3, 28, 28), "image_shape": (28, 28, 3)},
            "The 'image_shape' parameter must be the shape of a row, (3, 28, 28), where rows are "
            "not flat. Got (28, 28, 3) instead.",
        ),
        (
            {"input_shape": (4, 3, 8, 8)},
            f"The 'input_shape' {AXES} Got (4, 3, 8, 8) instead. {SET}",
        ),
        (
            {"input_shape": 64, "spatial_dims": 2},
            f"The 'input_shape' {AXES} Got (64,) instead. {SET}",
        ),
        (
            {"input_shape": 64, "image_shape": (2, 2, 4, 4)},
            f"The 'image_shape' {AXES} Got (2, 2, 4, 4) instead. {SET}",
        ),
        (
            {"spatial_dims": 4},
            "The 'spatial_dims' parameter must be one of [None, 1, 2, 3]. Got 4 instead.",
        ),
        ({"image_shape": (8, 0)}, f"The 'image_shape' {SIZES} them. Got (8, 0) instead."),
    ],
)
def test_parameters_that_do_not_fit_are_refused(params, message):
    with pytest.raises(ValueError, match="^" + re.escape(message) + "$"):
        CNN(**{"input_shape": (3, 28, 28), "n_outputs": 2, **params})
