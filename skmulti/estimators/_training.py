"""The training half of an estimator: what is overridden at skorch's documented seams."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from skmulti._checks import warn
from skmulti.estimators._batching import BatchingNet
from skmulti.estimators._before import Before
from skmulti.training.callbacks import last_row
from skmulti.training.divergence import LastGood, TrainingDivergedError, divergence_message
from skmulti.training.epoch_losses import BatchLosses, EpochLosses
from skmulti.training.interrupt import ctrl_c, was_interrupted
from skmulti.training.loader import TensorLoader
from skmulti.training.loop import TensorLoop
from skmulti.training.loop_choice import STEPPING, TrainingLoop, is_watched, overridden, uncompiled, why_skorch
from skmulti.training.optimizers.flat import FlatOptimizer
from skmulti.training.rows import Rows, is_weighted, rows_to_check
from skmulti.training.schedule import OneCycle

# What a net has while it trains, and not before or after.
_OF_ONE_TRAINING = (
    "_batch_terms",
    "_broken_columns",
    "_end",
    "_epoch_terms",
    "_exact_losses",
    "_first_broken",
    "_flat",
    "_holdout",
    "_judged",
    "_last_good",
    "_was_interrupted",
    "_loop",
    "_row_groups",
    "_on_member_epoch",
    "_loop_record",
)


class TrainingNet(BatchingNet):
    """The loop over the batches, ours or skorch's, the record of every term, and the guard against divergence.

    The base of the estimators, which add what builds a net and what reads it.

    Examples
    --------
    >>> from skmulti import MultiOutputNetRegressor
    >>> from skmulti.estimators._training import TrainingNet
    >>> issubclass(MultiOutputNetRegressor, TrainingNet)
    True
    """

    # The class against which overrides of a subclass are detected.
    base_net: ClassVar[type[TrainingNet]]
    _last_good: LastGood | None = None
    # The state from before `fit` or `partial_fit`, while either runs.
    _before: Before | None = None
    _was_interrupted = False
    _loop: TensorLoop | None = None
    _flat: FlatOptimizer | None = None
    _loop_record: tuple[str, str, str, str] | None = None
    _exact_losses: Mapping[str, float] = MappingProxyType({})
    _first_broken: Mapping[str, float] = MappingProxyType({})
    # Called after each epoch of a member, in place of its own log.
    _on_member_epoch: Callable[[], None] | None = None
    _broken_columns: Sequence[str] = ()
    # The last epoch of this training, and rows to predict after it.
    _end: tuple[int, np.ndarray] | None = None
    _judged: Mapping[bool, tuple[Any, Any, str, bool]] = MappingProxyType({})

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
        elif training and self._flat is not None and self.lr_schedule is not None:
            self._flat.read_options()
        if training and (self._last_good is None or self._last_good.module is not self.module_):
            # Not earlier: restoring must not undo changes that callbacks make at the beginning of training.
            self._last_good = LastGood(self.module_, self._flat, list(self._learned_beside().values()))
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
            record = ("skorch" if reason else "tensor", step, kind, reason)
            if record != self._loop_record:
                self._loop_record, self.training_loop_ = record, TrainingLoop(*record)

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
        if self.module_.training is not training or not self._loop.is_analytic:
            self._set_training(training)
        losses = self._loop.train(loader) if training else self._loop.validate(loader)
        self._record_epoch(losses, loader, prefix)
        return self._loop.step_name if training else ""

    def _record_epoch(self, losses: EpochLosses, loader: TensorLoader, prefix: str) -> None:
        """Record the losses of an epoch that ran on tensors."""
        total = self._record_terms(losses, prefix)
        self._exact_losses = {**self._exact_losses, f"{prefix}_loss": total}
        row = last_row(self.history)
        row[f"{prefix}_batch_count"] = len(loader)
        # All batches share one record, where Checkpoint and others look for the last one.
        row["batches"].append({f"{prefix}_loss": total, f"{prefix}_batch_size": loader.n_rows})

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
        """Let the optimizer step on flat vectors for an epoch, unless overridden code uses the optimizer itself."""
        if self._flat is not None and not self._flat.is_current(self.optimizer_):
            self._close_flat()
        if (
            self._flat is None
            and len(self._optimizers) == 1
            and not overridden(self, TrainingNet, STEPPING)
            and FlatOptimizer.can_hold(self.optimizer_)
        ):
            self._flat, self._last_good = FlatOptimizer(self.optimizer_), None
        if self._flat is not None:
            self._flat.begin_epoch()

    def _learned_beside(self) -> dict[str, nn.Module]:
        """Return what is learned beside `module_`, by name: a subclass's modules, a criterion with parameters."""
        names = [f"{name}_" for name in (*self._modules, *self._criteria) if name != "module"]
        found = {name: uncompiled(getattr(self, name, None)) for name in names}
        return {
            name: module
            for name, module in found.items()
            if isinstance(module, nn.Module) and any(True for _ in module.parameters())
        }

    def _close_flat(self) -> None:
        if self._flat is not None:
            self._flat.release()
            self._flat, self._last_good = None, None

    def __getstate__(self) -> dict[str, Any]:
        # A checkpoint in the middle of training keeps the parameters, and neither what works on them nor the rows.
        state: dict[str, Any] = super().__getstate__()
        left_out = (*_OF_ONE_TRAINING, "_before", "_stamp", "_turn")
        return {name: value for name, value in state.items() if name not in left_out}

    def _record_terms(self, losses: EpochLosses, prefix: str) -> float:
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
        """Renew the copy of the parameters, or stop where a loss, a parameter or a prediction is not finite."""
        row = last_row(self.history)
        # Losses are those before each step: only validation, or a prediction, knows of the last one.
        if self._end is not None and row["epoch"] == self._end[0] and f"valid_loss__{self.terms_[0].name}" not in row:
            self._broken_columns = self._columns_not_finite(self._end[1])
        sound = not self._first_broken and not self._broken_columns
        if sound and (self._last_good is None or self._last_good.renew()):
            return
        raise TrainingDivergedError(divergence_message(row["epoch"], self._first_broken, self._broken_columns))

    def _plan_end(self, X: np.ndarray, n_epochs: int) -> None:
        """Look at predictions for some of the encoded inputs X after so many epochs more."""
        self._end = (len(self.history_ or ()) + n_epochs, rows_to_check(X))

    def _columns_not_finite(self, X: np.ndarray) -> list[str]:
        """Return the terms whose raw outputs or predictions for encoded inputs are not all finite."""
        return []

    def _encoded_rows(self, rows: Rows) -> Rows:
        """Return checked rows as the network takes them."""
        return rows

    @contextmanager
    def _as_before_on_error(self, *, goes_on: bool) -> Iterator[None]:
        """Restore the state from before a training that fails, unless whole epochs of it are to be kept.

        They are kept after divergence and Ctrl-C, and after any error where training goes on from where it was, or
        where there was nothing before.

        Parameters
        ----------
        goes_on : bool
            Whether training continues with the present network.
        """
        with ctrl_c(), self._in_turn(in_place=goes_on):
            before = self._before = Before(self._nets, in_place=goes_on)
            keeps = goes_on or not before.was_built
            try:
                yield
            except BaseException as error:
                keeps = keeps or isinstance(error, (TrainingDivergedError, KeyboardInterrupt))
                if not (keeps and before.has_new_epoch):
                    before.restore()
                raise
            else:
                if was_interrupted():
                    warn(self._interruption(before.n_new_epochs))
            finally:
                self.__dict__.pop("_before", None)

    def _interruption(self, n_epochs: int) -> str:
        """Return the warning for a training that Ctrl-C ended after this number of epochs."""
        return (
            f"Training was interrupted after {n_epochs} epoch{'s' * (n_epochs != 1)}. The estimator keeps the "
            "parameters learned so far; use partial_fit to continue, or fit to start again."
        )

    def fit_loop(self, X: Any, y: Any = None, epochs: Any = None, **fit_params: Any) -> TrainingNet:
        """Go through all epochs, as in skorch; record an interruption, which skorch handles silently."""
        try:
            super().fit_loop(X, y, epochs, **fit_params)
        except KeyboardInterrupt:
            self._was_interrupted = True
            raise
        return self

    def _train(self, rows: Rows, holdout: Rows | None) -> None:
        """Run skorch's training on checked rows."""
        n_epochs_before, was_interrupted = len(self.history_), False
        self._holdout = None if holdout is None else self._encoded_rows(holdout)
        self._row_groups = rows.groups
        rows = self._encoded_rows(rows)
        X, y = rows.inputs, rows.y
        self._plan_end(rows.X, self.max_epochs)
        try:
            n_rows = self._rows_per_batch(self.batch_size, len(rows.y), training=True)
            with self._threads(min(n_rows, len(rows.y))), self._streams.active(), self._counted_batches(rows):
                super().partial_fit(X, y)
            was_interrupted = self._was_interrupted
        except Exception as error:
            if self._was_interrupted and not self.history:
                # Callbacks that look for the last epoch at the end of training find none.
                raise KeyboardInterrupt from error
            self._give_up(error, X, y, n_epochs_before)
            raise
        finally:
            self._leave_training()
            self._leave_preset()
        if was_interrupted and len(self.history_) == n_epochs_before and self._before and self._before.was_built:
            # Keep the earlier state rather than part of an epoch.
            raise KeyboardInterrupt

    def _leave_preset(self) -> None:
        """Restore the parameters as the user gave them."""

    def _give_up(self, error: Exception, X: Any, y: Any, n_epochs_before: int) -> None:
        """Go back to the last good parameters after an error in training, which began after so many epochs."""
        if self._last_good is not None:
            self._last_good.restore()
        if isinstance(error, TrainingDivergedError):
            # The optimizer's moments contain values that are not finite.
            self.initialize_optimizer()
            self.notify("on_train_end", X=X, y=y)
            # Without callbacks that record its end, it would seem to be a whole epoch.
            epoch = self.history[-1]["epoch"]
            del self.history[-1:]
            inputs = rows_to_check(X["X"] if is_weighted(X) else X)
            if len(self.history) > n_epochs_before and self._columns_not_finite(inputs):
                # The last step of the epoch before had gone too far already, and no loss was measured after it.
                del self.history[n_epochs_before:]
                error.args = (divergence_message(epoch, self._first_broken, self._broken_columns, keeps=False),)
        for _, callback in self.callbacks_:
            # Else the rate of an epoch in the middle would be the highest one of the next training.
            if isinstance(callback, OneCycle):
                callback.on_train_end(self)

    def _leave_training(self) -> None:
        """Delete the attributes that exist only during training."""
        self._close_flat()
        self._drop_unfinished_epoch()
        for name in _OF_ONE_TRAINING:
            self.__dict__.pop(name, None)

    def _drop_unfinished_epoch(self) -> None:
        """Remove the row of an epoch that an interruption cut off, so that the history can be read."""
        recorded_last = "train_loss" if "train_loss" in dict(self.callbacks_) else f"train_loss__{self.terms_[0].name}"
        if len(self.history) and recorded_last not in self.history[-1]:
            del self.history[-1:]
        self.n_iter_ = len(self.history)


TrainingNet.base_net = TrainingNet
