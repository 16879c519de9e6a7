"""The tensor loop: epochs without a call per row and without recording or synchronizing after each batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from skmulti.losses import MixedLoss
from skmulti.targets.scaler import TargetScaler
from skmulti.training.device_rows import DeviceRows
from skmulti.training.epoch_losses import BatchLosses, RowLosses
from skmulti.training.loader import TensorLoader
from skmulti.training.optimizers.flat import FlatOptimizer
from skmulti.training.passes.network import analytic_pass
from skmulti.training.precision import InMixedPrecision
from skmulti.training.steps import AnalyticStep, AutogradStep, batches, check_raw


class TensorLoop:
    """Runs the epochs of training and validation of one network.

    Parameters
    ----------
    module : torch.nn.Module
        The network.
    criterion : MixedLoss
        The criterion of the network.
    optimizer : torch.optim.Optimizer
        The optimizer of the network.
    scaler : TargetScaler
        Transforms targets to the network's units.
    flat : FlatOptimizer or None
        The optimizer on flat vectors, which replaces `optimizer` where it supports it.
    device : str or torch.device
        The device to train on.
    mixed_precision : bool
        Whether the network computes in bfloat16.
    """

    def __init__(
        self,
        module: Any,
        criterion: MixedLoss,
        optimizer: Any,
        scaler: TargetScaler,
        flat: FlatOptimizer | None,
        *,
        device: Any,
        mixed_precision: bool,
    ) -> None:
        self._module, self._criterion, self._optimizer, self._scaler = module, criterion, optimizer, scaler
        self._flat = flat
        self._forward = InMixedPrecision(module, device) if mixed_precision else module
        self._device = torch.device("cpu" if device is None else device)
        self._rows: dict[int, DeviceRows] = {}
        self._step: AnalyticStep | AutogradStep | None = None

    def is_for(self, *parts: Any) -> bool:
        """Return whether the loop was built for these objects."""
        present = (self._module, self._criterion, self._optimizer, self._scaler, self._flat)
        return all(one is other for one, other in zip(present, parts, strict=True))

    @property
    def step_name(self) -> str:
        """The kind of the last step: "analytic" or "autograd"."""
        assert self._step is not None
        return self._step.name

    @property
    def is_analytic(self) -> bool:
        """Whether steps do not call the modules, so that their training mode does not matter."""
        return isinstance(self._step, AnalyticStep)

    def train(self, loader: TensorLoader) -> RowLosses | BatchLosses:
        """Train one epoch: one optimizer step per batch of a loader."""
        rows = self._rows_of(loader)
        if self._step is None:
            self._step = self._choose_step(rows)
        joined: BatchLosses | None = None
        n_done, n_rows = 0, loader.n_rows
        for X, y, weight in rows.blocks(loader.order(), n_rows, loader.batch_size):
            losses = self._step.run(X, y, weight, loader.batch_size)
            if X.shape[0] == n_rows:
                return losses
            part = losses.per_batch()
            # Written into one tensor: small tensors kept between freed large ones would fragment the memory.
            joined = part.empty(len(loader)) if joined is None else joined
            n_done = joined.write(part, n_done)
        assert joined is not None
        return joined

    @torch.no_grad()
    def validate(self, loader: TensorLoader) -> BatchLosses:
        """Compute the losses of a loader's batches without training."""
        rows = self._rows_of(loader)
        measured: list[tuple[Tensor, Tensor | float]] = []
        for block in rows.blocks(loader.order(), loader.n_rows, loader.batch_size):
            for X, y, weight in batches(*block, loader.batch_size):
                measured.append(self._criterion.measure(check_raw(self._forward(X)), y, weight))
        return BatchLosses.of(measured)

    def _rows_of(self, loader: TensorLoader) -> DeviceRows:
        key = id(loader.dataset)
        if key not in self._rows:
            self._rows[key] = DeviceRows(loader.dataset, self._scaler, self._device)
        return self._rows[key]

    def _choose_step(self, rows: DeviceRows) -> AnalyticStep | AutogradStep:
        plain = self._forward is self._module and rows.weight is None and self._criterion.rows_stand_alone
        if self._flat is not None and plain:
            network = analytic_pass(self._module, self._flat.gradients, rows.input_shape)
            if network is not None:
                return AnalyticStep(network, self._criterion, self._flat)
        return AutogradStep(self._forward, self._criterion, self._optimizer, self._flat)
