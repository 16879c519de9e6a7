"""The parameters of an optimizer as views of one vector per group, so that its step is a few operations in all."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim.optimizer import Optimizer

from skmulti._compat import foreach_copy_, global_optimizer_post_hooks, global_optimizer_pre_hooks
from skmulti.training.optimizers.vectors import COUNTERS, vector_class

# Optimizers that treat each number for itself, so that it makes no difference in which vector it stands.
_ELEMENTWISE = (
    torch.optim.Adam,
    torch.optim.AdamW,
    torch.optim.SGD,
    torch.optim.RMSprop,
    torch.optim.Adagrad,
    torch.optim.Adadelta,
    torch.optim.Adamax,
    torch.optim.NAdam,
    torch.optim.RAdam,
    torch.optim.ASGD,
    torch.optim.Rprop,
)


class FlatOptimizer:
    """An optimizer's step on flat vectors, with the numbers of the step on each parameter up to rounding.

    While it is in use, the parameters that require a gradient are views of one vector per parameter group, and
    so is what the optimizer remembers of them, once `publish` was called. `release` gives each its own memory
    back. Adam, AdamW and SGD take torch's fused kernels, all others their own `step`.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        An optimizer that `can_hold` accepts. Its options are read anew at every `begin_epoch`.

    Attributes
    ----------
    in_use : bool
        Whether parameters are views of the vectors.
    gradients : dict of Parameter to Tensor
        For each parameter a view of the vector of gradients, to be written before `step`.

    Examples
    --------
    >>> import torch
    >>> from skmulti.training.optimizers.flat import FlatOptimizer
    >>> weight = torch.nn.Parameter(torch.tensor([[1.0, 2.0]]))
    >>> optimizer = torch.optim.SGD([weight], lr=0.5)
    >>> flat = FlatOptimizer(optimizer)
    >>> flat.begin_epoch()
    >>> flat.gradients[weight].fill_(1.0)
    tensor([[1., 1.]])
    >>> with torch.no_grad():
    ...     flat.step()
    >>> weight
    Parameter containing:
    tensor([[0.5000, 1.5000]], requires_grad=True)
    >>> flat.release()
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer, self.in_use = optimizer, True
        groups = optimizer.param_groups
        self._sizes = [len(group["params"]) for group in groups]
        self._known = [(p, p.requires_grad) for group in groups for p in group["params"]]
        self._vectors = [
            vector_class(optimizer, group)(optimizer, group, trainable)
            for group in optimizer.param_groups
            if (trainable := [p for p in group["params"] if p.requires_grad])
        ]
        self.gradients: dict[Parameter, Tensor] = dict(self.parted([v.gradient for v in self._vectors]))
        self._parameters, self._views = list(self.gradients), list(self.gradients.values())
        self._places = [p.data_ptr() for p in self._parameters]

    @staticmethod
    def can_hold(optimizer: Any) -> bool:
        """Return whether the optimizer's step is the same on flat vectors, and nobody waits for its call."""
        if type(optimizer) not in _ELEMENTWISE or _has_hooks(optimizer):
            return False
        groups = optimizer.param_groups
        trainable = [p for group in groups for p in group["params"] if p.requires_grad]
        places = [p.data_ptr() for p in trainable]
        return (
            bool(trainable)
            and len(set(places)) == len(places)
            and all(_is_plain(p) for p in trainable)
            and all(_can_hold_group(optimizer, group) for group in groups)
        )

    def is_current(self, optimizer: Any) -> bool:
        """Return whether this is still the optimizer, with the same parameters in their places."""
        if optimizer is not self.optimizer or not self._has_same_parameters():
            return False
        if not self.in_use:
            return True
        for parameter, place in zip(self._parameters, self._places, strict=True):
            if parameter.data_ptr() != place:
                return False
        return all(vector.is_untouched for vector in self._vectors) and not _has_hooks(optimizer)

    def _has_same_parameters(self) -> bool:
        """Return whether the optimizer has the parameters that it had, and the same ones of them learn."""
        groups = self.optimizer.param_groups
        if [len(group["params"]) for group in groups] != self._sizes:
            return False
        now = [p for group in groups for p in group["params"]]
        return all(p is q and p.requires_grad is learns for p, (q, learns) in zip(now, self._known, strict=True))

    def begin_epoch(self) -> None:
        """Take over the optimizer's options, and let a schedule of torch see that the optimizer is in use."""
        if self.in_use and "step" in vars(self.optimizer):
            # The schedule wrapped it, and warns if nobody calls it; without gradients it does nothing.
            self.optimizer.zero_grad()
            self.optimizer.step()
        self.read_options()

    def read_options(self) -> None:
        """Take over the optimizer's options, which a schedule may have changed."""
        for vector in self._vectors:
            vector.read_options()

    def step(self) -> None:
        """Step all parameters along `gradients`; autograd is off where this is called."""
        for vector in self._vectors:
            vector.step()

    @torch.no_grad()
    def follow(self) -> None:
        """Step all parameters along the gradients that autograd left on them.

        Where one has none, the optimizer passes over it, which a vector could not: it steps itself from then on.
        """
        gradients = [p.grad for p in self._parameters if p.grad is not None] if self.in_use else []
        if len(gradients) == len(self._parameters):
            foreach_copy_(self._views, gradients)
            self.step()
            return
        self.release()
        self.optimizer.step()

    def numbers(self) -> list[Tensor]:
        """Return the vectors of all parameters."""
        return [vector.values for vector in self._vectors]

    def parted(self, vectors: list[Tensor]) -> list[tuple[Parameter, Tensor]]:
        """Return each parameter with its part of vectors like these."""
        return [pair for own, vector in zip(self._vectors, vectors, strict=True) for pair in own.pairs(vector)]

    def publish(self) -> None:
        """Show the optimizer's state where it is looked for, at each parameter."""
        for vector in self._vectors if self.in_use else ():
            vector.publish()

    def release(self) -> None:
        """Give parameters and state their own memory again."""
        self.publish()
        for vector in self._vectors if self.in_use else ():
            vector.release()
        self.in_use = False


