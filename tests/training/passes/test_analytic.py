"""Analytic passes give the numbers of autograd, and are used only for supported modules."""

import pytest
import torch
from torch import nn

from skmulti import (
    MultiHeadRegressor,
    MultiOutputCNNRegressor,
    MultiOutputMLPRegressor,
    MultiOutputNetRegressor,
    TrainingDivergedError,
)
from skmulti.training.passes.images import MaxPool2x2
from tests.training.either_loop import IMAGES, X, Y, assert_same, both, make

# Batch normalization cancels the biases before it: their gradient is rounding error, which Adam would enlarge.
SGD = {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9}


@pytest.mark.parametrize(
    "params",
    [
        {"activation": name}
        for name in ["relu", "tanh", "logistic", "identity", "gelu", "silu", "mish", "elu", "leaky_relu", "softplus"]
    ]
    + [{"hidden_layer_sizes": ()}, {"dropout": 0.4}, {"normalization": "layer"}, {"normalization": "batch", **SGD}]
    + [{"normalization": "batch", "dropout": 0.2, "activation": "silu", **SGD}]
    + [{"scaling_layer": True}, {"initialization": "he"}, {"scaling_layer": True, "initialization": "he"}]
    + [{"scaling_layer": True, "hidden_layer_sizes": ()}, {"lr_schedule": "one_cycle", "lr": 0.02}],
    ids=str,
)
def test_an_mlp_learns_the_same_with_analytic_passes(params):
    ours, theirs = both(**params)
    assert ours.training_loop_.step == "analytic"
    assert ours.training_loop_.optimizer == "flat"
    assert_same(ours, theirs)


@pytest.mark.parametrize(
    "params",
    [{}, {"heads": {"a": [0, 2], "b": [3, 1]}, "head_hidden_layer_sizes": (4,)}, {"hidden_layer_sizes": ()}],
    ids=str,
)
def test_heads_learn_the_same_with_analytic_passes(params):
    ours, theirs = both(cls=MultiHeadRegressor, loss={0: "huber", 1: "circular"}, **params)
    assert ours.training_loop_.step == "analytic"
    assert_same(ours, theirs)


def images_net(cls, **params):
    return both(lambda net: net.fit(IMAGES, Y[:60]), cls=cls, **params)


@pytest.mark.parametrize(
    ("params", "step"),
    [
        ({}, "analytic"),
        ({"channels": (4, 6), "kernel_size": 5, "activation": "silu", "dropout": 0.3}, "analytic"),
        ({"channels_last": True, "image_shape": (6, 3, 4)}, "analytic"),
        ({"image_shape": (9, 8)}, "analytic"),
        ({"pooling": "average"}, "autograd"),
        ({"pool_size": 3}, "autograd"),
        ({"kernel_size": 2}, "autograd"),
        ({"normalization": "layer"}, "autograd"),
        ({"image_shape": (72,)}, "autograd"),
    ],
    ids=str,
)
def test_images_learn_the_same(params, step):
    flat = {"image_shape"} & set(params)
    fit = lambda net: net.fit(IMAGES.reshape(60, -1) if flat else IMAGES, Y[:60])  # noqa: E731
    params = {"channels": (4,), "hidden_layer_sizes": (8,), **params}
    ours, theirs = both(fit, cls=MultiOutputCNNRegressor, **params)
    assert (ours.training_loop_.step, ours.training_loop_.optimizer) == (step, "flat")
    assert_same(ours, theirs)


def test_other_networks_for_images_learn_the_same():
    flat = images_net(MultiOutputMLPRegressor)
    heads = images_net(MultiHeadRegressor, trunk="cnn", channels=(4,))
    assert flat[0].training_loop_.step == heads[0].training_loop_.step == "analytic"
    assert_same(*flat)
    assert_same(*heads)


@pytest.mark.parametrize("size", [(4, 6), (5, 6), (4, 7), (5, 3)], ids=str)
def test_two_by_two_pooling_equals_torch(size):
    images = torch.randint(0, 4, (3, 2, *size), generator=torch.Generator().manual_seed(0)).float()
    leaf = images.clone().requires_grad_()
    expected = nn.functional.max_pool2d(leaf, 2)
    gradient = torch.randn(expected.shape)
    expected.backward(gradient)
    pool = MaxPool2x2()
    assert torch.equal(pool.forward(images), expected)
    assert torch.equal(pool.backward(gradient), leaf.grad)


