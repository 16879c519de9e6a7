"""What a column loss is: the one place that knows how a column is learned and how it is read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import torch
from sklearn.metrics import r2_score
from torch import Tensor


class ColumnLoss(ABC):
    """The loss of one target column, or of a group of columns that belong together.

    A column loss answers four questions, and only it knows the answers: how many target columns it takes
    (`n_columns`), how many raw network outputs it needs (`n_raw`), what the loss of each row is
    (`row_loss`), and how a prediction is read from raw outputs (`predict`).

    Subclasses are frozen dataclasses: their fields are their parameters, two losses with equal parameters
    are equal, and terms with equal losses are computed together in one tensor operation.

    Attributes
    ----------
    n_columns : int or None, default=1
        Number of target columns that one term of this loss takes. None takes any number of them, as one term.
    target_scaling : {"column", "group", None}, default="column"
        Whether the targets are standardised before the loss sees them: each column with its own mean and
        standard deviation, each with its own mean and all with one common standard deviation (a vector keeps
        its directions), or not at all (an angle, a count).
    robust_scaling : bool, default=False
        Whether targets are centred by the median and scaled by the interquartile range, divided by 1.349 so that the
        unit of normally distributed targets is their standard deviation. For a loss on which an outlier has little
        influence: mean and standard deviation would hand that influence back. Its row losses are computed in double
        precision, in which the loss of a far outlier does not hide those of other rows.
    takes_any_batch : bool, default=True
        Whether `row_loss` and `predict` accept any number of leading dimensions, so that several terms can be
        computed at once. A loss that needs exactly two dimensions says False.

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
        """Return this loss with what it must learn from the training targets, in the user's units.

        Parameters
        ----------
        y : ndarray of shape (n_samples, n_columns)
            The training targets of its columns, none missing.
        names : tuple of str
            The names of its columns, for messages.
        sample_weight : ndarray of shape (n_samples,), default=None
            The weights of the rows.

        Returns
        -------
        loss : ColumnLoss
            By default the loss itself.

        Raises
        ------
        ValueError
            If the targets are not what this loss is for.
        """
        return self

    def encode(self, y: Tensor) -> Tensor:
        """Return targets as they may be cast to single precision, shape (..., n_columns), double precision."""
        return y

    @abstractmethod
    def row_loss(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return the loss of each row.

        Parameters
        ----------
        raw : Tensor of shape (..., n_raw)
            Raw outputs of the network.
        y : Tensor of shape (..., n_columns)
            Targets, standardised as `target_scaling` says.

        Returns
        -------
        loss : Tensor of shape (...)
            One value per row.
        """

    def raw_gradient(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return the derivative of each row's loss with respect to its raw outputs.

        A loss whose derivative is a short formula writes it out and trains faster; for all others autograd finds
        it from `row_loss`.

        Parameters
        ----------
        raw : Tensor of shape (..., n_raw)
            Raw outputs of the network.
        y : Tensor of shape (..., n_columns)
            Targets, standardised as `target_scaling` says.

        Returns
        -------
        gradient : Tensor of shape (..., n_raw)
            A new tensor, which the caller may change.
        """
        with torch.enable_grad():
            leaf = raw.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self.row_loss(leaf, y).sum(), leaf)
        return gradient

    def predict(self, raw: Tensor) -> Tensor:
        """Read the prediction from raw outputs.

        Parameters
        ----------
        raw : Tensor of shape (..., n_raw)
            Raw outputs of the network.

        Returns
        -------
        y_pred : Tensor of shape (..., n_columns)
            The prediction, in the units in which `row_loss` takes its targets.
        """
        return raw

    def mean_prediction(self, predictions: Tensor) -> Tensor:
        """Return the one prediction that stands for those of several nets, the members of an ensemble.

        Parameters
        ----------
        predictions : Tensor of shape (n_members, ..., n_columns)
            What `predict` reads from the raw outputs of each member, double precision.

        Returns
        -------
        y_pred : Tensor of shape (..., n_columns)
            Their arithmetic mean, unless another mean fits better: an angle's is on the circle.
        """
        return mean_over_members(predictions)

    def difference(self, y: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return how far targets lie from predictions, both in the user's units, shape (n_samples, n_columns)."""
        return y - y_pred

    def score(self, y: np.ndarray, y_pred: np.ndarray, sample_weight: np.ndarray | None = None) -> float:
        """Return a score of one column's predictions in the user's units, at most 1: R2, unless another fits better."""
        return float(r2_score(y, y_pred, sample_weight=sample_weight))

    def group_score(self, y: np.ndarray, y_pred: np.ndarray, sample_weight: np.ndarray | None = None) -> float | None:
        """Return one score for all columns of the group, or None where `score` judges each column by itself.

        Parameters
        ----------
        y, y_pred : ndarray of shape (n_samples, n_columns)
            Targets, none missing, and predictions in the user's units.
        sample_weight : ndarray of shape (n_samples,), default=None
            The weights of the rows.
        """
        return None

    # The next three are for losses that say more than a point: a loss that can't say it leaves them as they are.

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
        """Return whether this loss has a "std", "quantiles", "log_likelihood" or "raw_gradient" of its own."""
        return getattr(cls, what) is not getattr(ColumnLoss, what)


class DifferenceLoss(ColumnLoss):
    """A loss of one raw output and one target that depends on their difference alone.

    Subclasses write `derivative_` beside `row_loss`. Then columns with different losses of this kind are learned from
    together: one subtraction for all of them, and the slope of each on its own columns.
    """

    @abstractmethod
    def derivative_(self, difference: Tensor) -> Tensor:
        """Turn differences ``p - y`` of any shape into derivatives of the loss by ``p``, in place; return them."""

    def raw_gradient(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return the slope at each difference."""
        return self.derivative_(raw - y)


def mean_over_members(values: Tensor) -> Tensor:
    """Return the mean over the first axis, the same for a row whatever other rows there are.

    torch sums over an outer axis in an order that depends on how many numbers stand beside one another, and over the
    innermost axis in one that depends on its length alone.

    Parameters
    ----------
    values : Tensor of shape (n_members, ...)
        What each member of an ensemble predicts.

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
