"""The skorch criterion: the weighted sum of the table's terms, equal losses computed together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from skmulti.losses.base import ColumnLoss


@dataclass(frozen=True)
class Term:
    """One line of the loss table.

    Attributes
    ----------
    name : str
        The name of its column or of its group of columns.
    loss : ColumnLoss
        Its loss.
    columns : tuple of int
        Positions of its columns in y.
    raw : tuple of int
        Positions of its raw outputs in what the network emits.
    weight : float
        Its loss weight.
    """

    name: str
    loss: ColumnLoss
    columns: tuple[int, ...]
    raw: tuple[int, ...]
    weight: float = 1.0


class MixedLoss(nn.Module):
    """The sum over terms of weight times the mean over rows of the loss of each row.

    Terms with equal losses are computed together: a table of sixteen squared errors costs what one costs.

    Parameters
    ----------
    terms : sequence of Term
        The table of terms.

    Attributes
    ----------
    terms : tuple of Term
        The table of terms.
    weights : Tensor of shape (n_terms,)
        Their weights, a buffer.

    Examples
    --------
    >>> import torch
    >>> from skmulti.losses import AbsoluteError, MixedLoss, SquaredError, Term
    >>> criterion = MixedLoss([
    ...     Term("x", SquaredError(), columns=(0,), raw=(0,), weight=2.0),
    ...     Term("y", AbsoluteError(), columns=(1,), raw=(1,)),
    ... ])
    >>> criterion(torch.tensor([[1.0, 1.0]]), torch.tensor([[0.0, 4.0]]))
    tensor(5.)
    """

    weights: Tensor

    def __init__(self, terms: Sequence[Term]) -> None:
        super().__init__()
        self.terms = tuple(terms)
        self.n_raw = sum(len(term.raw) for term in terms)
        self.n_columns = sum(len(term.columns) for term in terms)
        self.register_buffer("weights", torch.tensor([term.weight for term in terms], dtype=torch.float32))
        self._families = _families(self.terms)
        order = [i for family in self._families for i in family.terms]
        self._order = _selection([order.index(i) for i in range(len(order))])

    def forward(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return the total loss.

        Parameters
        ----------
        raw : Tensor of shape (n_rows, n_raw)
            Raw outputs of the network.
        y : Tensor of shape (n_rows, n_columns)
            Targets, standardised as the losses say.

        Returns
        -------
        loss : Tensor of shape ()
            The total.

        Raises
        ------
        ValueError
            If a shape is another one, which torch would broadcast.
        """
        return self.total(self.term_losses(raw, y))

    def total(self, term_losses: Tensor) -> Tensor:
        """Return the weighted sum of the terms, shape (n_terms,)."""
        return self.weights @ term_losses

    def term_losses(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return the loss of each term, not weighted: the mean over the rows, shape (n_terms,)."""
        return self.row_losses(raw, y).mean(0)

    def row_losses(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return the loss of each row and term, not weighted, shape (n_rows, n_terms)."""
        self._check_shapes(raw, y)
        values = [family.row_losses(raw, y) for family in self._families]
        return self._order(values[0] if len(values) == 1 else torch.cat(values, dim=1))

    def predict(self, raw: Tensor) -> Tensor:
        """Read the prediction from raw outputs.

        Parameters
        ----------
        raw : Tensor of shape (n_rows, n_raw)
            Raw outputs of the network.

        Returns
        -------
        y_pred : Tensor of shape (n_rows, n_columns), float64
            The prediction, in the units in which the losses take their targets.
        """
        y_pred = raw.new_empty(len(raw), self.n_columns, dtype=torch.float64)
        for family in self._families:
            y_pred[:, family.columns] = family.predict(raw).double()
        return y_pred

    def _check_shapes(self, raw: Tensor, y: Tensor) -> None:
        if raw.ndim != 2 or raw.shape[1] != self.n_raw:
            raise ValueError(
                f"The module must return raw outputs of shape (n_rows, {self.n_raw}), "
                f"{self.n_raw} for the loss table's {self.n_columns} columns. Got shape {tuple(raw.shape)} instead; "
                "a module whose __init__ has a parameter 'n_outputs' is given this number."
            )
        if y.shape != (raw.shape[0], self.n_columns):
            raise ValueError(
                f"Targets must have shape ({raw.shape[0]}, {self.n_columns}), one row per row of the raw outputs and "
                f"one column per target. Got shape {tuple(y.shape)} instead."
            )


class _Family:
    """The terms that share a loss, computed in one tensor operation."""

    def __init__(self, terms: Sequence[Term], indices: Sequence[int]) -> None:
        self.terms = list(indices)
        members = [terms[i] for i in indices]
        self.loss = members[0].loss
        self.n_terms = len(members)
        self.columns = [column for term in members for column in term.columns]
        self._take_columns = _selection(self.columns)
        self._take_raw = _selection([position for term in members for position in term.raw])

    def _split(self, values: Tensor) -> Tensor:
        """Give each term its own place: (n_rows, n_terms * k) becomes (n_rows, n_terms, k)."""
        return values.unflatten(1, (self.n_terms, -1)) if self.loss.takes_any_batch else values

    def row_losses(self, raw: Tensor, y: Tensor) -> Tensor:
        values = self.loss.row_loss(self._split(self._take_raw(raw)), self._split(self._take_columns(y)))
        return values if self.loss.takes_any_batch else values.unsqueeze(1)

    def predict(self, raw: Tensor) -> Tensor:
        return self.loss.predict(self._split(self._take_raw(raw))).flatten(1)


def _families(terms: Sequence[Term]) -> list[_Family]:
    groups: list[list[int]] = []
    for i, term in enumerate(terms):
        for group in groups:
            first = terms[group[0]]
            if term.loss.takes_any_batch and term.loss == first.loss and len(term.columns) == len(first.columns):
                group.append(i)
                break
        else:
            groups.append([i])
    return [_Family(terms, group) for group in groups]


def _selection(positions: list[int]) -> Callable[[Tensor], Tensor]:
    """Return a function that takes columns by position: a view where they stand side by side."""
    start, stop = positions[0], positions[-1] + 1
    if positions == list(range(start, stop)):
        return _Slice(start, stop)
    return _Gather(positions)


@dataclass(frozen=True)
class _Slice:
    start: int
    stop: int

    def __call__(self, values: Tensor) -> Tensor:
        if self.start == 0 and self.stop == values.shape[1]:
            return values
        return values[:, self.start : self.stop]


@dataclass(frozen=True)
class _Gather:
    positions: list[int]

    def __call__(self, values: Tensor) -> Tensor:
        return values[:, self.positions]
