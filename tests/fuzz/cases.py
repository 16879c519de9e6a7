"""Cases: data, an estimator and what is asked of it, all drawn from a seed and the number of the case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import torch
from skorch.callbacks import BatchScoring, EarlyStopping, EpochScoring, Freezer, GradientNormClipping, LRScheduler
from skorch.dataset import ValidSplit
from torch import nn
from torch.utils.data import DataLoader

from skmulti import MultiHeadRegressor, MultiOutputCNNRegressor, MultiOutputMLPRegressor, MultiOutputNetRegressor
from skmulti.losses import COLUMN_LOSSES, TorchLoss
from tests.fuzz.containers import CONTAINERS, TARGET_FORMS, give_targets, names_for
from tests.fuzz.targets import Block, draw_block, root_mean_square


class Plain(nn.Module):
    """A module of one's own that is told its sizes."""

    def __init__(self, input_shape: tuple[int, ...], n_outputs: int, width: int = 4) -> None:
        super().__init__()
        n_inputs = int(np.prod(input_shape))
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(n_inputs, width), nn.Tanh(), nn.Linear(width, n_outputs))

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Return raw outputs of shape (n_rows, n_outputs)."""
        out: torch.Tensor = self.layers(X)
        return out


@dataclass
class Case:
    """One case.

    Attributes
    ----------
    expected : {"works", "either", "refused"}
        What `fit` must do.
    weights : list of float
        The loss weight of each block.
    bounded : bool
        Whether predictions must stay near the targets.
    learns : bool
        Whether predictions must not be much worse than the mean.
    story : list of str
        What was drawn, for whoever reads a finding.
    """

    number: int
    rng: np.random.Generator
    estimator: Any = None
    X: np.ndarray = field(default_factory=lambda: np.empty((0, 1)))
    y: np.ndarray = field(default_factory=lambda: np.empty((0, 1)))
    names: list[str] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    form: str = "float64"
    y_form: str = "float64"
    y_ndim: int = 2
    frame: Any = None
    fit_params: dict[str, Any] = field(default_factory=dict)
    weights: list[float] = field(default_factory=list)
    expected: str = "works"
    bounded: bool = True
    learns: bool = True
    wrapper: str = ""
    story: list[str] = field(default_factory=list)
    spoil: Callable[[Any, Any, dict[str, Any]], tuple[Any, Any, dict[str, Any]]] | None = None

    def give_inputs(self, rows: Any = slice(None), form: str | None = None) -> Any:
        """Return rows of X in the form of the case."""
        if self.frame is not None:
            rows = np.arange(len(self.X))[rows]
            return self.frame.iloc[rows] if isinstance(self.frame, pd.DataFrame) else self.frame[rows]
        return CONTAINERS[form or self.form].give(self.X[rows])

    def give_targets_of(self, rows: Any = slice(None), form: str | None = None) -> Any:
        """Return rows of y in the form of the case."""
        y = self.y[rows]
        return give_targets(form or self.y_form, y[:, 0] if self.y_ndim == 1 else y, self.names)

    def block_columns(self) -> list[list[int]]:
        """Return the positions of each block's columns."""
        ends = np.cumsum([block.n_columns for block in self.blocks])
        return [list(range(end - block.n_columns, end)) for block, end in zip(self.blocks, ends, strict=True)]

    def either(self, why: str) -> None:
        """Let `fit` refuse what was drawn."""
        self.story.append(why)
        if self.expected == "works":
            self.expected = "either"

    def strange(self, why: str) -> None:
        """Let predictions be far from the targets, and `fit` refuse what was drawn."""
        self.either(why)
        self.bounded = self.learns = False

    def __str__(self) -> str:
        shape = f"X {self.X.shape} as {self.form}" if self.frame is None else f"X {type(self.frame)}"
        targets = f"y {self.y.shape} as {self.y_form}, {self.y_ndim} dim"
        blocks = "; ".join(map(str, self.blocks))
        story = "; ".join(self.story)
        wrapped = f"{self.wrapper} of " if self.wrapper else ""
        text = f"{self.estimator!r}".replace("\n", " ")
        return f"{wrapped}{' '.join(text.split())} | {shape} | {targets} [{blocks}] | {story}"


