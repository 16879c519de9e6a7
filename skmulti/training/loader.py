"""Batches of a dataset, each gathered by row index in one operation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from skorch.dataset import Dataset
from torch import Tensor
from torch.utils.data import Subset

from skmulti.inputs.tensors import as_tensor


class TensorLoader:
    """Iterate over batches of a skorch Dataset of arrays, as torch's DataLoader does, without a call per row.

    Parameters
    ----------
    dataset : skorch.dataset.Dataset or torch.utils.data.Subset of one
        The rows. X and y must be arrays or tensors; see `can_load`.
    batch_size : int, default=1
        Rows per batch.
    shuffle : bool, default=False
        Whether each pass goes through the rows in a new random order.
    drop_last : bool, default=False
        Whether to leave out a last batch that has fewer rows.
    generator : torch.Generator or None, default=None
        The generator of the order. None uses torch's global generator.

    Examples
    --------
    >>> import numpy as np
    >>> from skorch.dataset import Dataset
    >>> from skmulti.training import TensorLoader
    >>> loader = TensorLoader(Dataset(np.ones((5, 2)), np.zeros((5, 1))), batch_size=2)
    >>> [tuple(X.shape) for X, y in loader]
    [(2, 2), (2, 2), (1, 2)]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        drop_last: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.generator = generator

    @staticmethod
    def can_load(dataset: Any) -> bool:
        """Return whether the rows of ``dataset`` can be gathered by index, without calling a custom ``__getitem__``."""
        whole = whole_of(dataset)
        if type(whole) is not Dataset:
            return False
        parts = [*whole.X.values(), whole.y] if isinstance(whole.X, Mapping) else [whole.X, whole.y]
        return all(isinstance(part, (np.ndarray, Tensor, type(None))) for part in parts)

    def __len__(self) -> int:
        n_full, rest = divmod(len(self.dataset), self.batch_size)
        return n_full + (1 if rest and not self.drop_last else 0)

    @property
    def n_rows(self) -> int:
        """The number of rows of one pass."""
        return min(len(self.dataset), len(self) * self.batch_size)

    @property
    def last_size(self) -> int:
        """The number of rows of the last batch of a pass."""
        return self.n_rows - (len(self) - 1) * self.batch_size

    def order(self) -> Tensor | None:
        """Return the positions of the next pass's rows in the whole dataset; None if they are 0, 1, 2, ..."""
        rows = torch.as_tensor(np.asarray(self.dataset.indices)) if isinstance(self.dataset, Subset) else None
        if self.shuffle:
            # The permutation equals that in 64 bits and takes half the memory.
            dtype = torch.int32 if len(self.dataset) < 2**31 else torch.int64
            order = torch.randperm(len(self.dataset), generator=self.generator, dtype=dtype)
            rows = order if rows is None else rows[order]
        return rows

    def __iter__(self) -> Iterator[tuple[Any, Tensor]]:
        whole = whole_of(self.dataset)
        X = {key: as_tensor(part) for key, part in whole.X.items()} if isinstance(whole.X, Mapping) else whole.X
        X = X if isinstance(X, dict) else as_tensor(X)
        y = torch.zeros(len(whole), 1) if whole.y is None else as_tensor(whole.y)
        rows = self.order()
        for batch in range(len(self)):
            part: Any = slice(batch * self.batch_size, (batch + 1) * self.batch_size)
            part = part if rows is None else rows[part]
            yield {key: values[part] for key, values in X.items()} if isinstance(X, dict) else X[part], y[part]


def whole_of(dataset: Any) -> Any:
    """Return the dataset of a subset, or the dataset itself."""
    return dataset.dataset if isinstance(dataset, Subset) else dataset


def without_read_only(dataset: Any) -> Any:
    """Return a dataset with read-only arrays converted to tensors, since torch warns about each of their rows."""
    whole = whole_of(dataset)
    arrays = [part for part in (getattr(whole, "X", None), getattr(whole, "y", None)) if isinstance(part, np.ndarray)]
    if type(whole) is not Dataset or all(part.flags.writeable for part in arrays):
        return dataset
    X, y = (as_tensor(part) if isinstance(part, np.ndarray) else part for part in (whole.X, whole.y))
    tensors = Dataset(X, y, length=len(whole))
    return Subset(tensors, dataset.indices) if isinstance(dataset, Subset) else tensors
