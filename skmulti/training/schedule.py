"""The course of the learning rate over the epochs of one training."""

from __future__ import annotations

import math
from typing import Any

from skorch.callbacks import Callback

_RISE = 0.25
_LEAST = 0.01


def one_cycle(progress: float) -> float:
    """Return the share of the highest learning rate at a point of training, from 0 at its beginning to 1 at its end.

    It rises in a line over the first quarter and falls with a cosine over the rest [1]_.

    References
    ----------
    .. [1] L. N. Smith and N. Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning
       Rates", 2017, arXiv:1708.07120.

    Examples
    --------
    >>> from skmulti.training.schedule import one_cycle
    >>> [round(one_cycle(progress), 2) for progress in (0.0, 0.125, 0.25, 0.625, 1.0)]
    [0.01, 0.5, 1.0, 0.5, 0.01]
    """
    share = progress / _RISE if progress < _RISE else (1 + math.cos(math.pi * (progress - _RISE) / (1 - _RISE))) / 2
    return max(_LEAST, share)


class OneCycle(Callback):
    """Set the learning rate of each epoch as `one_cycle` says, over the epochs of one call of ``fit``.

    The rates of the optimizer's groups when training begins are the highest ones, and are put back when it ends.
    """

    _optimizer: Any = None

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Remember the highest learning rates."""
        self._first = len(net.history)
        self._optimizer = None

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Set the learning rates of this epoch."""
        if self._optimizer is not net.optimizer_:
            self._optimizer = net.optimizer_
            self._highest = [group["lr"] for group in net.optimizer_.param_groups]
        # In the middle of the epoch: the first is not lost, and the last not all at its least.
        share = one_cycle((len(net.history) - self._first - 0.5) / net.max_epochs)
        for group, highest in zip(net.optimizer_.param_groups, self._highest, strict=True):
            group["lr"] = share * highest

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Put the learning rates back."""
        if self._optimizer is net.optimizer_:
            for group, highest in zip(net.optimizer_.param_groups, self._highest, strict=True):
                group["lr"] = highest
        self._optimizer = None
