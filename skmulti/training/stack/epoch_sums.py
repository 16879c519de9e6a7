"""The losses of an epoch of all nets of a stack, measured several batches at a time."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from skmulti.training.epoch_losses import BatchLosses
from skmulti.training.stack.losses import StackedLosses
from skmulti.training.stack.rows import StackedBatch
from skmulti.training.stack.run import RunLosses

# Raw outputs that are measured at once: few operations for many batches, on data still in the processor's cache.
_DEFERRED_VALUES = 2**16


class LossAccumulator:
    """Adds up the losses of batches.

    Parameters
    ----------
    losses : StackedLosses
        The losses.
    n_members : int
        The number of nets; a batch may contain the first of them only.
    """

    def __init__(self, losses: StackedLosses, n_members: int) -> None:
        self._losses, self._n_members = losses, n_members
        self._deferred: list[tuple[Tensor, StackedBatch]] = []
        self._sums: list[Tensor] = []
        self._seen: list[Tensor] = []

    def add(self, raw: Tensor, batch: StackedBatch) -> None:
        """Add the losses of a batch; the memory of `raw`, its raw outputs, may be overwritten afterwards."""
        if not self._losses.can_defer(batch):
            self._measure_deferred()
            sums, seen = self._losses.measure(raw, batch)
            self._count(sums.unsqueeze(0), seen.unsqueeze(0))
            return
        if self._deferred and self._deferred[0][1].sizes != batch.sizes:
            self._measure_deferred()
        self._deferred.append((raw.clone(), batch))
        if len(self._deferred) * raw.numel() > _DEFERRED_VALUES:
            self._measure_deferred()

    def _measure_deferred(self) -> None:
        if not self._deferred:
            return
        raws, batches = [raw for raw, _ in self._deferred], [batch for _, batch in self._deferred]
        size = raws[0].shape[1]
        sums = self._losses.sums_of_batches(torch.cat(raws, 1), torch.cat([batch.y for batch in batches], 1), size)
        self._count(sums, sums.new_full((1, 1, 1), size))
        self._deferred = []

    def _count(self, sums: Tensor, seen: Tensor) -> None:
        """Keep the sums of some batches, of shape (n_batches, up to n_members, n_terms)."""
        missing = self._n_members - sums.shape[1]
        self._sums.append(F.pad(sums, (0, 0, 0, missing)))
        self._seen.append(F.pad(seen.expand(sums.shape), (0, 0, 0, missing)))

    def per_run(self) -> list[RunLosses]:
        """Return the losses of each net."""
        self._measure_deferred()
        sums, seen = torch.cat(self._sums), torch.cat(self._seen)
        weight = seen.sum(0, dtype=torch.float64)
        means = torch.where(weight > 0, sums.sum(0, dtype=torch.float64) / weight, 0.0).tolist()
        return [
            RunLosses(of_terms, lambda k=k: _per_batch(sums[:, k], seen[:, k]))  # type: ignore[misc]
            for k, of_terms in enumerate(means)
        ]


def _per_batch(sums: Tensor, seen: Tensor) -> BatchLosses:
    # A net with fewer batches than others has no rows in the last ones.
    present = seen.sum(1) > 0
    return BatchLosses(sums[present] / seen[present].clamp_min(torch.finfo(seen.dtype).tiny), seen[present])
