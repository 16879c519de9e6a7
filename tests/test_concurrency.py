"""Estimators in several threads: fits that do not disturb one another, and predictions of one finished state."""

import copy
import os
import pickle
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from skorch.callbacks import Callback

from skmulti import MultiOutputMLPRegressor, MultiOutputNetRegressor
from skmulti.training import RandomStreams
from skmulti.training.threads import limited_threads

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = X @ RNG.normal(size=(3, 2)) + 5.0

KINDS = {
    "default": {"effort": "fast", "max_epochs": 3},
    "single": {"effort": None, "max_epochs": 3, "dropout": 0.3},
    "skorch": {"effort": None, "max_epochs": 3, "dropout": 0.3, "training_loop": "skorch"},
}
each_kind = pytest.mark.parametrize("kind", KINDS)


def make_net(kind, **params):
    return MultiOutputMLPRegressor((6,), **{"random_state": 0, "batch_size": 16, **KINDS[kind], **params})


@pytest.fixture(autouse=True)
def _switch_often():
    """Let threads take turns so often that they meet in the middle of things."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def in_thread(call):
    """Return what a call returns in another thread, or raise what it raises there."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result(timeout=60)


# Fits of different nets.


@each_kind
def test_nets_fitted_at_once_learn_what_each_learns_alone(kind):
    nets = [make_net(kind, random_state=seed) for seed in range(4)]
    expected = [clone(net).fit(X, Y).predict(X) for net in nets]
    state = torch.get_rng_state()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda net: net.fit(X, Y), nets))
    for net, y_pred in zip(nets, expected, strict=True):
        assert_array_equal(net.predict(X), y_pred)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_thread_waits_until_the_generator_is_free():
    drawn = []
    with RandomStreams(0).active():
        first = torch.rand(1)
        thread = threading.Thread(target=lambda: drawn.append(make_net("single").fit(X, Y)))
        thread.start()
        thread.join(0.2)
        assert not drawn
        second = torch.rand(1)
    thread.join(60)
    assert len(drawn) == 1
    assert torch.equal(torch.cat([first, second]), torch.rand(2, generator=torch.Generator().manual_seed(0)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forked children")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_child_forked_while_another_thread_draws_can_draw():
    holds, ends = threading.Event(), threading.Event()

    def hold():
        with RandomStreams(0).active(), limited_threads(1):
            holds.set()
            ends.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    assert holds.wait(60)
    child = os.fork()
    if not child:
        # Ended by the alarm where it waits for a lock that nobody holds.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(30)
        with RandomStreams(1).active(), limited_threads(1):
            os._exit(0)
    ends.set()
    thread.join(60)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("order", ["first in first out", "first in last out"])
def test_the_number_of_torch_threads_is_put_back_whichever_block_ends_last(order):
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        entered, left, ends = threading.Event(), threading.Event(), threading.Event()
        found = []

        def limit():
            with limited_threads(2):
                entered.set()
                ends.wait(60)
            found.append(torch.get_num_threads())
            left.set()

        thread = threading.Thread(target=limit)
        with limited_threads(1):
            # A new thread begins with what was set last.
            thread.start()
            assert entered.wait(60)
            if order == "first in last out":
                ends.set()
                assert left.wait(60)
        ends.set()
        thread.join(60)
        assert found == [3]
        assert torch.get_num_threads() == in_thread(torch.get_num_threads) == 3
    finally:
        torch.set_num_threads(before)


# Other threads while one trains.


class Waits(Callback):
    """Stops a training at the end of an epoch until it is let go."""

    holds, ends, epoch = threading.Event(), threading.Event(), 0

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == Waits.epoch:
            Waits.holds.set()
            assert Waits.ends.wait(60)


class Training:
    """A call that trains, held at the end of an epoch while the block is run."""

    def __init__(self, call, epoch):
        self.call, Waits.epoch = call, epoch
        Waits.holds, Waits.ends = threading.Event(), threading.Event()

    def __enter__(self):
        self.pool = ThreadPoolExecutor(1)
        self.future = self.pool.submit(self.call)
        assert Waits.holds.wait(60)

    def __exit__(self, *error):
        Waits.ends.set()
        self.future.result(timeout=60)
        self.pool.shutdown()


def answers(net):
    return [net.predict(X), net.residuals(X, Y), net.score(X, Y), net.forward(X.astype("float32")).numpy()]


def assert_same_answers(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert_array_equal(one, other)


@each_kind
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_predictions_are_of_the_finished_state_until_training_ends(kind, method):
    net, twin = (make_net(kind, callbacks=[Waits()], lr=0.03) for _ in range(2))
    Waits.epoch = 0
    before = answers(net.fit(X, Y))
    twin.fit(X, Y)
    epochs = {"fit": 2, "partial_fit": 5}
    with Training(lambda: getattr(net, method)(X, -Y), epochs[method]):
        assert_same_answers(answers(net), before)
        copies = [pickle.loads(pickle.dumps(net)), copy.deepcopy(net)]
    Waits.epoch = 0
    for copied in copies:
        assert_same_answers(answers(copied), before)
        copied.partial_fit(X, Y)
        assert_same_answers(answers(copied), answers(copy.deepcopy(twin).partial_fit(X, Y)))
    assert_same_answers(answers(net), answers(getattr(twin, method)(X, -Y)))
    assert not np.array_equal(net.predict(X), before[0])


@each_kind
def test_a_net_is_not_fitted_for_other_threads_until_its_first_fit_ends(kind):
    net = make_net(kind, callbacks=[Waits()])
    parameters = net.get_params(deep=False)
    with Training(lambda: net.fit(X, Y), 2):
        with pytest.raises(NotFittedError):
            net.predict(X)
        with pytest.raises(NotFittedError):
            net.score(X, Y)
        assert net.get_params(deep=False) == parameters
        assert clone(net).get_params(deep=False).keys() == parameters.keys()
    assert np.isfinite(net.predict(X)).all()


@each_kind
def test_a_second_training_of_one_estimator_in_another_thread_is_refused(kind, tmp_path):
    net = make_net(kind, callbacks=[Waits()])
    Waits.epoch = 0
    expected = make_net(kind).fit(X, Y).predict(X)
    net.fit(X, -Y).save_params(f_params=tmp_path / "net.pt")
    calls = [
        lambda: net.fit(X, Y),
        lambda: net.partial_fit(X, Y),
        lambda: net.initialize(X, Y),
        lambda: net.set_params(max_epochs=1),
        lambda: net.load_params(f_params=tmp_path / "net.pt"),
    ]
    with Training(lambda: net.fit(X, Y), 2):
        for call in calls:
            with pytest.raises(RuntimeError, match=r"^This MultiOutputMLPRegressor is being trained in another thread"):
                call()
    assert_array_equal(net.predict(X), expected)
    Waits.epoch = 0
    assert in_thread(lambda: net.fit(X, -Y)) is net


def test_of_many_trainings_at_once_of_one_estimator_one_succeeds_at_least():
    net, errors = make_net("single"), []

    def fit(seed):
        try:
            net.fit(X, Y)
        except RuntimeError as error:
            errors.append(str(error))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(fit, range(8)))
    assert len(errors) < 8
    assert all("is being trained in another thread" in error for error in errors)
    assert_array_equal(net.predict(X), make_net("single").fit(X, Y).predict(X))


@each_kind
def test_predictions_in_a_hurry_are_of_one_state_or_the_other(kind):
    net = make_net(kind)
    states = [make_net(kind).fit(X[:, ::turn], turn * Y).predict(X) for turn in (1, -1)]
    net.fit(X, Y)
    stop, found = threading.Event(), []

    def predict():
        while not stop.is_set():
            found.append(net.predict(X))

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(predict) for _ in range(2)]
        for turn in (-1, 1, -1):
            net.fit(X[:, ::turn], turn * Y)
        stop.set()
        for reader in readers:
            reader.result(timeout=60)
    assert len(found) > 3
    assert all(any(np.array_equal(y_pred, state) for state in states) for y_pred in found)


@each_kind
def test_many_threads_predict_with_one_net(kind):
    net = make_net(kind).fit(X, Y)
    parts = [X[i : i + 7] for i in range(40)]
    expected = [net.predict(part) for part in parts]
    net.module_.train()
    with ThreadPoolExecutor(8) as pool:
        for y_pred, known in zip(pool.map(net.predict, parts), expected, strict=True):
            assert_array_equal(y_pred, known)


class CannotBeCopied(torch.nn.Linear):
    """A layer that refuses to be copied."""

    def __init__(self, input_shape, n_outputs):
        super().__init__(*input_shape, n_outputs)

    def __deepcopy__(self, memo):
        raise RuntimeError("there is one of me")


def test_a_network_that_can_not_be_copied_goes_on_training_and_is_not_read_meanwhile():
    net = MultiOutputNetRegressor(CannotBeCopied, max_epochs=2, random_state=0, callbacks=[Waits()])
    Waits.epoch = 0
    net.fit(X, Y)
    with (
        Training(lambda: net.partial_fit(X, Y), 3),
        pytest.raises(RuntimeError, match="is being trained in another thread, and its module can't be copied"),
    ):
        net.predict(X)
    assert net.n_iter_ == 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forked children")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_child_forked_during_a_training_has_the_net_as_it_was_and_can_train_it():
    net = make_net("single", callbacks=[Waits()])
    Waits.epoch = 0
    before = net.fit(X, Y).predict(X)
    with Training(lambda: net.partial_fit(X, -Y), 4):
        child = os.fork()
        if not child:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(30)
            Waits.epoch = 0
            is_same = np.array_equal(net.predict(X), before)
            is_changed = not np.array_equal(net.partial_fit(X, -Y).predict(X), before)
            os._exit(0 if is_same and is_changed else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
