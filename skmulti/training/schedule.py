"""The learning-rate schedule over the epochs of one call of ``fit``."""

from __future__ import annotations

import math
from typing import Any

from skorch.callbacks import Callback

# Fraction of the epochs in which the rate rises, as in fastai; torch.optim.lr_scheduler.OneCycleLR takes 0.3.
_RISE = 0.25
# The least rate as a fraction of the highest: the first and last epochs still train.
_LEAST = 0.01


def one_cycle(progress: float) -> float:
    """Return the learning rate as a fraction of the highest one; `progress` goes from 0 to 1 over the training.

    It rises linearly over the first quarter and falls along a cosine over the rest [1]_.

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
    fraction = progress / _RISE if progress < _RISE else (1 + math.cos(math.pi * (progress - _RISE) / (1 - _RISE))) / 2
    return max(_LEAST, fraction)


class OneCycle(Callback):
    """Set the learning rate of each epoch by `one_cycle` over the epochs of one call of ``fit``.

    The rates of the parameter groups at the beginning of training are the highest ones and are restored at its end.
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
        # The rate of the middle of the epoch: at its ends, the first or last epoch would train at the least rate.
        fraction = one_cycle((len(net.history) - self._first - 0.5) / net.max_epochs)
        for group, highest in zip(net.optimizer_.param_groups, self._highest, strict=True):
            group["lr"] = fraction * highest

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Restore the learning rates."""
        if self._optimizer is net.optimizer_:
            for group, highest in zip(net.optimizer_.param_groups, self._highest, strict=True):
                group["lr"] = highest
        self._optimizer = None
