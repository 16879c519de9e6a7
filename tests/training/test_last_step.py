"""Predictions are checked after the last step: no fit succeeds with a net that predicts NaN."""

import re

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback

from skmulti import MultiOutputCNNRegressor, MultiOutputMLPRegressor, TrainingDivergedError
from skmulti.model_selection import BatchedGridSearchCV


def draw(n=60):
    X = np.random.default_rng(0).normal(size=(n, 4))
    return X, np.stack([X[:, 0] + X[:, 1] ** 2, X[:, 2]], axis=1)


def net(**params):
    defaults = {"effort": None, "optimizer": torch.optim.SGD, "lr": 1e15, "batch_size": -1, "max_epochs": 1}
    return MultiOutputMLPRegressor(**{**defaults, "random_state": 0, **params})


class Watch(Callback):
    def on_batch_end(self, net, **kwargs):
        pass


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"training_loop": "skorch"},
        {"callbacks": [Watch()]},
        {"n_members": 2},
        {"loss": ["huber", "circular"]},
        {"loss": "gaussian_nll"},
        {"optimizer": torch.optim.Adam, "lr": 1e35},
        {
            "effort": "default",
            "n_members": 2,
            "early_stopping": False,
            "linear_path": False,
            "optimizer": "auto",
            "lr": 1e38,
        },
    ],
    ids=lambda params: ", ".join(
        f"{name}={type(v).__name__ if isinstance(v, list) else v}" for name, v in params.items()
    ),
)
def test_a_last_step_that_diverges_is_an_error(params):
    X, y = draw()
    estimator = net(**params)
    with pytest.raises(TrainingDivergedError, match="is not finite after the last step"):
        estimator.fit(X, y)
    # There is no good epoch, and there was no net before.
    with pytest.raises(NotFittedError):
        estimator.predict(X)


def test_the_message_names_epoch_and_columns():
    X, y = draw()
    message = (
        "Training diverged in epoch 1: the prediction of 'y0', 'y1' is not finite after the last step. The net keeps "
        "the state from before this call. Lower 'lr', scale X and the targets, or clip the gradients "
        "(skorch.callbacks.GradientNormClipping)."
    )
    with pytest.raises(TrainingDivergedError, match=f"^{re.escape(message)}$"):
        net().fit(X, y)


@pytest.mark.parametrize("n_members", [1, 2])
def test_the_parameters_before_the_last_epoch_are_kept(n_members):
    X, y = draw()

    class Faster(Callback):
        """Step too far in the last epoch."""

        def on_epoch_begin(self, net, **kwargs):
            for group in net.optimizer_.param_groups:
                group["lr"] = 1e-2 if len(net.history) < 4 else 1e15

    good = net(lr=1e-2, max_epochs=3, n_members=n_members).fit(X, y)
    too_far = net(lr=1e-2, max_epochs=4, n_members=n_members, callbacks=[Faster()])
    with pytest.raises(TrainingDivergedError, match="epoch 4"):
        too_far.fit(X, y)
    np.testing.assert_allclose(too_far.predict(X), good.predict(X), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "params",
    [
        {"loss": torch.nn.MSELoss()},
        {"loss": torch.nn.MSELoss(), "training_loop": "skorch"},
        {"n_members": 2},
        {"n_members": 2, "training_loop": "skorch"},
        {"loss": "gaussian_nll"},
    ],
    ids=str,
)
def test_an_epoch_whose_last_step_diverges_is_not_kept(params):
    X, y = draw()
    # The step of the first epoch makes parameters that are finite, and predictions that are not.
    too_far = net(optimizer=torch.optim.Adam, lr=1e30, max_epochs=3, **params)
    message = "epoch 2: .* The net keeps the state from before this call"
    with pytest.raises(TrainingDivergedError, match=message):
        too_far.fit(X, y)
    with pytest.raises(NotFittedError):
        too_far.predict(X)
    before = too_far.set_params(lr=1e-2).fit(X, y).predict(X)
    for again in (too_far.set_params(lr=1e30).fit, too_far.partial_fit):
        with pytest.raises(TrainingDivergedError):
            again(X, y)
        np.testing.assert_array_equal(too_far.predict(X), before)


def test_a_continued_training_that_diverges_keeps_the_learned_parameters():
    X, y = draw()
    estimator = net(lr=1e-2, max_epochs=20).fit(X, y)
    before = estimator.predict(X)
    estimator.set_params(lr=1e15, max_epochs=1)
    with pytest.raises(TrainingDivergedError):
        estimator.partial_fit(X, y)
    np.testing.assert_array_equal(estimator.predict(X), before)


def test_predictions_of_images_are_checked_too():
    X = np.random.default_rng(0).normal(size=(20, 8, 8))
    estimator = MultiOutputCNNRegressor(
        channels=(4,), effort=None, optimizer=torch.optim.SGD, lr=1e20, batch_size=-1, max_epochs=1, random_state=0
    )
    with pytest.raises(TrainingDivergedError):
        estimator.fit(X, X[:, 0, :2])


@pytest.mark.parametrize("search", [GridSearchCV, BatchedGridSearchCV])
def test_searches_score_a_diverged_fit_as_failed(search):
    X, y = draw()
    found = search(net(), {"lr": [1e-2, 1e15]}, cv=2, error_score=-99.0)
    with pytest.warns(FitFailedWarning, match="2 fits failed"):
        found.fit(X, y)
    assert found.cv_results_["mean_test_score"][1] == -99.0
    assert found.best_params_ == {"lr": 1e-2}


def test_with_validation_predictions_are_not_checked_again(monkeypatch):
    X, y = draw()
    estimator = net(lr=1e-2, max_epochs=2, early_stopping=True)
    checked = []
    monkeypatch.setattr(type(estimator), "_columns_not_finite", lambda self, X: checked.append(len(X)) or [])
    estimator.fit(X, y)
    assert not checked
    clone(estimator).set_params(early_stopping=False).fit(X, y)
    assert checked == [60]
