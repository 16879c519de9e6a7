"""Passes applied sequentially, and heads that share the output of a trunk."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from skmulti.training.passes.images import ParametricPass
from skmulti.training.passes.layers import Identity, Pass


class Chain:
    """Passes that are applied sequentially."""

    def __init__(self, passes: list[Pass]) -> None:
        passes = [step for step in passes if not isinstance(step, Identity)]
        self._forward = [step.forward for step in passes]
        self._backward = passes[::-1]
        # No gradient is needed before the first layer with parameters.
        self._first = next((step for step in passes if isinstance(step, ParametricPass)), None)

    @classmethod
    def of(cls, passes: list[Pass | None]) -> Chain | None:
        """Return the chain of the passes, None if one of them is unsupported."""
        supported = [step for step in passes if step is not None]
        return cls(supported) if len(supported) == len(passes) else None

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of the last pass."""
        for forward in self._forward:
            x = forward(x)
        return x

    def backward(self, gradient: Any, *, for_input: bool = True) -> Tensor | None:
        """Run the backward passes in reverse order, given the gradient of the output."""
        stop = None if for_input else self._first
        for step in self._backward:
            if step is stop:
                return step.backward(gradient, for_input=False)
            gradient = step.backward(gradient)
        result: Tensor = gradient
        return result


class Heads:
    """A trunk and the heads that share its output."""

    def __init__(self, trunk: Chain, heads: list[Chain]) -> None:
        self._trunk, self._heads = trunk, heads
        self._widths: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        """Return the concatenated outputs of the heads."""
        features = self._trunk.forward(x)
        outputs = [head.forward(features) for head in self._heads]
        self._widths = [output.shape[-1] for output in outputs]
        return torch.cat(outputs, dim=-1)

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor | None:
        """Run the backward passes of the heads, then that of the trunk on the sum of their gradients."""
        total: Tensor | None = None
        # Autograd adds in this order: the sum is the same to the last bit.
        for head, part in reversed(list(zip(self._heads, gradient.split(self._widths, dim=-1), strict=True))):
            by_features = head.backward(part)
            total = by_features if total is None or by_features is None else total + by_features
        assert total is not None
        return self._trunk.backward(total, for_input=for_input)
