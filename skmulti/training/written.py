"""The forward and backward pass of known layers, written out: no graph is recorded, gradients go where they belong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skmulti.modules import CNN, MLP, MultiHead
from skmulti.modules.mlp import _MLPTrunk
from skmulti.training.written_images import Convolution, Learning, MaxPool2x2, ToImages

aten = torch.ops.aten
# Hooks on all modules of the process.
_HOOKS_OF_ALL = [
    getattr(torch.nn.modules.module, f"_global_{kind}_hooks")
    for kind in ("forward", "forward_pre", "backward", "backward_pre")
]
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


def written_pass(module: nn.Module, gradients: Gradients, input_shape: tuple[int, ...]) -> Pass | None:
    """Return a module's forward and backward pass where all of it is known, or None.

    Parameters
    ----------
    module : torch.nn.Module
        An `MLP`, a `CNN` or a `MultiHead`, or an ``nn.Sequential``, of linear layers, activations, dropout and
        normalization over rows of features, and of convolutions and pooling by two over images. Subclasses, hooks
        and shared parameters are not known.
    gradients : mapping of Parameter to Tensor
        Where the gradient of each parameter is to be written.
    input_shape : tuple of int
        The shape of one row of the inputs.

    Returns
    -------
    Pass or None
        Its numbers are those of autograd, and random masks are drawn from the same stream.

    Examples
    --------
    >>> import torch
    >>> from skmulti.training.written import written_pass
    >>> linear = torch.nn.Linear(1, 1, bias=False)
    >>> gradients = {linear.weight: torch.empty(1, 1)}
    >>> known = written_pass(torch.nn.Sequential(linear), gradients, input_shape=(1,))
    >>> with torch.no_grad():
    ...     raw = known.forward(torch.tensor([[2.0], [3.0]]))
    ...     known.backward(torch.ones(2, 1), for_input=False)
    >>> gradients[linear.weight]
    tensor([[5.]])
    """
    parts = list(module.modules())
    parameters = [p for part in parts for p in part.parameters(recurse=False)]
    if len(set(parameters)) < len(parameters) or any(p not in gradients for p in parameters):
        return None
    if any(_is_changed(part) for part in parts) or len(set(map(id, parts))) < len(parts):
        return None
    flatten: list[Pass | None] = [] if len(input_shape) == 1 else [_Flatten()]
    if type(module) is MultiHead:
        if type(module.trunk) is _MLPTrunk:
            trunk = _sequence([*flatten, *_layers(module.trunk.hidden, gradients)])
        else:
            trunk = _sequence([*_image_layers(module.trunk, gradients), *_layers(module.trunk.hidden, gradients)])
        heads = [_sequence(_layers(head, gradients)) for head in module.heads.values()]
        return _Heads(trunk, heads) if trunk and all(heads) else None  # type: ignore[arg-type]
    if type(module) is MLP:
        return _sequence([*flatten, *_layers(chain(module.hidden, [module.output]), gradients)])
    if type(module) is CNN:
        layers = _layers(chain(module.hidden, [module.output]), gradients)
        return _sequence([*_image_layers(module, gradients), *layers])
    if type(module) is nn.Sequential and (len(input_shape) == 1 or type(module[0]) in (nn.Flatten, nn.Conv2d)):
        return _sequence(_layers(module, gradients))
    return None


def _is_changed(part: nn.Module) -> bool:
    """Return whether a module does more than its class says: hooks, or methods of its own."""
    hooks = (
        part._forward_hooks,
        part._forward_pre_hooks,
        part._backward_hooks,
        part._backward_pre_hooks,
    )
    return any(hooks) or "forward" in vars(part) or any(map(bool, _HOOKS_OF_ALL))


def _layers(layers: Any, gradients: Gradients) -> list[Pass | None]:
    return [_LAYERS.get(type(layer), _unknown)(layer, gradients) for layer in layers]


def _image_layers(trunk: Any, gradients: Gradients) -> list[Pass | None]:
    """Return the passes of a trunk for images, up to the features of each."""
    images = ToImages(trunk._unflattened, channels_last=trunk.channels_last)
    return [images, *_layers(chain.from_iterable(trunk.blocks), gradients), _Flatten()]


def _unknown(layer: nn.Module, gradients: Gradients) -> None:
    return None


def _sequence(passes: list[Pass | None]) -> _Sequence | None:
    known = [one for one in passes if one is not None]
    return _Sequence(known) if len(known) == len(passes) else None


class _Sequence:
    """One pass after the other."""

    def __init__(self, passes: list[Pass]) -> None:
        passes = [one for one in passes if not isinstance(one, _Identity)]
        self._forward = [one.forward for one in passes]
        self._backward = passes[::-1]
        # Before the first layer that learns, nobody needs a gradient.
        self._first = next((one for one in passes if isinstance(one, Learning)), None)

    def forward(self, x: Tensor) -> Tensor:
        for forward in self._forward:
            x = forward(x)
        return x

    def backward(self, gradient: Any, *, for_input: bool = True) -> Tensor | None:
        stop = None if for_input else self._first
        for one in self._backward:
            if one is stop:
                return one.backward(gradient, for_input=False)
            gradient = one.backward(gradient)
        result: Tensor = gradient
        return result


class _Heads:
    """A trunk, and heads side by side on what it emits."""

    def __init__(self, trunk: _Sequence, heads: list[_Sequence]) -> None:
        self._trunk, self._heads = trunk, heads
        self._widths: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        features = self._trunk.forward(x)
        outputs = [head.forward(features) for head in self._heads]
        self._widths = [output.shape[1] for output in outputs]
        return torch.cat(outputs, dim=1)

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor | None:
        total: Tensor | None = None
        # Autograd adds up in this order.
        for head, part in reversed(list(zip(self._heads, gradient.split(self._widths, dim=1), strict=True))):
            one = head.backward(part)
            total = one if total is None or one is None else total + one
        assert total is not None
        return self._trunk.backward(total, for_input=for_input)


class _Flatten:
    """Rows of any shape as rows of features."""

    @classmethod
    def of(cls, layer: nn.Flatten, gradients: Gradients) -> _Flatten | None:
        """Return the pass of a layer that keeps the rows, or None."""
        return cls() if (layer.start_dim, layer.end_dim) == (1, -1) else None

    def forward(self, x: Tensor) -> Tensor:
        self._shape = x.shape
        return x.flatten(1)

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor:
        return gradient.view(self._shape)


class _Identity:
    """Nothing."""

    def __init__(self, layer: nn.Module, gradients: Gradients) -> None:
        pass

    def forward(self, x: Tensor) -> Tensor:
        return x

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor:
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


def _dropout(layer: nn.Dropout, gradients: Gradients) -> _Dropout | _Identity | None:
    if layer.p == 0:
        return _Identity(layer, gradients)
    return _Dropout(layer, gradients) if layer.p < 1 else None


def _write(place: Tensor | None, value: Tensor | None) -> None:
    if place is not None and value is not None:
        place.copy_(value)


_LAYERS: Mapping[type[nn.Module], Callable[[Any, Gradients], Any]] = {
    nn.Linear: _Linear,
    nn.Flatten: _Flatten.of,
    nn.Conv2d: Convolution.of,
    nn.MaxPool2d: MaxPool2x2.of,
    nn.LayerNorm: _LayerNorm,
    nn.BatchNorm1d: _BatchNorm.of,
    nn.Identity: _Identity,
    nn.Dropout: _dropout,
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
