"""The checks that all rooms share."""

import os
import subprocess
import sys

import pytest

from skmulti._checks import did_you_mean, nearest


def test_the_nearest_option_is_suggested():
    assert nearest("hubr", ["huber", None, 3]) == "huber"
    assert nearest("zzz", ["huber"]) is None
    assert did_you_mean("hubr", ["huber"]) == " Did you mean 'huber'?"
    assert did_you_mean("ara", ["area"], "module__{}") == " Did you mean 'module__area'?"
    assert did_you_mean(3, ["huber"]) == ""


@pytest.mark.parametrize("seed", ["0", "1"])
def test_messages_list_options_in_one_order_in_every_process(seed):
    code = "from skmulti._compat import StrOptions; print(StrOptions({'one_hot', 'auto', 'error'}))"
    run = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True
    )
    assert run.stdout.strip() == "a str among {'auto', 'error', 'one_hot'}"
