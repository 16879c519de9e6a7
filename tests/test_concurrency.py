"""Estimators in several threads: fits that do not disturb one another, and predictions of one finished state."""

import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.base import clone

from skmulti import MultiOutputMLPRegressor
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
