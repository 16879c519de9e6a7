"""The forward and backward pass of known layers, written out: no graph is recorded, gradients go where they belong."""

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
    >>> from skmulti.training.passes.network import analytic_pass
    >>> linear = torch.nn.Linear(1, 1, bias=False)
    >>> gradients = {linear.weight: torch.empty(1, 1)}
    >>> known = analytic_pass(torch.nn.Sequential(linear), gradients, input_shape=(1,))
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
    if does_more(module) or len(set(map(id, parts))) < len(parts):
        return None
    layout = layout_of(module, input_shape)
    if layout is not None:
        trunk, *known = (Chain.of(passes_of(layers, gradients)) for layers in layout.chains)
        return _joined(trunk, known)
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
    """Return the pass of a trunk and of the heads on it, None where one is not known."""
    if trunk is None or None in heads:
        return None
    return Heads(trunk, heads) if heads else trunk  # type: ignore[arg-type]


def _image_layers(trunk: Any, gradients: Gradients) -> list[Pass | None]:
    """Return the passes of a trunk for images, up to the features of each."""
    images = ToImages(trunk._unflattened, channels_last=trunk.channels_last)
    return [images, *passes_of(chain.from_iterable(trunk.blocks), gradients), Flatten()]
