"""Nets of one shape trained as one: parameters, rows, losses and optimizers stacked, one member after the other."""

from skmulti.training.stack.trainer import StackTrainer

__all__ = ["StackTrainer"]
