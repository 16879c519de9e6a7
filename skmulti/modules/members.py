"""The modules of an ensemble's members as one module."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class Members(nn.Module):
    """Several modules side by side, whose raw outputs stand beside one another.

    Parameters
    ----------
    modules : iterable of torch.nn.Module
        The modules; their parameters are shared, not copied.
    blend : torch.nn.Module, default=None
        How their raw outputs are joined, kept beside them.

    Examples
    --------
    >>> import torch
    >>> from skmulti.modules import MLP, Members
    >>> module = Members(MLP((3,), n_outputs=2) for _ in range(5))
    >>> module(torch.ones(4, 3)).shape
    torch.Size([4, 5, 2])
    """

    def __init__(self, modules: Iterable[nn.Module], blend: nn.Module | None = None) -> None:
        super().__init__()
        self.members = nn.ModuleList(modules)
        self.blend = blend

    def forward(self, X: Tensor) -> Tensor:
        """Return the raw outputs of all modules for the same inputs.

        Parameters
        ----------
        X : Tensor of shape (n_rows, ...)
            Inputs.

        Returns
        -------
        raw : Tensor of shape (n_rows, n_members, n_raw)
            The raw outputs.
        """
        return torch.stack([member(X) for member in self.members], dim=1)
