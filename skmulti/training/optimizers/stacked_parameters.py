"""The parameters and buffers of modules of one shape, stacked along a new first dimension."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate

import torch
from torch import Tensor, nn

from skmulti._compat import foreach_copy_
from skmulti.training.optimizers.vectors import aligned


class StackedParameters:
    """The parameters and buffers of all members, stacked in separate memory; `publish` copies them to the modules.

    Parameters
    ----------
    modules : sequence of torch.nn.Module
        Modules whose parameters and buffers have the same shapes, in the same order. The names are those of the first.

    Attributes
    ----------
    values, gradients : dict of str to Tensor of shape (n_members, ...)
        The parameters, and their gradients, which the passes write.
    buffers : dict of str to Tensor of shape (n_members, ...)
        The buffers.
    flat, flat_gradient : Tensor of shape (n_numbers,), or None
        The memory of all values and of all gradients; None if the parameters have several dtypes.

    Examples
    --------
    >>> import torch
    >>> from skmulti.training.optimizers.stacked_parameters import StackedParameters
    >>> stacked = StackedParameters([torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)])
    >>> {name: tuple(value.shape) for name, value in stacked.values.items()}
    {'weight': (2, 1, 2), 'bias': (2, 1)}
    """

    values: dict[str, Tensor]
    gradients: dict[str, Tensor]
    flat: Tensor | None
    flat_gradient: Tensor | None

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self._modules = list(modules)
        names = [name for name, _ in modules[0].named_parameters()], [name for name, _ in modules[0].named_buffers()]
        parameters = zip(*([p.detach() for p in module.parameters()] for module in modules), strict=True)
        buffers = zip(*(module.buffers() for module in modules), strict=True)
        self._lay_out({name: torch.stack(of_members) for name, of_members in zip(names[0], parameters, strict=True)})
        self.buffers = {name: torch.stack(of_members) for name, of_members in zip(names[1], buffers, strict=True)}
        self._finite = self.copies()

    def _lay_out(self, values: dict[str, Tensor]) -> None:
        """Lay out values of one dtype in one vector, so that an optimizer can step on all of them in one call."""
        self.flat, self.flat_gradient = None, None
        if len({value.dtype for value in values.values()}) > 1:
            self.values = values
            self.gradients = {name: torch.zeros_like(value) for name, value in values.items()}
            return
        starts = [0, *accumulate(aligned(value.numel()) for value in values.values())]
        self.flat = next(iter(values.values())).new_zeros(starts[-1])
        self.flat_gradient = torch.zeros_like(self.flat)
        self.values, self.gradients = self.parts(self.flat, values), self.parts(self.flat_gradient, values)
        for name, value in values.items():
            self.values[name].copy_(value)

    @staticmethod
    def parts(flat: Tensor, like: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the views of a flat vector that have the shapes of `like`."""
        starts = [0, *accumulate(aligned(value.numel()) for value in like.values())]
        return {
            name: flat[start : start + value.numel()].view(value.shape)
            for start, (name, value) in zip(starts, like.items(), strict=False)
        }

    def numbers(self) -> list[Tensor]:
        """Return all values and buffers."""
        return [*self.values.values(), *self.buffers.values()]

    def copies(self) -> list[Tensor]:
        """Return copies of `numbers`."""
        return [value.clone() for value in self.numbers()]

    def renew_good(self, members: Sequence[int]) -> list[bool]:
        """Store copies of the parameters and buffers of members that are all finite, for `restore`.

        Returns
        -------
        is_finite : list of bool
            For each member of the stack, whether all its parameters and buffers are finite.
        """
        checked = [value for value in self.numbers() if value.is_floating_point()]
        # A sum is finite only if all summands are. Sums in float64, since large finite summands could overflow.
        total = sum(value.flatten(1).sum(1, dtype=torch.float64) for value in checked)
        finite: Tensor = torch.as_tensor(total).isfinite()
        if len(members) == len(self._modules) and finite.all():
            foreach_copy_(self._finite, self.numbers())
        else:
            kept = [k for k in members if finite[k]]
            for copy, value in zip(self._finite, self.numbers(), strict=True):
                copy[kept] = value[kept]
        is_finite: list[bool] = finite.tolist()
        return is_finite

    def restore(self, members: Sequence[int]) -> None:
        """Copy the last finite parameters and buffers of members to their modules."""
        self._write(self._finite, members)

    def publish(self, members: Sequence[int]) -> None:
        """Copy the current parameters and buffers of members to their modules."""
        self._write(self.numbers(), members)

    def _write(self, values: Sequence[Tensor], members: Sequence[int]) -> None:
        targets = [target for k in members for target in self._tensors_of(k)]
        if targets:
            foreach_copy_(targets, [value[k] for k in members for value in values])

    def fetch(self, members: Sequence[int]) -> None:
        """Copy parameters and buffers from the modules of members, which a callback may have changed."""
        for k in members:
            foreach_copy_([value[k] for value in self.numbers()], self._tensors_of(k))

    def _tensors_of(self, k: int) -> list[Tensor]:
        return [*(parameter.data for parameter in self._modules[k].parameters()), *self._modules[k].buffers()]

    def keep(self, members: Sequence[int]) -> None:
        """Keep only some members of the stack."""
        which = torch.tensor(members)
        self._modules = [self._modules[k] for k in members]
        self._lay_out({name: value[which] for name, value in self.values.items()})
        self.buffers = {name: value[which] for name, value in self.buffers.items()}
        self._finite = [value[which] for value in self._finite]
