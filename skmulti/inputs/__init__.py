"""From X to the network's inputs: validation, categories, imputation, scaling, piecewise-linear encoding."""

from skmulti.inputs.categories import TableEncoder
from skmulti.inputs.encoder import EncodedInputs, InputEncoder
from skmulti.inputs.piecewise_linear import PiecewiseLinear
from skmulti.inputs.validation import check_inputs

__all__ = ["EncodedInputs", "InputEncoder", "PiecewiseLinear", "TableEncoder", "check_inputs"]
