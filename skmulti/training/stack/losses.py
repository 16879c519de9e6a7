"""The losses of the batches of a stack, and their gradients with respect to the raw outputs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from skmulti.losses import MixedLoss
from skmulti.training.stack.rows import StackedBatch


class StackedLosses:
    """The criteria of all nets, computed together where they differ only in their loss weights.

    Parameters
    ----------
    criteria : sequence of MixedLoss
        One for each net, for the same columns and raw outputs. Adjacent criteria with equal losses are computed in
        one operation.

    Attributes
    ----------
    n_terms : int
        The number of terms of each criterion.
    takes_any_batch : bool
        Whether each loss is a mean over rows, so that batches may be padded.
    """

    def __init__(self, criteria: Sequence[MixedLoss]) -> None:
        self._criteria = list(criteria)
        self._weights = torch.stack([criterion.weights for criterion in criteria])
        self._by_raw = torch.stack([criterion.weights_of_raw for criterion in criteria]).unsqueeze(1)
        first = criteria[0]
        self.n_terms, self._term_of_raw = len(first.terms), torch.tensor(first.term_of_raw)
        # Ranges (start, stop) of adjacent nets with equal losses, and the criterion that computes them.
        self._ranges: list[tuple[int, int, MixedLoss]] = []
        for k, criterion in enumerate(criteria):
            if self._ranges and is_alike(self._ranges[-1][2], criterion):
                self._ranges[-1] = (self._ranges[-1][0], k + 1, self._ranges[-1][2])
            else:
                self._ranges.append((k, k + 1, criterion))
        self.takes_any_batch = all(criterion.takes_any_batch for _, _, criterion in self._ranges)
        self._factors: dict[tuple[int, ...], tuple[Tensor, Tensor, Tensor]] = {}

    def gradient(self, raw: Tensor, batch: StackedBatch) -> Tensor:
        """Return the gradient of each net's total loss with respect to its raw outputs.

        Parameters
        ----------
        raw : Tensor of shape (n_members, width, n_raw)
            Raw outputs.
        batch : StackedBatch
            The targets of the same rows.
        """
        if not self.takes_any_batch:
            return self._by_autograd(raw, batch)
        weighted = self._row_weights(batch)
        if weighted is None:
            return self._of_rows("row_gradients", raw, batch.y).mul_(self._row_factors(batch.sizes, raw)[0])
        weight, y = weighted
        seen = weight.sum(1, keepdim=True)
        factor = self._weights[: len(raw)].unsqueeze(1) * weight / torch.where(seen > 0, seen, 1)
        return self._of_rows("row_gradients", raw, y).mul_(factor[..., self._term_of_raw])

    def measure(self, raw: Tensor, batch: StackedBatch) -> tuple[Tensor, Tensor]:
        """Return the sum of each term's losses over the rows of each net, and the sum of their sample weights.

        Returns
        -------
        sums : Tensor of shape (n_members, n_terms)
            Sums of the rows' losses times their sample weights.
        seen : Tensor of shape (n_members, n_terms) or (n_members, 1)
            Sums of the sample weights; the number of rows without sample weights.
        """
        if not self.takes_any_batch:
            found = [self._measured(k, raw[k, :size], batch, size) for k, size in enumerate(batch.sizes)]
            return torch.stack([terms * seen for terms, seen in found]), torch.stack([seen for _, seen in found])
        weighted = self._row_weights(batch)
        if weighted is None:
            _, real, n_rows = self._row_factors(batch.sizes, raw)
            values = self._of_rows("exact_row_losses", raw, batch.y)
            # A batched product: torch's sum over a middle axis is many times slower.
            return torch.bmm(real.to(values.dtype), values).squeeze(1), n_rows
        weight, y = weighted
        return (self._of_rows("exact_row_losses", raw, y) * weight).sum(1), weight.sum(1)

    def can_defer(self, batch: StackedBatch) -> bool:
        """Return whether a batch may be measured later together with others, by `sums_of_batches`."""
        plain = self.takes_any_batch and batch.weight is None and self._criteria[0].fill is None
        return plain and min(batch.sizes) == max(batch.sizes)

    def sums_of_batches(self, raw: Tensor, y: Tensor, size: int) -> Tensor:
        """Return the sums of each term's losses over each batch of `size` rows, (n_batches, n_members, n_terms)."""
        values = self._of_rows("exact_row_losses", raw, y)
        parts = values.reshape(-1, size, self.n_terms)
        sums = torch.bmm(values.new_ones(1, 1, size).expand(len(parts), 1, size), parts)
        return sums.view(len(raw), -1, self.n_terms).transpose(0, 1)

    def _row_factors(self, sizes: tuple[int, ...], raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the factor of a row's loss in the total by raw output, the mask of real rows and the row counts."""
        if sizes not in self._factors:
            n_rows = torch.tensor(sizes, dtype=raw.dtype).unsqueeze(1)
            factor = self._by_raw[: len(sizes)] / n_rows.unsqueeze(2)
            real = (torch.arange(max(sizes)) < n_rows).to(raw.dtype).unsqueeze(1)
            if min(sizes) < max(sizes):
                factor = factor * real.transpose(1, 2)
            self._factors[sizes] = (factor, real, n_rows)
        return self._factors[sizes]

    def _row_weights(self, batch: StackedBatch) -> tuple[Tensor, Tensor] | None:
        """Return the sample weight of each row and term, and imputed targets; None if no row is weighted or masked."""
        if batch.weight is None and self._criteria[0].fill is None:
            return None
        n_members, width, n_columns = batch.y.shape
        real = (torch.arange(width) < torch.tensor(batch.sizes).unsqueeze(1)).to(batch.y.dtype)
        weights, targets = [], []
        for start, stop, criterion in self._parts(n_members):
            y = batch.y[start:stop].reshape(-1, n_columns)
            sample_weight = None if batch.weight is None else batch.weight[start:stop].flatten(0, 1)
            y, weight = criterion.row_weights(y, sample_weight)
            weights.append(weight.expand(-1, self.n_terms).unflatten(0, (stop - start, width)))
            targets.append(criterion.filled(y).unflatten(0, (stop - start, width)))
        return torch.cat(weights) * real.unsqueeze(2), torch.cat(targets)

    def _of_rows(self, what: str, raw: Tensor, y: Tensor) -> Tensor:
        """Return the result of a criterion's method for the rows of all nets."""
        n_members, width, _ = raw.shape
        parts = [
            getattr(criterion, what)(raw[start:stop].flatten(0, 1), y[start:stop].flatten(0, 1))
            for start, stop, criterion in self._parts(n_members)
        ]
        joined: Tensor = parts[0] if len(parts) == 1 else torch.cat(parts)
        return joined.unflatten(0, (n_members, width))

    def _parts(self, n_members: int) -> list[tuple[int, int, MixedLoss]]:
        if n_members == len(self._criteria):
            return self._ranges
        return [(start, min(stop, n_members), c) for start, stop, c in self._ranges if start < n_members]

    def _by_autograd(self, raw: Tensor, batch: StackedBatch) -> Tensor:
        """Return the gradient net by net: a loss of a whole batch must not include padding rows or other nets."""
        gradient = torch.zeros_like(raw)
        for k, size in enumerate(batch.sizes):
            with torch.enable_grad():
                leaf = raw[k, :size].detach().requires_grad_()
                terms, _ = self._measured(k, leaf, batch, size)
                (gradient[k, :size],) = torch.autograd.grad(self._criteria[k].total(terms), leaf)
        return gradient

    def _measured(self, k: int, raw: Tensor, batch: StackedBatch, size: int) -> tuple[Tensor, Tensor]:
        weight = None if batch.weight is None else batch.weight[k, :size]
        if not len(raw):
            return raw.new_zeros(self.n_terms), raw.new_zeros(self.n_terms)
        terms, seen = self._criteria[k].measure(raw, batch.y[k, :size], weight)
        return terms, torch.as_tensor(seen, dtype=raw.dtype).expand(self.n_terms)


def is_alike(one: MixedLoss, other: MixedLoss) -> bool:
    """Return whether two criteria are equal except for their loss weights."""
    tables = ([(term.loss, term.columns, term.raw) for term in criterion.terms] for criterion in (one, other))
    first, second = tables
    if first != second or (one.fill is None) is not (other.fill is None):
        return False
    return one.fill is None or other.fill is None or torch.equal(one.fill, other.fill)
