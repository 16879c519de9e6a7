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

from skmulti._compat import foreach_copy_, fused_adam_, fused_adamw_, fused_sgd_

# Elements per block: torch aligns each allocation to 64 bytes, 16 single-precision numbers. With the same alignment
# in the vector, vectorised kernels add in the same order as for separate parameters.
ALIGNMENT = 16
# The optimizer state that is one number per parameter. All other state has the shape of the parameter.
COUNTERS = ("step", "mu_product", "eta", "mu")


def aligned(n_numbers: int) -> int:
    """Return a number of elements rounded up to a multiple of the alignment."""
    return -(-n_numbers // ALIGNMENT) * ALIGNMENT


class Vector:
    """The parameters of one group in one flat vector, and the step of any elementwise optimizer on it.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        The optimizer that holds the options and, after `publish`, the state. Its own `step` is not called.
    group : dict
        One of its parameter groups.
    parameters : list of Parameter
        Those of the group that require a gradient.

    Attributes
    ----------
    values, gradient : Tensor of shape (n_numbers,)
        The values, of which the parameters become views, and the gradients, to be written before `step`.
    state : dict
        The optimizer state in flat form, such as the moments of Adam.
    """

    def __init__(self, optimizer: Optimizer, group: dict[str, Any], parameters: list[Parameter]) -> None:
        self._owner, self._group, self._parameters = optimizer, group, parameters
        self._slices: list[tuple[int, int]] = []
        stop = 0
        for parameter in parameters:
            self._slices.append((stop, stop + parameter.numel()))
            stop += aligned(parameter.numel())
        first = parameters[0]
        self.values = torch.zeros(stop, dtype=first.dtype, device=first.device)
        self.gradient = torch.zeros_like(self.values)
        self.state: dict[str, Any] = self._flat_state()
        self._published: dict[Parameter, dict[str, Any]] = {}
        self._published_counters: dict[str, list[Tensor]] = {}
        for parameter, view in self.pairs(self.values):
            view.copy_(parameter.data)
            parameter.data = view
        self._prepare()

    def pairs(self, vector: Tensor) -> Iterator[tuple[Parameter, Tensor]]:
        """Yield each parameter with its part of a vector, in the shape of the parameter."""
        for parameter, (start, stop) in zip(self._parameters, self._slices, strict=True):
            yield parameter, vector[start:stop].view(parameter.shape)

    def _flat_state(self) -> dict[str, Any]:
        """Return the optimizer state of all parameters as vectors; counters are equal and kept once."""
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
        """Create an optimizer of the same class, whose only parameter is the vector."""
        self._optimizer = copy.copy(self._owner)
        self._optimizer.param_groups = [{**self._group, "params": [self.values]}]
        self._optimizer.state = type(self._owner.state)(dict)
        self.values.grad = self.gradient
        if self.state:
            self._optimizer.state[self.values] = self.state
        # Without torch's wrappers for hooks and profilers, which take longer than the step.
        self._step = inspect.unwrap(type(self._owner).step)

    def read_options(self) -> None:
        """Read the options of the group, which a schedule may have changed."""
        self._optimizer.param_groups[0].update({k: v for k, v in self._group.items() if k != "params"})

    def step(self) -> None:
        """Step the vector along its gradient."""
        self._step(self._optimizer)

    def _update_state(self) -> None:
        self.state = self._optimizer.state[self.values]

    @property
    def is_untouched(self) -> bool:
        """Return whether the parameter group and the published state are still the same objects."""
        groups, state = self._owner.param_groups, self._owner.state
        return any(group is self._group for group in groups) and all(
            state.get(p) is s for p, s in self._published.items()
        )

    def publish(self) -> None:
        """Store the state of each parameter in the optimizer: views of the vectors, and copies of the counters."""
        self._update_state()
        if self.state.keys() != next(iter(self._published.values()), {}).keys():
            for parameter, (start, stop) in zip(self._parameters, self._slices, strict=True):
                self._published[parameter] = self._owner.state[parameter] = {
                    key: value if value is None
                    # The fused kernels count steps in single precision, `step` of torch in the default dtype.
                    else value.to(torch.get_default_dtype(), copy=True) if key in COUNTERS
                    else value[start:stop].view(parameter.shape)
                    for key, value in self.state.items()
                }  # fmt: skip
            counters = [key for key in COUNTERS if key in self.state]
            self._published_counters = {key: [state[key] for state in self._published.values()] for key in counters}
        for key, published in self._published_counters.items():
            foreach_copy_(published, [self.state[key]] * len(published))

    def release(self) -> None:
        """Give parameters and state separate memory again, except those that were replaced since."""
        for parameter, view in self.pairs(self.values):
            if parameter.data_ptr() == view.data_ptr():
                parameter.data = view.clone()
        for parameter, state in self._published.items():
            if self._owner.state.get(parameter) is state:
                for key, value in state.items():
                    state[key] = value.clone() if isinstance(value, Tensor) and key not in COUNTERS else value


class FusedVector(Vector):
    """A vector whose step is one call of torch's fused kernel, without the overhead of `Optimizer.step`."""

    _options: dict[str, Any]

    def _prepare(self) -> None:
        pass

    def _update_state(self) -> None:
        pass


class AdamVector(FusedVector):
    """Adam and AdamW by torch's fused kernels."""

    def _prepare(self) -> None:
        state, device = self.state, self.values.device
        state["step"] = torch.as_tensor(state.get("step", 0.0)).to(device, torch.float32, copy=True)
        for key in ("exp_avg", "exp_avg_sq"):
            state.setdefault(key, torch.zeros_like(self.values))
        # Adding a tensor is faster than adding a Python number, and this is done for every batch.
        self._one = torch.ones_like(state["step"])

    def read_options(self) -> None:
        """Read the options of the group."""
        group, state = self._group, self.state
        max_moments = []
        if group["amsgrad"]:
            max_moments = [state.setdefault("max_exp_avg_sq", torch.zeros_like(self.values))]
        self._kernel, self._options = adam_kernel(self._owner, group)
        moments = [state["exp_avg"]], [state["exp_avg_sq"]], max_moments
        self._lists = ([self.values], [self.gradient], *moments, [state["step"]])

    def step(self) -> None:
        """Step the vector along its gradient."""
        self.state["step"].add_(self._one)
        self._kernel(*self._lists, **self._options)


class SGDVector(FusedVector):
    """Stochastic gradient descent by torch's fused kernel."""

    def read_options(self) -> None:
        """Read the options of the group."""
        self._options = sgd_options(self._group)

    def step(self) -> None:
        """Step the vector along its gradient."""
        momentum, state = self._options["momentum"], self.state
        is_first = bool(momentum) and state.get("momentum_buffer") is None
        # The kernel fills the buffer in the first step, without dampening.
        if is_first:
            state["momentum_buffer"] = torch.empty_like(self.values)
        buffers = [state["momentum_buffer"]] if momentum else []
        fused_sgd_([self.values], [self.gradient], buffers, is_first_step=is_first, **self._options)


def adam_kernel(optimizer: Optimizer, group: Mapping[str, Any]) -> tuple[Callable[..., Any], dict[str, Any]]:
    """Return torch's fused kernel of Adam, or of AdamW for decoupled weight decay, and its options for a group."""
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
    """Return the class that steps a group: with a fused kernel, unless `fused=False` or `foreach=True` is set."""
    device = next(p.device.type for p in group["params"])
    is_explicit = group.get("fused") is False or group.get("foreach")
    return Vector if is_explicit or device not in ("cpu", "cuda") else _FUSED.get(type(optimizer), Vector)