def draw_case(seed: int, number: int) -> Case:
    """Return the case of a number, the same each time."""
    case = Case(number, np.random.default_rng([seed, number]))
    rng = case.rng
    kind = rng.choice(["mlp", "cnn", "heads", "net"], p=[0.5, 0.17, 0.18, 0.15])
    _draw_inputs(case, images=kind == "cnn" or (kind == "heads" and rng.random() < 0.25))
    _draw_targets(case)
    params = {**_common_params(case), **_loss_params(case)}
    make = {"mlp": _mlp, "cnn": _cnn, "heads": _heads, "net": _net}[kind]
    case.estimator = make(case, params)
    _draw_fit_params(case)
    if rng.random() < 0.12:
        _spoil(case)
    elif case.frame is None and rng.random() < 0.15:
        case.wrapper = str(rng.choice(["pipeline", "conformal", "grid", "cross_validate", "cross_val_predict"]))
    return case


def _pick(rng: np.random.Generator, *values: Any) -> Any:
    return values[rng.integers(len(values))]


def _draw_inputs(case: Case, *, images: bool) -> None:
    rng = case.rng
    n_rows = int(_pick(rng, 12, 20, 25, 30, 31, 40))
    if rng.random() < 0.06:
        n_rows = int(_pick(rng, 2, 3, 4, 5, 7))
        case.either(f"{n_rows} rows")
        case.learns = False
    if images:
        case.X = rng.normal(size=(n_rows, *_pick(rng, (8,), (5,), (6, 6), (5, 7), (2, 6, 5), (3, 4, 4))))
    elif rng.random() < 0.06:
        case.X = rng.normal(size=(n_rows, *_pick(rng, (2, 3), (2, 2, 2))))
    else:
        case.X = rng.normal(size=(n_rows, int(_pick(rng, 1, 2, 3, 3, 4, 6, 20))))
    ndim = case.X.ndim
    case.form = str(rng.choice(names_for(ndim)))
    if CONTAINERS[case.form].refusable:
        case.either(case.form)
    twist = rng.random()
    if twist < 0.05:
        scale = float(_pick(rng, 1e-8, 1e-4, 1e4, 1e8))
        case.X *= scale
        case.story.append(f"X times {scale:g}")
        if scale > 1:
            case.form = "float64"
    elif twist < 0.08:
        case.X[:, 0] = float(_pick(rng, 0.0, 1.0, 1e4))
        case.story.append("the first part of each row is constant")
    elif twist < 0.1 and ndim == 2 and case.X.shape[1] > 1:
        case.X[:, 1] = case.X[:, 0]
        case.story.append("two equal inputs")
    case.X = CONTAINERS[case.form].represents(case.X)
    if case.X.shape[1:] and np.abs(case.X).max() > 100:
        case.learns = case.bounded = False
    if ndim == 2 and not images and rng.random() < 0.07:
        table = {f"x{i}": column for i, column in enumerate(case.X.T.copy())}
        words = np.array(["red", "green", "blue"])[rng.integers(0, 3, n_rows)]
        if rng.random() < 0.5:
            form = _pick(rng, "category", "str", object)
            table["colour"] = pd.Series(words).astype(form)
            case.frame = pd.DataFrame(table)
            if rng.random() < 0.3:
                case.frame.loc[1, "colour"] = None
        else:
            case.frame = pl.DataFrame({**table, "colour": words.tolist()})
            if rng.random() < 0.5:
                case.frame = case.frame.with_columns(pl.col("colour").cast(pl.Categorical))
        case.story.append("a column of words")


