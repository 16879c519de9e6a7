"""The parameters and buffers of modules of one shape, stacked along a new first dimension."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate

import torch
from torch import Tensor, nn

# Each parameter begins at a multiple of so many numbers, as memory of its own would.
from skmulti._compat import foreach_copy_

_ALIGNMENT = 16


class StackedParameters:
    """Values of all members, in memory of their own: `publish` gives modules their part.

    Parameters
    ----------
    modules : sequence of torch.nn.Module
        Modules whose parameters and buffers have the same shapes, in the same order. The first gives them their names.

    Attributes
    ----------
    values, gradients : dict of str to Tensor of shape (n_members, ...)
        The parameters, and where their gradients are to be written.
    buffers : dict of str to Tensor of shape (n_members, ...)
        The buffers.
    flat, flat_gradient : Tensor of shape (n_numbers,), or None
        The memory of all values and of all gradients, where they are of one kind.

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
        self._lay_out({name: torch.stack(own) for name, own in zip(names[0], parameters, strict=True)})
        self.buffers = {name: torch.stack(own) for name, own in zip(names[1], buffers, strict=True)}
        self._good = self.copies()

    def _lay_out(self, values: dict[str, Tensor]) -> None:
        """Put values of one kind of number one behind the other, so that an optimizer may step on all at once."""
        self.flat, self.flat_gradient = None, None
        if len({value.dtype for value in values.values()}) > 1:
            self.values = values
            self.gradients = {name: torch.zeros_like(value) for name, value in values.items()}
            return
        starts = [0, *accumulate(-(-value.numel() // _ALIGNMENT) * _ALIGNMENT for value in values.values())]
        self.flat = next(iter(values.values())).new_zeros(starts[-1])
        self.flat_gradient = torch.zeros_like(self.flat)
        self.values, self.gradients = self.parts(self.flat, values), self.parts(self.flat_gradient, values)
        for name, value in values.items():
            self.values[name].copy_(value)

    @staticmethod
    def parts(flat: Tensor, like: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the parts of a vector that values take which lie one behind the other."""
        starts = [0, *accumulate(-(-value.numel() // _ALIGNMENT) * _ALIGNMENT for value in like.values())]
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
        """Copy the numbers of members where all are finite, for `restore` to go back to; say of all where they are."""
        checked = [value for value in self.numbers() if value.is_floating_point()]
        # A sum is finite only if all of its parts are; large parts may make it infinite as well.
        total = sum(value.flatten(1).sum(1, dtype=torch.float64) for value in checked)
        finite: Tensor = torch.as_tensor(total).isfinite()
        if len(members) == len(self._modules) and finite.all():
            foreach_copy_(self._good, self.numbers())
        else:
            which = [k for k in members if finite[k]]
            for copy, value in zip(self._good, self.numbers(), strict=True):
                copy[which] = value[which]
        answer: list[bool] = finite.tolist()
        return answer

    def restore(self, members: Sequence[int]) -> None:
        """Give the modules of members their last good numbers."""
        self._write(self._good, members)

    def publish(self, members: Sequence[int]) -> None:
        """Give the modules of members their numbers."""
        self._write(self.numbers(), members)

    def _write(self, values: Sequence[Tensor], members: Sequence[int]) -> None:
        own = [place for k in members for place in self._places(k)]
        if own:
            foreach_copy_(own, [value[k] for k in members for value in values])

    def fetch(self, members: Sequence[int]) -> None:
        """Take over the numbers of modules that somebody may have changed."""
        for k in members:
            foreach_copy_([value[k] for value in self.numbers()], self._places(k))

    def _places(self, k: int) -> list[Tensor]:
        return [*(parameter.data for parameter in self._modules[k].parameters()), *self._modules[k].buffers()]

    def keep(self, members: Sequence[int]) -> None:
        """Go on with some members."""
        which = torch.tensor(members)
        self._modules = [self._modules[k] for k in members]
        self._lay_out({name: value[which] for name, value in self.values.items()})
        self.buffers = {name: value[which] for name, value in self.buffers.items()}
        self._good = [value[which] for value in self._good]
