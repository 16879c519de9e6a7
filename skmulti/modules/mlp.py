"""The multilayer perceptron."""

from __future__ import annotations

from math import prod

from torch import Tensor, nn

from skmulti.modules._layers import (
    Activation,
    Sizes,
    check_input,
    check_shape,
    check_size,
    hidden_layers,
    n_features_out,
)


class _MLPTrunk(nn.Module):
    """Hidden layers, (n_samples, *input_shape) to (n_samples, n_features_out)."""

    def __init__(
        self,
        input_shape: Sizes,
        hidden_layer_sizes: Sizes,
        activation: Activation,
        dropout: float,
        normalization: str | None,
        scaling_layer: bool = False,
        initialization: str = "torch",
    ) -> None:
        super().__init__()
        self.input_shape = check_shape("input_shape", input_shape)
        n_features = prod(self.input_shape)
        self.hidden = hidden_layers(
            n_features, hidden_layer_sizes, activation, dropout, normalization, scaling_layer, initialization
        )
        self.n_features_out = n_features_out(n_features, hidden_layer_sizes)

    def forward(self, X: Tensor) -> Tensor:
        """Return the hidden features, (n_samples, n_features_out)."""
        check_input(X, self.input_shape)
        features: Tensor = self.hidden(X.flatten(1))
        return features


class MLP(_MLPTrunk):
    """Multilayer perceptron, (n_samples, *input_shape) to (n_samples, n_outputs).

    Parameters
    ----------
    input_shape : int or tuple of int
        Shape of one row, without the batch axis; more than one axis is flattened.
    n_outputs : int
        Number of outputs.
    hidden_layer_sizes : int or sequence of int, default=(64, 64)
        Number of units of each hidden layer; ``()`` gives a linear model.
    activation : str or nn.Module class, default="relu"
        "relu", "tanh", "logistic", "identity", "gelu", "silu", "mish", "elu", "leaky_relu",
        "softplus", or a class whose constructor needs no arguments.
    dropout : float in [0, 1), default=0.0
        Dropout rate after each hidden layer.
    normalization : {"batch", "layer"} or None, default=None
        Normalization between each hidden Linear and its activation. "batch" needs training
        batches of two rows or more.
    scaling_layer : bool, default=False
        Whether to multiply each feature by a learnable factor before the first layer.
    initialization : {"torch", "he"}, default="torch"
        Initialisation of the layers: torch's default; or "he", hidden layers with normal weight matrices of variance
        2 / n_in and normal biases of standard deviation 0.5, and an output layer of zeros, so that initial predictions
        are the mean.

    Attributes
    ----------
    hidden : nn.Sequential
        The hidden layers: the scaling layer, then Linear, normalization, activation, dropout for each size.
    output : nn.Linear
        The last layer.

    Raises
    ------
    ValueError
        If a size is not a positive int, `dropout` is outside [0, 1), a name is unknown, or
        `forward` gets rows of another shape than `input_shape`.

    Examples
    --------
    >>> import torch
    >>> from skmulti.modules import MLP
    >>> net = MLP(input_shape=(2, 5), n_outputs=3, hidden_layer_sizes=(16,))
    >>> net(torch.zeros(4, 2, 5)).shape
    torch.Size([4, 3])
    """

    def __init__(
        self,
        input_shape: Sizes,
        n_outputs: int,
        hidden_layer_sizes: Sizes = (64, 64),
        activation: Activation = "relu",
        dropout: float = 0.0,
        normalization: str | None = None,
        scaling_layer: bool = False,
        initialization: str = "torch",
    ) -> None:
        super().__init__(
            input_shape, hidden_layer_sizes, activation, dropout, normalization, scaling_layer, initialization
        )
        self.output = nn.Linear(self.n_features_out, check_size("n_outputs", n_outputs))
        if initialization == "he":
            nn.init.zeros_(self.output.weight)
            nn.init.zeros_(self.output.bias)

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
