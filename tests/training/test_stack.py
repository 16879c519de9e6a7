"""Nets trained as a stack equal the same nets trained separately."""

import numpy as np
import pytest
import torch
from skorch.callbacks import EarlyStopping, EpochScoring, Freezer, GradientNormClipping, LRScheduler, Unfreezer

from skmulti import MultiHeadRegressor, MultiOutputCNNRegressor, MultiOutputNetRegressor
from skmulti.losses import Huber
from skmulti.training.stack.plan import bytes_of
from skmulti.training.stack.run import TrainingRun
from skmulti.training.stack.train import TrainingTask, train_tasks
from tests.training.stacked import NOTHING, assert_as_alone, mlp, rows, train_stacked

X, Y = rows()
FOLDS = [(X[:n], Y[:n], None, NOTHING) for n in (160, 128, 129, 100, 97)]


class Leaky(torch.nn.Module):
    """A custom module with an attribute that is not a parameter."""

    def __init__(self, input_shape, n_outputs, slope=0.1):
        super().__init__()
        self.first = torch.nn.Linear(input_shape[0], 6)
        self.last = torch.nn.Linear(6, n_outputs)
        self.slope = slope

    def forward(self, X):
        return self.last(torch.nn.functional.leaky_relu(self.first(X), self.slope))


class Normed(Leaky):
    def __init__(self, input_shape, n_outputs):
        super().__init__(input_shape, n_outputs)
        self.norm = torch.nn.BatchNorm1d(6)

    def forward(self, X):
        return self.last(torch.relu(self.norm(self.first(X))))


class Random(Leaky):
    def forward(self, X):
        return torch.nn.functional.dropout(super().forward(X), 0.5, self.training)


class Secret(Leaky):
    """A module with a random attribute that its repr does not show."""

    def __init__(self, input_shape, n_outputs):
        super().__init__(input_shape, n_outputs)
        self.slope = torch.rand(1).item()


def test_each_net_has_its_own_seed():
    assert_as_alone([mlp(random_state=seed) for seed in range(4)])


def test_each_net_has_its_own_loss_weights():
    assert_as_alone([mlp(random_state=0, loss_weights={i: 2.0, 3: 0.1 * i}) for i in range(3)])


def test_each_net_has_its_own_learning_rate_and_weight_decay():
    assert_as_alone([mlp(random_state=0, lr=10.0**-i, optimizer__weight_decay=0.1 * i) for i in (1, 2, 3)])


@pytest.mark.parametrize(
    "params",
    [
        {"scaling_layer": True},
        {"scaling_layer": True, "initialization": "he", "activation": "silu", "optimizer": torch.optim.AdamW},
        {"scaling_layer": True, "hidden_layer_sizes": ()},
        {"scaling_layer": True, "normalization": "layer"},
        {"scaling_layer": True, "optimizer__param_groups": [("*.weight", {"weight_decay": 0.1})]},
    ],
    ids=str,
)
def test_networks_with_a_scaling_layer_stack(params):
    assert_as_alone([mlp(random_state=seed, **params) for seed in range(3)])


def test_each_net_has_its_own_rows_and_shorter_batches_are_padded():
    assert_as_alone([mlp(random_state=seed) for seed in range(5)], FOLDS)


def test_each_net_has_its_own_losses_and_their_parameters():
    losses = [
        "squared_error",
        "huber",
        Huber(delta=0.5),
        {3: "log_cosh"},
        ["huber", "absolute_error", "huber", "huber"],
    ]
    assert_as_alone([mlp(random_state=i, loss=loss) for i, loss in enumerate(losses)])


def test_losses_fitted_to_targets_use_those_of_their_own_net():
    assert_as_alone([mlp(random_state=i, loss={2: "gamma", 3: "circular"}) for i in range(5)], FOLDS)


def test_each_net_has_its_own_number_of_epochs():
    assert_as_alone([mlp(random_state=0, max_epochs=n) for n in (1, 4, 2, 3)])


def test_each_net_has_its_own_dropout_rate():
    assert_as_alone([mlp(random_state=0, dropout=rate) for rate in (0.0, 0.1, 0.5)], FOLDS[:3])


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "gelu", "silu", "elu", "identity", "softplus"])
def test_every_activation_and_layer_normalisation_stack(activation):
    nets = [mlp(random_state=seed, activation=activation, normalization="layer") for seed in range(3)]
    assert_as_alone(nets, FOLDS[:3])


