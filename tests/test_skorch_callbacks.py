"""Every callback of skorch gives on an estimator what it gives on a stock net of skorch."""

import copy
import functools
import pickle
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch
import tqdm
from skorch import NeuralNetRegressor
from skorch import callbacks as cb
from skorch.dataset import ValidSplit
from torch import nn
from torch.utils.data import Dataset

from skmulti import MultiOutputNetRegressor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3)).astype(np.float32)
Y = (X @ [[1], [2], [-1]] + RNG.normal(size=(40, 1))).astype(np.float32)
SPLIT = ValidSplit([(np.arange(30), np.arange(30, 40))])
# What differs in the history: times, and the losses of terms, which a stock net does not have.
UNLIKE = ["dur", "train_loss__y0", "valid_loss__y0"]
NETS = ("ours", "stock")
EXERCISED = set()
LOGGERS_OF_BATCHES = [cb.SacredLogger, cb.MlflowLogger, cb.NeptuneLogger]
LOGGERS = [cb.TensorBoard, cb.WandbLogger, *LOGGERS_OF_BATCHES]


class Net(nn.Module):
    """A network that starts from the same parameters each time that it is built."""

    def __init__(self, input_dim=3):
        super().__init__()
        self.hidden, self.output = nn.Linear(input_dim, 4), nn.Linear(4, 1)
        generator = torch.Generator().manual_seed(0)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.5, generator=generator)

    def forward(self, X):
        return self.output(torch.tanh(self.hidden(X)))


def exercises(*callbacks):
    """Note that a test exercises these callbacks."""
    EXERCISED.update(callback.__name__ for callback in callbacks)
    return lambda test: test


def both(make, *, loop, fit=lambda net: net.fit(X, Y), module=None, **params):
    """Return an estimator and a stock net that were trained alike, with what `make` returns for either name."""
    settings = {"max_epochs": 5, "batch_size": 8, "lr": 0.05, "optimizer": torch.optim.SGD, "train_split": SPLIT}
    settings = {**settings, "verbose": 0, "optimizer__momentum": 0.5, **params}
    module = module or Net()
    ours = MultiOutputNetRegressor(module, scale_targets=False, shuffle=False, random_state=0, **settings)
    stock = NeuralNetRegressor(copy.deepcopy(module), criterion=nn.MSELoss, **settings)
    for name, net in zip(NETS, (ours, stock), strict=True):
        fit(net.set_params(callbacks=make(name)))
    assert ours.training_loop_.loop == loop
    keys = [[sorted({*row} - {"batches", *UNLIKE}) for row in net.history] for net in (ours, stock)]
    assert keys[0] == keys[1]
    assert_alike(*[net.history[:, keys[0][0]] for net in (ours, stock)])
    assert_alike(ours.module_.state_dict(), stock.module_.state_dict())
    return ours, stock


def assert_alike(ours, stock):
    """Assert that two lists or mappings hold the same, but for the rounding of numbers."""
    ours, stock = flat(ours), flat(stock)
    assert len(ours) == len(stock) > 0
    for own, other in zip(ours, stock, strict=True):
        assert own == (pytest.approx(other, rel=1e-4, abs=1e-6) if isinstance(other, float) else other)


def flat(thing):
    """Return as one list what is in lists, mappings and tensors; a parameter stands for its gradient."""
    if isinstance(thing, Dataset):
        return [len(thing)]
    if isinstance(thing, (torch.Tensor, np.ndarray)):
        values = thing.grad if isinstance(thing, nn.Parameter) else thing
        return [*values.shape, *values.ravel().tolist()]
    if isinstance(thing, Iterable) and not isinstance(thing, (str, nn.Module)):
        return [part for item in (thing.items() if isinstance(thing, Mapping) else thing) for part in flat(item)]
    return [str(thing) if isinstance(thing, nn.Module) else thing.name if isinstance(thing, Path) else thing]


