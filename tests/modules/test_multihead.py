"""A shared trunk with one head per group of columns."""

import copy
import pickle
import re
from fnmatch import fnmatch

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from skmulti.modules import CNN, MLP, MultiHead
from skmulti.modules._layers import ACTIVATIONS

from .test_mlp import assert_copies_are_equal, assert_vmap_equals_a_loop, copy_parameters, normal

HEADS = {"pose": 3, "size": 2}


class HandwrittenTwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(5, 8), nn.ReLU())
        self.pose = nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3))
        self.size = nn.Linear(8, 2)

    def forward(self, X):
        hidden = self.trunk(X)
        return torch.cat([self.pose(hidden), self.size(hidden)], dim=1)


def test_forward_and_gradients_equal_those_of_a_handwritten_net():
    net = MultiHead(5, HEADS, hidden_layer_sizes=8, head_hidden_layer_sizes={"pose": (6,)})
    by_hand = HandwrittenTwoHeads()
    copy_parameters(net, by_hand)
    X = normal(7, 5)
    for model in (net, by_hand):
        model(X).square().sum().backward()
    assert_close(net(X), by_hand(X), rtol=0, atol=0)
    for a, b in zip(net.parameters(), by_hand.parameters(), strict=True):
        assert_close(a.grad, b.grad, rtol=0, atol=0)


@pytest.mark.parametrize(("trunk", "single"), [("mlp", MLP), ("cnn", CNN)], ids=["mlp trunk", "cnn trunk"])
def test_one_linear_head_makes_it_the_net_of_its_trunk(trunk, single):
    net = MultiHead((3, 9, 6), {"all": 4}, trunk, hidden_layer_sizes=(16,))
    other = single((3, 9, 6), 4, hidden_layer_sizes=(16,))
    copy_parameters(net, other)
    X = normal(5, 3, 9, 6)
    assert_close(net(X), other(X))


def test_a_cnn_trunk_takes_all_parameters_of_the_cnn():
    params = {
        "hidden_layer_sizes": (7,),
        "channels": (4, 5),
        "kernel_size": (5, 2),
        "pool_size": (2, 1),
        "pooling": "average",
        "activation": "tanh",
        "dropout": 0.1,
        "normalization": "batch",
        "channels_last": True,
        "image_shape": (9, 2, 3, 2),
        "spatial_dims": 3,
    }
    net = MultiHead(108, {"all": 4}, "cnn", **params).eval()
    other = CNN(108, 4, **params).eval()
    assert repr(net.trunk.blocks) == repr(other.blocks)
    assert repr(net.trunk.hidden) == repr(other.hidden)
    copy_parameters(net, other)
    X = normal(5, 108)
    assert_close(net(X), other(X))


def test_outputs_stand_in_the_order_of_the_heads():
    net = MultiHead(5, {"b": 2, "a": 1})
    X = normal(4, 5)
    features = net.trunk(X)
    assert net.head_names == ("b", "a")
    assert_close(net(X)[:, :2], net.heads["b"](features))
    assert_close(net(X)[:, 2:], net.heads["a"](features))


def test_a_head_alone_moves_its_own_outputs():
    net = MultiHead(5, HEADS, head_hidden_layer_sizes=4)
    net(normal(4, 5))[:, :3].sum().backward()
    assert not any(p.grad.any() for p in net.heads["size"].parameters())
    assert net.heads["pose"][-1].weight.grad.any()
    assert net.trunk.hidden[0].weight.grad.any()


def test_parameter_names_match_the_pattern_of_an_optimizer_group():
    net = MultiHead(5, {"pose": 3, "pose_2": 2}, head_hidden_layer_sizes=(4,))
    names = [name for name, _ in net.named_parameters()]
    assert [name for name in names if fnmatch(name, "heads.pose.*")] == [
        "heads.pose.0.weight",
        "heads.pose.0.bias",
        "heads.pose.2.weight",
        "heads.pose.2.bias",
    ]


@pytest.mark.parametrize(
    ("names", "keys"),
    [
        (("a.b", "a_b"), ["a_b_", "a_b"]),
        (("a_b", "a.b", "a..b"), ["a_b", "a_b_", "a__b"]),
        (("keys", "type", "pop", "training"), ["keys_", "type_", "pop_", "training_"]),
        (("keys_", "keys"), ["keys_", "keys__"]),
        (("keys", "keys_"), ["keys__", "keys_"]),
        (("", "_"), ["__", "_"]),
        ((".",), ["_"]),
        ((0, "0"), ["0", "0_"]),
        ((("x", 1),), ["('x', 1)"]),
        (("length (mm)", "ö"), ["length (mm)", "ö"]),
    ],
)
def test_names_that_torch_refuses_work_and_are_kept(names, keys):
    net = MultiHead(5, dict.fromkeys(names, 2))
    assert net.head_names == names
    assert list(net.heads) == keys
    assert net(torch.zeros(3, 5)).shape == (3, 2 * len(names))
    assert net.heads[keys[0]][0].weight.shape == (2, 64)


@given(st.lists(st.text(alphabet="ab._0 ", max_size=4), unique=True, min_size=1, max_size=6))
@settings(deadline=None)
def test_any_names_give_as_many_heads(names):
    net = MultiHead(2, dict.fromkeys(names, 1), hidden_layer_sizes=2)
    assert len(net.heads) == len(names)
    assert net(torch.zeros(1, 2)).shape == (1, len(names))


