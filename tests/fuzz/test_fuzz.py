"""A short run of the fuzzer, and proof that it sees what is wrong."""

import warnings

import numpy as np
import pytest
import torch

from skmulti.losses import COLUMN_LOSSES
from tests.fuzz.cases import draw_case
from tests.fuzz.running import run_cases
from tests.fuzz.targets import names_of_losses
from tests.fuzz.watch import Watch

N_CASES = 150


@pytest.fixture(scope="module")
def outcomes():
    return list(run_cases(0, range(N_CASES)))


def test_nothing_is_found_in_the_first_cases(outcomes):
    assert [(outcome.number, finding) for outcome in outcomes for finding in outcome.findings] == []


def test_most_cases_are_fitted_and_some_are_refused(outcomes):
    ends = [outcome.end for outcome in outcomes]
    assert ends.count("fitted") > 0.6 * N_CASES
    assert ends.count("refused") > 0.05 * N_CASES
    assert "broken" not in ends


def test_every_loss_is_drawn():
    assert names_of_losses() == set(COLUMN_LOSSES)


@pytest.mark.parametrize("number", [3, 33, 103])
def test_a_case_is_the_same_each_time(number):
    one, other = (draw_case(0, number) for _ in range(2))
    assert str(one).split(" object at ")[0] == str(other).split(" object at ")[0]
    np.testing.assert_array_equal(one.X, other.X)
    np.testing.assert_array_equal(one.y, other.y)
    assert not np.array_equal(one.y, draw_case(1, number).y)


def raises(error):
    def call():
        raise error

    return call


def warns():
    warnings.warn("beware", RuntimeWarning, stacklevel=1)


@pytest.mark.parametrize(
    ("function", "expected", "found"),
    [
        (lambda: 1, "works", ""),
        (lambda: 1, "refused", "accepted what it must refuse"),
        (lambda: torch.ones(2, 3) @ torch.ones(2, 3), "either", "raised RuntimeError"),
        (lambda: np.ones(2) + np.ones(3), "either", "raw ValueError"),
        (lambda: int("a"), "either", "raw ValueError"),
        (raises(ValueError("not by the package")), "either", "raw ValueError"),
        (raises(KeyError("y")), "refused", "raised KeyError"),
        (lambda: COLUMN_LOSSES["huber"](delta=-1.0), "refused", ""),
        (lambda: COLUMN_LOSSES["huber"](delta=-1.0), "either", ""),
        (lambda: COLUMN_LOSSES["huber"](delta=-1.0), "works", "refused what it must take"),
        (lambda: torch.rand(1), "works", "changed torch's global generator"),
        (lambda: np.random.rand(1), "works", "changed NumPy's global generator"),  # noqa: NPY002
        (warns, "works", "warned RuntimeWarning"),
    ],
)
def test_what_is_wrong_with_a_call_is_found(function, expected, found):
    watch = Watch()
    watch.call("it", function, expected=expected)
    assert len(watch.findings) == bool(found)
    assert all(found in finding for finding in watch.findings)


def test_data_that_were_changed_are_found():
    watch, mine = Watch(), np.zeros(3)
    watch.call("it", lambda: mine.fill(1), mine={"X": mine})
    assert watch.findings == ["it: changed the user's X"]
