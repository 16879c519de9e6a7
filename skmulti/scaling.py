"""Targets standardised per column, where the column's loss allows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.preprocessing import StandardScaler
from torch import Tensor, as_tensor

from skmulti.losses import Term


@dataclass(frozen=True)
class TargetScaler:
    """The affine map between the user's units and the units in which the network learns.

    Attributes
    ----------
    center : ndarray of shape (n_columns,)
        What is subtracted from each column: its mean, or 0.
    scale : ndarray of shape (n_columns,)
        What divides it then: its standard deviation, or 1. A constant column has 0 here: every raw output
        reads as the constant.
    """

    center: np.ndarray
    scale: np.ndarray

    @classmethod
    def fit(cls, y: np.ndarray, terms: Sequence[Term], *, standardize: bool) -> TargetScaler:
        """Learn mean and standard deviation of each column that its loss lets be standardised.

        Parameters
        ----------
        y : ndarray of shape (n_samples, n_columns)
            The training targets.
        terms : sequence of Term
            The table of terms; each loss says with `target_scaling` what it allows.
        standardize : bool
            False leaves all columns as they are.
        """
        center, scale = np.zeros(y.shape[1]), np.ones(y.shape[1])
        for term in terms if standardize else ():
            if term.loss.target_scaling is None:
                continue
            columns = list(term.columns)
            scaler = StandardScaler().fit(y[:, columns])
            constant = np.ptp(y[:, columns], axis=0) == 0
            spread = np.where(constant, 0.0, scaler.scale_)
            if term.loss.target_scaling == "group" and spread.any():
                spread = np.full(len(columns), np.sqrt(np.mean(spread**2)))
            center[columns] = np.where(constant, y[0, columns], scaler.mean_)
            scale[columns] = spread
        return cls(center, scale)

    def transform(self, y: Tensor) -> Tensor:
        """Return targets in the network's units, float32; y is a tensor of shape (n_rows, n_columns)."""
        divisor = np.where(self.scale == 0, 1.0, self.scale)
        return ((y.double() - as_tensor(self.center)) / as_tensor(divisor)).float()

    def thaw(self, y: np.ndarray | None = None) -> TargetScaler:
        """Return a scaler whose constant columns may vary: all of them, or those that vary in new targets y."""
        varies = np.ones(len(self.scale), bool) if y is None else (y != self.center).any(axis=0)
        return TargetScaler(self.center, np.where((self.scale == 0) & varies, 1.0, self.scale))

    def inverse_transform(self, y: np.ndarray) -> np.ndarray:
        """Return predictions in the user's units; y is an array of shape (n_rows, n_columns)."""
        return y * self.scale + self.center