def _draw_targets(case: Case) -> None:
    rng = case.rng
    case.blocks = [draw_block(rng) for _ in range(int(_pick(rng, 1, 1, 2, 2, 3)))]
    if rng.random() < 0.25:
        first = case.blocks[0]
        case.blocks = [Block(first.kind, first.loss, first.n_columns, first.params) for _ in case.blocks]
    flat = case.X.reshape(len(case.X), -1)
    spread = flat.std(axis=0)
    signal = (flat - flat.mean(axis=0)) / np.where(spread > 0, spread, 1)
    parts = []
    for block in case.blocks:
        _draw_unit(case, block)
        mix = rng.normal(size=(flat.shape[1], max(block.n_columns, 2))) / np.sqrt(flat.shape[1])
        # Columns that depend on the last inputs too, and not on a straight line only.
        followed = np.tanh(signal @ mix) + 0.5 * signal @ mix
        parts.append(
            block.draw(rng, followed[:, : max(block.n_columns, 2) if block.kind == "box" else block.n_columns])
        )
    case.y = np.concatenate(parts, axis=1)
    if case.blocks[0].kind == "real" and rng.random() < 0.04:
        value = float(_pick(rng, 0.0, 1.0, 1e-30, 1e8))
        case.y[:, 0] = value
        case.learns = False
        case.story.append(f"the first target is always {value:g}")
        case.bounded = case.blocks[0].is_standardized and case.bounded
        case.blocks[0].location, case.blocks[0].scale = value, max(abs(value), 1.0)
    n_columns = case.y.shape[1]
    case.y_ndim = 1 if n_columns == 1 and rng.random() < 0.7 else 2
    case.y_form = str(rng.choice(TARGET_FORMS))
    case.names = [f"y{i}" for i in range(n_columns)]
    if case.y_form in ("pandas", "polars") and rng.random() < 0.7:
        case.names = ["alpha", "b c", "gamma", "d.e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r"][
            :n_columns
        ] + [f"t{i}" for i in range(17, n_columns)]
    if "float32" in case.y_form:
        case.y = case.y.astype(np.float32).astype(np.float64)
    if case.y_form == "object" and case.y_ndim == 2 and n_columns == 1:
        case.y_form = "float64"


def _draw_unit(case: Case, block: Block) -> None:
    """Draw where the targets of a block lie, if its loss has no unit of its own."""
    rng = case.rng
    if block.kind == "real" and not isinstance(block.loss, (str, TorchLoss)):
        return
    if block.kind in ("real", "vector") and isinstance(block.loss, str) and rng.random() < 0.5:
        block.location = float(_pick(rng, 0.0, 5.0, -1000.0))
        block.scale = float(_pick(rng, 1e-3, 1.0, 50.0, 1e6))
        if rng.random() < 0.08:
            block.location, block.scale = 0.0, float(_pick(rng, 1e-30, 1e-12, 1e12, 1e30))
            case.strange("targets of an extreme size")
        if abs(block.location) > 1e4 * block.scale:
            case.learns = False
    elif block.kind in ("positive", "amount") and "mean" not in block.params:
        block.scale = float(_pick(rng, 1e-3, 1.0, 1e4))


def _common_params(case: Case) -> dict[str, Any]:
    rng = case.rng
    params: dict[str, Any] = {
        "max_epochs": int(_pick(rng, 1, 2, 2, 3)),
        "random_state": _pick(rng, 0, 1, 12345, np.int64(3), 2**32 - 1),
    }

    def sometimes(share: float) -> bool:
        return bool(rng.random() < share)

    if sometimes(0.4):
        params["batch_size"] = int(_pick(rng, 4, 7, 16, 1000, -1))
    if sometimes(0.03):
        params["batch_size"] = 1
    if sometimes(0.25):
        params["early_stopping"] = _pick(rng, True, False)
        if sometimes(0.5):
            params["validation_fraction"] = float(_pick(rng, 0.1, 0.3, 0.5))
        if sometimes(0.3):
            params["n_iter_no_change"] = int(_pick(rng, 1, 3))
        if params["early_stopping"] and len(case.X) < 12:
            case.either("early stopping")
    if sometimes(0.06):
        params["random_state"] = _pick(rng, None, np.random.RandomState(5))
    if sometimes(0.04):
        params["verbose"] = 1
    if sometimes(0.12):
        optimizer = _pick(rng, "Adam", "AdamW", "SGD", "RMSprop", "Adagrad", "NAdam", "LBFGS", "Adadelta", "Rprop")
        params["optimizer"] = getattr(torch.optim, optimizer)
        params["lr"] = float(_pick(rng, 1e-4, 1e-3, 1e-2))
        if optimizer == "SGD" and sometimes(0.5):
            params["optimizer__momentum"] = 0.9
        if optimizer == "LBFGS":
            # Without a line search, batches lead it astray.
            case.either("LBFGS")
        if optimizer not in ("Adam", "AdamW"):
            case.bounded = case.learns = False
    elif sometimes(0.12):
        params["lr"] = float(_pick(rng, 1e-5, 1e-2, 0.1))
        case.learns = params["lr"] < 0.1 and case.learns
        case.bounded = params["lr"] < 0.1 and case.bounded
    elif sometimes(0.03):
        params["lr"] = float(_pick(rng, 1e3, 1e15))
        case.strange("an extreme learning rate")
    if sometimes(0.08):
        params["lr_schedule"] = _pick(rng, "one_cycle", None)
    if sometimes(0.06):
        params["shuffle"] = False
    if sometimes(0.06):
        params["training_loop"] = "skorch"
    if sometimes(0.03):
        params["n_threads"] = int(_pick(rng, 1, 1, 2))
    if sometimes(0.05):
        params["iterator_valid"] = DataLoader
    if sometimes(0.05):
        params["iterator_train"] = DataLoader
    if sometimes(0.03):
        params["train_split"] = ValidSplit(3)
    if sometimes(0.02):
        params["mixed_precision"] = "bfloat16"
    if sometimes(0.08):
        params["callbacks"] = _pick(
            rng,
            [],
            [GradientNormClipping(1.0)],
            [("schedule", LRScheduler("StepLR", step_size=1))],
            [EpochScoring("r2", on_train=True, use_caching=False)],
            [EarlyStopping("train_loss", patience=1)],
            [("freeze", Freezer("nothing.*")), ("batches", BatchScoring("r2", on_train=True, name="of_batches"))],
            "disable",
        )
    if sometimes(0.06) and all(block.kind == "real" and abs(block.scale - 1) < 1e-9 for block in case.blocks):
        params["scale_targets"] = False
        case.learns = False
        case.bounded = False
    if case.y.shape[0] > 10 and sometimes(0.12):
        params["missing_targets"] = "mask"
        holes = rng.random(case.y.shape) < 0.2
        holes[:3] = False
        case.y[holes] = np.nan
        case.story.append("missing targets")
        case.learns = False
        if params.get("callbacks"):
            case.either("a score of missing targets")
    return params