class Told(cb.Callback):
    """Writes down what it is told of some events."""

    def __init__(self, events):
        self.events, self.seen = events, []
        for event in events:
            setattr(self, event, functools.partial(self.note, event))

    def note(self, event, net, **kwargs):
        self.seen.append([event, flat(dict(sorted(kwargs.items())))])


@exercises(cb.Callback)
@pytest.mark.parametrize(
    ("events", "loop"),
    [
        (["on_train_begin", "on_epoch_begin", "on_epoch_end", "on_train_end"], "tensor"),
        (["on_batch_begin", "on_grad_computed", "on_batch_end"], "skorch"),
    ],
)
def test_a_callback_is_told_the_same(events, loop):
    ours, stock = both(lambda _: [Told(events)], loop=loop, max_epochs=2)
    assert_alike(ours.callbacks[0].seen, stock.callbacks[0].seen)
    assert set(events) <= set(flat(ours.callbacks[0].seen))


@exercises(cb.EpochTimer)
def test_epochs_are_timed():
    for net in both(lambda _: [cb.EpochTimer()], loop="tensor", callbacks__epoch_timer=None):
        assert all(0 < seconds < 60 for seconds in net.history[:, "dur"])


@exercises(cb.EpochScoring)
@pytest.mark.parametrize("use_caching", [True, False])
@pytest.mark.parametrize("on_train", [True, False])
def test_epochs_have_the_same_scores(on_train, use_caching):
    settings = {"on_train": on_train, "use_caching": use_caching, "lower_is_better": False}
    make = lambda _: [cb.EpochScoring("r2", **settings), cb.EpochScoring(None, **settings)]  # noqa: E731
    ours, _ = both(make, loop="skorch" if on_train and use_caching else "tensor")
    assert {"r2", "r2_best", "score", "score_best"} <= set(ours.history[-1])


@exercises(cb.BatchScoring, cb.PassthroughScoring)
@pytest.mark.parametrize("prefix", ["train", "valid"])
def test_batches_have_the_same_scores_and_pass_them_on(prefix):
    def make(_):
        error = cb.BatchScoring("neg_max_error", on_train=prefix == "train", name="error")
        return [error, cb.PassthroughScoring(f"{prefix}_batch_size", on_train=prefix == "train")]

    ours, stock = both(make, loop="skorch")
    keys = ["error", f"{prefix}_batch_size", f"{prefix}_loss"]
    assert {"error_best", *keys} <= set(ours.history[-1])
    assert_alike(*[net.history[:, "batches", :, keys] for net in (ours, stock)])


@exercises(cb.LRScheduler, cb.WarmRestartLR)
@pytest.mark.parametrize(
    ("options", "loop"),
    [
        # The default of LRScheduler is WarmRestartLR, a policy and no callback.
        ({"base_period": 2}, "tensor"),
        ({"policy": "StepLR", "step_size": 2, "gamma": 0.1}, "tensor"),
        ({"policy": "ReduceLROnPlateau", "monitor": "valid_loss", "patience": 0, "threshold": 0.5}, "tensor"),
        ({"policy": "CyclicLR", "base_lr": 0.01, "max_lr": 0.1, "step_size_up": 3, "step_every": "batch"}, "skorch"),
    ],
    ids=["warm restarts", "steps", "plateau", "cycles of batches"],
)
def test_a_schedule_gives_the_same_learning_rates_and_goes_on_with_them(options, loop):
    fit = lambda net: net.fit(X, Y).partial_fit(X, Y)  # noqa: E731
    nets = both(lambda _: [cb.LRScheduler(**options)], loop=loop, fit=fit, max_epochs=4)
    column = (slice(None), "batches", slice(None), "event_lr") if loop == "skorch" else (slice(None), "event_lr")
    rates = [flat(net.history[column]) for net in nets]
    assert_alike(*rates)
    assert len(set(rates[0])) > 2
    assert_alike(*[net.optimizer_.param_groups[0]["lr"] for net in nets])


