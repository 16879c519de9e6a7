"""Losses per column: one family per file, a table of names, and the criterion that mixes them."""

from skmulti.losses.base import ColumnLoss
from skmulti.losses.circular import Circular
from skmulti.losses.mixed import MixedLoss, Term
from skmulti.losses.pointwise import AbsoluteError, Huber, LogCosh, Quantile, SmoothL1, SquaredError
from skmulti.losses.table import ALIASES, COLUMN_LOSSES, make_loss
from skmulti.losses.torch_loss import TorchLoss

__all__ = [
    "ALIASES",
    "COLUMN_LOSSES",
    "AbsoluteError",
    "Circular",
    "ColumnLoss",
    "Huber",
    "LogCosh",
    "MixedLoss",
    "Quantile",
    "SmoothL1",
    "SquaredError",
    "Term",
    "TorchLoss",
    "make_loss",
]
