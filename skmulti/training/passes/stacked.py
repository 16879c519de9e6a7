"""Analytic forward and backward pass of a stack of networks, as batched products over the members."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from skmulti.training.optimizers.stacked_parameters import StackedParameters
from skmulti.training.passes.chains import Chain, Heads
from skmulti.training.passes.images import ParametricPass
from skmulti.training.passes.layers import Pass, is_activation, passes_of
from skmulti.training.passes.layout import layout_of
from skmulti.training.passes.stacked_layers import (
    LAYERS,
    BatchNorm,
    Dropout,
    LayerNorm,
    Linear,
    ReLUInPlace,
    Scale,
    ScaledLinear,
)


class StackedPasses:
    """The analytic pass of a stack of networks of supported layers.

    Parameters
    ----------
    modules : sequence of torch.nn.Module
        The members' networks; `shape_of` returns the same for all of them.
    parameters : StackedParameters
        Their parameters.
    generators : sequence of torch.Generator
        The random generator of each member, for dropout.
    input_shape : tuple of int
        The shape of one row of the inputs.
    """

    name = "analytic"

    def __init__(
        self,
        modules: Sequence[nn.Module],
        parameters: StackedParameters,
        generators: Sequence[torch.Generator],
        input_shape: tuple[int, ...],
    ) -> None:
        names = _prefixes(modules[0], parameters)
        chains = []
        self._passes: list[Any] = []
        layouts = [layout_of(module, input_shape) for module in modules]
        for layers in zip(*(layout.chains for layout in layouts if layout), strict=True):
            passes: list[Any] = []
            for i, (layer, _) in enumerate(_with_dropout(layers[0])):
                # ReLU overwrites the output of a layer that does not need it; scaling is merged into the weight matrix.
                if type(layer) is nn.ReLU and passes and isinstance(passes[-1], ParametricPass):
                    passes.append(ReLUInPlace())
                elif type(layer) is nn.Linear and passes and isinstance(passes[-1], Scale):
                    linear: Any = _pass_of(layer, names.get(id(layer), ""), parameters)
                    passes[-1] = ScaledLinear(passes[-1], linear)
                else:
                    passes.append(_pass_of(layer, names.get(id(layer), ""), parameters))
                rates = [_with_dropout(member_layers)[i][1] for member_layers in layers]
                if any(rates):
                    passes.append(Dropout(rates, generators))
            chains.append(Chain(passes))
            self._passes.extend(passes)
        trunk, *heads = chains
        self._network: Chain | Heads = Heads(trunk, heads) if heads else trunk
        self._n_members = 0
        self.narrow(len(modules))

    def narrow(self, n_members: int) -> None:
        """Restrict the following batches to the first `n_members` members."""
        if n_members == self._n_members:
            return
        self._n_members = n_members
        for layer_pass in self._passes:
            if isinstance(layer_pass, (Linear, Scale, ScaledLinear, LayerNorm, BatchNorm)):
                layer_pass.narrow(n_members)

    def forward(self, X: Tensor, sizes: Sequence[int]) -> Tensor:
        """Return raw outputs of shape (n_members, width, n_raw), for inputs of shape (n_members, width, ...)."""
        for layer_pass in self._passes:
            if isinstance(layer_pass, Dropout):
                layer_pass.sizes = sizes
        return self._network.forward(X)

    def backward(self, gradient: Tensor) -> None:
        """Write the gradients of the parameters, given the gradient of the raw outputs."""
        self._network.backward(gradient, for_input=False)

    def evaluate(self, X: Tensor) -> Tensor:
        """Return raw outputs in evaluation mode: without dropout, with running statistics."""
        switched = [layer_pass for layer_pass in self._passes if isinstance(layer_pass, (Dropout, BatchNorm))]
        for layer_pass in switched:
            layer_pass.training = False
        raw = self._network.forward(X)
        for layer_pass in switched:
            layer_pass.training = True
        return raw


def _prefixes(module: nn.Module, parameters: StackedParameters) -> dict[int, str]:
    """Return the prefix of the parameter names in the stack, for each layer by its id.

    Parameters are matched by their order, since the module may register them under other names.
    """
    names = {id(p): name for p, name in zip(module.parameters(), parameters.values, strict=True)}
    prefixes = {}
    for layer in module.modules():
        for name, parameter in layer.named_parameters(recurse=False):
            prefixes[id(layer)] = names[id(parameter)].removesuffix(name)
    return prefixes


def shape_of(module: nn.Module, input_shape: tuple[int, ...]) -> tuple[Any, ...] | None:
    """Return a key that is equal for networks that can be stacked, or None for a network with unsupported layers.

    The key excludes dropout layers: their rates may differ, and some networks may have none.

    Examples
    --------
    >>> import torch
    >>> from skmulti.modules import MLP
    >>> from skmulti.training.passes.stacked import shape_of
    >>> with_dropout = MLP(input_shape=2, n_outputs=1, dropout=0.5)
    >>> shape_of(with_dropout, (2,)) == shape_of(MLP(input_shape=2, n_outputs=1), (2,))
    True
    """
    layout = layout_of(module, input_shape)
    if layout is None:
        return None
    chains = [_with_dropout(layers) for layers in layout.chains]
    if not all(_is_supported(layer, rate) for layer, rate in chain.from_iterable(chains)):
        return None
    return (type(module), *(tuple(repr(layer) for layer, _ in layers) for layers in chains))


def _with_dropout(layers: Sequence[nn.Module]) -> list[tuple[nn.Module, float]]:
    """Return the layers without dropout, each with the rate of the dropout layer after it, 0 for none."""
    found: list[tuple[nn.Module, float]] = []
    for layer in layers:
        if type(layer) is not nn.Dropout:
            found.append((layer, 0.0))
        elif found and not found[-1][1]:
            found[-1] = (found[-1][0], layer.p)
        else:
            # A second dropout in a row, or one before the first layer.
            found.append((nn.Identity(), layer.p))
    return found


def _is_supported(layer: nn.Module, rate: float) -> bool:
    if rate >= 1:
        return False
    if type(layer) is nn.BatchNorm1d:
        return layer.affine and layer.track_running_stats and layer.momentum is not None
    if type(layer) is nn.LayerNorm:
        return layer.elementwise_affine and layer.bias is not None and len(layer.normalized_shape) == 1
    if type(layer) is nn.Flatten:
        return (layer.start_dim, layer.end_dim) == (1, -1)
    return type(layer) in LAYERS or is_activation(layer)


def _pass_of(layer: nn.Module, prefix: str, parameters: StackedParameters) -> Pass:
    if type(layer) in LAYERS:
        stacked: Pass = LAYERS[type(layer)](layer, prefix, parameters)
        return stacked
    # Activations are elementwise: the pass of one network also takes a stack.
    (activation,) = passes_of([layer], {})
    assert activation is not None
    return activation
