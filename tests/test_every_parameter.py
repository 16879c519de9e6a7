"""Every parameter of every estimator is used or refused: another value changes something, or an error names it."""

import contextlib
import inspect
import io
import re

import numpy as np
import pandas as pd
import pytest
import torch
from skorch.callbacks import Callback, EpochScoring
from skorch.dataset import Dataset, ValidSplit
from torch import nn
from torch.utils.data import DataLoader

from skmulti import (
    MultiHeadRegressor,
    MultiOutputCNNRegressor,
    MultiOutputMLPRegressor,
    MultiOutputNetRegressor,
)

RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(60, 4))
Y = np.column_stack([3 * TABLE[:, 0] + 5, TABLE[:, 1] * TABLE[:, 2]])
IMAGES = RNG.normal(size=(60, 6, 6)) + TABLE[:, :1, None]
# One axis of channels more, so that where it stands can be told.
COLOURED = RNG.normal(size=(60, 6, 8, 6)) + TABLE[:, :1, None, None]
ESTIMATORS = {
    "any module": (MultiOutputNetRegressor, TABLE, {"effort": None}),
    "mlp": (MultiOutputMLPRegressor, TABLE, {"n_members": 2}),
    "cnn": (MultiOutputCNNRegressor, IMAGES, {"n_members": 1, "channels": (4, 4), "hidden_layer_sizes": (8,)}),
    "heads": (MultiHeadRegressor, TABLE, {"effort": None}),
    "heads of images": (MultiHeadRegressor, IMAGES, {"effort": None, "trunk": "cnn", "channels": (4, 4)}),
}
SHORT = {"max_epochs": 2, "random_state": 0}


class LossEntry(nn.Module):
    def __init__(self, input_shape, n_outputs):
        super().__init__()
        self.line = nn.Linear(input_shape[0], n_outputs)

    def forward(self, X):
        return self.line(X)


class Watch(Callback):
    n_threads: list = []

    def on_train_begin(self, net, **kwargs):
        self.n_threads.append(torch.get_num_threads())


class CountedLoader(DataLoader):
    n_made = 0

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        type(self).n_made += 1


class CountedRows(Dataset):
    n_made = 0

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        type(self).n_made += 1


def predictions(make, X):
    net = make().fit(X, Y)
    return [*net.predict(X).ravel(), *net.history_[:, "train_loss"]]


def far_predictions(make, X):
    return make().fit(X, Y).predict(100 * X).ravel().tolist()


def history(make, X):
    return [sorted(set(row) - {"dur"}) for row in make().fit(X, Y).history_]


def after_two_fits(make, X):
    return len(make().fit(X, Y).fit(X, Y).history_)


def printed(make, X):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        make().fit(X, Y)
    return bool(out.getvalue())


def of_a_group(make, X):
    net = make().fit(X, Y)
    try:
        return net.predict(X, columns="both").shape
    except ValueError as error:
        return str(error)


def with_holes_in_y(make, X):
    holes = np.where(np.arange(len(Y))[:, None] % [5, 7] == 0, np.nan, Y)
    try:
        return make().fit(X, holes).predict(X).shape
    except ValueError as error:
        # An error of the data: that of the parameter would name it.
        return refusal_of(error) or "y is refused"


def with_holes_in_x(make, X):
    holes = X.copy()
    holes[::7, 0] = np.nan
    try:
        return make().fit(holes, Y).predict(holes).shape
    except ValueError as error:
        return refusal_of(error) or "X is refused"


def with_words_in_x(make, X):
    if X.ndim > 2:
        return predictions(make, X)
    frame = pd.DataFrame(X).assign(word=["a", "b", "c"] * 20)
    frame.columns = frame.columns.astype(str)
    try:
        return make().fit(frame, Y).predict(frame).shape
    except ValueError as error:
        return refusal_of(error) or "X is refused"


def loop(make, X):
    return make().fit(X, Y).training_loop_


def threads(make, X):
    Watch.n_threads.clear()
    make(callbacks=[Watch()]).fit(X, Y)
    return set(Watch.n_threads)


def heard(make, X):
    Watch.n_threads.clear()
    make().fit(X, Y)
    return len(Watch.n_threads)


def loaders(make, X):
    CountedLoader.n_made = 0
    make().fit(X, Y)
    return CountedLoader.n_made > 0


def datasets(make, X):
    CountedRows.n_made = 0
    make().fit(X, Y)
    return CountedRows.n_made > 0


