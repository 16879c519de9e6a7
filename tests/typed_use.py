"""Uses of the estimators as a type checker sees them: ``make lint`` reads this file, and nothing runs it.

A wrong use bears ``type: ignore``, which mypy reports as unused once the types let it pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from skmulti import MultiHeadRegressor, MultiOutputCNNRegressor, MultiOutputMLPRegressor, MultiOutputNetRegressor
from skmulti.model_selection import BatchedGridSearchCV

if TYPE_CHECKING:
    from typing_extensions import assert_type


def fits_return_their_own_class(X: np.ndarray, y: np.ndarray) -> None:
    assert_type(MultiOutputMLPRegressor().fit(X, y), MultiOutputMLPRegressor)
    assert_type(MultiOutputCNNRegressor().fit(X, y).partial_fit(X, y), MultiOutputCNNRegressor)
    assert_type(MultiHeadRegressor().initialize(X, y).set_params(lr=0.1), MultiHeadRegressor)
    assert_type(BatchedGridSearchCV(MultiOutputMLPRegressor(), {}).fit(X, y), BatchedGridSearchCV)


def predictions_are_one_array_or_two(net: MultiOutputMLPRegressor, X: np.ndarray, asked: bool) -> None:
    assert_type(net.predict(X), np.ndarray)
    assert_type(net.predict(X, return_std=False, columns="y0"), np.ndarray)
    assert_type(net.predict(X, return_std=True), tuple[np.ndarray, np.ndarray])
    assert_type(net.predict(X, asked), "np.ndarray | tuple[np.ndarray, np.ndarray]")


def options_are_those_that_exist() -> None:
    MultiOutputNetRegressor(missing_inputs="impute", lr=0.01, scale_inputs="auto", loss__angle="circular")
    MultiOutputMLPRegressor((32, 32), effort="best", normalization=None, loss_weights__angle=2.0)
    MultiOutputNetRegressor(missing_inputs="drop")  # type: ignore[arg-type]
    MultiOutputNetRegressor(training_loop="tensor")  # type: ignore[arg-type]
    MultiOutputNetRegressor(lr="adaptive")  # type: ignore[arg-type]
    MultiOutputMLPRegressor(effort="defualt")  # type: ignore[arg-type]
    MultiOutputCNNRegressor(pooling="mean")  # type: ignore[arg-type]
    MultiHeadRegressor(trunk="rnn")  # type: ignore[arg-type]
