"""A network of any module, all members at once, by torch.func."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from skmulti._compat import foreach_copy_
from skmulti.training.optimizers.stacked_parameters import StackedParameters
from skmulti.training.steps import check_raw


class FunctionalNetwork:
    """One module called with the parameters of each member, vectorised over the members.

    Parameters
    ----------
    modules : sequence of torch.nn.Module
        Modules of one class, built with the same parameters. The first stands for all.
    parameters : StackedParameters
        Their parameters and buffers.
    """

    name = "functional"

    def __init__(self, modules: Sequence[nn.Module], parameters: StackedParameters) -> None:
        self._modules, self._parameters = modules, parameters
        self._module = copy.deepcopy(modules[0])
        self._learning: Any = [part.training for part in self._module.modules()]
        self._n_members = len(modules)

    def narrow(self, n_members: int) -> None:
        """Let the next batches be those of the first members only."""
        self._n_members = n_members

    def forward(self, X: Tensor, sizes: Sequence[int]) -> Tensor:
        """Return raw outputs of shape (n_members, width, n_raw), for inputs of shape (n_members, width, ...)."""
        values = {n: v[: self._n_members].detach().requires_grad_() for n, v in self._parameters.values.items()}
        with torch.enable_grad():
            self._raw = self._call(values, X)
        self._leaves = list(values.values())
        return self._raw.detach()

    def backward(self, gradient: Tensor) -> None:
        """Write the parameters' gradients, from that of the raw outputs."""
        found = torch.autograd.grad(self._raw, self._leaves, gradient)
        places = [gradient[: self._n_members] for gradient in self._parameters.gradients.values()]
        foreach_copy_(places, list(found))

    def evaluate(self, X: Tensor) -> Tensor:
        """Return raw outputs as a network gives them that does not learn."""
        self._module.eval()
        raw = self._call({name: value[: len(X)] for name, value in self._parameters.values.items()}, X)
        for part, learns in zip(self._module.modules(), self._learning, strict=True):
            part.training = learns
        return raw

    def _call(self, values: dict[str, Tensor], X: Tensor) -> Tensor:
        buffers = {name: buffer[: len(X)] for name, buffer in self._parameters.buffers.items()}

        def call(own: dict[str, Tensor], own_buffers: dict[str, Tensor], rows: Tensor) -> Tensor:
            return check_raw(functional_call(self._module, (own, own_buffers), (rows,)))

        raw: Tensor = vmap(call)(values, buffers, X)
        return raw

    def why_not(self, rows: Tensor) -> str:
        """Return why the members can't be called as one, or an empty string.

        Parameters
        ----------
        rows : Tensor of shape (n_rows, ...)
            Some rows.
        """
        stacked = rows.expand(self._n_members, *rows.shape)
        before = {name: buffer.clone() for name, buffer in self._parameters.buffers.items()}
        try:
            with torch.no_grad():
                raw = self.evaluate(stacked)
                alone = torch.stack([_evaluated(module, rows) for module in self._modules])
                if raw.shape != alone.shape or not torch.allclose(raw, alone, rtol=1e-4, atol=1e-5, equal_nan=True):
                    return "its module keeps more than parameters and buffers"
            self.backward(torch.zeros_like(self.forward(stacked, [len(rows)] * self._n_members)))
        except (RuntimeError, ValueError, TypeError) as error:
            return f"torch.func can't vectorise its module ({str(error).splitlines()[0]:.120})"
        finally:
            for name, buffer in self._parameters.buffers.items():
                buffer.copy_(before[name])
        return ""


def _evaluated(module: nn.Module, rows: Tensor) -> Tensor:
    learns = [part.training for part in module.modules()]
    module.eval()
    try:
        return check_raw(module(rows))
    finally:
        for part, before in zip(module.modules(), learns, strict=True):
            part.training = before
