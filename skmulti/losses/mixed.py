"""The skorch criterion: the weighted sum of the table's terms, equal losses computed together."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from skmulti.losses.base import ColumnLoss
from skmulti.losses.family import Family, Term, families, selection
from skmulti.losses.learned import learned_parts


class MixedLoss(nn.Module):
    """The sum over terms of weight times the mean over rows of the loss of each row.

    Terms with equal losses are computed together: a table of sixteen squared errors costs what one costs.

    Parameters
    ----------
    terms : sequence of Term
        The table of terms.
    fill : array-like of shape (n_columns,), default=None
        Given where targets may be missing (NaN): values, standardised as the losses say, that stand in for them
        and are valid targets. A missing target is left out of its term, a group where any of its columns is
        missing; each term is the mean over the rows that it saw, and 0 where it saw none.

    Attributes
    ----------
    terms : tuple of Term
        The table of terms.
    weights : Tensor of shape (n_terms,)
        Their weights, a buffer.
    learned : ModuleList
        The modules of losses that have parameters of their own, so that an optimizer finds these.

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
    weights_of_raw: Tensor
    fill: Tensor | None
    _last_shares: tuple[Any, Any] = (None, None)

    def __init__(self, terms: Sequence[Term], fill: Sequence[float] | None = None) -> None:
        super().__init__()
        self.terms = tuple(terms)
        self.n_raw = sum(len(term.raw) for term in terms)
        self.n_columns = sum(len(term.columns) for term in terms)
        self.register_buffer("weights", torch.tensor([term.weight for term in terms], dtype=torch.get_default_dtype()))
        self.register_buffer("fill", None if fill is None else torch.as_tensor(fill, dtype=torch.get_default_dtype()))
        self.families: list[Family] = families(self.terms)
        order = [i for family in self.families for i in family.indices]
        self._term_of_column = [i for _, i in sorted((c, i) for i, term in enumerate(terms) for c in term.columns)]
        self._in_order = selection([order.index(i) for i in range(len(order))])
        raw_order = [position for family in self.families for position in family.raw]
        column_order = [column for family in self.families for column in family.columns]
        self._raw_in_order = selection([raw_order.index(i) for i in range(len(raw_order))])
        self._reads_all_at_once = len(self.families) == 1 and column_order == sorted(column_order)
        self._reads_raw = self._columns_are_raw() and all(
            type(family.loss).predict is ColumnLoss.predict for family in self.families
        )
        self._derivatives: list[Callable[[Tensor], Any]] = []
        if all(family.is_of_difference for family in self.families):
            columns = [column for _, column in sorted(zip(raw_order, column_order, strict=True))]
            self._columns_of_raw = None if columns == sorted(columns) else selection(columns)
            self._derivatives = [family.derivative_in_place() for family in self.families]
        weight_of = {position: term.weight for term in terms for position in term.raw}
        self.term_of_raw = [i for _, i in sorted((r, i) for i, term in enumerate(terms) for r in term.raw)]
        by_raw = torch.tensor([weight_of[i] for i in range(self.n_raw)], dtype=torch.get_default_dtype())
        self.register_buffer("weights_of_raw", by_raw, persistent=False)
        parts = {id(part): part for term in terms for part in learned_parts(term.loss)}
        self.learned = nn.ModuleList(
            part if isinstance(part, nn.Module) else nn.ParameterList([part]) for part in parts.values()
        )

    def forward(self, raw: Tensor, y: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        """Return the total loss.

        Parameters
        ----------
        raw : Tensor of shape (n_rows, n_raw)
            Raw outputs of the network.
        y : Tensor of shape (n_rows, n_columns)
            Targets, standardised as the losses say.
        sample_weight : Tensor of shape (n_rows, 1) or (n_rows, n_columns), default=None
            Weights of the rows, or of each row's columns; a group has the mean over its columns.

        Returns
        -------
        loss : Tensor of shape ()
            The total.

        Raises
        ------
        ValueError
            If a shape is another one, which torch would broadcast.
        """
        return self.total(self.term_losses(raw, y, sample_weight))

    def total(self, term_losses: Tensor) -> Tensor:
        """Return the weighted sum of the terms, shape (n_terms,)."""
        return self.weights.to(term_losses.dtype) @ term_losses

    def term_losses(self, raw: Tensor, y: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        """Return the loss of each term, not multiplied by the term's weight, shape (n_terms,)."""
        return self.measure(raw, y, sample_weight)[0].to(raw.dtype)

    def measure(self, raw: Tensor, y: Tensor, sample_weight: Tensor | None = None) -> tuple[Tensor, Tensor | float]:
        """Return the loss of each term, not multiplied by the term's weight, and the weight of the rows it saw.

        Parameters
        ----------
        raw, y, sample_weight
            As in `forward`.

        Returns
        -------
        losses : Tensor of shape (n_terms,)
            The mean over the rows that have the term's targets, 0 where there are none; in double precision where a
            loss is robust.
        seen : Tensor of shape (n_terms,), or float
            The sum of the weights of these rows; their number where all rows weigh 1.
        """
        self._check_shapes(raw, y)
        if self.fill is None and sample_weight is None:
            return self.exact_row_losses(raw, y).mean(0), float(len(raw))
        y, weight = self.row_weights(y, sample_weight)
        seen = weight.sum(0).expand(len(self.terms))
        sums = (self.exact_row_losses(raw, y, weighted=sample_weight is not None) * weight).sum(0)
        return torch.where(seen > 0, sums / torch.where(seen > 0, seen, 1), 0), seen

    def row_weights(self, y: Tensor, sample_weight: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return targets, and the weight of each row in each term, 0 where it misses one of the term's targets.

        Parameters
        ----------
        y, sample_weight
            As in `forward`.

        Returns
        -------
        y : Tensor of shape (n_rows, n_columns)
            The targets; what weighs nothing is missing.
        weight : Tensor of shape (n_rows, n_terms) or (n_rows, 1)
            The weights.
        """
        weight = self._term_weights(sample_weight)
        if self.fill is not None and weight is not None:
            # What weighs nothing may be anything, and is as good as missing: zero times infinity is not zero.
            y = y.masked_fill((weight == 0).expand(-1, len(self.terms))[:, self._term_of_column], torch.nan)
        if self.fill is not None:
            present = self._present(y)
            weight = present.to(y.dtype) if weight is None else weight * present
        return y, torch.ones_like(y[:, :1]) if weight is None else weight

    def with_fill(self, fill: Sequence[float]) -> MixedLoss:
        """Return the same sum for targets that may be missing."""
        twin = copy.copy(self)
        twin._buffers = dict(self._buffers)
        twin.fill = torch.as_tensor(fill, dtype=torch.get_default_dtype())
        return twin

    def filled(self, y: Tensor) -> Tensor:
        """Return targets with valid ones in place of those that are missing."""
        return y if self.fill is None else torch.where(y.isnan(), self.fill, y)

    @property
    def takes_any_batch(self) -> bool:
        """Return whether no loss looks at a batch as a whole."""
        return all(family.loss.takes_any_batch for family in self.families)

    @property
    def rows_stand_alone(self) -> bool:
        """Return whether the total is a mean over rows that all weigh one and do not depend on one another.

        Then its gradient by the raw outputs is all that training needs; parameters of a loss need their own.
        """
        return self.fill is None and self.takes_any_batch and not len(self.learned)

    def raw_gradient(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return the gradient of the total by the raw outputs, without a graph; for rows that stand alone.

        Parameters
        ----------
        raw, y
            As in `forward`.

        Returns
        -------
        gradient : Tensor of shape (n_rows, n_raw)
            The derivative of `forward`, up to rounding.
        """
        return self.row_gradients(raw, y).mul_(self._shares(raw.shape[0], raw))

    def row_gradients(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return the derivatives of each row's losses by its raw outputs, not weighted; for rows that stand alone.

        Parameters
        ----------
        raw, y
            As in `forward`; no target is missing.

        Returns
        -------
        gradient : Tensor of shape (n_rows, n_raw)
            A new tensor.
        """
        self._check_shapes(raw, y)
        if self._derivatives:
            gradient = raw - (self._columns_of_raw(y) if self._columns_of_raw else y)
            for derivative_ in self._derivatives:
                derivative_(gradient)
            return gradient
        parts = [family.raw_gradients(raw, y) for family in self.families]
        return self._raw_in_order(parts[0] if len(parts) == 1 else torch.cat(parts, dim=1))

    def row_losses(self, raw: Tensor, y: Tensor, *, weighted: bool = False) -> Tensor:
        """Return the loss of each row and term, not weighted, shape (n_rows, n_terms).

        Rows whose targets are missing have a number of no meaning. A loss that answers with one number for all
        rows is refused where rows are to be `weighted`.
        """
        return self._row_losses(raw, y, weighted=weighted, exact=False)

    def exact_row_losses(self, raw: Tensor, y: Tensor, *, weighted: bool = False) -> Tensor:
        """Return what `row_losses` does, in double precision where a loss is robust: epochs are measured by them."""
        return self._row_losses(raw, y, weighted=weighted, exact=True)

    def _row_losses(self, raw: Tensor, y: Tensor, *, weighted: bool, exact: bool) -> Tensor:
        present = None
        if self.fill is not None:
            present = ~y.isnan()
            y = torch.where(present, y, self.fill)
        return self._collect(
            [family.row_losses(raw, y, present, weighted=weighted, exact=exact) for family in self.families]
        )

    def log_likelihoods(self, raw: Tensor, y: Tensor, terms: Sequence[int]) -> Tensor:
        """Return the log density of each row in the given terms, 0 where a target is missing, (n_rows, n_given)."""
        values = raw.new_zeros(len(raw), len(self.terms))
        present = self._present(y)
        safe = self.filled(y)
        for family in self.families:
            if set(family.indices) & set(terms):
                values[:, family.indices] = family.log_likelihoods(raw, safe)
        return torch.where(present, values, 0)[:, list(terms)]

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
        if self._reads_raw:
            return raw.to(torch.float64, copy=True)
        if self._reads_all_at_once:
            # A new tensor even where raw outputs have double precision: the caller may change it.
            return self.families[0].predict(raw).to(torch.float64, copy=True)
        y_pred = raw.new_empty(len(raw), self.n_columns, dtype=torch.float64)
        for family in self.families:
            y_pred[:, family.columns] = family.predict(raw).double()
        return y_pred

    def _shares(self, n_rows: int, raw: Tensor) -> Tensor:
        """Return what a row's loss counts in the total, for each raw output: all batches but the last are alike."""
        key = (n_rows, raw.dtype, raw.device)
        if self._last_shares[0] != key:
            self._last_shares = (key, (self.weights_of_raw / n_rows).to(raw.dtype))
        shares: Tensor = self._last_shares[1]
        return shares

    def _columns_are_raw(self) -> bool:
        """Return whether each column has one raw output, at its own position."""
        return all(term.columns == term.raw for term in self.terms)

    def _collect(self, values: list[Tensor]) -> Tensor:
        """Return the families' values, each of shape (n_rows, its terms), in the order of the terms."""
        return self._in_order(values[0] if len(values) == 1 else torch.cat(values, dim=1))

    def _present(self, y: Tensor) -> Tensor:
        """Return whether each row has all targets of each term, shape (n_rows, n_terms)."""
        given = ~y.isnan()
        return self._collect([family.all_of(given) for family in self.families])

    def _term_weights(self, sample_weight: Tensor | None) -> Tensor | None:
        """Return the weight of each row in each term, shape (n_rows, n_terms) or (n_rows, 1)."""
        if sample_weight is None or sample_weight.shape[1] == 1:
            return sample_weight
        return self._collect([family.mean_of(sample_weight) for family in self.families])

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
