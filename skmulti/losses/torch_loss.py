"""torch's own losses, and any callable, as a column loss."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from torch import Tensor, nn
from torch.nn import functional

from skmulti.losses.base import ColumnLoss

# They depend on the difference of their arguments alone, so that standardised targets mean the same.
_ROBUST_LOSSES = (nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss)
_DIFFERENCE_LOSSES = (nn.MSELoss, *_ROBUST_LOSSES)

# Losses of classes, as a module and as a function, and what they take for targets.
_PROBABILITIES = "probabilities between 0 and 1"
_DISTRIBUTION = "probabilities that sum to 1 in each row of two columns or more"
_SIGNS = "-1 and 1"
_CLASSES = "indices of classes"
_CLASSIFICATION_LOSSES: dict[Any, str] = {
    nn.BCELoss: _PROBABILITIES,
    nn.BCEWithLogitsLoss: _PROBABILITIES,
    nn.MultiLabelSoftMarginLoss: _PROBABILITIES,
    nn.CrossEntropyLoss: _DISTRIBUTION,
    nn.SoftMarginLoss: _SIGNS,
    nn.HingeEmbeddingLoss: _SIGNS,
    nn.NLLLoss: _CLASSES,
    nn.MultiMarginLoss: _CLASSES,
    nn.MultiLabelMarginLoss: _CLASSES,
    functional.binary_cross_entropy: _PROBABILITIES,
    functional.binary_cross_entropy_with_logits: _PROBABILITIES,
    functional.multilabel_soft_margin_loss: _PROBABILITIES,
    functional.cross_entropy: _DISTRIBUTION,
    functional.soft_margin_loss: _SIGNS,
    functional.hinge_embedding_loss: _SIGNS,
    functional.nll_loss: _CLASSES,
    functional.multi_margin_loss: _CLASSES,
    functional.multilabel_margin_loss: _CLASSES,
}

# Losses with a third argument whose place a loss of the table takes.
_COUNTERPARTS: dict[Any, str] = {
    nn.GaussianNLLLoss: "gaussian_nll",
    functional.gaussian_nll_loss: "gaussian_nll",
}


@dataclass(frozen=True)
class TorchLoss(ColumnLoss):
    """A torch loss, or any callable of (raw outputs, targets), over one column or a group of them.

    The callable gets two tensors of shape (n_rows, n_columns), as a torch criterion does, and answers with one
    value per row, or one per row and column, which are averaged over the columns, or with one number for all.
    The term is their mean over the rows, so that ``nn.MSELoss()`` over four columns is what it is in torch.

    Parameters
    ----------
    loss : callable or torch.nn.Module
        The loss. A module with a `reduction` is used with ``reduction="none"``; what it had must have been
        ``"mean"`` (torch's default) or ``"none"``.
    standardize : bool, default=False
        Whether it takes standardised targets (``L1Loss``, ``SmoothL1Loss`` and ``HuberLoss`` those of median and
        interquartile range). `make_loss` gives True to torch's losses of a difference
        (``MSELoss``, ``L1Loss``, ``SmoothL1Loss``, ``HuberLoss``) and False to anything else, whose meaning may
        depend on the targets' unit.

    Raises
    ------
    ValueError
        If the module's reduction is another one, or if the loss answers with another shape.
    TypeError
        If the callable does not take two positional arguments.

    Examples
    --------
    >>> import torch
    >>> from skmulti.losses import TorchLoss
    >>> loss = TorchLoss(torch.nn.MSELoss())
    >>> loss.row_loss(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 4.0]]))
    tensor([2.5000])
    """

    loss: Callable[[Tensor, Tensor], Tensor]
    standardize: bool = False

    n_columns = None
    takes_any_batch = False

    def __post_init__(self) -> None:
        self._check_arguments()
        reduction = getattr(self.loss, "reduction", "mean")
        if isinstance(self.loss, nn.Module) and reduction not in ("mean", "none"):
            raise ValueError(
                f"The loss {self._name} must have reduction='mean' or 'none', since a term is the mean over the rows. "
                f"Got reduction={reduction!r} instead; a factor belongs into 'loss_weights'."
            )

    def _check_arguments(self) -> None:
        """Raise a TypeError if the callable cannot be called with raw outputs and targets alone."""
        try:
            signature = inspect.signature(self.loss.forward if isinstance(self.loss, nn.Module) else self.loss)
        except (TypeError, ValueError):
            return  # Some callables written in C have no signature.
        try:
            signature.bind(None, None)
        except TypeError:
            key = type(self.loss) if isinstance(self.loss, nn.Module) else self.loss
            name = _COUNTERPARTS.get(key) if isinstance(key, Hashable) else None
            way_out = (
                f"use loss={name!r}, for which the network emits mean and standard deviation"
                if name
                else "fix further arguments with functools.partial"
            )
            raise TypeError(
                f"The loss {self._name} must take two positional arguments, raw outputs and targets. Got the signature "
                f"{self._name}({', '.join(signature.parameters)}) instead; {way_out}."
            ) from None

    @property
    def _name(self) -> str:
        return getattr(self.loss, "__name__", type(self.loss).__name__)

    @property
    def target_scaling(self) -> Literal["column"] | None:  # type: ignore[override]
        """Return whether the targets are standardised, column by column."""
        return "column" if self.standardize else None

    @property
    def robust_scaling(self) -> bool:  # type: ignore[override]
        """Return whether standardised targets are those of median and interquartile range: torch's robust losses'."""
        return self.standardize and isinstance(self.loss, _ROBUST_LOSSES)

    def adapt_to(self, y: np.ndarray, names: tuple[str, ...], sample_weight: np.ndarray | None = None) -> TorchLoss:
        """Return the loss itself; see `ColumnLoss.adapt_to`. A loss of classes refuses real numbers."""
        takes = _targets_of_classes(self.loss)
        if takes is not None and not _are_targets_of_classes(y, takes):
            raise ValueError(
                f"The loss {self._name} is for classification: its targets must be {takes}. Got "
                f"{', '.join(map(repr, names))} with values from {y.min():g} to {y.max():g}; use a loss of real "
                "numbers, such as 'squared_error'."
            )
        return self

    def row_loss(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return the loss of each row: the mean of the callable's values over the columns."""
        values = _per_element(self.loss)(raw, y)
        if not isinstance(values, Tensor) or values.shape not in (raw.shape, raw.shape[:1], ()):
            came = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
            raise ValueError(
                f"The loss {self._name} must return one value per row, shape {tuple(raw.shape[:1])}, or one per row "
                f"and column, shape {tuple(raw.shape)}, or one number. Got {came} instead."
            )
        return values.mean(-1) if values.ndim == 2 else values.expand(raw.shape[0])


