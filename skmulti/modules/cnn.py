"""The convolutional network, for signals, images and volumes."""

from __future__ import annotations

from math import prod

from torch import Tensor, nn

from skmulti.modules._layers import (
    POOLINGS,
    Activation,
    Sizes,
    check_choice,
    check_input,
    check_normalization,
    check_shape,
    check_size,
    check_sizes,
    conv_block,
    hidden_layers,
    n_features_out,
)


class _ConvTrunk(nn.Module):
    """Convolutional blocks, then hidden layers: (n_samples, *input_shape) to n_features_out."""

    def __init__(
        self,
        input_shape: Sizes,
        channels: Sizes,
        kernel_size: Sizes,
        pool_size: Sizes | str,
        pooling: str,
        hidden_layer_sizes: Sizes,
        activation: Activation,
        dropout: float,
        normalization: str | None,
        channels_last: bool,
        image_shape: Sizes | None,
        spatial_dims: int | None,
    ) -> None:
        super().__init__()
        self.input_shape = check_shape("input_shape", input_shape)
        self.channels_last = channels_last
        n_channels, size = _read_shape(self.input_shape, image_shape, channels_last, spatial_dims)
        self._unflattened = (*size, n_channels) if channels_last else (n_channels, *size)

        channels = check_sizes("channels", channels)
        kernels = check_sizes("kernel_size", kernel_size, n_sizes=len(channels))
        pools = _check_pools(pool_size, len(channels))
        check_choice("pooling", pooling, POOLINGS)
        check_normalization(normalization)
        self.blocks = nn.Sequential()
        shape = self.input_shape if image_shape is None else check_shape("image_shape", image_shape)
        for i, (n_out, kernel) in enumerate(zip(channels, kernels, strict=True)):
            pool = _fit_pool(pools[i], i, size, shape)
            self.blocks.append(conv_block(n_channels, n_out, kernel, pool, pooling, activation, normalization))
            n_channels, size = n_out, tuple(s // p for s, p in zip(size, pool, strict=True))

        n_features = n_channels * prod(size)
        self.hidden = hidden_layers(n_features, hidden_layer_sizes, activation, dropout, normalization)
        self.n_features_out = n_features_out(n_features, hidden_layer_sizes)

    def forward(self, X: Tensor) -> Tensor:
        """Return the hidden features, (n_samples, n_features_out)."""
        check_input(X, self.input_shape)
        X = X.reshape(X.shape[0], *self._unflattened)
        if self.channels_last:
            X = X.movedim(-1, 1)
        features: Tensor = self.hidden(self.blocks(X).flatten(1))
        return features


class CNN(_ConvTrunk):
    """Convolutional network, (n_samples, *input_shape) to (n_samples, n_outputs).

    Blocks of convolution, normalization, activation and pooling, then fully connected layers,
    after LeNet [1]_. Every convolution is zero-padded to keep the size; only pooling
    reduces it. The sizes of all layers follow from `input_shape`.

    Parameters
    ----------
    input_shape : int or tuple of int
        Shape of one row, without the batch axis: (L,) is a signal and (H, W) an image of one
        channel, (C, H, W) an image; see `channels_last`, `image_shape` and `spatial_dims`.
    n_outputs : int
        Number of outputs.
    channels : int or sequence of int, default=(16, 32)
        Number of output channels of each block.
    kernel_size : int or sequence of int, default=3
        Width of the kernel, along every axis; one for all blocks or one per block.
    pool_size : "auto", int or sequence of int, default="auto"
        Size of the pooling window along every axis, for all blocks or one per block; 1 disables
        pooling. "auto" pools by 2 along axes of size 2 or more, so that any input size works.
        Positions at the end that do not fill a window are dropped.
    pooling : {"max", "average"}, default="max"
        The kind of pooling.
    hidden_layer_sizes : int or sequence of int, default=(128,)
        Number of units of each fully connected layer between the blocks and the output.
    activation : str or nn.Module class, default="relu"
        As in `MLP`, for the blocks and the hidden layers.
    dropout : float in [0, 1), default=0.0
        Dropout rate after each hidden layer; the blocks have no dropout.
    normalization : {"batch", "layer"} or None, default=None
        Normalization before each activation; in the blocks "layer" is a group normalization with
        one group [2]_. "batch" needs training batches of two rows or more.
    channels_last : bool, default=False
        Whether the channels are the last axis of a row, (H, W, C), instead of the first.
    image_shape : int, tuple of int or None, default=None
        Shape to which flattened rows (features,) are reshaped, interpreted as `input_shape`, with
        channels last if `channels_last`. None if rows are not flattened.
    spatial_dims : {1, 2, 3} or None, default=None
        Number of axes beside the channels: 1 reads (L,) or (C, L), 2 reads (H, W) or (C, H, W),
        3 reads (D, H, W) or (C, D, H, W). None is 1 for (L,) and 2 for any other shape.

    Attributes
    ----------
    blocks : nn.Sequential
        The blocks, each an nn.Sequential of convolution, normalization, activation and pooling.
    hidden : nn.Sequential
        The fully connected layers, as in `MLP`.
    output : nn.Linear
        The last layer.

    Raises
    ------
    ValueError
        If a size is not a positive int, a name is unknown, the shape does not fit `spatial_dims`
        or `image_shape`, a pooling window is larger than its input, or `forward` gets rows of another
        shape than `input_shape`.

    References
    ----------
    .. [1] Y. LeCun et al., Gradient-based learning applied to document recognition,
       Proc. IEEE 86, 1998.
    .. [2] Y. Wu and K. He, Group normalization, ECCV 2018, arXiv:1803.08494.

    Examples
    --------
    >>> import torch
    >>> from skmulti.modules import CNN
    >>> net = CNN(input_shape=(3, 28, 28), n_outputs=4)
    >>> net(torch.zeros(5, 3, 28, 28)).shape
    torch.Size([5, 4])

    Flattened rows, as in scikit-learn's image data sets:

    >>> net = CNN(input_shape=(64,), n_outputs=4, image_shape=(8, 8))
    >>> net(torch.zeros(5, 64)).shape
    torch.Size([5, 4])
    """

    def __init__(
        self,
        input_shape: Sizes,
        n_outputs: int,
        channels: Sizes = (16, 32),
        kernel_size: Sizes = 3,
        pool_size: Sizes | str = "auto",
        pooling: str = "max",
        hidden_layer_sizes: Sizes = (128,),
        activation: Activation = "relu",
        dropout: float = 0.0,
        normalization: str | None = None,
        channels_last: bool = False,
        image_shape: Sizes | None = None,
        spatial_dims: int | None = None,
    ) -> None:
        super().__init__(
            input_shape,
            channels,
            kernel_size,
            pool_size,
            pooling,
            hidden_layer_sizes,
            activation,
            dropout,
            normalization,
            channels_last,
            image_shape,
            spatial_dims,
        )
        self.output = nn.Linear(self.n_features_out, check_size("n_outputs", n_outputs))

    def forward(self, X: Tensor) -> Tensor:
        """Return the raw outputs.

        Parameters
        ----------
        X : Tensor of shape (n_samples, *input_shape)
            The rows.

        Returns
        -------
        Tensor of shape (n_samples, n_outputs)
            The outputs, without an activation.

        Raises
        ------
        ValueError
            If `X` has another shape.
        """
        outputs: Tensor = self.output(super().forward(X))
        return outputs


def _read_shape(
    input_shape: tuple[int, ...],
    image_shape: Sizes | None,
    channels_last: bool,
    spatial_dims: int | None,
) -> tuple[int, tuple[int, ...]]:
    """Return the number of channels of a row and its size along the spatial axes."""
    name, shape = "input_shape", input_shape
    if image_shape is not None:
        name, shape = "image_shape", check_shape("image_shape", image_shape)
        if len(input_shape) > 1 and input_shape != shape:
            raise ValueError(
                f"The 'image_shape' parameter must be the shape of a row, {input_shape}, where "
                f"rows are not flat. Got {shape} instead."
            )
        if prod(input_shape) != prod(shape):
            came = " x ".join(map(str, shape))
            raise ValueError(
                "The 'image_shape' parameter must multiply to the features of a row, which has "
                f"shape {input_shape}. Got {shape}, {came} = {prod(shape)}, instead."
            )
    check_choice("spatial_dims", spatial_dims, [None, 1, 2, 3])
    dims = (1 if len(shape) == 1 else 2) if spatial_dims is None else spatial_dims
    if len(shape) == dims:
        return 1, shape
    if len(shape) == dims + 1:
        return (shape[-1], shape[:-1]) if channels_last else (shape[0], shape[1:])
    raise ValueError(
        f"The {name!r} parameter must have {dims} axes, or {dims + 1} with the channels, for "
        f"{dims} spatial axes. Got {shape} instead. Set 'spatial_dims' to 1 for signals, 2 for "
        "images or 3 for volumes, or 'image_shape' for flattened rows."
    )


def _check_pools(pool_size: Sizes | str, n_blocks: int) -> list[int | None]:
    """Return the pool of each block, None where it is found from the size."""
    if isinstance(pool_size, str):
        check_choice("pool_size", pool_size, ["auto"])
        return [None] * n_blocks
    return list(check_sizes("pool_size", pool_size, n_sizes=n_blocks))


def _fit_pool(pool: int | None, i: int, size: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the pool of block `i` along every axis."""
    if pool is None:
        return tuple(min(s, 2) for s in size)
    if pool > min(size):
        raise ValueError(
            "The 'pool_size' parameter must not exceed the size that reaches its block. "
            f"Got {pool} instead for blocks[{i}], which an input of shape {shape} reaches with "
            f"size {size}. Give fewer entries in 'channels', a smaller 'pool_size', or "
            "pool_size='auto'."
        )
    return (pool,) * len(size)
