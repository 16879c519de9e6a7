"""Images in rows of X: their channels, and their shape where rows are flat."""

from __future__ import annotations

from math import prod
from numbers import Integral
from typing import Any

from skmulti._compat import Options, StrOptions
from skmulti.modules._layers import check_shape

# Usual numbers of channels (grey, RGB, RGBA); they distinguish a channel axis from a spatial one.
_USUAL_CHANNELS = (1, 3, 4)
_OF_IMAGES: dict[str, Any] = {
    "channels_last": ["boolean", StrOptions({"auto"})],
    "spatial_dims": [Options(Integral, {1, 2, 3}), None],
}


def channel_axis(net: Any, n_axes: int) -> int | None:
    n_spatial = net.spatial_dims or min(n_axes - 1, 2)
    return None if n_axes - 1 == n_spatial else n_axes - 1 if net.channels_last is True else 1


def check_axes(net: Any) -> None:
    """Refuse images whose channel axis or shape is ambiguous."""
    shape, declared = net._settled_for, net.image_shape is not None or net.spatial_dims is not None
    row = net._shape_of_flat(shape[1:]) or shape[1:]
    n_spatial = net.spatial_dims or min(len(row), 2)
    if net.channels_last is True and len(row) == n_spatial:
        raise ValueError(
            "The 'channels_last' parameter must be False or 'auto' where rows have no axis of channels. Got True for "
            f"rows of shape {row}; use spatial_dims=1 for signals of several channels."
        )
    looks_last = len(row) == n_spatial + 1 and row[-1] in _USUAL_CHANNELS and row[0] not in _USUAL_CHANNELS
    if looks_last and net._is_auto("channels_last"):
        raise ValueError(
            "The 'channels_last' parameter must be given where the last axis looks like the one of channels. Got "
            f"rows of shape {row}; use channels_last=True for {row[-1]} channels, channels_last=False for {row[0]}."
        )
    if len(shape) == 2 and shape[0] == shape[1] and not declared:
        raise ValueError(
            "X must be several signals or images. Got one square, which may be an image: use X[None] for one image of "
            f"shape {shape}, spatial_dims=1 for {shape[0]} signals of length {shape[1]}."
        )


def shape_of_flat(image_shape: Any, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the shape of an image whose row is flat, None where there is none: the module refuses another size."""
    image = None if image_shape is None or len(shape) > 1 else check_shape("image_shape", image_shape)
    return image if image and prod(image) == prod(shape) else None
