"""Convolution and pooling written out, for images of two dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from skmulti._compat import convolution_backward


class Learning:
    """A pass with parameters."""


class ToImages:
    """Rows as the images that a network for images makes of them."""

    def __init__(self, unflattened: tuple[int, ...], *, channels_last: bool) -> None:
        self._unflattened, self._channels_last = unflattened, channels_last

    def forward(self, x: Tensor) -> Tensor:
        """Return images with their channels first."""
        x = x.reshape(x.shape[0], *self._unflattened)
        return x.movedim(-1, 1) if self._channels_last else x

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor:
        """Return the gradient of the rows."""
        gradient = gradient.movedim(1, -1) if self._channels_last else gradient
        return gradient.reshape(len(gradient), -1)


class Convolution(Learning):
    """A convolution with zeros round it."""

    def __init__(self, layer: nn.Conv2d, gradients: Mapping[nn.Parameter, Tensor]) -> None:
        weight: Any = layer.weight
        bias: Any = layer.bias
        self._weight, self._by_weight = weight.data, gradients[weight]
        self._bias = None if bias is None else bias.data
        self._by_bias = None if bias is None else gradients[bias]
        self._how = (layer.stride, cast(tuple[int, ...], layer.padding), layer.dilation)
        self._groups = layer.groups

    @classmethod
    def of(cls, layer: nn.Conv2d, gradients: Mapping[nn.Parameter, Tensor]) -> Convolution | None:
        """Return the pass of a layer that pads with zeros, or None."""
        return cls(layer, gradients) if layer.padding_mode == "zeros" and not isinstance(layer.padding, str) else None

    def forward(self, x: Tensor) -> Tensor:
        """Return the filtered images."""
        self._x = x
        return torch.conv2d(x, self._weight, self._bias, *self._how, self._groups)

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor | None:
        """Write the gradients of the filters; return that of the images."""
        sizes = None if self._bias is None else [len(self._bias)]
        by_input, by_weight, by_bias = convolution_backward(
            gradient, self._x, self._weight, sizes, *self._how, False, (0, 0), self._groups,
            [for_input, True, self._bias is not None],
        )  # fmt: skip
        self._by_weight.copy_(by_weight)
        if self._by_bias is not None:
            self._by_bias.copy_(by_bias)
        result: Tensor | None = by_input
        return result


class MaxPool2x2:
    """The largest of each two by two positions: four views compared, several times as fast as torch's search.

    As there, the first of equals wins.
    """

    @classmethod
    def of(cls, layer: nn.MaxPool2d, gradients: Mapping[nn.Parameter, Tensor]) -> MaxPool2x2 | None:
        """Return the pass of a layer that pools two by two without overlap, or None."""
        two = (2, (2, 2))
        plain = (layer.padding, layer.dilation, layer.ceil_mode, layer.return_indices) == (0, 1, False, False)
        return cls() if plain and layer.kernel_size in two and layer.stride in two else None

    def forward(self, x: Tensor) -> Tensor:
        """Return the largest values; a last position that has no second one is left out."""
        self._shape = x.shape
        first, second, third, fourth = _corners(x)
        top, bottom = torch.maximum(first, second), torch.maximum(third, fourth)
        self._is_second, self._is_fourth, self._is_bottom = second > first, fourth > third, bottom > top
        return torch.maximum(top, bottom)

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor:
        """Return each gradient at the position that won, and zeros elsewhere."""
        height, width = self._shape[2:]
        by_input = gradient.new_empty(self._shape)
        if height % 2:
            by_input[:, :, -1].zero_()
        if width % 2:
            by_input[:, :, :, -1].zero_()
        first, second, third, fourth = _corners(by_input)
        bottom = gradient * self._is_bottom
        torch.mul(bottom, self._is_fourth, out=fourth)
        torch.sub(bottom, fourth, out=third)
        top = gradient - bottom
        torch.mul(top, self._is_second, out=second)
        torch.sub(top, second, out=first)
        return by_input


def _corners(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the four positions of each window, in the order in which they are read."""
    height, width = x.shape[2] // 2 * 2, x.shape[3] // 2 * 2
    x = x[:, :, :height, :width]
    return x[:, :, ::2, ::2], x[:, :, ::2, 1::2], x[:, :, 1::2, ::2], x[:, :, 1::2, 1::2]
