"""Several numbers at once, with a neural network, a loss and a weight per column, and scikit-learn's contract."""

import sys

from skmulti.estimators import (
    MultiHeadRegressor,
    MultiOutputCNNRegressor,
    MultiOutputMLPRegressor,
    MultiOutputNetRegressor,
)
from skmulti.prediction import conformal
from skmulti.training import TrainingDivergedError

# `skmulti.conformal` is where version 0.1 had this module.
sys.modules[f"{__name__}.conformal"] = conformal

__version__ = "0.1.0"

__all__ = [
    "MultiHeadRegressor",
    "MultiOutputCNNRegressor",
    "MultiOutputMLPRegressor",
    "MultiOutputNetRegressor",
    "TrainingDivergedError",
]
