"""The batches of all nets of a stack, each in its own row order; shorter batches have padding rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from skmulti.targets.scaler import TargetScaler
from skmulti.training.device_rows import DeviceRows
from skmulti.training.loader import TensorLoader, whole_of

# Datasets up to this total size are copied into one, so that one operation gathers the rows of all nets.
_BYTES_TO_JOIN = 2**26


@dataclass(frozen=True)
class StackedBatch:
    """One batch of each of the first nets of a stack.

    Attributes
    ----------
    X : Tensor of shape (n_members, width, ...)
        Inputs.
    y : Tensor of shape (n_members, width, n_columns)
        Targets in the network's units.
    weight : Tensor of shape (n_members, width, 1 or n_columns), or None
        Sample weights.
    sizes : tuple of int
        The number of rows of each net; the rows after them are padding rows.
    """

    X: Tensor
    y: Tensor
    weight: Tensor | None
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class Source:
    """The rows of a dataset, with targets in the network's units.

    Attributes
    ----------
    rows : DeviceRows
        The rows.
    start : int
        The index of the first row in `rows`, which may hold several datasets.
    """

    rows: DeviceRows
    start: int = 0


class Sources:
    """The rows of all datasets, one copy for all nets with the same dataset and target scaler."""

    def __init__(self) -> None:
        self._rows: dict[Any, tuple[Any, Source]] = {}

    def add(self, loaders: Sequence[tuple[TensorLoader, TargetScaler]]) -> None:
        """Convert the datasets of loaders; small ones are concatenated, so that one operation gathers their rows."""
        wholes = {_key(loader, scaler): (whole_of(loader.dataset), scaler) for loader, scaler in loaders}
        wholes = {key: kept for key, kept in wholes.items() if key not in self._rows}
        found = {
            key: (kept, Source(DeviceRows(*kept, torch.device("cpu"))))
            # Keys contain ids: the dataset is kept so that its ids are not reused.
            for key, kept in wholes.items()
        }
        sources = [source.rows for _, source in found.values()]
        if len(sources) > 1 and sum(rows.n_bytes for rows in sources) <= _BYTES_TO_JOIN:
            joint, start = DeviceRows.joined(sources), 0
            for key, (kept, source) in found.items():
                found[key] = (kept, Source(joint, start))
                start += len(source.rows)
        self._rows.update(found)

    def of(self, loader: TensorLoader, scaler: TargetScaler) -> Source:
        """Return the rows of a loader's whole dataset."""
        return self._rows[_key(loader, scaler)][1]


def _key(loader: TensorLoader, scaler: TargetScaler) -> Any:
    whole = whole_of(loader.dataset)
    X = whole.X["X"] if isinstance(whole.X, dict) else whole.X
    return id(X), id(whole.y), id(scaler), isinstance(whole.X, dict)


class StackedRows:
    """Iterates over the batches of all nets of a stack.

    Parameters
    ----------
    loaders : sequence of TensorLoader
        One for each net, by decreasing number of batches; their batch sizes are equal.
    sources : sequence of Source
        The rows of each loader's whole dataset.
    batch_size : int, default=None
        The rows of a batch; None uses that of the loaders.
    keeps_all : bool, default=False
        Whether batches contain all nets, even those without further rows; else only the first ones, which have rows.
    """

    def __init__(
        self,
        loaders: Sequence[TensorLoader],
        sources: Sequence[Source],
        batch_size: int | None = None,
        *,
        keeps_all: bool = False,
    ) -> None:
        self._loaders = loaders
        self._batch_size = batch_size or loaders[0].batch_size
        self._n_rows = [loader.n_rows for loader in loaders]
        # Ranges (start, stop) of adjacent nets whose rows are in the same tensors.
        self._ranges: list[tuple[int, int, DeviceRows]] = []
        for k, source in enumerate(sources):
            if self._ranges and self._ranges[-1][2] is source.rows:
                self._ranges[-1] = (self._ranges[-1][0], k + 1, source.rows)
            else:
                self._ranges.append((k, k + 1, source.rows))
        self._starts = torch.tensor([source.start for source in sources]).unsqueeze(1)
        self._keeps_all = keeps_all
        self._batch_sizes = [self._sizes(start) for start in range(0, max(self._n_rows), self._batch_size)]

    def _sizes(self, start: int) -> tuple[int, ...]:
        sizes = (max(0, min(n_rows - start, self._batch_size)) for n_rows in self._n_rows)
        return tuple(size for size in sizes if size or self._keeps_all)

    @property
    def n_batches(self) -> int:
        """The largest number of batches of a net."""
        return len(self._batch_sizes)

    def batches(self) -> Iterator[StackedBatch]:
        """Iterate over the batches of an epoch, in a new order if the loaders shuffle."""
        # Padding repeats a row of the same net: on rows of other nets its loss might not be finite.
        orders = pad_sequence([self._order(k) for k in range(len(self._loaders))], batch_first=True, padding_value=-1)
        orders = torch.where(orders < 0, orders[:, :1], orders) + self._starts
        for i, sizes in enumerate(self._batch_sizes):
            start, width = i * self._batch_size, max(sizes)
            yield self._gathered(orders[: len(sizes), start : start + width], sizes)

    def _order(self, k: int) -> Tensor:
        order, n_rows = self._loaders[k].order(), self._n_rows[k]
        return torch.arange(n_rows, dtype=torch.int32) if order is None else order[:n_rows]

    def _gathered(self, picks: Tensor, sizes: tuple[int, ...]) -> StackedBatch:
        n_members, width = picks.shape
        flat = picks.reshape(-1)
        parts = [
            source.gather(flat[start * width : min(stop, n_members) * width])
            for start, stop, source in self._ranges
            if start < n_members
        ]
        shape = (n_members, width)
        X, y = _joined([X for X, _, _ in parts], shape), _joined([y for _, y, _ in parts], shape)
        weights = [weight for _, _, weight in parts if weight is not None]
        return StackedBatch(X, y, _joined(weights, shape) if weights else None, sizes)


def _joined(parts: list[Tensor], shape: tuple[int, int]) -> Tensor:
    """Return the rows of all nets as one tensor of shape (n_members, width, ...)."""
    return (parts[0] if len(parts) == 1 else torch.cat(parts)).unflatten(0, shape)
