"""The named estimators: a signature, a docstring, and how their parameters reach the module."""

from __future__ import annotations

from math import prod
from typing import Any

from skmulti.columns import Columns, resolve_groups
from skmulti.modules import CNN, MLP, MultiHead
from skmulti.modules._layers import check_shape
from skmulti.recipes import PLAIN_IMAGE, PLAIN_TABLE
from skmulti.regressor import MultiOutputNetRegressor


class MultiOutputMLPRegressor(MultiOutputNetRegressor):
    """A multilayer perceptron that predicts several columns, with a loss and a weight for each.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int or "auto", default="auto"
        The number of units of each hidden layer; () gives a linear model. "auto" is what `effort` says, (64, 64) with
        ``effort=None``.
    activation : str or class of torch.nn.Module, default="auto"
        The activation of hidden layers: "relu", "tanh", "logistic", "identity", "gelu", "silu", "mish", "elu",
        "leaky_relu", "softplus". "auto" is "relu" with ``effort=None``, else "silu".
    dropout : float, default=0.0
        The share of hidden units that each step leaves out, from 0 to below 1.
    normalization : {"batch", "layer", None}, default=None
        Whether hidden layers are normalised over the rows of a batch or over each row.
    scaling_layer : bool or "auto", default="auto"
        Whether each input is first multiplied by a number that is learned, ten times as fast as other parameters [1]_:
        inputs that tell nothing fade soon. "auto" is False with ``effort=None``, else True.
    initialization : {"auto", "torch", "he"}, default="auto"
        How layers begin: as torch has it; or the hidden ones with normal weights of variance 2 / n_in and normal biases
        of standard deviation 0.5, and the last one with zeros. "auto" is "torch" with ``effort=None``, else "he".
    effort : {"fast", "default", "best", None}, default="default"
        How much time to spend: what parameters are that are left at "auto". "fast" costs about what one plain net
        costs, "best" up to ten times what "default" costs, None is one plain net; see `MultiOutputNetRegressor`.
    **prefix__params
        Parameters that bear the prefix of another part, as in `MultiOutputNetRegressor`.

    See Also
    --------
    MultiOutputNetRegressor : Any torch module, and the description of what all share.
    MultiHeadRegressor : A head per column or per group of columns.

    Notes
    -----
    All further parameters, and all attributes, are those of `MultiOutputNetRegressor`: `loss`, `loss_weights`,
    `column_groups`, `scale_targets`, `missing_targets`, `missing_inputs`, `categorical_inputs`, `scale_inputs`,
    `numeric_embedding`, `linear_path`, `optimizer`, `lr`, `lr_schedule`, `max_epochs`, `batch_size`, `shuffle`,
    `early_stopping`, `validation_fraction`, `n_iter_no_change`, `tol`, `n_members`, `bootstrap`, `warm_start`,
    `random_state`, `verbose`, `device`, `n_threads`, `mixed_precision`, `training_loop`, `callbacks`, `train_split`,
    `iterator_train`, `iterator_valid`, `dataset`, `compile`, and ``loss__<column>``, ``loss_weights__<column>``,
    ``optimizer__*``, ``callbacks__*`` and skorch's others.

    References
    ----------
    .. [1] D. Holzmüller, L. Grinsztajn and I. Steinwart, "Better by Default: Strong Pre-Tuned MLPs and Boosted Trees
       on Tabular Data", NeurIPS 2024, arXiv:2407.04491.

    Examples
    --------
    >>> import numpy as np
    >>> from skmulti import MultiOutputMLPRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(300, 2))
    >>> angle = np.degrees(np.arctan2(X[:, 1], X[:, 0])) % 360
    >>> distance = np.hypot(X[:, 0], X[:, 1])
    >>> net = MultiOutputMLPRegressor(loss=["circular", "absolute_error"], random_state=0)
    >>> y_pred = net.fit(X, np.column_stack([angle, distance])).predict(X)
    >>> from skmulti.metrics import circular_error
    >>> bool(circular_error(angle, y_pred[:, 0]) < 5)
    True
    """

    module = MLP
    _fixed_params = ("module",)
    _module_params = (
        "hidden_layer_sizes",
        "activation",
        "dropout",
        "normalization",
        "scaling_layer",
        "initialization",
    )
    _kind = "table"
    _plain = PLAIN_TABLE

    def __init__(
        self,
        hidden_layer_sizes: Any = "auto",
        *,
        activation: Any = "auto",
        dropout: float = 0.0,
        normalization: Any = None,
        scaling_layer: Any = "auto",
        initialization: Any = "auto",
        effort: Any = "default",
        **prefix__params: Any,
    ) -> None:
        super().__init__(effort=effort, **prefix__params)
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.normalization = normalization
        self.scaling_layer = scaling_layer
        self.initialization = initialization


