"""What must hold for every call, whatever it does: no raw error, no warning, nothing of the user's changed."""

from __future__ import annotations

import copy
import linecache
import random
import traceback
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import skorch
import torch
from sklearn.exceptions import UndefinedMetricWarning

import skmulti
from skmulti import TrainingDivergedError
from tests.fuzz.containers import same

# Whose errors speak to the user: innermost frames in other packages are errors that nobody foresaw.
_SPEAKERS = tuple(str(Path(package.__file__).parent) for package in (skmulti, sklearn, skorch))
# What torch, NumPy and Python say of what nobody checked.
_RAW = (
    "mat1 and mat2",
    "expected scalar type",
    "index out of range",
    "object has no attribute",
    "unpack",
    "broadcast",
    "unsupported operand",
    "not subscriptable",
    "not iterable",
    "unhashable",
    "shapes cannot be",
    "must match the size of tensor",
    "positional argument",
)


class CaseTimeout(BaseException):
    """A case took too long."""


class Watch:
    """The findings of one case, and the watched calls that make them."""

    def __init__(self) -> None:
        self.findings: list[str] = []

    def find(self, text: str) -> None:
        """Note a finding, once."""
        if text not in self.findings:
            self.findings.append(text)

    def call(
        self,
        what: str,
        function: Callable[[], Any],
        *,
        expected: str = "works",
        mine: dict[str, Any] | None = None,
        draws: bool = False,
    ) -> tuple[Any, BaseException | None]:
        """Call a function, and note whatever is wrong with how it went.

        Parameters
        ----------
        expected : {"works", "either", "refused"}
            Whether it must return, may raise, or must raise.
        mine : dict, default=None
            Data of the user's, by name, that must be as before.
        draws : bool, default=False
            Whether it may draw from NumPy's global generator.

        Returns
        -------
        result : object
            What the function returned, None where it raised.
        error : Exception or None
            What it raised.
        """
        copies = {name: _copied(value) for name, value in (mine or {}).items()}
        before = _world(draws)
        result, error = None, None
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            filters = list(warnings.filters)
            try:
                result = function()
            except Exception as raised:
                error = raised
            if warnings.filters != filters:
                self.find(f"{what}: changed the filters of warnings")
        for name, was in before.items():
            if _world(draws)[name] != was:
                self.find(f"{what}: changed {name}")
        for name, value in copies.items():
            if value is not None and not same(mine[name], value):  # type: ignore[index]
                self.find(f"{what}: changed the user's {name}")
        if error is None:
            for warning in told:
                if not issubclass(warning.category, UndefinedMetricWarning):
                    self.find(f"{what}: warned {warning.category.__name__}: {str(warning.message)[:200]}")
            if expected == "refused":
                self.find(f"{what}: accepted what it must refuse")
        else:
            if expected == "works":
                self.find(f"{what}: refused what it must take: {_short(error)}")
            complaint = _raw_error(error)
            if complaint:
                self.find(f"{what}: {complaint}")
        return result, error


def _copied(value: Any) -> Any:
    try:
        return value.detach().clone() if isinstance(value, torch.Tensor) else copy.deepcopy(value)
    except TypeError:
        # A generator can't be copied, and is used up.
        return None


def _world(draws: bool) -> dict[str, Any]:
    """Return what a call must leave as it is."""
    world = {
        "torch's global generator": torch.get_rng_state().numpy().tobytes(),
        "Python's global generator": random.getstate(),
        "the number of torch's threads": torch.get_num_threads(),
        "torch's default dtype": torch.get_default_dtype(),
        "torch's gradient mode": torch.is_grad_enabled(),
        "NumPy's error handling": np.geterr(),
        "scikit-learn's configuration": sklearn.get_config(),
    }
    if not draws:
        state = np.random.get_state()  # noqa: NPY002
        world["NumPy's global generator"] = (state[1].tobytes(), state[2])
    return world


def _raw_error(error: BaseException) -> str:
    """Return what is wrong with an error, "" where it is a sentence to the user."""
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1]
    where = f"{Path(last.filename).name}:{last.lineno}"
    if not isinstance(error, (ValueError, TypeError, TrainingDivergedError)):
        return f"raised {_short(error)} at {where}"
    line = linecache.getline(last.filename, last.lineno or 0).strip()
    if not last.filename.startswith(_SPEAKERS) or not line.startswith("raise"):
        return f"raw {_short(error)} at {where}"
    if any(pattern in str(error).lower() for pattern in _RAW):
        return f"raw words: {_short(error)} at {where}"
    return ""


def _short(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:240]}"


@contextmanager
def random_state_of(seed: int) -> Any:
    """Start the global generators at a seed, with one thread, and put everything back."""
    n_threads = torch.get_num_threads()
    # More would wait for one another in small work, and round differently.
    torch.set_num_threads(1)
    numpys, pythons = np.random.get_state(), random.getstate()  # noqa: NPY002
    with torch.random.fork_rng(devices=[]):
        np.random.seed(seed)  # noqa: NPY002
        random.seed(seed)
        torch.manual_seed(seed)
        yield
    np.random.set_state(numpys)  # noqa: NPY002
    random.setstate(pythons)
    torch.set_num_threads(n_threads)
