"""An estimator whose training fails is as it was before, or keeps whole epochs: never something in between."""

import copy
import pickle
import signal
from contextlib import suppress

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.exceptions import NotFittedError
from skorch.callbacks import Callback

from skmulti import MultiOutputMLPRegressor, TrainingDivergedError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = X @ RNG.normal(size=(3, 2)) + 5.0

KINDS = {
    "default": {"effort": "fast", "max_epochs": 4},
    "single": {"effort": None, "max_epochs": 4},
    "skorch": {"effort": None, "max_epochs": 4, "training_loop": "skorch"},
    "ensemble": {"effort": None, "max_epochs": 4, "n_members": 2},
}
each_kind = pytest.mark.parametrize("kind", KINDS)


def make_net(kind, **params):
    return MultiOutputMLPRegressor((6,), **{"random_state": 0, "batch_size": 16, **KINDS[kind], **params})


class Raises(Callback):
    """Raises an error when an epoch begins."""

    def __init__(self, error, epoch=1):
        self.error, self.epoch = error, epoch

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == self.epoch:
            raise self.error


class RaisesInBatch(Callback):
    """Raises an error after the first batch of an epoch."""

    def __init__(self, error, epoch=1):
        self.error, self.epoch = error, epoch

    def on_batch_end(self, net, **kwargs):
        if len(net.history) == self.epoch:
            raise self.error


FAILURES = {
    "error in epoch 1": (RuntimeError, {"callbacks": [Raises(RuntimeError("no more"), 1)]}),
    "error after two epochs": (RuntimeError, {"callbacks": [Raises(RuntimeError("no more"), 3)]}),
    "divergence in epoch 1": (TrainingDivergedError, {"optimizer": torch.optim.SGD, "lr": 1e38}),
    "interrupt in epoch 1": (KeyboardInterrupt, {"callbacks": [Raises(KeyboardInterrupt(), 1)]}),
    "interrupt in a batch of epoch 1": (KeyboardInterrupt, {"callbacks": [RaisesInBatch(KeyboardInterrupt(), 1)]}),
}
each_failure = pytest.mark.parametrize("failure", FAILURES)


def state_of(net):
    """Return what can be seen of a fitted net: predictions, parameters, history, attributes."""
    attributes = sorted(name for name in vars(net) if name.endswith("_") and not name.startswith("_"))
    return {
        "predictions": net.predict(X).tolist(),
        "parameters": [p.tolist() for p in net.module_.state_dict().values()],
        "history": list(net.history_[:, "train_loss"]),
        "epochs": [net.n_iter_, *(member.n_iter_ for member in getattr(net, "members_", []))],
        "targets": list(net.target_names_),
        "attributes": attributes,
    }


@each_kind
@each_failure
def test_a_refit_that_fails_leaves_the_earlier_fit(kind, failure):
    error, params = FAILURES[failure]
    net = make_net(kind).fit(X, Y)
    before, module = state_of(net), net.module_
    with pytest.raises(error):
        net.set_params(**params).fit(X[:, ::-1], -100 * Y)
    assert net.module_ is module
    assert state_of(net) == before


@each_kind
@pytest.mark.parametrize("failure", ["error in epoch 1", "divergence in epoch 1"])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_first_fit_that_fails_in_its_first_epoch_leaves_a_net_that_is_not_fitted(kind, failure, method):
    error, params = FAILURES[failure]
    net = make_net(kind, **params)
    parameters = net.get_params(deep=False)
    with pytest.raises(error):
        getattr(net, method)(X, Y)
    with pytest.raises(NotFittedError):
        net.predict(X)
    assert net.get_params(deep=False) == parameters


@each_kind
@pytest.mark.parametrize("failure", [name for name in FAILURES if name != "error after two epochs"])
def test_training_that_goes_on_and_fails_in_its_first_epoch_leaves_all_as_it_was(kind, failure):
    error, params = FAILURES[failure]
    callbacks = [type(callback)(callback.error, epoch=5) for callback in params.get("callbacks", [])]
    optimizer = params.get("optimizer", torch.optim.Adam)
    net = make_net(kind, optimizer=optimizer, lr=0.01, early_stopping=False, callbacks=callbacks).fit(X, Y)
    untouched = copy.deepcopy(net)
    before = state_of(net)
    if "lr" in params:
        net.set_params(lr=params["lr"])
    with pytest.raises(error):
        net.partial_fit(X, -100 * Y)
    assert state_of(net) == before
    # What the optimizer remembers and the order of the rows are as before too.
    for either in (net, untouched):
        either.set_params(callbacks=None, lr=0.01)
        for part in getattr(either, "members_", [either]):
            part.callbacks_ = [
                (name, own) for name, own in part.callbacks_ if not isinstance(own, (Raises, RaisesInBatch))
            ]
        either.partial_fit(X, Y)
    np.testing.assert_allclose(net.predict(X), untouched.predict(X), rtol=1e-6)


