"""torch losses and other callables as column losses."""

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

# These depend only on the difference of their arguments, so they can be computed on standardised targets.
_ROBUST_LOSSES = (nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss)
_DIFFERENCE_LOSSES = (nn.MSELoss, *_ROBUST_LOSSES)

# Classification losses, as modules and functions, and the targets that they require.
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

# Losses with a third argument, and the named loss to use instead.
_COUNTERPARTS: dict[Any, str] = {
    nn.GaussianNLLLoss: "gaussian_nll",
    functional.gaussian_nll_loss: "gaussian_nll",
}


@dataclass(frozen=True)
class TorchLoss(ColumnLoss):
    """A torch loss, or any callable of (raw outputs, targets), over one column or a group of them.

    The callable gets two tensors of shape (n_rows, n_columns), as a torch criterion does, and returns one value
    per row, or one per row and column, which are averaged over the columns, or one number for all rows. The term is
    the mean over the rows, so that ``nn.MSELoss()`` over four columns has the same value as in torch.

    Parameters
    ----------
    loss : callable or torch.nn.Module
        The loss. A module with a `reduction` is used with ``reduction="none"``; its own reduction must be
        ``"mean"`` (torch's default) or ``"none"``.
    standardize : bool, default=False
        Whether targets are standardised (for ``L1Loss``, ``SmoothL1Loss`` and ``HuberLoss`` by median and interquartile
        range). `make_loss` sets True for torch's losses of a difference (``MSELoss``, ``L1Loss``, ``SmoothL1Loss``,
        ``HuberLoss``) and False for all other callables, whose values may depend on the unit of the targets.

    Raises
    ------
    ValueError
        If the module has another reduction, or if the loss returns another shape.
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
                f"Got reduction={reduction!r} instead; put factors into 'loss_weights'."
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
        """Return whether targets are standardised by median and interquartile range."""
        return self.standardize and isinstance(self.loss, _ROBUST_LOSSES)

    def adapt_to(self, y: np.ndarray, names: tuple[str, ...], sample_weight: np.ndarray | None = None) -> TorchLoss:
        """Return the loss itself; see `ColumnLoss.adapt_to`. A classification loss raises a ValueError."""
        required = _required_class_targets(self.loss)
        if required is not None and not _are_class_targets(y, required):
            raise ValueError(
                f"The loss {self._name} is for classification: its targets must be {required}. Got "
                f"{', '.join(map(repr, names))} with values from {y.min():g} to {y.max():g}; use a regression loss, "
                "such as 'squared_error'."
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


def _required_class_targets(loss: Any) -> str | None:
    """Return the targets that a classification loss requires, None for any other loss."""
    if not isinstance(loss, nn.Module):
        return _CLASSIFICATION_LOSSES.get(loss) if isinstance(loss, Hashable) else None
    for kind, required in _CLASSIFICATION_LOSSES.items():
        # A subclass with a custom forward may convert real numbers to classes.
        if isinstance(kind, type) and isinstance(loss, kind) and type(loss).forward is vars(kind)["forward"]:
            return required
    return None


def _are_class_targets(y: np.ndarray, required: str) -> bool:
    if required == _SIGNS:
        return bool(np.isin(y, (-1, 1)).all())
    if required == _CLASSES or y.min() < 0 or y.max() > 1:
        # Class indices require integer dtype, but targets are floats.
        return False
    return required == _PROBABILITIES or (y.shape[1] > 1 and np.allclose(y.sum(axis=1), 1))


def _per_element(loss: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    if isinstance(loss, nn.Module) and getattr(loss, "reduction", "none") != "none":
        loss = copy.copy(loss)
        vars(loss)["reduction"] = "none"
    return loss
