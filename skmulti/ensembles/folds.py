"""Folds of validation rows for the members of an ensemble."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.model_selection import KFold


@dataclass(frozen=True)
class Fold:
    """A splitter with one split: one fold of all rows in a random order.

    Attributes
    ----------
    n_folds : int
        The number of folds, at most the number of rows.
    index : int
        The fold that holds the validation rows.
    seed : int
        Seed of the order of the rows.

    Examples
    --------
    >>> import numpy as np
    >>> from skmulti.ensembles.folds import Fold
    >>> [next(Fold(2, index, seed=0).split(np.zeros(4)))[1].tolist() for index in (0, 1)]
    [[2, 3], [0, 1]]
    """

    n_folds: int
    index: int
    seed: int

    @classmethod
    def of_member(cls, place: int, validation_fraction: float, seed: int) -> Fold:
        """Return the fold of one member of an ensemble, such that all rows are held out about equally often.

        Parameters
        ----------
        place : int
            The position of the member. After each `n_folds` members the rows are shuffled again.
        validation_fraction : float
            The fraction of the rows to hold out, between 0 and 1.
        seed : int
            Seed of the orders of the rows.
        """
        n_folds = max(2, round(1 / validation_fraction))
        return cls(n_folds, place % n_folds, (seed + place // n_folds) % 2**32)

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the positions of the training rows and of the validation rows."""
        n_folds = min(self.n_folds, len(X))
        yield list(KFold(n_folds, shuffle=True, random_state=self.seed).split(X))[self.index % n_folds]

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return 1."""
        return 1
