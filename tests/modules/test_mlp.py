"""The multilayer perceptron."""

import copy
import pickle
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from skmulti.modules import MLP
from skmulti.modules._layers import ACTIVATIONS


def normal(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def copy_parameters(source, target):
    """Copy in order, as one does between nets that name their layers differently."""
    theirs = list(target.parameters())
    ours = list(source.parameters())
    assert [p.shape for p in ours] == [p.shape for p in theirs]
    with torch.no_grad():
        for a, b in zip(ours, theirs, strict=True):
            b.copy_(a)


def assert_copies_are_equal(make, X):
    """Compare a trained net in eval mode with its pickle, its deepcopy and its reloaded state."""
    net, fresh = make(), make().eval()
    net(X)  # moves the running statistics
    net.eval()
    fresh.load_state_dict(net.state_dict())
    for other in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net), fresh):
        assert_close(other(X), net(X), rtol=0, atol=0)


def assert_vmap_equals_a_loop(make, X):
    nets = [make() for _ in range(3)]
    parameters, buffers = torch.func.stack_module_state(nets)

    def call(p, b):
        return torch.func.functional_call(nets[0], (p, b), (X,))

    outputs = torch.vmap(call)(parameters, buffers)
    assert_close(outputs, torch.stack([net(X) for net in nets]))


def test_forward_and_gradients_equal_those_of_a_handwritten_net():
    net = MLP(7, 3, (16, 8))
    by_hand = nn.Sequential(nn.Linear(7, 16), nn.ReLU(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3))
    copy_parameters(net, by_hand)
    X = normal(5, 7)
    for model in (net, by_hand):
        model(X).square().sum().backward()
    assert_close(net(X), by_hand(X), rtol=0, atol=0)
    for a, b in zip(net.parameters(), by_hand.parameters(), strict=True):
        assert_close(a.grad, b.grad, rtol=0, atol=0)


def test_the_same_seed_gives_the_parameters_of_the_handwritten_net():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = MLP(7, 3, (16,))
        torch.manual_seed(0)
        by_hand = nn.Sequential(nn.Linear(7, 16), nn.ReLU(), nn.Linear(16, 3))
    for a, b in zip(net.parameters(), by_hand.parameters(), strict=True):
        assert_close(a, b, rtol=0, atol=0)


def test_without_hidden_layers_it_is_a_linear_model():
    net = MLP(4, 2, ())
    X = normal(5, 4)
    assert [name for name, _ in net.named_parameters()] == ["output.weight", "output.bias"]
    assert_close(net(X), X @ net.output.weight.T + net.output.bias)


@given(shape=st.lists(st.integers(1, 20), min_size=1, max_size=3), n_outputs=st.integers(1, 5))
@settings(deadline=None, max_examples=25)
def test_any_input_shape_gives_one_row_of_outputs_per_row(shape, n_outputs):
    net = MLP(tuple(shape), n_outputs, (3,))
    assert net(torch.zeros(2, *shape)).shape == (2, n_outputs)


def test_more_axes_are_flattened():
    deep, flat = MLP((2, 3, 4), 2), MLP(24, 2)
    copy_parameters(deep, flat)
    X = normal(5, 2, 3, 4)
    assert_close(deep(X), flat(X.reshape(5, 24)))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_acts_between_hidden_and_output(activation):
    net = MLP(3, 2, (4,), activation)
    X = normal(5, 3)
    assert_close(net(X), net.output(ACTIVATIONS[activation]()(net.hidden[0](X))))


@pytest.mark.parametrize("normalization", [None, "batch", "layer"])
def test_eval_mode_takes_one_row_and_drops_nothing(normalization):
    net = MLP(3, 2, dropout=0.5, normalization=normalization).eval()
    X = normal(6, 3)
    assert_close(net(X[:1]), net(X)[:1])


def test_dropout_drops_in_training():
    net = MLP(3, 2, (64,), dropout=0.5)
    X = normal(6, 3)
    assert not torch.equal(net(X), net(X))


def test_pickle_deepcopy_and_state_dict_keep_the_outputs():
    assert_copies_are_equal(lambda: MLP(3, 2, normalization="batch"), normal(8, 3))


def test_many_nets_run_at_once_under_vmap():
    assert_vmap_equals_a_loop(lambda: MLP((2, 3), 2, (4,), normalization="layer"), normal(5, 2, 3))


def test_nets_that_scale_their_inputs_copy_and_run_under_vmap():
    def make():
        net = MLP((2, 3), 2, (4,), scaling_layer=True, initialization="he")
        for parameter in net.parameters():
            nn.init.normal_(parameter)
        return net

    assert_copies_are_equal(make, normal(5, 2, 3))
    assert_vmap_equals_a_loop(make, normal(5, 2, 3))


def test_a_scaling_layer_multiplies_each_input_and_changes_nothing_at_first():
    net = MLP((2, 3), 2, (4,), scaling_layer=True)
    X = normal(5, 2, 3)
    plain = net.output(net.hidden[1:](X.flatten(1)))
    assert_close(net(X), plain, rtol=0, atol=0)
    nn.init.normal_(net.hidden[0].weight)
    assert_close(net(X), net.output(net.hidden[1:](X.flatten(1) * (1 + 10 * net.hidden[0].weight))))


def test_he_begins_with_outputs_of_zero_and_hidden_layers_that_are_none():
    net = MLP(3, 2, (8, 4), initialization="he")
    assert not net(normal(5, 3)).any()
    assert net.hidden(normal(5, 3)).any()


@pytest.mark.parametrize("shape", [(5, 4), (3,), (5, 3, 1), ()])
def test_rows_of_another_shape_are_refused(shape):
    message = f"The input must have shape (n_samples, 3). Got {shape} instead."
    with pytest.raises(ValueError, match="^" + re.escape(message) + "$"):
        MLP(3, 2)(torch.zeros(shape))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"input_shape": (3, 0)},
            "The 'input_shape' parameter must be a positive int or a sequence of them. Got (3, 0) instead.",
        ),
        (
            {"input_shape": ()},
            "The 'input_shape' parameter must have at least one axis. Got () instead.",
        ),
        ({"n_outputs": 0}, "The 'n_outputs' parameter must be a positive int. Got 0 instead."),
        ({"n_outputs": 2.0}, "The 'n_outputs' parameter must be a positive int. Got 2.0 instead."),
    ],
)
def test_sizes_that_are_no_sizes_are_refused(params, message):
    with pytest.raises(ValueError, match="^" + re.escape(message) + "$"):
        MLP(**{"input_shape": 3, "n_outputs": 2, **params})
