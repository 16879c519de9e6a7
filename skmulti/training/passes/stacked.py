"""The layers of all members at once, as batched products, forward and backward."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from skmulti.training.optimizers.stacked_parameters import StackedParameters
from skmulti.training.passes.chains import Chain, Heads
from skmulti.training.passes.images import Learning
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
                if type(layer) is nn.ReLU and passes and isinstance(passes[-1], Learning):
                    passes.append(ReLUInPlace())
                elif type(layer) is nn.Linear and passes and isinstance(passes[-1], Scale):
                    linear: Any = _pass_of(layer, names.get(id(layer), ""), parameters)
                    passes[-1] = ScaledLinear(passes[-1], linear)
                else:
                    passes.append(_pass_of(layer, names.get(id(layer), ""), parameters))
                shares = [_with_dropout(own)[i][1] for own in layers]
                if any(shares):
                    passes.append(Dropout(shares, generators))
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
            if isinstance(one, (Linear, Scale, ScaledLinear, LayerNorm, BatchNorm)):
                one.narrow(n_members)

    def forward(self, X: Tensor, sizes: Sequence[int]) -> Tensor:
        """Return raw outputs of shape (n_members, width, n_raw), for inputs of shape (n_members, width, ...)."""
        for one in self._passes:
            if isinstance(one, Dropout):
                one.sizes = sizes
        return self._whole.forward(X)

    def backward(self, gradient: Tensor) -> None:
        """Write the parameters' gradients, from that of the raw outputs."""
        self._whole.backward(gradient, for_input=False)

    def evaluate(self, X: Tensor) -> Tensor:
        """Return raw outputs as a network gives them that does not learn."""
        switched = [one for one in self._passes if isinstance(one, (Dropout, BatchNorm))]
        for one in switched:
            one.learns = False
        raw = self._whole.forward(X)
        for one in switched:
            one.learns = True
        return raw


def _prefixes(module: nn.Module, parameters: StackedParameters) -> dict[int, str]:
    """Return what the names of each layer's parameters begin with: those of the stack, for the module's may differ."""
    names = {id(p): name for p, name in zip(module.parameters(), parameters.values, strict=True)}
    found = {}
    for layer in module.modules():
        for name, parameter in layer.named_parameters(recurse=False):
            found[id(layer)] = names[id(parameter)].removesuffix(name)
    return found


def shape_of(module: nn.Module, input_shape: tuple[int, ...]) -> tuple[Any, ...] | None:
    """Return what networks of known layers must have in common to be stacked, or None for other networks.

    Shares of units that are left out may differ, and whether there are such layers at all.

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
    return type(layer) in LAYERS or is_activation(layer)


def _pass_of(layer: nn.Module, prefix: str, parameters: StackedParameters) -> Pass:
    if type(layer) in LAYERS:
        made: Pass = LAYERS[type(layer)](layer, prefix, parameters)
        return made
    (known,) = passes_of([layer], {})
    assert known is not None
    return known
