"""Piecewise-linear encoding of numeric columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skmulti.inputs.encoder import EncodedInputs, moments
from skmulti.inputs.tensors import as_tensor
from skmulti.targets.quantiles import interpolated_quantiles

# The number of quantile bins per column. A few suffice beside the column itself, and the first layer grows with them.
_N_BINS = 8
# The standard deviation of the bins, below the 1 of the columns: each column has up to eight bins, which would
# otherwise dominate it in the first layer.
_BIN_SCALE = 0.5


class PiecewiseLinear(nn.Module):
    """Piecewise-linear encoding of numeric columns [1]_: all columns, followed by the bins of each.

    A bin is 0 below its lower edge, 1 above its upper edge and linear in between; bins are standardised to a standard
    deviation of 0.5. The encoding is differentiable, and its fitted state is in buffers.

    Parameters
    ----------
    edges : sequence of ndarray
        The increasing edges of the bins of each column; empty for a column with fewer than two bins.
    center, scale : ndarray of shape (n_bins,)
        The subtrahend and the divisor of each bin, for the bins of all columns.

    Attributes
    ----------
    columns : Tensor of shape (n_bins,)
        The column of each bin.
    low, width, center, scale : Tensor of shape (n_bins,), float64
        The lower edge and the width of each bin, and its subtrahend and divisor.

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
        binned = [column_edges for column_edges in edges if len(column_edges)]
        buffers = {
            "columns": np.repeat(np.arange(len(edges)), [max(0, len(column_edges) - 1) for column_edges in edges]),
            "low": np.concatenate([column_edges[:-1] for column_edges in binned] or [np.empty(0)]),
            "width": np.concatenate([np.diff(column_edges) for column_edges in binned] or [np.empty(0)]),
            "center": center,
            "scale": scale,
        }
        for name, values in buffers.items():
            self.register_buffer(name, torch.tensor(values))

    @property
    def n_encoded(self) -> int:
        """Return the number of columns and bins."""
        return self.n_columns + len(self.low)

    @property
    def edges(self) -> list[np.ndarray]:
        """Return the edges of the bins of each column."""
        columns, low, width = (values.cpu().numpy() for values in (self.columns, self.low, self.width))
        bins = [(low[columns == j], width[columns == j]) for j in range(self.n_columns)]
        return [np.append(lows, lows[-1:] + widths[-1:]) for lows, widths in bins]

    @classmethod
    def fit(cls, X: np.ndarray, sample_weight: np.ndarray | None = None) -> PiecewiseLinear:
        """Fit the edges to the quantiles of the columns of X, and the means and standard deviations of the bins.

        Parameters
        ----------
        X : ndarray of shape (n_rows, n_columns)
            Encoded training inputs.
        sample_weight : ndarray of shape (n_rows,), default=None
            The sample weights, above 0.

        Returns
        -------
        encoding : PiecewiseLinear
            The fitted encoding, on the CPU.
        """
        X = np.asarray(X, np.float64)
        levels = np.linspace(0, 1, _N_BINS + 1)
        if sample_weight is None:
            quantiles = np.quantile(X, levels, axis=0).T
        else:
            quantiles = interpolated_quantiles(X, levels, sample_weight).T
        edges = [np.unique(column) for column in quantiles]
        # A single bin is a linear function of its column and adds nothing to it.
        edges = [column_edges if len(column_edges) > 2 else column_edges[:0] for column_edges in edges]
        n_bins = sum(max(0, len(column_edges) - 1) for column_edges in edges)
        bins = cls(edges, np.zeros(n_bins), np.ones(n_bins))._bins(as_tensor(X)).numpy()
        center, spread = moments(bins, sample_weight)
        return cls(edges, center, np.where(spread > 0, spread, 1.0) / _BIN_SCALE)

    def forward(self, X: Tensor) -> Tensor:
        """Return the columns, followed by their bins.

        Parameters
        ----------
        X : Tensor of shape (n_rows, n_columns)
            Encoded inputs.

        Returns
        -------
        encoded : Tensor of shape (n_rows, n_encoded)
            The dtype is that of X; bins are computed in double precision, the dtype of the buffers.
        """
        return torch.cat([X, self._bins(X.to(self.low.dtype)).to(X.dtype)], dim=1)

    def transform(self, X: np.ndarray) -> EncodedInputs:
        """Return the result of `forward` for an array, as an array on the CPU."""
        with torch.no_grad():
            encoded = self(as_tensor(X).to(self.low.device))
        return encoded.cpu().numpy().view(EncodedInputs)

    def _bins(self, X: Tensor) -> Tensor:
        """Return the standardised bins of all columns."""
        bins = ((X.index_select(1, self.columns) - self.low) / self.width).clamp(0, 1)
        return (bins - self.center) / self.scale

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        # Older versions saved parameters without these buffers; the fitted buffers are kept then.
        if any(key.startswith(prefix) for key in state_dict):
            super()._load_from_state_dict(state_dict, prefix, *args)

    def __getstate__(self) -> dict[str, Any]:
        # A pickle must load on machines without a GPU, even if the buffers were on one.
        state = super().__getstate__()
        return {**state, "_buffers": {name: values.cpu() for name, values in state["_buffers"].items()}}
