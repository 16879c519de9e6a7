"""The number of threads depends on the size of a step and is restored afterwards."""

import copy
import multiprocessing
import time

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch.callbacks import Callback
from torch import nn

from skmulti import MultiOutputMLPRegressor
from skmulti.modules import CNN, MLP
from skmulti.training import threads
from skmulti.training.threads import choose_threads, limited_threads, multiplications


@pytest.fixture
def four_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


class Threads(Callback):
    """Records the number of threads during training."""

    def on_epoch_end(self, net, **kwargs):
        self.seen_ = torch.get_num_threads()


def test_a_linear_layer_multiplies_each_weight_once_per_row():
    assert multiplications(nn.Linear(7, 5), (7,)) == 35


def test_a_convolution_multiplies_each_weight_at_every_position():
    assert multiplications(nn.Conv2d(3, 8, 3), (3, 10, 12)) == 3 * 8 * 9 * 120


def test_a_small_net_gets_one_thread_and_a_large_one_all(four_threads):
    assert choose_threads("auto", 128 * multiplications(MLP(20, 4, (64, 64)), (20,))) == 1
    assert choose_threads("auto", 256 * multiplications(CNN((3, 64, 64), 4, channels=(64, 64)), (3, 64, 64))) == 4


@pytest.mark.parametrize("given", [1, 3, 64])
def test_a_given_number_is_used(four_threads, given):
    assert choose_threads(given, 2) == given


def test_the_number_is_restored_even_after_an_error(four_threads):
    seen = []

    def fail():
        with limited_threads(1):
            seen.append(torch.get_num_threads())
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        fail()
    assert seen == [1]
    assert torch.get_num_threads() == 4


@pytest.mark.parametrize(("n_threads", "inside"), [("auto", 1), (2, 2)])
def test_fit_uses_its_own_number_and_restores_that_of_the_process(four_threads, n_threads, inside):
    X = np.random.default_rng(0).normal(size=(20, 3))
    note = Threads()
    net = MultiOutputMLPRegressor(effort=None, n_threads=n_threads, max_epochs=1, callbacks=[note], random_state=0).fit(
        X, X
    )
    assert note.seen_ == inside
    net.predict(X)
    assert torch.get_num_threads() == 4


@pytest.mark.parametrize("n_threads", [0, 1.5, "many"])
def test_another_number_is_refused(n_threads):
    with pytest.raises(ValueError, match="The 'n_threads' parameter of MultiOutputMLPRegressor must be"):
        MultiOutputMLPRegressor(effort=None, n_threads=n_threads).fit(np.eye(3), np.eye(3))


def timed_steps(monkeypatch, seconds):
    """Return the numbers of threads of 400 steps that take so many seconds, by number of threads."""
    used, clock = [], [0.0]
    monkeypatch.setattr(torch, "set_num_threads", used.append)
    monkeypatch.setattr(threads.time, "perf_counter", lambda: clock[0])
    found = []
    with threads.AdaptiveThreads(2) as chosen:
        for _ in range(400):
            found.append(used[-1])
            chosen.begin_step()
            clock[0] += seconds[used[-1]]
            chosen.end_step(n_members=3)
    return found


def test_steps_keep_two_threads_while_they_are_faster(monkeypatch):
    found = timed_steps(monkeypatch, {1: 2.0, 2: 1.1})
    assert found.count(1) == 4


def test_steps_switch_to_one_thread_when_two_are_slower(monkeypatch):
    found = timed_steps(monkeypatch, {1: 2.0, 2: 50.0})
    assert found.count(2) < 30
    assert found[-1] == 1


def read_in_a_child(net, X, read, seconds=60):
    """Return what a forked child computes, or fail after so many seconds."""
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    child = context.Process(target=lambda: answers.put(read(net, X)))
    child.start()
    deadline = time.monotonic() + seconds
    while answers.empty() and child.is_alive() and time.monotonic() < deadline:
        time.sleep(0.05)
    answered = not answers.empty()
    answer = answers.get() if answered else None
    child.join(5 if answered else 0)
    child.kill()
    assert answered, f"the child did not answer in {seconds} seconds"
    return answer


READS = {
    "predict": lambda net, X: net.predict(X),
    "predict of few rows": lambda net, X: net.predict(X[:300]),
    "return_std": lambda net, X: net.predict(X[:300], return_std=True)[1],
    "quantiles": lambda net, X: net.predict_quantiles(X, [0.1, 0.9], columns=[1]),
    "partial_fit": lambda net, X: net.partial_fit(X[:300], X[:300, 2:4]).predict(X[:300]),
    "fit": lambda net, X: clone(net).fit(X[:300], X[:300, 2:4]).predict(X[:300]),
}


@pytest.fixture(scope="module")
def large_default():
    """A default fit with several threads, and rows whose products use several."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    X = np.random.default_rng(0).normal(size=(3000, 10))
    # Starts the thread pool of the parent: the child inherits its memory, but not its threads.
    torch.ones(1000, 1000) @ torch.ones(1000, 1000)
    net = MultiOutputMLPRegressor(loss=["squared_error", "gaussian_nll"], max_epochs=1, random_state=0)
    yield net.fit(X[:300], X[:300, :2]), X
    torch.set_num_threads(before)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system can't fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_forked_child_of_a_process_with_threads_computes_the_same(large_default, read):
    net, X = large_default
    expected = read(copy.deepcopy(net), X)
    np.testing.assert_allclose(read_in_a_child(net, X, read), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("n_threads", ["auto", 3])
def test_an_ensemble_predicts_with_its_own_number_of_threads(four_threads, monkeypatch, n_threads):
    seen = set()
    X = np.random.default_rng(0).normal(size=(60, 3))
    net = MultiOutputMLPRegressor(max_epochs=1, n_threads=n_threads, random_state=0).fit(X, X)
    for part in (net.module_.stacking, nn.Linear):
        forward = part.forward
        monkeypatch.setattr(part, "forward", lambda *args, f=forward: seen.add(torch.get_num_threads()) or f(*args))
    net.predict(X)
    net.predict(X, return_std=True)
    assert seen == {1 if n_threads == "auto" else 3}
    assert torch.get_num_threads() == 4
