"""The layers of all members at once, as batched products, forward and backward."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from skmulti.training.chains import Chain, Heads
from skmulti.training.layout import layout_of
from skmulti.training.stack.parameters import StackedParameters
from skmulti.training.written_images import Learning
from skmulti.training.written_layers import Flatten, Identity, Pass, is_activation, passes_of

aten = torch.ops.aten


class StackedPasses:
    """A network of known layers, all members at once.

    Parameters
    ----------
    modules : sequence of torch.nn.Module
        The members' networks; `shape_of` says the same of all of them.
    parameters : StackedParameters
        Their parameters.
    generators : sequence of torch.Generator
        What each member draws the units from that it leaves out.
    input_shape : tuple of int
        The shape of one row of the inputs.
    """

    name = "written"

    def __init__(
        self,
        modules: Sequence[nn.Module],
        parameters: StackedParameters,
        generators: Sequence[torch.Generator],
        input_shape: tuple[int, ...],
    ) -> None:
        names = {id(layer): f"{name}." if name else "" for name, layer in modules[0].named_modules()}
        chains = []
        self._passes: list[Any] = []
        layouts = [layout_of(module, input_shape) for module in modules]
        for layers in zip(*(layout.chains for layout in layouts if layout), strict=True):
            passes: list[Any] = []
            for i, (layer, _) in enumerate(_with_dropout(layers[0])):
                if type(layer) is nn.ReLU and passes and isinstance(passes[-1], Learning):
                    passes.append(_ReLUInPlace())
                else:
                    passes.append(_pass_of(layer, names.get(id(layer), ""), parameters))
                shares = [_with_dropout(own)[i][1] for own in layers]
                if any(shares):
                    passes.append(_Dropout(shares, generators))
            chains.append(Chain(passes))
            self._passes.extend(passes)
        trunk, *heads = chains
        self._whole: Chain | Heads = Heads(trunk, heads) if heads else trunk
        self._n_members = 0
        self.narrow(len(modules))

    def narrow(self, n_members: int) -> None:
        """Let the next batches be those of the first members only."""
        if n_members == self._n_members:
            return
        self._n_members = n_members
        for one in self._passes:
            if isinstance(one, (_Linear, _LayerNorm, _BatchNorm)):
                one.narrow(n_members)

    def forward(self, X: Tensor, sizes: Sequence[int]) -> Tensor:
        """Return raw outputs of shape (n_members, width, n_raw), for inputs of shape (n_members, width, ...)."""
        for one in self._passes:
            if isinstance(one, _Dropout):
                one.sizes = sizes
        return self._whole.forward(X)

    def backward(self, gradient: Tensor) -> None:
        """Write the parameters' gradients, from that of the raw outputs."""
        self._whole.backward(gradient, for_input=False)

    def evaluate(self, X: Tensor) -> Tensor:
        """Return raw outputs as a network gives them that does not learn."""
        switched = [one for one in self._passes if isinstance(one, (_Dropout, _BatchNorm))]
        for one in switched:
            one.learns = False
        raw = self._whole.forward(X)
        for one in switched:
            one.learns = True
        return raw


def shape_of(module: nn.Module, input_shape: tuple[int, ...]) -> tuple[Any, ...] | None:
    """Return what networks of known layers must have in common to be stacked, or None for other networks.

    Shares of units that are left out may differ, and whether there are such layers at all.

    Examples
    --------
    >>> import torch
    >>> from skmulti.modules import MLP
    >>> from skmulti.training.stack.passes import shape_of
    >>> with_dropout = MLP(input_shape=2, n_outputs=1, dropout=0.5)
    >>> shape_of(with_dropout, (2,)) == shape_of(MLP(input_shape=2, n_outputs=1), (2,))
    True
    """
    layout = layout_of(module, input_shape)
    if layout is None:
        return None
    chains = [_with_dropout(layers) for layers in layout.chains]
    if not all(_is_known(layer, share) for layer, share in chain.from_iterable(chains)):
        return None
    return (type(module), *(tuple(repr(layer) for layer, _ in layers) for layers in chains))


def _with_dropout(layers: Sequence[nn.Module]) -> list[tuple[nn.Module, float]]:
    """Return the layers, each with the share of its outputs that is left out."""
    found: list[tuple[nn.Module, float]] = []
    for layer in layers:
        if type(layer) is not nn.Dropout:
            found.append((layer, 0.0))
        elif found and not found[-1][1]:
            found[-1] = (found[-1][0], layer.p)
        else:
            found.append((nn.Identity(), layer.p))
    return found


def _is_known(layer: nn.Module, share: float) -> bool:
    if share >= 1:
        return False
    if type(layer) is nn.BatchNorm1d:
        return layer.affine and layer.track_running_stats and layer.momentum is not None
    if type(layer) is nn.LayerNorm:
        return layer.elementwise_affine and layer.bias is not None and len(layer.normalized_shape) == 1
    if type(layer) is nn.Flatten:
        return (layer.start_dim, layer.end_dim) == (1, -1)
    return type(layer) in _LAYERS or is_activation(layer)


def _pass_of(layer: nn.Module, prefix: str, parameters: StackedParameters) -> Pass:
    if type(layer) in _LAYERS:
        made: Pass = _LAYERS[type(layer)](layer, prefix, parameters)
        return made
    (known,) = passes_of([layer], {})
    assert known is not None
    return known


