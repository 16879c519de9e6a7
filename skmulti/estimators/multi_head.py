"""An estimator with a shared trunk, and a head for each column or group of columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from torch.nn import Module

from skmulti.estimators._images import _OF_IMAGES, channel_axis, check_axes, shape_of_flat
from skmulti.estimators.net import MultiOutputNetRegressor
from skmulti.estimators.presets import PLAIN_HEADS
from skmulti.modules import MultiHead
from skmulti.targets.columns import Columns, resolve_groups


class MultiHeadRegressor(MultiOutputNetRegressor):
    """A trunk that all columns share, and one head per group of columns, with a loss and a loss weight for each column.

    The parameters of a head are named ``heads.<name>.*`` in the module, so that one head can be given its own
    learning rate: ``optimizer__param_groups=[("heads.pose.*", {"lr": 1e-2})]``.

    Parameters
    ----------
    heads : mapping of str to sequence of columns, default=None
        The columns of each head, by name or position; each column in one head. None gives each column a head of its
        own, named as the column. Names of heads serve as groups in `loss` and `loss_weights`.
    trunk : {"mlp", "cnn"}, default="mlp"
        What the heads share. `channels` to `pooling` and `channels_last` to `spatial_dims` are for "cnn".
    hidden_layer_sizes : sequence of int or "auto", default=(64,)
        The number of units of each hidden layer of the trunk; "auto" is (64,).
    head_hidden_layer_sizes : sequence of int, or mapping of str to such, default=()
        The number of units of each hidden layer of a head.
    channels : sequence of int, default=(16, 32)
        The channels of each convolutional block.
    kernel_size : int or sequence of int, default=3
        The size of the kernels; the padding keeps the size of the image.
    pool_size : int, sequence of int or "auto", default="auto"
        What each block pools together. "auto" pools by 2 along every axis that still has two positions or more, so
        that any size works; a number must fit.
    pooling : {"max", "average"}, default="max"
        How blocks pool.
    activation : str or class of torch.nn.Module, default="relu"
        The activation of hidden layers: "relu", "tanh", "logistic", "identity", "gelu", "silu", "mish", "elu",
        "leaky_relu", "softplus".
    dropout : float, default=0.0
        The dropout rate of hidden units, from 0 to below 1.
    normalization : {"batch", "layer", None}, default=None
        Whether hidden layers are normalised over the rows of a batch or over each row.
    channels_last : bool or "auto", default="auto"
        Whether images are (height, width, channels). "auto" reads (channels, height, width), and refuses images whose
        last axis alone looks like one of channels, with a size of 1, 3 or 4; False reads these too.
    image_shape : tuple of int, default=None
        The shape of one image where rows of X are flattened, so that a StandardScaler can stand before the net.
    spatial_dims : {1, 2, 3, None}, default=None
        How many axes of one row are space; the one more that it may have are its channels. None reads (L,) as a
        signal, and (H, W) and (C, H, W) as an image; 1 reads (C, L) as a signal with channels; 3 takes volumes.
    loss : str, loss, sequence or mapping, default="squared_error"
        The loss of each column of y: one for all of them, a sequence with one per column, or a mapping from
        columns (a name, a position, the name of a group, or a tuple of them) to losses; columns that a mapping
        does not name take the squared error. A loss is a name in `skmulti.losses.COLUMN_LOSSES`, one of its
        classes or instances, a torch loss (class or instance) or any callable of (raw outputs, targets). A torch
        loss or a callable sees all the columns that it is given for at once and makes one term of the total, as
        in torch; all others make one term per column. ``loss__<column>`` is a parameter of its own, as is
        ``loss__<column>__<parameter>`` for the loss's own parameter.
    loss_weights : sequence or mapping, default=None
        The loss weights of the terms: a sequence with one per column, or a mapping from columns to loss weights, 1 for
        columns that it does not name. ``loss_weights__<column>`` is a separate parameter. The total loss is the sum
        over terms of loss weight times mean loss. The largest loss weight must lie between 1e-6 and 1e15, unless its
        loss takes targets in the user's unit.
    column_groups : mapping of str to sequence of columns, default=None
        Names for groups of columns, which `loss`, `loss_weights` and their ``__<column>`` forms may use.
    scale_targets : bool, default=True
        Whether columns are standardised for training where their losses allow it. Predictions are in the user's
        units either way. Without scaling, columns with large values dominate the total loss.
    missing_targets : {"error", "mask"}, default="error"
        What NaN in y, or a masked value of a masked array, means: an error that names the columns, or a target that
        is excluded from its column's loss (and from its group's). Each term is the mean over the rows with a target, so
        that the number of targets does not change a column's loss weight; rows without any target are dropped.
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
        What NaN, or a masked value, in a table X means: an error that names the columns; or imputation with the
        column's median and a missing-value indicator as an additional input. "auto" is "impute" in a
        `MultiOutputMLPRegressor` with an effort, else "error".
    categorical_inputs : {"auto", "error", "one_hot"}, default="auto"
        How categorical and string columns of a data frame are handled: an error, or one-hot encoding. Missing values
        form a category of their own, categories unseen in `fit` are encoded as zeros, and beyond 50 categories the
        infrequent ones are merged. "auto" is "one_hot" for tables with an effort, else "error".
    scale_inputs : bool or "auto", default="auto"
        Whether each column of a table, or each channel of images, is standardised; constant columns, and all but the
        first of identical ones, are dropped. A preceding StandardScaler then has no effect. "auto" is False with
        ``effort=None``, else True.
    numeric_embedding : {"auto", "piecewise_linear", "mixed", None}, default="auto"
        Piecewise-linear encoding [1]_ of numeric columns, in addition to their values: an input for each of eight bins
        between quantiles, which holds the fraction of the bin below the value. It makes steps and kinks easier to
        learn. "mixed" encodes the inputs of every second member of an ensemble. "auto" is "mixed" for tables in a
        `MultiOutputMLPRegressor` with an effort, up to 500 columns and ten million values, else None.
    linear_path : bool or "auto", default="auto"
        Whether members and a ridge regression are stacked for columns with squared-error loss: non-negative stacking
        weights with a sum of at most 1 are fitted on out-of-fold predictions [2]_. A linear column is then predicted by
        a linear model, and an unpredictable one by its mean. True requires an ensemble and early stopping on rows of
        `validation_fraction`; with X_val, and in `partial_fit`, members have equal stacking weights. "auto" is True for
        ensembles on tables with an effort, else False.
    clip_predictions : bool, float or "auto", default="auto"
        Whether predictions of columns with a linear path are clipped to the range of the training targets, extended at
        both ends by this fraction of the range; True means 0.1. False lets the ridge regression extrapolate, for
        example a trend. Inputs of the members are always clipped, at half their range beyond the training data. "auto"
        is True with a linear path, else False.
    optimizer : class of torch.optim.Optimizer or "auto", default="auto"
        The optimizer; "auto" is Adam with ``effort=None``, else AdamW. Its parameters are ``optimizer__<parameter>``,
        those of one part of the module ``optimizer__param_groups=[(pattern of parameter names, {parameter: value}),
        ...]``.
    lr : float or "auto", default="auto"
        The learning rate, with a schedule its maximum; "auto" is 1e-3 with ``effort=None``.
    lr_schedule : {"auto", "one_cycle", None}, default="auto"
        The learning-rate schedule of one call of `fit`: constant (None), or one cycle [3]_, which rises over the first
        quarter and then decays with a cosine. For other schedules, use a skorch LRScheduler in `callbacks`, which
        can't be combined with "one_cycle". "auto" is None with ``effort=None`` or an LRScheduler.
    max_epochs : int or "auto", default="auto"
        The number of epochs; in `partial_fit` and with `warm_start`, the number of additional epochs. "auto" is 100
        with ``effort=None``.
    batch_size : int or "auto", default="auto"
        Rows per optimizer step; -1 means all rows. "auto" makes about fifty steps an epoch, of 32 to 256 rows; of
        images with an effort about sixty, of 16 to 128.
    shuffle : bool, default=True
        Whether to shuffle the rows before each epoch.
    early_stopping : bool or "auto", default="auto"
        Whether to stop when the validation loss has not improved by `tol` for `n_iter_no_change` epochs, and to
        restore the parameters of the best epoch. The rows are X_val of `fit`, or what `train_split` chooses, or a
        fraction `validation_fraction`. "auto" is True for tables with an effort, else False.
    validation_fraction : float or "auto", default="auto"
        The fraction of rows held out for early stopping, between 0 and 1; with a linear path, the held-out rows of the
        members are folds that cover all rows. "auto" is 0.33 for tables with "fast", 0.2 for tables with
        "default", else 0.1.
    n_iter_no_change : int or "auto", default="auto"
        The patience of early stopping, in epochs; "auto" is that of a whole cycle for tables with an effort, else 10.
    tol : float, default=1e-4
        The minimum improvement of the validation loss for early stopping.
    n_members : int or "auto", default="auto"
        The number of networks to train; "auto" is 1 with ``effort=None``, and for images with any effort but "best".
        More than one form an ensemble, whose members are in `members_`. Each member has its own initial parameters,
        order of rows, validation rows and early stopping. The ensemble predicts their mean (circular for angles, a
        rotation for rotations), and a standard deviation for every column: the spread of the members combined with
        the noise that their losses estimate.
    bootstrap : bool, default=False
        Whether each member trains on a bootstrap sample of its training rows; validation rows are never drawn. For
        ensembles only.
    warm_start : bool, default=False
        Whether `fit` continues from the parameters of the last fit. The architecture must stay the same.
    random_state : int, RandomState or None, default=None
        Seeds initial parameters, dropout, the order of the rows and the choice of validation rows. The global
        generators of torch and NumPy are left unchanged; only None draws a seed from NumPy's.
    verbose : int, default=0
        Whether to print a line per epoch while the net trains: one column per term, in the order of y's columns, and
        ``dur``, the duration of the epoch in seconds. For an ensemble, a line shows means over its members, as in
        ``history_``; if members are trained sequentially, the column ``members`` identifies the member.
    device : str or torch.device, default="cpu"
        Where to compute, as in torch.
    n_threads : int or "auto", default="auto"
        The number of torch's CPU threads during training and prediction; the previous number is restored afterwards.
        "auto" uses one thread for small workloads, where synchronisation costs more than it saves, and up to all of
        torch's threads for large ones. A forked process always uses one thread.
    mixed_precision : {None, "bfloat16"}, default=None
        "bfloat16" runs the network under torch's autocast, which is faster on GPUs that support it. Parameters and
        losses stay in single precision.
    training_loop : {"auto", "skorch"}, default="auto"
        "auto" trains on tensors, several times faster than batch by batch, unless a callback or an overridden
        method needs batches; results are the same, and ``history_`` has no records per batch. "skorch" always uses
        skorch's own loop. `training_loop_` holds the loop that ran, and the reason.
    callbacks : list of skorch callbacks, default=None
        Learning-rate schedules, checkpoints, scores per epoch and so on; see `skorch.callbacks`. Each member of an
        ensemble has a copy of its own, made by scikit-learn's ``clone`` or else by ``copy.deepcopy``; a callback that
        neither can copy, or that holds a trial of Optuna, needs ``n_members=1``. Checkpoints of members write files
        with the member's number before the extension, such as ``params_member_01.pt``.
    train_split : callable, default=None
        How to choose validation rows, as in skorch (`skorch.dataset.ValidSplit`). None sets none aside unless
        `early_stopping` is on.
    iterator_train : class, default=skmulti.training.TensorLoader
        Yields the training batches, as in skorch; ``torch.utils.data.DataLoader`` works as well.
    iterator_valid : class, default=skmulti.training.TensorLoader
        Yields the batches for validation and prediction, as in skorch.
    dataset : class, default=skorch.dataset.Dataset
        The dataset class, as in skorch. A custom dataset gets X as it is given, after validation, in `fit`,
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
        ``valid_loss__<term>``, without loss weights; ``dur``, the duration in seconds. For an ensemble, means over
        the members still in training, and the total duration.
    terms_ : tuple of skmulti.losses.Term
        The terms of the loss, resolved from `loss` and `loss_weights`.
    target_names_ : ndarray of shape (n_outputs_,)
        The names of y's columns; ``y0``, ``y1``, ... where y has none.
    target_scaler_ : TargetScaler
        The fitted scaler of the targets.
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
        In `fit`, if a parameter or the data are invalid; the message names the parameter or the column.
    TrainingDivergedError
        In `fit`, if a loss becomes NaN or infinite; the net keeps the parameters of the last good epoch, or is as it
        was before if there is none.

    See Also
    --------
    MultiOutputNetRegressor : Any torch module.

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
    >>> from skmulti import MultiHeadRegressor
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> y = np.column_stack([X[:, 0], X[:, 1], X[:, 0] * X[:, 1]])
    >>> net = MultiHeadRegressor(heads={"place": [0, 1], "area": [2]}, random_state=0).fit(X, y)
    >>> list(net.module_.heads)
    ['place', 'area']
    """

    module = MultiHead
    _fixed_params = ("module",)
    _module_params = (
        "trunk",
        "hidden_layer_sizes",
        "head_hidden_layer_sizes",
        "channels",
        "kernel_size",
        "pool_size",
        "pooling",
        "activation",
        "dropout",
        "normalization",
        "channels_last",
        "image_shape",
        "spatial_dims",
    )
    _plain = PLAIN_HEADS
    _parameter_constraints = {**MultiOutputNetRegressor._parameter_constraints, **_OF_IMAGES}

    def __init__(
        self,
        heads: Mapping[str, Sequence[str | int]] | None = None,
        *,
        trunk: Literal["mlp", "cnn"] = "mlp",
        hidden_layer_sizes: Sequence[int] | Literal["auto"] = (64,),
        head_hidden_layer_sizes: Sequence[int] | Mapping[str, Sequence[int]] = (),
        channels: Sequence[int] = (16, 32),
        kernel_size: int | Sequence[int] = 3,
        pool_size: int | Sequence[int] | Literal["auto"] = "auto",
        pooling: Literal["max", "average"] = "max",
        activation: str | type[Module] = "relu",
        dropout: float = 0.0,
        normalization: Literal["batch", "layer"] | None = None,
        channels_last: bool | Literal["auto"] = "auto",
        image_shape: Sequence[int] | None = None,
        spatial_dims: Literal[1, 2, 3] | None = None,
        **prefix__params: Any,
    ) -> None:
        self._refuse_fixed(prefix__params)
        super().__init__(**prefix__params)
        self.heads = heads
        self.trunk = trunk
        self.hidden_layer_sizes = hidden_layer_sizes
        self.head_hidden_layer_sizes = head_hidden_layer_sizes
        self.channels = channels
        self.kernel_size = kernel_size
        self.pool_size = pool_size
        self.pooling = pooling
        self.activation = activation
        self.dropout = dropout
        self.normalization = normalization
        self.channels_last = channels_last
        self.image_shape = image_shape
        self.spatial_dims = spatial_dims

    def _check_settled(self) -> None:
        super()._check_settled()
        if self.trunk == "cnn":
            check_axes(self)

    def _reads_images(self) -> bool:
        return bool(self.trunk == "cnn")

    def _shape_of_flat(self, shape: tuple[int, ...]) -> tuple[int, ...] | None:
        return shape_of_flat(self.image_shape, shape) if self.trunk == "cnn" else None

    def _channel_axis(self, n_axes: int) -> int | None:
        return channel_axis(self, n_axes) if self.trunk == "cnn" else None

    def _named_heads(self, columns: Columns) -> dict[str, tuple[int, ...]]:
        """Return the columns of each head by its name; columns in no head are refused."""
        if self.heads is None:
            return {name: (i,) for i, name in enumerate(columns.names)}
        heads = dict(resolve_groups(columns.names, self.heads, parameter="heads").groups)
        inside = [i for members in heads.values() for i in members]
        columns.refuse_twice(inside, parameter="heads")
        outside = [name for i, name in enumerate(columns.names) if i not in inside]
        if outside:
            raise ValueError(
                "The 'heads' parameter must give every column of y a head. "
                f"Got none for {', '.join(map(repr, outside))}."
            )
        return heads

    def _groups(self, columns: tuple[str, ...]) -> Columns:
        named = super()._groups(columns)
        return Columns(named.names, {**self._named_heads(named), **named.groups})

    def _head_columns(self, columns: Columns) -> list[tuple[int, ...]]:
        return list(self._named_heads(columns).values())

    def _sizes(self) -> dict[str, Any]:
        heads = self._named_heads(Columns(tuple(self.target_names_)))
        n_raw = {
            name: sum(len(term.raw) for term in self.terms_ if set(term.columns) <= set(members))
            for name, members in heads.items()
        }
        return {**super()._sizes(), "heads": n_raw}
