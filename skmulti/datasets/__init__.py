"""Real tables with several targets, offline: made of what scikit-learn ships."""

from skmulti.datasets.canvases import load_digit_canvases
from skmulti.datasets.measurements import load_breast_cancer_measurements

__all__ = ["load_breast_cancer_measurements", "load_digit_canvases"]