def wrap_torch_loss(loss: Any) -> TorchLoss:
    """Return a torch loss (class or instance) or a callable as a column loss."""
    if isinstance(loss, type):
        loss = loss()
    return TorchLoss(loss, standardize=isinstance(loss, _DIFFERENCE_LOSSES))


def _targets_of_classes(loss: Any) -> str | None:
    """Return what a loss of classes takes for targets, None for any other loss."""
    if not isinstance(loss, nn.Module):
        return _CLASSIFICATION_LOSSES.get(loss) if isinstance(loss, Hashable) else None
    for kind, takes in _CLASSIFICATION_LOSSES.items():
        # A subclass with a forward of its own may make classes of real numbers.
        if isinstance(kind, type) and isinstance(loss, kind) and type(loss).forward is vars(kind)["forward"]:
            return takes
    return None


def _are_targets_of_classes(y: np.ndarray, takes: str) -> bool:
    if takes == _SIGNS:
        return bool(np.isin(y, (-1, 1)).all())
    if takes == _CLASSES or y.min() < 0 or y.max() > 1:
        # Indices are integers, and targets real numbers.
        return False
    return takes == _PROBABILITIES or (y.shape[1] > 1 and np.allclose(y.sum(axis=1), 1))


def _per_element(loss: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    if isinstance(loss, nn.Module) and getattr(loss, "reduction", "none") != "none":
        loss = copy.copy(loss)
        vars(loss)["reduction"] = "none"
    return loss
