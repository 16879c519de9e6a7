"""How a net is trained: its batches, its random streams, what it records, when it stops."""

from skmulti.training.divergence import TrainingDivergedError
from skmulti.training.loader import TensorLoader
from skmulti.training.loop_choice import TrainingLoop
from skmulti.training.randomness import RandomStreams
from skmulti.training.rows import Rows

__all__ = ["RandomStreams", "Rows", "TensorLoader", "TrainingDivergedError", "TrainingLoop"]
