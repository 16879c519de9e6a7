"""The layers of all modules, and the validation of their parameters."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from itertools import pairwise
from numbers import Integral, Real
from types import NoneType
from typing import Any

import torch
from torch import Tensor, nn

from skmulti._checks import did_you_mean

Sizes = int | Sequence[int]
Activation = str | type[nn.Module]

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "logistic": nn.Sigmoid,
    "identity": nn.Identity,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "elu": nn.ELU,
    "leaky_relu": nn.LeakyReLU,
    "softplus": nn.Softplus,
}
NORMALIZATIONS: dict[str, type[nn.Module]] = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}
INITIALIZATIONS = ("torch", "he")
POOLINGS = {"max": "MaxPool", "average": "AvgPool"}


class Scaling(nn.Module):
    """Multiply each feature by a learnable factor, (n_samples, n_features) to the same shape [1]_.

    The factor is ``1 + rate * weight`` with ``weight`` initialised to 0. The steps of Adam do not depend on the size of
    the gradient, so the factor changes `rate` times as fast as other parameters. Uninformative features are thus
    suppressed sooner than by the parameters of the next layer.

    Parameters
    ----------
    n_features : int
        Number of features.
    rate : float, default=10.0
        The learning rate of the factors relative to other parameters, for Adam.

    References
    ----------
    .. [1] D. Holzmüller, L. Grinsztajn and I. Steinwart, "Better by Default: Strong Pre-Tuned MLPs and Boosted Trees
       on Tabular Data", NeurIPS 2024, arXiv:2407.04491.

    Examples
    --------
    >>> import torch
    >>> Scaling(2)(torch.tensor([[1.0, 2.0]]))
    tensor([[1., 2.]], grad_fn=<MulBackward0>)
    """

    def __init__(self, n_features: int, rate: float = 10.0) -> None:
        super().__init__()
        self.rate = rate
        self.weight = nn.Parameter(torch.zeros(n_features))

    def forward(self, X: Tensor) -> Tensor:
        """Return the scaled features."""
        return X * (1 + self.rate * self.weight)

    def extra_repr(self) -> str:
        """Return what `repr` shows of the layer."""
        return f"{len(self.weight)}, rate={self.rate}"


def make_activation(activation: Activation) -> nn.Module:
    """Return a new activation layer.

    Parameters
    ----------
    activation : str or nn.Module class
        One of scikit-learn's names ("relu", "tanh", "logistic", "identity"), or "gelu", "silu",
        "mish", "elu", "leaky_relu", "softplus", or a class whose constructor needs no arguments.

    Returns
    -------
    nn.Module
        The layer; it keeps the shape of its input.

    Raises
    ------
    ValueError
        If the name is unknown.

    Examples
    --------
    >>> make_activation("logistic")
    Sigmoid()
    """
    if isinstance(activation, type) and issubclass(activation, nn.Module):
        return activation()
    check_choice("activation", activation, ACTIVATIONS)
    return ACTIVATIONS[str(activation)]()


def hidden_layers(
    n_features: int,
    hidden_layer_sizes: Sizes,
    activation: Activation = "relu",
    dropout: float = 0.0,
    normalization: str | None = None,
    scaling_layer: bool = False,
    initialization: str = "torch",
) -> nn.Sequential:
    """Return fully connected layers, (n_samples, n_features) to (n_samples, last size).

    Each size gives Linear, normalization, activation and dropout, in this order; disabled
    layers are omitted.

    Parameters
    ----------
    n_features : int
        Number of inputs.
    hidden_layer_sizes : int or sequence of int
        Number of units of each layer; an int is one layer, an empty sequence none.
    activation : str or nn.Module class, default="relu"
        See `make_activation`.
    dropout : float in [0, 1), default=0.0
        Dropout rate after each layer [1]_.
    normalization : {"batch", "layer"} or None, default=None
        Batch [2]_ or layer [3]_ normalization between Linear and activation.
    scaling_layer : bool, default=False
        Whether to insert a `Scaling` layer before the first layer.
    initialization : {"torch", "he"}, default="torch"
        Initialisation of the Linear layers: torch's default; or "he", weight matrices with normal entries of variance
        2 / n_in [4]_ and normal biases of standard deviation 0.5, which distribute the kinks of the activations over
        the data.

    Returns
    -------
    nn.Sequential
        The layers.

    Raises
    ------
    ValueError
        If a size is not a positive int, `dropout` is outside [0, 1), or a name is unknown.

    References
    ----------
    .. [1] N. Srivastava et al., Dropout, JMLR 15, 2014.
    .. [2] S. Ioffe and C. Szegedy, ICML 2015, arXiv:1502.03167.
    .. [3] J. L. Ba, J. R. Kiros and G. E. Hinton, 2016, arXiv:1607.06450.
    .. [4] K. He et al., "Delving Deep into Rectifiers", ICCV 2015, arXiv:1502.01852.

    Examples
    --------
    >>> hidden_layers(3, (8, 4))
    Sequential(
      (0): Linear(in_features=3, out_features=8, bias=True)
      (1): ReLU()
      (2): Linear(in_features=8, out_features=4, bias=True)
      (3): ReLU()
    )
    """
    sizes = check_sizes("hidden_layer_sizes", hidden_layer_sizes)
    make_activation(activation)  # an unknown name is an error even without hidden layers
    check_dropout(dropout)
    check_normalization(normalization)
    check_choice("initialization", initialization, INITIALIZATIONS)
    if not isinstance(scaling_layer, bool):
        raise ValueError(f"The 'scaling_layer' parameter must be True or False. Got {scaling_layer!r} instead.")
    layers: list[nn.Module] = [Scaling(n_features)] if scaling_layer else []
    for n_in, n_out in pairwise((n_features, *sizes)):
        layers.append(linear(n_in, n_out, initialization))
        if normalization is not None:
            layers.append(NORMALIZATIONS[normalization](n_out))
        layers.append(make_activation(activation))
        if dropout > 0:
            layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers)


def linear(n_in: int, n_out: int, initialization: str = "torch") -> nn.Linear:
    """Return a fully connected hidden layer; see `hidden_layers`."""
    layer = nn.Linear(n_in, n_out)
    if initialization == "he":
        nn.init.normal_(layer.weight, std=(2 / n_in) ** 0.5)
        nn.init.normal_(layer.bias, std=0.5)
    return layer


def conv_block(
    n_in: int,
    n_out: int,
    kernel_size: int,
    pool: tuple[int, ...],
    pooling: str,
    activation: Activation,
    normalization: str | None,
) -> nn.Sequential:
    """Return convolution, normalization, activation and pooling; `pool` has one int per axis.

    Maps (n_samples, n_in, *size) to (n_samples, n_out, *(size // pool)). The caller validates the arguments.
    """

    def layer(kind: str) -> type[nn.Module]:
        found: type[nn.Module] = getattr(nn, f"{kind}{len(pool)}d")
        return found

    block = nn.Sequential()
    if kernel_size % 2 == 0:  # an even kernel needs asymmetric padding, which nn.Conv does not support
        block.append(layer("ConstantPad")((0, 1) * len(pool), 0.0))
    block.append(layer("Conv")(n_in, n_out, kernel_size, padding=(kernel_size - 1) // 2))
    if normalization == "batch":
        block.append(layer("BatchNorm")(n_out))
    elif normalization == "layer":
        block.append(nn.GroupNorm(1, n_out))
    block.append(make_activation(activation))
    if max(pool) > 1:
        block.append(layer(POOLINGS[pooling])(pool))
    return block


def n_features_out(n_features: int, hidden_layer_sizes: Sizes) -> int:
    """Return the number of output features of `hidden_layers`."""
    return (n_features, *check_sizes("hidden_layer_sizes", hidden_layer_sizes))[-1]


def check_choice(name: str, value: Any, options: Collection[Any]) -> None:
    """Raise a ValueError naming the nearest option if `value` is not one of `options`."""
    known = isinstance(value, (str, Integral, NoneType)) and not isinstance(value, bool)
    if not known or value not in options:
        raise ValueError(
            f"The {name!r} parameter must be one of {list(options)}. "
            f"Got {value!r} instead.{did_you_mean(value, options)}"
        )


def check_normalization(normalization: str | None) -> None:
    """Raise a ValueError if `normalization` is not None, "batch" or "layer"."""
    check_choice("normalization", normalization, [None, *NORMALIZATIONS])


def check_dropout(dropout: float) -> None:
    """Raise a ValueError if `dropout` is not a number in [0, 1)."""
    if isinstance(dropout, bool) or not isinstance(dropout, Real) or not 0 <= dropout < 1:
        raise ValueError(f"The 'dropout' parameter must be a float in the range [0.0, 1.0). Got {dropout!r} instead.")


def is_positive_int(value: Any) -> bool:
    """Return whether `value` is a positive int; bools are not accepted."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) > 0


def check_size(name: str, size: Any) -> int:
    """Return `size` as an int; a ValueError if it is not a positive int."""
    if not is_positive_int(size):
        raise ValueError(f"The {name!r} parameter must be a positive int. Got {size!r} instead.")
    return int(size)


def check_sizes(name: str, sizes: Any, *, n_sizes: int | None = None) -> tuple[int, ...]:
    """Return `sizes` as a tuple of ints.

    Parameters
    ----------
    name : str
        The name of the parameter, for messages.
    sizes : int or sequence of int
        The value. An int is one size, or the same size `n_sizes` times.
    n_sizes : int or None, default=None
        Required number of sizes; None accepts any number.

    Returns
    -------
    tuple of int
        The sizes.

    Raises
    ------
    ValueError
        If a size is not a positive int or there are not `n_sizes` of them.
    """
    if is_positive_int(sizes):
        return (int(sizes),) * (1 if n_sizes is None else n_sizes)
    try:
        given = None if isinstance(sizes, (Mapping, Set, Iterator)) else tuple(sizes)
    except TypeError:
        given = None
    if given is None or not all(map(is_positive_int, given)) or n_sizes not in (None, len(given)):
        number = "a sequence of them" if n_sizes is None else f"a sequence of {n_sizes} of them"
        raise ValueError(f"The {name!r} parameter must be a positive int or {number}. Got {sizes!r} instead.")
    return tuple(map(int, given))


def check_shape(name: str, shape: Any) -> tuple[int, ...]:
    """Return `shape`, a positive int or a sequence of at least one, as a tuple of ints."""
    sizes = check_sizes(name, shape)
    if not sizes:
        raise ValueError(f"The {name!r} parameter must have at least one axis. Got () instead.")
    return sizes


def check_input(X: Tensor, input_shape: tuple[int, ...]) -> None:
    """Raise a ValueError if `X` is not of shape (n_samples, *input_shape)."""
    if X.shape[1:] != input_shape:
        expected = ", ".join(map(str, ("n_samples", *input_shape)))
        raise ValueError(f"The input must have shape ({expected}). Got {tuple(X.shape)} instead.")