def _loss_params(case: Case) -> dict[str, Any]:
    """Return the losses and their weights in one of the forms in which a user may give them."""
    rng, columns = case.rng, case.block_columns()
    params: dict[str, Any] = {}
    groups = {}
    losses: list[tuple[Any, Any]] = []
    for i, (block, members) in enumerate(zip(case.blocks, columns, strict=True)):
        key: Any = _key(case, members)
        if len(members) > 1 and rng.random() < 0.5:
            key = f"group{i}"
            groups[key] = [_key(case, [member]) for member in members]
        loss = block.loss
        if isinstance(loss, str) and block.params:
            if loss in COLUMN_LOSSES and rng.random() < 0.5:
                loss = COLUMN_LOSSES[loss](**block.params)
            else:
                text = str(key) if isinstance(key, (str, int)) else None
                if text is None:
                    loss = COLUMN_LOSSES[loss](**block.params)
                else:
                    params.update({f"loss__{text}__{name}": value for name, value in block.params.items()})
        losses.append((key, loss))
    if groups:
        params["column_groups"] = groups
    whole = len({str(loss) for _, loss in losses}) == 1 and not groups
    singles = all(len(members) == 1 for members in columns)
    form = rng.random()
    if whole and len(losses) == 1 and form < 0.5:
        params["loss"] = losses[0][1]
    elif singles and form < 0.4:
        params["loss"] = [loss for _, loss in losses]
    elif form < 0.7 and all(isinstance(key, (str, int)) for key, _ in losses) and len(columns) > 1:
        params.update({f"loss__{key}": loss for key, loss in losses})
    else:
        params["loss"] = dict(losses)
    _draw_loss_weights(case, params, [key for key, _ in losses])
    return params


def _key(case: Case, members: list[int]) -> Any:
    by_name = case.rng.random() < 0.6
    keys = [case.names[i] if by_name else i for i in members]
    return keys[0] if len(keys) == 1 else tuple(keys)


def _draw_loss_weights(case: Case, params: dict[str, Any], keys: list[Any]) -> None:
    rng = case.rng
    case.weights = [1.0] * len(keys)
    if rng.random() < 0.6:
        return
    values = [float(_pick(rng, 0.1, 0.5, 1.0, 2.0, 10.0)) for _ in keys]
    if rng.random() < 0.15 and len(keys) > 1:
        values[0] = 0.0
        case.learns = case.bounded = False
        case.story.append("the first loss weighs nothing")
    elif rng.random() < 0.1:
        values[0] = float(_pick(rng, 1e-12, 1e-6, 1e6, 1e12, 1e30))
        case.strange(f"a loss weight of {values[0]:g}")
    form = rng.random()
    columns = case.block_columns()
    if form < 0.3:
        # One weight per column; those of a group must be alike.
        case.weights = values
        params["loss_weights"] = [value for value, members in zip(values, columns, strict=True) for _ in members]
    elif form < 0.7:
        case.weights = values
        params["loss_weights"] = dict(zip(keys, values, strict=True))
    else:
        named = [i for i, key in enumerate(keys) if isinstance(key, (str, int))]
        case.weights = [value if i in named else 1.0 for i, value in enumerate(values)]
        params.update({f"loss_weights__{keys[i]}": values[i] for i in named})


