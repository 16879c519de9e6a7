"""The parameters of one group of an optimizer as one vector, and the optimizer's step on it."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim.optimizer import Optimizer

# Each parameter begins at a multiple of so many numbers, as memory of its own would: kernels add in the same order.
from skmulti._compat import foreach_copy_, fused_adam_, fused_adamw_, fused_sgd_

_ALIGNMENT = 16
# What an optimizer remembers once per parameter. All else has the parameter's shape.
COUNTERS = ("step", "mu_product", "eta", "mu")


class Vector:
    """The parameters of one group, one behind the other, and the step of any elementwise optimizer on them.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        The optimizer, which is asked for its options and shown its state, and does not step itself.
    group : dict
        One of its parameter groups.
    parameters : list of Parameter
        Those of the group that require a gradient.

    Attributes
    ----------
    values, gradient : Tensor of shape (n_numbers,)
        The parameters, which are views of it, and where their gradients are to be written.
    state : dict
        What the optimizer remembers.
    """

    def __init__(self, optimizer: Optimizer, group: dict[str, Any], parameters: list[Parameter]) -> None:
        self._owner, self._group, self._parameters = optimizer, group, parameters
        self._places: list[tuple[int, int]] = []
        stop = 0
        for parameter in parameters:
            self._places.append((stop, stop + parameter.numel()))
            stop += -(-parameter.numel() // _ALIGNMENT) * _ALIGNMENT
        first = parameters[0]
        self.values = torch.zeros(stop, dtype=first.dtype, device=first.device)
        self.gradient = torch.zeros_like(self.values)
        self.state: dict[str, Any] = self._gathered_state()
        self._shown: dict[Parameter, dict[str, Any]] = {}
        self._shown_counters: dict[str, list[Tensor]] = {}
        for parameter, view in self.pairs(self.values):
            view.copy_(parameter.data)
            parameter.data = view
        self._prepare()

    def pairs(self, vector: Tensor) -> Iterator[tuple[Parameter, Tensor]]:
        """Return each parameter with its part of a vector, in its own shape."""
        for parameter, (start, stop) in zip(self._parameters, self._places, strict=True):
            yield parameter, vector[start:stop].view(parameter.shape)

    def _gathered_state(self) -> dict[str, Any]:
        states = [self._owner.state.get(p, {}) for p in self._parameters]
        gathered: dict[str, Any] = {}
        for key, value in states[0].items():
            if key in COUNTERS or value is None:
                gathered[key] = copy.deepcopy(value)
            else:
                gathered[key] = torch.zeros_like(self.values)
                for (_, view), state in zip(self.pairs(gathered[key]), states, strict=True):
                    view.copy_(state[key])
        return gathered

    def _prepare(self) -> None:
        """Make an optimizer of the same class, whose only parameter is the vector."""
        self._optimizer = copy.copy(self._owner)
        self._optimizer.param_groups = [{**self._group, "params": [self.values]}]
        self._optimizer.state = type(self._owner.state)(dict)
        self.values.grad = self.gradient
        if self.state:
            self._optimizer.state[self.values] = self.state
        # Without what torch wraps round it for hooks and profilers, which takes longer than the step.
        self._step = inspect.unwrap(type(self._owner).step)

    def read_options(self) -> None:
        """Take over the group's options, which a schedule may have changed."""
        self._optimizer.param_groups[0].update({k: v for k, v in self._group.items() if k != "params"})

    def step(self) -> None:
        """Step the vector along its gradient."""
        self._step(self._optimizer)

    def _update_state(self) -> None:
        self.state = self._optimizer.state[self.values]

    @property
    def is_untouched(self) -> bool:
        """Return whether nobody replaced the group, or the state since it was shown."""
        known, state = self._owner.param_groups, self._owner.state
        return any(group is self._group for group in known) and all(state.get(p) is s for p, s in self._shown.items())

    def publish(self) -> None:
        """Show the state at each parameter: views of what has its shape, and copies of the counters."""
        self._update_state()
        if self.state.keys() != next(iter(self._shown.values()), {}).keys():
            for parameter, (start, stop) in zip(self._parameters, self._places, strict=True):
                self._shown[parameter] = self._owner.state[parameter] = {
                    key: value if value is None
                    # The fused kernels count in single precision, and torch in its default one.
                    else value.to(torch.get_default_dtype(), copy=True) if key in COUNTERS
                    else value[start:stop].view(parameter.shape)
                    for key, value in self.state.items()
                }  # fmt: skip
            counters = [key for key in COUNTERS if key in self.state]
            self._shown_counters = {key: [state[key] for state in self._shown.values()] for key in counters}
        for key, shown in self._shown_counters.items():
            foreach_copy_(shown, [self.state[key]] * len(shown))

    def release(self) -> None:
        """Give parameters and state their own memory again, but for what somebody replaced."""
        for parameter, view in self.pairs(self.values):
            if parameter.data_ptr() == view.data_ptr():
                parameter.data = view.clone()
        for parameter, state in self._shown.items():
            if self._owner.state.get(parameter) is state:
                for key, value in state.items():
                    state[key] = value.clone() if isinstance(value, Tensor) and key not in COUNTERS else value


