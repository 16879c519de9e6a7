"""The parameters of an optimizer as views of one vector per group, so that its step is a few operations in all."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim.optimizer import Optimizer, _global_optimizer_post_hooks, _global_optimizer_pre_hooks

# Each parameter begins at a multiple of so many numbers, as memory of its own would: kernels add in the same order.
_ALIGNMENT = 16
# What an optimizer remembers once per parameter. All else has the parameter's shape.
_COUNTERS = ("step", "mu_product", "eta", "mu")
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
    """An optimizer's step on flat vectors, with the same numbers as the step on each parameter.

    While it is in use, the parameters that require a gradient are views of one vector per parameter group, and
    so is what the optimizer remembers of them, once `publish` was called. `release` gives each its own memory
    back. Adam, AdamW and SGD take torch's fused kernels.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        An optimizer that `can_hold` accepts. Its options are read anew at every `begin_epoch`.

    Attributes
    ----------
    gradients : dict of Parameter to Tensor
        For each parameter a view of the vector of gradients, to be written before `step`.

    Examples
    --------
    >>> import torch
    >>> from skmulti.training.flat import FlatOptimizer
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
        self.optimizer = optimizer
        self._seen = _signature(optimizer)
        self._vectors = [
            _vector_class(optimizer, trainable[0].device)(optimizer, group, trainable)
            for group in optimizer.param_groups
            if (trainable := [p for p in group["params"] if p.requires_grad])
        ]
        self.gradients: dict[Parameter, Tensor] = {p: g for v in self._vectors for p, g in v.pairs(v.gradient)}
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
        return (
            optimizer is self.optimizer
            and _signature(optimizer) == self._seen
            and [p.data_ptr() for p in self._parameters] == self._places
            and all(v.is_untouched for v in self._vectors)
            and not _has_hooks(optimizer)
        )

    def begin_epoch(self) -> None:
        """Take over the optimizer's options, which a schedule may have changed."""
        if "step" in vars(self.optimizer):
            # A schedule of torch wraps it, and warns if it is never called; without gradients it does nothing.
            self.optimizer.zero_grad()
            self.optimizer.step()
        for vector in self._vectors:
            vector.read_options()

    def take_gradients(self) -> bool:
        """Take over what autograd left on the parameters; return False where one has none."""
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        if len(gradients) < len(self._parameters):
            return False
        torch._foreach_copy_(self._views, gradients)
        for parameter in self._parameters:
            parameter.grad = None
        return True

    def step(self) -> None:
        """Step all parameters along `gradients`; autograd is off where this is called."""
        for vector in self._vectors:
            vector.step()

    def numbers(self) -> list[Tensor]:
        """Return the vectors of all parameters."""
        return [vector.values for vector in self._vectors]

    def publish(self) -> None:
        """Show the optimizer's state where it is looked for, at each parameter."""
        for vector in self._vectors:
            vector.publish()

    def release(self) -> None:
        """Give parameters and state their own memory again."""
        for vector in self._vectors:
            vector.release()


