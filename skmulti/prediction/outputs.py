"""Predictions in the user's units from the raw outputs of a network or of the members of an ensemble."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from skmulti.inputs.tensors import as_tensor
from skmulti.losses import ColumnLoss, MixedLoss, Term
from skmulti.losses.base import mean_over_members
from skmulti.losses.family import Family
from skmulti.targets.scaler import TargetScaler


def differences(terms: Sequence[Term], y: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    """Return targets minus predictions, shape (n_rows, n_columns); the shorter way round for angles.

    Parameters
    ----------
    terms : sequence of Term
        The table of terms.
    y, y_pred : ndarray of shape (n_rows, n_columns)
        Targets and predictions in the user's units.

    Examples
    --------
    >>> import numpy as np
    >>> from skmulti.losses import Circular, Term
    >>> from skmulti.prediction.outputs import differences
    >>> differences([Term("angle", Circular(), (0,), (0, 1))], np.array([[2.0]]), np.array([[359.0]]))
    array([[3.]])
    """
    found = np.empty_like(y_pred)
    for term in terms:
        columns = list(term.columns)
        found[:, columns] = term.loss.difference(y[:, columns], y_pred[:, columns])
    return found


class Outputs:
    """The raw outputs of one network.

    Parameters
    ----------
    raw : Tensor of shape (n_rows, n_raw)
        The raw outputs, on the CPU.
    reader : MixedLoss
        The table of terms, which maps raw outputs to predictions.
    scaler : TargetScaler
        The map to the user's units.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from skmulti.losses import MixedLoss, SquaredError, Term
    >>> from skmulti.prediction.outputs import Outputs
    >>> from skmulti.targets.scaler import TargetScaler
    >>> reader = MixedLoss([Term("x", SquaredError(), (0,), (0,))])
    >>> Outputs(torch.tensor([[0.5]]), reader, TargetScaler(np.array([10.0]), np.array([2.0]))).predict()
    array([[11.]])
    """

    def __init__(self, raw: Tensor, reader: MixedLoss, scaler: TargetScaler) -> None:
        self.raw = raw
        self.reader = reader
        self.scaler = scaler

    def __len__(self) -> int:
        return len(self.raw)

    def predict(self) -> np.ndarray:
        """Return predictions, shape (n_rows, n_columns)."""
        return self.scaler.inverse_transform(self.reader.predict(self.raw).numpy())

    def std(self, families: Sequence[Family]) -> np.ndarray:
        """Return the standard deviations of the columns of some families, and 0 for other columns."""
        std = np.zeros((len(self.raw), self.reader.n_columns))
        for family in self._matching(families):
            std[:, family.columns] = family.std(self.raw).numpy()
        return std * self.scaler.scale

    def quantiles(self, families: Sequence[Family], levels: Sequence[float]) -> np.ndarray:
        """Return quantiles of the columns of some families, shape (n_rows, n_columns, n_levels)."""
        quantiles = np.zeros((len(self.raw), self.reader.n_columns, len(levels)))
        for family in self._matching(families):
            quantiles[:, family.columns] = family.quantiles(self.raw, levels).numpy()
        return quantiles * self.scaler.scale[:, None] + self.scaler.center[:, None]

    def _matching(self, families: Sequence[Family]) -> list[Family]:
        """Return this reader's families of the same columns: the losses of members may be adapted to different rows."""
        columns = [family.columns for family in families]
        return [family for family in self.reader.families if family.columns in columns]

    def log_density(self, y: np.ndarray, terms: Sequence[int]) -> np.ndarray:
        """Return the logarithm of the joint density of the targets of some terms, shape (n_rows,).

        Missing targets (NaN) contribute nothing.
        """
        values = self.reader.log_likelihoods(self.raw, self.scaler.transform(as_tensor(y)), terms)
        per_term = values.double().numpy()
        # By the change of variables, the density in the user's unit is the standardised density divided by the scale.
        log_scale = np.log(self.scaler.divisor)
        for k, i in enumerate(terms):
            columns = list(self.reader.terms[i].columns)
            complete = ~np.isnan(y[:, columns]).any(axis=1)
            per_term[:, k] -= complete * log_scale[columns].sum()
        return np.asarray(per_term.sum(axis=1))


