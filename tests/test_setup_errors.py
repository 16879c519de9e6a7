"""Errors of losses, modules, optimizers and callbacks name the parameter and the way out."""

import threading

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, Freezer, LRScheduler

from skmulti import MultiOutputMLPRegressor, MultiOutputNetRegressor

X = np.random.default_rng(0).normal(size=(60, 3))
Y = X[:, :2]


class Net(torch.nn.Module):
    def __init__(self, width, input_shape, n_outputs):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(*input_shape, width), torch.nn.Linear(width, n_outputs))

    def forward(self, x):
        return self.layers(x)


def detached(y_pred, y_true):
    return (y_pred - y_true).detach() ** 2


CASES = {
    "loss without gradient": ({"loss": detached}, ValueError, r"'loss' parameter .* without gradient; remove detach"),
    "option that torch refuses": (
        {"optimizer__betas": 3},
        TypeError,
        r"^The 'optimizer__betas'.* must be valid for Adam",
    ),
    "unknown policy": ({"callbacks": [LRScheduler("StepLr")]}, ValueError, r"'StepLr'.* Did you mean 'StepLR'"),
    "class of callback": ({"callbacks": [Freezer]}, TypeError, r"'callbacks' .* Got the class .*; pass an instance"),
    "too many threads": ({"n_threads": 100_000}, ValueError, r"'n_threads' parameter must be at most 1024"),
}


@pytest.mark.parametrize(("params", "error", "message"), CASES.values(), ids=CASES)
@pytest.mark.parametrize("effort", [None, "fast"])
def test_what_fit_refuses(params, error, message, effort):
    with pytest.raises(error, match=message):
        MultiOutputMLPRegressor(max_epochs=1, effort=effort, **params).fit(X, Y)


def identity(x):
    return x


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"module": Net}, r"Net requires 'width'; pass module__width=\.\.\."),
        ({"module": identity}, r"must be a torch\.nn\.Module.* identity requires 'x'"),
        ({"module": identity, "module__x": 3}, r"must be a torch\.nn\.Module.* identity returned 3"),
    ],
)
def test_a_module_that_can_not_be_built(params, message):
    with pytest.raises(TypeError, match=message):
        MultiOutputNetRegressor(max_epochs=1, **params).fit(X, Y)


def test_an_unknown_module_option_of_a_fitted_net():
    net = MultiOutputNetRegressor(Net, module__width=3, max_epochs=1).fit(X, Y)
    with pytest.raises(TypeError, match="'module__foo' parameter must be an option of Net"):
        net.set_params(module__foo=2)


def test_a_validation_fraction_that_leaves_no_rows():
    net = MultiOutputMLPRegressor(effort=None, early_stopping=True, validation_fraction=0.9, max_epochs=1)
    with pytest.raises(ValueError, match=r"'validation_fraction' .* Got 0\.9, which takes 3 of 3 rows"):
        net.fit(X[:3], Y[:3])


def test_parameters_of_another_shape_are_not_loaded(tmp_path):
    nets = [MultiOutputMLPRegressor((width,), effort=None, max_epochs=1).fit(X, Y) for width in (5, 7)]
    nets[0].save_params(f_params=tmp_path / "params.pt")
    with pytest.raises(ValueError, match=r"Got others: size mismatch for hidden\.0\.weight"):
        nets[1].load_params(f_params=tmp_path / "params.pt")


def test_a_parameter_is_not_set_while_another_thread_trains():
    errors = []

    class Sets(Callback):
        def on_epoch_begin(self, net, **kwargs):
            def assign():
                try:
                    net.lr = 0.5
                except RuntimeError as error:
                    errors.append(str(error))

            thread = threading.Thread(target=assign)
            thread.start()
            thread.join()

    net = MultiOutputMLPRegressor(effort=None, max_epochs=1, lr=0.1, callbacks=[Sets()]).fit(X, Y)
    assert net.lr == 0.1
    assert "is being trained in another thread" in errors[0]
