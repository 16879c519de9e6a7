"""The skorch criterion: the weighted sum of the terms, with equal losses computed together."""

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
    """The sum over terms of the loss weight times the mean of the row losses.

    Terms with equal losses are computed in one tensor operation.

    Parameters
    ----------
    terms : sequence of Term
        The table of terms.
    fill : array-like of shape (n_columns,), default=None
        Required if targets may be missing (NaN): valid targets, standardised as in training, that replace the missing
        ones during the computation. A row is excluded from a term if any target of the term is missing; each term is
        the mean over the remaining rows, or 0 if there are none.

    Attributes
    ----------
    terms : tuple of Term
        The table of terms.
    weights : Tensor of shape (n_terms,)
        The loss weights, a buffer.
    learned : ModuleList
        The modules of losses with learnable parameters, registered for the optimizer.

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
    _last_factors: tuple[Any, Any] = (None, None)

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
        self._predicts_all_at_once = len(self.families) == 1 and column_order == sorted(column_order)
        self._predicts_raw = self._columns_are_raw() and all(
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
            Targets, standardised according to the losses.
        sample_weight : Tensor of shape (n_rows, 1) or (n_rows, n_columns), default=None
            Sample weights, one per row or one per row and column; a group uses the mean over its columns.

        Returns
        -------
        loss : Tensor of shape ()
            The total.

        Raises
        ------
        ValueError
            If a shape differs from the above; torch would broadcast it.
        """
        return self.total(self.term_losses(raw, y, sample_weight))

    def total(self, term_losses: Tensor) -> Tensor:
        """Return the weighted sum of the terms, shape (n_terms,)."""
        return self.weights.to(term_losses.dtype) @ term_losses

    def term_losses(self, raw: Tensor, y: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        """Return the loss of each term without its loss weight, shape (n_terms,)."""
        return self.measure(raw, y, sample_weight)[0].to(raw.dtype)

    def measure(self, raw: Tensor, y: Tensor, sample_weight: Tensor | None = None) -> tuple[Tensor, Tensor | float]:
        """Return the loss of each term without its loss weight, and the sum of the sample weights of its rows.

        Parameters
        ----------
        raw, y, sample_weight
            As in `forward`.

        Returns
        -------
        losses : Tensor of shape (n_terms,)
            The mean over the rows with all targets of the term, 0 where there are none; double precision if a loss is
            robust.
        seen : Tensor of shape (n_terms,), or float
            The sum of the sample weights of these rows; their number without sample weights.
        """
        self._check_shapes(raw, y)
        if self.fill is None and sample_weight is None:
            return self.exact_row_losses(raw, y).mean(0), float(len(raw))
        y, weight = self.row_weights(y, sample_weight)
        seen = weight.sum(0).expand(len(self.terms))
        sums = (self.exact_row_losses(raw, y, weighted=sample_weight is not None) * weight).sum(0)
        return torch.where(seen > 0, sums / torch.where(seen > 0, seen, 1), 0), seen

    def row_weights(self, y: Tensor, sample_weight: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return targets, and the sample weight of each row in each term, 0 where a target of the term is missing.

        Parameters
        ----------
        y, sample_weight
            As in `forward`.

        Returns
        -------
        y : Tensor of shape (n_rows, n_columns)
            The targets, NaN where the sample weight is 0.
        weight : Tensor of shape (n_rows, n_terms) or (n_rows, 1)
            The sample weights.
        """
        weight = self._term_weights(sample_weight)
        if self.fill is not None and weight is not None:
            # A target with sample weight 0 may have any value, and 0 times infinity is NaN: treat it as missing.
            y = y.masked_fill((weight == 0).expand(-1, len(self.terms))[:, self._term_of_column], torch.nan)
        if self.fill is not None:
            present = self._present(y)
            weight = present.to(y.dtype) if weight is None else weight * present
        return y, torch.ones_like(y[:, :1]) if weight is None else weight

    def with_fill(self, fill: Sequence[float]) -> MixedLoss:
        """Return a copy of this criterion for targets that may be missing."""
        twin = copy.copy(self)
        twin._buffers = dict(self._buffers)
        twin.fill = torch.as_tensor(fill, dtype=torch.get_default_dtype())
        return twin

    def filled(self, y: Tensor) -> Tensor:
        """Return targets with missing ones replaced by `fill`."""
        return y if self.fill is None else torch.where(y.isnan(), self.fill, y)

    @property
    def takes_any_batch(self) -> bool:
        """Return whether all losses accept any number of leading dimensions."""
        return all(family.loss.takes_any_batch for family in self.families)

    @property
    def rows_stand_alone(self) -> bool:
        """Return whether the total is an unweighted mean over independent rows, without learnable loss parameters.

        Training then needs only the gradient with respect to the raw outputs.
        """
        return self.fill is None and self.takes_any_batch and not len(self.learned)

    def raw_gradient(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return the gradient of the total with respect to the raw outputs, without a graph.

        Requires `rows_stand_alone`.

        Parameters
        ----------
        raw, y
            As in `forward`.

        Returns
        -------
        gradient : Tensor of shape (n_rows, n_raw)
            The derivative of `forward`, up to rounding.
        """
        return self.row_gradients(raw, y).mul_(self._row_factors(raw.shape[0], raw))

    def row_gradients(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return the derivatives of each row's losses with respect to its raw outputs, without loss weights.

        Requires `rows_stand_alone`.

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
        """Return the loss of each row and term without weights, shape (n_rows, n_terms).

        Values of rows with missing targets are meaningless. With `weighted`, a loss that returns one number for all
        rows raises a ValueError.
        """
        return self._row_losses(raw, y, weighted=weighted, exact=False)

    def exact_row_losses(self, raw: Tensor, y: Tensor, *, weighted: bool = False) -> Tensor:
        """Return `row_losses`, in double precision for robust losses; used for the losses reported per epoch."""
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
        """Compute the prediction from raw outputs.

        Parameters
        ----------
        raw : Tensor of shape (n_rows, n_raw)
            Raw outputs of the network.

        Returns
        -------
        y_pred : Tensor of shape (n_rows, n_columns), float64
            The prediction, in the units of the targets in `forward`.
        """
        if self._predicts_raw:
            return raw.to(torch.float64, copy=True)
        if self._predicts_all_at_once:
            # Copied even from double precision: the caller may modify the prediction in place.
            return self.families[0].predict(raw).to(torch.float64, copy=True)
        y_pred = raw.new_empty(len(raw), self.n_columns, dtype=torch.float64)
        for family in self.families:
            y_pred[:, family.columns] = family.predict(raw).double()
        return y_pred

    def _row_factors(self, n_rows: int, raw: Tensor) -> Tensor:
        """Return loss weight / n_rows of each raw output, cached since most batches have the same size."""
        key = (n_rows, raw.dtype, raw.device)
        if self._last_factors[0] != key:
            self._last_factors = (key, (self.weights_of_raw / n_rows).to(raw.dtype))
        factors: Tensor = self._last_factors[1]
        return factors

    def _columns_are_raw(self) -> bool:
        """Return whether each column has one raw output, at its own position."""
        return all(term.columns == term.raw for term in self.terms)

    def _collect(self, values: list[Tensor]) -> Tensor:
        """Concatenate the values of the families, shape (n_rows, n_terms), in the order of the terms."""
        return self._in_order(values[0] if len(values) == 1 else torch.cat(values, dim=1))

    def _present(self, y: Tensor) -> Tensor:
        """Return whether each row has all targets of each term, shape (n_rows, n_terms)."""
        present = ~y.isnan()
        return self._collect([family.all_of(present) for family in self.families])

    def _term_weights(self, sample_weight: Tensor | None) -> Tensor | None:
        """Return the sample weight of each row in each term, shape (n_rows, n_terms) or (n_rows, 1)."""
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
