"""Losses of columns, one family per file; the table of their names; the criterion that sums them."""

from skmulti.losses.base import ColumnLoss
from skmulti.losses.box import CIoU, DIoU, GIoU, IoU
from skmulti.losses.circular import Circular, VonMisesNLL
from skmulti.losses.family import Term
from skmulti.losses.likelihood import GaussianNLL, LaplaceNLL, MultivariateGaussianNLL, StudentTNLL
from skmulti.losses.mixed import MixedLoss
from skmulti.losses.pointwise import AbsoluteError, Huber, LogCosh, SmoothL1, SquaredError
from skmulti.losses.positive import Gamma, Poisson, Tweedie
from skmulti.losses.quantile import Expectile, Quantile
from skmulti.losses.rotation import Rotation
from skmulti.losses.table import ALIASES, COLUMN_LOSSES, make_loss, register_loss
from skmulti.losses.torch_loss import TorchLoss
from skmulti.losses.vector import Euclidean, UnitVector

__all__ = [
    "ALIASES",
    "COLUMN_LOSSES",
    "AbsoluteError",
    "CIoU",
    "Circular",
    "ColumnLoss",
    "DIoU",
    "Euclidean",
    "Expectile",
    "GIoU",
    "Gamma",
    "GaussianNLL",
    "Huber",
    "IoU",
    "LaplaceNLL",
    "LogCosh",
    "MixedLoss",
    "MultivariateGaussianNLL",
    "Poisson",
    "Quantile",
    "Rotation",
    "SmoothL1",
    "SquaredError",
    "StudentTNLL",
    "Term",
    "TorchLoss",
    "Tweedie",
    "UnitVector",
    "VonMisesNLL",
    "make_loss",
    "register_loss",
]