def compiled(make, X):
    net = make(compile__backend="eager") if make().compile else make()
    modules = [member.module_ for member in getattr(net.fit(X, Y), "members_", [net])]
    return [hasattr(module, "_orig_mod") for module in modules]


def place(make, X):
    return next(make().fit(X, Y).module_.parameters()).device.type


def loaded(make, X):
    net, file = make().fit(X, Y), io.BytesIO()
    net.save_params(f_params=file)
    file.seek(0)
    try:
        net.load_params(f_params=file)
    except RuntimeError as error:
        return str(error)
    return "loaded"


def refusal_of(error):
    return str(error) if str(error).startswith("The '") else ""


STOPPING = {"early_stopping": True, "max_epochs": 4}
# The value, what to look at, and what else is given.
SHARED = {
    "loss": ("absolute_error", predictions),
    "loss_weights": ([1, 5], predictions),
    "column_groups": ({"both": [0, 1]}, of_a_group),
    "scale_targets": (False, predictions),
    "missing_targets": ("mask", with_holes_in_y),
    "effort": ("fast", predictions),
    "missing_inputs": ("impute", with_holes_in_x),
    "categorical_inputs": ("one_hot", with_words_in_x),
    "scale_inputs": (True, predictions),
    "numeric_embedding": ("piecewise_linear", predictions),
    "linear_path": (True, predictions, {"n_members": 2, "early_stopping": True}),
    "clip_predictions": (0.5, predictions),
    "optimizer": (torch.optim.SGD, predictions),
    "lr": (0.3, predictions),
    "lr_schedule": ("one_cycle", predictions, {"lr": 0.01}),
    "max_epochs": (3, predictions),
    "batch_size": (7, predictions),
    "shuffle": (False, predictions),
    "early_stopping": (True, history),
    "validation_fraction": (0.5, predictions, {"early_stopping": True}),
    "n_iter_no_change": (1, history, {**STOPPING, "tol": 1e9}),
    "tol": (1e9, history, {**STOPPING, "n_iter_no_change": 1}),
    "n_members": (3, predictions),
    "bootstrap": (True, predictions, {"n_members": 2}),
    "warm_start": (True, after_two_fits),
    "random_state": (1, predictions),
    "verbose": (1, printed),
    "device": ("cuda", place),
    "n_threads": (torch.get_num_threads() + 1, threads),
    "mixed_precision": ("bfloat16", predictions),
    "training_loop": ("skorch", loop),
    "callbacks": ([Watch()], heard),
    "train_split": (ValidSplit(4), predictions, {"early_stopping": True}),
    "iterator_train": (CountedLoader, loaders),
    "iterator_valid": (CountedLoader, loaders, {"early_stopping": True}),
    "dataset": (CountedRows, datasets),
    "compile": (True, compiled),
    "use_caching": (False, loop, {"callbacks": [EpochScoring("r2", name="r2", on_train=True)]}),
    "torch_load_kwargs": ({"mmap": True}, loaded),
}
LAYERS = {
    "hidden_layer_sizes": ((5,), predictions),
    "activation": ("tanh", predictions),
    "dropout": (0.5, predictions),
    "normalization": ("layer", predictions),
}
BLOCKS = {
    "channels": ((3, 5), predictions),
    "kernel_size": (5, predictions),
    "pool_size": (3, predictions),
    "pooling": ("average", predictions),
    "channels_last": (True, predictions),
    "image_shape": ((4, 9), predictions),
    "spatial_dims": (1, predictions),
}
HEADS = {
    **SHARED,
    **LAYERS,
    "heads": ({"both": [0, 1]}, predictions),
    "trunk": ("cnn", predictions),
    "head_hidden_layer_sizes": ((3,), predictions),
    **BLOCKS,
}
TABLES = {
    "any module": {**SHARED, "module": (LossEntry, predictions)},
    "mlp": {
        **SHARED,
        **LAYERS,
        "scaling_layer": (False, predictions),
        "initialization": ("torch", predictions),
        "missing_inputs": ("error", with_holes_in_x),
        "categorical_inputs": ("error", with_words_in_x),
        "scale_inputs": (False, predictions),
        "numeric_embedding": (None, predictions),
        "linear_path": (False, predictions),
        "clip_predictions": (False, far_predictions),
        "lr_schedule": (None, predictions, {"lr": 0.01}),
        "early_stopping": (False, history),
    },
    "cnn": {
        **SHARED,
        **LAYERS,
        **BLOCKS,
        "effort": (None, predictions),
        "scale_inputs": (False, predictions),
        "lr_schedule": (None, predictions, {"lr": 0.01}),
    },
    "heads": HEADS,
    "heads of images": {**HEADS, "trunk": ("mlp", predictions, {"channels": (16, 32)})},
}
# Images that tell where their channels are, and flat ones that must be told their shape.
OTHER_INPUTS = {"channels_last": COLOURED, "image_shape": IMAGES.reshape(60, 36)}
CASES = [(kind, name) for kind, table in TABLES.items() for name in table]


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_the_tables_know_every_parameter_of_every_estimator(kind):
    known = [name for name in inspect.signature(ESTIMATORS[kind][0]).parameters if "__" not in name]
    assert sorted(TABLES[kind]) == sorted(known)


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_a_parameter_is_used_or_refused(kind, name):
    cls, X, given = ESTIMATORS[kind]
    value, look, *others = TABLES[kind][name]
    base = {**SHORT, **given, **(others[0] if others else {})}
    X = OTHER_INPUTS.get(name, X) if X.ndim > 2 else X
    without = look(lambda **more: cls(**{**base, **more}), X)
    try:
        found = look(lambda **more: cls(**{**base, name: value, **more}), X)
    except ValueError as error:
        found = str(error)
    if isinstance(found, str) and found.startswith("The '"):
        assert found.startswith(f"The {name!r} parameter must "), found
    assert repr(found) != repr(without)


