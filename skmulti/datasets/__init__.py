"""Real data sets with several targets, built from data that scikit-learn includes; no download."""

from skmulti.datasets.canvases import load_digit_canvases
from skmulti.datasets.measurements import load_breast_cancer_measurements

__all__ = ["load_breast_cancer_measurements", "load_digit_canvases"]
