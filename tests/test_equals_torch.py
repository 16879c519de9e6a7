"""The same numbers as the plain torch program, from the same parameters and the same batches."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from skmulti import MultiHeadRegressor, MultiOutputCNNRegressor, MultiOutputMLPRegressor, MultiOutputNetRegressor
from skmulti.training import RandomStreams

BATCH, N_BATCHES, N_EPOCHS = 8, 5, 2


class PlainCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
        )
        self.hidden = nn.Linear(32 * 7 * 7, 128)
        self.output = nn.Linear(128, 4)

    def forward(self, X):
        return self.output(torch.relu(self.hidden(self.features(X))))


class PlainMLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(10, 64)
        self.output = nn.Linear(64, 2)

    def forward(self, X):
        return self.output(torch.relu(self.hidden(X)))


class PlainTwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.shared = nn.Linear(10, 64)
        self.angle = nn.Linear(64, 1)
        self.size = nn.Linear(64, 2)

    def forward(self, X):
        hidden = torch.relu(self.shared(X))
        return torch.cat([self.angle(hidden), self.size(hidden)], dim=1)


def box_loss(y_pred, y):
    return nn.MSELoss()(y_pred, y)


def angle_and_distance_loss(y_pred, y):
    angle = nn.MSELoss()(y_pred[:, 0], y[:, 0])
    distance = nn.L1Loss()(y_pred[:, 1], y[:, 1])
    return angle + distance


def three_columns_loss(y_pred, y):
    angle = nn.MSELoss()(y_pred[:, 0], y[:, 0])
    distance = nn.L1Loss()(y_pred[:, 1], y[:, 1])
    area = nn.MSELoss()(y_pred[:, 2], y[:, 2])
    return angle + distance + area


def images(n):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 3, 28, 28)).astype(np.float32), rng.normal(size=(n, 4)).astype(np.float32)


def table(n_columns):
    def make(n):
        rng = np.random.default_rng(0)
        X = rng.normal(size=(n, 10)).astype(np.float32)
        return X, (X[:, :n_columns] + rng.normal(size=(n, n_columns))).astype(np.float32)

    return make


# (plain module, its criterion, the data, one of our estimators that is the same)
CASES = {
    "cnn": (PlainCNN, box_loss, images, MultiOutputCNNRegressor(effort=None, loss=nn.MSELoss())),
    "mlp": (
        PlainMLP,
        angle_and_distance_loss,
        table(2),
        MultiOutputMLPRegressor((64,), effort=None, loss=["squared_error", "absolute_error"]),
    ),
    "two heads": (
        PlainTwoHeads,
        three_columns_loss,
        table(3),
        MultiHeadRegressor(
            {"angle": [0], "size": [1, 2]},
            hidden_layer_sizes=(64,),
            loss=["squared_error", "absolute_error", "squared_error"],
        ),
    ),
}
SAME = {"scale_targets": False, "lr": 0.001, "max_epochs": N_EPOCHS, "batch_size": BATCH, "shuffle": False}
each_case = pytest.mark.parametrize(
    ("plain", "criterion", "data", "estimator"),
    [(*case[:3], case[3].set_params(**SAME)) for case in CASES.values()],
    ids=list(CASES),
)


def plain_module(cls):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return cls()


# Ours steps as torch's fused kernel does. torch's default rounds otherwise: it shows in parameters that are almost 0.
each_loop = pytest.mark.parametrize(
    ("loop", "fused"), [("auto", True), ("skorch", True), ("auto", False)], ids=["tensor", "skorch", "not fused"]
)


def train(module, criterion, X, y, *, fused, order=None):
    """Train as a plain program does; return the loss of each step."""
    X, y = torch.from_numpy(X), torch.from_numpy(y)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.001, fused=fused)
    losses = []
    for _ in range(N_EPOCHS):
        rows = torch.arange(len(X)) if order is None else torch.randperm(len(X), generator=order)
        for batch in rows.split(BATCH):
            optimizer.zero_grad()
            loss = criterion(module(X[batch]), y[batch])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses


def assert_same_losses(net, losses):
    """Compare with the losses of the plain program's steps, and with their means over the epochs."""
    epochs = np.reshape(losses, (N_EPOCHS, -1)).mean(1)
    assert net.history[:, "train_loss"] == pytest.approx(list(epochs), rel=1e-6)
    if net.training_loop_.loop == "skorch":
        steps = [loss for epoch in net.history[:, "batches", :, "train_loss"] for loss in epoch]
        assert steps == pytest.approx(losses, rel=1e-6)


def assert_same_parameters(ours, theirs, *, fused):
    ours, theirs = list(ours.parameters()), list(theirs.parameters())
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert_close(a, b, rtol=1e-6, atol=1e-8 if fused else 1e-6)
        assert (a - b).norm() <= 1e-6 * b.norm()


