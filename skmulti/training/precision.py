"""Mixed precision: products in bfloat16, parameters and losses in single precision."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class InMixedPrecision:
    """A module computed under bfloat16 autocast [1]_; outputs have the dtype of the inputs.

    bfloat16 has the exponent range of single precision, so that no loss scaling is needed as in float16.

    Parameters
    ----------
    module : callable
        Maps inputs to outputs.
    device : str or torch.device
        The device of the module.

    References
    ----------
    .. [1] D. Kalamkar et al., "A study of BFLOAT16 for deep learning training", arXiv:1905.12322.

    Examples
    --------
    >>> import torch
    >>> from skmulti.training.precision import InMixedPrecision
    >>> linear = torch.nn.Linear(1, 1, bias=False)
    >>> with torch.no_grad():
    ...     _ = linear.weight.fill_(1 + 2**-12)
    ...     InMixedPrecision(linear, "cpu")(torch.ones(1, 1))
    tensor([[1.]])
    """

    def __init__(self, module: Any, device: Any) -> None:
        self._module = module
        self._device = torch.device("cpu" if device is None else device).type

    def __call__(self, X: Tensor) -> Any:
        """Return the outputs of the module."""
        with torch.autocast(self._device, dtype=torch.bfloat16):
            outputs = self._module(X)
        # Losses are computed in the dtype of the targets, outside autocast.
        return outputs.to(X.dtype) if isinstance(outputs, Tensor) else outputs


def precision_of(module: torch.nn.Module) -> torch.dtype:
    """Return the dtype of a module's parameters, torch's default where it has none."""
    return next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.get_default_dtype())
