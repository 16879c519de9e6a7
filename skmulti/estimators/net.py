"""The general estimator: a torch module, a loss and a weight per column, scikit-learn's contract."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from skorch.dataset import Dataset

from skmulti.estimators._constraints import CONSTRAINTS
from skmulti.estimators._fitting import FittingNet
from skmulti.modules import MLP
from skmulti.training import TensorLoader

if TYPE_CHECKING:
    pass


class MultiOutputNetRegressor(FittingNet):
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
        terms of weight times mean loss. The largest weight must lie from 1e-6 to 1e15, unless its loss takes targets
        in the user's unit.
    column_groups : mapping of str to sequence of columns, default=None
        Names for groups of columns, which `loss`, `loss_weights` and their ``__<column>`` forms may use.
    scale_targets : bool, default=True
        Whether columns are standardised for training where their losses allow it. Predictions are in the user's
        units either way. Without it, a column in thousands drowns one in hundredths.
    missing_targets : {"error", "mask"}, default="error"
        What NaN in y, or a masked value of a masked array, means: an error that names the columns, or a target that
        is left out of its column's loss (and of its group's). Each term is the mean over the rows that it saw, so that
        a column with few targets weighs as much as its loss weight says; rows without any target are dropped.
    effort : {"fast", "default", "best", None}, default=None
        Compute budget. Sets every parameter left at "auto"; explicit values take precedence. The resolved values are in
        `settings_`. None trains one plain network: Adam, a constant learning rate of 1e-3, 100 epochs, inputs as they
        are. Every other effort uses scaled inputs, AdamW and a one-cycle schedule. On tables it trains an ensemble with
        early stopping, whose members and epochs depend on the effort and on the number of rows; on images it trains
        one network without early stopping, or five with "best". "fast" costs about what one plain network costs;
        "best" may take ten times as long as "default". `MultiOutputNetRegressor` and `MultiHeadRegressor` default to
        None, and their layers are the same with every effort; `MultiOutputMLPRegressor` and `MultiOutputCNNRegressor`
        default to "default".
    missing_inputs : {"auto", "error", "impute"}, default="auto"
        What NaN, or a masked value, in a table X means: an error that names the columns; or the column's median, with
        an input beside it that says where values were missing. "auto" is "impute" in a
        `MultiOutputMLPRegressor` with an effort, else "error".
    categorical_inputs : {"auto", "error", "one_hot"}, default="auto"
        What a data frame's columns of categories or strings mean: an error, or one input for each category; a missing
        category is one of its own, one that was not seen in `fit` is none, and of more than fifty the rare ones are
        one. "auto" is "one_hot" for tables with an effort, else "error".
    scale_inputs : bool or "auto", default="auto"
        Whether each column of a table, or each channel of images, is standardised; constant columns, and all but the
        first of equal ones, are left out. A StandardScaler in front changes nothing then. "auto" is False with
        ``effort=None``, else True.
    numeric_embedding : {"auto", "piecewise_linear", "mixed", None}, default="auto"
        Whether columns are encoded piecewise linearly [1]_: beside each column stand its parts between eight quantiles,
        and how far each is filled up, so that steps and bends are learned easily. "mixed" does so for every second
        member of an ensemble. "auto" is "mixed" for tables in a `MultiOutputMLPRegressor` with an effort, up to 500
        columns and ten million values, else None.
    linear_path : bool or "auto", default="auto"
        Whether an ensemble stands beside a ridge regression: each column of squared error is predicted by a sum of
        members and regression whose shares are none negative, at most 1 together, and learned from the rows that
        members did not learn from [2]_. So a linear column is predicted by a linear model, and one that can't be
        predicted by its mean. True needs an ensemble and early stopping with rows of `validation_fraction`; where fit
        is given X_val, and in `partial_fit`, members have equal weights. "auto" is True for ensembles on tables with
        an effort, else False.
    clip_predictions : bool, float or "auto", default="auto"
        Whether predictions of the columns with a linear path are limited: to the range of the targets in `fit` and a
        margin beyond either end, as a fraction of that range; True is a margin of 0.1. False sets no limits and lets
        the ridge regression extrapolate, for what grows over time; the members see inputs clipped at half their range
        beyond those in `fit` in any case. "auto" is True with a linear path, else False.
    optimizer : class of torch.optim.Optimizer or "auto", default="auto"
        The optimizer; "auto" is Adam with ``effort=None``, else AdamW. Its parameters are
        ``optimizer__<parameter>``, those of one part of the module
        ``optimizer__param_groups=[(pattern of parameter names, {parameter: value}), ...]``.
    lr : float or "auto", default="auto"
        The learning rate, of a schedule the highest one; "auto" is 1e-3 with ``effort=None``.
    lr_schedule : {"auto", "one_cycle", None}, default="auto"
        The course of the learning rate over the epochs of one call of `fit`: constant, or in one cycle [3]_, which
        rises over the first quarter and falls with a cosine over the rest. "auto" is None with ``effort=None``, and
        where `callbacks` hold a skorch LRScheduler. `callbacks` take other schedules.
    max_epochs : int or "auto", default="auto"
        How often to go through the rows; in `partial_fit` and with `warm_start`, how often more. "auto" is 100 with
        ``effort=None``.
    batch_size : int or "auto", default="auto"
        Rows per step; -1 means all of them. "auto" makes about fifty steps an epoch, of 32 to 256 rows; of images with
        an effort about sixty, of 16 to 128.
    shuffle : bool, default=True
        Whether each epoch goes through the rows in a new order.
    early_stopping : bool or "auto", default="auto"
        Whether to stop when the validation loss has not improved by `tol` for `n_iter_no_change` epochs, and to
        restore the parameters of the best epoch. The rows are X_val of `fit`, or what `train_split` chooses, or a
        share of `validation_fraction`. "auto" is True for tables with an effort, else False.
    validation_fraction : float or "auto", default="auto"
        The share of rows that early stopping sets aside, between 0 and 1; members of an ensemble share all rows out
        among themselves where there is a linear path. "auto" is 0.33 for tables with "fast", 0.2 for tables with
        "default", else 0.1.
    n_iter_no_change : int or "auto", default="auto"
        The patience of early stopping, in epochs; "auto" is that of a whole cycle for tables with an effort, else 10.
    tol : float, default=1e-4
        The least improvement that counts for early stopping.
    n_members : int or "auto", default="auto"
        How many nets to train; "auto" is 1 with ``effort=None``, and for images with another effort than "best". More
        than one make an ensemble. Each has its own initial parameters, order of rows and validation share, stops by
        itself, and is one of `members_`. The ensemble predicts their mean (an angle's is on the circle, a rotation's a
        rotation), and a standard deviation for every column: what they disagree about, and what their losses call
        noise.
    bootstrap : bool, default=False
        Whether each member learns from as many rows, drawn with replacement, as it has to learn from; its validation
        rows are not among them. For ensembles only.
    warm_start : bool, default=False
        Whether `fit` goes on from the parameters of the last one.
    random_state : int, RandomState or None, default=None
        Decides everything random: initial parameters, dropout, the order of the rows, the validation share.
        The global generators of torch and NumPy stay where they are; only None draws a seed from NumPy's.
    verbose : int, default=0
        Whether to print a line per epoch while the net trains: one column per term, in the order of y's columns, and
        ``dur``, the seconds that the epoch took. A line of an ensemble is the mean over its members, as in
        ``history_``; where they are not trained together, the column ``members`` says whose it is.
    device : str or torch.device, default="cpu"
        Where to compute, as in torch.
    n_threads : int or "auto", default="auto"
        The number of torch's threads on the CPU while the net trains and predicts; that of the process is put back
        afterwards. "auto" takes one for small work, whose threads would only wait for one another, and up to all
        that torch has for large work. A process that was forked from this one uses one thread, whatever is given:
        it has no others.
    mixed_precision : {None, "bfloat16"}, default=None
        "bfloat16" lets the network compute in half the digits where they are enough, by torch's autocast: faster on
        GPUs that have it. Parameters and losses keep theirs.
    training_loop : {"auto", "skorch"}, default="auto"
        "auto" trains on tensors, several times faster than batch by batch, unless a callback or an override wants
        to know of batches; the numbers are the same, and ``history_`` has no record per batch then. "skorch" always
        takes skorch's own loop. `training_loop_` says which ran, and why.
    callbacks : list of skorch callbacks, default=None
        Learning-rate schedules, checkpoints, scores per epoch and so on; see `skorch.callbacks`. Each member of an
        ensemble has a copy of its own, made by scikit-learn's ``clone`` or else by ``copy.deepcopy``; a callback that
        neither can copy, or that holds a trial of Optuna, needs ``n_members=1``. Checkpoints of members write files
        with the member's number before the extension, such as ``params_member_01.pt``.
    train_split : callable, default=None
        How to choose validation rows, as in skorch (`skorch.dataset.ValidSplit`). None sets none aside unless
        `early_stopping` is on.
    iterator_train : class, default=skmulti.training.TensorLoader
        What makes the batches that the network trains on, as in skorch; ``torch.utils.data.DataLoader`` works as well.
    iterator_valid : class, default=skmulti.training.TensorLoader
        What makes the batches for validation and prediction, as in skorch.
    dataset : class, default=skorch.dataset.Dataset
        What holds the rows, as in skorch. A dataset of one's own gets X as it is given, after validation, in `fit`,
        `predict` and `score`, and what it yields is what the network takes: inputs are neither imputed, encoded nor
        standardised then, there is no linear path, and parameters that ask for it are refused.
    compile : bool, default=False
        Whether to use ``torch.compile``, as in skorch.
    use_caching : bool or "auto", default="auto"
        Whether scoring callbacks share one set of predictions per epoch, as in skorch; "auto" leaves it to each
        callback.
    torch_load_kwargs : dict, default=None
        Arguments of ``torch.load`` in `load_params`, as in skorch.
    **prefix__params
        ``loss__<column>``, ``loss_weights__<column>``, and skorch's: ``module__*``, ``optimizer__*``,
        ``iterator_train__*``, ``iterator_valid__*``, ``dataset__*``, ``callbacks__*``, ``compile__*``.

    Attributes
    ----------
    module_ : torch.nn.Module
        The trained network; of an ensemble, a `skmulti.ensembles.Members` over those of its members.
    members_ : list of nets
        The fitted members of an ensemble; only where `n_members` is more than 1.
    history_ : skorch.history.History
        One row per epoch: ``train_loss``, ``valid_loss``, and those of each term as ``train_loss__<term>`` and
        ``valid_loss__<term>``, not weighted; ``dur``, the seconds of the epoch. Of an ensemble, the means over the
        members that still trained, and the seconds of all of them.
    terms_ : tuple of skmulti.losses.Term
        The table of terms that `loss` and `loss_weights` came to.
    target_names_ : ndarray of shape (n_outputs_,)
        The names of y's columns; ``y0``, ``y1``, ... where y has none.
    target_scaler_ : TargetScaler
        What standardised the targets.
    settings_ : dict
        The values of the parameters that were left at "auto".
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
        In `fit`, if a loss becomes NaN or infinite; the net keeps the parameters of the last good epoch, or is as it
        was before if there is none.

    References
    ----------
    .. [1] Y. Gorishniy, I. Rubachev and A. Babenko, "On Embeddings for Numerical Features in Tabular Deep Learning",
       NeurIPS 2022, arXiv:2203.05556.
    .. [2] D. H. Wolpert, "Stacked generalization", Neural Networks 5 (1992), 241-259; L. Breiman, "Stacked
       regressions", Machine Learning 24 (1996), 49-64.
    .. [3] L. N. Smith and N. Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning
       Rates", 2017, arXiv:1708.07120.

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

    _parameter_constraints = CONSTRAINTS

    def __init__(
        self,
        module: type[torch.nn.Module] | torch.nn.Module = MLP,
        *,
        loss: Any = "squared_error",
        loss_weights: Any = None,
        column_groups: Mapping[str, Sequence[str | int]] | None = None,
        scale_targets: bool = True,
        missing_targets: Literal["error", "mask"] = "error",
        effort: Literal["fast", "default", "best"] | None = None,
        missing_inputs: Literal["auto", "error", "impute"] = "auto",
        categorical_inputs: Literal["auto", "error", "one_hot"] = "auto",
        scale_inputs: bool | Literal["auto"] = "auto",
        numeric_embedding: Literal["auto", "piecewise_linear", "mixed"] | None = "auto",
        linear_path: bool | Literal["auto"] = "auto",
        clip_predictions: bool | float | Literal["auto"] = "auto",
        optimizer: Callable[..., torch.optim.Optimizer] | Literal["auto"] = "auto",
        lr: float | Literal["auto"] = "auto",
        lr_schedule: Literal["auto", "one_cycle"] | None = "auto",
        max_epochs: int | Literal["auto"] = "auto",
        batch_size: int | Literal["auto"] = "auto",
        shuffle: bool = True,
        early_stopping: bool | Literal["auto"] = "auto",
        validation_fraction: float | Literal["auto"] = "auto",
        n_iter_no_change: int | Literal["auto"] = "auto",
        tol: float = 1e-4,
        n_members: int | Literal["auto"] = "auto",
        bootstrap: bool = False,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        device: str | torch.device = "cpu",
        n_threads: int | Literal["auto"] = "auto",
        mixed_precision: Literal["bfloat16"] | None = None,
        training_loop: Literal["auto", "skorch"] = "auto",
        callbacks: list[Any] | Literal["disable"] | None = None,
        train_split: Callable[..., Any] | None = None,
        iterator_train: Callable[..., Any] = TensorLoader,
        iterator_valid: Callable[..., Any] = TensorLoader,
        dataset: Callable[..., Any] = Dataset,
        compile: bool = False,
        use_caching: bool | Literal["auto"] = "auto",
        torch_load_kwargs: dict[str, Any] | None = None,
        **prefix__params: Any,
    ) -> None:
        super().__init__(**prefix__params)
        params = locals()
        for name in _names_of(MultiOutputNetRegressor.__init__):
            if name not in self._fixed_params:
                self.__dict__[name] = params[name]

    def _refuse_fixed(self, params: Mapping[str, Any]) -> None:
        """Refuse a module beside the one that a named estimator has."""
        for name in self._fixed_params:
            if name in params:
                raise TypeError(
                    f"{type(self).__name__}.__init__() got an unexpected keyword argument {name!r}: its network is a "
                    f"skmulti.modules.{self.module.__name__}. Use MultiOutputNetRegressor(module=...) for another one."
                )


def _names_of(init: Any) -> list[str]:
    return [
        name
        for name, parameter in inspect.signature(init).parameters.items()
        if name != "self" and parameter.kind is not parameter.VAR_KEYWORD
    ]
