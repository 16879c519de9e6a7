"""The rows of a dataset as tensors on the training device, in blocks of several batches."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from skorch.dataset import Dataset
from torch import Tensor

from skmulti.inputs.tensors import as_tensor
from skmulti.targets.scaler import TargetScaler
from skmulti.training.loader import TensorLoader, whole_of
from skmulti.training.rows import is_weighted

Block = tuple[Tensor, Tensor, Tensor | None]

# Bytes of inputs gathered at once: several batches per call, few enough for the cache of a CPU.
_BLOCK_BYTES = {"cpu": 2**20, "cuda": 2**26}
# Up to this many targets are scaled once and kept: 2 MiB in float32.
_SCALED_ONCE = 2**19
# The fraction of a device's free memory for inputs; the rest is left to the network.
_FRACTION_OF_DEVICE = 0.5


class DeviceRows:
    """Inputs, targets in the network's units and sample weights, on the device if they fit.

    Parameters
    ----------
    dataset : skorch.dataset.Dataset or torch.utils.data.Subset of one
        The rows; see `can_hold`.
    scaler : TargetScaler
        Transforms targets to the network's units.
    device : torch.device
        The device of the blocks.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from skorch.dataset import Dataset
    >>> from skmulti.targets.scaler import TargetScaler
    >>> from skmulti.training.device_rows import DeviceRows
    >>> dataset = Dataset(np.arange(6.0).reshape(3, 2), np.zeros((3, 1)))
    >>> scaler = TargetScaler(center=np.array([1.0]), scale=np.array([2.0]))
    >>> rows = DeviceRows(dataset, scaler, torch.device("cpu"))
    >>> [(X.tolist(), y.tolist()) for X, y, _ in rows.blocks(torch.tensor([2, 0]), n_rows=2, batch_size=1)]
    [([[4.0, 5.0], [0.0, 1.0]], [[-0.5], [-0.5]])]
    """

    def __init__(self, dataset: Any, scaler: TargetScaler, device: torch.device) -> None:
        whole: Dataset = whole_of(dataset)
        weighted = is_weighted(whole.X)
        self._X = as_tensor(whole.X["X"] if weighted else whole.X)
        y = as_tensor(whole.y)
        # Few targets are scaled once for all epochs; many block by block, which avoids a copy of the table.
        self._scaler = None if y.numel() <= _SCALED_ONCE else scaler
        self._y = scaler.transform(y) if self._scaler is None else y
        self.weight = as_tensor(whole.X["sample_weight"]) if weighted else None
        self.input_shape = tuple(self._X.shape[1:])
        self._device = device
        if device.type != "cpu":
            # Targets and weights are small and always moved. Inputs are moved once if they fit, else block by block.
            self._scaler, self._y = None, scaler.transform(y).to(device)
            self.weight = None if self.weight is None else self.weight.to(device)
            if self._X.nbytes < _FRACTION_OF_DEVICE * _free_bytes(device):
                self._X = self._X.to(device)

    @classmethod
    def joined(cls, parts: Sequence[DeviceRows]) -> DeviceRows:
        """Concatenate the rows of several; all must have sample weights, or none."""
        whole = copy.copy(parts[0])
        whole._X = torch.cat([part._X for part in parts])
        whole._y, whole._scaler = torch.cat([part._in_units(part._y) for part in parts]), None
        weights = [part.weight for part in parts if part.weight is not None]
        whole.weight = torch.cat(weights) if weights else None
        return whole

    def __len__(self) -> int:
        return len(self._X)

    @property
    def n_bytes(self) -> int:
        """The memory of inputs and targets."""
        return self._X.nbytes + self._y.nbytes

    def _in_units(self, y: Tensor) -> Tensor:
        return y if self._scaler is None else self._scaler.transform(y)

    @staticmethod
    def can_hold(dataset: Any) -> bool:
        """Return whether a dataset holds arrays of inputs and targets."""
        if not TensorLoader.can_load(dataset):
            return False
        whole: Dataset = whole_of(dataset)
        return whole.y is not None and (is_weighted(whole.X) or not isinstance(whole.X, Mapping))

    def blocks(self, order: Tensor | None, n_rows: int, batch_size: int) -> Iterator[Block]:
        """Iterate over rows in an order, several whole batches at a time.

        Parameters
        ----------
        order : Tensor of shape (at least n_rows,) or None
            The positions of the rows; None yields views of all rows as they are stored.
        n_rows : int
            The number of rows.
        batch_size : int
            The rows of a batch; each block except the last holds a multiple of it.
        """
        row_bytes = self._X.nbytes // max(1, len(self._X))
        block_bytes = _BLOCK_BYTES.get(self._device.type, 2**26)
        at_once = max(1, block_bytes // max(1, row_bytes * batch_size)) * batch_size
        on_device = None if order is None else order.to(self._device)
        if order is not None and n_rows <= at_once and self._scaler is None and self._device.type == "cpu":
            # A single block needs no buffers, whose overhead is noticeable for small tables.
            yield self.gather(order[:n_rows] if len(order) > n_rows else order)
            return
        parts = [part for part in (self._X, self._y, self.weight) if part is not None]
        # Blocks of one pass share buffers, since each is consumed before the next is gathered.
        buffers = [part.new_empty(0 if order is None else min(at_once, n_rows), *part.shape[1:]) for part in parts]
        for start in range(0, n_rows, at_once):
            stop = min(start + at_once, n_rows)
            X, y, *weight = (
                self._gathered(part, buffer, order, on_device, start, stop)
                for part, buffer in zip(parts, buffers, strict=True)
            )
            yield X, self._in_units(y), weight[0] if weight else None

    def gather(self, picks: Tensor) -> Block:
        """Return the rows at some positions.

        Parameters
        ----------
        picks : Tensor of shape (n_rows,)
            The positions, on the device of the rows.
        """
        y = self._y.index_select(0, picks)
        weight = None if self.weight is None else self.weight.index_select(0, picks)
        return self._X.index_select(0, picks), self._in_units(y), weight

    def _gathered(
        self, values: Tensor, buffer: Tensor, order: Tensor | None, on_device: Tensor | None, start: int, stop: int
    ) -> Tensor:
        if order is None:
            part = values[start:stop]
        else:
            stays = values.device.type == self._device.type
            picks = on_device if stays else order
            assert picks is not None
            part = torch.index_select(values, 0, picks[start:stop], out=buffer[: stop - start])
        if part.device.type == self._device.type:
            return part
        return part.pin_memory().to(self._device, non_blocking=True)


def _free_bytes(device: torch.device) -> float:
    return float(torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else float("inf")
