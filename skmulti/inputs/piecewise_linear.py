"""Piecewise-linear encoding of numeric columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skmulti.inputs.encoder import EncodedInputs, _moments
from skmulti.inputs.tensors import as_tensor
from skmulti.targets.quantiles import interpolated_quantiles

# Pieces of a piecewise linear encoding.
_N_PIECES = 8
# The standard deviation of the parts: there are many of them, and the columns are to count beside them.
_OF_PARTS = 0.5


class PiecewiseLinear(nn.Module):
    """Piecewise-linear encoding of numerical columns [1]_: each column, and behind all columns their bins.

    A bin is 0 below its lower edge, 1 above its upper edge and linear in between; bins are standardised to a standard
    deviation of one half. The encoding is differentiable, and what it learned is in buffers.

    Parameters
    ----------
    edges : sequence of ndarray
        The increasing edges of the bins of each column; a column with fewer than two bins has none.
    center, scale : ndarray of shape (n_bins,)
        What is subtracted from each bin of all columns, and what divides it then.

    Attributes
    ----------
    columns : Tensor of shape (n_bins,)
        The column of each bin.
    low, width, center, scale : Tensor of shape (n_bins,), float64
        The lower edge of each bin and its width, and what standardises it.

    References
    ----------
    .. [1] Y. Gorishniy, I. Rubachev and A. Babenko, "On Embeddings for Numerical Features in Tabular Deep Learning",
       NeurIPS 2022, arXiv:2203.05556.

    Examples
    --------
    >>> import numpy as np
    >>> from skmulti.inputs.piecewise_linear import PiecewiseLinear
    >>> X = np.arange(9.0)[:, None]
    >>> PiecewiseLinear.fit(X).transform(X).shape
    (9, 9)
    """

    columns: Tensor
    low: Tensor
    width: Tensor
    center: Tensor
    scale: Tensor

    def __init__(self, edges: Sequence[np.ndarray], center: np.ndarray, scale: np.ndarray) -> None:
        super().__init__()
        self.n_columns = len(edges)
        has_bins = [own for own in edges if len(own)]
        of_bins = {
            "columns": np.repeat(np.arange(len(edges)), [max(0, len(own) - 1) for own in edges]),
            "low": np.concatenate([own[:-1] for own in has_bins] or [np.empty(0)]),
            "width": np.concatenate([np.diff(own) for own in has_bins] or [np.empty(0)]),
            "center": center,
            "scale": scale,
        }
        for name, values in of_bins.items():
            self.register_buffer(name, torch.tensor(values))

    @property
    def n_encoded(self) -> int:
        """Return the number of columns and bins."""
        return self.n_columns + len(self.low)

    @property
    def edges(self) -> list[np.ndarray]:
        """Return the edges of the bins of each column."""
        columns, low, width = (values.cpu().numpy() for values in (self.columns, self.low, self.width))
        ends = [(low[columns == j], width[columns == j]) for j in range(self.n_columns)]
        return [np.append(own, own[-1:] + widths[-1:]) for own, widths in ends]

    @classmethod
    def fit(cls, X: np.ndarray, sample_weight: np.ndarray | None = None) -> PiecewiseLinear:
        """Learn the quantiles of the columns of encoded inputs X, and the mean and deviation of the bins.

        Parameters
        ----------
        X : ndarray of shape (n_rows, n_columns)
            Encoded training inputs.
        sample_weight : ndarray of shape (n_rows,), default=None
            The weights of the rows, above 0.

        Returns
        -------
        encoding : PiecewiseLinear
            The fitted encoding, on the CPU.
        """
        X = np.asarray(X, np.float64)
        levels = np.linspace(0, 1, _N_PIECES + 1)
        if sample_weight is None:
            quantiles = np.quantile(X, levels, axis=0).T
        else:
            quantiles = interpolated_quantiles(X, levels, sample_weight).T
        edges = [np.unique(column) for column in quantiles]
        edges = [own if len(own) > 2 else own[:0] for own in edges]
        n_bins = sum(max(0, len(own) - 1) for own in edges)
        bins = cls(edges, np.zeros(n_bins), np.ones(n_bins))._bins(as_tensor(X)).numpy()
        center, spread = _moments(bins, sample_weight)
        return cls(edges, center, np.where(spread > 0, spread, 1.0) / _OF_PARTS)

    def forward(self, X: Tensor) -> Tensor:
        """Return the columns and, behind them, their bins.

        Parameters
        ----------
        X : Tensor of shape (n_rows, n_columns)
            Encoded inputs.

        Returns
        -------
        encoded : Tensor of shape (n_rows, n_encoded)
            Of the dtype of X; bins are computed in that of the buffers.
        """
        return torch.cat([X, self._bins(X.to(self.low.dtype)).to(X.dtype)], dim=1)

    def transform(self, X: np.ndarray) -> EncodedInputs:
        """Return what `forward` returns, for an array and as an array."""
        with torch.no_grad():
            encoded = self(as_tensor(X).to(self.low.device))
        return encoded.cpu().numpy().view(EncodedInputs)

    def _bins(self, X: Tensor) -> Tensor:
        filled = ((X.index_select(1, self.columns) - self.low) / self.width).clamp(0, 1)
        return (filled - self.center) / self.scale

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        # Parameters that were saved when bins were no buffers have none; those learned in `initialize` stay then.
        if any(key.startswith(prefix) for key in state_dict):
            super()._load_from_state_dict(state_dict, prefix, *args)

    def __getstate__(self) -> dict[str, Any]:
        # Buffers follow the module that holds them to a GPU; a pickle of the net must load where there is none.
        state = super().__getstate__()
        return {**state, "_buffers": {name: values.cpu() for name, values in state["_buffers"].items()}}
