"""Conversion of arrays to tensors without a copy."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from torch import Tensor


def as_tensor(values: np.ndarray | Tensor) -> Tensor:
    """Return a tensor that shares the memory of ``values``; it must not be written to."""
    if isinstance(values, Tensor):
        return values
    if values.flags.writeable:
        return torch.from_numpy(values)
    with warnings.catch_warnings():
        # torch warns of read-only arrays, such as memory maps; training only reads its inputs.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.as_tensor(values)