@exercises(cb.Freezer, cb.Unfreezer, cb.ParamMapper, cb.Initializer, cb.GradientNormClipping)
@pytest.mark.parametrize(
    ("callbacks", "loop"),
    [
        ([cb.Freezer("hidden.*")], "tensor"),
        ([cb.Freezer(["hidden.*", "output.bias"]), cb.Unfreezer("hidden.*", at=3)], "tensor"),
        ([cb.ParamMapper("output.*", fn=lambda p: p.data.mul_(-2), at=3)], "tensor"),
        ([cb.Initializer("*.weight", fn=functools.partial(nn.init.constant_, val=0.1))], "tensor"),
        ([cb.GradientNormClipping(0.1)], "skorch"),
    ],
    ids=["freezer", "unfreezer", "mapper", "initializer", "clipping"],
)
def test_parameters_are_frozen_changed_and_learned_alike(callbacks, loop):
    ours, stock = both(lambda _: copy.deepcopy(callbacks), loop=loop)
    learning = [[p.requires_grad for p in net.module_.parameters()] for net in (ours, stock)]
    assert learning[0] == learning[1]
    assert torch.equal(ours.module_.hidden.bias, Net().hidden.bias) == (not learning[0][0])
    free, _ = both(lambda _: None, loop="tensor")
    assert ours.history[-1, "train_loss"] != pytest.approx(free.history[-1, "train_loss"], rel=0.01)


@exercises(cb.InputShapeSetter)
def test_the_module_is_told_the_shape_of_the_inputs():
    ours, _ = both(lambda _: [cb.InputShapeSetter()], loop="tensor", module=Net, fit=lambda net: net.fit(X[:, :2], Y))
    assert ours.module_.hidden.in_features == ours.get_params()["module__input_dim"] == 2


@exercises(cb.EarlyStopping)
@pytest.mark.parametrize("load_best", [True, False])
def test_training_stops_early_after_the_same_epoch_and_says_so(load_best):
    said = {name: [] for name in NETS}
    options = {"patience": 2, "threshold": 0.3, "load_best": load_best}
    make = lambda name: [cb.EarlyStopping(sink=said[name].append, **options)]  # noqa: E731
    ours, stock = both(make, loop="tensor", max_epochs=50, verbose=1, callbacks__print_log=None)
    assert 3 <= ours.n_iter_ == len(stock.history) < 50
    assert said["ours"] == said["stock"]
    assert len(said["ours"]) == 1 + load_best


def assert_same_files(folder, names):
    """Assert that both nets wrote these files, the same parameters and the same state of the optimizer."""
    for name in NETS:
        assert sorted(path.name for path in (folder / name).iterdir()) == sorted(names)
    for name in names:
        if name.endswith((".pt", ".pth")) and "criterion" not in name:
            assert_alike(*[torch.load(folder / net / name, weights_only=True) for net in NETS])


@exercises(cb.Checkpoint)
@pytest.mark.parametrize("monitor", ["valid_loss_best", None])
def test_checkpoints_are_written_in_the_same_epochs_with_the_same_content(monitor, tmp_path):
    files = {"f_params": "params_{last_epoch[epoch]}.pt", "f_pickle": "net.pkl"}
    ours, _ = both(lambda name: [cb.Checkpoint(monitor, dirname=str(tmp_path / name), **files)], loop="tensor", lr=0.3)
    epochs = [row["epoch"] for row in ours.history if row["event_cp"]]
    names = [f"params_{epoch}.pt" for epoch in epochs]
    assert_same_files(tmp_path, [*names, "optimizer.pt", "criterion.pt", "history.json", "net.pkl"])
    kept = [pickle.loads((tmp_path / name / "net.pkl").read_bytes()) for name in NETS]
    assert [len(net.history) for net in kept] == [epochs[-1]] * 2
    assert_alike(*[net.predict(X) for net in kept])


