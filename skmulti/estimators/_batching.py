"""Training rows, validation rows, batches, and the loss of a batch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import ShuffleSplit
from skorch.callbacks import EpochTimer, LRScheduler, ProgressBar, lr_scheduler
from skorch.dataset import Dataset, ValidSplit
from skorch.utils import to_tensor
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from skmulti._checks import did_you_mean
from skmulti.ensembles.folds import Fold
from skmulti.estimators.contract import ContractNet, has_batch_norm
from skmulti.inputs.encoder import EncodedInputs
from skmulti.training.callbacks import BestEpoch, LossScoring, TermLog
from skmulti.training.loader import TensorLoader, without_read_only
from skmulti.training.precision import InMixedPrecision, precision_of
from skmulti.training.randomness import RandomStreams
from skmulti.training.rows import Rows, is_weighted
from skmulti.training.schedule import OneCycle
from skmulti.training.steps import check_raw
from skmulti.training.threads import choose_threads, limited_threads

# Rows per batch in prediction: enough to amortise the call, few enough for the activations of images.
_READING_BATCH = 1024


class BatchingNet(ContractNet):
    """Batches, validation rows, the default callbacks, and the loss of a batch.

    Examples
    --------
    >>> from skmulti import MultiOutputNetRegressor
    >>> from skmulti.estimators._batching import BatchingNet
    >>> issubclass(MultiOutputNetRegressor, BatchingNet)
    True
    """

    _streams: RandomStreams
    # Multiplications of the network for one row; 0 where a subclass builds a module of its own.
    _work_per_row: int = 0
    # The shape of one row as the network takes it.
    _encoded_shape: tuple[int, ...]
    _holdout: Rows | None = None
    # Labels of the training rows for `train_split`, while the net trains.
    _row_groups: np.ndarray | None = None
    # The validation rows of a member of an ensemble: one fold of a partition of all rows.
    _fold: Fold | None = None
    # Whether the net trains on a bootstrap sample of its rows.
    _draws_rows = False
    _batch_terms: tuple[Tensor, Tensor | float] | None = None

    @property
    def _default_callbacks(self) -> list[tuple[str, Any]]:
        callbacks = [
            ("epoch_timer", EpochTimer()),
            ("train_loss", LossScoring(name="train_loss", on_train=True)),
            ("valid_loss", LossScoring(name="valid_loss")),
            ("print_log", TermLog()),
        ]
        if self.early_stopping is True:
            stop = BestEpoch(patience=self.n_iter_no_change, threshold=self.tol, threshold_mode="abs", load_best=True)
            callbacks.insert(3, ("early_stopping", stop))
        if self.lr_schedule == "one_cycle":
            callbacks.insert(1, ("lr_schedule", OneCycle()))
        return callbacks

    def initialize_callbacks(self) -> Any:
        """Initialize the callbacks, and refuse parameters of one that is not among them."""
        names = [name for name, _ in self._uniquely_named_callbacks()]
        for parameter in vars(self) if self.callbacks != "disable" else ():
            prefix, _, rest = parameter.partition("__")
            if prefix == "callbacks" and rest and not any(rest == n or rest.startswith(f"{n}__") for n in names):
                raise ValueError(
                    f"The {parameter!r} parameter must name a callback of this net: {', '.join(map(repr, names))}. "
                    f"Got {rest.partition('__')[0]!r} instead."
                )
        for name, callback in self._uniquely_named_callbacks():
            self._check_callback(name, callback)
        return super().initialize_callbacks()

    def _check_callback(self, name: str, callback: Any) -> None:
        """Refuse a callback class that can't be constructed, and a schedule that torch does not have."""
        if isinstance(callback, type):
            given = self.get_params_for(f"callbacks__{name}")
            try:
                callback(**given)
            except TypeError as error:
                raise TypeError(
                    f"The 'callbacks' parameter must hold callbacks, or classes that need no arguments beyond those "
                    f"given. Got the class {callback.__name__}, which raised: {error}; pass an instance."
                ) from error
        policy = getattr(callback, "policy", None)
        if isinstance(callback, LRScheduler) and isinstance(policy, str) and not hasattr(lr_scheduler, policy):
            raise ValueError(
                f"The 'callbacks' parameter holds LRScheduler({policy!r}), whose policy must be a class of "
                f"torch.optim.lr_scheduler, or its name.{did_you_mean(policy, vars(lr_scheduler))}"
            )

    def get_split_datasets(self, X: Any, y: Any = None, **split_params: Any) -> tuple[Any, Any]:
        """Return the rows to learn from and the rows to validate on, or None.

        In this order: what `fit` was given as ``X_val``, what `train_split` chooses, the `validation_fraction` of the
        rows with `early_stopping`, none. With `bootstrap`, a member of an ensemble draws a sample of the training rows
        with replacement, of the same size.
        """
        with self._with_preset():
            train, valid = self._split_rows(X, y, **split_params)
        return (self._with_replacement(train) if self._draws_rows else train), valid

    def _split_rows(self, X: Any, y: Any, **split_params: Any) -> tuple[Any, Any]:
        if self._holdout is not None:
            return self.get_dataset(X, y), self.get_dataset(self._holdout.inputs, self._holdout.y)
        if self.train_split is None and self.early_stopping:
            dataset = self.get_dataset(X, y)
            self._check_validation_fraction(len(dataset))
            train, valid = ValidSplit(self._share())(dataset, y)
        else:
            if self._row_groups is not None:
                split_params.setdefault("groups", self._row_groups)
            train, valid = super().get_split_datasets(X, y, **split_params)
            # A dataset without y, whose targets a subclass finds elsewhere, stays as it is.
            is_complete = type(valid) is Dataset and valid.y is not None
            if is_complete and not self._has_own_dataset and not isinstance(valid.X, EncodedInputs):
                valid = self._as_validation(valid)
        if self.early_stopping and valid is None:
            raise ValueError(
                "The 'early_stopping' parameter needs rows to validate on. Got a 'train_split' that gives none; "
                "give X_val and y_val to fit, or leave 'train_split' at None."
            )
        watch = [type(cb).__name__ for _, cb in self.callbacks_ if getattr(cb, "monitor", None) == "valid_loss"]
        if valid is None and watch:
            raise ValueError(
                f"The 'callbacks' parameter holds {watch[0]}, which watches the validation loss, and there are no rows "
                "to validate on. Give X_val and y_val to fit, a 'train_split', or use early_stopping=True."
            )
        if len(train) == 0 or (valid is not None and len(valid) == 0):
            raise ValueError(
                "The 'train_split' parameter must leave rows to learn from and rows to validate on. "
                f"Got {len(train)} and {0 if valid is None else len(valid)} rows."
            )
        return train, valid

    def _as_validation(self, dataset: Dataset) -> Dataset:
        """Check and encode validation rows of the user (`skorch.helper.predefined_split`), as X_val and y_val."""
        rows = self._encoded_rows(self._check_rows(dataset.X, dataset.y, None, "_val"))
        return self.get_dataset(rows.inputs, rows.y)

    def _check_validation_fraction(self, n_rows: int) -> None:
        """Refuse a fraction that leaves no rows to learn from."""
        n_valid = math.ceil(self.validation_fraction * n_rows)
        if self._fold is None and n_valid >= n_rows:
            raise ValueError(
                "The 'validation_fraction' parameter must leave rows to learn from. Got "
                f"{self.validation_fraction!r}, which takes {n_valid} of {n_rows} rows; use a smaller one or more rows."
            )

    def _share(self) -> Any:
        """Return what chooses the validation rows: the same at every call."""
        return self._fold or ShuffleSplit(1, test_size=self.validation_fraction, random_state=self._streams.split_seed)

    def _left_out(self, y: np.ndarray) -> np.ndarray:
        """Return which rows early stopping set aside."""
        left_out: np.ndarray = next(self._share().split(y))[1]
        return left_out

    def _with_replacement(self, dataset: Any) -> Subset[Any]:
        """Return as many rows of a dataset, drawn with replacement: the same at every call, and not copied."""
        drawn: Any = np.random.default_rng(self._streams.bootstrap_seed).integers(len(dataset), size=len(dataset))
        if isinstance(dataset, Subset):
            dataset, drawn = dataset.dataset, np.asarray(dataset.indices)[drawn]
        return Subset(dataset, drawn)

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Return the batches of a dataset, in an order drawn from the net's own generator while training."""
        name = "iterator_train" if training else "iterator_valid"
        params = self.get_params_for(name)
        iterator = getattr(self, name)
        if iterator is TensorLoader and not TensorLoader.can_load(dataset):
            iterator = DataLoader
        n_rows = len(dataset)
        params["batch_size"] = self._rows_per_batch(params.get("batch_size", self.batch_size), n_rows, training)
        if training:
            params.setdefault("shuffle", self.shuffle)
            if iterator in (TensorLoader, DataLoader):
                params.setdefault("generator", self._streams.order)
            if n_rows % params["batch_size"] == 1 < n_rows and has_batch_norm(self.module_):
                # Batch normalisation can't train on a batch of one row: drop the last batch of this epoch.
                params.setdefault("drop_last", True)
        elif iterator is DataLoader:
            # Without a generator, DataLoader draws the seed of its workers from the global one.
            params.setdefault("generator", torch.Generator())
        if iterator is DataLoader:
            dataset = without_read_only(dataset)
        return iterator(dataset, **params)

    @staticmethod
    def _rows_per_batch(batch_size: Any, n_rows: int, training: bool) -> int:
        if batch_size == "auto":
            if not training:
                return _READING_BATCH
            # About fifty steps an epoch, between 32 and 256 rows each.
            return int(2 ** np.clip(round(math.log2(max(n_rows, 1) / 50)), 5, 8))
        return max(n_rows, 1) if batch_size == -1 else int(batch_size)

    def get_loss(self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False) -> Tensor:
        """Return the total loss of a batch, whose targets are in the user's units."""
        y_pred = check_raw(y_pred)
        y_true = self.target_scaler_.transform(to_tensor(y_true, device="cpu")).to(y_pred.device)
        weight = to_tensor(X["sample_weight"], device=y_pred.device) if is_weighted(X) else None
        terms, seen = self.criterion_.measure(y_pred, y_true, weight)
        if self._batch_terms is None:
            self._batch_terms = (terms.detach(), seen)
        total: Tensor = self.criterion_.total(terms)
        return total

    def infer(self, x: Any, **fit_params: Any) -> Any:
        """Return the module's raw outputs; sample weights, passed along with the inputs, are removed first."""
        x = x["X"] if is_weighted(x) else x
        if isinstance(x, (np.ndarray, Tensor)):
            x = to_tensor(x, device=self.device)
            # A custom dataset may yield another precision than that of the module.
            x = x.to(precision_of(self.module_)) if x.is_floating_point() else x
        if not self.mixed_precision:
            return super().infer(x, **fit_params)
        forward = super().infer
        return InMixedPrecision(lambda X: forward(X, **fit_params), self.device)(x)

    @contextmanager
    def _counted_batches(self, rows: Rows) -> Iterator[None]:
        """Let skorch's ProgressBar, which reads it from the parameters, know the size that "auto" stands for."""
        sizes = {}
        if self.batch_size == "auto" and any(isinstance(callback, ProgressBar) for _, callback in self.callbacks_):
            for name, training in (("iterator_train", True), ("iterator_valid", False)):
                if f"{name}__batch_size" not in vars(self):
                    sizes[f"{name}__batch_size"] = self._rows_per_batch("auto", len(rows.y), training)
        self.__dict__.update(sizes)
        try:
            yield
        finally:
            for name in sizes:
                self.__dict__.pop(name, None)

    def _threads(self, n_rows: int) -> AbstractContextManager[None]:
        """Return a context with as many threads as a batch of so many rows is worth."""
        return limited_threads(choose_threads(self.n_threads, n_rows * self._work_per_row))
