"""The named estimators: a signature, a docstring, and how their parameters reach the module."""

from __future__ import annotations

from typing import Any

from skmulti.columns import Columns, resolve_groups
from skmulti.modules import CNN, MLP, MultiHead
from skmulti.regressor import MultiOutputNetRegressor


class MultiOutputMLPRegressor(MultiOutputNetRegressor):
    """A multilayer perceptron that predicts several columns, with a loss and a weight for each."""

    module = MLP
    _fixed_params = ("module",)
    _module_params = ("hidden_layer_sizes", "activation", "dropout", "normalization")

    def __init__(
        self,
        hidden_layer_sizes: Any = (64, 64),
        *,
        activation: Any = "relu",
        dropout: float = 0.0,
        normalization: Any = None,
        **prefix__params: Any,
    ) -> None:
        super().__init__(**prefix__params)
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.normalization = normalization


class MultiOutputCNNRegressor(MultiOutputNetRegressor):
    """A convolutional network for images and signals that predicts several columns."""

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

    def __init__(
        self,
        channels: Any = (16, 32),
        *,
        kernel_size: int = 3,
        pool_size: Any = "auto",
        pooling: str = "max",
        hidden_layer_sizes: Any = (128,),
        activation: Any = "relu",
        dropout: float = 0.0,
        normalization: Any = None,
        channels_last: bool = False,
        image_shape: Any = None,
        spatial_dims: Any = None,
        **prefix__params: Any,
    ) -> None:
        super().__init__(**prefix__params)
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


class MultiHeadRegressor(MultiOutputNetRegressor):
    """A shared trunk and one head per group of columns."""

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
