"""Scorers per target column, relative errors, and errors of angles."""

from skmulti.metrics.errors import average_relative_rmse, circular_error, circular_score
from skmulti.metrics.scorers import column_scorers

__all__ = ["average_relative_rmse", "circular_error", "circular_score", "column_scorers"]
