"""Trained parameters outside the network: those of a loss and of a second module with its own optimizer."""

from __future__ import annotations

import copy
import pickle
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pytest
import torch
from skorch.callbacks import LRScheduler
from torch import nn

from skmulti import MultiOutputMLPRegressor, MultiOutputNetRegressor, TrainingDivergedError
from skmulti.losses import ColumnLoss, TorchLoss
from skmulti.model_selection import BatchedGridSearchCV

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 3))
Y = np.column_stack([X[:, 0], 10 * X[:, 1] + 5 * RNG.normal(size=120)])


class Uncertainty(nn.Module):
    """Each column's squared error divided by a learned variance."""

    def __init__(self, n_columns=2):
        super().__init__()
        self.log_variance = nn.Parameter(torch.zeros(n_columns))

    def forward(self, raw, y):
        return (raw - y) ** 2 * torch.exp(-self.log_variance) + self.log_variance


@dataclass(frozen=True, eq=False)
class OwnScale(ColumnLoss):
    """A column loss that takes any batch and has a parameter as a field."""

    log_scale: nn.Parameter = field(default_factory=lambda: nn.Parameter(torch.zeros(2)))

    def row_loss(self, raw, y):
        scale = self.log_scale.sum()
        return ((raw - y) ** 2 * torch.exp(-scale) + scale).squeeze(-1)


class CalledUncertainty:
    """A callable that is not a module but holds one."""

    def __init__(self):
        self.inner = Uncertainty()

    def __call__(self, raw, y):
        return self.inner(raw, y)


def learned(net):
    return [parameter.detach().clone() for parameter in net.criterion_.parameters()]


def plain(**params):
    return MultiOutputMLPRegressor(**{"effort": None, "max_epochs": 5, "random_state": 0, **params})


LOSSES = {
    "module": lambda: Uncertainty(),
    "wrapped": lambda: TorchLoss(Uncertainty(), standardize=True),
    "field": lambda: OwnScale(),
    "callable": lambda: CalledUncertainty(),
    "method": lambda: Uncertainty().forward,
    "partial": lambda: partial(lambda module, raw, y: module(raw, y), Uncertainty()),
}


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("loop", ["auto", "skorch"])
def test_parameters_of_a_loss_are_learned(kind, loop):
    net = plain(loss=LOSSES[kind](), training_loop=loop).fit(X, Y)
    assert all(parameter.abs().min() > 0 for parameter in learned(net))
    assert len(learned(net)) == 1


def test_each_member_of_a_default_ensemble_learns_its_own_parameters_of_a_loss():
    net = MultiOutputMLPRegressor(loss=TorchLoss(Uncertainty(), standardize=True), effort="fast", random_state=0)
    net.set_params(n_members=3, max_epochs=3).fit(X, Y)
    each = [learned(member)[0].tolist() for member in net.members_]
    assert len(set(map(tuple, each))) == 3
    assert all(abs(value) > 0 for values in each for value in values)


def test_a_loss_learns_how_noisy_its_columns_are():
    loss = TorchLoss(Uncertainty(), standardize=True)
    net = plain(loss=loss, hidden_layer_sizes=(2,), max_epochs=300, lr=0.02, batch_size=-1).fit(X, Y)
    clean, noisy = learned(net)[0].tolist()
    assert clean < noisy - 1


def test_both_loops_learn_the_same_parameters_of_a_loss():
    ours, theirs = (plain(loss=Uncertainty(), training_loop=loop).fit(X, Y) for loop in ("auto", "skorch"))
    torch.testing.assert_close(learned(ours), learned(theirs))
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-4, atol=1e-4)


def test_fit_does_not_change_the_given_loss():
    loss = Uncertainty()
    plain(loss=loss).fit(X, Y)
    assert loss.log_variance.tolist() == [0.0, 0.0]


def test_a_second_fit_resets_the_parameters_of_a_loss():
    net = plain(loss=Uncertainty())
    first, second = (learned(net.fit(X, Y)) for _ in range(2))
    torch.testing.assert_close(first, second, rtol=0, atol=0)


