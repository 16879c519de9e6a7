"""An optimizer whose parameters are views of one vector per group, so that its step is a few operations in total."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim.optimizer import Optimizer

from skmulti._compat import foreach_copy_, global_optimizer_post_hooks, global_optimizer_pre_hooks
from skmulti.training.optimizers.vectors import COUNTERS, vector_class

# Optimizers that update each number independently, so that a step on one flat vector gives the same result.
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
    """The step of an optimizer on flat vectors; up to rounding, results are those of its step on each parameter.

    While in use, the parameters that require a gradient are views of one vector per parameter group, and so is the
    optimizer state after `publish`. `release` gives each tensor separate memory again. Adam, AdamW and SGD use torch's
    fused kernels, all others the `step` of their class.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        An optimizer that `can_hold` accepts. Its options are read again in each `begin_epoch`.

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
        self._requires_grad = [(p, p.requires_grad) for group in groups for p in group["params"]]
        self._vectors = [
            vector_class(optimizer, group)(optimizer, group, trainable)
            for group in optimizer.param_groups
            if (trainable := [p for p in group["params"] if p.requires_grad])
        ]
        self.gradients: dict[Parameter, Tensor] = dict(self.parted([v.gradient for v in self._vectors]))
        self._parameters, self._views = list(self.gradients), list(self.gradients.values())
        self._addresses = [p.data_ptr() for p in self._parameters]

    @staticmethod
    def can_hold(optimizer: Any) -> bool:
        """Return whether the optimizer is elementwise, with plain parameters and options and without step hooks."""
        if type(optimizer) not in _ELEMENTWISE or _has_hooks(optimizer):
            return False
        groups = optimizer.param_groups
        trainable = [p for group in groups for p in group["params"] if p.requires_grad]
        addresses = [p.data_ptr() for p in trainable]
        return (
            bool(trainable)
            and len(set(addresses)) == len(addresses)
            and all(_is_plain(p) for p in trainable)
            and all(_can_hold_group(optimizer, group) for group in groups)
        )

    def is_current(self, optimizer: Any) -> bool:
        """Return whether this wraps the given optimizer, whose parameters, their memory and state are unchanged."""
        if optimizer is not self.optimizer or not self._has_same_parameters():
            return False
        if not self.in_use:
            return True
        for parameter, address in zip(self._parameters, self._addresses, strict=True):
            if parameter.data_ptr() != address:
                return False
        return all(vector.is_untouched for vector in self._vectors) and not _has_hooks(optimizer)

    def _has_same_parameters(self) -> bool:
        """Return whether the optimizer has the same parameters, with the same `requires_grad`."""
        groups = self.optimizer.param_groups
        if [len(group["params"]) for group in groups] != self._sizes:
            return False
        now = [p for group in groups for p in group["params"]]
        return all(
            p is q and p.requires_grad is required for p, (q, required) in zip(now, self._requires_grad, strict=True)
        )

    def begin_epoch(self) -> None:
        """Read the optimizer's options, and call `optimizer.step` once if a scheduler counts its calls."""
        if self.in_use and "step" in vars(self.optimizer):
            # torch's schedulers wrap `step` and warn if it was never called. Without gradients it changes nothing.
            self.optimizer.zero_grad()
            self.optimizer.step()
        self.read_options()

    def read_options(self) -> None:
        """Read the optimizer's options, which a schedule may have changed."""
        for vector in self._vectors:
            vector.read_options()

    def step(self) -> None:
        """Update all parameters from `gradients`; to be called under `torch.no_grad`."""
        for vector in self._vectors:
            vector.step()

    @torch.no_grad()
    def follow(self) -> None:
        """Update all parameters from the gradients that autograd stored in them.

        An optimizer skips parameters without a gradient, and a vector cannot: if there are any, the vectors are
        released, and the optimizer's own `step` is used from then on.
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
        """Return each parameter with its part of `vectors`, which have the layout of `numbers`."""
        return [pair for group, vector in zip(self._vectors, vectors, strict=True) for pair in group.pairs(vector)]

    def publish(self) -> None:
        """Store the current state in `optimizer.state`, as checkpoints and callbacks expect."""
        for vector in self._vectors if self.in_use else ():
            vector.publish()

    def release(self) -> None:
        """Publish the state, and give parameters and state separate memory again."""
        self.publish()
        for vector in self._vectors if self.in_use else ():
            vector.release()
        self.in_use = False


def _has_hooks(optimizer: Any) -> bool:
    global_hooks = (global_optimizer_pre_hooks, global_optimizer_post_hooks)
    return any((*global_hooks, optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks))


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
    """Return whether a group has plain options, one dtype and device, and as many steps for all its parameters."""
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
