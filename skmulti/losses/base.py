"""The base classes of column losses: how a column is trained and how its prediction is computed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import torch
from sklearn.metrics import r2_score
from torch import Tensor


class ColumnLoss(ABC):
    """The loss of one target column, or of a group of columns.

    A column loss defines the number of target columns of a term (`n_columns`), the number of raw outputs of the
    network (`n_raw`), the loss of each row (`row_loss`) and the prediction computed from raw outputs (`predict`).

    Subclasses are frozen dataclasses: their fields are their parameters, losses of one class with equal parameters
    are equal, and terms with equal losses are computed together in one tensor operation.

    Attributes
    ----------
    n_columns : int or None, default=1
        Number of target columns of one term. None accepts any number of columns as one term.
    target_scaling : {"column", "group", None}, default="column"
        How targets are standardised before the loss is computed: "column" by the mean and standard deviation of
        each column; "group" by the mean of each column and one common standard deviation, which keeps the directions
        of vectors; None not at all, as for angles and counts.
    robust_scaling : bool, default=False
        Whether targets are centred by the median and scaled by the interquartile range, divided by 1.349 so that the
        unit of normally distributed targets is their standard deviation. For robust
        losses: outliers would affect the mean and the standard deviation. Reported row losses are computed in double
        precision, since the loss of a far outlier would round away those of other rows in single precision.
    takes_any_batch : bool, default=True
        Whether `row_loss` and `predict` accept any number of leading dimensions, so that several terms can be
        computed at once. Set it to False for a loss that needs exactly two dimensions.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import torch
    >>> from skmulti.losses import ColumnLoss
    >>> @dataclass(frozen=True)
    ... class Power(ColumnLoss):
    ...     exponent: float = 4.0
    ...     def row_loss(self, raw, y):
    ...         return (raw - y).squeeze(-1).abs() ** self.exponent
    >>> Power(exponent=3.0).row_loss(torch.tensor([[2.0]]), torch.tensor([[0.0]]))
    tensor([8.])
    """

    n_columns: ClassVar[int | None] = 1
    target_scaling: ClassVar[Literal["column", "group"] | None] = "column"
    robust_scaling: ClassVar[bool] = False
    takes_any_batch: ClassVar[bool] = True

    def n_raw(self, n_columns: int) -> int:
        """Return the number of raw network outputs for ``n_columns`` target columns."""
        return n_columns

    def adapt_to(self, y: np.ndarray, names: tuple[str, ...], sample_weight: np.ndarray | None = None) -> ColumnLoss:
        """Return this loss with the parameters that are estimated from the training targets, in the user's units.

        Parameters
        ----------
        y : ndarray of shape (n_samples, n_columns)
            The training targets of the columns of the term, none missing.
        names : tuple of str
            The names of these columns, for messages.
        sample_weight : ndarray of shape (n_samples,), default=None
            Sample weights.

        Returns
        -------
        loss : ColumnLoss
            By default the loss itself.

        Raises
        ------
        ValueError
            If the loss is not defined for the targets.
        """
        return self

    def encode(self, y: Tensor) -> Tensor:
        """Return targets in a form that loses nothing in single precision, shape (..., n_columns), double precision."""
        return y

    @abstractmethod
    def row_loss(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return the loss of each row.

        Parameters
        ----------
        raw : Tensor of shape (..., n_raw)
            Raw outputs of the network.
        y : Tensor of shape (..., n_columns)
            Targets, standardised according to `target_scaling`.

        Returns
        -------
        loss : Tensor of shape (...)
            One value per row.
        """

    def raw_gradient(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return the derivative of each row's loss with respect to its raw outputs.

        An analytic derivative trains faster. By default autograd differentiates `row_loss`.

        Parameters
        ----------
        raw : Tensor of shape (..., n_raw)
            Raw outputs of the network.
        y : Tensor of shape (..., n_columns)
            Targets, standardised according to `target_scaling`.

        Returns
        -------
        gradient : Tensor of shape (..., n_raw)
            A new tensor, which the caller may modify in place.
        """
        with torch.enable_grad():
            leaf = raw.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self.row_loss(leaf, y).sum(), leaf)
        return gradient

    def predict(self, raw: Tensor) -> Tensor:
        """Compute the prediction from raw outputs.

        Parameters
        ----------
        raw : Tensor of shape (..., n_raw)
            Raw outputs of the network.

        Returns
        -------
        y_pred : Tensor of shape (..., n_columns)
            The prediction, in the units of the targets in `row_loss`.
        """
        return raw

    def mean_prediction(self, predictions: Tensor) -> Tensor:
        """Return the mean of the predictions of the members of an ensemble.

        Parameters
        ----------
        predictions : Tensor of shape (n_members, ..., n_columns)
            The prediction of each member, double precision.

        Returns
        -------
        y_pred : Tensor of shape (..., n_columns)
            The arithmetic mean; subclasses may return another one, such as the circular mean of angles.
        """
        return mean_over_members(predictions)

    def difference(self, y: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return targets minus predictions, both in the user's units, shape (n_samples, n_columns)."""
        return y - y_pred

    def score(self, y: np.ndarray, y_pred: np.ndarray, sample_weight: np.ndarray | None = None) -> float:
        """Return the score of one column, at most 1, from values in the user's units; R2 by default."""
        return float(r2_score(y, y_pred, sample_weight=sample_weight))

    def group_score(self, y: np.ndarray, y_pred: np.ndarray, sample_weight: np.ndarray | None = None) -> float | None:
        """Return one score for all columns of the group, or None where `score` is computed for each column.

        Parameters
        ----------
        y, y_pred : ndarray of shape (n_samples, n_columns)
            Targets, none missing, and predictions in the user's units.
        sample_weight : ndarray of shape (n_samples,), default=None
            Sample weights.
        """
        return None

    # Losses that support more than a point prediction override these three; `supports` finds out which.

    def std(self, raw: Tensor) -> Tensor:
        """Return the standard deviation of each column, shape (..., n_columns)."""
        raise NotImplementedError

    def quantiles(self, raw: Tensor, levels: Sequence[float]) -> Tensor:
        """Return quantiles of each column, shape (..., n_columns, n_levels)."""
        raise NotImplementedError

    def log_likelihood(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return the logarithm of the density of each row's targets, shape (...)."""
        raise NotImplementedError

    @classmethod
    def supports(cls, what: str) -> bool:
        """Return whether the class overrides "std", "quantiles", "log_likelihood" or "raw_gradient"."""
        return getattr(cls, what) is not getattr(ColumnLoss, what)


class DifferenceLoss(ColumnLoss):
    """A loss of one raw output and one target that depends on their difference alone.

    Subclasses implement `derivative_` in addition to `row_loss`. The differences of columns with different losses are
    then computed by one subtraction, and each derivative is applied in place to the columns of its loss.
    """

    @abstractmethod
    def derivative_(self, difference: Tensor) -> Tensor:
        """Turn differences ``p - y`` of any shape into derivatives of the loss by ``p``, in place; return them."""

    def raw_gradient(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return the derivative at each difference."""
        return self.derivative_(raw - y)


def mean_over_members(values: Tensor) -> Tensor:
    """Return the mean over the first axis, with a result for each row that does not depend on the other rows.

    The order in which torch sums over an outer axis depends on the sizes of the inner axes; over the innermost axis it
    depends only on the length of that axis.

    Parameters
    ----------
    values : Tensor of shape (n_members, ...)
        The predictions of the members of an ensemble.

    Returns
    -------
    mean : Tensor of shape (...)
        The arithmetic mean.

    Examples
    --------
    >>> import torch
    >>> from skmulti.losses.base import mean_over_members
    >>> mean_over_members(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([2., 3.])
    """
    return values.movedim(0, -1).contiguous().mean(-1)
