"""Analytic forward and backward passes of single layers on rows of features, and the table of supported layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skmulti.modules._layers import Scaling
from skmulti.training.passes.images import Convolution, MaxPool2x2, ParametricPass

aten = torch.ops.aten
# Resolved once, not in every step.
_threshold_backward = aten.threshold_backward.default

Gradients = Mapping[nn.Parameter, Tensor]


class Pass(Protocol):
    """The analytic forward and backward pass of a layer or of several layers."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs for inputs of shape (n_rows, n_features), and store the tensors that `backward` needs."""
        ...

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor | None:
        """Write the gradients of the parameters, and return the gradient of the inputs.

        Parameters
        ----------
        gradient : Tensor
            The gradient of the loss with respect to the outputs of the last `forward`. It may be overwritten.
        for_input : bool, default=True
            Whether the gradient of the inputs is needed; without it, None may be returned.
        """
        ...


def passes_of(layers: Any, gradients: Gradients) -> list[Pass | None]:
    """Return the pass of each layer, None for an unsupported layer."""
    return [_LAYERS.get(type(layer), _unsupported)(layer, gradients) for layer in layers]


def is_activation(layer: nn.Module) -> bool:
    """Return whether a layer is a supported elementwise activation, which works for any shape."""
    return type(layer) in _ACTIVATIONS


def _unsupported(layer: nn.Module, gradients: Gradients) -> None:
    return None


class Flatten:
    """Flattening of rows of any shape to rows of features."""

    @classmethod
    def of(cls, layer: nn.Flatten, gradients: Gradients) -> Flatten | None:
        """Return the pass of a layer that flattens all but the first dimension, None for any other."""
        return cls() if (layer.start_dim, layer.end_dim) == (1, -1) else None

    def forward(self, x: Tensor) -> Tensor:
        """Return the inputs in shape (n_rows, n_features)."""
        self._shape = x.shape
        return x.flatten(1)

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor:
        """Return the gradient in the shape of the inputs."""
        return gradient.view(self._shape)


class Identity:
    """The identity; `Chain` drops it."""

    def __init__(self, layer: nn.Module, gradients: Gradients) -> None:
        pass

    def forward(self, x: Tensor) -> Tensor:
        """Return the inputs."""
        return x

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor:
        """Return the gradient of the outputs."""
        return gradient


class _Linear(ParametricPass):
    """A fully connected layer: y = x W^T + b, dW = dy^T x, db = sum of dy over the rows, dx = dy W."""

    def __init__(self, layer: nn.Linear, gradients: Gradients) -> None:
        # `.data`: a plain tensor on the parameter's memory, without the metadata of autograd.
        weight: Any = layer.weight
        self._weight, self._weight_t = weight.data, weight.data.t()
        self._by_weight = gradients[weight]
        bias: Any = layer.bias
        self._bias = None if bias is None else bias.data
        self._by_bias = None if bias is None else gradients[bias]

    def forward(self, x: Tensor) -> Tensor:
        self._x = x
        return torch.mm(x, self._weight_t) if self._bias is None else torch.addmm(self._bias, x, self._weight_t)

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor | None:
        # Written straight into the vector of gradients that the flat optimizer reads.
        torch.mm(gradient.t(), self._x, out=self._by_weight)
        if self._by_bias is not None:
            torch.sum(gradient, 0, out=self._by_bias)
        return torch.mm(gradient, self._weight) if for_input else None


class _Scaling(ParametricPass):
    """Each feature times a factor: y = x (1 + rate * w), dw = rate * sum of dy x over the rows."""

    def __init__(self, layer: Scaling, gradients: Gradients) -> None:
        self._weight, self._rate, self._by_weight = layer.weight.data, layer.rate, gradients[layer.weight]

    def forward(self, x: Tensor) -> Tensor:
        self._x, self._factor = x, 1 + self._rate * self._weight
        return x * self._factor

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor | None:
        torch.sum(gradient * self._x, 0, out=self._by_weight).mul_(self._rate)
        return gradient * self._factor if for_input else None