class _Vector:
    """The parameters of one group, one behind the other, and the step of any elementwise optimizer on them."""

    def __init__(self, optimizer: Optimizer, group: dict[str, Any], parameters: list[Parameter]) -> None:
        self._group, self._parameters, self._owner = group, parameters, optimizer
        self._places: list[tuple[int, int]] = []
        stop = 0
        for parameter in parameters:
            self._places.append((stop, stop + parameter.numel()))
            stop += -(-parameter.numel() // _ALIGNMENT) * _ALIGNMENT
        first = parameters[0]
        self.values = torch.zeros(stop, dtype=first.dtype, device=first.device)
        self.gradient = torch.zeros_like(self.values)
        self.state: dict[str, Any] = self._gathered_state(optimizer)
        self._published: dict[Parameter, dict[str, Any]] = {}
        for parameter, view in self.pairs(self.values):
            view.copy_(parameter.data)
            parameter.data = view
        self._prepare(optimizer)

    def pairs(self, vector: Tensor) -> Iterator[tuple[Parameter, Tensor]]:
        """Return each parameter with its part of a vector, in its own shape."""
        for parameter, (start, stop) in zip(self._parameters, self._places, strict=True):
            yield parameter, vector[start:stop].view(parameter.shape)

    def _gathered_state(self, optimizer: Optimizer) -> dict[str, Any]:
        states = [optimizer.state.get(p, {}) for p in self._parameters]
        gathered: dict[str, Any] = {}
        for key, value in states[0].items():
            if key in _COUNTERS or value is None:
                gathered[key] = copy.deepcopy(value)
            else:
                gathered[key] = torch.zeros_like(self.values)
                for (parameter, view), state in zip(self.pairs(gathered[key]), states, strict=True):
                    assert view.shape == parameter.shape
                    view.copy_(state[key])
        return gathered

    def _prepare(self, optimizer: Optimizer) -> None:
        # An optimizer of the same class, whose only parameter is the vector.
        self._optimizer = copy.copy(optimizer)
        self._optimizer.param_groups = [{**self._group, "params": [self.values]}]
        self._optimizer.state = type(optimizer.state)(dict)
        self.values.grad = self.gradient
        if self.state:
            self._optimizer.state[self.values] = self.state

    def read_options(self) -> None:
        """Take over the group's options."""
        self._optimizer.param_groups[0].update({k: v for k, v in self._group.items() if k != "params"})

    def step(self) -> None:
        """Step the vector along its gradient."""
        type(self._optimizer).step(self._optimizer)
        self.state = self._optimizer.state[self.values]

    @property
    def is_untouched(self) -> bool:
        """Return whether nobody replaced the group, or the state since it was published."""
        known, state = self._owner.param_groups, self._owner.state
        return any(group is self._group for group in known) and all(
            state.get(p) is s for p, s in self._published.items()
        )

    def publish(self) -> None:
        """Show the state at each parameter: views of what has its shape, and copies of the counters."""
        if set(self.state) != set(next(iter(self._published.values()), {})):
            for i, parameter in enumerate(self._parameters):
                start, stop = self._places[i]
                self._published[parameter] = self._owner.state[parameter] = {
                    key: value if value is None
                    # The fused kernels want counters in single precision, and torch in its default one.
                    else value.to(torch.get_default_dtype(), copy=True) if key in _COUNTERS
                    else value[start:stop].view(parameter.shape)
                    for key, value in self.state.items()
                }  # fmt: skip
        for key in set(self.state) & set(_COUNTERS):
            torch._foreach_copy_([s[key] for s in self._published.values()], [self.state[key]] * len(self._published))

    def release(self) -> None:
        """Give parameters and state their own memory again, but for what somebody replaced."""
        for parameter, view in self.pairs(self.values):
            if parameter.data_ptr() == view.data_ptr():
                parameter.data = view.clone()
        for parameter, state in self._published.items():
            if self._owner.state.get(parameter) is state:
                for key, value in state.items():
                    state[key] = value.clone() if isinstance(value, Tensor) and key not in _COUNTERS else value


class _FusedVector(_Vector):
    """A vector whose step is one call of a fused kernel, without the bookkeeping of an optimizer's step."""

    _step: Callable[[], Any]

    def _prepare(self, optimizer: Optimizer) -> None:
        pass

    def step(self) -> None:
        self._step()


class _AdamVector(_FusedVector):
    """Adam, and AdamW, whose weight decay is decoupled."""

    def _prepare(self, optimizer: Optimizer) -> None:
        self._decoupled = isinstance(optimizer, torch.optim.AdamW) or self._group.get("decoupled_weight_decay", False)

    def read_options(self) -> None:
        group, state = self._group, self.state
        state["step"] = state.get("step", torch.zeros(())).to(self.values.device, torch.float32)
        for key in ["exp_avg", "exp_avg_sq", *(["max_exp_avg_sq"] if group["amsgrad"] else [])]:
            state.setdefault(key, torch.zeros_like(self.values))
        kernel = torch._fused_adamw_ if self._decoupled else torch._fused_adam_
        beta1, beta2 = group["betas"]
        options = {name: group[name] for name in ("lr", "weight_decay", "eps", "amsgrad", "maximize")}
        most = [state["max_exp_avg_sq"]] if group["amsgrad"] else []
        lists = [self.values], [self.gradient], [state["exp_avg"]], [state["exp_avg_sq"]], most, [state["step"]]
        # A tensor is added sooner than a number, and this is done for every batch.
        count, one = state["step"], torch.ones_like(state["step"])

        def step() -> None:
            count.add_(one)
            kernel(*lists, beta1=beta1, beta2=beta2, **options)

        self._step = step


class _SGDVector(_FusedVector):
    """Stochastic gradient descent, with momentum or without."""

    def read_options(self) -> None:
        names = ("lr", "weight_decay", "momentum", "dampening", "nesterov", "maximize")
        options = {name: self._group[name] for name in names}

        def step() -> None:
            is_first = bool(options["momentum"]) and self.state.get("momentum_buffer") is None
            if is_first:
                self.state["momentum_buffer"] = torch.empty_like(self.values)
            buffers = [self.state["momentum_buffer"]] if options["momentum"] else []
            torch._fused_sgd_([self.values], [self.gradient], buffers, is_first_step=is_first, **options)

        self._step = step


_VECTORS: Mapping[type, type[_Vector]] = {
    torch.optim.Adam: _AdamVector,
    torch.optim.AdamW: _AdamVector,
    torch.optim.SGD: _SGDVector,
}


def _vector_class(optimizer: Optimizer, device: torch.device) -> type[_Vector]:
    return _VECTORS.get(type(optimizer), _Vector) if device.type in ("cpu", "cuda") else _Vector


def _signature(optimizer: Optimizer) -> list[list[tuple[int, bool]]]:
    """Return which parameters stand in which group, and which of them learn."""
    return [[(id(p), p.requires_grad) for p in group["params"]] for group in optimizer.param_groups]


def _has_hooks(optimizer: Any) -> bool:
    of_all = (_global_optimizer_pre_hooks, _global_optimizer_post_hooks)
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
    if key in _COUNTERS:
        return isinstance(value, Tensor) and isinstance(first, Tensor) and bool((value == first).all())
    return isinstance(value, Tensor) and value.shape == parameter.shape
