"""The table of losses by name; each new loss adds one line."""

from __future__ import annotations

import dataclasses
from typing import Any

from torch import nn

from skmulti._checks import did_you_mean
from skmulti.losses.base import ColumnLoss
from skmulti.losses.box import CIoU, DIoU, GIoU, IoU
from skmulti.losses.circular import Circular, VonMisesNLL
from skmulti.losses.likelihood import GaussianNLL, LaplaceNLL, MultivariateGaussianNLL, StudentTNLL
from skmulti.losses.pointwise import AbsoluteError, Huber, LogCosh, SmoothL1, SquaredError
from skmulti.losses.positive import Gamma, Poisson, Tweedie
from skmulti.losses.quantile import Expectile, Quantile
from skmulti.losses.rotation import Rotation
from skmulti.losses.torch_loss import wrap_torch_loss
from skmulti.losses.vector import Euclidean, UnitVector

COLUMN_LOSSES: dict[str, type[ColumnLoss]] = {
    "squared_error": SquaredError,
    "absolute_error": AbsoluteError,
    "huber": Huber,
    "smooth_l1": SmoothL1,
    "log_cosh": LogCosh,
    "quantile": Quantile,
    "expectile": Expectile,
    "circular": Circular,
    "poisson": Poisson,
    "gamma": Gamma,
    "tweedie": Tweedie,
    "gaussian_nll": GaussianNLL,
    "laplace_nll": LaplaceNLL,
    "student_t_nll": StudentTNLL,
    "von_mises_nll": VonMisesNLL,
    "multivariate_gaussian_nll": MultivariateGaussianNLL,
    "iou": IoU,
    "giou": GIoU,
    "diou": DIoU,
    "ciou": CIoU,
    "euclidean": Euclidean,
    "unit_vector": UnitVector,
    "rotation": Rotation,
}

# The short names of torch and Keras.
ALIASES: dict[str, str] = {
    "mse": "squared_error",
    "l2": "squared_error",
    "mean_squared_error": "squared_error",
    "mae": "absolute_error",
    "l1": "absolute_error",
    "mean_absolute_error": "absolute_error",
    "logcosh": "log_cosh",
    "pinball": "quantile",
}


def make_loss(loss: Any, *, parameter: str = "loss") -> ColumnLoss:
    """Return the column loss for a value of the `loss` parameter.

    Parameters
    ----------
    loss : str, ColumnLoss, torch loss or callable
        The name of a loss in `COLUMN_LOSSES` or `ALIASES`, a column loss (class or instance), a torch loss
        (class or instance), or a callable of (raw outputs, targets).
    parameter : str, default="loss"
        The name of the parameter, for messages.

    Returns
    -------
    loss : ColumnLoss
        The column loss.

    Raises
    ------
    ValueError
        If the name is unknown; the message names the nearest known one.
    TypeError
        If the value is none of these.

    Examples
    --------
    >>> from skmulti.losses import make_loss
    >>> make_loss("mae")
    AbsoluteError()
    """
    if isinstance(loss, str):
        name = ALIASES.get(loss, loss)
        if name not in COLUMN_LOSSES:
            hint = did_you_mean(loss, [*COLUMN_LOSSES, *ALIASES])
            raise ValueError(
                f"The {parameter!r} parameter must name a known loss: {', '.join(map(repr, COLUMN_LOSSES))}. "
                f"Got {loss!r} instead.{hint}"
            )
        return COLUMN_LOSSES[name]()
    if isinstance(loss, ColumnLoss):
        return loss
    if isinstance(loss, type) and issubclass(loss, ColumnLoss):
        return loss()
    if callable(loss) and not (isinstance(loss, type) and not issubclass(loss, nn.Module)):
        return wrap_torch_loss(loss)
    raise TypeError(
        f"The {parameter!r} parameter must hold names of losses, column losses, torch losses or callables. "
        f"Got {loss!r} instead."
    )


def register_loss(name: str, loss: type[ColumnLoss]) -> type[ColumnLoss]:
    """Register a custom column loss under a name, for `loss` and for searches over losses.

    Parameters
    ----------
    name : str
        The name.
    loss : subclass of ColumnLoss
        The loss; all its parameters must have defaults. For searches with ``n_jobs``,
        call it in a module that the worker processes import.

    Returns
    -------
    loss : subclass of ColumnLoss
        The loss itself.

    Raises
    ------
    ValueError
        If the name belongs to another loss.
    TypeError
        If `loss` is not a subclass of ColumnLoss, not a dataclass, or has a field without a default.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> from skmulti.losses import ColumnLoss, make_loss, register_loss
    >>> @dataclass(frozen=True)
    ... class FourthPower(ColumnLoss):
    ...     def row_loss(self, raw, y):
    ...         return (raw - y).squeeze(-1) ** 4
    >>> _ = register_loss("fourth_power", FourthPower)
    >>> make_loss("fourth_power")
    FourthPower()
    """
    if not (isinstance(loss, type) and issubclass(loss, ColumnLoss)):
        raise TypeError(f"The 'loss' parameter must be a subclass of ColumnLoss. Got {loss!r} instead.")
    if not dataclasses.is_dataclass(loss):
        raise TypeError(
            f"The 'loss' parameter must be a dataclass. Got {loss!r}; put @dataclass(frozen=True) above it."
        )
    without_default = [
        f.name for f in dataclasses.fields(loss) if f.default is f.default_factory is dataclasses.MISSING
    ]
    if without_default:
        raise TypeError(
            f"The 'loss' parameter must have a default for each field. Got none for {', '.join(without_default)}."
        )
    if name in ALIASES or COLUMN_LOSSES.get(name, loss).__qualname__ != loss.__qualname__:
        raise ValueError(f"The 'name' parameter must be a name that no other loss has. Got {name!r}.")
    COLUMN_LOSSES[name] = loss
    return loss
