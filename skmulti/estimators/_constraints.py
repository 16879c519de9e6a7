"""What scikit-learn's parameter validation asks of each constructor parameter."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import torch

from skmulti._checks import did_you_mean
from skmulti._compat import Interval, Options, StrOptions, validate_parameter_constraints
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
    "torch_load_kwargs": [dict, None],
    "optimizer": [callable, _AUTO],
    "dataset": [callable],
    "iterator_train": [callable],
    "iterator_valid": [callable],
    "module": [callable],
}


def check_constraints(constraints: Mapping[str, Any], params: Mapping[str, Any], caller_name: str) -> None:
    """Validate parameters as scikit-learn does, and add the way out to its messages.

    Parameters
    ----------
    constraints : mapping of str to list
        The constraints of each parameter.
    params : mapping of str to object
        The values of the parameters.
    caller_name : str
        The class that the messages name.

    Raises
    ------
    ValueError
        If a value violates the constraints of its parameter.
    """
    try:
        validate_parameter_constraints(constraints, params, caller_name=caller_name)
    except ValueError as error:
        # scikit-learn's message begins "The 'name' parameter", and the error holds the name nowhere else.
        name = str(error).split("'")[1]
        raise type(error)(f"{error}{_way_out(name, params[name], constraints[name])}") from None
    if isinstance(params.get("train_split"), type):
        split = params["train_split"].__name__
        raise ValueError(f"The 'train_split' parameter must be an instance. Got the class {split}; use {split}().")


def _way_out(name: str, value: Any, constraints: list[Any]) -> str:
    """Return a sentence with the value that was probably meant, empty if none is known."""
    if name == "optimizer":
        classes = {key.lower(): key for key, found in vars(torch.optim).items() if isinstance(found, type)}
        return f" Use a class of optimizers, such as torch.optim.{classes.get(str(value).lower(), 'Adam')}."
    if name == "train_split":
        if isinstance(value, Real):
            return f" Use early_stopping=True with validation_fraction={value!r}, or skorch.dataset.ValidSplit."
        return f" Use skorch.dataset.ValidSplit({value!r}), or early_stopping=True with validation_fraction."
    if name == "lr_schedule":
        return " For other schedules, use a skorch.callbacks.LRScheduler in 'callbacks'."
    if name == "effort":
        return " 'fast' takes the least time, 'best' the most."
    choices = [option for part in constraints if isinstance(part, StrOptions) for option in part.options]
    return did_you_mean(value, choices) if isinstance(value, str) else ""
