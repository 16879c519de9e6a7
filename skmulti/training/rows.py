"""The rows to train on, checked and cast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from skmulti._checks import has_nan

# Rows whose predictions are looked at after the last step: enough to find what overflows, few beside an epoch.
_ROWS_TO_LOOK_AT = 1024


@dataclass(frozen=True)
class Rows:
    """Inputs, targets and weights of the same rows.

    Attributes
    ----------
    X : ndarray of shape (n_rows, ...)
        Inputs.
    y : ndarray of shape (n_rows, n_columns)
        Targets in the user's units; NaN where one is missing.
    sample_weight : ndarray of shape (n_rows, 1) or (n_rows, n_columns), or None
        Weights of the rows, or of each row's columns.
    groups : ndarray of shape (n_rows,), or None
        Labels of the rows, for a `train_split` that keeps rows of one label together.

    Examples
    --------
    >>> import numpy as np
    >>> from skmulti.training import Rows
    >>> rows = Rows(np.ones((2, 3)), np.array([[1.0, np.nan], [np.nan, np.nan]]))
    >>> rows.that_count().y
    array([[ 1., nan]])
    """

    X: np.ndarray
    y: np.ndarray
    sample_weight: np.ndarray | None = None
    groups: np.ndarray | None = None

    @property
    def inputs(self) -> Any:
        """Return what skorch takes for X: the inputs, with the weights beside them where there are any."""
        if self.sample_weight is None:
            return self.X
        return {"X": self.X, "sample_weight": self.sample_weight.astype(self.X.dtype)}

    @property
    def weight_of_inputs(self) -> np.ndarray | None:
        """Return one weight per row, the mean of those of its columns, or None where all are equal."""
        if self.sample_weight is None:
            return None
        weight: np.ndarray = self.sample_weight.mean(axis=1)
        return None if (weight == weight[0]).all() else weight

    @cached_property
    def misses_some(self) -> bool:
        """Return whether a target is missing."""
        return has_nan(self.y)

    @property
    def weighs_some_nothing(self) -> bool:
        """Return whether a target weighs nothing, so that it may be anything."""
        return self.sample_weight is not None and not self.sample_weight.all()

    def that_count(self) -> Rows:
        """Return the rows that have a target whose weight is above zero."""
        if self.sample_weight is None and not self.misses_some:
            return self
        counts = ~np.isnan(self.y)
        if self.sample_weight is not None:
            counts &= self.sample_weight > 0
        keep = counts.any(axis=1)
        if keep.all():
            return self
        weight = None if self.sample_weight is None else self.sample_weight[keep]
        if weight is not None:
            # As if the others had never been there: equal weights are no weights.
            weight = None if (weight == weight[:1, :1]).all() else weight / weight.mean()
        groups = None if self.groups is None else self.groups[keep]
        return Rows(self.X[keep], self.y[keep], weight, groups)


def is_weighted(X: Any) -> bool:
    """Return whether a batch of inputs has the weights of its rows beside it."""
    return isinstance(X, Mapping) and set(X) == {"X", "sample_weight"}


def rows_to_look_at(X: np.ndarray) -> np.ndarray:
    """Return some rows from all over a table, at most two thousand."""
    return X[:: max(1, len(X) // _ROWS_TO_LOOK_AT)]
