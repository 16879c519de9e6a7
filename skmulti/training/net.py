"""The training half of an estimator: what is overridden at skorch's documented seams."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import ShuffleSplit
from skorch.callbacks import EarlyStopping, EpochTimer, ProgressBar
from skorch.dataset import ValidSplit
from skorch.utils import to_tensor
from torch import Tensor
from torch.utils.data import DataLoader

from skmulti._skorch import ContractNet, has_batch_norm
from skmulti.training.callbacks import LossScoring, TermLog, last_row
from skmulti.training.divergence import LastGood, TrainingDivergedError, divergence_message
from skmulti.training.epoch_losses import BatchLosses, RowLosses
from skmulti.training.flat import FlatOptimizer
from skmulti.training.loader import TensorLoader
from skmulti.training.loop import TensorLoop
from skmulti.training.precision import InMixedPrecision
from skmulti.training.randomness import RandomStreams
from skmulti.training.rows import Rows, is_weighted
from skmulti.training.steps import check_raw
from skmulti.training.threads import choose_threads, limited_threads
from skmulti.training.way import STEPPING, TrainingLoop, is_watched, overridden, uncompiled, why_skorch

# Rows of a batch that nobody learns from: enough to amortise the call, few enough for an image's activations.
_READING_BATCH = 1024
# What a net has while it trains, and not before or after.
_OF_ONE_TRAINING = (
    "_batch_terms",
    "_epoch_terms",
    "_exact_losses",
    "_first_broken",
    "_flat",
    "_holdout",
    "_judged",
    "_last_good",
    "_loop",
    "_way",
)


class TrainingNet(ContractNet):
    """Batches, validation rows, early stopping, the record of every term, and the guard against divergence.

    The base of the estimators, which add what builds a net and what reads it.

    Examples
    --------
    >>> from skmulti import MultiOutputNetRegressor
    >>> from skmulti.training import TrainingNet
    >>> issubclass(MultiOutputNetRegressor, TrainingNet)
    True
    """

    _streams: RandomStreams
    # Multiplications of the network for one row.
    _work_per_row: int
    _holdout: Rows | None = None
    _last_good: LastGood | None = None
    _loop: TensorLoop | None = None
    _flat: FlatOptimizer | None = None
    _way: tuple[str, str, str, str] | None = None
    _batch_terms: tuple[Tensor, Tensor | float] | None = None
    _exact_losses: Mapping[str, float] = MappingProxyType({})
    _first_broken: Mapping[str, float] = MappingProxyType({})
    _judged: Mapping[bool, tuple[Any, Any, str, bool]] = MappingProxyType({})

    @property
    def _default_callbacks(self) -> list[tuple[str, Any]]:
        callbacks = [
            ("epoch_timer", EpochTimer()),
            ("train_loss", LossScoring(name="train_loss", on_train=True)),
            ("valid_loss", LossScoring(name="valid_loss")),
            ("print_log", TermLog()),
        ]
        if self.early_stopping:
            stop = EarlyStopping(
                patience=self.n_iter_no_change, threshold=self.tol, threshold_mode="abs", load_best=True
            )
            callbacks.insert(3, ("early_stopping", stop))
        return callbacks

    def get_split_datasets(self, X: Any, y: Any = None, **split_params: Any) -> tuple[Any, Any]:
        """Return the rows to learn from and the rows to validate on, or None.

        In this order: what `fit` was given as ``X_val``, what `train_split` chooses, a share of the rows while
        `early_stopping` is on, none.
        """
        if self._holdout is not None:
            return self.get_dataset(X, y), self.get_dataset(self._holdout.inputs, self._holdout.y)
        if self.train_split is None and self.early_stopping:
            share = ShuffleSplit(1, test_size=self.validation_fraction, random_state=self._streams.split_seed)
            train, valid = ValidSplit(share)(self.get_dataset(X, y), y)
        else:
            train, valid = super().get_split_datasets(X, y, **split_params)
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
                # Batch normalisation can't learn from one row: leave out the rest of this epoch.
                params.setdefault("drop_last", True)
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
        """Return the module's raw outputs; weights of rows, which travel with the inputs, are not for the module."""
        x = x["X"] if is_weighted(x) else x
        if not self.mixed_precision:
            return super().infer(x, **fit_params)
        forward = super().infer
        return InMixedPrecision(lambda X: forward(X, **fit_params), self.device)(to_tensor(x, device=self.device))

    def on_batch_begin(self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any) -> None:
        """Start a new record of this batch's terms."""
        super().on_batch_begin(net, batch=batch, training=training, **kwargs)
        self._batch_terms = None

    def on_batch_end(self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any) -> None:
        """Keep this batch's terms on the device until the epoch is over."""
        if self._batch_terms is not None:
            self._epoch_terms.append(self._batch_terms)

    def run_single_epoch(self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any) -> None:
        """Go through the batches once and record the mean of each term.

        Ours is the loop on tensors; skorch's runs where somebody wants to know of batches.
        """
        if iterator is None:
            return
        reason, watched = self._judge(iterator, training)
        if training and (self._flat is None or watched):
            self._begin_flat()
        if training and (self._last_good is None or self._last_good.module is not self.module_):
            # Not sooner: what callbacks do at the beginning of training is not to be undone.
            self._last_good = LastGood(self.module_, self._flat)
        step = "autograd"
        if reason:
            self._epoch_terms: list[tuple[Tensor, Tensor | float]] = []
            super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
            if self._epoch_terms:
                self._record_terms(BatchLosses.of(self._epoch_terms), prefix)
        else:
            step = self._run_on_tensors(iterator, training, prefix)
        if training:
            if self._flat is not None and watched:
                self._flat.publish()
            kind = "flat" if self._flat is not None and self._flat.in_use else "own"
            way = ("skorch" if reason else "tensor", step, kind, reason)
            if way != self._way:
                self._way, self.training_loop_ = way, TrainingLoop(*way)

    def _judge(self, iterator: Any, training: bool) -> tuple[str, bool]:
        """Return why skorch's loop must run, if it must, and whether somebody looks at the net between epochs.

        Asked once for all epochs.
        """
        known = self._judged.get(training)
        if known is None or known[0] is not iterator or known[1] is not self.callbacks_:
            reason = why_skorch(self, TrainingNet, iterator, training=training)
            known = (iterator, self.callbacks_, reason, is_watched(self, TrainingNet))
            self._judged = {**self._judged, training: known}
        return known[2], known[3]

    def _run_on_tensors(self, loader: TensorLoader, training: bool, prefix: str) -> str:
        """Go through the batches of a loader in our loop, record their losses, and say how steps were made."""
        parts = (self.module_, uncompiled(self.criterion_), self.optimizer_, self.target_scaler_, self._flat)
        if self._loop is None or not self._loop.is_for(*parts):
            self._loop = TensorLoop(*parts, device=self.device, mixed_precision=bool(self.mixed_precision))
        if self.module_.training is not training or not self._loop.is_written:
            self._set_training(training)
        losses = self._loop.train(loader) if training else self._loop.validate(loader)
        total = self._record_terms(losses, prefix)
        self._exact_losses = {**self._exact_losses, f"{prefix}_loss": total}
        row = last_row(self.history)
        row[f"{prefix}_batch_count"] = len(loader)
        # All batches share one record, where Checkpoint and others look for the last one.
        row["batches"].append({f"{prefix}_loss": total, f"{prefix}_batch_size": loader.n_rows})
        return self._loop.step_name if training else ""

    def _step_optimizer(self, step_fn: Any) -> None:
        """Step in skorch's loop with the numbers of ours."""
        if self._flat is None or step_fn is None:
            super()._step_optimizer(step_fn)
            return
        with torch.enable_grad():
            step_fn()
        self._flat.read_options()
        self._flat.follow()

    def _begin_flat(self) -> None:
        """Let the optimizer step on flat vectors for an epoch, unless somebody else steps with it."""
        if self._flat is not None and not self._flat.is_current(self.optimizer_):
            self._close_flat()
        if (
            self._flat is None
            and not overridden(self, TrainingNet, STEPPING)
            and FlatOptimizer.can_hold(self.optimizer_)
        ):
            self._flat, self._last_good = FlatOptimizer(self.optimizer_), None
        if self._flat is not None:
            self._flat.begin_epoch()

    def _close_flat(self) -> None:
        if self._flat is not None:
            self._flat.release()
            self._flat, self._last_good = None, None

    def __getstate__(self) -> dict[str, Any]:
        # A checkpoint in the middle of training keeps the parameters, and neither what works on them nor the rows.
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name not in _OF_ONE_TRAINING}

    def _record_terms(self, losses: RowLosses | BatchLosses, prefix: str) -> float:
        """Record the mean of each term over the rows that it saw; return their weighted sum."""
        means = losses.means()
        if not self._first_broken and not all(map(math.isfinite, means)):
            self._first_broken = self._find_first_broken(losses.per_batch().terms, means, prefix)
        names = [f"{prefix}_loss__{term.name}" for term in self.terms_]
        last_row(self.history).update(zip(names, means, strict=True))
        total = sum(term.weight * mean for term, mean in zip(self.terms_, means, strict=True))
        if losses.are_weighted:
            self._exact_losses = {**self._exact_losses, f"{prefix}_loss": total}
        return total

    def _find_first_broken(self, losses: Tensor, means: list[float], prefix: str) -> dict[str, float]:
        """Return the terms of the first batch that is not finite: what comes after it is lost for all terms."""
        broken = losses[~losses.isfinite().all(1)]
        names = [term.name if prefix == "train" else f"{term.name}, validation" for term in self.terms_]
        return dict(zip(names, broken[0].tolist() if len(broken) else means, strict=True))

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Renew the copy of the parameters, or stop where a loss or a parameter is not finite."""
        if not self._first_broken and (self._last_good is None or self._last_good.renew()):
            return
        row = self.history[-1]
        raise TrainingDivergedError(divergence_message(row["epoch"], self._first_broken))

    def _train(self, rows: Rows, holdout: Rows | None) -> None:
        """Run skorch's training on checked rows."""
        self._holdout = holdout
        X, y = rows.inputs, rows.y
        try:
            n_rows = self._rows_per_batch(self.batch_size, len(rows.y), training=True)
            with self._threads(min(n_rows, len(rows.y))), self._streams.active(), self._counted_batches(rows):
                super().partial_fit(X, y)
        except Exception as error:
            if self._last_good is not None:
                self._last_good.restore()
            if isinstance(error, TrainingDivergedError):
                # Its moments have seen what is not finite.
                self.initialize_optimizer()
                self.notify("on_train_end", X=X, y=y)
            raise
        finally:
            self._close_flat()
            self._drop_unfinished_epoch()
            for name in _OF_ONE_TRAINING:
                self.__dict__.pop(name, None)

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

    def _drop_unfinished_epoch(self) -> None:
        """Remove the row of an epoch that an interruption cut off, so that the history can be read."""
        recorded_last = "train_loss" if "train_loss" in dict(self.callbacks_) else f"train_loss__{self.terms_[0].name}"
        if len(self.history) and recorded_last not in self.history[-1]:
            del self.history[-1:]
        self.n_iter_ = len(self.history)