def refused(message, error=ValueError):
    return pytest.raises(error, match=re.escape(message))


@pytest.mark.parametrize("cls", [MultiOutputMLPRegressor, MultiOutputCNNRegressor, MultiHeadRegressor])
def test_a_named_estimator_takes_no_other_module(cls):
    message = (
        f"{cls.__name__}.__init__() got an unexpected keyword argument 'module': its network is a "
        f"skmulti.modules.{cls.module.__name__}. Use MultiOutputNetRegressor(module=...) for another one."
    )
    with refused(message, TypeError):
        cls(module=LossEntry)
    with refused("Invalid parameter 'module'"):
        cls().set_params(module=LossEntry)


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, (value, _) in BLOCKS.items()])
def test_parameters_of_blocks_are_refused_where_heads_share_no_blocks(name, value):
    with refused(f"The {name!r} parameter must be left at ") as caught:
        MultiHeadRegressor(**{name: value}).fit(TABLE, Y)
    assert str(caught.value).endswith(f"Got {value!r} instead; use trunk='cnn'.")


def test_what_blocks_have_by_default_may_be_given_where_there_are_none():
    MultiHeadRegressor(channels=[16, 32], kernel_size=3, channels_last=False, max_epochs=1).fit(TABLE, Y)


@pytest.mark.parametrize(
    ("cls", "X", "name"),
    [
        (MultiOutputCNNRegressor, IMAGES, "bootstrap"),
        (MultiOutputNetRegressor, TABLE, "bootstrap"),
        (MultiOutputNetRegressor, TABLE, "linear_path"),
    ],
)
def test_what_is_of_ensembles_is_refused_where_the_preset_trains_one_net(cls, X, name):
    with refused(f"The {name!r} parameter must be False") as caught:
        cls(**{name: True}).fit(X, Y)
    assert "single net" in str(caught.value)
    assert "n_members=2 or more" in str(caught.value)


def test_a_linear_path_of_images_is_refused():
    message = "The 'linear_path' parameter must be False or 'auto' for images, whose pixels are no columns of a table."
    with refused(f"{message} Got True for rows of shape (6, 6)."):
        MultiOutputCNNRegressor(linear_path=True).fit(IMAGES, Y)
    with refused(f"{message} Got True for rows of shape (6, 6)."):
        MultiOutputCNNRegressor(linear_path=True, n_members=2, early_stopping=True).fit(IMAGES, Y)
    with refused(message):
        MultiOutputMLPRegressor(linear_path=True, n_members=2, early_stopping=True).fit(IMAGES, Y)


@pytest.mark.parametrize("more", [{"early_stopping": False}, {"train_split": ValidSplit(3)}], ids=" ".join)
def test_a_linear_path_is_refused_where_no_rows_are_set_aside_for_its_weights(more):
    with refused("The 'linear_path' parameter must be False or 'auto' unless early stopping sets rows"):
        MultiOutputMLPRegressor(linear_path=True, n_members=2, **more).fit(TABLE, Y)
    # What the preset chose steps aside for what was given.
    MultiOutputMLPRegressor(n_members=2, max_epochs=1, **more).fit(TABLE, Y)


