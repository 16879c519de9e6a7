"""The general estimator: a torch module, a loss and a weight per column, scikit-learn's contract."""

from __future__ import annotations

import inspect
from numbers import Integral, Real
from typing import Any

import torch
from sklearn.utils._param_validation import Interval, Options, StrOptions
from skorch.dataset import Dataset

from skmulti.ensemble import EnsembleNet
from skmulti.modules import MLP
from skmulti.training import TensorLoader, TrainingDivergedError


class MultiOutputNetRegressor(EnsembleNet):
    """A torch module that predicts several columns, with a loss and a weight for each.

    The estimator is a skorch net and keeps scikit-learn's contract: it works in pipelines, searches and
    cross-validation, and skorch's callbacks work in it.

    Parameters
    ----------
    module : class or instance of torch.nn.Module, default=skmulti.modules.MLP
        The network. It takes a float32 tensor of shape (n_rows, ...), a batch of X, and returns raw outputs of
        shape (n_rows, n_outputs). A class whose ``__init__`` has a parameter `input_shape` or `n_outputs` is
        given the shape of one row of X (a tuple) and the number of raw outputs that the losses need. Other
        parameters are given as ``module__<parameter>``. An instance is copied, and starts from its parameters.
    loss : str, loss, sequence or mapping, default="squared_error"
        The loss of each column of y: one for all of them, a sequence with one per column, or a mapping from
        columns (a name, a position, the name of a group, or a tuple of them) to losses; columns that a mapping
        does not name take the squared error. A loss is a name in `skmulti.losses.COLUMN_LOSSES`, one of its
        classes or instances, a torch loss (class or instance) or any callable of (raw outputs, targets). A torch
        loss or a callable sees all the columns that it is given for at once and makes one term of the total, as
        in torch; all others make one term per column. ``loss__<column>`` is a parameter of its own, as is
        ``loss__<column>__<parameter>`` for the loss's own parameter.
    loss_weights : sequence or mapping, default=None
        The weights of the terms: a sequence with one per column, or a mapping from columns to weights. What is
        not named weighs 1. ``loss_weights__<column>`` is a parameter of its own. The total is the plain sum over
        terms of weight times mean loss.
    column_groups : mapping of str to sequence of columns, default=None
        Names for groups of columns, which `loss`, `loss_weights` and their ``__<column>`` forms may use.
    scale_targets : bool, default=True
        Whether columns are standardised for training where their losses allow it. Predictions are in the user's
        units either way. Without it, a column in thousands drowns one in hundredths.
    missing_targets : {"error", "mask"}, default="error"
        What NaN in y means: an error that names the columns, or a target that is left out of its column's loss (and
        of its group's). Each term is the mean over the rows that it saw, so that a column with few targets weighs
        as much as its loss weight says; rows without any target are dropped.
    optimizer : class of torch.optim.Optimizer, default=torch.optim.Adam
        The optimizer; its parameters are ``optimizer__<parameter>``, those of one part of the module
        ``optimizer__param_groups=[(pattern of parameter names, {parameter: value}), ...]``.
    lr : float, default=1e-3
        The learning rate.
    max_epochs : int, default=100
        How often to go through the rows; in `partial_fit` and with `warm_start`, how often more.
    batch_size : int or "auto", default="auto"
        Rows per step; -1 means all of them. "auto" makes about fifty steps an epoch, of 32 to 256 rows.
    shuffle : bool, default=True
        Whether each epoch goes through the rows in a new order.
    early_stopping : bool, default=False
        Whether to stop when the validation loss has not improved by `tol` for `n_iter_no_change` epochs, and to
        restore the parameters of the best epoch. The rows are X_val of `fit`, or what `train_split` chooses, or a
        share of `validation_fraction`.
    validation_fraction : float, default=0.1
        The share of rows that early stopping sets aside, between 0 and 1.
    n_iter_no_change : int, default=10
        The patience of early stopping, in epochs.
    tol : float, default=1e-4
        The least improvement that counts for early stopping.
    n_members : int, default=1
        How many nets to train; more than one make an ensemble. Each has its own initial parameters, order of rows and
        validation share, stops by itself, and is one of `members_`. The ensemble predicts their mean (an angle's is on
        the circle, a rotation's a rotation), and a standard deviation for every column: what they disagree about,
        and what their losses call noise.
    bootstrap : bool, default=False
        Whether each member learns from as many rows, drawn with replacement, as it has to learn from; its validation
        rows are not among them. For ensembles only.
    warm_start : bool, default=False
        Whether `fit` goes on from the parameters of the last one.
    random_state : int, RandomState or None, default=None
        Decides everything random: initial parameters, dropout, the order of the rows, the validation share.
        The global generators of torch and NumPy stay where they are; only None draws a seed from NumPy's.
    verbose : int, default=0
        Whether to print a line per epoch, with one column per term.
    device : str or torch.device, default="cpu"
        Where to compute, as in torch.
    n_threads : int or "auto", default="auto"
        The number of torch's threads on the CPU while the net trains and predicts; that of the process is put back
        afterwards. "auto" takes one for small work, whose threads would only wait for one another, and up to all
        that torch has for large work.
    mixed_precision : {None, "bfloat16"}, default=None
        "bfloat16" lets the network compute in half the digits where they are enough, by torch's autocast: faster on
        GPUs that have it. Parameters and losses keep theirs.
    training_loop : {"auto", "skorch"}, default="auto"
        "auto" trains on tensors, several times faster than batch by batch, unless a callback or an override wants
        to know of batches; the numbers are the same, and ``history_`` has no record per batch then. "skorch" always
        takes skorch's own loop. `training_loop_` says which ran, and why.
    callbacks : list of skorch callbacks, default=None
        Learning-rate schedules, checkpoints, scores per epoch and so on; see `skorch.callbacks`.
    train_split : callable, default=None
        How to choose validation rows, as in skorch (`skorch.dataset.ValidSplit`). None sets none aside unless
        `early_stopping` is on.
    iterator_train, iterator_valid : class, default=skmulti.training.TensorLoader
        What makes the batches, as in skorch; ``torch.utils.data.DataLoader`` works as well.
    dataset : class, default=skorch.dataset.Dataset
        What holds the rows, as in skorch.
    compile : bool, default=False
        Whether to use ``torch.compile``, as in skorch.
    use_caching, torch_load_kwargs : optional
        As in skorch.
    **prefix__params
        ``loss__<column>``, ``loss_weights__<column>``, and skorch's: ``module__*``, ``optimizer__*``,
        ``iterator_train__*``, ``iterator_valid__*``, ``dataset__*``, ``callbacks__*``, ``compile__*``.

    Attributes
    ----------
    module_ : torch.nn.Module
        The trained network; of an ensemble, a `skmulti.modules.Members` over those of its members.
    members_ : list of nets
        The fitted members of an ensemble; only where `n_members` is more than 1.
    history_ : skorch.history.History
        One row per epoch: ``train_loss``, ``valid_loss``, and those of each term as ``train_loss__<term>`` and
        ``valid_loss__<term>``, not weighted. Of an ensemble, the means over the members that still trained.
    terms_ : tuple of skmulti.losses.Term
        The table of terms that `loss` and `loss_weights` came to.
    target_names_ : ndarray of shape (n_outputs_,)
        The names of y's columns; ``y0``, ``y1``, ... where y has none.
    target_scaler_ : TargetScaler
        What standardised the targets.
    n_outputs_ : int
        The number of columns of y.
    n_features_in_ : int
        The number of features of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        The names of the features, where X had names that are strings.
    input_shape_ : tuple of int
        The shape of one row of X.
    n_iter_ : int
        The number of epochs in the history.
    training_loop_ : skmulti.training.TrainingLoop
        Which loop trained in the last epoch, how it made its steps, and why skorch's did if it did; of an ensemble,
        that of its first member.

    Raises
    ------
    ValueError
        In `fit`, for a parameter or data out of place; the message names the parameter or the column.
    TrainingDivergedError
        In `fit`, if a loss becomes NaN or infinite; the net keeps the parameters of the last good epoch.

    Examples
    --------
    >>> import numpy as np
    >>> from skmulti import MultiOutputNetRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 3))
    >>> y = np.column_stack([X[:, 0] + X[:, 1], 100 * X[:, 2]])
    >>> net = MultiOutputNetRegressor(loss=["squared_error", "huber"], random_state=0).fit(X, y)
    >>> net.predict(X[:4]).shape
    (4, 2)
    >>> bool(net.score(X, y) > 0.9)
    True
    """

    # The parameters that a named estimator does not have.
    _fixed_params: tuple[str, ...] = ()

    _parameter_constraints = {
        "scale_targets": ["boolean"],
        "missing_targets": [StrOptions({"error", "mask"})],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), Options(Integral, {-1}), StrOptions({"auto"})],
        "shuffle": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "n_members": [Interval(Integral, 1, None, closed="left")],
        "bootstrap": ["boolean"],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "compile": ["boolean"],
        "random_state": ["random_state"],
        "n_threads": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "mixed_precision": [StrOptions({"bfloat16"}), None],
        "training_loop": [StrOptions({"auto", "skorch"})],
        "callbacks": [list, None, StrOptions({"disable"})],
        "train_split": [callable, None],
        "optimizer": [callable],
        "dataset": [callable],
        "iterator_train": [callable],
        "iterator_valid": [callable],
        "module": [callable],
    }

    def __init__(
        self,
        module: Any = MLP,
        *,
        loss: Any = "squared_error",
        loss_weights: Any = None,
        column_groups: Any = None,
        scale_targets: bool = True,
        missing_targets: str = "error",
        optimizer: Any = torch.optim.Adam,
        lr: float = 1e-3,
        max_epochs: int = 100,
        batch_size: Any = "auto",
        shuffle: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        n_members: int = 1,
        bootstrap: bool = False,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: int = 0,
        device: Any = "cpu",
        n_threads: Any = "auto",
        mixed_precision: Any = None,
        training_loop: str = "auto",
        callbacks: Any = None,
        train_split: Any = None,
        iterator_train: Any = TensorLoader,
        iterator_valid: Any = TensorLoader,
        dataset: Any = Dataset,
        compile: bool = False,
        use_caching: Any = "auto",
        torch_load_kwargs: Any = None,
        **prefix__params: Any,
    ) -> None:
        super().__init__(**prefix__params)
        params = locals()
        for name in _names_of(MultiOutputNetRegressor.__init__):
            if name not in self._fixed_params:
                self.__dict__[name] = params[name]

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> MultiOutputNetRegressor:
        """Fit the network to inputs X and targets y.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Inputs: an array, a data frame or a tensor of numbers.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets; the names of a data frame's columns are kept.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Weights of the rows, or of each row's columns (a group of columns has their mean). Each term is a
            weighted mean; only ratios of weights matter.
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
            If a loss becomes NaN or infinite; the net keeps the parameters of the last good epoch.
        """
        if self.warm_start and self.initialized_:
            return self.partial_fit(X, y, sample_weight, X_val=X_val, y_val=y_val, sample_weight_val=sample_weight_val)
        with self._unchanged_on_error(but_for=TrainingDivergedError):
            rows, holdout = self._begin(X, y, sample_weight, (X_val, y_val, sample_weight_val))
            self._train(rows, holdout)
        return self

    def partial_fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> MultiOutputNetRegressor:
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
            If a loss becomes NaN or infinite; the net keeps the parameters of the last good epoch.
        """
        validation = (X_val, y_val, sample_weight_val)
        with self._unchanged_on_error(but_for=TrainingDivergedError):
            if not self.initialized_:
                rows, holdout = self._begin(X, y, sample_weight, validation)
                self.target_scaler_ = self.target_scaler_.thaw()
            else:
                self._check_parameters()
                rows = self._check_rows(X, y, sample_weight)
                holdout = self._check_holdout(*validation)
                self._change_terms(rows, holdout)
            self._train(rows, holdout)
        return self


def _names_of(init: Any) -> list[str]:
    return [
        name
        for name, parameter in inspect.signature(init).parameters.items()
        if name != "self" and parameter.kind is not parameter.VAR_KEYWORD
    ]