def _has_hooks(optimizer: Any) -> bool:
    of_all = (global_optimizer_pre_hooks, global_optimizer_post_hooks)
    return any((*of_all, optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks))


def _is_plain(parameter: Tensor) -> bool:
    return (
        type(parameter) is Parameter
        and parameter.is_floating_point()
        and parameter.layout == torch.strided
        and parameter.is_contiguous()
        and parameter.numel() > 0
        and not getattr(parameter, "_post_accumulate_grad_hooks", None)
    )


def _can_hold_group(optimizer: Optimizer, group: dict[str, Any]) -> bool:
    """Return whether a group has plain options, one kind of numbers, and the same history for all parameters."""
    trainable = [p for p in group["params"] if p.requires_grad]
    if not trainable:
        return True
    options = [value for name, value in group.items() if name != "params"]
    if any(group.get(name) for name in ("capturable", "differentiable")) or _holds_tensor(options):
        return False
    if len({(p.dtype, p.device) for p in trainable}) > 1:
        return False
    states = [optimizer.state.get(p, {}) for p in trainable]
    first = states[0]
    return all(
        set(state) == set(first) and all(_is_alike(key, value, first[key], p) for key, value in state.items())
        for p, state in zip(trainable, states, strict=True)
    )


def _holds_tensor(options: list[Any]) -> bool:
    return any(isinstance(v, Tensor) or (isinstance(v, (tuple, list)) and _holds_tensor(list(v))) for v in options)


def _is_alike(key: str, value: Any, first: Any, parameter: Tensor) -> bool:
    if value is None or first is None:
        return value is first
    if key in COUNTERS:
        return isinstance(value, Tensor) and isinstance(first, Tensor) and bool((value == first).all())
    return isinstance(value, Tensor) and value.shape == parameter.shape
