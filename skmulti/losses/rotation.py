"""The loss of rotations in three dimensions."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skmulti.losses._checks import check_option, refuse_targets
from skmulti.losses.base import ColumnLoss, mean_over_members

# Matrices of the same rotation computed from different representations differ by about 1e-6; this is the square.
_ROUNDING = 1e-12
_FORMATS = {3: "a rotation vector", 4: "a quaternion (x, y, z, w)", 9: "a matrix, row by row"}


@dataclass(frozen=True)
class Rotation(ColumnLoss):
    """A three-dimensional rotation: the angle between the predicted and the true rotation, in radians [1]_.

    The columns are a rotation vector (3), a quaternion x, y, z, w (4) or a matrix row by row (9); rotation
    vectors and quaternions are discontinuous or ambiguous. The network emits a continuous representation: two columns
    of a matrix, orthonormalised by Gram-Schmidt, or a whole matrix projected onto the nearest rotation [2]_.
    Gradients are finite everywhere, including angles 0 and pi.

    Needs the package roma: ``pip install skmulti[rotation]``.

    Parameters
    ----------
    representation : {"6d", "9d"}, default="6d"
        What the network emits: two columns of a matrix, or a whole one.
    columns : int or None, default=None
        The number of columns of y, which determines their format: 3, 4 or 9. None means that `fit` sets it.

    Raises
    ------
    ValueError
        If `representation` is unknown; in `fit` if the group has another number of columns, or a target is not a
        rotation.
    ImportError
        If roma is not installed.

    Notes
    -----
    Formula: ``atan2(|twist|, trace - 1)``, the angle of the rotation from the predicted to the true one, in radians.

    Columns: 3 (a rotation vector), 4 (a quaternion) or 9 (a matrix), a group.

    Raw outputs: 6 or 9, according to `representation`.

    Prediction: a rotation in the format of the targets; a quaternion has w >= 0.

    Use: for an orientation in space, in any of the three formats.

    References
    ----------
    .. [1] D. Q. Huynh, "Metrics for 3D rotations: comparison and analysis", JMIV 35 (2009), 155-164.
    .. [2] Y. Zhou et al., "On the continuity of rotation representations in neural networks", CVPR 2019; R. Bregier,
       "Deep regression on manifolds: a 3D rotation case study", 3DV 2021.

    Examples
    --------
    >>> import torch
    >>> from skmulti.losses import Rotation
    >>> Rotation().row_loss(torch.zeros(1, 6), torch.tensor([[0.0, 0.0, 0.5]])).round(decimals=4)
    tensor([0.5000])
    """

    representation: str = "6d"
    columns: int | None = None

    n_columns = None
    target_scaling = None

    def __post_init__(self) -> None:
        check_option("representation", self.representation, ("6d", "9d"), loss="rotation")

    def n_raw(self, n_columns: int) -> int:
        """Return 6 or 9."""
        return int(self.representation[0])

    def adapt_to(self, y: np.ndarray, names: tuple[str, ...], sample_weight: np.ndarray | None = None) -> Rotation:
        """Set the format from the number of columns; raise a ValueError for targets that are not rotations."""
        _roma()
        if y.shape[1] not in _FORMATS:
            forms = ", ".join(f"{n} ({text})" for n, text in _FORMATS.items())
            raise ValueError(f"The loss 'rotation' requires a group of columns: {forms}. Got {y.shape[1]}: {names}.")
        bad = np.zeros(len(y), bool)
        if y.shape[1] == 4:
            bad = np.linalg.norm(y, axis=1) == 0
        elif y.shape[1] == 9:
            m = y.reshape(-1, 3, 3)
            bad = np.abs(m @ m.transpose(0, 2, 1) - np.eye(3)).max(axis=(1, 2)) > 1e-2
            bad |= np.linalg.det(m) < 0
        refuse_targets(bad, y, names, loss="rotation", requires="rotations as targets", are="not a rotation")
        return dataclasses.replace(self, columns=y.shape[1])

    def row_loss(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return the angle between the rotations of each row."""
        turn = self._matrix(raw).transpose(-1, -2) @ self._target_matrix(y)
        twist = torch.stack(
            [
                turn[..., 2, 1] - turn[..., 1, 2],
                turn[..., 0, 2] - turn[..., 2, 0],
                turn[..., 1, 0] - turn[..., 0, 1],
            ],
            dim=-1,
        )
        trace = turn.diagonal(dim1=-2, dim2=-1).sum(-1)
        # vector_norm has gradient 0 at 0, and atan2 a finite one unless both arguments are 0.
        return torch.atan2(torch.linalg.vector_norm(twist, dim=-1), trace - 1)

    def predict(self, raw: Tensor) -> Tensor:
        """Return the rotation in the format of the targets; a quaternion has w >= 0."""
        return self._in_columns(self._matrix(raw))

    def mean_prediction(self, predictions: Tensor) -> Tensor:
        """Return the chordal mean: the rotation nearest to the mean of the matrices [1]_.

        References
        ----------
        .. [1] M. Moakher, "Means and averaging in the group of rotations", SIAM J. Matrix Anal. Appl. 24 (2002), 1-16;
           R. Hartley et al., "Rotation averaging", IJCV 103 (2013), 267-305, section 5.
        """
        mean = mean_over_members(self._target_matrix(predictions))
        return self._in_columns(_roma().special_procrustes(mean))

    def difference(self, y: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return targets minus predictions, with the equivalent target that is nearest to the prediction."""
        if y.shape[1] == 4:
            # A quaternion and its opposite are the same rotation.
            y = np.where((y * y_pred).sum(axis=1, keepdims=True) < 0, -y, y)
        elif y.shape[1] == 3:
            # The same rotation about the opposite axis, by 2 pi minus the angle.
            angle = np.linalg.norm(y, axis=1, keepdims=True)
            other = y * (1 - 2 * np.pi / np.where(angle > 0, angle, np.inf))
            nearer = np.linalg.norm(other - y_pred, axis=1) < np.linalg.norm(y - y_pred, axis=1)
            y = np.where(nearer[:, None], other, y)
        return y - y_pred

    def group_score(self, y: np.ndarray, y_pred: np.ndarray, sample_weight: np.ndarray | None = None) -> float:
        """Return R2 of the rotation matrices, all nine entries together.

        R2 of single columns of a quaternion or a rotation vector is meaningless: near an angle of pi a rotation has two
        distant representations, and an entry with little variance would dominate.
        """
        true, pred = (
            self._target_matrix(torch.from_numpy(part.astype(np.float64))).flatten(-2).numpy() for part in (y, y_pred)
        )
        weight = np.ones(len(y)) if sample_weight is None else sample_weight
        squared = weight @ ((true - pred) ** 2).sum(axis=1)
        spread = weight @ ((true - np.average(true, axis=0, weights=weight)) ** 2).sum(axis=1)
        # As in scikit-learn's r2_score for constant targets, but with a tolerance for rounding.
        if spread <= _ROUNDING * weight.sum():
            return float(squared <= _ROUNDING * weight.sum())
        return float(1 - squared / spread)

    def _matrix(self, raw: Tensor) -> Tensor:
        """Return rotation matrices from any raw outputs; raw outputs of zero give the identity."""
        n = 2 if self.representation == "6d" else 3
        form = raw.unflatten(-1, (3, n)) + torch.eye(3, n, dtype=raw.dtype, device=raw.device)
        # A positive factor has no effect on the rotation; dividing by the largest entry avoids overflow of the squares.
        form = form / form.abs().amax((-2, -1), keepdim=True).clamp(min=1).detach()
        matrix: Tensor = _roma().special_gramschmidt(form) if n == 2 else _roma().special_procrustes(form)
        return matrix

    def _in_columns(self, matrix: Tensor) -> Tensor:
        """Return rotation matrices in the format of the targets."""
        if self.columns == 9:
            return matrix.flatten(-2)
        if self.columns == 3:
            vectors: Tensor = _roma().rotmat_to_rotvec(matrix)
            return vectors
        q: Tensor = _roma().rotmat_to_unitquat(matrix)
        return torch.where(q[..., 3:] < 0, -q, q)

    def _target_matrix(self, y: Tensor) -> Tensor:
        if y.shape[-1] == 9:
            return y.unflatten(-1, (3, 3))
        if y.shape[-1] == 3:
            matrix: Tensor = _roma().rotvec_to_rotmat(y)
        else:
            matrix = _roma().unitquat_to_rotmat(y / torch.linalg.vector_norm(y, dim=-1, keepdim=True))
        return matrix


def _roma() -> Any:
    try:
        import roma
    except ImportError as error:
        raise ImportError(
            "The loss 'rotation' needs the package roma. Install it with: pip install skmulti[rotation]"
        ) from error
    return roma
