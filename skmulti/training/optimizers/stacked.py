"""The optimizers of a stack: adjacent members with equal options step in one call."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer

from skmulti._compat import foreach_copy_, fused_sgd_
from skmulti.training.optimizers.stacked_parameters import StackedParameters
from skmulti.training.optimizers.vectors import COUNTERS, AdamVector, SGDVector, adam_kernel, sgd_options, vector_class

# The optimizer state of one parameter.
State = dict[str, Any]


class StackedOptimizer:
    """The optimizers of all members; each member keeps the state that it would have alone.

    Parameters
    ----------
    optimizers : sequence of torch.optim.Optimizer
        Optimizers of one class that `FlatOptimizer.can_hold` accepts, with the same groups of parameters.
    modules : sequence of torch.nn.Module
        The modules of the members.
    parameters : StackedParameters
        The stacked parameters and gradients.
    n_batches : sequence of int
        The number of steps of each member per epoch, in decreasing order.
    """

    def __init__(
        self,
        optimizers: Sequence[Optimizer],
        modules: Sequence[Any],
        parameters: StackedParameters,
        n_batches: Sequence[int],
    ) -> None:
        self._optimizers, self._parameters, self._n_batches = list(optimizers), parameters, list(n_batches)
        self._named = [dict(zip(parameters.values, module.parameters(), strict=True)) for module in modules]
        names = {parameter: name for name, parameter in self._named[0].items()}
        self._groups = [[names[p] for p in group["params"] if p.requires_grad] for group in optimizers[0].param_groups]
        self._states = [
            {name: dict(optimizer.state.get(named[name], {})) for group in self._groups for name in group}
            for optimizer, named in zip(optimizers, self._named, strict=True)
        ]
        self._runs: list[_Run] = []
        self.read_options()

    def read_options(self) -> None:
        """Read the options of all members, which a schedule may have changed, and form runs of equal ones."""
        options = [
            [{k: v for k, v in group.items() if k not in ("params", "initial_lr")} for group in optimizer.param_groups]
            for optimizer in self._optimizers
        ]
        if self._runs and all(options[k] == run.options for run in self._runs for k in range(run.start, run.stop)):
            return
        if self._runs and all(run.can_take(options[run.start : run.stop]) for run in self._runs):
            # The same schedule for all: the runs stay as they are.
            for run in self._runs:
                run.read_options(options[run.start])
            return
        self._gather_states()
        # The number of batches too: a member with fewer batches stops stepping earlier in an epoch.
        keys = [(options[k], self._n_batches[k], _counts(state)) for k, state in enumerate(self._states)]
        starts = [k for k, key in enumerate(keys) if not k or key != keys[k - 1]]
        self._runs = [
            _Run(start, stop, options[start], self._optimizers[start], self._groups, self._parameters, self._states)
            for start, stop in zip(starts, [*starts[1:], len(keys)], strict=True)
        ]

    def step(self, n_members: int) -> None:
        """Update the first `n_members` members; to be called under `torch.no_grad`."""
        for run in self._runs:
            if run.start < n_members:
                run.step()

    def keep(self, members: Sequence[int], parameters: StackedParameters) -> None:
        """Keep only some members, whose parameters have been stacked again."""
        self._gather_states()
        self._parameters = parameters
        self._optimizers = [self._optimizers[k] for k in members]
        self._named = [self._named[k] for k in members]
        self._states = [self._states[k] for k in members]
        self._n_batches = [self._n_batches[k] for k in members]
        self._runs = []
        self.read_options()

    def publish(self, members: Sequence[int]) -> None:
        """Store the current state in the optimizers of members."""
        self._gather_states()
        for k in members:
            for name, state in self._states[k].items():
                if state:
                    self._optimizers[k].state[self._named[k][name]] = {
                        key: value.to(torch.get_default_dtype(), copy=True) if key in COUNTERS
                        else value.clone() if isinstance(value, Tensor) else value
                        for key, value in state.items()
                    }  # fmt: skip

    def _gather_states(self) -> None:
        for run in self._runs:
            for name, state in run.states():
                for k in range(run.start, run.stop):
                    self._states[k][name] = {
                        key: value if key in COUNTERS or value is None else value[k - run.start]
                        for key, value in state.items()
                    }


class _Run:
    """Adjacent members with equal options and an equal number of steps."""

    def __init__(
        self,
        start: int,
        stop: int,
        options: list[dict[str, Any]],
        owner: Optimizer,
        groups: Sequence[Sequence[str]],
        parameters: StackedParameters,
        states: Sequence[dict[str, State]],
    ) -> None:
        self.start, self.stop, self.options = start, stop, options
        self._parts: list[_Part] = []
        for group, names in zip(owner.param_groups, groups, strict=True):
            if names:
                values = [parameters.values[name][start:stop] for name in names]
                gradients = [parameters.gradients[name][start:stop] for name in names]
                stacked = [_stacked([states[k][name] for k in range(start, stop)]) for name in names]
                kind = _PARTS.get(vector_class(owner, group), _Part)
                is_whole = stop - start == len(states) and list(names) == list(parameters.values)
                self._parts.append(kind(owner, group, list(names), values, gradients, stacked, parameters, is_whole))

    def can_take(self, options: Sequence[list[dict[str, Any]]]) -> bool:
        """Return whether only the learning rate has changed, and to the same value for all members."""
        expected = [{**group, "lr": new["lr"]} for group, new in zip(self.options, options[0], strict=True)]
        return options[0] == expected and all(of_member == options[0] for of_member in options)

    def read_options(self, options: list[dict[str, Any]]) -> None:
        self.options = options
        for part in self._parts:
            part.read_options()

    def step(self) -> None:
        for part in self._parts:
            part.step()

    def states(self) -> list[tuple[str, State]]:
        return [pair for part in self._parts for pair in part.states()]


class _Part:
    """The parameters of one group of a run, and the step of any elementwise optimizer on them."""

    _step: Callable[[], Any]

    def __init__(
        self,
        owner: Optimizer,
        group: dict[str, Any],
        names: list[str],
        values: list[Tensor],
        gradients: list[Tensor],
        states: list[State],
        parameters: StackedParameters,
        is_whole: bool,
    ) -> None:
        self._owner, self._group, self._names = owner, group, names
        self._values, self._gradients, self._states = values, gradients, states
        # If the part covers all parameters of all members, one call can step on the flat vector.
        self._whole = parameters if is_whole and parameters.flat is not None else None
        self._prepare()

    def _prepare(self) -> None:
        optimizer = copy.copy(self._owner)
        optimizer.param_groups = [{**self._group, "params": self._values}]
        optimizer.state = type(self._owner.state)(dict)
        for value, gradient, state in zip(self._values, self._gradients, self._states, strict=True):
            value.grad = gradient
            if state:
                optimizer.state[value] = state
        self._optimizer = optimizer
        # Without torch's wrappers for hooks and profilers.
        step = inspect.unwrap(type(self._owner).step)
        self._step = lambda: step(optimizer)

    def read_options(self) -> None:
        """Read the options of the group, which have changed."""
        self._optimizer.param_groups[0].update({k: v for k, v in self._group.items() if k != "params"})

    def step(self) -> None:
        self._step()

    def states(self) -> list[tuple[str, State]]:
        return [(name, self._optimizer.state[value]) for name, value in zip(self._names, self._values, strict=True)]


class _AdamPart(_Part):
    """Adam and AdamW by torch's fused kernels."""

    def _prepare(self) -> None:
        kernel, options = adam_kernel(self._owner, self._group)
        self._count = torch.as_tensor(self._states[0].get("step", 0.0)).to(torch.float32, copy=True)
        keys = ["exp_avg", "exp_avg_sq", *(["max_exp_avg_sq"] if options["amsgrad"] else [])]
        values, gradients = self._values, self._gradients
        moments = [
            [state.get(key, torch.zeros_like(v)) for v, state in zip(values, self._states, strict=True)] for key in keys
        ]
        self._set_states(keys, moments)
        if self._whole is not None:
            assert self._whole.flat is not None
            assert self._whole.flat_gradient is not None
            values, gradients, flat = [self._whole.flat], [self._whole.flat_gradient], []
            # The moments move into flat vectors with the layout of the values; their states are views of these.
            for i, separate in enumerate(moments):
                flat.append([torch.zeros_like(self._whole.flat)])
                parts = list(self._whole.parts(flat[i][0], self._whole.values).values())
                foreach_copy_(parts, separate)
                moments[i] = parts
            self._set_states(keys, moments)
            moments = flat
        max_moments = moments[2] if options["amsgrad"] else []
        counts, one = [self._count] * len(values), torch.ones_like(self._count)

        def step() -> None:
            self._count.add_(one)
            kernel(values, gradients, moments[0], moments[1], max_moments, counts, **options)

        self._step, self._options = step, options

    def read_options(self) -> None:
        """Read the options of the group, which have changed."""
        self._options.update(adam_kernel(self._owner, self._group)[1])

    def _set_states(self, keys: Sequence[str], moments: Sequence[Sequence[Tensor]]) -> None:
        self._states = [
            {"step": self._count, **dict(zip(keys, tensors, strict=True))} for tensors in zip(*moments, strict=True)
        ]

    def states(self) -> list[tuple[str, State]]:
        # Before its first step an optimizer of torch has no state.
        return list(zip(self._names, self._states, strict=True)) if self._count else []