class Odd(nn.Module):
    """A scalar parameter, one that is never used, one that is used twice, a frozen one and a buffer."""

    def __init__(self, unused=True):
        super().__init__()
        self.first = nn.Linear(5, 5)
        self.last = nn.Linear(5, 4)
        self.scale = nn.Parameter(torch.tensor(0.5))
        self.unused = nn.Linear(2, 2) if unused else None
        self.frozen = nn.Linear(5, 5).requires_grad_(False)
        self.register_buffer("n_calls", torch.zeros(()))

    def forward(self, X):
        self.n_calls += 1
        hidden = self.frozen(self.first(self.first(X).relu()))
        return self.scale * self.last(hidden.tanh())


@pytest.mark.parametrize("unused", [False, True])
@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.AdamW])
def test_any_module_learns_the_same(unused, optimizer):
    ours, theirs = both(
        cls=MultiOutputNetRegressor, module=Odd, module__unused=unused, optimizer=optimizer, optimizer__weight_decay=0.1
    )
    assert ours.training_loop_.optimizer == ("own" if unused else "flat")
    assert_same(ours, theirs)


def test_divergence_restores_the_last_finite_parameters_of_a_module_with_an_unused_parameter():
    net = make(MultiOutputNetRegressor, module=Odd, optimizer=torch.optim.SGD, lr=1e20).initialize(X, Y)
    start = make(MultiOutputNetRegressor, module=Odd).initialize(X, Y).module_
    with pytest.raises(TrainingDivergedError, match="epoch 1"):
        net.fit(X, Y)
    for parameter, before in zip(net.module_.parameters(), start.parameters(), strict=True):
        assert torch.equal(parameter, before)


class Shared(nn.Module):
    """Two layers with one weight matrix."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 5), nn.Linear(5, 4))
        self.layers[2].weight = self.layers[0].weight

    def forward(self, X):
        return self.layers(X)


class OneMemory(nn.Module):
    """Two parameters on the same memory."""

    def __init__(self):
        super().__init__()
        self.one = nn.Linear(5, 4)
        self.two = nn.Linear(5, 4)
        self.two.weight = nn.Parameter(self.one.weight.data)

    def forward(self, X):
        return self.one(X) + self.two(X.relu())


def sequential(*layers):
    return nn.Sequential(nn.Linear(5, 6), *layers, nn.Linear(6, 4))


@pytest.mark.parametrize(
    ("module", "step", "optimizer"),
    [
        (Shared(), "autograd", "flat"),
        (OneMemory, "autograd", "own"),
        (sequential(nn.ReLU(inplace=True), nn.Identity(), nn.LayerNorm(6, bias=False)), "analytic", "flat"),
        (sequential(nn.LayerNorm(6, elementwise_affine=False), nn.Tanh()), "analytic", "flat"),
        (sequential(nn.BatchNorm1d(6, affine=False)), "autograd", "flat"),
        (sequential(nn.Dropout(0.0), nn.Linear(6, 6, bias=False), nn.ELU(0.5)), "analytic", "flat"),
        (sequential(nn.PReLU()), "autograd", "flat"),
        (nn.utils.parametrizations.weight_norm(nn.Linear(5, 4)), "autograd", "flat"),
        (nn.Sequential(nn.Flatten(), nn.Linear(5, 4)), "analytic", "flat"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else value,
)
def test_a_module_uses_the_fastest_step_that_supports_it(module, step, optimizer):
    ours, theirs = both(cls=MultiOutputNetRegressor, module=module, **SGD)
    assert (ours.training_loop_.step, ours.training_loop_.optimizer) == (step, optimizer)
    assert_same(ours, theirs)


def test_a_hook_on_a_layer_is_called():
    calls = []
    module = sequential(nn.ReLU())
    module[0].register_forward_hook(lambda *args: calls.append(1))
    ours = make(MultiOutputNetRegressor, module=module).fit(X, Y)
    assert ours.training_loop_.step == "autograd"
    # Once more after the last step, to check that the predictions are finite.
    assert len(calls) == 4 * 6 + 1
