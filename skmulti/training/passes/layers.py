"""The passes of single layers of a network for rows of features, and the table of all that are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skmulti.modules._layers import Scaling
from skmulti.training.passes.images import Convolution, Learning, MaxPool2x2

aten = torch.ops.aten
_threshold_backward = aten.threshold_backward.default

Gradients = Mapping[nn.Parameter, Tensor]


class Pass(Protocol):
    """A part of a network that goes forward, and then backward with what it kept."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs for inputs of shape (n_rows, n_features), and keep what `backward` needs."""
        ...

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor | None:
        """Write the parameters' gradients; return that of the inputs, from that of the outputs."""
        ...


def passes_of(layers: Any, gradients: Gradients) -> list[Pass | None]:
    """Return the pass of each layer, None for one that is not known."""
    return [_LAYERS.get(type(layer), _unknown)(layer, gradients) for layer in layers]


def is_activation(layer: nn.Module) -> bool:
    """Return whether a layer is known, and treats each number for itself, whatever the shape."""
    return type(layer) in _ACTIVATIONS


def _unknown(layer: nn.Module, gradients: Gradients) -> None:
    return None


class Flatten:
    """Rows of any shape as rows of features."""

    @classmethod
    def of(cls, layer: nn.Flatten, gradients: Gradients) -> Flatten | None:
        """Return the pass of a layer that keeps the rows, or None."""
        return cls() if (layer.start_dim, layer.end_dim) == (1, -1) else None

    def forward(self, x: Tensor) -> Tensor:
        """Return rows of features."""
        self._shape = x.shape
        return x.flatten(1)

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor:
        """Return the gradient in the shape of the rows."""
        return gradient.view(self._shape)


class Identity:
    """Nothing."""

    def __init__(self, layer: nn.Module, gradients: Gradients) -> None:
        pass

    def forward(self, x: Tensor) -> Tensor:
        """Return the inputs."""
        return x

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor:
        """Return the gradient of the outputs."""
        return gradient


class _Linear(Learning):
    """A fully connected layer."""

    def __init__(self, layer: nn.Linear, gradients: Gradients) -> None:
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
        torch.mm(gradient.t(), self._x, out=self._by_weight)
        if self._by_bias is not None:
            torch.sum(gradient, 0, out=self._by_bias)
        return torch.mm(gradient, self._weight) if for_input else None


class _Scaling(Learning):
    """Each feature times a factor."""

    def __init__(self, layer: Scaling, gradients: Gradients) -> None:
        self._weight, self._rate, self._by_weight = layer.weight.data, layer.rate, gradients[layer.weight]

    def forward(self, x: Tensor) -> Tensor:
        self._x, self._factor = x, 1 + self._rate * self._weight
        return x * self._factor

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor | None:
        torch.sum(gradient * self._x, 0, out=self._by_weight).mul_(self._rate)
        return gradient * self._factor if for_input else None


class _LayerNorm(Learning):
    """Normalization of each row."""

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
        wanted = [for_input, self._by_weight is not None, self._by_bias is not None]
        by_input, by_weight, by_bias = aten.native_layer_norm_backward(
            gradient, self._x, self._shape, self._mean, self._scale, self._weight, self._bias, wanted
        )
        _write(self._by_weight, by_weight)
        _write(self._by_bias, by_bias)
        result: Tensor | None = by_input
        return result


class _BatchNorm(Learning):
    """Normalization over the rows of a batch."""

    def __init__(self, layer: nn.BatchNorm1d, gradients: Gradients) -> None:
        self._layer = layer
        self._by_weight, self._by_bias = gradients[layer.weight], gradients[layer.bias]

    @classmethod
    def of(cls, layer: nn.BatchNorm1d, gradients: Gradients) -> _BatchNorm | None:
        """Return the pass of a layer with all that such a layer has by default, or None."""
        usual = layer.affine and layer.track_running_stats and layer.momentum is not None
        return cls(layer, gradients) if usual else None

    def forward(self, x: Tensor) -> Tensor:
        layer = self._layer
        if len(x) == 1:
            # What torch's own function refuses.
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
    """Units left out at random, drawn as torch draws them."""

    def __init__(self, layer: nn.Dropout, gradients: Gradients) -> None:
        self._p = layer.p

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type == "cpu":
            self._noise = torch.empty_like(x).bernoulli_(1 - self._p).div_(1 - self._p)
            return x * self._noise
        out, mask = torch.native_dropout(x, self._p, True)
        self._noise = mask.to(x.dtype).div_(1 - self._p)
        return out

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor:
        return gradient * self._noise


class _ReLU:
    """The rectifier: the activation of most networks, without a call between it and its operations."""

    def __init__(self, layer: nn.ReLU, gradients: Gradients) -> None:
        pass

    def forward(self, x: Tensor) -> Tensor:
        self._out = out = torch.relu(x)
        return out

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor:
        result: Tensor = _threshold_backward(gradient, self._out, 0)
        return result


class _Activation:
    """An activation whose derivative is found from its inputs, or from its outputs."""

    def __init__(
        self,
        function: Callable[[Tensor], Tensor],
        derivative: Callable[[Tensor, Tensor], Tensor],
        *,
        of_outputs: bool = False,
    ) -> None:
        self._function, self._derivative, self._of_outputs = function, derivative, of_outputs

    def forward(self, x: Tensor) -> Tensor:
        out = self._function(x)
        self._kept = out if self._of_outputs else x
        return out

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor:
        return self._derivative(gradient, self._kept)


def _tanh(layer: nn.Tanh, gradients: Gradients) -> _Activation:
    return _Activation(torch.tanh, aten.tanh_backward.default, of_outputs=True)


def _sigmoid(layer: nn.Sigmoid, gradients: Gradients) -> _Activation:
    return _Activation(torch.sigmoid, aten.sigmoid_backward.default, of_outputs=True)


def _gelu(layer: nn.GELU, gradients: Gradients) -> _Activation:
    how = layer.approximate
    return _Activation(
        lambda x: F.gelu(x, approximate=how), lambda gradient, x: aten.gelu_backward(gradient, x, approximate=how)
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
    return _Dropout(layer, gradients) if layer.p < 1 else None


def _write(place: Tensor | None, value: Tensor | None) -> None:
    if place is not None and value is not None:
        place.copy_(value)


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
