"""An optimizer on flat vectors takes the steps of the plain optimizer, and gives parameters and state back."""

import pickle

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, Checkpoint

from tests.training.either_loop import X, Y, assert_same, both, make


class Signs(torch.optim.Optimizer):
    """A custom optimizer that steps along the sign of the gradient."""

    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    def step(self, closure=None):
        loss = None if closure is None else closure()
        with torch.no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    p -= group["lr"] * p.grad.sign()
        return loss


@pytest.mark.parametrize(
    ("optimizer", "params", "kind"),
    [
        ("Adam", {}, "flat"),
        ("Adam", {"amsgrad": True, "weight_decay": 0.1, "betas": (0.8, 0.9)}, "flat"),
        ("Adam", {"maximize": True, "lr": 1e-5}, "flat"),
        ("Adam", {"fused": True}, "flat"),
        ("AdamW", {"weight_decay": 0.3}, "flat"),
        ("SGD", {}, "flat"),
        ("SGD", {"momentum": 0.9}, "flat"),
        ("SGD", {"momentum": 0.9, "dampening": 0.2, "weight_decay": 0.1}, "flat"),
        ("SGD", {"momentum": 0.9, "nesterov": True}, "flat"),
        ("RMSprop", {}, "flat"),
        ("RMSprop", {"momentum": 0.5, "centered": True}, "flat"),
        ("Adagrad", {}, "flat"),
        ("Adadelta", {}, "flat"),
        ("Adamax", {}, "flat"),
        ("NAdam", {}, "flat"),
        ("RAdam", {}, "flat"),
        ("ASGD", {"t0": 3}, "flat"),
        ("Rprop", {}, "flat"),
        ("LBFGS", {"max_iter": 3}, "own"),
        (Signs, {}, "own"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_an_optimizer_takes_the_same_steps(optimizer, params, kind):
    cls = getattr(torch.optim, optimizer) if isinstance(optimizer, str) else optimizer
    params = {"lr" if name == "lr" else f"optimizer__{name}": value for name, value in params.items()}
    # An optimizer that divides by almost nothing, or takes signs, turns the last digit into a step of full length.
    ours, theirs = both(optimizer=cls, activation="tanh", **params)
    assert ours.training_loop_.optimizer == kind
    assert_same(ours, theirs, rtol=1e-4 if optimizer in ("Rprop", Signs) else 1e-5)
    for mine, other in zip(ours.optimizer_.state.values(), theirs.optimizer_.state.values(), strict=True):
        assert set(mine) == set(other)
        for key, value in other.items():
            if isinstance(value, torch.Tensor):
                assert mine[key].shape == value.shape
                assert mine[key].dtype == value.dtype
                torch.testing.assert_close(mine[key], value, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.SGD, torch.optim.RMSprop])
@pytest.mark.parametrize("loops", [("auto", "skorch"), ("skorch", "auto"), ("auto", "auto")])
def test_training_resumes_where_the_other_loop_stopped(optimizer, loops):
    params = {"optimizer": optimizer, "scale_targets": False}
    if optimizer is torch.optim.SGD:
        params.update(optimizer__momentum=0.9, lr=1e-5)
    net = make(**params, training_loop=loops[0]).partial_fit(X, Y)
    net.set_params(training_loop=loops[1]).partial_fit(X, Y)
    theirs = make(**params, training_loop="skorch").partial_fit(X, Y).partial_fit(X, Y)
    assert_same(net, theirs, loop="tensor" if loops[1] == "auto" else "skorch")


class Forgetful(torch.optim.Optimizer):
    """An optimizer that does not ask for gradients."""

    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    def step(self, closure=None):
        pass


def test_an_optimizer_must_call_the_closure():
    with pytest.raises(TypeError, match=r"'optimizer' parameter must be a class whose step\(closure\) calls"):
        make(optimizer=Forgetful).fit(X, Y)


def test_parameter_groups_keep_their_options():
    groups = [("hidden.0.*", {"lr": 0.0}), ("output.bias", {"lr": 0.1, "weight_decay": 0.5})]
    ours, theirs = both(optimizer__param_groups=groups)
    assert ours.training_loop_.optimizer == "flat"
    assert_same(ours, theirs)
    start = make().initialize(X, Y)
    assert torch.equal(ours.module_.hidden[0].weight, start.module_.hidden[0].weight)


def test_parameters_and_state_have_separate_memory_after_fit():
    net = make().fit(X, Y)
    tensors = [*net.module_.parameters(), *(v for s in net.optimizer_.state.values() for v in s.values())]
    assert all(t.untyped_storage().nbytes() == t.numel() * t.element_size() for t in tensors)
    assert len({t.data_ptr() for t in tensors}) == len(tensors)
    assert len(pickle.dumps(net)) < 1.1 * len(pickle.dumps(make(training_loop="skorch").fit(X, Y)))


def test_a_checkpoint_during_training_can_be_loaded(tmp_path):
    checkpoint = Checkpoint(monitor=None, f_pickle="net.pkl", dirname=tmp_path)
    net = make(callbacks=[checkpoint]).fit(X, Y)
    read = pickle.loads((tmp_path / "net.pkl").read_bytes())
    np.testing.assert_array_equal(read.predict(X), net.predict(X))
    other = make().initialize(X, Y)
    other.load_params(checkpoint=checkpoint)
    np.testing.assert_array_equal(other.predict(X), net.predict(X))
    # The moments are loaded as well: both resume with the same results.
    for one in (other, net):
        one.set_params(callbacks=None, shuffle=False).partial_fit(X, Y)
    np.testing.assert_allclose(other.predict(X), net.predict(X), rtol=1e-4)


def test_a_pickle_during_training_contains_no_rows(tmp_path):
    rows = np.zeros((20_000, 5), dtype=np.float32)
    checkpoint = Checkpoint(monitor=None, f_pickle="net.pkl", dirname=tmp_path)
    make(callbacks=[checkpoint], max_epochs=1).fit(rows, rows, X_val=rows, y_val=rows)
    assert (tmp_path / "net.pkl").stat().st_size < rows.nbytes / 4


class LoadsState(Callback):
    """Loads the optimizer's state of the first epoch after the second."""

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 1:
            self.state_ = pickle.loads(pickle.dumps(net.optimizer_.state_dict()))
        if len(net.history) == 2:
            net.optimizer_.load_state_dict(self.state_)


def test_optimizer_state_loaded_during_training_is_used():
    assert_same(*both(lambda net: net.set_params(callbacks=[LoadsState()]).fit(X, Y)))


class Interrupts(Callback):
    """Stops the training in its third epoch."""

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 3:
            raise KeyboardInterrupt


def test_an_interrupted_net_resumes_training():
    net = make(callbacks=[Interrupts()]).fit(X, Y)
    assert net.n_iter_ == 2
    theirs = make(training_loop="skorch", max_epochs=2).fit(X, Y)
    for name, value in net.module_.state_dict().items():
        torch.testing.assert_close(value, theirs.module_.state_dict()[name], rtol=1e-4, atol=1e-6)
    assert net.set_params(callbacks=None).partial_fit(X, Y).n_iter_ == 6