@pytest.mark.parametrize("copied", [lambda net: net, copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_partial_fit_continues_with_the_learned_parameters_of_a_loss(copied):
    net = plain(loss=Uncertainty(), max_epochs=3)
    once = plain(loss=Uncertainty(), max_epochs=6, shuffle=False).fit(X, Y)
    net = copied(net.set_params(shuffle=False).partial_fit(X, Y)).partial_fit(X, Y)
    torch.testing.assert_close(learned(net), learned(once), rtol=1e-3, atol=1e-5)


def test_partial_fit_learns_the_parameters_of_a_newly_set_loss():
    net = plain(loss=Uncertainty(), max_epochs=2).partial_fit(X, Y)
    net.set_params(loss=Uncertainty()).partial_fit(X, Y)
    alone = learned(net)[0].abs().max()
    assert 0 < alone < 0.2


def test_partial_fit_of_an_ensemble_continues_with_the_learned_parameters_of_losses():
    net = plain(loss=Uncertainty(), n_members=2, max_epochs=3).partial_fit(X, Y)
    before = [learned(member)[0] for member in net.members_]
    net.partial_fit(X, Y)
    after = [learned(member)[0] for member in net.members_]
    assert all((later > earlier).all() or (later < earlier).any() for earlier, later in zip(before, after, strict=True))
    assert not any(torch.equal(earlier, later) for earlier, later in zip(before, after, strict=True))
    for member in net.members_:
        assert any(p is q for p in member.criterion_.parameters() for q in member.optimizer_.param_groups[0]["params"])


def test_early_stopping_restores_the_loss_of_the_best_epoch():
    net = plain(loss=Uncertainty(), early_stopping=True, max_epochs=30, lr=0.05, n_iter_no_change=3).fit(X, Y)
    best = dict(net.callbacks_)["early_stopping"].best_epoch_
    assert best < len(net.history_)
    until_then = plain(loss=Uncertainty(), early_stopping=True, max_epochs=best, lr=0.05, n_iter_no_change=100).fit(
        X, Y
    )
    torch.testing.assert_close(learned(net), learned(until_then))


def test_divergence_restores_the_loss_parameters_of_the_last_good_epoch():
    class Breaks(Uncertainty):
        calls = 0

        def forward(self, raw, y):
            Breaks.calls += 1
            return super().forward(raw, y) * (float("nan") if Breaks.calls > 3 else 1.0)

    net = plain(loss=Breaks(), batch_size=-1)
    with pytest.raises(TrainingDivergedError):
        net.fit(X, Y)
    assert np.isfinite(learned(net)[0].numpy()).all()
    assert learned(net)[0].abs().min() > 0


def test_parameters_of_a_loss_are_saved_and_loaded(tmp_path):
    net = plain(loss=Uncertainty()).fit(X, Y)
    net.save_params(f_criterion=tmp_path / "criterion.pt")
    other = plain(loss=Uncertainty()).initialize(X, Y)
    other.load_params(f_criterion=tmp_path / "criterion.pt")
    torch.testing.assert_close(learned(net), learned(other))


def test_options_of_the_optimizer_can_be_set_for_a_loss():
    net = plain(loss=Uncertainty(), optimizer__param_groups=[("*log_variance", {"lr": 1e-12})]).fit(X, Y)
    assert learned(net)[0].abs().max() < 1e-9


def test_a_batched_search_trains_a_loss_with_parameters_sequentially():
    search = BatchedGridSearchCV(plain(loss=Uncertainty(), max_epochs=2), {"lr": [1e-3, 1e-2]}, cv=2).fit(X, Y)
    assert "a loss has learned parameters" in "".join(search.sequential_fits_)
    assert learned(search.best_estimator_)[0].abs().min() > 0


# Second modules and optimizers, as in skorch.


class TwoNets(MultiOutputNetRegressor):
    """The sum of two networks, each with an optimizer of its own."""

    def initialize_module(self):
        super().initialize_module()
        torch.manual_seed(1)
        self.second_ = nn.Linear(3, 2)
        return self

    def initialize_optimizer(self, *args):
        self.optimizer_ = torch.optim.Adam(self.module_.parameters(), lr=self.lr)
        self.optimizer2_ = torch.optim.SGD(self.second_.parameters(), lr=self.lr)
        return self

    def infer(self, x, **fit_params):
        return super().infer(x, **fit_params) + self.second_(x)


def second_weight(net):
    return net.second_.weight.detach().clone()


def test_a_second_optimizer_steps():
    net = TwoNets(max_epochs=2, random_state=0).initialize(X, Y)
    before = second_weight(net)
    net.partial_fit(X, Y)
    assert not (second_weight(net) == before).any()


def test_a_second_optimizer_steps_in_each_member_of_an_ensemble():
    net = TwoNets(max_epochs=2, random_state=0, n_members=2).fit(X, Y)
    fresh = TwoNets(max_epochs=2, random_state=0).initialize(X, Y)
    for member in net.members_:
        assert not (second_weight(member) == second_weight(fresh)).any()


def test_two_optimizers_equal_a_manual_training_loop():
    net = TwoNets(max_epochs=3, random_state=0, scale_targets=False, shuffle=False, batch_size=40)
    net.initialize(X, Y)
    first, second = copy.deepcopy(net.module_), copy.deepcopy(net.second_)
    optimizers = torch.optim.Adam(first.parameters(), lr=1e-3), torch.optim.SGD(second.parameters(), lr=1e-3)
    net.set_params(lr=1e-3).partial_fit(X, Y)
    inputs, targets = torch.tensor(X, dtype=torch.float32), torch.tensor(Y, dtype=torch.float32)
    for _ in range(3):
        for rows in torch.arange(len(X)).split(40):
            # As in skorch, each optimizer steps along gradients of its own.
            for optimizer in optimizers:
                first.zero_grad()
                second.zero_grad()
                (((first(inputs[rows]) + second(inputs[rows]) - targets[rows]) ** 2).mean(0).sum()).backward()
                optimizer.step()
    torch.testing.assert_close(net.second_.weight, second.weight)
    torch.testing.assert_close(list(net.module_.parameters()), list(first.parameters()))


def test_early_stopping_restores_the_second_module_too():
    params = {"random_state": 0, "lr": 0.02, "early_stopping": True}
    net = TwoNets(max_epochs=60, n_iter_no_change=3, **params).fit(X, Y)
    best = dict(net.callbacks_)["early_stopping"].best_epoch_
    assert best < len(net.history_)
    until_then = TwoNets(max_epochs=best, n_iter_no_change=100, **params).fit(X, Y)
    torch.testing.assert_close(second_weight(net), second_weight(until_then))


def test_a_schedule_changes_the_first_of_two_optimizers_only():
    schedule = LRScheduler(torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.1)
    net = TwoNets(max_epochs=3, random_state=0, lr=0.01, callbacks=[schedule]).fit(X, Y)
    assert net.optimizer_.param_groups[0]["lr"] < net.optimizer2_.param_groups[0]["lr"] == 0.01