def copy_parameters(source, target):
    with torch.no_grad():
        for a, b in zip(source.parameters(), target.parameters(), strict=True):
            assert a.shape == b.shape
            b.copy_(a)


@each_loop
@each_case
def test_ten_steps_of_our_module_are_those_of_the_plain_program(plain, criterion, data, estimator, loop, fused):
    X, y = data(BATCH * N_BATCHES)
    module = plain_module(plain)
    start = copy.deepcopy(module)
    net = copy.deepcopy(estimator).set_params(training_loop=loop).initialize(X, y)
    copy_parameters(module, net.module_)
    net.partial_fit(X, y)
    losses = train(module, criterion, X, y, fused=fused)
    assert len(losses) == 10
    assert_same_parameters(net.module_, module, fused=fused)
    assert_same_losses(net, losses)
    assert any((a - b).abs().max() > 1e-3 for a, b in zip(start.parameters(), module.parameters(), strict=True))


@each_loop
@each_case
def test_ten_steps_of_the_plain_module_itself_are_those_of_the_plain_program(
    plain, criterion, data, estimator, loop, fused
):
    X, y = data(BATCH * N_BATCHES)
    module = plain_module(plain)
    net = MultiOutputNetRegressor(module, loss=estimator.loss, training_loop=loop, **SAME).fit(X, y)
    losses = train(module, criterion, X, y, fused=fused)
    assert_same_parameters(net.module_, module, fused=fused)
    assert_same_losses(net, losses)
    with torch.no_grad():
        assert_close(net.predict(X), module(torch.from_numpy(X)).double().numpy(), rtol=1e-5, atol=1e-6)


@each_loop
@each_case
def test_the_shuffled_order_can_be_repeated_outside(plain, criterion, data, estimator, loop, fused):
    X, y = data(BATCH * N_BATCHES)
    module = plain_module(plain)
    net = copy.deepcopy(estimator).set_params(shuffle=True, random_state=11, training_loop=loop).initialize(X, y)
    copy_parameters(module, net.module_)
    net.partial_fit(X, y)
    losses = train(module, criterion, X, y, fused=fused, order=RandomStreams(11).order)
    assert_same_parameters(net.module_, module, fused=fused)
    assert_same_losses(net, losses)
    other = copy.deepcopy(estimator).fit(X, y)
    with pytest.raises(AssertionError):
        assert_same_losses(other, losses)


def test_the_initial_parameters_can_be_repeated_outside():
    X, y = table(2)(BATCH)
    net = MultiOutputNetRegressor(PlainMLP, random_state=3).initialize(X, y)
    for a, b in zip(net.module_.parameters(), plain_module(PlainMLP).parameters(), strict=True):
        assert_close(a, b, rtol=0, atol=0)


@each_loop
def test_weights_are_the_factors_of_the_plain_program(loop, fused):
    X, y = table(3)(BATCH * N_BATCHES)
    module = plain_module(PlainTwoHeads)
    losses = ["squared_error", "absolute_error", "squared_error"]
    weights = [0.5, 2.0, 0.0]
    net = MultiOutputNetRegressor(module, loss=losses, loss_weights=weights, training_loop=loop, **SAME).fit(X, y)

    def weighted(y_pred, y):
        return 0.5 * nn.MSELoss()(y_pred[:, 0], y[:, 0]) + 2.0 * nn.L1Loss()(y_pred[:, 1], y[:, 1])

    assert_same_losses(net, train(module, weighted, X, y, fused=fused))
    assert_same_parameters(net.module_, module, fused=fused)


def angles(n, seed):
    """Return noisy features of angles on the full circle."""
    rng = np.random.default_rng(seed)
    y = rng.uniform(0, 360, n)
    turn = np.deg2rad(y)
    X = np.column_stack([np.cos(turn), np.sin(turn), np.cos(2 * turn)]) + rng.normal(scale=0.1, size=(n, 3))
    return X.astype(np.float32), y


@pytest.mark.parametrize("low", [0.0, -180.0])
def test_circular_has_at_most_half_the_wrapped_error_of_the_raw_angle(low):
    (X, y), (X_test, y_test) = angles(600, 0), angles(600, 1)
    y, y_test = ((values - low) % 360 + low for values in (y, y_test))
    errors = {}
    for loss in ("circular", "squared_error"):
        net = MultiOutputMLPRegressor((32, 32), effort=None, loss=loss, lr=0.01, max_epochs=30, random_state=0).fit(
            X, y
        )
        y_pred = net.predict(X_test)
        errors[loss] = np.abs((y_pred - y_test + 180) % 360 - 180).mean()
    assert errors["circular"] <= 0.5 * errors["squared_error"]
    assert errors["circular"] < 10
