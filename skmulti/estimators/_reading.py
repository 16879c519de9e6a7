"""Predictions of a fitted net in the user's units: means, standard deviations, quantiles, likelihoods, scores."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from numbers import Integral
from typing import Any, Literal, overload

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_consistent_length, check_is_fitted
from skorch.utils import is_dataset
from torch import Tensor

from skmulti._checks import has_nan, warn
from skmulti.estimators._before import of_one_state
from skmulti.estimators._inputs import InputNet
from skmulti.losses import ColumnLoss, MixedLoss, Term
from skmulti.prediction.outputs import Outputs, differences
from skmulti.prediction.raw_outputs import learns, raw_outputs, rows_at_once
from skmulti.targets.columns import Columns
from skmulti.targets.scaler import TargetScaler
from skmulti.targets.validation import check_sample_weight
from skmulti.training import TensorLoader
from skmulti.training.loop_choice import overridden
from skmulti.training.precision import InMixedPrecision
from skmulti.training.rows import is_weighted

# The methods that a forward pass calls: if a subclass overrides one, predictions use skorch's loop.
_OF_FORWARD = ("evaluation_step", "forward", "forward_iter", "get_dataset", "get_iterator", "infer", "_set_training")


class ReadingNet(InputNet):
    """The prediction methods of a fitted net."""

    terms_: tuple[Term, ...]
    target_scaler_: TargetScaler
    target_names_: np.ndarray
    _reader: MixedLoss
    _y_ndim: int

    @overload
    def predict(self, X: Any, return_std: Literal[False] = False, *, columns: Any = None) -> np.ndarray: ...

    @overload
    def predict(self, X: Any, return_std: Literal[True], *, columns: Any = None) -> tuple[np.ndarray, np.ndarray]: ...

    @overload
    def predict(
        self, X: Any, return_std: bool, *, columns: Any = None
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]: ...

    @of_one_state
    def predict(self, X: Any, return_std: bool = False, *, columns: Any = None) -> Any:
        """Predict the targets of inputs X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Inputs; callbacks may pass a skorch Dataset.
        return_std : bool, default=False
            Whether to return the standard deviation of each prediction as well, which the losses of
            distributions give, and an ensemble for any loss. Of a loss without a distribution it is what the members
            disagree about and nothing else: too narrow for an error bar.
        columns : str, int or sequence of them, default=None
            The columns to predict, by name, group or position. None means all.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,) or (n_samples, n_outputs), float64
            Predictions in the units, and with the number of dimensions, of the targets in `fit`. A single column, asked
            for by its name or position, has shape (n_samples,); a sequence or a group (n_samples, n_columns).
        y_std : ndarray of the same shape
            Only if `return_std`: the standard deviations, in the units of the targets.

        Raises
        ------
        NotFittedError
            If the net was not fitted.
        ValueError
            If X has other features or another shape than in `fit`; if X holds infinity, or NaN where
            `missing_inputs` does not impute; if a column's loss gives no standard deviation; if `columns` names an
            unknown one.

        Notes
        -----
        A row has the same prediction alone and among others: to the last digit with the layers of the presets, and up
        to rounding in double precision for losses that are read by sines, such as angles. Layers whose widths are no
        multiples of 32 may differ by rounding in single precision, since torch's matrix products then sum rows in
        different orders.
        """
        if not isinstance(return_std, (bool, np.bool_)):
            got = f"Got {return_std!r} instead; name columns with columns=..."
            raise ValueError(f"The 'return_std' argument must be True or False. {got}")
        wanted = self._asked_columns(columns)
        families = self._families_supporting("std", wanted) if return_std else []
        inputs = self._checked_inputs(X)
        with self._reading_threads(inputs):
            outputs = self._outputs(inputs)
            y_pred = outputs.predict()
            if columns is not None:
                y_pred = y_pred[:, wanted]
            if not return_std:
                return self._as_asked(y_pred, columns)
            return self._as_asked(y_pred, columns), self._as_asked(outputs.std(families)[:, wanted], columns)

    @of_one_state
    def predict_quantiles(self, X: Any, levels: Sequence[float] | float, *, columns: Any = None) -> np.ndarray:
        """Predict quantiles of the targets of inputs X; an ensemble's are the means of those of its members.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Inputs.
        levels : float or sequence of float
            The levels, between 0 and 1.
        columns : str, int or sequence of them, default=None
            The columns to predict. None means all.

        Returns
        -------
        quantiles : ndarray of shape (n_samples, n_outputs, n_levels)
            Quantiles in the user's units; without the second dimension where y had one dimension, and for a single
            column, asked for by its name or position.

        Raises
        ------
        ValueError
            If a level lies outside (0, 1), or outside those of a column with several quantiles; if a column's
            loss has no quantiles.
        """
        levels = _as_levels(levels, parameter="levels")
        wanted = self._asked_columns(columns)
        families = self._families_supporting("quantiles", wanted)
        inputs = self._checked_inputs(X)
        with self._reading_threads(inputs):
            return self._as_asked(self._outputs(inputs).quantiles(families, levels)[:, wanted], columns)

    def predict_interval(self, X: Any, coverage: float = 0.9, *, columns: Any = None) -> np.ndarray:
        """Predict an interval that holds each target with the probability that its distribution gives.

        The interval lies between the quantiles ``(1 - coverage) / 2`` and ``(1 + coverage) / 2``. For intervals that
        hold whatever the loss, see `skmulti.prediction.SplitConformalRegressor`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Inputs.
        coverage : float, default=0.9
            The probability, between 0 and 1.
        columns : str, int or sequence of them, default=None
            The columns to predict. None means all.

        Returns
        -------
        interval : ndarray of shape (n_samples, n_outputs, 2)
            Lower and upper ends in the user's units; without the second dimension where y had one dimension, and for a
            single column, asked for by its name or position.

        Raises
        ------
        ValueError
            As `predict_quantiles`.
        """
        (coverage,) = _as_levels(coverage, parameter="coverage", many=False)
        # Rounded, so that the ends of 0.9 are the levels 0.05 and 0.95 that a user writes.
        ends = [round((1 - coverage) / 2, 12), round((1 + coverage) / 2, 12)]
        return self.predict_quantiles(X, ends, columns=columns)

    @of_one_state
    def negative_log_likelihood(self, X: Any, y: Any, *, columns: Any = None) -> np.ndarray:
        """Return the negative log likelihood of each row's targets, summed over the columns.

        It is that of the densities in the user's units; missing targets count nothing. An ensemble's density is the
        mean of its members' joint densities of these columns.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        columns : str, int or sequence of them, default=None
            The columns to count; of a group, all. None means all.

        Returns
        -------
        values : ndarray of shape (n_samples,)
            Minus the logarithms of the densities.

        Raises
        ------
        ValueError
            If a column's loss has no likelihood.
        """
        wanted = self._asked_columns(columns)
        self._families_supporting("log_likelihood", wanted)
        targets = self._check_targets(y, parameter="y", missing=True)
        inputs = self._checked_inputs(X)
        check_consistent_length(inputs, targets.values)
        asked = [i for i, term in enumerate(self.terms_) if set(term.columns) & set(wanted)]
        with self._reading_threads(inputs):
            return -self._outputs(inputs).log_density(targets.values, asked)

    @of_one_state
    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the mean over the columns of the coefficient of determination R2.

        An angle has `skmulti.metrics.circular_score` in its place, which is on the same scale, and each column of a
        rotation the R2 of its matrices. Targets that are all the same score 1 where predictions are exact, else 0.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets; missing ones (NaN) are left out of their column.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Weights of the rows, or of each row's columns.

        Returns
        -------
        score : float
            The mean R2 of `predict`; NaN, with an `UndefinedMetricWarning`, if every target is missing.
        """
        check_is_fitted(self)
        targets = self._check_targets(y, parameter="y", missing=True)
        y_pred = self.predict(X).reshape(-1, len(self.target_names_))
        check_consistent_length(y_pred, targets.values)
        weights = check_sample_weight(sample_weight, len(y_pred), targets.names)
        loss_of = {i: term.loss for term in self.terms_ for i in term.columns}
        scores: list[float] = []
        for term in self.terms_:
            if type(term.loss).group_score is not ColumnLoss.group_score:
                scores += self._group_scores(term, targets.values, y_pred, weights)
                for i in term.columns:
                    del loss_of[i]
        left = sorted(loss_of)
        if weights is None and not has_nan(targets.values):
            plain = [i for i in left if type(loss_of[i]).score is ColumnLoss.score]
            left = [i for i in left if i not in plain]
            # All columns in one call, since r2_score spends most of its time in validation.
            if plain:
                # For a single row scikit-learn returns one NaN, whatever the number of columns.
                r2 = r2_score(targets.values[:, plain], y_pred[:, plain], multioutput="raw_values")
                scores += np.ravel(r2).tolist()
        for i in left:
            seen = ~np.isnan(targets.values[:, i])
            weight = None if weights is None else weights[seen, i if weights.shape[1] > 1 else 0]
            if seen.any():
                scores.append(loss_of[i].score(targets.values[seen, i], y_pred[seen, i], weight))
        if not scores:
            warn(
                "score is NaN: no row of y has the targets of a loss. Use rows that have targets.",
                UndefinedMetricWarning,
            )
            return float("nan")
        return float(np.mean(scores))

    @staticmethod
    def _group_scores(term: Term, y: np.ndarray, y_pred: np.ndarray, weights: np.ndarray | None) -> list[float]:
        """Return the score of a group once for each of its columns, nothing where a target of every row is missing."""
        columns = list(term.columns)
        seen = ~np.isnan(y[:, columns]).any(axis=1)
        if not seen.any():
            return []
        weight = None
        if weights is not None:
            weight = (weights[:, columns] if weights.shape[1] > 1 else weights)[seen].mean(axis=1)
        score = term.loss.group_score(y[np.ix_(seen, columns)], y_pred[np.ix_(seen, columns)], weight)
        assert score is not None
        return [score] * len(columns)

    @of_one_state
    def residuals(self, X: Any, y: Any) -> np.ndarray:
        """Return how far targets lie from predictions, the shorter way round for an angle.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.

        Returns
        -------
        residuals : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Target minus prediction, NaN where a target is missing.
        """
        check_is_fitted(self)
        targets = self._check_targets(y, parameter="y", missing=True)
        y_pred = self.predict(X).reshape(-1, len(self.target_names_))
        check_consistent_length(y_pred, targets.values)
        return self._as_asked(differences(self.terms_, targets.values, y_pred))

    def _outputs(self, inputs: Any) -> Outputs:
        """Return predictions in the user's units for checked inputs."""
        return Outputs(self._raw(inputs), self._reader, self.target_scaler_)

    def _reading_threads(self, inputs: Any) -> AbstractContextManager[None]:
        """Return a context with as many threads as the predictions for checked inputs, or a dataset, are worth."""
        if self._is_read_by_skorch(inputs):
            at_once = self._rows_per_batch(self.batch_size, len(inputs), training=False)
        else:
            at_once = rows_at_once(inputs)
        return self._threads(min(len(inputs), at_once))

    def _is_read_by_skorch(self, inputs: Any) -> bool:
        """Return whether inputs go through skorch's `forward`, batch by batch."""
        if is_dataset(inputs) or self.iterator_valid is not TensorLoader or self._has_own_dataset:
            return True
        return bool(overridden(self, ReadingNet, _OF_FORWARD))

    def _checked_inputs(self, X: Any) -> Any:
        self._refuse_unfitted()
        # What skorch's scoring callbacks hand over where rows have weights.
        X = X["X"] if is_weighted(X) else X
        if "forward_iter" in vars(self):
            # skorch's scoring callbacks put what was predicted there, and hand over batches of encoded inputs.
            return X
        return self._network_inputs(X)

    def _raw(self, inputs: Any) -> Tensor:
        """Return the raw outputs of the network for checked inputs, or a dataset."""
        if self._is_read_by_skorch(inputs):
            raw: Tensor = self.forward(inputs)
            # skorch's EpochScoring(on_train=True) hands over what the training step computed, with its gradient.
            return raw.detach()
        if learns(self.module_):
            self._set_training(False)
        module = InMixedPrecision(self.module_, self.device) if self.mixed_precision else self.module_
        return raw_outputs(module, inputs, self.device)

    def _as_asked(self, values: np.ndarray, columns: Any = None) -> np.ndarray:
        """Return values of shape (n_samples, n_columns, ...) without the second axis where y, or a column, has none."""
        # The name of a group is no column, even if the group has one.
        is_column = columns in self.target_names_ if isinstance(columns, str) else isinstance(columns, Integral)
        return values[:, 0] if is_column or self._y_ndim == 1 else values

    def _columns_not_finite(self, X: np.ndarray) -> list[str]:
        raw = self._raw(X)
        good = raw.isfinite().all(0).tolist()
        broken = {i for term in self.terms_ if not all(good[i] for i in term.raw) for i in term.columns}
        # How a custom loss reads them is asked in predict, where its errors belong.
        for family in self._reader.families:
            if family.is_ours:
                well_read = family.predict(raw).isfinite().all(0).tolist()
                broken |= {i for i, is_finite in zip(family.columns, well_read, strict=True) if not is_finite}
        return [term.name for term in self.terms_ if broken & set(term.columns)]

    def _refuse_unfitted(self) -> None:
        # check_is_fitted is slow, so it runs only to raise its error.
        if not self.initialized_:
            check_is_fitted(self)

    def _asked_columns(self, columns: Any) -> list[int]:
        self._refuse_unfitted()
        if columns is None:
            return list(range(len(self.target_names_)))
        known: Columns = self._groups(tuple(self.target_names_))
        if not isinstance(columns, (str, Integral, Iterable)):
            got = f"Got {columns!r} instead; use for example columns=[0, 1]."
            raise ValueError(f"The 'columns' argument must be a name, a group, a position or a sequence of them. {got}")
        keys = [columns] if isinstance(columns, (str, Integral)) else list(columns)
        return [position for key in keys for position in known.find(key, parameter="columns")]

    def _families_supporting(self, what: str, wanted: list[int]) -> list[Any]:
        """Return the families of the requested columns; raise a ValueError if a loss does not support `what`."""
        families = [family for family in self._reader.families if set(family.columns) & set(wanted)]
        silent = {i: family.loss for family in families if not family.loss.supports(what) for i in family.columns}
        if silent:
            words = {"std": "standard deviation", "quantiles": "quantiles", "log_likelihood": "likelihood"}[what]
            which = ", ".join(f"{self.target_names_[i]!r} ({silent[i]!r})" for i in wanted if i in silent)
            otherwise = {
                "std": " An ensemble (n_members=2 or more) has what its members disagree about.",
                "quantiles": " For intervals of any loss see skmulti.prediction.SplitConformalRegressor.",
            }
            raise ValueError(
                f"Losses of these columns give no {words}: {which}. Ask for other columns with 'columns', or train "
                f"with a loss that has one, such as 'gaussian_nll'.{otherwise.get(what, '')}"
            )
        return families


def _as_levels(given: Any, *, parameter: str, many: bool = True) -> list[float]:
    """Return levels between 0 and 1 as a list, or refuse them."""
    try:
        levels = np.asarray(given)
    except (TypeError, ValueError):
        levels = np.empty(0)
    if levels.dtype.kind not in "fiu" or levels.size == 0 or levels.ndim > many:
        levels = np.empty(0)
    if levels.size == 0 or not ((levels > 0) & (levels < 1)).all():
        shown = levels.reshape(-1).tolist() if many and levels.size else given
        raise ValueError(f"'{parameter}' must lie between 0 and 1, both excluded. Got {shown!r} instead.")
    found: list[float] = levels.astype(float).reshape(-1).tolist()
    return found
