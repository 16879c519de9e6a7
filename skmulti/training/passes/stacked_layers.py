"""The passes of single layers, all members at once: batched products, and each member's own scale and shift."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from skmulti.modules._layers import Scaling
from skmulti.training.optimizers.stacked_parameters import StackedParameters
from skmulti.training.passes.images import Learning
from skmulti.training.passes.layers import Flatten, Identity

aten = torch.ops.aten


class _Flatten(Flatten):
    def __init__(self, layer: nn.Module, prefix: str, parameters: StackedParameters) -> None:
        pass

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs for inputs of shape (n_members, width, n_features)."""
        self._shape = x.shape
        return x.flatten(2)


class ReLUInPlace:
    """The rectifier after a layer that learns, whose output nobody else keeps."""

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs for inputs of shape (n_members, width, n_features)."""
        self._out = torch.relu_(x)
        return self._out

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor:
        """Write the members' gradients; return that of the inputs."""
        result: Tensor = aten.threshold_backward.grad_input(gradient, self._out, 0, grad_input=gradient)
        return result


class Linear(Learning):
    """Fully connected layers, as batched products."""

    def __init__(self, layer: nn.Linear, prefix: str, parameters: StackedParameters) -> None:
        self._known: dict[torch.Size, tuple[Tensor, Tensor]] = {}
        self._all = [
            part.get(prefix + name) for name in ("weight", "bias") for part in (parameters.values, parameters.gradients)
        ]

    def narrow(self, n_members: int) -> None:
        """Let the next batches be those of the first members only."""
        weight, by_weight, bias, by_bias = (None if part is None else part[:n_members] for part in self._all)
        assert weight is not None
        assert by_weight is not None
        self.weight, self._weight_t, self.by_weight = weight, weight.transpose(1, 2), by_weight
        self._bias, self._by_bias = None if bias is None else bias.unsqueeze(1), by_bias

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs for inputs of shape (n_members, width, n_features)."""
        return self._product(x, self._weight_t)

    def product(self, x: Tensor, weight: Tensor) -> Tensor:
        """Return the outputs with other weights of the same shape."""
        return self._product(x, weight.transpose(1, 2))

    def _product(self, x: Tensor, weight_t: Tensor) -> Tensor:
        self._x = x
        out, _ = self._places(x)
        if self._bias is None:
            return torch.bmm(x, weight_t, out=out)
        return torch.baddbmm(self._bias, x, weight_t, out=out)

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor | None:
        """Write the members' gradients; return that of the inputs."""
        torch.bmm(gradient.transpose(1, 2), self._x, out=self.by_weight)
        if self._by_bias is not None:
            torch.sum(gradient, 1, out=self._by_bias)
        return torch.bmm(gradient, self.weight, out=self._places(self._x)[1]) if for_input else None

    def _places(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return where outputs and the gradient of inputs go: the same memory for every batch of a shape."""
        if x.shape not in self._known:
            self._known[x.shape] = x.new_empty(*x.shape[:2], self.weight.shape[1]), torch.empty_like(x)
        return self._known[x.shape]


class Scale(Learning):
    """Each feature of each member times its own factor."""

    def __init__(self, layer: Scaling, prefix: str, parameters: StackedParameters) -> None:
        self._rate = layer.rate
        self._all = parameters.values[prefix + "weight"], parameters.gradients[prefix + "weight"]

    def narrow(self, n_members: int) -> None:
        """Let the next batches be those of the first members only."""
        self._weight, self._by_weight = (part[:n_members] for part in self._all)

    def factor(self) -> Tensor:
        """Return the factors, shape (n_members, 1, n_features)."""
        return (1 + self._rate * self._weight).unsqueeze(1)

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs for inputs of shape (n_members, width, n_features)."""
        self._x, self._factor = x, self.factor()
        return x * self._factor

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor | None:
        """Write the members' gradients; return that of the inputs."""
        self.write(gradient * self._x)
        return gradient * self._factor if for_input else None

    def write(self, by_factor: Tensor) -> None:
        """Write the gradient, from that of the factors in parts, shape (n_members, n_parts, n_features)."""
        torch.sum(by_factor, 1, out=self._by_weight).mul_(self._rate)


class ScaledLinear(Learning):
    """A scaling of the inputs and the layer behind it: the factors are the weights', which are fewer than the inputs.

    The gradient of a factor comes from that of the weights, and none is needed of the scaled inputs.
    """

    def __init__(self, scale: Scale, linear: Linear) -> None:
        self._scale, self._linear = scale, linear

    def narrow(self, n_members: int) -> None:
        """Let the next batches be those of the first members only."""
        self._scale.narrow(n_members)
        self._linear.narrow(n_members)

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs for inputs of shape (n_members, width, n_features)."""
        self._factor = self._scale.factor()
        return self._linear.product(x, self._linear.weight * self._factor)

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor | None:
        """Write the members' gradients; return that of the inputs."""
        linear = self._linear
        linear.backward(gradient, for_input=False)
        # So far it is the gradient of the scaled weights.
        self._scale.write(linear.by_weight * linear.weight)
        linear.by_weight.mul_(self._factor)
        return torch.bmm(gradient, linear.weight * self._factor) if for_input else None


class LayerNorm(Learning):
    """Normalization of each row, and each member's own scale and shift."""

    def __init__(self, layer: nn.LayerNorm, prefix: str, parameters: StackedParameters) -> None:
        self._shape, self._eps = list(layer.normalized_shape), layer.eps
        self._all = [
            part[prefix + name] for name in ("weight", "bias") for part in (parameters.values, parameters.gradients)
        ]

    def narrow(self, n_members: int) -> None:
        """Let the next batches be those of the first members only."""
        weight, self._by_weight, bias, self._by_bias = (part[:n_members] for part in self._all)
        self._weight, self._bias = weight.unsqueeze(1), bias.unsqueeze(1)

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs for inputs of shape (n_members, width, n_features)."""
        self._x = x
        self._normal, self._mean, self._scale = torch.native_layer_norm(x, self._shape, None, None, self._eps)
        return torch.addcmul(self._bias, self._normal, self._weight)

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor | None:
        """Write the members' gradients; return that of the inputs."""
        torch.sum(gradient * self._normal, 1, out=self._by_weight)
        torch.sum(gradient, 1, out=self._by_bias)
        if not for_input:
            return None
        by_input: Tensor = aten.native_layer_norm_backward(
            gradient * self._weight, self._x, self._shape, self._mean, self._scale, None, None, [True, False, False]
        )[0]
        return by_input


class BatchNorm(Learning):
    """Normalization over the rows of each member's batch: the units of all members are so many channels."""

    learns = True

    def __init__(self, layer: nn.BatchNorm1d, prefix: str, parameters: StackedParameters) -> None:
        assert layer.momentum is not None
        self._eps, self._momentum = layer.eps, layer.momentum
        self._all = [
            part[prefix + name] for name in ("weight", "bias") for part in (parameters.values, parameters.gradients)
        ]
        self._statistics = [parameters.buffers[prefix + name] for name in ("running_mean", "running_var")]
        self._counted = parameters.buffers[prefix + "num_batches_tracked"]

    def narrow(self, n_members: int) -> None:
        """Let the next batches be those of the first members only."""
        self._n_members = n_members
        weight, by_weight, bias, by_bias = (part[:n_members].view(-1) for part in self._all)
        self._weight, self._bias, self._by_weight, self._by_bias = weight, bias, by_weight, by_bias
        self._mean, self._var = (part[:n_members].view(-1) for part in self._statistics)

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs for inputs of shape (n_members, width, n_features)."""
        rows = self._to_rows(x)
        if self.learns:
            self._counted[: self._n_members].add_(1)
        self._x = rows
        out, self._batch_mean, self._batch_scale = torch.native_batch_norm(
            rows, self._weight, self._bias, self._mean, self._var, self.learns, self._momentum, self._eps
        )
        return self._from_rows(out)

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor | None:
        """Write the members' gradients; return that of the inputs."""
        by_input, by_weight, by_bias = aten.native_batch_norm_backward(
            self._to_rows(gradient),
            self._x,
            self._weight,
            self._mean,
            self._var,
            self._batch_mean,
            self._batch_scale,
            True,
            self._eps,
            [for_input, True, True],
        )
        self._by_weight.copy_(by_weight)
        self._by_bias.copy_(by_bias)
        return self._from_rows(by_input) if for_input else None

    def _to_rows(self, x: Tensor) -> Tensor:
        return x.transpose(0, 1).reshape(x.shape[1], -1)

    def _from_rows(self, rows: Tensor) -> Tensor:
        return rows.unflatten(1, (self._n_members, -1)).transpose(0, 1).contiguous()


class Dropout:
    """Units left out at random, drawn for each member as it would draw them by itself."""

    learns = True
    sizes: Sequence[int] = ()

    def __init__(self, shares: Sequence[float], generators: Sequence[torch.Generator]) -> None:
        self._shares, self._generators = shares, generators

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs for inputs of shape (n_members, width, n_features)."""
        if not self.learns:
            return x
        self._noise = torch.ones_like(x)
        for k, size in enumerate(self.sizes):
            if self._shares[k]:
                kept = 1 - self._shares[k]
                self._noise[k, :size].bernoulli_(kept, generator=self._generators[k]).div_(kept)
        return x * self._noise

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor:
        """Write the members' gradients; return that of the inputs."""
        return gradient * self._noise


def _identity(layer: nn.Module, prefix: str, parameters: StackedParameters) -> Identity:
    return Identity(layer, {})


LAYERS: Mapping[type[nn.Module], Callable[[Any, str, StackedParameters], Any]] = {
    nn.Linear: Linear,
    Scaling: Scale,
    nn.Flatten: _Flatten,
    nn.LayerNorm: LayerNorm,
    nn.BatchNorm1d: BatchNorm,
    nn.Identity: _identity,
}
