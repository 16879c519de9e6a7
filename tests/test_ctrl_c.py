"""Ctrl-C ends a training at any moment: with a warning where epochs are kept, else with KeyboardInterrupt."""

import signal
import subprocess
import sys
import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from skorch.callbacks import Callback, EarlyStopping

from skmulti import MultiOutputMLPRegressor
from skmulti.prediction.conformal import SplitConformalRegressor
from skmulti.training.interrupt import delayed_interrupt
from skmulti.training.stack.run import TrainingRun
from skmulti.training.stack.trainer import StackTrainer

pytestmark = pytest.mark.usefixtures("ctrl_c_is_heard")

X = np.random.default_rng(0).normal(size=(60, 3))
Y = X[:, :2] + 5.0


class PressesCtrlC(Callback):
    """Sends SIGINT when an epoch begins."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == self.epoch:
            signal.raise_signal(signal.SIGINT)


def make_net(**params):
    return MultiOutputMLPRegressor((6,), **{"random_state": 0, "max_epochs": 4, "effort": None, **params})


def press_before(monkeypatch, cls, name):
    original = getattr(cls, name)

    def interrupted(self, *args, **kwargs):
        signal.raise_signal(signal.SIGINT)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(cls, name, interrupted)


@pytest.mark.parametrize(
    ("cls", "name"), [(StackTrainer, "__init__"), (TrainingRun, "begin"), (TrainingRun, "__init__")]
)
@pytest.mark.parametrize("params", [{"effort": "fast"}, {"n_members": 3, "callbacks": [EarlyStopping(load_best=True)]}])
def test_before_the_first_epoch_of_an_ensemble_the_earlier_state_is_kept(monkeypatch, cls, name, params):
    if "callbacks" in params:
        params = {**params, "early_stopping": True}
    net = make_net(**params).fit(X, Y)
    y_pred = net.predict(X)
    press_before(monkeypatch, cls, name)
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, -Y)
    assert_array_equal(net.predict(X), y_pred)
    with pytest.raises(KeyboardInterrupt):
        make_net(**params).fit(X, Y)


def test_before_the_first_epoch_of_a_single_net_with_early_stopping(monkeypatch):
    net = make_net(early_stopping=True).fit(X, Y)
    y_pred = net.predict(X)
    press_before(monkeypatch, MultiOutputMLPRegressor, "get_split_datasets")
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, -Y)
    assert_array_equal(net.predict(X), y_pred)


@pytest.mark.parametrize("params", [{}, {"training_loop": "skorch"}, {"n_members": 3}])
def test_an_interrupted_fit_warns(params):
    net = make_net(callbacks=[PressesCtrlC(epoch=3)], **params)
    with pytest.warns(UserWarning, match=r"Training was interrupted after 2 epochs\.") as caught:
        net.fit(X, Y)
    kept = [str(warning.message) for warning in caught if "interrupted" in str(warning.message)]
    assert len(kept) == 1
    assert ("It kept 3 of 3 members." in kept[0]) == ("n_members" in params)
    assert caught[0].filename == __file__
    assert net.n_iter_ == 2


def test_a_callback_that_stops_training_causes_no_warning():
    class Stops(Callback):
        def on_epoch_end(self, net, **kwargs):
            raise KeyboardInterrupt

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert make_net(callbacks=[Stops()]).fit(X, Y).n_iter_ == 1


def test_a_conformal_regressor_is_not_calibrated_on_an_interrupted_fit():
    conformal = SplitConformalRegressor(make_net(callbacks=[PressesCtrlC(epoch=3)]), random_state=0)
    with pytest.warns(UserWarning, match="interrupted"), pytest.raises(KeyboardInterrupt):
        conformal.fit(X, Y)
    assert not hasattr(conformal, "estimator_")


def test_ctrl_c_inside_a_delayed_block_is_handled_after_it():
    finished = []

    def run():
        with delayed_interrupt():
            signal.raise_signal(signal.SIGINT)
            finished.append(True)

    with pytest.raises(KeyboardInterrupt):
        run()
    assert finished == [True]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


FIRST_FIT = """
import signal, sys
import numpy as np
from skmulti import MultiOutputMLPRegressor

signal.signal(signal.SIGINT, signal.default_int_handler)
X = np.random.default_rng(0).normal(size=(40, 3))


class Presses:
    def find_spec(self, name, path=None, target=None):
        if name == "sympy.core":
            signal.raise_signal(signal.SIGINT)


assert "sympy" not in sys.modules
sys.meta_path.insert(0, Presses())
net = MultiOutputMLPRegressor(effort="fast", max_epochs=1, random_state=0)
try:
    net.fit(X, X[:, :2])
except KeyboardInterrupt:
    print("interrupted")
net.fit(X, X[:, :2])
print("fitted")
"""


def test_ctrl_c_during_the_lazy_imports_of_torch_leaves_a_process_that_can_fit():
    run = subprocess.run([sys.executable, "-c", FIRST_FIT], capture_output=True, text=True, timeout=120)
    assert run.stdout.split() == ["interrupted", "fitted"], run.stderr
