"""The losses of an epoch of all members, measured some batches at a time."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from skmulti.training.epoch_losses import BatchLosses
from skmulti.training.stack.losses import StackedLosses
from skmulti.training.stack.rows import StackedBatch
from skmulti.training.stack.run import RunLosses

# Raw outputs that wait to be measured at once: a few operations for many batches, of what is still near.
_NUMBERS_TO_WAIT = 2**16


class LossAccumulator:
    """Adds up the losses of batches.

    Parameters
    ----------
    losses : StackedLosses
        The losses.
    n_members : int
        The number of members; a batch may be of the first of them only.
    """

    def __init__(self, losses: StackedLosses, n_members: int) -> None:
        self._losses, self._n_members = losses, n_members
        self._waiting: list[tuple[Tensor, StackedBatch]] = []
        self._sums: list[Tensor] = []
        self._seen: list[Tensor] = []

    def add(self, raw: Tensor, batch: StackedBatch) -> None:
        """Count a batch, of which `raw` are the outputs; their memory may be written over then."""
        if not self._losses.can_wait(batch):
            self._measure_waiting()
            sums, seen = self._losses.measure(raw, batch)
            self._count(sums.unsqueeze(0), seen.unsqueeze(0))
            return
        if self._waiting and self._waiting[0][1].sizes != batch.sizes:
            self._measure_waiting()
        self._waiting.append((raw.clone(), batch))
        if len(self._waiting) * raw.numel() > _NUMBERS_TO_WAIT:
            self._measure_waiting()

    def _measure_waiting(self) -> None:
        if not self._waiting:
            return
        raws, batches = [raw for raw, _ in self._waiting], [batch for _, batch in self._waiting]
        size = raws[0].shape[1]
        sums = self._losses.sums_of_batches(torch.cat(raws, 1), torch.cat([batch.y for batch in batches], 1), size)
        self._count(sums, sums.new_full((1, 1, 1), size))
        self._waiting = []

    def _count(self, sums: Tensor, seen: Tensor) -> None:
        """Keep the sums of some batches, of shape (n_batches, up to n_members, n_terms)."""
        missing = self._n_members - sums.shape[1]
        self._sums.append(F.pad(sums, (0, 0, 0, missing)))
        self._seen.append(F.pad(seen.expand(sums.shape), (0, 0, 0, missing)))

    def per_run(self) -> list[RunLosses]:
        """Return the losses of each member."""
        self._measure_waiting()
        sums, seen = torch.cat(self._sums), torch.cat(self._seen)
        weight = seen.sum(0, dtype=torch.float64)
        means = torch.where(weight > 0, sums.sum(0, dtype=torch.float64) / weight, 0.0).tolist()
        return [
            RunLosses(own, lambda k=k: _per_batch(sums[:, k], seen[:, k]))  # type: ignore[misc]
            for k, own in enumerate(means)
        ]


def _per_batch(sums: Tensor, seen: Tensor) -> BatchLosses:
    # A member that has fewer batches than others has seen nothing in the last ones.
    present = seen.sum(1) > 0
    return BatchLosses(sums[present] / seen[present].clamp_min(torch.finfo(seen.dtype).tiny), seen[present])
