"""The layers every module is built from."""

import re

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from skmulti.modules._layers import ACTIVATIONS, Scaling, hidden_layers, make_activation

NAMES = "['relu', 'tanh', 'logistic', 'identity', 'gelu', 'silu', 'mish', 'elu', 'leaky_relu', "
NAMES += "'softplus']"
FUNCTIONS = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "logistic": torch.sigmoid,
    "identity": lambda x: x,
    "gelu": nn.functional.gelu,
    "silu": nn.functional.silu,
    "mish": nn.functional.mish,
    "elu": nn.functional.elu,
    "leaky_relu": nn.functional.leaky_relu,
    "softplus": nn.functional.softplus,
}


def kinds(layers):
    return [type(layer) for layer in layers]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_is_the_function_of_its_name(name):
    x = torch.linspace(-3, 3, 13)
    assert_close(make_activation(name)(x), FUNCTIONS[name](x))


def test_an_activation_may_be_a_module_class():
    assert isinstance(make_activation(nn.Hardswish), nn.Hardswish)
    assert kinds(hidden_layers(2, 3, nn.PReLU)) == [nn.Linear, nn.PReLU]


def test_layers_do_not_share_an_activation_with_parameters():
    layers = hidden_layers(2, (3, 3), nn.PReLU)
    assert layers[1].weight is not layers[3].weight


@pytest.mark.parametrize(
    ("activation", "end"),
    [
        ("rleu", "Got 'rleu' instead. Did you mean 'relu'?"),
        ("leakyrelu", "Got 'leakyrelu' instead. Did you mean 'leaky_relu'?"),
        ("zzz", "Got 'zzz' instead."),
        (None, "Got None instead."),
        (["relu"], "Got ['relu'] instead. Did you mean 'relu'?"),
    ],
)
def test_an_unknown_activation_is_refused_with_the_nearest_name(activation, end):
    message = f"The 'activation' parameter must be one of {NAMES}. {end}"
    with pytest.raises(ValueError, match="^" + re.escape(message) + "$"):
        hidden_layers(2, (), activation)


def test_without_extras_there_is_linear_and_relu_and_nothing_else():
    layers = hidden_layers(5, (4, 3))
    assert kinds(layers) == [nn.Linear, nn.ReLU, nn.Linear, nn.ReLU]
    assert [layer.weight.shape for layer in layers[::2]] == [(4, 5), (3, 4)]


@pytest.mark.parametrize(("normalization", "layer"), [("batch", nn.BatchNorm1d), ("layer", nn.LayerNorm)])
def test_normalization_activation_and_dropout_follow_each_linear_in_this_order(normalization, layer):
    layers = hidden_layers(5, (4, 3), "tanh", 0.25, normalization)
    assert kinds(layers) == [nn.Linear, layer, nn.Tanh, nn.Dropout] * 2
    assert layers[3].p == 0.25
    assert layers[5].weight.shape == (3,)


@pytest.mark.parametrize("sizes", [4, (4,), [4], np.int64(4), np.array([4])])
def test_one_size_may_be_given_as_an_int_or_any_sequence(sizes):
    assert hidden_layers(5, sizes)[0].out_features == 4


def test_no_size_gives_no_layer():
    assert len(hidden_layers(5, (), dropout=0.5, normalization="batch")) == 0


@pytest.mark.parametrize(
    "sizes", [0, -1, (3, 0), (3, 2.0), 1.5, True, (True,), "8", None, {8: 1}, [[8]], np.array(1.5)]
)
def test_sizes_that_are_not_positive_ints_are_refused(sizes):
    message = f"The 'hidden_layer_sizes' parameter must be a positive int or a sequence of them. Got {sizes!r} instead."
    with pytest.raises(ValueError, match="^" + re.escape(message) + "$"):
        hidden_layers(5, sizes)


@pytest.mark.parametrize("dropout", [1, 1.0, -0.1, float("nan"), True, "0.5", None])
def test_a_dropout_outside_zero_to_one_is_refused(dropout):
    message = f"The 'dropout' parameter must be a float in the range [0.0, 1.0). Got {dropout!r} instead."
    with pytest.raises(ValueError, match="^" + re.escape(message) + "$"):
        hidden_layers(5, 3, dropout=dropout)


def test_an_unknown_normalization_is_refused():
    message = (
        "The 'normalization' parameter must be one of [None, 'batch', 'layer']. "
        "Got 'bacth' instead. Did you mean 'batch'?"
    )
    with pytest.raises(ValueError, match="^" + re.escape(message) + "$"):
        hidden_layers(5, 3, normalization="bacth")


def test_a_scaling_layer_learns_ten_times_as_fast_as_a_factor_would():
    layer = Scaling(2)
    X = torch.tensor([[3.0, -1.0]])
    assert_close(layer(X), X)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.01)
    layer(X).sum().backward()
    optimizer.step()
    # Adam's first step is the learning rate, against the sign of the gradient.
    assert_close(layer(X), X * torch.tensor([1 - 0.1, 1 + 0.1]), atol=1e-5, rtol=0)


def test_a_scaling_layer_stands_before_all_others_and_is_asked_for():
    layers = hidden_layers(5, (4,), "tanh", 0.25, "batch", scaling_layer=True)
    assert kinds(layers) == [Scaling, nn.Linear, nn.BatchNorm1d, nn.Tanh, nn.Dropout]
    assert kinds(hidden_layers(5, (), scaling_layer=True)) == [Scaling]
    assert repr(layers[0]) == "Scaling(5, rate=10.0)"


def test_he_gives_weights_a_variance_of_two_per_input():
    torch.manual_seed(0)
    layer = hidden_layers(200, (300,), initialization="he")[0]
    assert_close(layer.weight.var() * 200, torch.tensor(2.0), rtol=0.05, atol=0)
    assert_close(layer.bias.std(), torch.tensor(0.5), rtol=0.15, atol=0)


@pytest.mark.parametrize(("name", "value"), [("initialization", "xavier"), ("scaling_layer", 1)])
def test_unknown_ways_of_beginning_are_refused(name, value):
    with pytest.raises(ValueError, match=f"The '{name}' parameter must be .* Got {value!r}"):
        hidden_layers(3, (4,), **{name: value})
