"""Invalid parameters of losses raise errors of one form."""

import math
import re

import numpy as np
import pytest

from skmulti.losses import Circular, Huber, Quantile, SmoothL1
from skmulti.losses._checks import check_level, check_positive

NO_NUMBERS = [math.nan, math.inf, -math.inf, True, np.True_, None, "1", np.ones(1)]


@pytest.mark.parametrize("value", [0, 0.0, -1, [1.0], *NO_NUMBERS], ids=repr)
@pytest.mark.parametrize(
    ("cls", "parameter", "name"),
    [(Huber, "delta", "huber"), (SmoothL1, "beta", "smooth_l1"), (Circular, "period", "circular")],
)
def test_a_parameter_that_is_not_a_positive_number_is_refused(cls, parameter, name, value):
    message = (
        f"The '{parameter}' parameter of the loss '{name}' must be a positive, finite number. Got {value!r} instead."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        cls(**{parameter: value})


@pytest.mark.parametrize("value", [0, 1, 1.0, -0.1, 1.5, 50, *NO_NUMBERS], ids=repr)
def test_a_level_outside_0_and_1_is_refused(value):
    message = (
        "The 'level' parameter of the loss 'quantile' must be a number between 0 and 1, both excluded. "
        f"Got {value!r} instead."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Quantile(level=value)


@pytest.mark.parametrize("value", [math.nan, math.inf, True, "0", [0.0]], ids=repr)
def test_a_low_that_is_not_a_finite_number_is_refused(value):
    message = f"The 'low' parameter of the loss 'circular' must be a finite number or None. Got {value!r} instead."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Circular(low=value)


@pytest.mark.parametrize("value", [1e-300, 0.5, 1e300, np.float32(0.5), np.int64(3)], ids=repr)
def test_positive_numbers_pass(value):
    check_positive("delta", value, loss="huber")


@pytest.mark.parametrize("value", [1e-9, 0.5, np.float32(0.9), 1 - 1e-9], ids=repr)
def test_levels_pass(value):
    check_level("level", value, loss="quantile")