def _effort(case: Case, params: dict[str, Any], preset: Any) -> None:
    """Draw a preset, whose ensembles are kept small."""
    rng = case.rng
    params["effort"] = preset
    if preset is not None:
        # Without a number, "fast" has six and "default" twenty, which take their time where they learn one by one.
        if rng.random() < {"fast": 0.85, "default": 0.96, "best": 1.0}[preset] or "optimizer" in params:
            params["n_members"] = int(_pick(rng, 1, 2, 3))
        if rng.random() < 0.1:
            params["scale_inputs"] = bool(rng.random() < 0.5)
        if rng.random() < 0.15:
            params["linear_path"] = bool(_pick(rng, True, False))
            if params["linear_path"]:
                case.either("a linear path")
        if rng.random() < 0.15:
            params["clip_predictions"] = _pick(rng, False, True, 0.0, 0.5)
            if params["clip_predictions"] is not False:
                case.either("clipped predictions")
    elif rng.random() < 0.12:
        params["n_members"] = 2
        if rng.random() < 0.3:
            params["bootstrap"] = True
    elif rng.random() < 0.1:
        params["scale_inputs"] = True
    if case.frame is not None and preset is None:
        params["categorical_inputs"] = "one_hot"
    if case.frame is not None and params.get("categorical_inputs") is None and rng.random() < 0.3:
        params["categorical_inputs"] = "one_hot"
    scales = params.get("scale_inputs", preset is not None)
    if not scales and np.abs(case.X).max(initial=0) > 20:
        case.learns = case.bounded = False
    if case.X.ndim == 2 and case.frame is None and case.form == "float64" and rng.random() < 0.06:
        holes = rng.random(case.X.shape) < 0.15
        case.X[holes] = np.nan
        params["missing_inputs"] = "impute"
        case.story.append("missing inputs")
        case.learns = case.bounded = False


def _activation(rng: np.random.Generator) -> str:
    return str(_pick(rng, "relu", "tanh", "logistic", "identity", "gelu", "silu", "mish", "elu", "softplus"))


def _layers(case: Case, params: dict[str, Any]) -> None:
    rng = case.rng
    if rng.random() < 0.2:
        params["activation"] = _activation(rng)
    if rng.random() < 0.1:
        params["dropout"] = float(_pick(rng, 0.1, 0.5))
    if rng.random() < 0.12:
        params["normalization"] = _pick(rng, "batch", "layer")
        if params.get("batch_size") == 1 or len(case.X) < 12:
            case.either("normalization")


def _mlp(case: Case, params: dict[str, Any]) -> Any:
    rng = case.rng
    preset = _pick(rng, None, None, "fast", "fast", "default", "best")
    params["hidden_layer_sizes"] = _pick(rng, (), (4,), (8,), (6, 4), [5])
    if rng.random() < 0.1:
        params.pop("hidden_layer_sizes")
    _effort(case, params, preset)
    _layers(case, params)
    if rng.random() < 0.1:
        params["initialization"] = _pick(rng, "torch", "he")
    if rng.random() < 0.1:
        params["scaling_layer"] = bool(_pick(rng, True, False))
    if rng.random() < 0.12:
        params["numeric_embedding"] = _pick(rng, "piecewise_linear", "mixed", None)
        if params["numeric_embedding"] and case.X.ndim > 2:
            case.either("an embedding of rows of several axes")
        if params["numeric_embedding"] == "mixed" and params.get("n_members", 1 if preset is None else 2) == 1:
            case.either("an embedding of every second member of a single net")
    if case.X.ndim > 2:
        case.either("rows of several axes")
    return MultiOutputMLPRegressor(**params)


