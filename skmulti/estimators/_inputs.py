"""From X to the network's inputs: validation and encoding."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted, validate_data
from skorch.dataset import Dataset, unpack_data
from skorch.utils import is_dataset, multi_indexing, to_tensor
from torch.utils.data import DataLoader, Subset
from torch.utils.data import Dataset as TorchDataset

from skmulti._checks import named, refuse_containers, refuse_repeated_names
from skmulti.estimators._training import TrainingNet
from skmulti.inputs.categories import TableEncoder, as_table
from skmulti.inputs.encoder import EncodedInputs, InputEncoder
from skmulti.inputs.piecewise_linear import PiecewiseLinear
from skmulti.inputs.validation import check_inputs
from skmulti.training import Rows
from skmulti.training.rows import is_weighted
from skmulti.training.threads import limited_threads

# The margin of clip_predictions=True: see "Clipping and extrapolation" in the guide.
_MARGIN = 0.1
_OF_LINEAR = ("linear_path", "clip_predictions")
# Rows of a dataset that are gathered at once.
_ROWS_AT_ONCE = 1024


def piecewise_linear(encoding: PiecewiseLinear, X: np.ndarray) -> np.ndarray:
    """Return encoded inputs and their bins, on one thread: the encoding moves more memory than it computes."""
    with limited_threads(1):
        return encoding.transform(X)


class InputNet(TrainingNet):
    """Inputs checked, and encoded where `scale_inputs`, `missing_inputs` or `categorical_inputs` ask for it."""

    table_encoder_: TableEncoder | None = None
    input_encoder_: InputEncoder | None = None
    embedding_: PiecewiseLinear | None = None
    input_shape_: tuple[int, ...]
    _input_dtype: Any
    # Of the arrays that the network takes: that of its parameters.
    _network_dtype: Any = np.float32
    _allows_missing = False

    def _reads_as(self) -> tuple[Any, ...]:
        """Return what decides how data are checked and encoded."""
        names = (
            "missing_targets",
            "missing_inputs",
            "categorical_inputs",
            "scale_inputs",
            "effort",
            "dataset",
            *_OF_LINEAR,
        )
        of_images = ("trunk", "image_shape", "channels_last", "spatial_dims")
        return (*(getattr(self, name) for name in names), *(getattr(self, name, None) for name in of_images))

    def _check_inputs(self, X: Any, *, reset: bool = False, parameter: str = "X", min_samples: int = 1) -> np.ndarray:
        """Return X as an array of numbers, categories coded, or say what is wrong with it."""
        refuse_containers(X, parameter)
        if reset:
            self._allows_missing = self.missing_inputs == "impute" and not self._reads_images()
            double = self._encodes or torch.get_default_dtype() is torch.float64
            # What is encoded loses no digit before; else what modules are built with, and then keep.
            self._input_dtype = np.float64 if double else np.float32
            self.table_encoder_ = None
            if self.categorical_inputs == "one_hot" and TableEncoder.is_for(X):
                self.table_encoder_ = TableEncoder.fit(X)
        if self.table_encoder_ is None:
            checked = check_inputs(
                self, X, reset=reset, parameter=parameter, min_samples=min_samples, missing=self._allows_missing
            )
            if reset:
                self.input_shape_ = checked.shape[1:]
            return checked
        X = as_table(X, parameter)
        refuse_repeated_names(X, parameter)
        with named(parameter):
            validate_data(self, X, reset=reset, skip_check_array=True)
        coded = self.table_encoder_.transform(X, missing=self._allows_missing, parameter=parameter)
        if reset:
            self.input_shape_ = (self.n_features_in_,)
            if len(coded) < min_samples:
                raise ValueError(f"{parameter} must have {min_samples} rows or more. Got n_samples={len(coded)}.")
        return coded

    def _extrapolates(self) -> bool:
        """Return whether predictions go on along a linear model where inputs lie beyond those of `fit`."""
        return bool(self.linear_path) and self._margin() is None

    def _margin(self) -> float | None:
        """Return how far beyond the targets of `fit` predictions may lie, as a fraction of their range."""
        clip = self.clip_predictions
        return (_MARGIN if clip else None) if isinstance(clip, (bool, np.bool_)) else float(clip)

    @property
    def _encodes(self) -> bool:
        return self.scale_inputs is True or self.missing_inputs == "impute" or self.categorical_inputs == "one_hot"

    def _learn_encoding(self, rows: Rows) -> None:
        """Learn from checked training rows how to encode inputs."""
        X, weight = rows.X, rows.row_weight
        self.input_encoder_ = None
        if not self._encodes:
            return
        if X.ndim == 2 and not self._reads_images():
            self.input_encoder_ = InputEncoder.of_table(
                X, scale=self.scale_inputs, sample_weight=weight, extrapolates=self._extrapolates()
            )
        elif self.scale_inputs:
            shape = self._shape_of_flat(X.shape[1:])
            axis = self._channel_axis(1 + len(shape or X.shape[1:]))
            self.input_encoder_ = InputEncoder.of_images(X, axis, shape, sample_weight=weight)

    def _learn_embedding(self, rows: Rows) -> None:
        """Fit the piecewise-linear encoding on checked training rows."""
        self.embedding_, learned = None, None
        encoded = self._encoded(rows.X)
        self._encoded_shape = encoded.shape[1:]
        if self.numeric_embedding is not None:
            if encoded.ndim != 2 or self._reads_images():
                raise ValueError(
                    "The 'numeric_embedding' parameter must be None for images and signals. "
                    f"Got {self.numeric_embedding!r} for rows of shape {encoded.shape[1:]}."
                )
            with limited_threads(1):
                learned = PiecewiseLinear.fit(encoded, rows.row_weight)
        self._use_embedding(learned)

    def _use_embedding(self, embedding: PiecewiseLinear | None) -> None:
        """Use a piecewise-linear encoding, or none."""
        self.embedding_ = embedding
        if embedding is not None:
            self._encoded_shape = (embedding.n_encoded,)

    def _reads_images(self) -> bool:
        """Return whether rows of X are images or signals, if they are flat too."""
        return False

    def _shape_of_flat(self, shape: tuple[int, ...]) -> tuple[int, ...] | None:
        """Return the shape of an image whose row of X is flat, None where rows have the shape of images."""
        return None

    def _channel_axis(self, n_axes: int) -> int | None:
        """Return the axis of the channels of images or signals, None where they have none."""
        return None

    def _encoded(self, X: np.ndarray) -> np.ndarray:
        """Return checked inputs as the network takes them."""
        encoded = X if self.input_encoder_ is None else self.input_encoder_.transform(X)
        encoded = encoded if self.embedding_ is None else piecewise_linear(self.embedding_, encoded)
        if encoded.dtype == self._network_dtype:
            return encoded
        with np.errstate(over="ignore"):
            cast = encoded.astype(self._network_dtype)
        if isinstance(encoded, EncodedInputs) and isinstance(cast, EncodedInputs):
            cast.beyond = encoded.beyond
        return cast

    def _encoded_rows(self, rows: Rows) -> Rows:
        X = self._encoded(rows.X)
        if X is rows.X and not hasattr(self, "feature_names_in_"):
            return rows
        # Callbacks hand them back, without the names that inputs of the user's have.
        return dataclasses.replace(rows, X=X.view(EncodedInputs))

    def _network_inputs(self, X: Any) -> Any:
        """Return inputs as the network takes them, or a dataset of such.

        A user's dataset holds rows as they come, one that training made holds encoded ones; what a `dataset` of the
        user's own yields is for the network as it is.
        """
        if is_dataset(X) and (self._encodes_any or _holds_table(X)) and not _is_encoded(X):
            X = inputs_of(X)
        if is_dataset(X) or isinstance(X, EncodedInputs) or is_weighted(X):
            return X
        # Marked: where they go through forward_iter they must be neither checked nor encoded again.
        encoded = self._encoded(self._check_inputs(X))
        return encoded if isinstance(encoded, EncodedInputs) else encoded.view(EncodedInputs)

    @property
    def _encodes_any(self) -> bool:
        return self.input_encoder_ is not None or self.embedding_ is not None

    @property
    def _has_own_dataset(self) -> bool:
        return self.dataset is not Dataset

    def get_dataset(self, X: Any, y: Any = None) -> Any:
        """Return the rows as a dataset; one of the user's own gets inputs without the weights of the rows."""
        if self._has_own_dataset and is_weighted(X):
            return WeightedDataset(super().get_dataset(X["X"], y), X["sample_weight"])
        return super().get_dataset(X, y)

    def forward_iter(self, X: Any, *args: Any, **kwargs: Any) -> Any:
        """Yield what the module makes of inputs, batch by batch, as in skorch; they are checked and encoded first."""
        net = self._finished()
        if net is not self:
            yield from net.forward_iter(X, *args, **kwargs)
            return
        check_is_fitted(self)
        yield from super().forward_iter(self._network_inputs(X), *args, **kwargs)


