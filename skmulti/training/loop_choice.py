"""Which loop trains: ours on tensors, or skorch's own as soon as somebody wants a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from skorch.callbacks import Callback, EarlyStopping, EpochScoring, EpochTimer, LRScheduler, PassthroughScoring
from skorch.callbacks.logging import MlflowLogger, NeptuneLogger, SacredLogger

from skmulti.losses import MixedLoss
from skmulti.training.callbacks import BestEpoch, LossScoring, TermLog
from skmulti.training.device_rows import DeviceRows
from skmulti.training.loader import TensorLoader
from skmulti.training.schedule import OneCycle

_BATCH_EVENTS = ("on_batch_begin", "on_batch_end", "on_grad_computed")
# The methods of a net that make a batch what it is; who overrides one wants it called.
_OF_ANY_BATCH = (*_BATCH_EVENTS, "infer", "get_loss", "notify", "run_single_epoch", "_set_training")
_OF_TRAINING = (
    "train_step",
    "train_step_single",
    "_zero_grad_optimizer",
    "_step_optimizer",
    "get_train_step_accumulator",
)
_OF_VALIDATION = ("validation_step",)
# Of these, the methods that may call the optimizer.
STEPPING = ("run_single_epoch", "train_step", "_step_optimizer", "_zero_grad_optimizer")


@dataclass(frozen=True)
class TrainingLoop:
    """How an estimator was trained in its last epoch.

    Attributes
    ----------
    loop : {"tensor", "stack", "skorch"}
        Whose loop ran: ours on tensors, ours for many nets at once, or skorch's over batches.
    step : {"analytic", "functional", "autograd"}
        Whether the passes of the network were written out, taken from torch.func for all nets of a stack, or left to
        autograd.
    optimizer : {"flat", "stacked", "own"}
        Whether the optimizer stepped on one vector, on the parameters of all nets of a stack, or on each parameter.
    reason : str
        Why skorch's loop ran, empty if it did not.

    Examples
    --------
    >>> from skmulti import MultiOutputMLPRegressor
    >>> net = MultiOutputMLPRegressor(effort=None, max_epochs=1).fit([[0.0], [1.0]], [0.0, 1.0])
    >>> net.training_loop_
    TrainingLoop(loop='tensor', step='analytic', optimizer='flat', reason='')
    """

    loop: str
    step: str = "autograd"
    optimizer: str = "own"
    reason: str = ""


def why_skorch(net: Any, base: type, iterator: Any, *, training: bool) -> str:
    """Return why skorch's loop must go through these batches, or an empty string.

    Parameters
    ----------
    net : TrainingNet
        The net.
    base : type
        The class whose methods are known.
    iterator : iterable of batches
        What `get_iterator` returned.
    training : bool
        Whether the batches are learned from.
    """
    if net.training_loop == "skorch":
        return "the 'training_loop' parameter asks for it"
    if type(iterator) is not TensorLoader or not DeviceRows.can_hold(iterator.dataset):
        return "the batches are not those of a TensorLoader over arrays"
    name = overridden(net, base, (*_OF_ANY_BATCH, *(_OF_TRAINING if training else _OF_VALIDATION)))
    if name:
        return f"{type(net).__name__} overrides {name}"
    if type(uncompiled(net.criterion_)) is not MixedLoss or (net._modules, net._criteria, net._optimizers) != (
        base._modules,  # type: ignore[attr-defined]
        base._criteria,  # type: ignore[attr-defined]
        base._optimizers,  # type: ignore[attr-defined]
    ):
        return f"{type(net).__name__} has modules, criteria or optimizers of its own"
    for name, callback in net.callbacks_:
        if _listens(callback, net, training=training):
            hint = "; with use_caching=False it would not" if isinstance(callback, EpochScoring) else ""
            return f"the callback {name!r} listens to batches{hint}"
    return ""


def is_watched(net: Any, base: type) -> bool:
    """Return whether somebody may look at the net, or change it, between two epochs."""
    own = (EpochTimer, LossScoring, TermLog, EarlyStopping, BestEpoch, OneCycle)
    events = ("on_epoch_begin", "on_epoch_end", "notify")
    return bool(overridden(net, base, events)) or any(type(callback) not in own for _, callback in net.callbacks_)


def uncompiled(module: Any) -> Any:
    """Return what ``torch.compile`` wrapped, and any other module itself."""
    return getattr(module, "_orig_mod", module)


def overridden(net: Any, base: type, names: tuple[str, ...]) -> str:
    """Return the first of these methods that is not the base's own, or an empty string."""
    return next((name for name in names if _overrides(net, name, base)), "")


def _listens(callback: Any, net: Any, *, training: bool) -> bool:
    """Return whether a callback wants to know of batches."""
    if isinstance(callback, PassthroughScoring) and not isinstance(callback, LossScoring):
        return True
    heard = [event for event in _BATCH_EVENTS if _overrides(callback, event, Callback)]
    if heard != ["on_batch_end"]:
        return bool(heard)
    # Some define it, and use it or not.
    for cls in (MlflowLogger, NeptuneLogger, SacredLogger):
        if isinstance(callback, cls) and not _overrides(callback, "on_batch_end", cls):
            return bool(callback.log_on_batch_end)
    if isinstance(callback, LRScheduler) and not _overrides(callback, "on_batch_end", LRScheduler):
        return training and callback.step_every == "batch"
    if isinstance(callback, EpochScoring) and not _overrides(callback, "on_batch_end", EpochScoring):
        caching = callback.use_caching if net.use_caching == "auto" else net.use_caching
        return bool(caching) and training == callback.on_train
    return True


def _overrides(one: Any, method: str, base: type) -> bool:
    return method in getattr(one, "__dict__", {}) or getattr(type(one), method, None) is not getattr(base, method)