def _image_params(case: Case, params: dict[str, Any]) -> None:
    rng, shape = case.rng, case.X.shape[1:]
    params["channels"] = _pick(rng, (2,), (3, 2))
    if case.X.shape == (len(case.X),) * 2:
        case.either("a square, which may be one image")
    if rng.random() < 0.3:
        params["kernel_size"] = int(_pick(rng, 1, 3))
    if rng.random() < 0.3:
        params["pooling"] = "average"
    if len(shape) == 3 and rng.random() < 0.35:
        params["channels_last"] = True
    elif len(shape) == 2 and rng.random() < 0.2:
        params["spatial_dims"] = 1
    elif len(shape) == 3 and rng.random() < 0.15:
        params["spatial_dims"] = 3
    elif len(shape) > 1 and rng.random() < 0.25 and case.form not in ("list of arrays", "tuple"):
        params["image_shape"] = shape
        case.X = case.X.reshape(len(case.X), -1)


def _cnn(case: Case, params: dict[str, Any]) -> Any:
    rng = case.rng
    params["hidden_layer_sizes"] = _pick(rng, (), (4,), (6,))
    _image_params(case, params)
    _effort(case, params, _pick(rng, None, "fast", "default", "best"))
    if params.get("missing_inputs") == "impute":
        case.either("images with missing inputs")
    if params.get("linear_path"):
        case.either("a linear path beside images")
    _layers(case, params)
    return MultiOutputCNNRegressor(**params)


def _heads(case: Case, params: dict[str, Any]) -> Any:
    rng, columns = case.rng, case.block_columns()
    if rng.random() < 0.6 or any(len(members) > 1 for members in columns):
        params["heads"] = {f"head{i}": [_key(case, [m]) for m in members] for i, members in enumerate(columns)}
        if rng.random() < 0.2:
            params["head_hidden_layer_sizes"] = _pick(rng, (3,), {"head0": (4,)})
    params["hidden_layer_sizes"] = _pick(rng, (4,), (6, 4))
    if rng.random() < 0.3 and (case.X.ndim > 2 or case.X.shape[1] >= 4) and case.frame is None:
        params["trunk"] = "cnn"
        _image_params(case, params)
    elif case.X.ndim > 2:
        case.either("rows of several axes")
    _effort(case, params, _pick(rng, None, None, "fast"))
    if params.get("trunk") == "cnn" and params.get("missing_inputs"):
        case.either("images with missing inputs")
    _layers(case, params)
    return MultiHeadRegressor(**params)


def _net(case: Case, params: dict[str, Any]) -> Any:
    rng = case.rng
    if rng.random() < 0.6:
        params["module"] = Plain
        if rng.random() < 0.4:
            params["module__width"] = int(_pick(rng, 1, 6))
    elif case.X.ndim > 2:
        case.either("rows of several axes")
    _effort(case, params, _pick(rng, None, None, "fast", "default"))
    return MultiOutputNetRegressor(**params)