@pytest.mark.parametrize(("name", "value"), [("missing_inputs", "impute"), ("categorical_inputs", "one_hot")])
@pytest.mark.parametrize("cls", [MultiOutputCNNRegressor, MultiOutputMLPRegressor])
def test_what_is_for_tables_is_refused_for_images(cls, name, value):
    with refused(f"The {name!r} parameter must be 'auto' or 'error' for images and signals. Got {value!r} instead"):
        cls(**{name: value}).fit(IMAGES, Y)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"module__hiden_layer_sizes": 3}, " be an option of MLP, which has 'input_shape', 'n_outputs'"),
        ({"optimizer__momentun": 0.9, "optimizer": torch.optim.SGD}, " be an option of SGD, which has 'params', 'lr'"),
        ({"optimizer__momentum": 0.9}, " be an option of AdamW, "),
        ({"iterator_train__batchsize": 3}, " be an option of TensorLoader, "),
        ({"iterator_valid__batchsize": 3}, " be an option of TensorLoader, "),
        ({"iterator_train__num_workers": 1}, " be an option of TensorLoader, "),
        ({"dataset__lenght": 3}, " be an option of Dataset, which has 'X', 'y', 'length'"),
        ({"compile__mode": "default"}, " stand beside compile=True"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_an_option_that_its_part_does_not_have_is_refused_by_name(given, message):
    name = next(iter(given))
    with refused(f"The {name!r} parameter must{message}", (ValueError, TypeError)):
        MultiOutputMLPRegressor(**{**SHORT, "n_members": 2, **given}).fit(TABLE, Y)


def test_the_option_that_was_meant_is_named():
    with refused("Did you mean 'optimizer__momentum'?", TypeError):
        MultiOutputMLPRegressor(optimizer=torch.optim.SGD, optimizer__momentun=0.9).fit(TABLE, Y)
    with refused("Use iterator_train=torch.utils.data.DataLoader, which has it.", TypeError):
        MultiOutputMLPRegressor(iterator_train__num_workers=1).fit(TABLE, Y)


@pytest.mark.parametrize(
    "loss",
    [
        nn.CrossEntropyLoss(),
        nn.CrossEntropyLoss,
        nn.NLLLoss(),
        nn.BCELoss(),
        nn.BCEWithLogitsLoss(),
        nn.MultiMarginLoss(),
        nn.MultiLabelSoftMarginLoss(),
        nn.SoftMarginLoss(),
        nn.functional.cross_entropy,
        nn.functional.binary_cross_entropy_with_logits,
    ],
    ids=lambda loss: getattr(loss, "__name__", str(loss)),
)
@pytest.mark.parametrize("n_columns", [1, 2])
def test_a_loss_of_classes_is_refused_on_real_numbers(loss, n_columns):
    message = r"^The loss \w+ is for classification: its targets must be .* Got 'y0'.* with values from -?[\d.]+ to "
    with pytest.raises(ValueError, match=message + r"[\d.]+; use a regression loss, such as 'squared_error'\.$"):
        MultiOutputMLPRegressor(loss=loss).fit(TABLE, Y[:, :n_columns])


def test_losses_of_classes_take_what_they_are_for():
    shares = np.column_stack([Y[:, 0] > 5, Y[:, 0] <= 5]).astype(float)
    for loss, y in [
        (nn.CrossEntropyLoss(), shares),
        (nn.BCEWithLogitsLoss(), shares[:, 0]),
        (nn.SoftMarginLoss(), 2 * shares - 1),
        (nn.functional.cross_entropy, shares),
    ]:
        MultiOutputMLPRegressor(loss=loss, effort=None, max_epochs=1).fit(TABLE, y)
    # Of a single column there is nothing to tell apart.
    with refused("The loss CrossEntropyLoss is for classification"):
        MultiOutputMLPRegressor(loss=nn.CrossEntropyLoss()).fit(TABLE, shares[:, 0])


def test_a_loss_of_ones_own_may_make_classes_of_real_numbers():
    class Binned(nn.CrossEntropyLoss):
        def forward(self, raw, true):
            return super().forward(raw, (true > 5).to(raw.dtype))

    MultiOutputMLPRegressor(loss=Binned(), effort=None, max_epochs=1).fit(TABLE, Y)
