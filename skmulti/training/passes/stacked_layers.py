"""Analytic passes of single layers for a stack: the first dimension of inputs and parameters is the member."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from skmulti.modules._layers import Scaling
from skmulti.training.optimizers.stacked_parameters import StackedParameters
from skmulti.training.passes.images import ParametricPass
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
    """ReLU in place, after a layer with parameters: no backward pass reads the output of such a layer."""

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs for inputs of shape (n_members, width, n_features)."""
        self._out = torch.relu_(x)
        return self._out

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor:
        """Write the gradients of the parameters, and return the gradient of the inputs."""
        # In place as well: the gradient is not used again.
        result: Tensor = aten.threshold_backward.grad_input(gradient, self._out, 0, grad_input=gradient)
        return result


class Linear(ParametricPass):
    """Fully connected layers as batched products: dW = dy^T x, db = sum of dy over the rows, dx = dy W."""

    def __init__(self, layer: nn.Linear, prefix: str, parameters: StackedParameters) -> None:
        self._buffers: dict[torch.Size, tuple[Tensor, Tensor]] = {}
        self._all = [
            part.get(prefix + name) for name in ("weight", "bias") for part in (parameters.values, parameters.gradients)
        ]

    def narrow(self, n_members: int) -> None:
        """Restrict the following batches to the first `n_members` members."""
        weight, by_weight, bias, by_bias = (None if part is None else part[:n_members] for part in self._all)
        assert weight is not None
        assert by_weight is not None
        self.weight, self._weight_t, self.by_weight = weight, weight.transpose(1, 2), by_weight
        self._bias, self._by_bias = None if bias is None else bias.unsqueeze(1), by_bias

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs for inputs of shape (n_members, width, n_features)."""
        return self._product(x, self._weight_t)

    def product(self, x: Tensor, weight: Tensor) -> Tensor:
        """Return the outputs with another weight matrix of the same shape."""
        return self._product(x, weight.transpose(1, 2))

    def _product(self, x: Tensor, weight_t: Tensor) -> Tensor:
        self._x = x
        out, _ = self._buffers_for(x)
        if self._bias is None:
            return torch.bmm(x, weight_t, out=out)
        return torch.baddbmm(self._bias, x, weight_t, out=out)

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor | None:
        """Write the gradients of the parameters, and return the gradient of the inputs."""
        torch.bmm(gradient.transpose(1, 2), self._x, out=self.by_weight)
        if self._by_bias is not None:
            torch.sum(gradient, 1, out=self._by_bias)
        return torch.bmm(gradient, self.weight, out=self._buffers_for(self._x)[1]) if for_input else None

    def _buffers_for(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the memory of the outputs and of the inputs' gradient, allocated once per shape of a batch."""
        if x.shape not in self._buffers:
            self._buffers[x.shape] = x.new_empty(*x.shape[:2], self.weight.shape[1]), torch.empty_like(x)
        return self._buffers[x.shape]


class Scale(ParametricPass):
    """Each feature of each member times a factor: y = x (1 + rate * w), dw = rate * sum of dy x over the rows."""

    def __init__(self, layer: Scaling, prefix: str, parameters: StackedParameters) -> None:
        self._rate = layer.rate
        self._all = parameters.values[prefix + "weight"], parameters.gradients[prefix + "weight"]

    def narrow(self, n_members: int) -> None:
        """Restrict the following batches to the first `n_members` members."""
        self._weight, self._by_weight = (part[:n_members] for part in self._all)

    def factor(self) -> Tensor:
        """Return the factors, shape (n_members, 1, n_features)."""
        return (1 + self._rate * self._weight).unsqueeze(1)

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs for inputs of shape (n_members, width, n_features)."""
        self._x, self._factor = x, self.factor()
        return x * self._factor

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor | None:
        """Write the gradients of the parameters, and return the gradient of the inputs."""
        self.write(gradient * self._x)
        return gradient * self._factor if for_input else None

    def write(self, by_factor: Tensor) -> None:
        """Write the gradient, given summands of the factors' gradient, shape (n_members, n_summands, n_features)."""
        torch.sum(by_factor, 1, out=self._by_weight).mul_(self._rate)