class _LayerNorm(ParametricPass):
    """Layer normalization by the kernels that autograd calls."""

    def __init__(self, layer: nn.LayerNorm, gradients: Gradients) -> None:
        self._shape, self._eps = list(layer.normalized_shape), layer.eps
        self._weight, self._bias = layer.weight, layer.bias
        self._by_weight = None if layer.weight is None else gradients[layer.weight]
        self._by_bias = None if layer.bias is None else gradients[layer.bias]

    def forward(self, x: Tensor) -> Tensor:
        self._x = x
        out, self._mean, self._scale = torch.native_layer_norm(x, self._shape, self._weight, self._bias, self._eps)
        return out

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor | None:
        output_mask = [for_input, self._by_weight is not None, self._by_bias is not None]
        by_input, by_weight, by_bias = aten.native_layer_norm_backward(
            gradient, self._x, self._shape, self._mean, self._scale, self._weight, self._bias, output_mask
        )
        _write(self._by_weight, by_weight)
        _write(self._by_bias, by_bias)
        result: Tensor | None = by_input
        return result


class _BatchNorm(ParametricPass):
    """Batch normalization by the kernels that autograd calls."""

    def __init__(self, layer: nn.BatchNorm1d, gradients: Gradients) -> None:
        self._layer = layer
        self._by_weight, self._by_bias = gradients[layer.weight], gradients[layer.bias]

    @classmethod
    def of(cls, layer: nn.BatchNorm1d, gradients: Gradients) -> _BatchNorm | None:
        """Return the pass of a layer with affine parameters, running statistics and a momentum, None for any other."""
        is_supported = layer.affine and layer.track_running_stats and layer.momentum is not None
        return cls(layer, gradients) if is_supported else None

    def forward(self, x: Tensor) -> Tensor:
        layer = self._layer
        if len(x) == 1:
            # The kernel lacks the check of `torch.nn.functional.batch_norm`: same error, same words.
            raise ValueError(f"Expected more than 1 value per channel when training, got input size {x.size()}")
        assert layer.num_batches_tracked is not None
        assert layer.momentum is not None
        layer.num_batches_tracked.add_(1)
        self._x = x
        out, self._mean, self._scale = torch.native_batch_norm(
            x, layer.weight, layer.bias, layer.running_mean, layer.running_var, True, layer.momentum, layer.eps
        )
        return out

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor | None:
        layer, statistics = self._layer, (self._mean, self._scale)
        running = (layer.running_mean, layer.running_var)
        by_input, by_weight, by_bias = aten.native_batch_norm_backward(
            gradient, self._x, layer.weight, *running, *statistics, True, layer.eps, [for_input, True, True]
        )
        _write(self._by_weight, by_weight)
        _write(self._by_bias, by_bias)
        result: Tensor | None = by_input
        return result


class _Dropout:
    """Dropout with the random numbers that `torch.nn.functional.dropout` draws."""

    def __init__(self, layer: nn.Dropout, gradients: Gradients) -> None:
        self._p = layer.p

    def forward(self, x: Tensor) -> Tensor:
        # On the CPU torch draws the mask with `bernoulli_`, on other devices in a fused kernel.
        if x.device.type == "cpu":
            self._scaled_mask = torch.empty_like(x).bernoulli_(1 - self._p).div_(1 - self._p)
            return x * self._scaled_mask
        out, mask = torch.native_dropout(x, self._p, True)
        self._scaled_mask = mask.to(x.dtype).div_(1 - self._p)
        return out

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor:
        return gradient * self._scaled_mask


class _ReLU:
    """ReLU, the most frequent activation: its own class saves the indirect calls of `_Activation`."""

    def __init__(self, layer: nn.ReLU, gradients: Gradients) -> None:
        pass

    def forward(self, x: Tensor) -> Tensor:
        self._out = out = torch.relu(x)
        return out

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor:
        result: Tensor = _threshold_backward(gradient, self._out, 0)
        return result