class MultiOutputCNNRegressor(MultiOutputNetRegressor):
    """A convolutional network for images and signals that predicts several columns, with a loss and a weight for each.

    X is (n_samples, length) for signals, (n_samples, height, width) or (n_samples, channels, height, width) for images;
    see `channels_last`, `image_shape` and `spatial_dims` for others.

    Parameters
    ----------
    channels : sequence of int or "auto", default="auto"
        The channels of each convolutional block; "auto" is (16, 32) with ``effort=None``, else (16, 32, 64, 64).
    kernel_size : int or sequence of int, default=3
        The size of the kernels; the padding keeps the size of the image.
    pool_size : int, sequence of int or "auto", default="auto"
        What each block pools together. "auto" pools by 2 along every axis that still has two positions or more, so
        that any size works; a number must fit.
    pooling : {"max", "average"}, default="max"
        How blocks pool.
    hidden_layer_sizes : sequence of int, default=(128,)
        The number of units of each hidden layer after the blocks.
    activation : str or class of torch.nn.Module, default="auto"
        The activation of hidden layers: "relu", "tanh", "logistic", "identity", "gelu", "silu", "mish", "elu",
        "leaky_relu", "softplus". "auto" is "relu" with ``effort=None``, else "silu".
    dropout : float, default=0.0
        The share of hidden units that each step leaves out, from 0 to below 1.
    normalization : {"batch", "layer", None}, default=None
        Whether hidden layers are normalised over the rows of a batch or over each row.
    channels_last : bool, default=False
        Whether images are (height, width, channels).
    image_shape : tuple of int, default=None
        The shape of one image where rows of X are flattened, so that a StandardScaler can stand before the net.
    spatial_dims : {1, 2, 3, None}, default=None
        How many axes of one row are space; the one more that it may have are its channels. None reads (L,) as a
        signal, and (H, W) and (C, H, W) as an image; 1 reads (C, L) as a signal with channels; 3 takes volumes.
    effort : {"fast", "default", "best", None}, default="default"
        How much time to spend: what parameters are that are left at "auto". "default" is one net with scaled inputs,
        AdamW and a one-cycle schedule of 30 epochs; "fast" takes fewer epochs, "best" five nets; None is a plain net.
    **prefix__params
        Parameters that bear the prefix of another part, as in `MultiOutputNetRegressor`.

    See Also
    --------
    MultiOutputNetRegressor : Any torch module, and the description of what all share.

    Notes
    -----
    All further parameters, and all attributes, are those of `MultiOutputNetRegressor`: `loss`, `loss_weights`,
    `column_groups`, `scale_targets`, `missing_targets`, `missing_inputs`, `categorical_inputs`, `scale_inputs`,
    `numeric_embedding`, `linear_path`, `optimizer`, `lr`, `lr_schedule`, `max_epochs`, `batch_size`, `shuffle`,
    `early_stopping`, `validation_fraction`, `n_iter_no_change`, `tol`, `n_members`, `bootstrap`, `warm_start`,
    `random_state`, `verbose`, `device`, `n_threads`, `mixed_precision`, `training_loop`, `callbacks`, `train_split`,
    `iterator_train`, `iterator_valid`, `dataset`, `compile`, and ``loss__<column>``, ``loss_weights__<column>``,
    ``optimizer__*``, ``callbacks__*`` and skorch's others.

    Examples
    --------
    >>> from skmulti import MultiOutputCNNRegressor
    >>> from skmulti.datasets import load_digit_canvases
    >>> X, y = load_digit_canvases(100, return_X_y=True)
    >>> net = MultiOutputCNNRegressor(loss={4: "circular"}, max_epochs=2, random_state=0).fit(X, y)
    >>> net.predict(X[:3]).shape
    (3, 5)
    """

    module = CNN
    _fixed_params = ("module",)
    _module_params = (
        "channels",
        "kernel_size",
        "pool_size",
        "pooling",
        "hidden_layer_sizes",
        "activation",
        "dropout",
        "normalization",
        "channels_last",
        "image_shape",
        "spatial_dims",
    )
    _kind = "image"
    _plain = PLAIN_IMAGE

    def __init__(
        self,
        channels: Any = "auto",
        *,
        kernel_size: int = 3,
        pool_size: Any = "auto",
        pooling: str = "max",
        hidden_layer_sizes: Any = (128,),
        activation: Any = "auto",
        dropout: float = 0.0,
        normalization: Any = None,
        channels_last: bool = False,
        image_shape: Any = None,
        spatial_dims: Any = None,
        effort: Any = "default",
        **prefix__params: Any,
    ) -> None:
        super().__init__(effort=effort, **prefix__params)
        self.channels = channels
        self.kernel_size = kernel_size
        self.pool_size = pool_size
        self.pooling = pooling
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.normalization = normalization
        self.channels_last = channels_last
        self.image_shape = image_shape
        self.spatial_dims = spatial_dims

    def _reads_images(self) -> bool:
        return True

    def _shape_of_flat(self, shape: tuple[int, ...]) -> tuple[int, ...] | None:
        return _shape_of_flat(self.image_shape, shape)

    def _channel_axis(self, n_axes: int) -> int | None:
        return _channel_axis(self, n_axes)