class FusedVector(Vector):
    """A vector whose step is one call of torch's fused kernel, without the bookkeeping of an optimizer's step."""

    _options: dict[str, Any]

    def _prepare(self) -> None:
        pass

    def _update_state(self) -> None:
        pass


class AdamVector(FusedVector):
    """Adam, and AdamW, whose weight decay is decoupled."""

    def _prepare(self) -> None:
        state, device = self.state, self.values.device
        state["step"] = torch.as_tensor(state.get("step", 0.0)).to(device, torch.float32, copy=True)
        for key in ("exp_avg", "exp_avg_sq"):
            state.setdefault(key, torch.zeros_like(self.values))
        # A tensor is added sooner than a number, and this is done for every batch.
        self._one = torch.ones_like(state["step"])

    def read_options(self) -> None:
        """Take over the group's options."""
        group, state = self._group, self.state
        most = []
        if group["amsgrad"]:
            most = [state.setdefault("max_exp_avg_sq", torch.zeros_like(self.values))]
        self._kernel, self._options = adam_kernel(self._owner, group)
        moments = [state["exp_avg"]], [state["exp_avg_sq"]], most
        self._lists = ([self.values], [self.gradient], *moments, [state["step"]])

    def step(self) -> None:
        """Step the vector along its gradient."""
        self.state["step"].add_(self._one)
        self._kernel(*self._lists, **self._options)


class SGDVector(FusedVector):
    """Stochastic gradient descent, with momentum or without."""

    def read_options(self) -> None:
        """Take over the group's options."""
        self._options = sgd_options(self._group)

    def step(self) -> None:
        """Step the vector along its gradient."""
        momentum, state = self._options["momentum"], self.state
        is_first = bool(momentum) and state.get("momentum_buffer") is None
        if is_first:
            state["momentum_buffer"] = torch.empty_like(self.values)
        buffers = [state["momentum_buffer"]] if momentum else []
        fused_sgd_([self.values], [self.gradient], buffers, is_first_step=is_first, **self._options)


def adam_kernel(optimizer: Optimizer, group: Mapping[str, Any]) -> tuple[Callable[..., Any], dict[str, Any]]:
    """Return torch's fused kernel of Adam or AdamW, and its options for a group."""
    decoupled = isinstance(optimizer, torch.optim.AdamW) or group.get("decoupled_weight_decay")
    options = {name: group[name] for name in ("lr", "weight_decay", "eps", "amsgrad", "maximize")}
    options["beta1"], options["beta2"] = group["betas"]
    return fused_adamw_ if decoupled else fused_adam_, options


def sgd_options(group: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of torch's fused kernel of SGD for a group."""
    return {name: group[name] for name in ("lr", "weight_decay", "momentum", "dampening", "nesterov", "maximize")}


_FUSED: Mapping[type, type[Vector]] = {
    torch.optim.Adam: AdamVector,
    torch.optim.AdamW: AdamVector,
    torch.optim.SGD: SGDVector,
}


def vector_class(optimizer: Optimizer, group: dict[str, Any]) -> type[Vector]:
    """Return what steps a group: torch's fused kernel, unless the user wants another of torch's ways."""
    device = next(p.device.type for p in group["params"])
    other_way = group.get("fused") is False or group.get("foreach")
    return Vector if other_way or device not in ("cpu", "cuda") else _FUSED.get(type(optimizer), Vector)
