"""The members of an ensemble as one module."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn


class Members(nn.Module):
    """Several modules as one, with stacked raw outputs.

    Parameters
    ----------
    modules : iterable of torch.nn.Module
        The modules; their parameters are shared, not copied.
    stacking : torch.nn.Module, default=None
        The `Stacking` that combines their raw outputs. `forward` does not apply it.
    embeddings : sequence of torch.nn.Module or None, default=()
        The encoding of each module's inputs, None for a module that takes X itself; empty if all do. One that
        several modules share is computed once.

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
        self.embeddings = nn.ModuleList(dict.fromkeys(embedding for embedding in given if embedding is not None))
        different = list(self.embeddings)
        # The position of each member's inputs in `forward`, where X itself comes before the encoded inputs.
        self._places = [0 if embedding is None else 1 + different.index(embedding) for embedding in given]

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