class _Activation:
    """An activation whose derivative is computed from its inputs, or from its outputs."""

    def __init__(
        self,
        function: Callable[[Tensor], Tensor],
        derivative: Callable[[Tensor, Tensor], Tensor],
        *,
        from_outputs: bool = False,
    ) -> None:
        self._function, self._derivative, self._from_outputs = function, derivative, from_outputs

    def forward(self, x: Tensor) -> Tensor:
        out = self._function(x)
        self._saved = out if self._from_outputs else x
        return out

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor:
        return self._derivative(gradient, self._saved)


def _tanh(layer: nn.Tanh, gradients: Gradients) -> _Activation:
    return _Activation(torch.tanh, aten.tanh_backward.default, from_outputs=True)


def _sigmoid(layer: nn.Sigmoid, gradients: Gradients) -> _Activation:
    return _Activation(torch.sigmoid, aten.sigmoid_backward.default, from_outputs=True)


def _gelu(layer: nn.GELU, gradients: Gradients) -> _Activation:
    approximate = layer.approximate
    return _Activation(
        lambda x: F.gelu(x, approximate=approximate),
        lambda gradient, x: aten.gelu_backward(gradient, x, approximate=approximate),
    )


def _silu(layer: nn.SiLU, gradients: Gradients) -> _Activation:
    return _Activation(F.silu, aten.silu_backward.default)


def _mish(layer: nn.Mish, gradients: Gradients) -> _Activation:
    return _Activation(F.mish, aten.mish_backward.default)


def _elu(layer: nn.ELU, gradients: Gradients) -> _Activation:
    alpha = layer.alpha
    return _Activation(
        lambda x: F.elu(x, alpha), lambda gradient, x: aten.elu_backward(gradient, alpha, 1, 1, False, x)
    )


def _leaky_relu(layer: nn.LeakyReLU, gradients: Gradients) -> _Activation:
    slope = layer.negative_slope
    return _Activation(
        lambda x: F.leaky_relu(x, slope), lambda gradient, x: aten.leaky_relu_backward(gradient, x, slope, False)
    )


def _softplus(layer: nn.Softplus, gradients: Gradients) -> _Activation:
    beta, threshold = layer.beta, layer.threshold
    return _Activation(
        lambda x: F.softplus(x, beta, threshold),
        lambda gradient, x: aten.softplus_backward(gradient, x, beta, threshold),
    )


def _dropout(layer: nn.Dropout, gradients: Gradients) -> _Dropout | Identity | None:
    if layer.p == 0:
        return Identity(layer, gradients)
    # With p = 1 the scale 1 / (1 - p) is infinite.
    return _Dropout(layer, gradients) if layer.p < 1 else None


def _write(out: Tensor | None, value: Tensor | None) -> None:
    if out is not None and value is not None:
        out.copy_(value)


# Exact types are looked up: a subclass may override `forward`.
_ACTIVATIONS: Mapping[type[nn.Module], Callable[[Any, Gradients], Any]] = {
    nn.ReLU: _ReLU,
    nn.Tanh: _tanh,
    nn.Sigmoid: _sigmoid,
    nn.GELU: _gelu,
    nn.SiLU: _silu,
    nn.Mish: _mish,
    nn.ELU: _elu,
    nn.LeakyReLU: _leaky_relu,
    nn.Softplus: _softplus,
}
_LAYERS: Mapping[type[nn.Module], Callable[[Any, Gradients], Any]] = {
    **_ACTIVATIONS,
    nn.Linear: _Linear,
    Scaling: _Scaling,
    nn.Flatten: Flatten.of,
    nn.Conv2d: Convolution.of,
    nn.MaxPool2d: MaxPool2x2.of,
    nn.LayerNorm: _LayerNorm,
    nn.BatchNorm1d: _BatchNorm.of,
    nn.Identity: Identity,
    nn.Dropout: _dropout,
}
