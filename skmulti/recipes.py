"""What `effort` stands for: the values of all parameters that a user leaves at "auto"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

EFFORTS = ("fast", "default", "best")
# What a plain net does, and what no recipe says otherwise.
PLAIN: Mapping[str, Any] = {
    "missing_inputs": "error",
    "categorical_inputs": "error",
    "scale_inputs": False,
    "numeric_embedding": None,
    "linear_path": False,
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

_TRAINING: Mapping[str, Any] = {
    "missing_inputs": "impute",
    "categorical_inputs": "one_hot",
    "scale_inputs": True,
    "optimizer": torch.optim.AdamW,
    "optimizer__weight_decay": 0.02,
    "optimizer__betas": (0.9, 0.95),
    "lr": 0.02,
    "lr_schedule": "one_cycle",
    "early_stopping": True,
    "validation_fraction": 0.2,
}


def recipe(kind: str, effort: str | None, n_rows: int, n_features: int) -> dict[str, Any]:
    """Return values for parameters.

    Parameters
    ----------
    kind : {"table", "any"}
        What rows are to the network.
    effort : {"fast", "default", "best", None}
        How much time to spend.
    n_rows, n_features : int
        The size of the data.

    Examples
    --------
    >>> from skmulti.recipes import recipe
    >>> recipe("table", "fast", n_rows=300, n_features=10)["max_epochs"]
    30
    """
    if effort is None or kind == "any":
        return {}
    n_members, max_epochs = {"fast": (6, 30), "default": (20, 60), "best": (40, 100)}[effort]
    return {
        **_TRAINING,
        "n_members": n_members,
        "max_epochs": max_epochs,
        "n_iter_no_change": max_epochs,
        "numeric_embedding": "mixed",
        "linear_path": True,
        "hidden_layer_sizes": (64, 64, 64),
        "activation": "silu",
        "scaling_layer": True,
        "initialization": "he",
    }
