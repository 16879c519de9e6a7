"""Training rows after validation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from skmulti._checks import has_nan

# After a step that went too far, predictions of nearly all rows are not finite. Predicting 1,000 rows would cost a
# training of few epochs on images half as much again.
_ROWS_TO_CHECK = 64


@dataclass(frozen=True)
class Rows:
    """Inputs, targets and sample weights of the same rows.

    Attributes
    ----------
    X : ndarray of shape (n_rows, ...)
        Inputs.
    y : ndarray of shape (n_rows, n_columns)
        Targets in the user's units; missing ones are NaN.
    sample_weight : ndarray of shape (n_rows, 1) or (n_rows, n_columns), or None
        Sample weights, one per row or one per row and column.
    groups : ndarray of shape (n_rows,), or None
        Group labels of the rows, for a `train_split` that keeps groups together.

    Examples
    --------
    >>> import numpy as np
    >>> from skmulti.training import Rows
    >>> rows = Rows(np.ones((2, 3)), np.array([[1.0, np.nan], [np.nan, np.nan]]))
    >>> rows.without_ignored().y
    array([[ 1., nan]])
    """

    X: np.ndarray
    y: np.ndarray
    sample_weight: np.ndarray | None = None
    groups: np.ndarray | None = None

    @property
    def inputs(self) -> Any:
        """The X argument of skorch: the inputs, or a dict of inputs and sample weights."""
        if self.sample_weight is None:
            return self.X
        return {"X": self.X, "sample_weight": self.sample_weight.astype(self.X.dtype)}

    @property
    def row_weight(self) -> np.ndarray | None:
        """One sample weight per row, the mean over its columns; None if all are equal."""
        if self.sample_weight is None:
            return None
        weight: np.ndarray = self.sample_weight.mean(axis=1)
        return None if (weight == weight[0]).all() else weight

    @cached_property
    def has_missing_targets(self) -> bool:
        """Whether a target is missing."""
        return has_nan(self.y)

    @property
    def has_zero_weights(self) -> bool:
        """Whether a target has sample weight zero, so that its value is ignored."""
        return self.sample_weight is not None and not self.sample_weight.all()

    def without_ignored(self) -> Rows:
        """Return the rows that have a target with a positive sample weight."""
        if self.sample_weight is None and not self.has_missing_targets:
            return self
        counts = ~np.isnan(self.y)
        if self.sample_weight is not None:
            counts &= self.sample_weight > 0
        keep = counts.any(axis=1)
        if keep.all():
            return self
        weight = None if self.sample_weight is None else self.sample_weight[keep]
        if weight is not None:
            # The same result as without the dropped rows: equal sample weights are none, others have mean 1.
            weight = None if (weight == weight[:1, :1]).all() else weight / weight.mean()
        groups = None if self.groups is None else self.groups[keep]
        return Rows(self.X[keep], self.y[keep], weight, groups)


def is_weighted(X: Any) -> bool:
    """Return whether a batch of inputs is a dict with sample weights."""
    return isinstance(X, Mapping) and set(X) == {"X", "sample_weight"}


def rows_to_check(X: np.ndarray) -> np.ndarray:
    """Return evenly spaced rows of a table, at most 127."""
    return X[:: max(1, len(X) // _ROWS_TO_CHECK)]
