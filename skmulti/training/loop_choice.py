"""The choice of the training loop: the tensor loop, or skorch's if a callback or an override needs batches."""

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
# Methods that skorch's loop calls for each batch and the tensor loop does not: an override requires skorch's loop.
_OF_ANY_BATCH = (*_BATCH_EVENTS, "infer", "get_loss", "notify", "run_single_epoch", "_set_training")
_OF_TRAINING = (
    "train_step",
    "train_step_single",
    "_zero_grad_optimizer",
    "_step_optimizer",
    "get_train_step_accumulator",
)
_OF_VALIDATION = ("validation_step",)
# The methods that may call the optimizer: an override of one rules out flat vectors.
STEPPING = ("run_single_epoch", "train_step", "_step_optimizer", "_zero_grad_optimizer")


@dataclass(frozen=True)
class TrainingLoop:
    """The loop, step and optimizer that an estimator used in its last epoch.

    Attributes
    ----------
    loop : {"tensor", "stack", "skorch"}
        The tensor loop, the stack of many networks, or skorch's loop.
    step : {"analytic", "functional", "autograd"}
        Whether gradients came from analytic passes, from torch.func for all networks of a stack, or from autograd.
    optimizer : {"flat", "stacked", "own"}
        Whether the optimizer worked on flat vectors, on the stacked parameters of all networks, or on each parameter
        by its own ``step``.
    reason : str
        Why skorch's loop was used; empty otherwise.

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
    """Return why skorch's loop is needed for these batches, or an empty string.

    Parameters
    ----------
    net : TrainingNet
        The net.
    base : type
        The class whose methods the tensor loop replaces; other implementations count as overrides.
    iterator : iterable of batches
        What `get_iterator` returned.
    training : bool
        Whether the batches are those of training.
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
        if _needs_batches(callback, net, training=training):
            hint = "; with use_caching=False it does not" if isinstance(callback, EpochScoring) else ""
            return f"the callback {name!r} handles batch events{hint}"
    return ""


def is_watched(net: Any, base: type) -> bool:
    """Return whether callbacks or overridden methods may read or change the net between epochs."""
    defaults = (EpochTimer, LossScoring, TermLog, EarlyStopping, BestEpoch, OneCycle)
    events = ("on_epoch_begin", "on_epoch_end", "notify")
    return bool(overridden(net, base, events)) or any(type(callback) not in defaults for _, callback in net.callbacks_)


def uncompiled(module: Any) -> Any:
    """Return the module inside the wrapper of ``torch.compile``; other modules are returned as they are."""
    return getattr(module, "_orig_mod", module)


def overridden(net: Any, base: type, names: tuple[str, ...]) -> str:
    """Return the first of these methods that a subclass or instance overrides, or an empty string."""
    # A plain loop: predictions ask this each time, and one row takes little longer than a generator.
    own, cls = vars(net), type(net)
    for name in names:
        if name in own or getattr(cls, name, None) is not getattr(base, name):
            return name
    return ""


def _needs_batches(callback: Any, net: Any, *, training: bool) -> bool:
    """Return whether a callback uses batch events in training or validation."""
    if isinstance(callback, PassthroughScoring) and not isinstance(callback, LossScoring):
        return True
    events = [event for event in _BATCH_EVENTS if _overrides(callback, event, Callback)]
    if events != ["on_batch_end"]:
        return bool(events)
    # These callbacks of skorch define on_batch_end, and use it depending on their parameters.
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
