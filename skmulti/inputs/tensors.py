"""Arrays as tensors that share their memory."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from torch import Tensor


def as_tensor(values: np.ndarray | Tensor) -> Tensor:
    """Return a tensor that shares its memory with ``values``, which nobody writes to."""
    if isinstance(values, Tensor):
        return values
    if values.flags.writeable:
        return torch.from_numpy(values)
    with warnings.catch_warnings():
        # A read-only array (a memory map) is fine: training reads it and does not write.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.as_tensor(values)
