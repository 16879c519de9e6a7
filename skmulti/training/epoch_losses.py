"""The losses of an epoch, kept per batch or per row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor


class EpochLosses(Protocol):
    """The losses of the batches of an epoch."""

    @property
    def are_weighted(self) -> bool:
        """Whether rows have sample weights or missing targets, so that weights differ between terms."""
        ...

    def means(self) -> list[float]:
        """Return the mean of each term over the rows that have its target."""
        ...

    def per_batch(self) -> BatchLosses:
        """Return the losses of each batch."""
        ...


@dataclass(frozen=True)
class BatchLosses:
    """The losses of several batches.

    Attributes
    ----------
    terms : Tensor of shape (n_batches, n_terms)
        The loss of each term, not multiplied by its loss weight.
    seen : Tensor of shape (n_batches, 1) or (n_batches, n_terms)
        The sum of the sample weights of the rows that have a target; the number of rows without sample weights.
    are_weighted : bool
        Whether rows have sample weights or missing targets, so that weights differ between terms.

    Examples
    --------
    >>> import torch
    >>> from skmulti.training.epoch_losses import BatchLosses
    >>> BatchLosses(torch.tensor([[1.0], [4.0]]), seen=torch.tensor([[2.0], [1.0]])).means()
    [2.0]
    """

    terms: Tensor
    seen: Tensor
    are_weighted: bool = False

    @classmethod
    def of(cls, measured: Sequence[tuple[Tensor, Tensor | float]]) -> BatchLosses:
        """Return the losses of batches that were measured separately."""
        terms, seen = zip(*measured, strict=True)
        if isinstance(seen[0], Tensor):
            return cls(torch.stack(terms), torch.stack(seen), are_weighted=True)
        return cls(torch.stack(terms), torch.tensor(seen, device=terms[0].device)[:, None])

    def empty(self, n_batches: int) -> BatchLosses:
        """Return uninitialized losses of ``n_batches`` batches with the same terms and device."""
        terms, seen = (part.new_empty(n_batches, part.shape[1]) for part in (self.terms, self.seen))
        return BatchLosses(terms, seen, self.are_weighted)

    def write(self, part: BatchLosses, start: int) -> int:
        """Copy the losses of batches to the places from `start` on; return the place after the last one."""
        stop = start + len(part.terms)
        self.terms[start:stop], self.seen[start:stop] = part.terms, part.seen
        return stop

    def means(self) -> list[float]:
        """Return the mean of each term over the rows that have its target."""
        # float64: the sums go over all rows of an epoch.
        weight = self.seen.double().sum(0)
        # A term without targets has no mean: it is recorded as 0, its contribution to the total.
        means: list[float] = torch.where(weight > 0, (self.terms.double() * self.seen).sum(0) / weight, 0.0).tolist()
        return means

    def per_batch(self) -> BatchLosses:
        """Return the losses of each batch."""
        return self


@dataclass(frozen=True)
class RowLosses:
    """The losses of rows without sample weights, trained in batches.

    Attributes
    ----------
    values : Tensor of shape (n_rows, n_terms)
        The loss of each row and term.
    batch_size : int
        The rows of each batch except the last.

    Examples
    --------
    >>> import torch
    >>> from skmulti.training.epoch_losses import RowLosses
    >>> losses = RowLosses(torch.tensor([[1.0], [3.0], [8.0]]), batch_size=2)
    >>> losses.means(), losses.per_batch().terms
    ([4.0], tensor([[2.],
            [8.]]))
    """

    values: Tensor
    batch_size: int
    are_weighted: ClassVar[bool] = False

    def means(self) -> list[float]:
        """Return the mean of each term."""
        n_rows = len(self.values)
        return [total / n_rows for total in self.values.sum(0).tolist()]

    def per_batch(self) -> BatchLosses:
        """Return the means over each batch."""
        n_full, rest = divmod(len(self.values), self.batch_size)
        means = self.values[: n_full * self.batch_size].unflatten(0, (n_full, self.batch_size)).mean(1)
        seen = [float(self.batch_size)] * n_full
        if rest:
            means = torch.cat([means, self.values[-rest:].mean(0, keepdim=True)])
            seen.append(float(rest))
        return BatchLosses(means, torch.tensor(seen, device=means.device)[:, None])