def _draw_fit_params(case: Case) -> None:
    rng, n_rows = case.rng, len(case.X)
    draw = rng.random()
    if draw < 0.08:
        weight = rng.uniform(0.5, 2.0, n_rows)
        if rng.random() < 0.4:
            weight[rng.random(n_rows) < 0.2] = 0.0
            weight[:2] = 1.0
            case.story.append("weights of zero")
        case.fit_params["sample_weight"] = _pick(rng, weight, weight.tolist(), pd.Series(weight), torch.tensor(weight))
    elif draw < 0.14:
        case.fit_params["sample_weight"] = rng.uniform(0.5, 2.0, case.y.shape)
    elif draw < 0.16:
        case.fit_params["sample_weight"] = np.full(n_rows, 3.0)
    if rng.random() < 0.08:
        rows = rng.permutation(n_rows)[: max(2, n_rows // 3)]
        case.fit_params.update(X_val=case.give_inputs(rows), y_val=case.give_targets_of(rows))
    if case.fit_params and any(block.loss is root_mean_square for block in case.blocks):
        case.either("weights of rows for one number of a batch")
    if case.fit_params:
        case.story.append("fit takes " + ", ".join(case.fit_params))


def _spoil(case: Case) -> None:
    """Spoil a parameter or the data: `fit` must refuse."""
    rng = case.rng
    at = int(rng.integers(len(case.X)))
    n_columns = case.y.shape[1]

    def data(what: str, change: Callable[[Any, Any, dict[str, Any]], tuple[Any, Any, dict[str, Any]]]) -> None:
        case.spoil = change
        case.story.append(f"SPOILT: {what}")
        case.expected = "refused"

    def param(name: str, value: Any) -> None:
        # Named estimators lack some parameters, and get them in a way that they must refuse too.
        vars(case.estimator)[name] = value
        data(f"{name}={value!r}", lambda X, y, other: (X, y, other))

    def put(values: np.ndarray, value: float) -> np.ndarray:
        values = np.array(values, dtype=float)
        values.reshape(len(values), -1)[at, -1] = value
        return values

    X, y = case.X, case.y
    flat_y = y[:, 0] if case.y_ndim == 1 else y
    some_y = [
        ("infinity in y", put(flat_y, np.inf)),
        ("infinity in y", put(flat_y, -np.inf)),
        ("y of words", np.array(["a"] * len(X))),
        ("y of mixed objects", np.array([1.0, "a"] * len(X), dtype=object)[: len(X)]),
        ("y complex", flat_y.astype(complex)),
        ("no y", None),
        ("y of three dimensions", np.zeros((len(X), 2, 2))),
        ("y without columns", np.zeros((len(X), 0))),
        ("a scalar y", 3.0),
        ("y a mapping", {"a": flat_y}),
        ("y a word", "target"),
        ("y of dates", np.array(["2020-01-01"] * len(X), dtype="datetime64[D]")),
        ("a ragged y", [[1.0], [1.0, 2.0]] * (len(X) // 2) + [[1.0]] * (len(X) % 2)),
        ("too few rows of y", flat_y[:-1]),
        ("empty y", flat_y[:0]),
        ("y of None", [None] * len(X)),
    ]
    if getattr(case.estimator, "missing_targets", "") != "mask":
        some_y.append(("NaN in y", put(flat_y, np.nan)))
    some_X: list[tuple[str, Any]] = [
        ("infinity in X", put(X, np.inf)),
        ("a value too large for float32", put(X, 1e39)),
        ("X of words", np.full(X.shape, "a")),
        ("X complex", X.astype(complex)),
        ("no X", None),
        ("X a scalar", 1.0),
        ("X a word", "inputs"),
        ("X a mapping", {"a": X}),
        ("X of dates", np.full(X.shape, "2020-01-01", dtype="datetime64[D]")),
        ("X of one dimension", np.zeros(len(X))),
        ("X without rows", X[:0]),
        ("X of one row", X[:1]),
        ("too few rows of X", X[:-1]),
        ("a ragged X", [[1.0], [1.0, 2.0]] * (len(X) // 2) + [[1.0]] * (len(X) % 2)),
        ("X a set", set(range(len(X)))),
        ("X a generator", (row for row in X)),
        ("X a function", np.sum),
    ]
    if case.X.ndim == 2:
        some_X.append(("X without columns", np.zeros((len(X), 0))))
    if getattr(case.estimator, "missing_inputs", "") != "impute" and case.estimator.effort is None:
        some_X.append(("NaN in X", put(X, np.nan)))
    weights = [
        ("negative", -np.ones(len(X))),
        ("NaN", np.full(len(X), np.nan)),
        ("infinite", np.full(len(X), np.inf)),
        ("zero", np.zeros(len(X))),
        ("too few", np.ones(len(X) - 1)),
        ("of three columns too many", np.ones((len(X), n_columns + 3))),
        ("words", ["a"] * len(X)),
        ("a scalar", 2.0),
        ("complex", np.ones(len(X), dtype=complex)),
        ("a mapping", {"a": 1.0}),
    ]
    bad_params: list[tuple[str, Any]] = [
        ("max_epochs", _pick(rng, 0, -1, 1.5, "2", None, np.nan)),
        ("lr", _pick(rng, 0, -1e-3, np.nan, np.inf, "fast", None, [0.1])),
        ("batch_size", _pick(rng, 0, -2, 1.5, "big", None)),
        ("validation_fraction", _pick(rng, 0.0, 1.0, -0.1, 2, "x", None)),
        ("n_iter_no_change", _pick(rng, 0, -1, 1.5, "x")),
        ("tol", _pick(rng, -1.0, "x", None, np.nan)),
        ("n_members", _pick(rng, 0, -1, 1.5, "x", None)),
        ("random_state", _pick(rng, -1, "x", 1.5, 2**40)),
        ("early_stopping", _pick(rng, "x", None, 3)),
        ("effort", _pick(rng, "slow", 3, True)),
        ("clip_predictions", _pick(rng, -0.1, "no", None, np.nan)),
        ("missing_targets", _pick(rng, "drop", None, True)),
        ("missing_inputs", _pick(rng, "mean", None, True)),
        ("scale_inputs", _pick(rng, "yes", None)),
        ("optimizer", _pick(rng, "adam", None, 3, int)),
        ("loss", _pick(rng, "square", None, 3, [], {"zz": "mse"}, {99: "mse"}, {1.5: "mse"}, {(): "mse"}, object())),
        (
            "loss_weights",
            _pick(rng, [-1.0] * n_columns, [np.nan] * n_columns, "x", 3.0, {"zz": 1.0}, [0.0] * n_columns, [1, 2] * 9),
        ),
        ("column_groups", _pick(rng, {"g": ["zz"]}, {"g": []}, [1], "x", {3: [0]}, {"g": [99]}, {"g": [0, 0]})),
        ("callbacks", _pick(rng, [3], ["x"], "on", [("a", 3)])),
        ("train_split", _pick(rng, 0.5, "x")),
        ("device", _pick(rng, "gpu", 3.5, "cuda")),
        ("n_threads", _pick(rng, 0, -1, 1.5, "x")),
        ("shuffle", _pick(rng, "x", None)),
        ("lr_schedule", _pick(rng, "cosine", 3)),
        ("mixed_precision", _pick(rng, "float16", True)),
        ("training_loop", _pick(rng, "fast", None)),
        ("iterator_train", _pick(rng, "x", None)),
        ("los__y0", "huber"),
        ("loss__zz", "huber"),
        ("loss_weights__zz", 2.0),
        ("loss_weights__0", _pick(rng, -1.0, np.nan, np.inf, "x", None)),
        ("loss__0__nothing", 1.0),
        ("optimizer__nothing", 1.0),
        ("module__nothing", 1.0),
        ("callbacks__nothing", None),
        ("callbacks__nothing__x", 1),
        ("optimizer__param_groups", _pick(rng, [("zz", {"lr": 1.0})], [1], "x", [("*", {"zz": 1})])),
    ]
    if hasattr(case.estimator, "hidden_layer_sizes"):
        bad_params += [
            ("hidden_layer_sizes", _pick(rng, (0,), (-1,), (1.5,), "x", None, ("a",), 2.5, {"a": 1})),
            ("activation", _pick(rng, "cube", None, 3)),
            ("dropout", _pick(rng, -0.1, 1.0, 2, "x", None, np.nan)),
            ("normalization", _pick(rng, "group", 3, True)),
        ]
    if isinstance(case.estimator, MultiOutputCNNRegressor):
        bad_params += [
            ("channels", _pick(rng, (0,), (-1,), "x", (1.5,), None)),
            ("kernel_size", _pick(rng, 0, -1, "x", 1.5, (3, 3, 3, 3), None)),
            ("pool_size", _pick(rng, 0, -1, "x", 99, 1.5)),
            ("pooling", _pick(rng, "min", None)),
            ("image_shape", _pick(rng, (99, 99), "x", (0,), (-1, 2), (1.5,))),
            ("spatial_dims", _pick(rng, 0, 4, "x")),
            ("channels_last", _pick(rng, "x", None)),
        ]
    if isinstance(case.estimator, MultiHeadRegressor):
        bad_params += [
            ("heads", _pick(rng, {"a": ["zz"]}, {"a": []}, {}, [0], "x", {"a": [0], "b": [0]}, {"a.b": [0]}, {3: [0]})),
            ("trunk", _pick(rng, "rnn", None, 3)),
            ("head_hidden_layer_sizes", _pick(rng, (0,), {"zz": (3,)}, "x", None)),
        ]
    draw = rng.random()
    if draw < 0.28:
        what, bad = some_y[rng.integers(len(some_y))]
        data(what, lambda X, y, other: (X, bad, other))
    elif draw < 0.52:
        what, bad = some_X[rng.integers(len(some_X))]
        data(what, lambda X, y, other: (bad, y, other))
    elif draw < 0.62:
        what, bad = weights[rng.integers(len(weights))]
        data(f"weights {what}", lambda X, y, other: (X, y, {**other, "sample_weight": bad}))
    elif draw < 0.66:
        half = _pick(rng, {"X_val": X}, {"y_val": flat_y}, {"X_val": X[:, :0], "y_val": flat_y})
        data(f"validation of {list(half)}", lambda X, y, other: (X, y, {**half}))
    else:
        name, bad = bad_params[rng.integers(len(bad_params))]
        param(name, bad)
