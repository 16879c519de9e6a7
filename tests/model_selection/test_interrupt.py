"""Ctrl-C ends a search at once, at any stage, and no process remains."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from skmulti.training.interrupt import ctrl_c, was_interrupted

pytestmark = pytest.mark.usefixtures("ctrl_c_is_heard")

# Seconds that a busy machine may need; an idle one needs a tenth.
SECONDS = 3.0

SEARCH = """
import sys
import numpy as np
from skmulti import MultiOutputMLPRegressor
from skmulti.model_selection import BatchedGridSearchCV
from skmulti.training.interrupt import finish_imports

finish_imports()  # Ctrl-C waits for them, which would be timed too.
X = np.random.default_rng(0).normal(size=(200, 3))
net = MultiOutputMLPRegressor(effort=None, max_epochs=1_000_000, random_state=0, **eval(sys.argv[2]))
search = BatchedGridSearchCV(net, {"lr": [1e-3, 1e-2]}, cv=2, n_jobs=eval(sys.argv[1]), verbose=1)
print("begin", flush=True)
search.fit(X, X[:, :2])
"""


def processes_of(session):
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def wait_until(condition, seconds):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are listed in /proc")
@pytest.mark.parametrize(
    ("n_jobs", "params"),
    [("None", "{}"), ("2", "{}"), ("None", "dict(training_loop='skorch')")],
)
def test_ctrl_c_ends_a_search_and_leaves_no_process(n_jobs, params):
    process = subprocess.Popen(
        [sys.executable, "-c", SEARCH, n_jobs, params],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout.readline() == "begin\n"
        if n_jobs == "2":
            assert wait_until(lambda: len(processes_of(process.pid)) >= 3, 20)
        time.sleep(1)
        assert process.poll() is None, process.stderr.read()
        process.send_signal(signal.SIGINT)
        start = time.monotonic()
        _, errors = process.communicate(timeout=20)
        assert time.monotonic() - start < SECONDS
        assert errors.rstrip().endswith("KeyboardInterrupt")
        assert wait_until(lambda: not processes_of(process.pid), SECONDS)
    finally:
        for pid in processes_of(process.pid):
            os.kill(pid, signal.SIGKILL)
        process.wait()


def press_ctrl_c():
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_an_interrupt_caught_by_other_code_is_raised_by_check():
    with ctrl_c() as interrupts:
        interrupts.check()
        press_ctrl_c()
        assert was_interrupted()
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()
    assert not was_interrupted()


def test_the_previous_handler_is_restored():
    before = signal.getsignal(signal.SIGINT)
    with ctrl_c(), ctrl_c():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_an_inner_block_shares_the_interrupt_of_the_outer_one():
    with ctrl_c() as outer:
        with ctrl_c() as inner:
            press_ctrl_c()
            with pytest.raises(KeyboardInterrupt):
                inner.check()
        with pytest.raises(KeyboardInterrupt):
            outer.check()


def test_a_handler_that_does_not_raise_is_respected():
    seen = []
    before = signal.signal(signal.SIGINT, lambda *_: seen.append(1))
    try:
        with ctrl_c() as interrupts:
            signal.raise_signal(signal.SIGINT)
            interrupts.check()
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [1]


def test_other_threads_install_no_handler():
    found = []

    def run():
        with ctrl_c() as interrupts:
            found.append(interrupts.check())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [None]
