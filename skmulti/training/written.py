"""The forward and backward pass of known layers, written out: no graph is recorded, gradients go where they belong."""

from __future__ import annotations

from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from skmulti.modules import CNN, MLP, MultiHead
from skmulti.modules.mlp import _MLPTrunk
from skmulti.training.hooks import does_more
from skmulti.training.written_images import Learning, ToImages
from skmulti.training.written_layers import Flatten, Gradients, Identity, Pass, passes_of


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
    if does_more(module) or len(set(map(id, parts))) < len(parts):
        return None
    flatten: list[Pass | None] = [] if len(input_shape) == 1 else [Flatten()]
    if type(module) is MultiHead:
        if type(module.trunk) is _MLPTrunk:
            trunk = _sequence([*flatten, *passes_of(module.trunk.hidden, gradients)])
        else:
            trunk = _sequence([*_image_layers(module.trunk, gradients), *passes_of(module.trunk.hidden, gradients)])
        heads = [_sequence(passes_of(head, gradients)) for head in module.heads.values()]
        return _Heads(trunk, heads) if trunk and all(heads) else None  # type: ignore[arg-type]
    if type(module) is MLP:
        return _sequence([*flatten, *passes_of(chain(module.hidden, [module.output]), gradients)])
    if type(module) is CNN:
        layers = passes_of(chain(module.hidden, [module.output]), gradients)
        return _sequence([*_image_layers(module, gradients), *layers])
    if type(module) is nn.Sequential and (len(input_shape) == 1 or type(module[0]) in (nn.Flatten, nn.Conv2d)):
        return _sequence(passes_of(module, gradients))
    return None


def _image_layers(trunk: Any, gradients: Gradients) -> list[Pass | None]:
    """Return the passes of a trunk for images, up to the features of each."""
    images = ToImages(trunk._unflattened, channels_last=trunk.channels_last)
    return [images, *passes_of(chain.from_iterable(trunk.blocks), gradients), Flatten()]


def _sequence(passes: list[Pass | None]) -> _Sequence | None:
    known = [one for one in passes if one is not None]
    return _Sequence(known) if len(known) == len(passes) else None


class _Sequence:
    """One pass after the other."""

    def __init__(self, passes: list[Pass]) -> None:
        passes = [one for one in passes if not isinstance(one, Identity)]
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