def test_batch_normalisation_stacks_nets_with_equal_numbers_of_rows():
    # Not Adam: the gradient of a bias before a normalisation is rounding error, which Adam scales to full steps.
    params = {"normalization": "batch", "activation": "tanh", "optimizer": torch.optim.SGD}
    nets = [mlp(random_state=seed, early_stopping=seed % 2 == 1, **params) for seed in range(5)]
    assert_as_alone(nets, [FOLDS[0], FOLDS[1], FOLDS[0], FOLDS[1], FOLDS[0]])


def test_early_stopping_stops_each_net_separately_with_its_best_parameters():
    nets = [mlp(random_state=i, max_epochs=40, early_stopping=True, n_iter_no_change=2, lr=0.03) for i in range(5)]
    tasks = assert_as_alone(nets, FOLDS)
    assert len({task.net.n_iter_ for task in tasks}) > 1


def test_best_parameters_are_restored_in_nets_whose_layers_have_different_names():
    params = {"max_epochs": 25, "early_stopping": True, "n_iter_no_change": 2, "lr": 0.03}
    assert_as_alone([mlp(random_state=i, dropout=rate, **params) for i, rate in enumerate((0.0, 0.2, 0.1))])


def test_each_net_has_its_own_validation_rows():
    nets = [mlp(random_state=i, callbacks=[("stop", EarlyStopping(patience=2, load_best=True))]) for i in range(3)]
    data = [(X[:n], Y[:n], None, (X[n : n + m], Y[n : n + m], None)) for n, m in ((100, 60), (120, 40), (80, 33))]
    assert_as_alone(nets, data)


@pytest.mark.parametrize("loss", ["squared_error", {3: "circular"}])
@pytest.mark.parametrize("shape", [(160,), (160, 4)])
def test_sample_weights_stack(loss, shape):
    weight = np.random.default_rng(0).uniform(size=shape)
    weight[:7] = 0
    data = [(X[:n], Y[:n], weight[:n], NOTHING) for n in (160, 130, 97)]
    assert_as_alone([mlp(random_state=i, loss=loss, loss_weights={0: 2.0}) for i in range(3)], data)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_missing_targets_are_masked(early_stopping):
    y = np.where(np.random.default_rng(0).random(Y.shape) < 0.3, np.nan, Y)
    params = {"missing_targets": "mask", "early_stopping": early_stopping, "loss": {3: "circular"}}
    assert_as_alone(
        [mlp(random_state=i, **params) for i in range(3)], [(X[:n], y[:n], None, NOTHING) for n in (160, 130, 97)]
    )


@pytest.mark.parametrize("loss", [torch.nn.MSELoss(), torch.nn.L1Loss])
def test_losses_of_a_whole_batch_get_the_rows_of_one_net(loss):
    assert_as_alone([mlp(random_state=i, loss=loss, early_stopping=True) for i in range(3)], FOLDS[:3])


