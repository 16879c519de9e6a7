"""One training step on a batch of tensors, with an analytic pass for known networks, else with autograd."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from skmulti.losses import MixedLoss
from skmulti.training.epoch_losses import BatchLosses, RowLosses
from skmulti.training.optimizers.flat import FlatOptimizer
from skmulti.training.passes.layers import Pass

Batch = tuple[Tensor, Tensor, Tensor | None]


def batches(X: Tensor, y: Tensor, weight: Tensor | None, batch_size: int) -> Iterator[Batch]:
    """Split rows into batches."""
    weights = [None] * -(-len(X) // batch_size) if weight is None else weight.split(batch_size)
    return zip(X.split(batch_size), y.split(batch_size), weights, strict=True)


class AnalyticStep:
    """Steps without autograd, for networks with analytic passes and losses that are means over rows.

    Parameters
    ----------
    network : Pass
        The analytic pass of the network.
    criterion : MixedLoss
        The criterion.
    flat : FlatOptimizer
        The flat vectors to which the pass writes gradients.
    """

    name = "analytic"

    def __init__(self, network: Pass, criterion: MixedLoss, flat: FlatOptimizer) -> None:
        self._network, self._criterion, self._flat = network, criterion, flat

    @torch.no_grad()
    def run(self, X: Tensor, y: Tensor, weight: Tensor | None, batch_size: int) -> RowLosses:
        """Make one step per batch; return the losses before each step."""
        forward, backward, step = self._network.forward, self._network.backward, self._flat.step
        gradient_of = self._criterion.raw_gradient
        outputs = []
        for rows, targets in zip(X.split(batch_size), y.split(batch_size), strict=True):
            raw = forward(rows)
            backward(gradient_of(raw, targets), for_input=False)
            step()
            outputs.append(raw)
        return RowLosses(self._criterion.exact_row_losses(torch.cat(outputs), y), batch_size)


class AutogradStep:
    """Steps with autograd, for any network and any loss.

    Parameters
    ----------
    module : callable
        The network, which maps inputs to raw outputs.
    criterion : MixedLoss
        The criterion.
    optimizer : torch.optim.Optimizer
        The optimizer.
    flat : FlatOptimizer or None
        The optimizer on flat vectors, or None if `optimizer` steps itself.
    """

    name = "autograd"

    def __init__(self, module: Any, criterion: MixedLoss, optimizer: Any, flat: FlatOptimizer | None) -> None:
        self._module, self._criterion, self._optimizer, self._flat = module, criterion, optimizer, flat

    def run(self, X: Tensor, y: Tensor, weight: Tensor | None, batch_size: int) -> RowLosses | BatchLosses:
        """Make one step per batch; return the losses before each step."""
        if weight is None and self._criterion.rows_stand_alone and self._flat is not None:
            return self._run_by_gradient(X, y, batch_size, self._flat)
        return self._run_by_loss(X, y, weight, batch_size)

    def _run_by_gradient(self, X: Tensor, y: Tensor, batch_size: int, flat: FlatOptimizer) -> RowLosses:
        outputs = []
        for rows, targets in zip(X.split(batch_size), y.split(batch_size), strict=True):
            self._optimizer.zero_grad()
            raw = check_raw(self._module(rows))
            # The gradient of the losses is analytic: autograd goes back through the module only.
            values = raw.detach()
            raw.backward(self._criterion.raw_gradient(values, targets))
            flat.follow()
            outputs.append(values)
        with torch.no_grad():
            return RowLosses(self._criterion.exact_row_losses(torch.cat(outputs), y), batch_size)

    def _run_by_loss(self, X: Tensor, y: Tensor, weight: Tensor | None, batch_size: int) -> BatchLosses:
        measured: list[tuple[Tensor, Tensor | float]] = []
        for rows, targets, weights in batches(X, y, weight, batch_size):
            first: list[tuple[Tensor, Tensor | float]] = []

            def closure() -> Tensor:
                self._optimizer.zero_grad()
                terms, seen = self._criterion.measure(check_raw(self._module(rows)), targets, weights)  # noqa: B023
                total = self._criterion.total(terms)
                total.backward()
                # LBFGS calls the closure several times; the first losses are those before the step.
                first.append((terms.detach(), seen))  # noqa: B023
                return total

            if self._flat is None:
                self._optimizer.step(closure)
            else:
                closure()
                self._flat.follow()
            if not first:
                name = type(self._optimizer).__name__
                raise TypeError(
                    "The 'optimizer' parameter must be a class whose step(closure) calls the closure, which computes "
                    f"the gradients. {name}.step did not; begin it with 'loss = closure()' under torch.enable_grad()."
                )
            measured.append(first[0])
        return BatchLosses.of(measured)


def check_raw(raw: Any) -> Tensor:
    """Return the raw outputs; raise TypeError unless they are one tensor."""
    if not isinstance(raw, Tensor):
        raise TypeError(f"The module must return one tensor of raw outputs. Got {type(raw).__name__} instead.")
    return raw
