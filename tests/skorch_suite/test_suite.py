"""skorch's own tests with our general estimator in the place of its nets: what fails does so by design.

Some forty seconds of them are run here, all by ``make skorch-suite`` (which sets SKORCH_SUITE=all).
"""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import skorch
import skorch.tests

from tests.skorch_suite.by_design import BY_DESIGN, SKORCH

ROOT = Path(__file__).parents[2]
TESTS = Path(skorch.tests.__file__).parent
PARTS = {
    "regressor": ["test_regressor.py"],
    "history": ["test_history.py"],
    "scoring": ["test_scoring.py"],
    "net": ["test_net.py"],
    "callbacks": ["callbacks"],
}
# Of the slower parts, what is about optimizers, groups, callbacks and prefixes.
FAST = {
    "net": "custom_optimizer or groups or callback_to_none or param_groups or predict_with or train_split",
    "callbacks": "TestEarlyStopping or TestLRCallbacks",
    "history": "not Distributed",
}


def run(part, folder, chosen):
    """Return which tests of a part were run, and which of them failed."""
    report = folder / "report.xml"
    command = [sys.executable, "-m", "pytest", "-p", "tests.skorch_suite.plugin", "-p", "no:cacheprovider", "-c"]
    command += [os.devnull, f"--rootdir={TESTS}", "-q", "-o", "junit_family=xunit1", f"--junitxml={report}"]
    command += [*(["-k", chosen] if chosen else []), *(str(TESTS / name) for name in PARTS[part])]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stdout[-3000:] + done.stderr[-3000:]
    ran, failed = set(), set()
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        class_name, file = case.get("classname", "").rpartition(".")[2], case.get("file", "")
        name = (
            f"{file}::{class_name}::{case.get('name')}" if class_name[:4] == "Test" else f"{file}::{case.get('name')}"
        )
        if case.find("skipped") is None:
            ran.add(name)
        if case.find("failure") is not None or case.find("error") is not None:
            failed.add(name)
    return ran, failed


@pytest.mark.parametrize("part", PARTS)
def test_of_skorchs_tests_those_fail_that_are_to_fail(part, tmp_path):
    if skorch.__version__ != SKORCH:
        pytest.skip(f"the table is of skorch {SKORCH}, and {skorch.__version__} is installed")
    ran, failed = run(part, tmp_path, "" if os.environ.get("SKORCH_SUITE") == "all" else FAST.get(part, ""))
    listed = {name for names in BY_DESIGN.values() for name in names}
    expected = {name for name in ran if name in listed or name.split("[")[0] in listed}
    assert ran
    assert sorted(failed - expected) == []
    assert sorted(expected - failed) == []


def test_every_listed_test_has_one_reason():
    names = [name for names in BY_DESIGN.values() for name in names]
    assert len(names) == len(set(names))
