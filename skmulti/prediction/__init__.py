"""From raw outputs to predictions in the user's units: means, standard deviations, quantiles, intervals."""

from skmulti.prediction.conformal import SplitConformalRegressor
from skmulti.prediction.outputs import MemberOutputs, Outputs, differences
from skmulti.prediction.raw_outputs import raw_outputs

__all__ = ["MemberOutputs", "Outputs", "SplitConformalRegressor", "differences", "raw_outputs"]
