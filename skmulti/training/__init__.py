"""How a net is trained: its batches, its random streams, what it records, when it stops."""

from skmulti.training.divergence import TrainingDivergedError
from skmulti.training.loader import TensorLoader
from skmulti.training.net import TrainingNet
from skmulti.training.randomness import RandomStreams
from skmulti.training.rows import Rows
from skmulti.training.way import TrainingLoop

__all__ = ["RandomStreams", "Rows", "TensorLoader", "TrainingDivergedError", "TrainingLoop", "TrainingNet"]
