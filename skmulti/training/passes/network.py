"""The analytic forward and backward pass of a network: no graph is recorded, gradients are written in place."""

from __future__ import annotations

from itertools import chain
from typing import Any

from torch import nn

from skmulti.modules import CNN, MultiHead
from skmulti.training.passes.chains import Chain, Heads
from skmulti.training.passes.hooks import does_more
from skmulti.training.passes.images import ToImages
from skmulti.training.passes.layers import Flatten, Gradients, Pass, passes_of
from skmulti.training.passes.layout import layout_of


def analytic_pass(module: nn.Module, gradients: Gradients, input_shape: tuple[int, ...]) -> Pass | None:
    """Return the analytic forward and backward pass of a module, None if a part of it is unsupported.

    Parameters
    ----------
    module : torch.nn.Module
        An `MLP`, a `CNN` or a `MultiHead`, or an ``nn.Sequential``, of linear layers, activations, dropout and
        normalization over rows of features, and of convolutions and two-by-two max pooling over images. Subclasses,
        hooks and shared parameters are not supported.
    gradients : mapping of Parameter to Tensor
        For each parameter the tensor to which its gradient is written.
    input_shape : tuple of int
        The shape of one row of the inputs.

    Returns
    -------
    Pass or None
        Its outputs and gradients are those of autograd, and dropout draws the same random numbers.

    Examples
    --------
    >>> import torch
    >>> from skmulti.training.passes.network import analytic_pass
    >>> linear = torch.nn.Linear(1, 1, bias=False)
    >>> gradients = {linear.weight: torch.empty(1, 1)}
    >>> linear_pass = analytic_pass(torch.nn.Sequential(linear), gradients, input_shape=(1,))
    >>> with torch.no_grad():
    ...     raw = linear_pass.forward(torch.tensor([[2.0], [3.0]]))
    ...     linear_pass.backward(torch.ones(2, 1), for_input=False)
    >>> gradients[linear.weight]
    tensor([[5.]])
    """
    # A shared layer or parameter would need the sum of several gradients; `backward` overwrites.
    parts = list(module.modules())
    parameters = [p for part in parts for p in part.parameters(recurse=False)]
    if len(set(parameters)) < len(parameters) or any(p not in gradients for p in parameters):
        return None
    if does_more(module) or len(set(map(id, parts))) < len(parts):
        return None
    layout = layout_of(module, input_shape)
    if layout is not None:
        trunk, *heads = (Chain.of(passes_of(layers, gradients)) for layers in layout.chains)
        return _joined(trunk, heads)
    if type(module) is MultiHead:
        trunk = Chain.of([*_image_layers(module.trunk, gradients), *passes_of(module.trunk.hidden, gradients)])
        return _joined(trunk, [Chain.of(passes_of(head, gradients)) for head in module.heads.values()])
    if type(module) is CNN:
        layers = passes_of(chain(module.hidden, [module.output]), gradients)
        return Chain.of([*_image_layers(module, gradients), *layers])
    if type(module) is nn.Sequential and type(module[0]) is nn.Conv2d:
        return Chain.of(passes_of(module, gradients))
    return None


def _joined(trunk: Chain | None, heads: list[Chain | None]) -> Pass | None:
    """Return the pass of a trunk and its heads, None if one of them is unsupported."""
    if trunk is None or None in heads:
        return None
    return Heads(trunk, heads) if heads else trunk  # type: ignore[arg-type]


def _image_layers(trunk: Any, gradients: Gradients) -> list[Pass | None]:
    """Return the passes of the convolutional part of a trunk, from rows to flattened features."""
    images = ToImages(trunk._unflattened, channels_last=trunk.channels_last)
    return [images, *passes_of(chain.from_iterable(trunk.blocks), gradients), Flatten()]