class _Flatten(Flatten):
    def __init__(self, layer: nn.Module, prefix: str, parameters: StackedParameters) -> None:
        pass

    def forward(self, x: Tensor) -> Tensor:
        self._shape = x.shape
        return x.flatten(2)


class _ReLUInPlace:
    """The rectifier after a layer that learns, whose output nobody else keeps."""

    def forward(self, x: Tensor) -> Tensor:
        self._out = torch.relu_(x)
        return self._out

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor:
        result: Tensor = aten.threshold_backward.grad_input(gradient, self._out, 0, grad_input=gradient)
        return result


class _Linear(Learning):
    def __init__(self, layer: nn.Linear, prefix: str, parameters: StackedParameters) -> None:
        self._known: dict[torch.Size, tuple[Tensor, Tensor]] = {}
        self._all = [
            part.get(prefix + name) for name in ("weight", "bias") for part in (parameters.values, parameters.gradients)
        ]

    def narrow(self, n_members: int) -> None:
        weight, by_weight, bias, by_bias = (None if part is None else part[:n_members] for part in self._all)
        assert weight is not None
        assert by_weight is not None
        self._weight, self._weight_t, self._by_weight = weight, weight.transpose(1, 2), by_weight
        self._bias, self._by_bias = None if bias is None else bias.unsqueeze(1), by_bias

    def forward(self, x: Tensor) -> Tensor:
        self._x = x
        out, _ = self._places(x)
        if self._bias is None:
            return torch.bmm(x, self._weight_t, out=out)
        return torch.baddbmm(self._bias, x, self._weight_t, out=out)

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor | None:
        torch.bmm(gradient.transpose(1, 2), self._x, out=self._by_weight)
        if self._by_bias is not None:
            torch.sum(gradient, 1, out=self._by_bias)
        return torch.bmm(gradient, self._weight, out=self._places(self._x)[1]) if for_input else None

    def _places(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return where outputs and the gradient of inputs go: the same memory for every batch of a shape."""
        if x.shape not in self._known:
            self._known[x.shape] = x.new_empty(*x.shape[:2], self._weight.shape[1]), torch.empty_like(x)
        return self._known[x.shape]


class _LayerNorm(Learning):
    """Normalization of each row, and each member's own scale and shift."""

    def __init__(self, layer: nn.LayerNorm, prefix: str, parameters: StackedParameters) -> None:
        self._shape, self._eps = list(layer.normalized_shape), layer.eps
        self._all = [
            part[prefix + name] for name in ("weight", "bias") for part in (parameters.values, parameters.gradients)
        ]

    def narrow(self, n_members: int) -> None:
        weight, self._by_weight, bias, self._by_bias = (part[:n_members] for part in self._all)
        self._weight, self._bias = weight.unsqueeze(1), bias.unsqueeze(1)

    def forward(self, x: Tensor) -> Tensor:
        self._x = x
        self._normal, self._mean, self._scale = torch.native_layer_norm(x, self._shape, None, None, self._eps)
        return torch.addcmul(self._bias, self._normal, self._weight)

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor | None:
        torch.sum(gradient * self._normal, 1, out=self._by_weight)
        torch.sum(gradient, 1, out=self._by_bias)
        if not for_input:
            return None
        by_input: Tensor = aten.native_layer_norm_backward(
            gradient * self._weight, self._x, self._shape, self._mean, self._scale, None, None, [True, False, False]
        )[0]
        return by_input


class _BatchNorm(Learning):
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
        self._n_members = n_members
        weight, by_weight, bias, by_bias = (part[:n_members].view(-1) for part in self._all)
        self._weight, self._bias, self._by_weight, self._by_bias = weight, bias, by_weight, by_bias
        self._mean, self._var = (part[:n_members].view(-1) for part in self._statistics)

    def forward(self, x: Tensor) -> Tensor:
        rows = self._to_rows(x)
        if self.learns:
            self._counted[: self._n_members].add_(1)
        self._x = rows
        out, self._batch_mean, self._batch_scale = torch.native_batch_norm(
            rows, self._weight, self._bias, self._mean, self._var, self.learns, self._momentum, self._eps
        )
        return self._from_rows(out)

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor | None:
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


class _Dropout:
    """Units left out at random, drawn for each member as it would draw them by itself."""

    learns = True
    sizes: Sequence[int] = ()

    def __init__(self, shares: Sequence[float], generators: Sequence[torch.Generator]) -> None:
        self._shares, self._generators = shares, generators

    def forward(self, x: Tensor) -> Tensor:
        if not self.learns:
            return x
        self._noise = torch.ones_like(x)
        for k, size in enumerate(self.sizes):
            if self._shares[k]:
                kept = 1 - self._shares[k]
                self._noise[k, :size].bernoulli_(kept, generator=self._generators[k]).div_(kept)
        return x * self._noise

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor:
        return gradient * self._noise


def _identity(layer: nn.Module, prefix: str, parameters: StackedParameters) -> Identity:
    return Identity(layer, {})


_LAYERS: Mapping[type[nn.Module], Callable[[Any, str, StackedParameters], Any]] = {
    nn.Linear: _Linear,
    nn.Flatten: _Flatten,
    nn.LayerNorm: _LayerNorm,
    nn.BatchNorm1d: _BatchNorm,
    nn.Identity: _identity,
}
