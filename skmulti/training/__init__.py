"""How a net is trained: its batches, its random streams, what it records, when it stops."""

from skmulti.training.divergence import TrainingDivergedError
from skmulti.training.loader import TensorLoader
from skmulti.training.net import TrainingNet
from skmulti.training.randomness import RandomStreams

__all__ = ["RandomStreams", "TensorLoader", "TrainingDivergedError", "TrainingNet"]
