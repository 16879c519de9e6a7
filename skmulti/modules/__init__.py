"""Plain torch modules; they know sizes, not data sets, losses or devices."""

from skmulti.modules.cnn import CNN
from skmulti.modules.mlp import MLP
from skmulti.modules.multihead import MultiHead

__all__ = ["CNN", "MLP", "MultiHead"]