class MemberOutputs(Outputs):
    """The raw outputs of the members of an ensemble [1]_: a mixture of their distributions with equal weights.

    Parameters
    ----------
    members : sequence of Outputs
        The outputs of each member; all have the same table of terms and the same scaling.

    References
    ----------
    .. [1] B. Lakshminarayanan, A. Pritzel and C. Blundell, "Simple and scalable predictive uncertainty estimation
       using deep ensembles", NeurIPS 2017.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from skmulti.losses import MixedLoss, SquaredError, Term
    >>> from skmulti.prediction.outputs import MemberOutputs, Outputs
    >>> from skmulti.targets.scaler import TargetScaler
    >>> reader, scaler = MixedLoss([Term("x", SquaredError(), (0,), (0,))]), TargetScaler(np.zeros(1), np.ones(1))
    >>> both = MemberOutputs([Outputs(torch.tensor([[raw]]), reader, scaler) for raw in (1.0, 3.0)])
    >>> both.predict(), both.std([])
    (array([[2.]]), array([[1.]]))
    """

    def __init__(self, members: Sequence[Outputs]) -> None:
        super().__init__(members[0].raw, members[0].reader, members[0].scaler)
        self.members = members

    def predict(self) -> np.ndarray:
        """Return the mean of the members' predictions, or what `mean_prediction` of a column's loss gives."""
        each = torch.stack([member.reader.predict(member.raw) for member in self.members])
        mean = mean_over_members(each)
        for term in self.reader.terms:
            if type(term.loss).mean_prediction is not ColumnLoss.mean_prediction:
                columns = list(term.columns)
                mean[:, columns] = term.loss.mean_prediction(each[:, :, columns])
        return self.scaler.inverse_transform(mean.numpy())

    def std(self, families: Sequence[Family]) -> np.ndarray:
        """Return standard deviations by the law of total variance.

        The variance is the mean of the members' variances (0 for columns of other families) plus the variance of their
        predictions around the joint prediction: the noise that members estimate, and their disagreement.
        """
        joint, variance = self.predict(), np.zeros((len(self), self.reader.n_columns))
        for member in self.members:
            variance += member.std(families) ** 2 + self._deviation(member, joint) ** 2
        return np.asarray(np.sqrt(variance / len(self.members)))

    def quantiles(self, families: Sequence[Family], levels: Sequence[float]) -> np.ndarray:
        """Return the means of the members' quantiles [1]_, for angles around the joint prediction.

        References
        ----------
        .. [1] S. B. Vincent, "The functions of the vibrissae in the behavior of the white rat", Behavior Monographs 1
           (1912), no. 5; K. C. Lichtendahl, Y. Grushka-Cockayne and R. L. Winkler, "Is it better to average
           probabilities or quantiles?", Management Science 59 (2013), 1594-1611.
        """
        joint, spread = self.predict(), np.zeros((len(self), self.reader.n_columns, len(levels)))
        for member in self.members:
            # Angles: each member's quantiles, shifted by full turns to be near the joint prediction before averaging.
            start = self._deviation(member, joint) - member.predict()
            spread += member.quantiles(families, levels) + start[..., None]
        return joint[..., None] + spread / len(self.members)

    def log_density(self, y: np.ndarray, terms: Sequence[int]) -> np.ndarray:
        """Return the logarithm of the mean of the members' joint densities of the targets of some terms."""
        each = np.stack([member.log_density(y, terms) for member in self.members])
        return np.asarray(np.logaddexp.reduce(each, axis=0) - np.log(len(self.members)))

    def _deviation(self, member: Outputs, joint: np.ndarray) -> np.ndarray:
        """Return the member's predictions minus the joint predictions."""
        return differences(self.reader.terms, member.predict(), joint)