class FailsAt(Callback):
    """Fails at an epoch, in the net of one member only."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_begin(self, net, **kwargs):
        seeds = sorted(FailsAt.seeds)
        if len(net.history) == self.epoch and net.random_state == seeds[0]:
            raise RuntimeError("no more")


@pytest.mark.parametrize("training_loop", ["auto", "skorch"])
def test_an_ensemble_that_goes_on_and_one_of_whose_members_fails_at_once_is_as_before(training_loop, monkeypatch):
    net = make_net("ensemble", training_loop=training_loop, callbacks=[FailsAt(5)])
    monkeypatch.setattr(FailsAt, "seeds", [-1], raising=False)
    net.fit(X, Y)
    before = state_of(net)
    monkeypatch.setattr(FailsAt, "seeds", [member.random_state for member in net.members_])
    with pytest.raises(RuntimeError, match="no more"):
        net.partial_fit(X, Y)
    assert state_of(net) == before


@each_kind
def test_a_refit_that_diverges_after_good_epochs_keeps_the_last_of_them(kind):
    class NaNIn:
        """A squared error that is NaN in the third epoch."""

        __name__ = "NaNIn"
        broken = False

        def __call__(self, raw, y):
            return (raw - y).square().mean(1) * (float("nan") if NaNIn.broken else 1.0)

    class Breaks(Callback):
        def on_epoch_begin(self, net, **kwargs):
            NaNIn.broken = len(net.history) == 3

    loss = NaNIn()
    net = make_net(kind, early_stopping=False).fit(X, Y)
    short = make_net(kind, loss=loss, early_stopping=False, callbacks=[Breaks()], max_epochs=2, lr_schedule=None)
    short.fit(X, -Y)
    net.set_params(loss=loss, callbacks=[Breaks()], lr_schedule=None)
    with pytest.raises(TrainingDivergedError, match=r"epoch 3.*keeps the parameters of the last good epoch"):
        net.fit(X, -Y)
    assert net.n_iter_ == 2
    np.testing.assert_allclose(net.predict(X), short.predict(X), rtol=1e-4)


def test_the_message_of_divergence_in_the_first_epoch_says_what_the_net_is():
    net = make_net("single", optimizer=torch.optim.SGD, lr=1e38)
    with pytest.raises(TrainingDivergedError, match=r"in epoch 1: .*The net keeps the state from before this call\."):
        net.fit(X, Y)


@each_kind
def test_a_net_that_was_only_initialized_and_fails_is_initialized_again(kind):
    net = make_net(kind, callbacks=[Raises(RuntimeError("no more"), 1)]).initialize(X, Y)
    y_pred = net.predict(X)
    for method in (net.fit, net.partial_fit):
        with pytest.raises(RuntimeError, match="no more"):
            method(X, Y)
        assert_array_equal(net.predict(X), y_pred)


@each_kind
def test_a_net_that_failed_travels_and_learns(kind):
    net = make_net(kind, callbacks=[Raises(RuntimeError("no more"), 3)])
    with suppress(RuntimeError):
        net.fit(X, Y)
    net = pickle.loads(pickle.dumps(net)).set_params(callbacks=None)
    expected = make_net(kind).fit(X, Y).predict(X)
    np.testing.assert_allclose(net.fit(X, Y).predict(X), expected, rtol=1e-5)


# Loading.


def saved(net, path):
    names = ["f_params", "f_history", *(["f_optimizer"] if not hasattr(net, "members_") else [])]
    files = {name: path / name for name in names}
    net.save_params(**files)
    return files


@pytest.mark.parametrize(
    ("kind", "bad"),
    [(kind, bad) for kind in KINDS for bad in ("f_params", "f_history")]
    + [(kind, "f_optimizer") for kind in ("single", "skorch")],
)
def test_loading_that_fails_leaves_a_fitted_net_as_it_was(kind, bad, tmp_path):
    net = make_net(kind).fit(X, Y)
    files = saved(make_net(kind, random_state=1, max_epochs=3).fit(X, -Y), tmp_path)
    if bad == "f_params":
        # All fits but what stands last.
        state = torch.load(files[bad])
        state[list(state)[-1]] = torch.zeros(9, 9)
        torch.save(state, files[bad])
    else:
        files[bad].write_bytes(b"[not what was saved")
    before = state_of(net)
    with pytest.raises(Exception, match=r"."):
        net.load_params(**files)
    assert state_of(net) == before
    expected = make_net(kind).fit(X, Y).partial_fit(X, Y).predict(X)
    np.testing.assert_allclose(net.partial_fit(X, Y).predict(X), expected, rtol=1e-6)


def test_parameters_of_an_ensemble_are_loaded_as_a_whole(tmp_path):
    net, other = (make_net("ensemble", random_state=seed).fit(X, Y) for seed in range(2))
    net.load_params(**saved(other, tmp_path))
    assert_array_equal(net.predict(X), other.predict(X))
    assert net.history_[:, "train_loss"] == other.history_[:, "train_loss"]


# Ctrl-C.


class CtrlC(Callback):
    """Presses Ctrl-C at the end of an epoch, once."""

    is_armed = False

    def on_epoch_end(self, net, **kwargs):
        if CtrlC.is_armed and len(net.history) == 2:
            CtrlC.is_armed = False
            signal.raise_signal(signal.SIGINT)


@pytest.mark.usefixtures("ctrl_c_is_heard")
@each_kind
def test_ctrl_c_after_an_epoch_keeps_what_was_learned(kind, monkeypatch):
    monkeypatch.setattr(CtrlC, "is_armed", True)
    net = make_net(kind, callbacks=[CtrlC()], max_epochs=60, lr=0.01)
    with pytest.warns(UserWarning, match="Training was interrupted"):
        net.fit(X, Y)
    members = getattr(net, "members_", [net])
    assert not CtrlC.is_armed
    assert all(1 <= member.n_iter_ <= 2 for member in members)
    assert net.n_iter_ == len(net.history_) == max(member.n_iter_ for member in members)
    y_pred = net.predict(X)
    assert np.isfinite(y_pred).all()
    assert_array_equal(pickle.loads(pickle.dumps(net)).predict(X), y_pred)
    # It goes on learning, and any later fit has all of its members.
    assert net.partial_fit(X, Y).n_iter_ > 50
    assert net.score(X, Y) > 0.5
    n_members = len(make_net(kind, max_epochs=1).fit(X, Y).module_.state_dict())
    assert len(net.set_params(max_epochs=1).fit(X, Y).module_.state_dict()) == n_members


@pytest.mark.usefixtures("ctrl_c_is_heard")
def test_ctrl_c_keeps_the_members_of_a_default_ensemble_that_have_an_epoch_and_stacks_them(monkeypatch):
    monkeypatch.setattr(CtrlC, "is_armed", True)
    # skorch's loop trains members one after the other: three have not begun.
    params = {"n_members": 4, "numeric_embedding": "mixed", "training_loop": "skorch"}
    net = make_net("default", callbacks=[CtrlC()], **params)
    with pytest.warns(UserWarning, match=r"It kept 1 of 4 members\."):
        net.fit(X, Y)
    assert len(net.members_) == 1
    assert net.n_members == 4
    # The targets are linear: a ridge regression that has its stacking weight predicts them, and networks of two
    # epochs don't.
    assert net.score(X, Y) > 0.9
    assert np.isfinite(net.predict(X, return_std=True)[1]).all()
    with pytest.raises(ValueError, match=r"must stay as it is .* Got 3 instead of 4"):
        net.set_params(n_members=3).partial_fit(X, Y)


@pytest.mark.parametrize("kind", ["single", "skorch"])
def test_an_epoch_that_diverges_is_not_taken_for_a_finished_one_without_callbacks(kind):
    net = make_net(kind, callbacks="disable", optimizer=torch.optim.SGD, lr=0.01).fit(X, Y)
    before = net.predict(X)
    for train in (net.set_params(lr=1e38).fit, net.partial_fit):
        with pytest.raises(TrainingDivergedError):
            train(X, -Y)
        assert_array_equal(net.predict(X), before)
        assert net.n_iter_ == len(net.history_) == 4
