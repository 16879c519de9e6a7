"""`fit` and `partial_fit`: data checked, the network built, and trained."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from torch import nn

from skmulti.estimators._ensemble import EnsembleNet
from skmulti.training.threads import usable_threads

if TYPE_CHECKING:
    from typing_extensions import Self


class FittingNet(EnsembleNet):
    """A net that can be fitted."""

    # The parameters of the module when it was built.
    _built_params: Mapping[str, Any] = MappingProxyType({})
    # The parameters of the estimator that decide the layers of its module.
    _module_params: tuple[str, ...] = ()

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        groups: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
        **unknown: NoReturn,
    ) -> Self:
        """Fit the network to inputs X and targets y.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Inputs: an array, a data frame or a tensor of numbers.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets; the names of a data frame's columns are kept.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Weights of the rows, or of each row's columns (a group of columns has their mean). Each term is a
            weighted mean; only ratios of weights matter. Scaling, imputation and bins use them too, those of inputs the
            mean weight of each row.
        groups : array-like of shape (n_samples,), default=None
            Labels of the rows, which `train_split` is given, as in skorch: ``ValidSplit(GroupKFold(5))`` keeps rows of
            one label together.
        X_val, y_val : array-like, default=None
            Validation rows, in place of a share of X. In a pipeline, name "X_val" in its ``transform_input``.
        sample_weight_val : array-like, default=None
            Weights of the validation rows.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or the data are out of place; a net that was fitted before is unchanged then.
        TrainingDivergedError
            If a loss becomes NaN or infinite; the net keeps the parameters of the last good epoch. In the first
            epoch there is none: the net is unchanged, or not fitted if it was not before.
        KeyboardInterrupt
            If Ctrl-C is pressed in the first epoch of a net that was fitted before, which is unchanged then, or
            before any member of an ensemble has finished an epoch.
        RuntimeError
            If another thread is training this estimator.

        Notes
        -----
        After any other error, a net that was fitted before is unchanged; one that was not keeps the epochs that it
        has finished, if there are any.

        Ctrl-C ends the training, and `fit` returns the estimator with what it has learned. An ensemble keeps the
        members that have finished an epoch, and fits their stacking weights; `members_` are fewer then.

        Other threads read the state from before until `fit` has ended.
        """
        self._refuse_arguments("fit", unknown)
        if self.warm_start and self.initialized_:
            validation = {"X_val": X_val, "y_val": y_val, "sample_weight_val": sample_weight_val}
            return self.partial_fit(X, y, sample_weight, groups=groups, **validation)
        with self._as_before_on_error(goes_on=False), self._leaving_preset(), usable_threads():
            rows, holdout = self._begin(X, y, sample_weight, (X_val, y_val, sample_weight_val), groups)
            self._built_params = self._architecture()
            self._fits_stacking = True
            with self._explained_errors():
                self._train(rows, holdout)
        return self

    def partial_fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        groups: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
        **unknown: NoReturn,
    ) -> Self:
        """Go on training with inputs X and targets y for `max_epochs` more epochs.

        The first call decides the columns, their scaling and the sizes of the network. Losses and weights may
        change between calls as long as the raw outputs stay the same.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Weights of the rows, or of each row's columns.
        groups : array-like of shape (n_samples,), default=None
            Labels of the rows, for `train_split`.
        X_val, y_val, sample_weight_val : array-like, default=None
            Validation rows and their weights.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or the data are out of place, or do not fit the network; the net is unchanged then.
        TrainingDivergedError
            If a loss becomes NaN or infinite; the net keeps the parameters of the last good epoch. In the first
            epoch of this call, the net is unchanged.
        KeyboardInterrupt
            If Ctrl-C is pressed in the first epoch of this call; the net is unchanged then.
        RuntimeError
            If another thread is training this estimator.

        Notes
        -----
        After any other error, and after Ctrl-C, the net keeps the epochs of this call that it has finished. After an
        error, an ensemble is unchanged unless each member has finished one.
        """
        self._refuse_arguments("partial_fit", unknown)
        validation = (X_val, y_val, sample_weight_val)
        with self._as_before_on_error(goes_on=bool(self.initialized_)), self._leaving_preset(), usable_threads():
            # Rows come in parts: one part says too little of all.
            self._fits_stacking = False
            if not self.initialized_:
                rows, holdout = self._begin(X, y, sample_weight, validation, groups)
                self._built_params = self._architecture()
                self.target_scaler_ = self.target_scaler_.thaw()
            else:
                self._check_parameters()
                self._settle_again()
                self._refuse_other_architecture()
                rows = self._check_rows(X, y, sample_weight, groups=groups)
                holdout = self._check_holdout(*validation, groups=groups)
                self._change_terms(rows, holdout)
            with self._explained_errors():
                self._train(rows, holdout)
        return self

    def _architecture(self) -> dict[str, Any]:
        """Return the resolved parameters that decide the layers; ``module__*`` rebuild the module when they are set."""
        names = (*self._module_params, *(("heads",) if hasattr(self, "heads") else ()))
        values = {name: getattr(self, name) for name in names}
        # Of an instance only the class: parameters that it has learned are no reason to refuse it.
        values["module"] = type(self.module) if isinstance(self.module, nn.Module) else self.module
        return values

    def _refuse_other_architecture(self) -> None:
        for name, value in self._architecture().items():
            built = self._built_params.get(name, value)
            if _comparable(value) != _comparable(built):
                raise ValueError(
                    f"The {name!r} parameter must stay as it is in a net that goes on training. "
                    f"Got {value!r} instead of {built!r}; use fit with warm_start=False."
                )


def _comparable(value: Any) -> Any:
    """Return a value with its sequences as tuples, so that (64,) and [64] compare equal."""
    if isinstance(value, Mapping):
        return {key: _comparable(part) for key, part in value.items()}
    return tuple(value) if isinstance(value, (list, tuple, np.ndarray)) else value
