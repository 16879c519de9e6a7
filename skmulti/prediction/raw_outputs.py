"""The raw outputs of a network for an array of inputs, at low latency for one row and in bounded memory for many."""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skmulti.inputs.tensors import as_tensor
from skmulti.modules import MLP
from skmulti.training.passes.hooks import does_more
from skmulti.training.steps import check_raw

# Rows that nobody learns from: enough to amortise a call, few enough for an image's activations.
_LEAST_ROWS, _MOST_ROWS, _MOST_NUMBERS = 32, 4096, 2**22
_ROWS_PER_BLOCK = 4


def n_padding_rows(n_rows: int) -> int:
    """Return how many rows are missing to whole blocks."""
    return -n_rows % _ROWS_PER_BLOCK


def rows_at_once(X: np.ndarray) -> int:
    """Return how many rows go through a network at once: fewer where they are large.

    Parameters
    ----------
    X : ndarray of shape (n_rows, ...)
        The inputs.

    Examples
    --------
    >>> import numpy as np
    >>> from skmulti.prediction.raw_outputs import rows_at_once
    >>> rows_at_once(np.empty((5, 20))), rows_at_once(np.empty((5, 3, 64, 64)))
    (4096, 341)
    """
    return min(_MOST_ROWS, max(_LEAST_ROWS, _MOST_NUMBERS * len(X) // max(1, X.size)))


def raw_outputs(module: Any, X: np.ndarray, device: Any) -> Tensor:
    """Return what a network in evaluation mode makes of inputs.

    Rows go through the network in whole blocks, so that a row has the same raw outputs whatever rows are beside it: to
    the last digit where layers are multiples of 32 wide, as in the presets, on the processors we know. For other widths
    torch's matrix products may sum the rows of one block in different orders.

    Parameters
    ----------
    module : callable
        The network.
    X : ndarray of shape (n_rows, ...)
        Checked inputs, of the network's dtype; they are not copied.
    device : str or torch.device
        Where the network is.

    Returns
    -------
    raw : Tensor of shape (n_rows, n_raw)
        On the CPU.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from skmulti.prediction.raw_outputs import raw_outputs
    >>> raw_outputs(torch.nn.Identity(), np.array([[1.0], [2.0]]), "cpu")
    tensor([[1.],
            [2.]], dtype=torch.float64)
    """
    at_once = rows_at_once(X)
    with torch.no_grad():
        if len(X) <= at_once:
            return _raw_of_batch(module, X, device)
        # Written into one tensor, so that there is never a second copy of all.
        raw = torch.empty(0)
        for start in range(0, len(X), at_once):
            part = _raw_of_batch(module, X[start : start + at_once], device)
            if not start:
                raw = part.new_empty(len(X), *part.shape[1:])
            raw[start : start + at_once] = part
        return raw


def _raw_of_batch(module: Any, X: np.ndarray, device: Any) -> Tensor:
    rest = n_padding_rows(len(X))
    rows = as_tensor(np.concatenate([X, *[X[-1:]] * rest]) if rest else X)
    if device != "cpu":
        rows = rows.to(device)
    if type(module) is MLP and rows.ndim == 2 and not does_more(module):
        # The layers of a small network take less time than torch's calls of modules inside modules.
        for layer in chain(module.hidden._modules.values(), (module.output,)):
            rows = layer.forward(rows)
        raw = rows.cpu()
    else:
        raw = check_raw(module(rows)).cpu()
    return raw[: len(X)] if rest else raw


def learns(module: nn.Module) -> bool:
    """Return whether any part of a module is in training mode."""
    return module.training or any(learns(part) for part in module._modules.values() if part is not None)
