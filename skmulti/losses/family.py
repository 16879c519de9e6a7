"""Terms of the loss table; terms with equal losses are computed in one tensor operation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from skmulti.losses.base import ColumnLoss, DifferenceLoss
from skmulti.losses.learned import learned_parts

# At a kink any subgradient is correct, so up to this fraction of the values may differ from those of autograd.
_FRACTION_ON_KINKS = 0.1


@dataclass(frozen=True)
class Term:
    """One term of the loss: a loss, its columns, its raw outputs and its loss weight.

    Attributes
    ----------
    name : str
        The name of its column or of its group of columns.
    loss : ColumnLoss
        Its loss.
    columns : tuple of int
        Positions of its columns in y.
    raw : tuple of int
        Positions of its raw outputs among those of the network.
    weight : float
        Its loss weight.

    Examples
    --------
    >>> from skmulti import MultiOutputMLPRegressor
    >>> net = MultiOutputMLPRegressor(loss=["circular", "huber"], max_epochs=1).fit([[0.0], [1.0]], [[0, 1], [90, 2]])
    >>> net.terms_[1]
    Term(name='y1', loss=Huber(delta=1.0), columns=(1,), raw=(2,), weight=1.0)
    """

    name: str
    loss: ColumnLoss
    columns: tuple[int, ...]
    raw: tuple[int, ...]
    weight: float = 1.0


class Family:
    """The terms with equal losses, which are computed together.

    Parameters
    ----------
    terms : sequence of Term
        The whole table.
    indices : sequence of int
        The positions of the family's terms in it.
    """

    def __init__(self, terms: Sequence[Term], indices: Sequence[int]) -> None:
        self.indices = list(indices)
        own_terms = [terms[i] for i in indices]
        self.loss = own_terms[0].loss
        self.columns = [column for term in own_terms for column in term.columns]
        self.raw = [position for term in own_terms for position in term.raw]
        self.has_all_raw = len(self.raw) == sum(len(term.raw) for term in terms)
        self._n_terms = len(own_terms)
        self._take_columns = selection(self.columns)
        self._take_raw = selection(self.raw)
        self._has_analytic_gradient = _newest_is(type(self.loss), "raw_gradient")
        # The gradients of this package are tested; a custom one is compared with autograd at the first batch, and gets
        # a copy of the raw outputs because it may modify them in place.
        self.is_ours = type(self.loss).__module__.startswith("skmulti.")
        self._trusts_gradient = self.is_ours
        of_difference = isinstance(self.loss, DifferenceLoss) and _newest_is(type(self.loss), "derivative_")
        self.is_of_difference = self.is_ours and of_difference

    def row_losses(
        self, raw: Tensor, y: Tensor, present: Tensor | None = None, *, weighted: bool = False, exact: bool = False
    ) -> Tensor:
        """Return the loss of each row and term, shape (n_rows, n_terms).

        `present`, of shape (n_rows, n_columns), is False for missing targets; `weighted` is True if the caller weights
        rows; `exact` computes robust losses in double precision.
        """
        raw, y = self._raw(raw), self._per_term(self._take_columns(y))
        if exact and self.loss.robust_scaling:
            # In single precision the loss of an outlier of 1e7 rounds away the changes of other rows between epochs.
            raw, y = raw.double(), y.double()
        if self.loss.takes_any_batch:
            return self._checked(self.loss.row_loss(raw, y), raw)
        if present is None:
            values = self.loss.row_loss(raw, y)
        else:
            # A custom loss may combine rows, so it gets only rows whose targets are present.
            rows = self._take_columns(present).all(-1).nonzero().squeeze(1)
            values = self.loss.row_loss(raw[rows], y[rows]) if len(rows) else raw.sum(-1)[rows]
        if weighted and len(values) > 1 and values.stride(0) == 0:
            raise ValueError(
                f"The loss {self.loss!r} must return one value per row to be used with 'sample_weight'. Got one "
                "number for all rows instead."
            )
        if present is not None:
            values = raw.new_zeros(len(raw)).index_put((rows,), values)
        return values.unsqueeze(1)

    def raw_gradients(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return the derivative of each row's losses by the family's raw outputs, shape (n_rows, n_raw of the family).

        Requires a loss whose rows are independent: `takes_any_batch` is True.
        """
        if self._has_analytic_gradient:
            own, targets = self._raw(raw), self._per_term(self._take_columns(y))
            if self._trusts_gradient:
                return self.loss.raw_gradient(own if self.is_ours else own.clone(), targets).flatten(1)
            return self._checked_gradient(own, targets, self._autograd_gradients(raw, y))
        return self._autograd_gradients(raw, y)

    def _autograd_gradients(self, raw: Tensor, y: Tensor) -> Tensor:
        with torch.enable_grad():
            leaf = raw.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self.row_losses(leaf, y).sum(), leaf)
        return self._take_raw(gradient)

    def _checked_gradient(self, own: Tensor, targets: Tensor, expected: Tensor) -> Tensor:
        """Return the custom `raw_gradient`; raise a ValueError if it disagrees with autograd."""
        gradient = self.loss.raw_gradient(own.clone(), targets)
        came = f"shape {tuple(gradient.shape)}" if isinstance(gradient, Tensor) else type(gradient).__name__
        if not isinstance(gradient, Tensor) or gradient.shape != own.shape or gradient.dtype != own.dtype:
            raise ValueError(
                f"raw_gradient of the loss {self.loss!r} must return a tensor of the raw outputs' shape (rows, terms, "
                f"raw outputs), {tuple(own.shape)}, and of their dtype, {own.dtype}. Got {came}"
                f"{f' of {gradient.dtype}' if isinstance(gradient, Tensor) else ''} instead."
            )
        gradient = gradient.flatten(1)
        differs = (gradient - expected).abs() > 1e-3 * (expected.abs() + expected.abs().mean())
        if differs.double().mean() > _FRACTION_ON_KINKS:
            raise ValueError(
                f"raw_gradient of the loss {self.loss!r} must return the derivative of its row_loss with respect to "
                f"the raw outputs. Got values that differ from autograd in {int(differs.sum())} of {differs.numel()} "
                "places; remove raw_gradient to use autograd."
            )
        self._trusts_gradient = True
        return gradient

    def _checked(self, values: Tensor, raw: Tensor) -> Tensor:
        """Return the values of `row_loss`; raise a ValueError for a wrong shape or a missing gradient."""
        expected = raw.shape[:-1]
        if not isinstance(values, Tensor) or values.shape != expected:
            came = f"shape {tuple(values.shape)}" if isinstance(values, Tensor) else type(values).__name__
            raise ValueError(
                f"row_loss of the loss {self.loss!r} must return one value per row and term: from raw outputs of shape "
                f"{tuple(raw.shape)} a tensor of shape {tuple(expected)}. Got {came} instead; reduce the last "
                "dimension only, with squeeze(-1), sum(-1) or [..., 0]."
            )
        if raw.requires_grad and not values.requires_grad:
            raise ValueError(
                f"row_loss of the loss {self.loss!r} must be computed from the raw outputs by torch's operations. Got "
                "values without a gradient; leave out detach(), item() and NumPy."
            )
        return values

    def derivative_in_place(self) -> Callable[[Tensor], Any]:
        """Return a function that replaces the family's differences ``p - y`` by derivatives, in place."""
        assert isinstance(self.loss, DifferenceLoss)
        if self.has_all_raw:
            return self.loss.derivative_
        if isinstance(self._take_raw, _Slice):
            return partial(_derivative_on_view, self.loss.derivative_, self._take_raw)
        return partial(_derivative_on_copy, self.loss.derivative_, self._take_raw)

    def all_of(self, present: Tensor) -> Tensor:
        """Return whether all columns of a term are present, from (n_rows, n_columns) to (n_rows, n_terms)."""
        return self._split(self._take_columns(present)).all(-1)

    def mean_of(self, weight: Tensor) -> Tensor:
        """Return the mean over each term's columns, from (n_rows, n_columns or 1) to (n_rows, n_terms or 1)."""
        if weight.shape[1] == 1:
            return weight
        return self._split(self._take_columns(weight)).mean(-1)

    def predict(self, raw: Tensor) -> Tensor:
        """Return predictions, shape (n_rows, n_columns of the family)."""
        values = self.loss.predict(self._raw(raw)).flatten(1)
        if values.shape[1] != len(self.columns):
            raise ValueError(
                f"predict of the loss {self.loss!r} must return one value per column, {len(self.columns)} in all. Got "
                f"{values.shape[1]}; override predict for a loss whose raw outputs are not its "
                "prediction."
            )
        return values

    def std(self, raw: Tensor) -> Tensor:
        """Return standard deviations, shape (n_rows, n_columns of the family)."""
        return self.loss.std(self._raw(raw)).flatten(1)

    def quantiles(self, raw: Tensor, levels: Sequence[float]) -> Tensor:
        """Return quantiles, shape (n_rows, n_columns of the family, n_levels)."""
        return self.loss.quantiles(self._raw(raw), levels).reshape(len(raw), len(self.columns), len(levels))

    def log_likelihoods(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return the log density of each row and term, shape (n_rows, n_terms)."""
        return self.loss.log_likelihood(self._raw(raw), self._per_term(self._take_columns(y))).reshape(
            len(raw), self._n_terms
        )

    def _raw(self, raw: Tensor) -> Tensor:
        return self._per_term(self._take_raw(raw))

    def _per_term(self, values: Tensor) -> Tensor:
        """Add a dimension of terms, unless the loss needs exactly two dimensions."""
        return self._split(values) if self.loss.takes_any_batch else values

    def _split(self, values: Tensor) -> Tensor:
        """Split columns by term: (n_rows, n_terms * k) becomes (n_rows, n_terms, k)."""
        # Runs for every batch, and is much cheaper than unflatten.
        width = values.shape[1] // self._n_terms
        return values.unsqueeze(-1) if width == 1 else values.reshape(len(values), self._n_terms, width)


def _newest_is(loss: type[ColumnLoss], method: str) -> bool:
    """Return whether the class that defines the effective `row_loss` also defines its derivative, by `method`."""
    newest = next(cls for cls in loss.__mro__ if {"row_loss", "raw_gradient", "derivative_"} & set(vars(cls)))
    own = set(vars(newest))
    return newest is not ColumnLoss and (method in own or (method == "raw_gradient" and "derivative_" in own))


def _derivative_on_view(derivative_: Callable[[Tensor], Tensor], take: _Slice, difference: Tensor) -> None:
    derivative_(take(difference))


def _derivative_on_copy(derivative_: Callable[[Tensor], Tensor], take: _Gather, difference: Tensor) -> None:
    derivative = derivative_(take(difference))
    difference.index_copy_(1, take.index, derivative)


def families(terms: Sequence[Term]) -> list[Family]:
    """Return the families of a table, in the order of their first terms."""
    groups: list[list[int]] = []
    for i, term in enumerate(terms):
        for group in groups:
            first = terms[group[0]]
            same = term.loss is first.loss or (not learned_parts(term.loss) and term.loss == first.loss)
            alike = same and len(term.columns) == len(first.columns)
            if term.loss.takes_any_batch and alike:
                group.append(i)
                break
        else:
            groups.append([i])
    return [Family(terms, group) for group in groups]


def selection(positions: list[int]) -> _Slice | _Gather:
    """Return a function that selects columns by position, as a view where positions are equally spaced."""
    start, stop = positions[0], positions[-1] + 1
    step = positions[1] - start if len(positions) > 1 else 1
    if step > 0 and positions == list(range(start, stop, step)):
        return _Slice(start, stop, step)
    return _Gather(positions)


@dataclass(frozen=True)
class _Slice:
    start: int
    stop: int
    step: int

    def __call__(self, values: Tensor) -> Tensor:
        if self.start == 0 and self.step == 1 and self.stop == values.shape[1]:
            return values
        return values[:, self.start : self.stop : self.step]


class _Gather:
    def __init__(self, positions: list[int]) -> None:
        self.index = torch.tensor(positions)

    def __call__(self, values: Tensor) -> Tensor:
        if values.device != self.index.device:
            self.index = self.index.to(values.device)
        return values.index_select(1, self.index)