OPTIMIZERS = ["SGD", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam", "ASGD", "Rprop"]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_elementwise_optimizer_stacks(name):
    assert_as_alone([mlp(random_state=i, optimizer=getattr(torch.optim, name)) for i in range(3)], FOLDS[:3])


@pytest.mark.parametrize(
    "params",
    [
        {"optimizer__amsgrad": True},
        {"optimizer__fused": False},
        {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9, "optimizer__nesterov": True, "lr": 0.01},
    ],
)
def test_optimizer_options_apply_to_each_net(params):
    assert_as_alone([mlp(random_state=i, **params) for i in range(3)], FOLDS[:3])


def test_heads_and_their_own_learning_rates_stack():
    groups = [("heads.a*", {"lr": 0.01})]
    nets = [
        MultiHeadRegressor({"a": [0, 1], "b": [2, 3]}, random_state=i, max_epochs=3, optimizer__param_groups=groups)
        for i in range(3)
    ]
    assert_as_alone(nets, FOLDS[:3])


def test_a_linear_model_and_rows_of_images_stack():
    images = [(X[:n, :4].reshape(-1, 2, 2), Y[:n], None, NOTHING) for n in (160, 97)]
    assert_as_alone([mlp(random_state=i, hidden_layer_sizes=()) for i in range(2)], images)


def test_custom_modules_stack_by_torch_func():
    tasks = assert_as_alone([MultiOutputNetRegressor(Leaky, random_state=i, max_epochs=2) for i in range(3)])
    assert tasks[0].net.training_loop_.step == "functional"


def test_modules_that_differ_in_a_number_do_not_share_a_stack():
    nets = [MultiOutputNetRegressor(Leaky, random_state=0, max_epochs=2, module__slope=s) for s in (0.1, 0.1, 0.5, 0.5)]
    assert_as_alone(nets)


def test_a_module_with_batch_normalisation_stacks_by_torch_func():
    params = {"max_epochs": 2, "optimizer": torch.optim.SGD}
    assert_as_alone([MultiOutputNetRegressor(Normed, random_state=i, **params) for i in range(2)])


@pytest.mark.parametrize("module", [Random, Secret])
def test_a_module_with_randomness_or_hidden_state_is_trained_sequentially(module):
    assert_as_alone([MultiOutputNetRegressor(module, random_state=i, max_epochs=2) for i in range(2)], stacked=False)


def test_convolutions_are_trained_sequentially():
    tasks = assert_as_alone(
        [MultiOutputCNNRegressor(effort=None, random_state=i, max_epochs=1) for i in range(2)], stacked=False
    )
    assert "convolutions" in tasks[0].why_sequential


def test_a_callback_with_batch_events_requires_sequential_training():
    nets = [mlp(random_state=i, callbacks=[("clip", GradientNormClipping(1.0))]) for i in range(2)]
    assert "handles batch events" in assert_as_alone(nets, stacked=False)[0].why_sequential


def test_a_net_of_another_shape_is_trained_sequentially():
    tasks = train_stacked([mlp(hidden_layer_sizes=h, random_state=0) for h in (3, 3, 4)], [(X, Y, None, NOTHING)] * 3)
    assert [bool(task.why_sequential) for task in tasks] == [False, False, True]


def test_epoch_schedules_and_scores_apply_to_each_net():
    callbacks = [
        ("lr", LRScheduler("StepLR", step_size=1, gamma=0.5)),
        ("r2", EpochScoring("r2", lower_is_better=False, use_caching=False)),
    ]
    nets = [mlp(random_state=i, callbacks=callbacks, early_stopping=True) for i in range(3)]
    assert_as_alone(nets, FOLDS[:3])


def test_a_net_whose_parameters_are_frozen_during_training_leaves_the_stack():
    callbacks = [("freeze", Freezer("hidden.0*")), ("unfreeze", Unfreezer("hidden.0*", at=2))]
    assert_as_alone([mlp(random_state=0), mlp(random_state=1, callbacks=callbacks, early_stopping=False)])


def test_a_net_that_diverges_does_not_change_the_others():
    nets = [mlp(random_state=i, optimizer=torch.optim.SGD, lr=lr) for i, lr in enumerate((0.01, 1e30, 0.01, 1e3))]
    tasks = assert_as_alone(nets)
    assert [task.error is None for task in tasks] == [True, False, True, False]


def test_a_net_that_was_trained_before_continues_in_a_stack():
    begun, expected = ([mlp(random_state=i, loss={3: "circular"}).fit(X, Y) for i in range(3)] for _ in range(2))
    for net in begun:
        net._take_preset()
    tasks = [TrainingTask(net, net._check_rows(X, Y, None)) for net in begun]
    train_tasks(tasks)
    for task, net in zip(tasks, expected, strict=True):
        net.partial_fit(X, Y)
        for ours, theirs in zip(task.net.module_.parameters(), net.module_.parameters(), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
        assert not task.why_sequential


def test_twenty_steps_give_the_parameters_of_twenty_steps_alone():
    nets = [mlp(random_state=i, max_epochs=4, hidden_layer_sizes=(64, 64)) for i in range(8)]
    tasks = train_stacked(nets, [(X, Y, None, NOTHING)] * 8)
    for net, task in zip(nets, tasks, strict=True):
        net.fit(X, Y)
        for ours, theirs in zip(task.net.module_.parameters(), net.module_.parameters(), strict=True):
            assert (ours - theirs).abs().max() < 1e-5


def test_a_stack_is_split_to_fit_working_memory():
    nets = [mlp(random_state=i) for i in range(6)]
    size = bytes_of(TrainingRun(TrainingTask(*begun(nets[0])))) / 2**20
    whole, cut = (train_stacked(nets, [(X, Y, None, NOTHING)] * 6, working_memory=n * size) for n in (7, 2.5))
    for ours, theirs in zip(whole, cut, strict=True):
        assert not theirs.why_sequential
        for one, other in zip(ours.net.module_.parameters(), theirs.net.module_.parameters(), strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def begun(net):
    return net, net._begin(X, Y, None, NOTHING)[0]


def test_memory_for_one_net_only_is_reported_as_the_reason():
    tasks = train_stacked([mlp(random_state=i) for i in range(3)], [(X, Y, None, NOTHING)] * 3, working_memory=1e-3)
    assert {task.why_sequential for task in tasks} == {"'working_memory' has room for one net only"}


def test_progress_counts_all_nets():
    counted = []
    nets = [*(mlp(random_state=i, max_epochs=1) for i in range(3)), mlp(hidden_layer_sizes=2, max_epochs=1)]
    tasks = train_stacked(nets, [(X, Y, None, NOTHING)] * 4, progress=counted.append)
    assert sum(counted) == 4
    assert all(task.seconds > 0 for task in tasks)


def test_an_error_before_training_affects_one_net_only():
    nets = [mlp(random_state=0), mlp(random_state=1, callbacks=[("stop", EarlyStopping())]), mlp(random_state=2)]
    tasks = train_stacked(nets, [(X, Y, None, NOTHING)] * 3)
    assert [type(task.error).__name__ for task in tasks] == ["NoneType", "ValueError", "NoneType"]


def test_after_an_error_in_a_stack_its_nets_are_trained_sequentially():
    def breaks(raw, true):
        if raw.shape[0] == 32 and float(raw.detach().abs().max()) > 1e6:
            raise RuntimeError("too large")
        return (raw - true).square().mean()

    nets = [mlp(random_state=i, loss=breaks, optimizer=torch.optim.SGD, lr=lr) for i, lr in enumerate((0.01, 1e12))]
    tasks = train_stacked(nets, [(X, Y, None, NOTHING)] * 2)
    assert [type(task.error).__name__ for task in tasks] == ["NoneType", "RuntimeError"]
    expected = nets[0].fit(X, Y)
    for ours, theirs in zip(tasks[0].net.module_.parameters(), expected.module_.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_members_of_several_ensembles_share_a_stack():
    nets = [mlp(random_state=i, n_members=3) for i in range(2)]
    counted = []
    tasks = train_stacked([*nets, mlp(random_state=5)], [(X, Y, None, NOTHING)] * 3, progress=counted.append)
    assert [task.why_sequential for task in tasks] == ["", "", ""]
    assert sum(counted) == 3
    for net, task in zip(nets, tasks, strict=False):
        np.testing.assert_allclose(task.net.predict(X), net.fit(X, Y).predict(X), rtol=1e-4, atol=1e-4)
        assert len(task.net.history_) == 3


def test_an_ensemble_whose_member_diverges_fails_alone():
    nets = [mlp(random_state=i, n_members=2, optimizer=torch.optim.SGD, lr=lr) for i, lr in enumerate((0.01, 1e30))]
    good, bad = train_stacked(nets, [(X, Y, None, NOTHING)] * 2)
    assert good.error is None
    assert str(bad.error).startswith("Member 1 of 2: Training diverged")


class Hooked(Leaky):
    def __init__(self, input_shape, n_outputs):
        super().__init__(input_shape, n_outputs)
        self.register_forward_hook(lambda module, inputs, output: output)


class Shared(Leaky):
    def __init__(self, input_shape, n_outputs):
        super().__init__(input_shape, n_outputs)
        self.twin = torch.nn.Linear(6, n_outputs)
        self.twin.weight = self.last.weight


@pytest.mark.parametrize(
    ("net", "reason"),
    [
        (mlp(training_loop="skorch"), "'training_loop' parameter"),
        (mlp(mixed_precision="bfloat16"), "mixed precision"),
        (mlp(optimizer=torch.optim.LBFGS), "LBFGS does not work on flat vectors"),
        (MultiOutputNetRegressor(Hooked, max_epochs=1), "hooks"),
        (MultiOutputNetRegressor(Shared, max_epochs=1), "share parameters"),
    ],
    ids=["skorch", "precision", "optimizer", "hooks", "shared"],
)
def test_a_net_that_can_not_be_stacked_has_a_reason(net, reason):
    tasks = train_stacked([net.set_params(max_epochs=1, random_state=i) for i in range(2)], [(X, Y, None, NOTHING)] * 2)
    assert all(reason in task.why_sequential for task in tasks)
    assert all(task.error is None for task in tasks)


def test_a_subclass_that_overrides_a_training_method_is_trained_sequentially():
    class Overriding(MultiOutputNetRegressor):
        def on_train_end(self, net, **kwargs):
            self.called_ = True

    tasks = train_stacked([Overriding(random_state=i, max_epochs=1) for i in range(2)], [(X, Y, None, NOTHING)] * 2)
    assert all("overrides on_train_end" in task.why_sequential for task in tasks)
    assert all(task.net.called_ for task in tasks)