@pytest.mark.parametrize("name", sorted(dir(nn.ModuleDict())))
def test_no_attribute_of_torch_is_a_forbidden_name(name):
    net = pickle.loads(pickle.dumps(copy.deepcopy(MultiHead(2, {name: 1, "x": 1}))))
    assert net.head_names == (name, "x")
    assert net(torch.zeros(1, 2)).shape == (1, 2)


def test_head_sizes_may_be_given_by_head():
    heads = {"a.b": 1, "c": 1, 3: 1}
    sizes = {"a.b": (4, 2), 3: 5}
    net = MultiHead(5, heads, hidden_layer_sizes=(), head_hidden_layer_sizes=sizes)
    widths = [[m.out_features for m in head if isinstance(m, nn.Linear)] for head in net.heads.values()]
    assert widths == [[4, 2, 1], [1], [5, 1]]


def test_head_sizes_given_once_are_those_of_every_head():
    net = MultiHead(5, HEADS, head_hidden_layer_sizes=np.array([4, 3]))
    assert [len(head) for head in net.heads.values()] == [5, 5]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_acts_in_trunk_and_heads(activation):
    net = MultiHead(5, HEADS, head_hidden_layer_sizes=4, activation=activation)
    act = ACTIVATIONS[activation]()
    X = normal(3, 5)
    first, _, last = net.heads["size"]
    assert_close(net(X)[:, 3:], last(act(first(act(net.trunk.hidden[0](X))))))


def test_dropout_and_normalization_reach_trunk_and_heads():
    net = MultiHead(5, HEADS, head_hidden_layer_sizes=4, dropout=0.3, normalization="layer")
    kinds = [nn.Linear, nn.LayerNorm, nn.ReLU, nn.Dropout]
    assert [type(layer) for layer in net.trunk.hidden] == kinds
    assert [type(layer) for layer in net.heads["size"]] == [*kinds, nn.Linear]


@given(size=st.lists(st.integers(1, 20), min_size=1, max_size=2), trunk=st.sampled_from(["mlp", "cnn"]))
@settings(deadline=None, max_examples=40)
def test_any_size_gives_the_output_shape(size, trunk):
    blocks = {"channels": (2, 2, 2)} if trunk == "cnn" else {}
    net = MultiHead(tuple(size), HEADS, trunk, **blocks, hidden_layer_sizes=3)
    assert net(torch.zeros(2, *size)).shape == (2, 5)


@pytest.mark.parametrize("trunk", ["mlp", "cnn"])
def test_pickle_deepcopy_and_state_dict_keep_the_outputs(trunk):
    params = {"trunk": trunk, "head_hidden_layer_sizes": 4, "normalization": "batch"}
    heads = {"a.b": 2, "keys": 1}
    assert_copies_are_equal(lambda: MultiHead((6, 6), heads, **params), normal(8, 6, 6))


@pytest.mark.parametrize("trunk", ["mlp", "cnn"])
def test_eval_mode_takes_one_row_and_drops_nothing(trunk):
    net = MultiHead((6, 6), HEADS, trunk, dropout=0.5, normalization="batch").eval()
    X = normal(4, 6, 6)
    assert_close(net(X[:1]), net(X)[:1])


@pytest.mark.parametrize("trunk", ["mlp", "cnn"])
def test_many_nets_run_at_once_under_vmap(trunk):
    params = {"trunk": trunk, "head_hidden_layer_sizes": 3}
    assert_vmap_equals_a_loop(lambda: MultiHead((4, 4), HEADS, **params), normal(5, 4, 4))


@pytest.mark.parametrize("trunk", ["mlp", "cnn"])
def test_rows_of_another_shape_are_refused(trunk):
    message = "The input must have shape (n_samples, 5). Got (3, 4) instead."
    with pytest.raises(ValueError, match="^" + re.escape(message) + "$"):
        MultiHead(5, HEADS, trunk)(torch.zeros(3, 4))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"heads": {}},
            "The 'heads' parameter must be a mapping of at least one head name to its number of "
            "outputs. Got {} instead.",
        ),
        (
            {"heads": ["a"]},
            "The 'heads' parameter must be a mapping of at least one head name to its number of "
            "outputs. Got ['a'] instead.",
        ),
        (
            {"heads": {"a": 0}},
            "The \"heads['a']\" parameter must be a positive int. Got 0 instead.",
        ),
        (
            {"trunk": "cmm"},
            "The 'trunk' parameter must be one of ['mlp', 'cnn']. Got 'cmm' instead.",
        ),
        (
            {"trunk": "rnn"},
            "The 'trunk' parameter must be one of ['mlp', 'cnn']. Got 'rnn' instead.",
        ),
        (
            {"trunk": "mpl"},
            "The 'trunk' parameter must be one of ['mlp', 'cnn']. Got 'mpl' instead. Did you mean 'mlp'?",
        ),
        (
            {"head_hidden_layer_sizes": {"poze": 3}},
            "The 'head_hidden_layer_sizes' parameter must name heads of ['pose', 'size']. "
            "Got 'poze' instead. Did you mean 'pose'?",
        ),
        (
            {"head_hidden_layer_sizes": (3, 0)},
            "The 'head_hidden_layer_sizes' parameter must be a positive int or a sequence of them. Got (3, 0) instead.",
        ),
        (
            {"head_hidden_layer_sizes": {"pose": 0}},
            "The \"head_hidden_layer_sizes['pose']\" parameter must be a positive int or a "
            "sequence of them. Got 0 instead.",
        ),
    ],
)
def test_parameters_that_do_not_fit_are_refused(params, message):
    with pytest.raises(ValueError, match="^" + re.escape(message) + "$"):
        MultiHead(**{"input_shape": 5, "heads": HEADS, **params})
