"""The training run of one net in a stack: history, callbacks and stopping."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar

from skorch.callbacks import EarlyStopping, EpochTimer

from skmulti.training.callbacks import BestEpoch, TermLog
from skmulti.training.epoch_losses import BatchLosses
from skmulti.training.interrupt import was_interrupted
from skmulti.training.loader import TensorLoader
from skmulti.training.loop_choice import is_watched
from skmulti.training.optimizers.flat import FlatOptimizer
from skmulti.training.rows import rows_to_check
from skmulti.training.schedule import OneCycle


@dataclass(frozen=True)
class RunLosses:
    """The losses of one net in one epoch of a stack.

    Attributes
    ----------
    of_terms : list of float
        The mean of each term over the rows that have its target.
    batches : callable
        Returns the losses of each batch.
    """

    of_terms: list[float]
    batches: Callable[[], BatchLosses]
    are_weighted: ClassVar[bool] = False

    def means(self) -> list[float]:
        """Return the mean of each term."""
        return self.of_terms

    def per_batch(self) -> BatchLosses:
        """Return the losses of each batch."""
        return self.batches()


class StackedLastGood:
    """The counterpart of `LastGood` in a stack, which checks and copies the values of all nets at once."""

    def __init__(self, module: Any) -> None:
        self.module, self.finite = module, True

    def renew(self) -> bool:
        """Return whether all values are finite; if so, the stack has copied them."""
        return self.finite

    def restore(self) -> None:
        """Do nothing: the stack has restored the last good values in the module."""


class TrainingRun:
    """The training run of one net in a stack.

    Parameters
    ----------
    task : TrainingTask
        The net and its training rows.

    Attributes
    ----------
    loader, valid : TensorLoader
        The training batches, and the validation batches or None.
    is_watched : bool
        Whether callbacks or overridden methods may read or change the net between epochs.
    is_over : bool
        Whether training has ended.
    has_left : bool
        Whether the run was removed from the stack and its net is in the state after training.
    improved : bool
        Whether early stopping counts the last epoch as the best so far.
    """

    def __init__(self, task: Any) -> None:
        self.task, self.net = task, task.net
        net = self.net
        rows = net._encoded_rows(task.rows)
        self.X, self.y = rows.inputs, rows.y
        self._inputs = rows.X
        self._n_epochs_before = len(net.history_ or ())
        net._row_groups = rows.groups
        net._holdout = None if task.holdout is None else net._encoded_rows(task.holdout)
        train, valid = net.get_split_datasets(self.X, self.y)
        self._datasets = {"dataset_train": train, "dataset_valid": valid}
        self.loader: TensorLoader = net.get_iterator(train, training=True)
        self.valid: TensorLoader | None = None if valid is None else net.get_iterator(valid, training=False)
        self.epochs_left, self.is_over, self.improved = net.max_epochs, False, False
        self.last_good = StackedLastGood(net.module_)
        self._early_stopping: list[Any] = []
        self._callbacks: list[Any] = []
        self.is_watched = self._is_quiet = self.has_epoch = self.has_left = self._has_begun = False

    def begin(self) -> None:
        """Begin training as skorch's partial_fit does."""
        net = self.net
        net.check_training_readiness()
        self.is_watched = is_watched(net, net.base_net)
        # The stack copies the best parameters, because it holds the current ones.
        self._early_stopping = [
            cb for _, cb in net.callbacks_ if type(cb) in (EarlyStopping, BestEpoch) and cb.load_best
        ]
        self._notify("on_train_begin", X=self.X, y=self.y)
        self._has_begun = True
        # Without custom callbacks and printing, most default callbacks have nothing to do.
        self._is_quiet = not self.is_watched and not net.verbose
        self._callbacks = [cb for _, cb in net.callbacks_ if not isinstance(cb, TermLog)]
        net._last_good = self.last_good
        for callback in self._early_stopping:
            callback.load_best = False

    def begin_epoch(self) -> None:
        """Start a row of the history and notify the callbacks."""
        if self._is_quiet:
            # For a small net, notifying callbacks that do nothing takes as long as the optimizer steps.
            history = self.net.history_
            history.append({"batches": [], "epoch": len(history) + 1})
            for callback in self._callbacks:
                if type(callback) in (EpochTimer, OneCycle):
                    callback.on_epoch_begin(self.net)
        else:
            self._notify("on_epoch_begin", **self._datasets)
        self.has_epoch = True

    @property
    def ends_unvalidated(self) -> bool:
        """Whether this is the last epoch and no validation loss is measured after its last step."""
        return self.epochs_left == 1 and self.valid is None

    def predicts_finite(self) -> bool:
        """Return whether the predictions of the net, whose module holds the current values, are finite."""
        self.net._broken_columns = self.net._columns_not_finite(rows_to_check(self._inputs))
        return not self.net._broken_columns

    def end_epoch(self, train: RunLosses, valid: RunLosses | None) -> None:
        """Record the losses of an epoch and notify the callbacks."""
        net = self.net
        net._record_epoch(train, self.loader, "train")
        if valid is not None:
            net._record_epoch(valid, self.valid, "valid")
        self._end_epoch()

    def _end_epoch(self) -> None:
        self._notify("on_epoch_end", **self._datasets)
        self.has_epoch = False
        self.epochs_left -= 1
        self.improved = self.task.error is None and any(callback.misses_ == 0 for callback in self._early_stopping)
        self.is_over = self.is_over or self.epochs_left <= 0

    def _notify(self, event: str, **kwargs: Any) -> None:
        net = self.net
        try:
            if self._is_quiet and event == "on_epoch_end":
                net.on_epoch_end(net)
                for callback in self._callbacks:
                    callback.on_epoch_end(net)
                return
            with net._streams.active() if self.is_watched else nullcontext():
                net.notify(event, **kwargs)
        except KeyboardInterrupt:
            # skorch's callbacks raise KeyboardInterrupt to end the training of their net.
            if was_interrupted():
                raise
            self.is_over = True
        except Exception as error:
            self.task.error, self.is_over = error, True

    def end(self, best: dict[str, Any] | None) -> None:
        """End training as skorch's partial_fit does; the module holds the last parameters.

        Parameters
        ----------
        best : dict of str to Tensor, or None
            Parameters and buffers of the best epoch, for early stopping that restores them.
        """
        net, error = self.net, self.task.error
        self._restore_early_stopping(best)
        try:
            if error is None and not (self._has_begun and net.history_):
                # Interrupted before its first epoch: callbacks look for the last row of the history.
                pass
            elif error is None:
                self._notify("on_train_end", X=self.X, y=self.y)
            else:
                net._give_up(error, self.X, self.y, self._n_epochs_before)
        finally:
            net._leave_training()
            net._leave_preset()
            self.has_left = True

    def reset(self) -> bool:
        """Return to the state before `begin`, for sequential training; return whether this was possible."""
        self.net._leave_training()
        self._restore_early_stopping(None)
        if not self._n_epochs_before:
            self.net.initialize()
        return len(self.net.history_) == self._n_epochs_before

    def _restore_early_stopping(self, best: dict[str, Any] | None) -> None:
        """Let early stopping copy the best parameters itself again, starting from those of the best epoch so far."""
        for callback in self._early_stopping:
            callback.load_best = True
            if best is not None:
                callback.best_model_weights_ = best
        self._early_stopping = []

    def fingerprint(self) -> tuple[Any, ...]:
        """Return what must not change while the net is in a stack."""
        net = self.net
        trainable = tuple(p.requires_grad for p in net.module_.parameters())
        groups = tuple(len(group["params"]) for group in net.optimizer_.param_groups)
        identities = (id(net.module_), id(net.optimizer_), id(net.criterion_), id(net.callbacks_))
        return (*identities, trainable, groups, FlatOptimizer.can_hold(net.optimizer_))

    def continue_alone(self, best: dict[str, Any] | None) -> None:
        """Train the remaining epochs in the net's own loop; an epoch that has begun is completed first."""
        net = self.net
        net._last_good = None
        self._restore_early_stopping(best)
        n_rows = self.loader.batch_size
        net._plan_end(self._inputs, self.epochs_left - self.has_epoch)
        with net._threads(n_rows), net._streams.active():
            while not self.is_over:
                if self.has_epoch:
                    self._run_epoch_alone()
                if not self.is_over:
                    self.begin_epoch()
        self.end(best)

    def _run_epoch_alone(self) -> None:
        net = self.net
        try:
            net.run_single_epoch(self.loader, training=True, prefix="train", step_fn=net.train_step)
            net.run_single_epoch(self.valid, training=False, prefix="valid", step_fn=net.validation_step)
        except Exception as error:
            self.task.error, self.is_over = error, True
            return
        self._end_epoch()