class WeightedDataset(TorchDataset[Any]):
    """A dataset of the user's own with the weights of its rows beside them.

    Parameters
    ----------
    dataset : torch.utils.data.Dataset
        Yields inputs and targets.
    sample_weight : ndarray of shape (n_rows, 1) or (n_rows, n_columns)
        The weights.

    Examples
    --------
    >>> import numpy as np
    >>> from skorch.dataset import Dataset
    >>> from skmulti.estimators._inputs import WeightedDataset
    >>> WeightedDataset(Dataset(np.array([[1.0]]), np.array([[2.0]])), np.array([[3.0]]))[0]
    ({'X': array([1.]), 'sample_weight': array([3.])}, array([2.]))
    """

    def __init__(self, dataset: Any, sample_weight: np.ndarray) -> None:
        self.dataset, self.sample_weight = dataset, sample_weight

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, i: Any) -> Any:
        X, y = self.dataset[i]
        return {"X": X, "sample_weight": self.sample_weight[i]}, y


def inputs_of(dataset: Any) -> Any:
    """Return the inputs of all rows of a dataset: what it was made of, or an array of what it yields."""
    rows, whole = None, dataset
    while isinstance(whole, Subset):
        indices = np.asarray(whole.indices)
        rows, whole = (indices if rows is None else indices[rows]), whole.dataset
    if type(whole) is Dataset and (hasattr(whole.X, "columns") or isinstance(whole.X, (np.ndarray, torch.Tensor))):
        return whole.X if rows is None else multi_indexing(whole.X, rows)
    return torch.cat([to_tensor(unpack_data(batch)[0], device="cpu") for batch in DataLoader(dataset, _ROWS_AT_ONCE)])


def _holds_table(dataset: Any) -> bool:
    return hasattr(getattr(_whole_of(dataset), "X", None), "columns")


def _whole_of(dataset: Any) -> Any:
    while isinstance(dataset, Subset):
        dataset = dataset.dataset
    return dataset


def _is_encoded(dataset: Any) -> bool:
    inputs: Any = getattr(_whole_of(dataset), "X", None)
    return isinstance(inputs["X"] if is_weighted(inputs) else inputs, EncodedInputs)
