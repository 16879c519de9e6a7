"""Losses of vectors: groups of columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from skmulti.losses._checks import refuse_targets
from skmulti.losses.base import ColumnLoss, mean_over_members


@dataclass(frozen=True)
class Euclidean(ColumnLoss):
    """Euclidean distance of a vector of any length: the norm of the difference, not its square.

    The prediction is the spatial median [1]_, which is robust to outliers. The columns are standardised with one
    common scale, so that distances keep their meaning.

    Notes
    -----
    Formula: ``sqrt(sum((y - p)**2))``, the norm over the group's columns.

    Prediction: the raw outputs, the spatial median.

    Use: for a point in the plane or in space that is evaluated by its distance.

    References
    ----------
    .. [1] Y. Vardi and C.-H. Zhang, "The multivariate L1-median and associated data depth", PNAS 97 (2000),
       1423-1426.

    Examples
    --------
    >>> import torch
    >>> from skmulti.losses import Euclidean
    >>> Euclidean().row_loss(torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 4.0]]))
    tensor([5.])
    """

    n_columns = None
    target_scaling = "group"

    def row_loss(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return the distance of each row; its gradient at distance zero is zero."""
        return torch.linalg.vector_norm(raw - y, dim=-1)


@dataclass(frozen=True)
class UnitVector(ColumnLoss):
    """A direction in space: one minus the cosine of the angle to the target; predictions have norm 1 [1]_.

    Notes
    -----
    Formula: ``1 - y . p / (|y| |p|)``.

    Prediction: ``p / |p|``, a vector of norm 1.

    Use: for a direction in space, such as a normal or a line of sight; the lengths of the targets have no effect.

    References
    ----------
    .. [1] K. V. Mardia and P. E. Jupp, "Directional Statistics", Wiley 2000, section 9.2.

    Examples
    --------
    >>> import torch
    >>> from skmulti.losses import UnitVector
    >>> UnitVector().row_loss(torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 4.0]]))
    tensor([1.])
    >>> UnitVector().predict(torch.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """

    n_columns = None
    target_scaling = None

    def adapt_to(self, y: np.ndarray, names: tuple[str, ...], sample_weight: np.ndarray | None = None) -> UnitVector:
        """Return the loss itself; raise a ValueError if a target is the zero vector."""
        zero = np.linalg.norm(y, axis=1) == 0
        refuse_targets(zero, y, names, loss="unit_vector", requires="targets with a direction", are="zero throughout")
        return self

    def row_loss(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return one minus the cosine of each row."""
        return 1 - (_normalized(raw) * _normalized(y)).sum(-1)

    def predict(self, raw: Tensor) -> Tensor:
        """Return the direction, a vector of norm 1."""
        return _normalized(raw)

    def mean_prediction(self, predictions: Tensor) -> Tensor:
        """Return the mean direction: that of the mean vector [1]_.

        References
        ----------
        .. [1] K. V. Mardia and P. E. Jupp, "Directional Statistics", Wiley 2000, section 9.2.1.
        """
        return _normalized(mean_over_members(predictions))


def _normalized(vectors: Tensor) -> Tensor:
    """Return vectors of norm 1; a vector of zeros, which has no direction, points along the first axis."""
    size = vectors.abs().amax(-1, keepdim=True)
    has_direction = size >= torch.finfo(vectors.dtype).tiny  # the inverse of a smaller one is infinite
    first = torch.zeros_like(vectors)
    first[..., 0] = 1
    # Divided by the largest entry first, so that squares neither overflow nor underflow.
    vectors = torch.where(has_direction, vectors / torch.where(has_direction, size, 1).detach(), first)
    return vectors / torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
