"""One net of a stack: its epochs as its callbacks see them, and when it stops."""

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
from skmulti.training.rows import rows_to_look_at
from skmulti.training.schedule import OneCycle


@dataclass(frozen=True)
class RunLosses:
    """The losses of one member's epoch.

    Attributes
    ----------
    of_terms : list of float
        The mean of each term over the rows that it saw.
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


class Good:
    """What a net asks at the end of an epoch: whether its numbers are all finite. Its stack knows."""

    def __init__(self, module: Any) -> None:
        self.module, self.finite = module, True

    def renew(self) -> bool:
        """Return whether all numbers are finite; the stack has copied them if so."""
        return self.finite

    def restore(self) -> None:
        """Do nothing: the stack has given the module its last good numbers."""


class TrainingRun:
    """A net that trains in a stack, in step with others.

    Parameters
    ----------
    task : TrainingTask
        The net and its rows.

    Attributes
    ----------
    loader, valid : TensorLoader
        The batches to learn from, and those to be validated on, or None.
    is_watched : bool
        Whether somebody looks at the net, or changes it, between epochs.
    is_over : bool
        Whether its training is over.
    has_left : bool
        Whether it has left the stack, and its net is as after any training.
    improved : bool
        Whether its last epoch was the best so far, for its early stopping.
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
        self.good = Good(net.module_)
        self._stopping: list[Any] = []
        self._heard: list[Any] = []
        self.is_watched = self._is_quiet = self.has_epoch = self.has_left = False

    def begin(self) -> None:
        """Begin training, as skorch's partial_fit does."""
        net = self.net
        net.check_training_readiness()
        self.is_watched = is_watched(net, net.base_net)
        # Copies of the best parameters are the stack's to make: it holds them.
        self._stopping = [cb for _, cb in net.callbacks_ if type(cb) in (EarlyStopping, BestEpoch) and cb.load_best]
        self._notify("on_train_begin", X=self.X, y=self.y)
        # What else there is by default does nothing but print.
        self._is_quiet = not self.is_watched and not net.verbose
        self._heard = [cb for _, cb in net.callbacks_ if not isinstance(cb, TermLog)]
        net._last_good = self.good
        for callback in self._stopping:
            callback.load_best = False

    def begin_epoch(self) -> None:
        """Open a row of the history."""
        if self._is_quiet:
            # As skorch does, without its calls of what does nothing: for a small net they take as long as its steps.
            history = self.net.history_
            history.append({"batches": [], "epoch": len(history) + 1})
            for callback in self._heard:
                if type(callback) in (EpochTimer, OneCycle):
                    callback.on_epoch_begin(self.net)
        else:
            self._notify("on_epoch_begin", **self._datasets)
        self.has_epoch = True

    @property
    def ends_unseen(self) -> bool:
        """Return whether this is its last epoch, after which no validation measures what the last step did."""
        return self.epochs_left == 1 and self.valid is None

    def predicts_well(self) -> bool:
        """Return whether predictions of the net, which has the numbers after its last step, are finite."""
        self.net._broken_columns = self.net._columns_not_finite(rows_to_look_at(self._inputs))
        return not self.net._broken_columns

    def end_epoch(self, train: RunLosses, valid: RunLosses | None) -> None:
        """Record the losses of an epoch, and let callbacks see them."""
        net = self.net
        net._record_epoch(train, self.loader, "train")
        if valid is not None:
            net._record_epoch(valid, self.valid, "valid")
        self._end_epoch()

    def _end_epoch(self) -> None:
        self._notify("on_epoch_end", **self._datasets)
        self.has_epoch = False
        self.epochs_left -= 1
        self.improved = self.task.error is None and any(callback.misses_ == 0 for callback in self._stopping)
        self.is_over = self.is_over or self.epochs_left <= 0

    def _notify(self, event: str, **kwargs: Any) -> None:
        net = self.net
        try:
            if self._is_quiet and event == "on_epoch_end":
                net.on_epoch_end(net)
                for callback in self._heard:
                    callback.on_epoch_end(net)
                return
            with net._streams.active() if self.is_watched else nullcontext():
                net.notify(event, **kwargs)
        except KeyboardInterrupt:
            # So skorch's callbacks say that a net has learned enough.
            if was_interrupted():
                raise
            self.is_over = True
        except Exception as error:
            self.task.error, self.is_over = error, True

    def end(self, best: dict[str, Any] | None) -> None:
        """End training, as skorch's partial_fit does: the module has its last parameters again.

        Parameters
        ----------
        best : dict of str to Tensor, or None
            The numbers after the best epoch, where early stopping wants them.
        """
        net, error = self.net, self.task.error
        self._give_back(best)
        try:
            if error is None:
                self._notify("on_train_end", X=self.X, y=self.y)
            else:
                net._give_up(error, self.X, self.y, self._n_epochs_before)
        finally:
            net._leave_training()
            net._leave_preset()
            self.has_left = True

    def start_again(self) -> bool:
        """Be as before `begin`, for another way of training; return whether that could be had."""
        self.net._leave_training()
        self._give_back(None)
        if not self._n_epochs_before:
            self.net.initialize()
        return len(self.net.history_) == self._n_epochs_before

    def _give_back(self, best: dict[str, Any] | None) -> None:
        """Let early stopping take its own copies again, after the best that there is so far."""
        for callback in self._stopping:
            callback.load_best = True
            if best is not None:
                callback.best_model_weights_ = best
        self._stopping = []

    def mark(self) -> tuple[Any, ...]:
        """Return what must stay as it is for the net to stay in its stack."""
        net = self.net
        learning = tuple(p.requires_grad for p in net.module_.parameters())
        groups = tuple(len(group["params"]) for group in net.optimizer_.param_groups)
        kept = (id(net.module_), id(net.optimizer_), id(net.criterion_), id(net.callbacks_))
        return (*kept, learning, groups, FlatOptimizer.can_hold(net.optimizer_))

    def go_on_alone(self, best: dict[str, Any] | None) -> None:
        """Train what is left of the epochs in the net's own loop; the first has begun unless there was none."""
        net = self.net
        net._last_good = None
        self._give_back(best)
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
