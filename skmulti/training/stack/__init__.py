"""Networks of one shape trained together: parameters, rows, losses and optimizers have a leading member dimension."""

from skmulti.training.stack.trainer import StackTrainer

__all__ = ["StackTrainer"]
