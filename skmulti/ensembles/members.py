"""The modules of an ensemble's members as one module."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn


class Members(nn.Module):
    """Several modules side by side, whose raw outputs stand beside one another.

    Parameters
    ----------
    modules : iterable of torch.nn.Module
        The modules; their parameters are shared, not copied.
    stacking : torch.nn.Module, default=None
        How their raw outputs are joined, kept beside them.
    embeddings : sequence of torch.nn.Module or None, default=()
        What encodes the inputs of each module, None where it takes them as they are; empty if all do. One that several
        modules share encodes once.

    Attributes
    ----------
    members : nn.ModuleList
        The modules.
    embeddings : nn.ModuleList
        The different embeddings.

    Examples
    --------
    >>> import torch
    >>> from skmulti.ensembles import Members
    >>> from skmulti.modules import MLP
    >>> module = Members(MLP((3,), n_outputs=2) for _ in range(5))
    >>> module(torch.ones(4, 3)).shape
    torch.Size([4, 5, 2])
    """

    def __init__(
        self,
        modules: Iterable[nn.Module],
        stacking: nn.Module | None = None,
        embeddings: Sequence[nn.Module | None] = (),
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(modules)
        self.stacking = stacking
        given = list(embeddings) or [None] * len(self.members)
        self.embeddings = nn.ModuleList(dict.fromkeys(own for own in given if own is not None))
        different = list(self.embeddings)
        # The place of each member's inputs: those as they are come before the encoded ones.
        self._places = [0 if own is None else 1 + different.index(own) for own in given]

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
        inputs = [X, *(embedding(X) for embedding in self.embeddings)]
        return torch.stack([member(inputs[k]) for member, k in zip(self.members, self._places, strict=True)], dim=1)
