"""Training of networks: batches, random streams, loops, recorded losses and the check for divergence."""

from skmulti.training.divergence import TrainingDivergedError
from skmulti.training.loader import TensorLoader
from skmulti.training.loop_choice import TrainingLoop
from skmulti.training.randomness import RandomStreams
from skmulti.training.rows import Rows

__all__ = ["RandomStreams", "Rows", "TensorLoader", "TrainingDivergedError", "TrainingLoop"]
