"""What every test needs before scikit-learn is imported, and the count of the estimator checks."""

import os
import signal

import pytest

# Without it, scikit-learn skips one of its checks; it must be set before SciPy is imported.
os.environ.setdefault("SCIPY_ARRAY_API", "1")


def pytest_terminal_summary(terminalreporter):
    reports = [r for r in terminalreporter.stats.get("passed", []) if "test_keeps_the_estimator_contract" in r.nodeid]
    if reports:
        estimators = {r.nodeid.split("[", 1)[1].split("(", 1)[0] for r in reports}
        terminalreporter.write_line(
            f"scikit-learn's estimator checks: {len(reports)} passed for {len(estimators)} estimators: "
            f"{', '.join(sorted(estimators))}"
        )


@pytest.fixture
def ctrl_c_is_heard():
    """Listen to SIGINT as a program in the foreground does: where tests run in the background it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
