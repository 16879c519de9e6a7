"""Several networks as one prediction: folds of validation rows, members as one module, stacking."""

from skmulti.ensembles.folds import Fold
from skmulti.ensembles.members import Members
from skmulti.ensembles.stacking import Stacking

__all__ = ["Fold", "Members", "Stacking"]
