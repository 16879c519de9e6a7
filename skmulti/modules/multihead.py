"""A shared trunk with one head per group of columns."""

from __future__ import annotations

import inspect
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skmulti._checks import did_you_mean
from skmulti.modules._layers import (
    Activation,
    Sizes,
    check_choice,
    check_size,
    check_sizes,
    hidden_layers,
    n_features_out,
)
from skmulti.modules.cnn import _ConvTrunk
from skmulti.modules.mlp import _MLPTrunk


class MultiHead(nn.Module):
    """A shared trunk and one head per group of columns, known as hard parameter sharing [1]_.

    Maps (n_samples, *input_shape) to (n_samples, n_outputs), the outputs of the heads side by
    side in the order of `heads`.

    Parameters
    ----------
    input_shape : int or tuple of int
        Shape of one row, without the batch axis, as in `MLP` or `CNN`.
    heads : mapping of head name to int
        Number of outputs of each head.
    trunk : {"mlp", "cnn"}, default="mlp"
        The layers shared by all heads: the hidden layers of an `MLP`, or the blocks and hidden layers
        of a `CNN`.
    hidden_layer_sizes : int or sequence of int, default=(64,)
        Number of units of each hidden layer of the trunk.
    head_hidden_layer_sizes : int, sequence of int or mapping, default=()
        Number of units of each hidden layer of a head, for all heads or as a mapping of head name
        to sizes; heads that are not in the mapping have none.
    channels : int or sequence of int, default=(16, 32)
        As in `CNN`; for trunk="cnn" only, as the six other parameters of the blocks.
    kernel_size : int or sequence of int, default=3
        As in `CNN`.
    pool_size : "auto", int or sequence of int, default="auto"
        As in `CNN`.
    pooling : {"max", "average"}, default="max"
        As in `CNN`.
    activation : str or nn.Module class, default="relu"
        As in `MLP`, for the trunk and the hidden layers of the heads.
    dropout : float in [0, 1), default=0.0
        Dropout rate after each hidden layer, in trunk and heads.
    normalization : {"batch", "layer"} or None, default=None
        As in `MLP` and `CNN`, in trunk and heads.
    channels_last : bool, default=False
        As in `CNN`.
    image_shape : int, tuple of int or None, default=None
        As in `CNN`.
    spatial_dims : {1, 2, 3} or None, default=None
        As in `CNN`.

    Attributes
    ----------
    trunk : nn.Module
        The shared layers, with ``trunk.hidden`` and, for trunk="cnn", ``trunk.blocks``.
    heads : nn.ModuleDict
        Each head, an nn.Sequential of hidden layers and a last Linear. Its parameters are named
        ``heads.<name>.<i>.weight``. The keys are the head names as str. torch does not accept
        all names: "." becomes "_", and a name that is empty or taken ("keys", "type", or another
        head's) gets "_" appended.
    head_names : tuple
        The head names as given, in order.

    Raises
    ------
    ValueError
        If `heads` is empty or not a mapping, `trunk` is unknown, `head_hidden_layer_sizes` names
        an unknown head, or for the reasons of `MLP` and `CNN`.

    References
    ----------
    .. [1] R. Caruana, Multitask learning, Machine Learning 28, 1997.

    Examples
    --------
    >>> import torch
    >>> from skmulti.modules import MultiHead
    >>> net = MultiHead(input_shape=5, heads={"pose": 3, "size": 2})
    >>> net(torch.zeros(4, 5)).shape
    torch.Size([4, 5])
    >>> [name for name, _ in net.named_parameters() if name.startswith("heads.pose.")]
    ['heads.pose.0.weight', 'heads.pose.0.bias']
    """

    def __init__(
        self,
        input_shape: Sizes,
        heads: Mapping[Any, int],
        trunk: str = "mlp",
        hidden_layer_sizes: Sizes = (64,),
        head_hidden_layer_sizes: Sizes | Mapping[Any, Sizes] = (),
        channels: Sizes = (16, 32),
        kernel_size: Sizes = 3,
        pool_size: Sizes | str = "auto",
        pooling: str = "max",
        activation: Activation = "relu",
        dropout: float = 0.0,
        normalization: str | None = None,
        channels_last: bool = False,
        image_shape: Sizes | None = None,
        spatial_dims: int | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(heads, Mapping) or not heads:
            raise ValueError(
                "The 'heads' parameter must be a mapping of at least one head name to its number "
                f"of outputs. Got {heads!r} instead."
            )
        check_choice("trunk", trunk, ["mlp", "cnn"])
        self.head_names: tuple[Hashable, ...] = tuple(heads)
        self.trunk: _MLPTrunk | _ConvTrunk
        blocks: dict[str, Any] = {
            "channels": channels,
            "kernel_size": kernel_size,
            "pool_size": pool_size,
            "pooling": pooling,
            "channels_last": channels_last,
            "image_shape": image_shape,
            "spatial_dims": spatial_dims,
        }
        if trunk == "mlp":
            _refuse_block_parameters(blocks)
            self.trunk = _MLPTrunk(input_shape, hidden_layer_sizes, activation, dropout, normalization)
        else:
            self.trunk = _ConvTrunk(
                input_shape,
                hidden_layer_sizes=hidden_layer_sizes,
                activation=activation,
                dropout=dropout,
                normalization=normalization,
                **blocks,
            )
        sizes = _head_sizes(self.head_names, head_hidden_layer_sizes)
        self.heads = nn.ModuleDict()
        for name, key in zip(self.head_names, _module_keys(self.head_names), strict=True):
            n_features = self.trunk.n_features_out
            self.heads[key] = nn.Sequential(
                *hidden_layers(n_features, sizes[name], activation, dropout, normalization),
                nn.Linear(
                    n_features_out(n_features, sizes[name]),
                    check_size(f"heads[{name!r}]", heads[name]),
                ),
            )

    def forward(self, X: Tensor) -> Tensor:
        """Return the raw outputs of all heads side by side.

        Parameters
        ----------
        X : Tensor of shape (n_samples, *input_shape)
            The rows.

        Returns
        -------
        Tensor of shape (n_samples, n_outputs)
            The outputs, in the order of `head_names`, without an activation.

        Raises
        ------
        ValueError
            If `X` has another shape.
        """
        features = self.trunk(X)
        return torch.cat([head(features) for head in self.heads.values()], dim=1)


def _refuse_block_parameters(blocks: Mapping[str, Any]) -> None:
    """Raise a ValueError if a parameter of convolutional blocks is set with trunk="mlp"."""
    known = inspect.signature(MultiHead).parameters
    for name, value in blocks.items():
        if not np.array_equal(value, known[name].default):
            raise ValueError(
                f"The {name!r} parameter must be left at {known[name].default!r} with trunk='mlp', which has no "
                f"convolutional blocks. Got {value!r} instead; use trunk='cnn'."
            )


def _head_sizes(names: tuple[Hashable, ...], sizes: Sizes | Mapping[Any, Sizes]) -> dict[Hashable, tuple[int, ...]]:
    """Return the hidden layer sizes of every head."""
    if not isinstance(sizes, Mapping):
        return dict.fromkeys(names, check_sizes("head_hidden_layer_sizes", sizes))
    for name in sizes:
        if name not in names:
            raise ValueError(
                f"The 'head_hidden_layer_sizes' parameter must name heads of {list(names)}. "
                f"Got {name!r} instead.{did_you_mean(name, names)}"
            )
    return {name: check_sizes(f"head_hidden_layer_sizes[{name!r}]", sizes.get(name, ())) for name in names}


def _module_keys(names: Iterable[Hashable]) -> list[str]:
    """Return a key for each name that nn.ModuleDict accepts; accepted names are unchanged."""
    wanted = [str(name) for name in names]
    taken = nn.ModuleDict()
    keys: list[str] = []
    for name in wanted:
        key = name.replace(".", "_")
        while not key or hasattr(taken, key) or key in keys or (key != name and key in wanted):
            key += "_"
        keys.append(key)
    return keys
