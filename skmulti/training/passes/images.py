"""Analytic forward and backward passes of convolution and pooling, for images of two dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from skmulti._compat import convolution_backward


class ParametricPass:
    """A pass of a layer with parameters, whose gradients `backward` writes."""


class ToImages:
    """Conversion of rows to images of shape (n_rows, channels, height, width)."""

    def __init__(self, unflattened: tuple[int, ...], *, channels_last: bool) -> None:
        self._unflattened, self._channels_last = unflattened, channels_last

    def forward(self, x: Tensor) -> Tensor:
        """Return images with the channels first."""
        x = x.reshape(x.shape[0], *self._unflattened)
        return x.movedim(-1, 1) if self._channels_last else x

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor:
        """Return the gradient with respect to the rows."""
        gradient = gradient.movedim(1, -1) if self._channels_last else gradient
        return gradient.reshape(len(gradient), -1)


class Convolution(ParametricPass):
    """A convolution with zero padding, by the kernels that autograd calls."""

    def __init__(self, layer: nn.Conv2d, gradients: Mapping[nn.Parameter, Tensor]) -> None:
        weight: Any = layer.weight
        bias: Any = layer.bias
        self._weight, self._by_weight = weight.data, gradients[weight]
        self._bias = None if bias is None else bias.data
        self._by_bias = None if bias is None else gradients[bias]
        self._geometry = (layer.stride, cast(tuple[int, ...], layer.padding), layer.dilation)
        self._groups = layer.groups

    @classmethod
    def of(cls, layer: nn.Conv2d, gradients: Mapping[nn.Parameter, Tensor]) -> Convolution | None:
        """Return the pass of a layer with zero padding of a given size, None for any other."""
        return cls(layer, gradients) if layer.padding_mode == "zeros" and not isinstance(layer.padding, str) else None

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolved images."""
        self._x = x
        return torch.conv2d(x, self._weight, self._bias, *self._geometry, self._groups)

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor | None:
        """Write the gradients of the filters, and return the gradient of the images."""
        sizes = None if self._bias is None else [len(self._bias)]
        by_input, by_weight, by_bias = convolution_backward(
            gradient, self._x, self._weight, sizes, *self._geometry, False, (0, 0), self._groups,
            [for_input, True, self._bias is not None],
        )  # fmt: skip
        self._by_weight.copy_(by_weight)
        if self._by_bias is not None:
            self._by_bias.copy_(by_bias)
        result: Tensor | None = by_input
        return result


class MaxPool2x2:
    """Max pooling over windows of two by two without overlap, by comparing four strided views.

    Several times as fast as torch's kernel on a CPU. As in torch, the gradient of a tie goes to the first maximum.
    """

    @classmethod
    def of(cls, layer: nn.MaxPool2d, gradients: Mapping[nn.Parameter, Tensor]) -> MaxPool2x2 | None:
        """Return the pass of a layer that pools two by two without overlap, None for any other."""
        two = (2, (2, 2))
        defaults = (layer.padding, layer.dilation, layer.ceil_mode, layer.return_indices) == (0, 1, False, False)
        return cls() if defaults and layer.kernel_size in two and layer.stride in two else None

    def forward(self, x: Tensor) -> Tensor:
        """Return the maxima; the last row or column of an odd size belongs to no window."""
        self._shape = x.shape
        first, second, third, fourth = _corners(x)
        top, bottom = torch.maximum(first, second), torch.maximum(third, fourth)
        # Strictly greater: in a tie the first position keeps the gradient, as in torch.
        self._is_second, self._is_fourth, self._is_bottom = second > first, fourth > third, bottom > top
        return torch.maximum(top, bottom)

    def backward(self, gradient: Tensor, *, for_input: bool = True) -> Tensor:
        """Return each gradient at the position of its maximum, and zeros elsewhere."""
        height, width = self._shape[2:]
        by_input = gradient.new_empty(self._shape)
        if height % 2:
            by_input[:, :, -1].zero_()
        if width % 2:
            by_input[:, :, :, -1].zero_()
        first, second, third, fourth = _corners(by_input)
        # The four views cover the rest of `by_input`; each gradient goes to one of them, the others get zero.
        bottom = gradient * self._is_bottom
        torch.mul(bottom, self._is_fourth, out=fourth)
        torch.sub(bottom, fourth, out=third)
        top = gradient - bottom
        torch.mul(top, self._is_second, out=second)
        torch.sub(top, second, out=first)
        return by_input


def _corners(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return views of the four positions of each window, in row-major order."""
    height, width = x.shape[2] // 2 * 2, x.shape[3] // 2 * 2
    x = x[:, :, :height, :width]
    return x[:, :, ::2, ::2], x[:, :, ::2, 1::2], x[:, :, 1::2, ::2], x[:, :, 1::2, 1::2]
