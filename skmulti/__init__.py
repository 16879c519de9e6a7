"""Several numbers at once, with a neural network, a loss and a weight per column, and scikit-learn's contract."""

from skmulti.estimators import (
    MultiHeadRegressor,
    MultiOutputCNNRegressor,
    MultiOutputMLPRegressor,
    MultiOutputNetRegressor,
)
from skmulti.training import TrainingDivergedError

__version__ = "0.1.0"

__all__ = [
    "MultiHeadRegressor",
    "MultiOutputCNNRegressor",
    "MultiOutputMLPRegressor",
    "MultiOutputNetRegressor",
    "TrainingDivergedError",
]