class MultiHeadRegressor(MultiOutputNetRegressor):
    """A trunk that all columns share, and one head per group of columns, with a loss and a weight for each column.

    The parameters of a head are named ``heads.<name>.*`` in the module, so that one head can be given its own
    learning rate: ``optimizer__param_groups=[("heads.pose.*", {"lr": 1e-2})]``.

    Parameters
    ----------
    heads : mapping of str to sequence of columns, default=None
        The columns of each head, by name or position; each column in one head. None gives each column a head of its
        own, named as the column. Names of heads serve as groups in `loss` and `loss_weights`.
    trunk : {"mlp", "cnn"}, default="mlp"
        What the heads share. `channels` to `pooling` and `channels_last` to `spatial_dims` are for "cnn".
    hidden_layer_sizes : sequence of int, default=(64,)
        The number of units of each hidden layer of the trunk.
    head_hidden_layer_sizes : sequence of int, or mapping of str to such, default=()
        The number of units of each hidden layer of a head.
    channels : sequence of int, default=(16, 32)
        The channels of each convolutional block.
    kernel_size : int or sequence of int, default=3
        The size of the kernels; the padding keeps the size of the image.
    pool_size : int, sequence of int or "auto", default="auto"
        What each block pools together. "auto" pools by 2 along every axis that still has two positions or more, so
        that any size works; a number must fit.
    pooling : {"max", "average"}, default="max"
        How blocks pool.
    activation : str or class of torch.nn.Module, default="relu"
        The activation of hidden layers: "relu", "tanh", "logistic", "identity", "gelu", "silu", "mish", "elu",
        "leaky_relu", "softplus".
    dropout : float, default=0.0
        The share of hidden units that each step leaves out, from 0 to below 1.
    normalization : {"batch", "layer", None}, default=None
        Whether hidden layers are normalised over the rows of a batch or over each row.
    channels_last : bool, default=False
        Whether images are (height, width, channels).
    image_shape : tuple of int, default=None
        The shape of one image where rows of X are flattened, so that a StandardScaler can stand before the net.
    spatial_dims : {1, 2, 3, None}, default=None
        How many axes of one row are space; the one more that it may have are its channels. None reads (L,) as a
        signal, and (H, W) and (C, H, W) as an image; 1 reads (C, L) as a signal with channels; 3 takes volumes.
    **prefix__params
        Parameters that bear the prefix of another part, as in `MultiOutputNetRegressor`.

    See Also
    --------
    MultiOutputNetRegressor : Any torch module, and the description of what all share.

    Notes
    -----
    All further parameters, and all attributes, are those of `MultiOutputNetRegressor`: `loss`, `loss_weights`,
    `column_groups`, `scale_targets`, `missing_targets`, `missing_inputs`, `categorical_inputs`, `scale_inputs`,
    `numeric_embedding`, `linear_path`, `optimizer`, `lr`, `lr_schedule`, `max_epochs`, `batch_size`, `shuffle`,
    `early_stopping`, `validation_fraction`, `n_iter_no_change`, `tol`, `n_members`, `bootstrap`, `warm_start`,
    `random_state`, `verbose`, `device`, `n_threads`, `mixed_precision`, `training_loop`, `callbacks`, `train_split`,
    `iterator_train`, `iterator_valid`, `dataset`, `compile`, and ``loss__<column>``, ``loss_weights__<column>``,
    ``optimizer__*``, ``callbacks__*`` and skorch's others.

    Examples
    --------
    >>> import numpy as np
    >>> from skmulti import MultiHeadRegressor
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> y = np.column_stack([X[:, 0], X[:, 1], X[:, 0] * X[:, 1]])
    >>> net = MultiHeadRegressor(heads={"place": [0, 1], "area": [2]}, random_state=0).fit(X, y)
    >>> list(net.module_.heads)
    ['place', 'area']
    """

    module = MultiHead
    _fixed_params = ("module",)
    _module_params = (
        "trunk",
        "hidden_layer_sizes",
        "head_hidden_layer_sizes",
        "channels",
        "kernel_size",
        "pool_size",
        "pooling",
        "activation",
        "dropout",
        "normalization",
        "channels_last",
        "image_shape",
        "spatial_dims",
    )

    def __init__(
        self,
        heads: Any = None,
        *,
        trunk: str = "mlp",
        hidden_layer_sizes: Any = (64,),
        head_hidden_layer_sizes: Any = (),
        channels: Any = (16, 32),
        kernel_size: int = 3,
        pool_size: Any = "auto",
        pooling: str = "max",
        activation: Any = "relu",
        dropout: float = 0.0,
        normalization: Any = None,
        channels_last: bool = False,
        image_shape: Any = None,
        spatial_dims: Any = None,
        **prefix__params: Any,
    ) -> None:
        super().__init__(**prefix__params)
        self.heads = heads
        self.trunk = trunk
        self.hidden_layer_sizes = hidden_layer_sizes
        self.head_hidden_layer_sizes = head_hidden_layer_sizes
        self.channels = channels
        self.kernel_size = kernel_size
        self.pool_size = pool_size
        self.pooling = pooling
        self.activation = activation
        self.dropout = dropout
        self.normalization = normalization
        self.channels_last = channels_last
        self.image_shape = image_shape
        self.spatial_dims = spatial_dims

    def _reads_images(self) -> bool:
        return bool(self.trunk == "cnn")

    def _shape_of_flat(self, shape: tuple[int, ...]) -> tuple[int, ...] | None:
        return _shape_of_flat(self.image_shape, shape) if self.trunk == "cnn" else None

    def _channel_axis(self, n_axes: int) -> int | None:
        return _channel_axis(self, n_axes) if self.trunk == "cnn" else None

    def _named_heads(self, columns: Columns) -> dict[str, tuple[int, ...]]:
        """Return the columns of each head by its name; columns in no head are refused."""
        if self.heads is None:
            return {name: (i,) for i, name in enumerate(columns.names)}
        heads = dict(resolve_groups(columns.names, self.heads, parameter="heads").groups)
        inside = [i for members in heads.values() for i in members]
        columns.refuse_twice(inside, parameter="heads")
        outside = [name for i, name in enumerate(columns.names) if i not in inside]
        if outside:
            raise ValueError(
                "The 'heads' parameter must give every column of y a head. "
                f"Got none for {', '.join(map(repr, outside))}."
            )
        return heads

    def _groups(self, columns: tuple[str, ...]) -> Columns:
        named = super()._groups(columns)
        return Columns(named.names, {**self._named_heads(named), **named.groups})

    def _head_columns(self, columns: Columns) -> list[tuple[int, ...]]:
        return list(self._named_heads(columns).values())

    def _sizes(self) -> dict[str, Any]:
        heads = self._named_heads(Columns(tuple(self.target_names_)))
        n_raw = {
            name: sum(len(term.raw) for term in self.terms_ if set(term.columns) <= set(members))
            for name, members in heads.items()
        }
        return {**super()._sizes(), "heads": n_raw}


def _channel_axis(net: MultiOutputCNNRegressor | MultiHeadRegressor, n_axes: int) -> int | None:
    n_spatial = net.spatial_dims or min(n_axes - 1, 2)
    return None if n_axes - 1 == n_spatial else n_axes - 1 if net.channels_last else 1


def _shape_of_flat(image_shape: Any, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the shape of an image whose row is flat, None where there is none: the module refuses another size."""
    image = None if image_shape is None or len(shape) > 1 else check_shape("image_shape", image_shape)
    return image if image and prod(image) == prod(shape) else None
