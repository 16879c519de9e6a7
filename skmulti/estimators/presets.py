"""The presets of `effort`: values for the parameters that a user leaves at "auto"."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

EFFORTS = ("fast", "default", "best")
# One plain network (effort=None); the fallback for what a preset does not set.
PLAIN: Mapping[str, Any] = {
    "missing_inputs": "error",
    "categorical_inputs": "error",
    "scale_inputs": False,
    "numeric_embedding": None,
    "linear_path": False,
    "clip_predictions": False,
    "optimizer": torch.optim.Adam,
    "lr": 1e-3,
    "lr_schedule": None,
    "max_epochs": 100,
    "early_stopping": False,
    "validation_fraction": 0.1,
    "n_iter_no_change": 10,
    "n_members": 1,
}
PLAIN_TABLE: Mapping[str, Any] = {
    **PLAIN,
    "hidden_layer_sizes": (64, 64),
    "activation": "relu",
    "scaling_layer": False,
    "initialization": "torch",
}
PLAIN_IMAGE: Mapping[str, Any] = {
    **PLAIN,
    "channels": (16, 32),
    "activation": "relu",
    "channels_last": False,
    "hidden_layer_sizes": (128,),
}
PLAIN_HEADS: Mapping[str, Any] = {**PLAIN, "channels_last": False, "hidden_layer_sizes": (64,)}

# Tables up to this number of rows have the same preset; beyond it, members and epochs decrease.
_FEW_ROWS = 2000
# Larger tables get no piecewise-linear encoding: it multiplies the number of inputs by nine, which costs memory for
# many values and time for many columns.
_MAX_ENCODED_VALUES, _MAX_ENCODED_COLUMNS = 10_000_000, 500

_TABLE: Mapping[str, Any] = {
    "missing_inputs": "impute",
    "categorical_inputs": "one_hot",
    "scale_inputs": True,
    "optimizer": torch.optim.AdamW,
    "optimizer__weight_decay": 0.02,
    "optimizer__betas": (0.9, 0.95),
    "lr": 0.02,
    "lr_schedule": "one_cycle",
    "early_stopping": True,
    "linear_path": True,
    "clip_predictions": True,
    "activation": "silu",
    "scaling_layer": True,
    "initialization": "he",
}
_IMAGE: Mapping[str, Any] = {
    "scale_inputs": True,
    "optimizer": torch.optim.AdamW,
    "optimizer__weight_decay": 0.01,
    "lr": 0.003,
    "lr_schedule": "one_cycle",
    "channels": (16, 32, 64, 64),
    "activation": "silu",
}
# A custom `dataset` gets X without preprocessing.
AS_GIVEN: Mapping[str, Any] = {
    "missing_inputs": "error",
    "categorical_inputs": "error",
    "scale_inputs": False,
    "numeric_embedding": None,
    "linear_path": False,
}
# Parameters tuned for the modules of this package; custom modules do not take them.
_OF_LAYERS = ("hidden_layer_sizes", "channels", "activation", "scaling_layer", "initialization")
_ANY: Mapping[str, Any] = {"lr": 0.003, "missing_inputs": "error", "numeric_embedding": None}


def preset(kind: str, effort: str | None, shape: tuple[int, ...]) -> dict[str, Any]:
    """Return values for parameters.

    Parameters
    ----------
    kind : {"table", "image", "any"}
        The kind of input; "any" stands for a custom module.
    effort : {"fast", "default", "best", None}
        The compute budget.
    shape : tuple of int
        The shape of X.

    Examples
    --------
    >>> from skmulti.estimators.presets import preset
    >>> preset("table", "fast", (300, 10))["max_epochs"]
    20
    """
    if effort is None:
        return {}
    values = _for_tables(effort, *shape) if kind != "image" and len(shape) == 2 else _for_images(effort, shape[0])
    if kind != "any":
        return values
    # Custom modules have no parameters of our layers, and a learning rate of their own in `_ANY`.
    return {**{name: value for name, value in values.items() if name not in _OF_LAYERS}, **_ANY}


def _for_tables(effort: str, n_rows: int, n_features: int) -> dict[str, Any]:
    n_members, max_epochs = {"fast": (6, 20), "default": (20, 60), "best": (100, 60)}[effort]
    # With more rows, fewer epochs and members suffice, and a wider network pays off.
    larger = max(1.0, n_rows / _FEW_ROWS)
    n_members = max(4, round(n_members / larger**0.4))
    max_epochs = max(5, round(max_epochs / larger**0.35))
    is_encoded = n_rows * n_features <= _MAX_ENCODED_VALUES and n_features <= _MAX_ENCODED_COLUMNS
    width = min(256, 32 * round(2 * larger**0.35))
    return {
        **_TABLE,
        "n_members": n_members,
        "max_epochs": max_epochs,
        "n_iter_no_change": max_epochs,
        "hidden_layer_sizes": (width,) * 3,
        "lr": _TABLE["lr"] * 64 / width,
        # Few members need large folds to hold out each row once; many members can train on most rows.
        "validation_fraction": {"fast": 0.33, "default": 0.2, "best": 0.1}[effort],
        "numeric_embedding": "mixed" if is_encoded else None,
    }


def _for_images(effort: str, n_rows: int) -> dict[str, Any]:
    n_members, max_epochs = {"fast": (1, 12), "default": (1, 30), "best": (5, 50)}[effort]
    return {
        **_IMAGE,
        "n_members": n_members,
        "max_epochs": max_epochs,
        # About sixty steps per epoch, so that small data sets get enough steps.
        "batch_size": int(2 ** np.clip(round(math.log2(max(n_rows, 1) / 60)), 4, 7)),
    }
