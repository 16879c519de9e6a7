"""The learning rate rises and falls once per training in every loop and is restored afterwards."""

from contextlib import suppress

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skorch.callbacks import Callback

from skmulti.training.schedule import one_cycle
from tests.training.either_loop import X, Y, assert_same, both
from tests.training.stacked import assert_as_alone, mlp

SCHEDULE = {"lr_schedule": "one_cycle", "lr": 0.02}


class RateRecorder(Callback):
    """Records the learning rates of each epoch."""

    def on_train_begin(self, net, **kwargs):
        self.rates = []

    def on_epoch_end(self, net, **kwargs):
        self.rates.append([group["lr"] for group in net.optimizer_.param_groups])


def fit_and_record(**params):
    net = mlp(callbacks=[("recorder", RateRecorder())], random_state=0, **SCHEDULE, **params).fit(X, Y)
    return net, np.array(dict(net.callbacks_)["recorder"].rates)


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_factor_rises_for_a_quarter_and_falls_afterwards(one, other):
    before, after = sorted([one, other])
    assert 0 < one_cycle(before) <= 1
    if after <= 0.25:
        assert one_cycle(before) <= one_cycle(after)
    if before >= 0.25:
        assert one_cycle(before) >= one_cycle(after)


@pytest.mark.parametrize("n_epochs", [1, 2, 7, 40])
def test_each_epoch_has_the_rate_of_its_middle(n_epochs):
    _, rates = fit_and_record(max_epochs=n_epochs)
    expected = [0.02 * one_cycle((k + 0.5) / n_epochs) for k in range(n_epochs)]
    np.testing.assert_allclose(rates[:, 0], expected)


def test_the_rate_is_restored_after_training_and_the_next_cycle_starts_from_it():
    net, rates = fit_and_record(max_epochs=4)
    assert net.optimizer_.param_groups[0]["lr"] == 0.02
    net.partial_fit(X, Y)
    np.testing.assert_allclose(dict(net.callbacks_)["recorder"].rates, rates)


class Fails(Callback):
    """Raises `error` in the second of four epochs."""

    error: Exception | KeyboardInterrupt | None = None

    def on_epoch_end(self, net, **kwargs):
        if Fails.error is not None and len(net.history) % 4 == 2:
            raise Fails.error


@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("error", [RuntimeError("no more"), KeyboardInterrupt()], ids=["error", "interrupt"])
def test_the_rate_is_restored_after_an_error_or_interrupt(n_members, error, monkeypatch):
    params = {"n_members": n_members, "max_epochs": 4, "callbacks": [("fails", Fails())]}
    net = mlp(random_state=0, **SCHEDULE, **params).fit(X, Y)
    monkeypatch.setattr(Fails, "error", error)
    with suppress(type(error)):
        net.partial_fit(X, Y)
    assert len(net.history_) < 8
    parts = getattr(net, "members_", [net])
    assert [part.optimizer_.param_groups[0]["lr"] for part in parts] == [0.02] * n_members


def test_early_stopping_ends_a_cycle_and_restores_the_rate():
    stops = {"early_stopping": True, "n_iter_no_change": 1, "tol": 10.0}
    net, rates = fit_and_record(max_epochs=20, **stops)
    assert len(rates) < 20
    np.testing.assert_allclose(rates[:, 0], [0.02 * one_cycle((k + 0.5) / 20) for k in range(len(rates))])
    assert net.optimizer_.param_groups[0]["lr"] == 0.02


def test_parameter_groups_keep_the_ratio_of_their_rates():
    _, rates = fit_and_record(max_epochs=4, optimizer__param_groups=[("output.*", {"lr": 0.002})])
    assert rates.shape == (4, 2)
    np.testing.assert_allclose(rates.max(axis=1), 10 * rates.min(axis=1))


def test_a_cycle_differs_from_a_constant_rate():
    cycle, constant = (mlp(random_state=0, **{**SCHEDULE, "lr_schedule": s}).fit(X, Y) for s in ("one_cycle", None))
    assert not np.allclose(cycle.predict(X), constant.predict(X), rtol=1e-2)


@pytest.mark.parametrize("optimizer", [torch.optim.AdamW, torch.optim.SGD])
def test_either_loop_follows_the_schedule(optimizer):
    assert_same(*both(**SCHEDULE, optimizer=optimizer))


def test_the_schedule_does_not_depend_on_other_callbacks():
    watched, _ = fit_and_record(max_epochs=5)
    alone = mlp(max_epochs=5, random_state=0, **SCHEDULE).fit(X, Y)
    np.testing.assert_array_equal(alone.predict(X), watched.predict(X))


def test_each_net_of_a_stack_has_its_own_cycle():
    assert_as_alone(
        [mlp(random_state=k, max_epochs=2 + k, lr=0.01 * (k + 1), lr_schedule="one_cycle") for k in range(3)]
    )


def test_a_stack_with_parameter_groups_and_early_stopping_follows_each_cycle():
    stops = {"early_stopping": True, "n_iter_no_change": 1, "tol": 0.2}
    groups = {"optimizer__param_groups": [("output.*", {"lr": 0.002})]}
    nets = [mlp(random_state=k, max_epochs=6 + k, **SCHEDULE, **stops, **groups) for k in range(3)]
    tasks = assert_as_alone(nets)
    for task in tasks:
        assert sorted(group["lr"] for group in task.net.optimizer_.param_groups) == [0.002, 0.02]


@pytest.mark.parametrize("training_loop", ["auto", "skorch"])
def test_continued_training_has_a_new_cycle(training_loop):
    params = {"max_epochs": 3, "callbacks": [("recorder", RateRecorder())], "training_loop": training_loop, **SCHEDULE}
    net = mlp(random_state=0, warm_start=True, **params).fit(X, Y)
    net.set_params(max_epochs=5, lr=0.04).fit(X, Y)
    rates = np.array(dict(net.callbacks_)["recorder"].rates)[:, 0]
    np.testing.assert_allclose(rates, [0.04 * one_cycle((k + 0.5) / 5) for k in range(5)])
    assert len(net.history_) == 8
