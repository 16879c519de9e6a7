"""A pytest plugin that puts our general estimator in the place of skorch's nets, for skorch's own tests.

Use it with ``python -m pytest -p tests.skorch_suite.plugin --pyargs skorch.tests.test_regressor``. The estimator has
skorch's defaults (optimizer, learning rate, batches, epochs, validation rows): the tests are of the mechanics. Data and
modules of classification become those of regression, and the environment variable ``SKORCH_SUITE_NET=stock`` leaves
skorch's own regressor in place: what fails then as well says nothing about ours.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import types
from typing import Any

import numpy as np
import sklearn.datasets
import skorch
import skorch.toy
import torch
from skorch.dataset import ValidSplit

from skmulti import MultiOutputNetRegressor

_STOCK = os.environ.get("SKORCH_SUITE_NET") == "stock"


class _StockNet(skorch.NeuralNetRegressor):
    """skorch's own regressor."""


class _OurNet(MultiOutputNetRegressor):
    """Our general estimator with skorch's defaults."""

    def __init__(
        self,
        module: Any,
        *,
        optimizer: Any = torch.optim.SGD,
        lr: float = 0.01,
        max_epochs: int = 10,
        batch_size: int = 128,
        shuffle: bool = False,
        train_split: Any = ValidSplit(5),  # noqa: B008
        scale_targets: bool = False,
        verbose: int = 1,
        **prefix__params: Any,
    ) -> None:
        super().__init__(
            module,
            optimizer=optimizer,
            lr=lr,
            max_epochs=max_epochs,
            batch_size=batch_size,
            shuffle=shuffle,
            train_split=train_split,
            scale_targets=scale_targets,
            verbose=verbose,
            **prefix__params,
        )

    def initialize(self, X: Any = None, y: Any = None) -> Any:
        """Initialize the net, as skorch does without data: the tests' modules know their sizes."""
        if X is None and not hasattr(self, "terms_"):
            X, y = np.zeros((2, self._n_inputs()), dtype=np.float32), np.arange(2, dtype=np.float32)[:, None]
        return super().initialize(X, y)

    def _n_inputs(self) -> int:
        module = (
            self.module if isinstance(self.module, torch.nn.Module) else self.module(**self.get_params_for("module"))
        )
        first = next(module.parameters(), None)
        return 20 if first is None or first.ndim < 2 else first.shape[1]


def _put_in_place(name: str, parent: type) -> type:
    # Under skorch's name, so that messages and pickles have the name that the tests know.
    net = types.new_class(name, (parent,))
    net.__module__, net.__qualname__ = "skorch", name
    setattr(skorch, name, net)
    return net


def _make_regression_of_classes(*args: Any, **kwargs: Any) -> tuple[np.ndarray, np.ndarray]:
    X, y = _make_classification(*args, **kwargs)
    return X, y.astype(np.float32).reshape(-1, 1)


def _make_regressor(output_nonlin: Any = None, **kwargs: Any) -> Any:
    return skorch.toy.make_regressor(**kwargs)


_make_classification = sklearn.datasets.make_classification


def pytest_configure(config: Any) -> None:
    """Put the estimator, the data and the modules in place, before any of skorch's tests is imported."""
    sklearn.datasets.make_classification = _make_regression_of_classes
    skorch.toy.make_classifier = _make_regressor
    net = _put_in_place("NeuralNet", _StockNet if _STOCK else _OurNet)
    for name in ("NeuralNetRegressor", "NeuralNetClassifier"):
        _put_in_place(name, net)
    if importlib.util.find_spec("flaky") is None:
        # It runs a test several times until one passes; here a test runs once.
        flaky = types.ModuleType("flaky")
        flaky.flaky = lambda *args, **kwargs: args[0] if args else lambda test: test  # type: ignore[attr-defined]
        sys.modules["flaky"] = flaky