class _SGDPart(_Part):
    """Stochastic gradient descent by torch's fused kernel."""

    def _prepare(self) -> None:
        self.read_options()

    def read_options(self) -> None:
        """Read the options of the group, which have changed."""
        self._options = sgd_options(self._group)

    def step(self) -> None:
        momentum = bool(self._options["momentum"])
        is_first = momentum and self._states[0].get("momentum_buffer") is None
        if is_first:
            for value, state in zip(self._values, self._states, strict=True):
                state["momentum_buffer"] = torch.empty_like(value)
        buffers = [state["momentum_buffer"] for state in self._states] if momentum else []
        fused_sgd_(self._values, self._gradients, buffers, is_first_step=is_first, **self._options)

    def states(self) -> list[tuple[str, State]]:
        return list(zip(self._names, self._states, strict=True))


_PARTS: dict[type, type[_Part]] = {AdamVector: _AdamPart, SGDVector: _SGDPart}


def _counts(states: dict[str, State]) -> list[Any]:
    """Return what must be equal for members to step together: counters, and which kinds of state exist."""
    first = next(iter(states.values()), {})
    return [(key, float(value) if key in COUNTERS else value is None) for key, value in first.items()]


def _stacked(states: Sequence[State]) -> State:
    return {
        key: value.clone() if key in COUNTERS else value if value is None
        else torch.stack([state[key] for state in states])
        for key, value in states[0].items()
    }  # fmt: skip
