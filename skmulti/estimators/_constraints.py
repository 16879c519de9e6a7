"""What scikit-learn's parameter validation asks of each constructor parameter."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

from skmulti._compat import Interval, Options, StrOptions
from skmulti.estimators.presets import EFFORTS

_AUTO = StrOptions({"auto"})

CONSTRAINTS: dict[str, Any] = {
    "scale_targets": ["boolean"],
    "missing_targets": [StrOptions({"error", "mask"})],
    "effort": [StrOptions(set(EFFORTS)), None],
    "missing_inputs": [StrOptions({"auto", "error", "impute"})],
    "categorical_inputs": [StrOptions({"auto", "error", "one_hot"})],
    "scale_inputs": ["boolean", _AUTO],
    "numeric_embedding": [StrOptions({"auto", "piecewise_linear", "mixed"}), None],
    "linear_path": ["boolean", _AUTO],
    "clip_predictions": ["boolean", Interval(Real, 0, None, closed="left"), _AUTO],
    "lr": [Interval(Real, 0, None, closed="neither"), _AUTO],
    "lr_schedule": [StrOptions({"auto", "one_cycle"}), None],
    "max_epochs": [Interval(Integral, 1, None, closed="left"), _AUTO],
    "batch_size": [Interval(Integral, 1, None, closed="left"), Options(Integral, {-1}), StrOptions({"auto"})],
    "shuffle": ["boolean"],
    "early_stopping": ["boolean", _AUTO],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither"), _AUTO],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), _AUTO],
    "tol": [Interval(Real, 0, None, closed="left")],
    "n_members": [Interval(Integral, 1, None, closed="left"), _AUTO],
    "bootstrap": ["boolean"],
    "warm_start": ["boolean"],
    "verbose": ["verbose"],
    "compile": ["boolean"],
    "random_state": ["random_state"],
    "n_threads": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
    "mixed_precision": [StrOptions({"bfloat16"}), None],
    "training_loop": [StrOptions({"auto", "skorch"})],
    "callbacks": [list, None, StrOptions({"disable"})],
    "train_split": [callable, None],
    "optimizer": [callable, _AUTO],
    "dataset": [callable],
    "iterator_train": [callable],
    "iterator_valid": [callable],
    "module": [callable],
}
