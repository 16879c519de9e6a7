"""Training stops when a loss becomes NaN or infinite; the last good parameters are restored."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from skmulti._compat import foreach_copy_
from skmulti.training.optimizers.flat import FlatOptimizer


class TrainingDivergedError(ValueError):
    """A loss or a prediction became NaN or infinite in training.

    The net keeps the parameters of its last good epoch, or its state from before the call if there is none.

    Examples
    --------
    >>> import torch
    >>> from skmulti import MultiOutputMLPRegressor, TrainingDivergedError
    >>> net = MultiOutputMLPRegressor(effort=None, optimizer=torch.optim.SGD, lr=1e30, random_state=0)
    >>> try:
    ...     net.fit([[0.0], [1.0]], [0.0, 1.0])
    ... except TrainingDivergedError as error:
    ...     print(str(error).split(":")[0])
    Training diverged in epoch 2
    """


class LastGood:
    """A copy of a module's parameters and buffers, updated while they are finite.

    Parameters
    ----------
    module : torch.nn.Module
        The module to copy.
    flat : FlatOptimizer, default=None
        The flat vectors that hold its parameters, if any: copying few vectors is faster.
    beside : sequence of torch.nn.Module, default=()
        Other trained modules: those of a subclass, and losses with parameters.
    """

    def __init__(self, module: nn.Module, flat: FlatOptimizer | None = None, beside: Sequence[nn.Module] = ()) -> None:
        self.module, self._flat = module, flat
        held = flat.gradients if flat else {}
        every = nn.ModuleList([module, *beside])
        live = [*(flat.numbers() if flat else ()), *(p for p in every.parameters() if p not in held)]
        self._live = [value for value in (*live, *every.buffers()) if value.numel()]
        self._copy = [value.detach().clone() for value in self._live]

    def renew(self) -> bool:
        """Copy the module's values if all are finite; return whether they are."""
        self._part_released()
        values = [value.detach() for value in self._live]
        numbers = [value for value in values if value.is_floating_point()]
        if not all(map(_is_finite, numbers)):
            return False
        foreach_copy_(self._copy, values)
        return True

    def restore(self) -> None:
        """Restore the copied values in the module."""
        self._part_released()
        with torch.no_grad():
            foreach_copy_(self._live, self._copy)

    def _part_released(self) -> None:
        """Replace the vectors by single parameters if the optimizer stopped using flat vectors during training."""
        if self._flat is None or self._flat.in_use:
            return
        n_vectors = len(self._flat.numbers())
        parted = self._flat.parted(self._copy[:n_vectors])
        self._live[:n_vectors], self._copy[:n_vectors] = [p for p, _ in parted], [copy for _, copy in parted]
        self._flat = None


def _is_finite(numbers: torch.Tensor) -> bool:
    # A finite sum proves that all values are finite, and is fast; the sum of large finite values may overflow.
    return math.isfinite(numbers.sum().item()) or bool(numbers.isfinite().all())


def divergence_message(
    epoch: int, term_losses: Mapping[str, float], broken_columns: Sequence[str] = (), *, keeps: bool = True
) -> str:
    """Return the message for an epoch after which losses, predictions or parameters are not finite."""
    bad = [f"{name!r} ({value})" for name, value in term_losses.items() if not math.isfinite(value)]
    what = f"the loss of {', '.join(bad)} is not finite" if bad else "a parameter of the network is not finite"
    if broken_columns and not bad:
        what = f"the prediction of {', '.join(map(repr, broken_columns))} is not finite after the last step"
    kept = "parameters of the last good epoch" if keeps and epoch > 1 else "state from before this call"
    return (
        f"Training diverged in epoch {epoch}: {what}. The net keeps the {kept}. "
        "Lower 'lr', scale X and the targets, or clip the gradients (skorch.callbacks.GradientNormClipping)."
    )