class ScaledLinear(ParametricPass):
    """A scaling layer and the linear layer after it, computed as x (W f)^T instead of (x f) W^T.

    The weight matrix usually has fewer elements than the inputs of a batch, so scaling it is cheaper. With V = W f,
    the backward pass is df = sum of dV W over the units, and dW = dV f.
    """

    def __init__(self, scale: Scale, linear: Linear) -> None:
        self._scale, self._linear = scale, linear

    def narrow(self, n_members: int) -> None:
        """Restrict the following batches to the first `n_members` members."""
        self._scale.narrow(n_members)
        self._linear.narrow(n_members)

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs for inputs of shape (n_members, width, n_features)."""
        self._factor = self._scale.factor()
        return self._linear.product(x, self._linear.weight * self._factor)

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor | None:
        """Write the gradients of the parameters, and return the gradient of the inputs."""
        linear = self._linear
        linear.backward(gradient, for_input=False)
        # `by_weight` holds dV here, and dW after the last line.
        self._scale.write(linear.by_weight * linear.weight)
        linear.by_weight.mul_(self._factor)
        return torch.bmm(gradient, linear.weight * self._factor) if for_input else None


class LayerNorm(ParametricPass):
    """Layer normalization: torch's kernel normalises the rows of all members, scale and shift are per member."""

    def __init__(self, layer: nn.LayerNorm, prefix: str, parameters: StackedParameters) -> None:
        self._shape, self._eps = list(layer.normalized_shape), layer.eps
        self._all = [
            part[prefix + name] for name in ("weight", "bias") for part in (parameters.values, parameters.gradients)
        ]

    def narrow(self, n_members: int) -> None:
        """Restrict the following batches to the first `n_members` members."""
        weight, self._by_weight, bias, self._by_bias = (part[:n_members] for part in self._all)
        self._weight, self._bias = weight.unsqueeze(1), bias.unsqueeze(1)

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs for inputs of shape (n_members, width, n_features)."""
        self._x = x
        # Without scale and shift, which differ between members and which the kernel takes once for all rows.
        self._normalized, self._mean, self._scale = torch.native_layer_norm(x, self._shape, None, None, self._eps)
        return torch.addcmul(self._bias, self._normalized, self._weight)

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor | None:
        """Write the gradients of the parameters, and return the gradient of the inputs."""
        torch.sum(gradient * self._normalized, 1, out=self._by_weight)
        torch.sum(gradient, 1, out=self._by_bias)
        if not for_input:
            return None
        by_input: Tensor = aten.native_layer_norm_backward(
            gradient * self._weight, self._x, self._shape, self._mean, self._scale, None, None, [True, False, False]
        )[0]
        return by_input


class BatchNorm(ParametricPass):
    """Batch normalization: the units of all members are the channels of one call of torch's kernel."""

    training = True

    def __init__(self, layer: nn.BatchNorm1d, prefix: str, parameters: StackedParameters) -> None:
        assert layer.momentum is not None
        self._eps, self._momentum = layer.eps, layer.momentum
        self._all = [
            part[prefix + name] for name in ("weight", "bias") for part in (parameters.values, parameters.gradients)
        ]
        self._statistics = [parameters.buffers[prefix + name] for name in ("running_mean", "running_var")]
        self._n_batches_tracked = parameters.buffers[prefix + "num_batches_tracked"]

    def narrow(self, n_members: int) -> None:
        """Restrict the following batches to the first `n_members` members."""
        self._n_members = n_members
        weight, by_weight, bias, by_bias = (part[:n_members].view(-1) for part in self._all)
        self._weight, self._bias, self._by_weight, self._by_bias = weight, bias, by_weight, by_bias
        self._mean, self._var = (part[:n_members].view(-1) for part in self._statistics)

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs for inputs of shape (n_members, width, n_features)."""
        rows = self._to_channels(x)
        if self.training:
            self._n_batches_tracked[: self._n_members].add_(1)
        self._x = rows
        out, self._batch_mean, self._batch_scale = torch.native_batch_norm(
            rows, self._weight, self._bias, self._mean, self._var, self.training, self._momentum, self._eps
        )
        return self._from_channels(out)

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor | None:
        """Write the gradients of the parameters, and return the gradient of the inputs."""
        by_input, by_weight, by_bias = aten.native_batch_norm_backward(
            self._to_channels(gradient),
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
        return self._from_channels(by_input) if for_input else None

    def _to_channels(self, x: Tensor) -> Tensor:
        """Return (n_members, width, n_features) as (width, n_members * n_features)."""
        return x.transpose(0, 1).reshape(x.shape[1], -1)

    def _from_channels(self, rows: Tensor) -> Tensor:
        # Contiguous for the batched products that follow.
        return rows.unflatten(1, (self._n_members, -1)).transpose(0, 1).contiguous()


class Dropout:
    """Dropout: each member draws from its own generator the numbers that it draws when it is trained alone."""

    training = True
    sizes: Sequence[int] = ()

    def __init__(self, rates: Sequence[float], generators: Sequence[torch.Generator]) -> None:
        self._rates, self._generators = rates, generators

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs for inputs of shape (n_members, width, n_features)."""
        if not self.training:
            return x
        # Only the rows of each member draw: padding rows would move its generator on.
        self._scaled_mask = torch.ones_like(x)
        for k, size in enumerate(self.sizes):
            if self._rates[k]:
                keep = 1 - self._rates[k]
                self._scaled_mask[k, :size].bernoulli_(keep, generator=self._generators[k]).div_(keep)
        return x * self._scaled_mask

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor:
        """Write the gradients of the parameters, and return the gradient of the inputs."""
        return gradient * self._scaled_mask


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
