"""An estimator for tables: fully connected layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from torch.nn import Module

from skmulti._compat import StrOptions
from skmulti.estimators.net import MultiOutputNetRegressor
from skmulti.estimators.presets import PLAIN_TABLE
from skmulti.modules import MLP


class MultiOutputMLPRegressor(MultiOutputNetRegressor):
    """A multilayer perceptron that predicts several columns, with a loss and a weight for each.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int or "auto", default="auto"
        The number of units of each hidden layer; () gives a linear model. "auto" is what `effort` says, (64, 64) with
        ``effort=None``.
    activation : str or class of torch.nn.Module, default="auto"
        The activation of hidden layers: "relu", "tanh", "logistic", "identity", "gelu", "silu", "mish", "elu",
        "leaky_relu", "softplus". "auto" is "relu" with ``effort=None``, else "silu".
    dropout : float, default=0.0
        The share of hidden units that each step leaves out, from 0 to below 1.
    normalization : {"batch", "layer", None}, default=None
        Whether hidden layers are normalised over the rows of a batch or over each row.
    scaling_layer : bool or "auto", default="auto"
        Whether each input is first multiplied by a number that is learned, ten times as fast as other parameters [4]_:
        inputs that tell nothing fade soon. "auto" is False with ``effort=None``, else True.
    initialization : {"auto", "torch", "he"}, default="auto"
        How layers begin: as torch has it; or the hidden ones with normal weights of variance 2 / n_in and normal biases
        of standard deviation 0.5, and the last one with zeros. "auto" is "torch" with ``effort=None``, else "he".
    effort : {"fast", "default", "best", None}, default="default"
        Compute budget. Sets every parameter left at "auto"; explicit values take precedence. The resolved values are in
        `settings_`. "fast", "default" and "best" train an ensemble beside a ridge regression, on scaled inputs, with
        AdamW and a one-cycle schedule; members and epochs depend on the number of rows. "fast" costs about what one
        plain network costs, "best" may take ten times as long as "default". None trains one plain network: Adam, a
        constant learning rate of 1e-3, 100 epochs, inputs as they are.
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

    See Also
    --------
    MultiOutputNetRegressor : Any torch module.
    MultiHeadRegressor : A head per column or per group of columns.

    References
    ----------
    .. [1] Y. Gorishniy, I. Rubachev and A. Babenko, "On Embeddings for Numerical Features in Tabular Deep Learning",
       NeurIPS 2022, arXiv:2203.05556.
    .. [2] D. H. Wolpert, "Stacked generalization", Neural Networks 5 (1992), 241-259; L. Breiman, "Stacked
       regressions", Machine Learning 24 (1996), 49-64.
    .. [3] L. N. Smith and N. Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning
       Rates", 2017, arXiv:1708.07120.
    .. [4] D. Holzmüller, L. Grinsztajn and I. Steinwart, "Better by Default: Strong Pre-Tuned MLPs and Boosted Trees
       on Tabular Data", NeurIPS 2024, arXiv:2407.04491.

    Examples
    --------
    >>> import numpy as np
    >>> from skmulti import MultiOutputMLPRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(300, 2))
    >>> angle = np.degrees(np.arctan2(X[:, 1], X[:, 0])) % 360
    >>> distance = np.hypot(X[:, 0], X[:, 1])
    >>> net = MultiOutputMLPRegressor(loss=["circular", "absolute_error"], random_state=0)
    >>> y_pred = net.fit(X, np.column_stack([angle, distance])).predict(X)
    >>> from skmulti.metrics import circular_error
    >>> bool(circular_error(angle, y_pred[:, 0]) < 5)
    True
    """

    module = MLP
    _fixed_params = ("module",)
    _module_params = (
        "hidden_layer_sizes",
        "activation",
        "dropout",
        "normalization",
        "scaling_layer",
        "initialization",
    )
    _kind = "table"
    _plain = PLAIN_TABLE
    _parameter_constraints = {
        **MultiOutputNetRegressor._parameter_constraints,
        "scaling_layer": ["boolean", StrOptions({"auto"})],
        "initialization": [StrOptions({"auto", "torch", "he"})],
    }

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] | Literal["auto"] = "auto",
        *,
        activation: str | type[Module] = "auto",
        dropout: float = 0.0,
        normalization: Literal["batch", "layer"] | None = None,
        scaling_layer: bool | Literal["auto"] = "auto",
        initialization: Literal["auto", "torch", "he"] = "auto",
        effort: Literal["fast", "default", "best"] | None = "default",
        **prefix__params: Any,
    ) -> None:
        self._refuse_fixed(prefix__params)
        super().__init__(effort=effort, **prefix__params)
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.normalization = normalization
        self.scaling_layer = scaling_layer
        self.initialization = initialization
