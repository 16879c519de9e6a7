"""Raw outputs of a network for an array of inputs: low latency for one row, bounded memory for many rows."""

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

# Batch sizes for prediction: large enough to amortise the cost of a call, small enough to hold the activations of
# images, of which the inputs take at most 2**22 numbers (16 MiB in single precision).
_LEAST_ROWS, _MOST_ROWS, _MOST_NUMBERS = 32, 4096, 2**22
# Matrix products compute rows in blocks; whole blocks give each row the same sums whatever the number of rows.
_ROWS_PER_BLOCK = 4


def n_padding_rows(n_rows: int) -> int:
    """Return the number of padding rows that complete the last block."""
    return -n_rows % _ROWS_PER_BLOCK


def rows_at_once(X: np.ndarray) -> int:
    """Return the batch size for prediction, smaller for larger rows.

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
    """Return the raw outputs of a network in evaluation mode.

    Padding rows complete the last block, so that the raw outputs of a row do not depend on other rows: to the last
    digit if layer widths are multiples of 32, as in the presets, on the processors that were tested. For other widths
    torch's matrix products may sum the rows of one block in different orders.

    Parameters
    ----------
    module : callable
        The network.
    X : ndarray of shape (n_rows, ...)
        Checked inputs in the network's dtype; they are not copied.
    device : str or torch.device
        The device of the network.

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
        # One preallocated tensor: concatenating the batches would hold all raw outputs twice.
        raw = torch.empty(0)
        for start in range(0, len(X), at_once):
            batch = _raw_of_batch(module, X[start : start + at_once], device)
            if not start:
                raw = batch.new_empty(len(X), *batch.shape[1:])
            raw[start : start + at_once] = batch
        return raw


def _raw_of_batch(module: Any, X: np.ndarray, device: Any) -> Tensor:
    """Return the raw outputs of one batch, without those of the padding rows, on the CPU."""
    n_padding = n_padding_rows(len(X))
    # The last row repeated: unlike zeros, it is certainly a valid input.
    rows = as_tensor(np.concatenate([X, *[X[-1:]] * n_padding]) if n_padding else X)
    if device != "cpu":
        rows = rows.to(device)
    if type(module) is MLP and rows.ndim == 2 and not does_more(module):
        # Calls of nested modules cost more than the layers of a small network, so the layers are called directly.
        for layer in chain(module.hidden._modules.values(), (module.output,)):
            rows = layer.forward(rows)
        raw = rows.cpu()
    else:
        raw = check_raw(module(rows)).cpu()
    return raw[: len(X)] if n_padding else raw


def learns(module: nn.Module) -> bool:
    """Return whether a module or one of its submodules is in training mode."""
    return module.training or any(learns(child) for child in module._modules.values() if child is not None)
