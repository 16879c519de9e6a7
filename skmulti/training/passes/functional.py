"""The forward and backward pass of a stack of networks of any module, vectorised by torch.func."""

from __future__ import annotations

import copy
from collections.abc import Sequence

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
        Modules of one class, built with the same parameters. A copy of the first is the module that is called.
    parameters : StackedParameters
        Their parameters and buffers.
    """

    name = "functional"

    def __init__(self, modules: Sequence[nn.Module], parameters: StackedParameters) -> None:
        self._modules, self._parameters = modules, parameters
        self._module = copy.deepcopy(modules[0])
        self._training: list[bool] = [part.training for part in self._module.modules()]
        self._n_members = len(modules)

    def narrow(self, n_members: int) -> None:
        """Restrict the following batches to the first `n_members` members."""
        self._n_members = n_members

    def forward(self, X: Tensor, sizes: Sequence[int]) -> Tensor:
        """Return raw outputs of shape (n_members, width, n_raw), for inputs of shape (n_members, width, ...)."""
        # Leaves of a new graph: autograd differentiates with respect to the stacked parameters themselves.
        values = {n: v[: self._n_members].detach().requires_grad_() for n, v in self._parameters.values.items()}
        with torch.enable_grad():
            self._raw = self._call(values, X)
        self._leaves = list(values.values())
        return self._raw.detach()

    def backward(self, gradient: Tensor) -> None:
        """Write the gradients of the parameters, given the gradient of the raw outputs."""
        computed = torch.autograd.grad(self._raw, self._leaves, gradient)
        outs = [gradient[: self._n_members] for gradient in self._parameters.gradients.values()]
        foreach_copy_(outs, list(computed))

    def evaluate(self, X: Tensor) -> Tensor:
        """Return raw outputs in evaluation mode."""
        self._module.eval()
        raw = self._call({name: value[: len(X)] for name, value in self._parameters.values.items()}, X)
        for part, training in zip(self._module.modules(), self._training, strict=True):
            part.training = training
        return raw

    def _call(self, values: dict[str, Tensor], X: Tensor) -> Tensor:
        buffers = {name: buffer[: len(X)] for name, buffer in self._parameters.buffers.items()}

        def call(member_values: dict[str, Tensor], member_buffers: dict[str, Tensor], rows: Tensor) -> Tensor:
            return check_raw(functional_call(self._module, (member_values, member_buffers), (rows,)))

        raw: Tensor = vmap(call)(values, buffers, X)
        return raw

    def why_not(self, rows: Tensor) -> str:
        """Return the reason why torch.func cannot vectorise the module, or an empty string.

        The stack is compared with each module alone in evaluation mode, then run forward and backward once.

        Parameters
        ----------
        rows : Tensor of shape (n_rows, ...)
            A few rows of the training data.
        """
        stacked = rows.expand(self._n_members, *rows.shape)
        before = {name: buffer.clone() for name, buffer in self._parameters.buffers.items()}
        try:
            with torch.no_grad():
                raw = self.evaluate(stacked)
                alone = torch.stack([_evaluated(module, rows) for module in self._modules])
                if raw.shape != alone.shape or not torch.allclose(raw, alone, rtol=1e-4, atol=1e-5, equal_nan=True):
                    # Plain attributes that differ between members, which the copy of the first module hides.
                    return "its module keeps more than parameters and buffers"
            self.backward(torch.zeros_like(self.forward(stacked, [len(rows)] * self._n_members)))
        except (RuntimeError, ValueError, TypeError) as error:
            return f"torch.func can't vectorise its module ({str(error).splitlines()[0]:.120})"
        finally:
            # The trial must leave no trace in running statistics.
            for name, buffer in self._parameters.buffers.items():
                buffer.copy_(before[name])
        return ""


def _evaluated(module: nn.Module, rows: Tensor) -> Tensor:
    modes = [part.training for part in module.modules()]
    module.eval()
    try:
        return check_raw(module(rows))
    finally:
        for part, training in zip(module.modules(), modes, strict=True):
            part.training = training
