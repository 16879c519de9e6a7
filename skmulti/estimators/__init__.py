"""What a user constructs: the four estimators, scikit-learn's contract, and the presets of `effort`."""

from skmulti.estimators.cnn import MultiOutputCNNRegressor
from skmulti.estimators.mlp import MultiOutputMLPRegressor
from skmulti.estimators.multi_head import MultiHeadRegressor
from skmulti.estimators.net import MultiOutputNetRegressor

__all__ = ["MultiHeadRegressor", "MultiOutputCNNRegressor", "MultiOutputMLPRegressor", "MultiOutputNetRegressor"]