@exercises(cb.TrainEndCheckpoint, cb.LoadInitState)
@pytest.mark.parametrize(("cls", "prefix"), [(cb.Checkpoint, ""), (cb.TrainEndCheckpoint, "train_end_")])
def test_a_net_goes_on_from_a_checkpoint_alike(cls, prefix, tmp_path):
    def make(name):
        checkpoint = cls(dirname=str(tmp_path / name))
        return [checkpoint, cb.LoadInitState(checkpoint)]

    ours, _ = both(make, loop="tensor", fit=lambda net: net.fit(X, Y).fit(X, Y))
    assert len(ours.history) > 5
    names = ["params.pt", "optimizer.pt", "criterion.pt", "history.json"]
    assert_same_files(tmp_path, [prefix + name for name in names])


@exercises(cb.PrintLog, cb.ProgressBar)
@pytest.mark.parametrize(
    ("callback", "loop", "shown"),
    [
        (None, "tensor", "train_loss    valid_loss\n"),
        (cb.PrintLog(keys_ignored=UNLIKE), "tensor", "train_loss    valid_loss\n"),
        (cb.ProgressBar("auto", detect_notebook=False), "skorch", "\r6/6, valid_loss="),
        (cb.ProgressBar("count", detect_notebook=False), "skorch", "\r6/6, valid_loss="),
    ],
    ids=["table of every net", "table", "progress", "progress counted"],
)
def test_the_same_is_printed(callback, loop, shown, monkeypatch, capsys):
    bar = functools.partial(tqdm.tqdm, mininterval=0, miniters=1, bar_format="{n_fmt}/{total_fmt}{postfix}")
    monkeypatch.setattr(tqdm, "tqdm", bar)
    printed = []
    fit = lambda net: printed.append("".join((net.fit(X, Y), *capsys.readouterr())[1:]))  # noqa: E731
    params = {"callbacks__print_log": None} if callback else {"callbacks__print_log__keys_ignored": "dur"}
    both(lambda _: [callback] if callback else None, loop=loop, fit=fit, verbose=1, **params)
    # No terminal reads what is printed here: our table has no colours then, skorch's has.
    assert printed[0] == (printed[1] if callback else re.sub(r"\x1b\[\d+m", "", printed[1]))
    assert shown in printed[0]


@exercises(*LOGGERS)
@pytest.mark.parametrize(
    ("cls", "on_batch"), [*((cls, False) for cls in LOGGERS), *((cls, True) for cls in LOGGERS_OF_BATCHES)]
)
def test_loggers_write_the_same(cls, on_batch, tmp_path, monkeypatch):
    # NeptuneLogger imports two classes of its package, whatever it writes to.
    file = SimpleNamespace(from_content=lambda content, extension: content)
    monkeypatch.setitem(sys.modules, "neptune", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "neptune.handler", SimpleNamespace(Handler=NeuralNetRegressor))
    monkeypatch.setitem(sys.modules, "neptune.types", SimpleNamespace(File=file))
    written = []

    def make(name):
        mock = MagicMock(dir=tmp_path / name, **{"info.run_id": "1"})
        mock.dir.mkdir()
        written.append(mock)
        options = {"log_on_batch_end": True} if on_batch else {}
        return [cls(*[mock] * (2 if cls is cb.MlflowLogger else 1), keys_ignored=UNLIKE, **options)]

    # TensorBoard listens to batches, though it writes none.
    both(make, loop="skorch" if on_batch or cls is cb.TensorBoard else "tensor")
    ours, stock = [flat(mock.mock_calls) for mock in written]
    assert_alike(["MSELoss" if part == "MixedLoss" else part for part in ours], stock)
    assert len(ours) > 20
    assert_same_files(tmp_path, ["best_model.pth"] if cls is cb.WandbLogger else [])


def test_no_callback_of_skorch_is_forgotten():
    assert set(cb.__all__) == EXERCISED
