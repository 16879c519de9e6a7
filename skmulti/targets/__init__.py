"""The columns of y: their names and groups, the terms of the loss, loss weights, and scaling."""

from skmulti.targets.columns import Columns, resolve_groups
from skmulti.targets.scaler import TargetScaler
from skmulti.targets.terms import resolve_terms
from skmulti.targets.validation import Targets, check_sample_weight, check_targets

__all__ = [
    "Columns",
    "TargetScaler",
    "Targets",
    "check_sample_weight",
    "check_targets",
    "resolve_groups",
    "resolve_terms",
]
