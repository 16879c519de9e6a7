"""Passes one after the other, and heads side by side on what they emit."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from skmulti.training.passes.images import Learning
from skmulti.training.passes.layers import Identity, Pass


class Chain:
    """One pass after the other."""

    def __init__(self, passes: list[Pass]) -> None:
        passes = [one for one in passes if not isinstance(one, Identity)]
        self._forward = [one.forward for one in passes]
        self._backward = passes[::-1]
        # Before the first layer that learns, nobody needs a gradient.
        self._first = next((one for one in passes if isinstance(one, Learning)), None)

    @classmethod
    def of(cls, passes: list[Pass | None]) -> Chain | None:
        """Return the chain of passes that are all known, or None."""
        known = [one for one in passes if one is not None]
        return cls(known) if len(known) == len(passes) else None

    def forward(self, x: Tensor) -> Tensor:
        """Return what the last pass emits."""
        for forward in self._forward:
            x = forward(x)
        return x

    def backward(self, gradient: Any, *, for_input: bool = True) -> Tensor | None:
        """Go back through the passes, from the gradient of what was emitted."""
        stop = None if for_input else self._first
        for one in self._backward:
            if one is stop:
                return one.backward(gradient, for_input=False)
            gradient = one.backward(gradient)
        result: Tensor = gradient
        return result


class Heads:
    """A trunk, and heads side by side on what it emits."""

    def __init__(self, trunk: Chain, heads: list[Chain]) -> None:
        self._trunk, self._heads = trunk, heads
        self._widths: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        """Return what the heads emit, side by side."""
        features = self._trunk.forward(x)
        outputs = [head.forward(features) for head in self._heads]
        self._widths = [output.shape[-1] for output in outputs]
        return torch.cat(outputs, dim=-1)

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor | None:
        """Go back through the heads, and through the trunk with the sum of what they say."""
        total: Tensor | None = None
        # Autograd adds up in this order.
        for head, part in reversed(list(zip(self._heads, gradient.split(self._widths, dim=-1), strict=True))):
            one = head.backward(part)
            total = one if total is None or one is None else total + one
        assert total is not None
        return self._trunk.backward(total, for_input=for_input)
