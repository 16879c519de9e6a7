"""The modules of an ensemble's members as one module."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

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
    embeddings : sequence, default=()
        What each module's inputs are bent with, an object with a method ``transform`` for arrays, or None; none for all
        if it is empty.

    Examples
    --------
    >>> import torch
    >>> from skmulti.modules import MLP, Members
    >>> module = Members(MLP((3,), n_outputs=2) for _ in range(5))
    >>> module(torch.ones(4, 3)).shape
    torch.Size([4, 5, 2])
    """

    def __init__(
        self, modules: Iterable[nn.Module], blend: nn.Module | None = None, embeddings: Sequence[Any] = ()
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(modules)
        self.blend = blend
        self.embeddings = list(embeddings) or [None] * len(self.members)

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
        bent = {
            id(embedding): torch.from_numpy(embedding.transform(X.detach().cpu().numpy())).to(X)
            for embedding in self.embeddings
            if embedding is not None
        }
        inputs = [X if embedding is None else bent[id(embedding)] for embedding in self.embeddings]
        return torch.stack([member(own) for member, own in zip(self.members, inputs, strict=True)], dim=1)
