"""The net is a skorch net: callbacks, history, parameters of components, saving, subclasses."""

import functools
import pickle
import re

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.metrics import r2_score
from skorch import NeuralNetRegressor
from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    Freezer,
    GradientNormClipping,
    LRScheduler,
    ParamMapper,
    ProgressBar,
)
from skorch.dataset import Dataset, ValidSplit
from skorch.helper import predefined_split
from torch import nn
from torch.utils.data import DataLoader

from skmulti import MultiHeadRegressor, MultiOutputMLPRegressor, MultiOutputNetRegressor, TrainingDivergedError

NAMES = ["angle", "distance", "area"]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
Y = pd.DataFrame(X @ [[1, 0, 1], [0, 900, 1], [0, 0, 1]] + [0, 5000, 0], columns=NAMES)
SPLIT = ValidSplit([(np.arange(30), np.arange(30, 40))])


def make_net(cls=MultiOutputMLPRegressor, **params):
    return cls(**{"effort": None, "hidden_layer_sizes": (8,), "max_epochs": 3, "lr": 0.01, "random_state": 0, **params})


def lrs_of(net):
    return [group["lr"] for group in net.optimizer_.param_groups]


def assert_same_parameters(net, other, tol=0):
    torch.testing.assert_close(net.module_.state_dict(), other.module_.state_dict(), rtol=tol, atol=tol)


class Plain(nn.Module):
    """A module that is told neither the shape of its inputs nor the number of its outputs."""

    def __init__(self, n_units=5):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, n_units), nn.Tanh(), nn.Linear(n_units, 3))

    def forward(self, X):
        return self.layers(X)


class Record(Callback):
    """Writes down what a function of the net returns at the end of each epoch."""

    def __init__(self, function):
        self.function = function

    def on_train_begin(self, net, **kwargs):
        self.seen = []

    def on_epoch_end(self, net, **kwargs):
        self.seen.append(self.function(net))


def test_it_is_a_skorch_regressor():
    assert isinstance(make_net(), NeuralNetRegressor)


# Callbacks.


@pytest.mark.parametrize("use_caching", [True, False])
def test_epoch_scoring_scores_the_validation_rows_in_the_units_of_the_user(use_caching):
    scoring = EpochScoring("r2", lower_is_better=False, use_caching=use_caching, name="valid_r2")
    error = EpochScoring("neg_mean_absolute_error", lower_is_better=False, use_caching=use_caching, name="mae")
    net = make_net(callbacks=[scoring, error], train_split=SPLIT, max_epochs=8).fit(X, Y)
    assert net.history[-1, "valid_r2"] == pytest.approx(r2_score(Y[30:], net.predict(X[30:])), rel=1e-6)
    assert net.history[-1, "mae"] == pytest.approx(-np.abs(Y[30:] - net.predict(X[30:])).mean(axis=None), rel=1e-6)
    assert net.history[-1, "mae"] < -10
    assert "valid_r2_best" in net.history[-1]


@pytest.mark.parametrize("use_caching", [True, False])
def test_epoch_scoring_on_training_rows_and_of_one_dimension(use_caching):
    scoring = EpochScoring("r2", lower_is_better=False, on_train=True, use_caching=use_caching, name="train_r2")
    net = make_net(callbacks=[scoring], max_epochs=3, batch_size=-1, shuffle=False).fit(X, Y["distance"])
    assert np.isfinite(net.history[:, "train_r2"]).all()


@pytest.mark.parametrize("effort", [None, "fast"])
@pytest.mark.parametrize("weighted", [False, True])
def test_epoch_scoring_of_data_frames_does_not_warn_of_names(effort, weighted):
    scoring = EpochScoring("r2", lower_is_better=False, on_train=True, use_caching=False, name="train_r2")
    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
    net = make_net(effort=effort, n_members=1, callbacks=[scoring], max_epochs=2)
    weight = np.linspace(1, 2, len(X)) if weighted else None
    net.fit(frame, Y, weight)
    assert np.isfinite(net.history[:, "train_r2"]).all()


def test_epoch_scoring_takes_a_function_of_net_and_rows():
    def largest_error(net, dataset, y):
        return float(np.abs(net.predict(dataset) - np.asarray(y)).max())

    net = make_net(callbacks=[EpochScoring(largest_error, use_caching=False)], train_split=SPLIT).fit(X, Y)
    assert net.history[-1, "largest_error"] == pytest.approx(np.abs(net.predict(X[30:]) - Y[30:]).to_numpy().max())


def test_batch_scoring_records_the_mean_over_batches():
    net = make_net(callbacks=[BatchScoring("neg_mean_squared_error", name="bs")], train_split=SPLIT).fit(X, Y)
    assert np.isfinite(net.history[-1, "bs"])


@pytest.mark.parametrize("effort", [None, "fast"])
def test_batch_scoring_scores_batches_of_encoded_tables(effort):
    scoring = BatchScoring("r2", lower_is_better=False, on_train=True, name="of_batches")
    frame = pd.DataFrame({"a": X[:, 0], "constant": 1.0, "colour": np.where(X[:, 1] > 0, "red", "blue")})
    net = make_net(effort=effort, categorical_inputs="one_hot", n_members=1, callbacks=[scoring], max_epochs=2)
    net.set_params(batch_size=-1, early_stopping=False).fit(frame, Y)
    assert np.isfinite(net.history[:, "of_batches"]).all()
    assert net.predict(frame).shape == Y.shape


def test_a_step_schedule_lowers_the_learning_rate():
    schedule = LRScheduler(torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.1)
    net = make_net(callbacks=[schedule]).fit(X, Y)
    assert lrs_of(net) == pytest.approx([0.01 * 0.1**3])
    assert net.history[:, "event_lr"] == pytest.approx([0.01, 0.001, 0.0001])


def test_a_one_cycle_schedule_moves_the_learning_rate_every_batch():
    schedule = LRScheduler(
        torch.optim.lr_scheduler.OneCycleLR, max_lr=0.1, total_steps=12, step_every="batch", cycle_momentum=False
    )
    net = make_net(callbacks=[schedule], batch_size=10).fit(X, Y)
    rates = np.ravel(net.history[:, "batches", :, "event_lr"])
    assert len(np.unique(rates.round(6))) > 6
    assert rates.max() == pytest.approx(0.1, rel=0.2)


def test_a_plateau_schedule_watches_the_validation_loss():
    schedule = LRScheduler("ReduceLROnPlateau", monitor="valid_loss", patience=0, factor=0.5, threshold=1e9)
    net = make_net(callbacks=[schedule], train_split=SPLIT, max_epochs=4).fit(X, Y)
    assert lrs_of(net)[0] < 0.01


def test_a_checkpoint_restores_the_best_epoch(tmp_path):
    checkpoint = Checkpoint(monitor="valid_loss_best", dirname=tmp_path, load_best=True)
    net = make_net(callbacks=[checkpoint], lr=0.5, max_epochs=6).fit(X, Y, X_val=X[:9], y_val=10000 - Y[:9])
    best = int(np.argmin(net.history[:, "valid_loss"])) + 1
    assert best < 6
    assert_same_parameters(net, make_net(lr=0.5, max_epochs=best).fit(X, Y))


@pytest.mark.parametrize("on_train", [True, False])
def test_scores_are_computed_where_rows_have_weights(on_train):
    weights = np.linspace(1, 2, 40)
    for score in (
        EpochScoring("r2", on_train=on_train, use_caching=False, name="s"),
        BatchScoring("r2", on_train=on_train, name="s"),
    ):
        net = make_net(callbacks=[("s", score)])
        net.fit(X, Y, weights, X_val=X[:9], y_val=Y[:9], sample_weight_val=weights[:9])
        assert np.isfinite(net.history[-1, "s"])


class Own(torch.optim.SGD):
    """An optimizer that steps on each parameter."""


class Replaces(Callback):
    """Gives the module other parameters as training begins."""

    def on_train_begin(self, net, **kwargs):
        for parameter in net.module_.parameters():
            torch.nn.init.constant_(parameter, 0.25)


@pytest.mark.parametrize("optimizer", [Own, torch.optim.SGD])
def test_divergence_in_the_first_epoch_undoes_what_callbacks_did_before_it(optimizer):
    net = make_net(optimizer=optimizer, lr=1e30, callbacks=[Replaces()]).initialize(X, Y)
    for train in (net.fit, net.partial_fit):
        with pytest.raises(TrainingDivergedError):
            train(X, Y)
        assert not any((parameter == 0.25).all() for parameter in net.module_.parameters())


def test_gradients_are_clipped():
    net = make_net(callbacks=[GradientNormClipping(1e-12)], optimizer=torch.optim.SGD).fit(X, Y)
    start = make_net(optimizer=torch.optim.SGD).initialize(X, Y)
    torch.testing.assert_close(net.module_.state_dict(), start.module_.state_dict(), rtol=0, atol=1e-8)


def test_a_progress_bar_shows_the_batches_or_nothing(capsys):
    make_net(callbacks=[ProgressBar(detect_notebook=False, batches_per_epoch=4)], batch_size=10).fit(X, Y)
    assert "/4 [" in capsys.readouterr().err
    # 40 rows, 32 at once: one batch and the rest.
    auto = make_net(callbacks=[ProgressBar(detect_notebook=False)]).fit(X, Y)
    assert "/2 [" in capsys.readouterr().err
    assert auto.get_params()["batch_size"] == "auto"
    assert "iterator_train__batch_size" not in auto.get_params()
    make_net().fit(X, Y)
    assert capsys.readouterr() == ("", "")


def test_early_stopping_of_the_users_own_stops():
    stop = EarlyStopping(patience=1, threshold=10.0, threshold_mode="abs", sink=lambda *args: None)
    net = make_net(callbacks=[("stop", stop)], train_split=SPLIT, max_epochs=20).fit(X, Y)
    assert net.n_iter_ == len(net.history) == 2


def test_early_stopping_restores_the_best_epoch():
    net = make_net(early_stopping=True, n_iter_no_change=2, lr=0.5, max_epochs=30).fit(X, Y, X_val=X[:9], y_val=-Y[:9])
    best = int(np.argmin(net.history[:, "valid_loss"])) + 1
    assert net.n_iter_ == best + 2
    again = make_net(lr=0.5, max_epochs=best).fit(X, Y)
    assert_same_parameters(net, again)


def test_frozen_layers_keep_their_parameters():
    net = make_net(callbacks=[Freezer("hidden.*")]).fit(X, Y)
    start = make_net().initialize(X, Y).module_.state_dict()
    for name, value in net.module_.state_dict().items():
        assert torch.equal(value, start[name]) == name.startswith("hidden")


def test_a_mapper_changes_parameters_at_an_epoch():
    net = make_net(callbacks=[ParamMapper("output.bias", fn=lambda p: p.data.fill_(7.0), at=3)]).fit(X, Y)
    assert_allclose(net.module_.output.bias.detach(), 7, atol=0.2)


def test_callbacks_can_be_disabled():
    net = make_net(callbacks="disable").fit(X, Y)
    assert net.callbacks_ == []
    assert net.predict(X).shape == (40, 3)
    assert net.n_iter_ == 3


@pytest.mark.parametrize("n_members", [1, 2])
def test_parameters_of_a_fitted_net_without_callbacks_can_be_set(n_members):
    net = make_net(callbacks="disable", n_members=n_members, max_epochs=2).fit(X, Y)
    before = net.predict(X)
    net.set_params(**net.get_params(deep=False))
    assert np.array_equal(net.predict(X), before)
    net.set_params(callbacks=None).partial_fit(X, Y)
    assert "epoch_timer" in dict(net.fit(X, Y).callbacks_)


def test_a_callback_sees_predictions_in_the_middle_of_training():
    record = Record(lambda net: net.predict(X[:2]))
    net = make_net(callbacks=[("record", record)]).fit(X, Y)
    (record,) = (callback for name, callback in net.callbacks_ if name == "record")
    assert_array_equal(record.seen[-1], net.predict(X[:2]))
    assert not np.array_equal(record.seen[0], record.seen[-1])


# The printed log and the history.


def test_the_log_has_one_column_per_term(capsys):
    make_net(loss={("angle", "area"): nn.MSELoss()}, verbose=1, max_epochs=2).fit(X, Y)
    header, _, *rows = capsys.readouterr().out.rstrip().splitlines()
    assert header.split() == ["epoch", "angle+area", "distance", "train_loss", "dur"]
    assert len(rows) == 2


def test_the_log_shows_validation_losses_where_there_are_some(capsys):
    net = make_net(verbose=1, train_split=SPLIT, max_epochs=1).fit(X, Y)
    header, _, row = re.sub(r"\x1b\[\d+m", "", capsys.readouterr().out).rstrip().splitlines()
    assert header.split() == ["epoch", "angle", "distance", "area", "train_loss", "valid_loss", "dur"]
    shown = dict(zip(header.split(), row.split(), strict=True))
    assert float(shown["distance"]) == pytest.approx(net.history[-1, "valid_loss__distance"], abs=1e-4)


@pytest.mark.parametrize("params", [{}, {"verbose": 1, "callbacks__print_log": None}, {"callbacks": "disable"}])
def test_nothing_is_printed_where_nothing_is_asked_for(params, capsys):
    make_net(**params).fit(X, Y)
    assert capsys.readouterr().out == ""


def test_parameters_of_default_callbacks_are_taken(capsys):
    net = make_net(
        verbose=1, callbacks__print_log__floatfmt=".1f", early_stopping=True, callbacks__early_stopping__patience=1
    ).fit(X, Y)
    assert re.search(r" \d\.\d(\x1b\[0m)? ", capsys.readouterr().out.splitlines()[2])
    assert dict(net.callbacks_)["early_stopping"].patience == 1


def test_the_weighted_sum_of_the_terms_is_the_total():
    net = make_net(
        loss={"angle": "circular", "distance": "huber"},
        loss_weights={"angle": 2, "distance": 0.5},
        batch_size=7,
        train_split=SPLIT,
    ).fit(X, Y)
    for prefix in ("train", "valid"):
        totals = sum(
            weight * np.array(net.history[:, f"{prefix}_loss__{name}"])
            for name, weight in {"angle": 2, "distance": 0.5, "area": 1}.items()
        )
        assert_allclose(net.history[:, f"{prefix}_loss"], totals, rtol=1e-5)
    assert {"epoch", "dur", "train_loss", "valid_loss", "train_loss_best", "valid_loss_best"} <= set(net.history[0])


def test_a_history_of_its_own_for_every_fit():
    net = make_net().fit(X, Y)
    first = net.history
    net.fit(X, Y)
    assert len(first) == len(net.history) == net.n_iter_ == 3
    assert first is not net.history


# Going on.


def test_warm_start_goes_on():
    net = make_net(warm_start=True).fit(X, Y).fit(X, Y)
    assert net.n_iter_ == len(net.history) == 6
    assert net.history[:, "epoch"] == [1, 2, 3, 4, 5, 6]
    assert_same_parameters(net, make_net(max_epochs=6).fit(X, Y))


def test_partial_fit_goes_on():
    net = make_net().fit(X, Y).partial_fit(X, Y)
    assert net.n_iter_ == 6
    assert_same_parameters(net, make_net(max_epochs=6).fit(X, Y))


def test_new_weights_take_effect_in_partial_fit():
    net = make_net().fit(X, Y)
    before = net.module_.output.weight.detach().clone()
    net.set_params(loss_weights__angle=0, loss_weights__area=0, optimizer=torch.optim.SGD)
    net.optimizer_ = torch.optim.SGD(net.module_.parameters(), lr=0.01)
    net.partial_fit(X, Y)
    changed = (net.module_.output.weight != before).any(dim=1).tolist()
    assert changed == [False, True, False]
    row = net.history[-1]
    assert row["train_loss"] == pytest.approx(row["train_loss__distance"])


def test_ctrl_c_leaves_a_net_that_can_be_used_and_a_history_that_can_be_read():
    class CtrlC(Callback):
        def on_batch_end(self, net, **kwargs):
            if len(net.history) == 3 and len(net.history[-1, "batches"]) == 2:
                raise KeyboardInterrupt

    net = make_net(callbacks=[CtrlC()], batch_size=10, max_epochs=9, verbose=0).fit(X, Y)
    assert net.n_iter_ == len(net.history) == 2
    assert np.isfinite(net.history[:, "train_loss__area"]).all()
    assert np.isfinite(net.predict(X)).all()
    pickle.dumps(net.set_params(callbacks=None))
    assert net.partial_fit(X, Y).n_iter_ == 11


def test_ctrl_c_in_the_first_epoch_leaves_a_net_that_predicts():
    class CtrlC(Callback):
        def on_batch_end(self, net, **kwargs):
            raise KeyboardInterrupt

    net = make_net(callbacks=[CtrlC()]).fit(X, Y)
    assert len(net.history) == net.n_iter_ == 0
    assert np.isfinite(net.predict(X)).all()


def test_parameters_are_saved_and_loaded(tmp_path):
    net = make_net().fit(X, Y)
    files = {name: tmp_path / name for name in ("f_params", "f_optimizer", "f_history")}
    net.save_params(**files)
    other = make_net(random_state=5).initialize(X, Y)
    other.load_params(**files)
    assert_array_equal(other.predict(X), net.predict(X))
    assert other.history[:, "train_loss"] == net.history[:, "train_loss"]
    assert other.partial_fit(X, Y).history[-1, "epoch"] == 6


def test_a_net_trimmed_for_prediction_still_predicts():
    net = make_net(train_split=SPLIT, callbacks=[EpochScoring("r2")]).fit(X, Y)
    y_pred = net.predict(X)
    net.trim_for_prediction()
    assert_array_equal(net.predict(X), y_pred)
    assert_array_equal(pickle.loads(pickle.dumps(net)).predict(X), y_pred)
    with pytest.raises(Exception, match="trimmed for prediction"):
        net.partial_fit(X, Y)


# Batches and data sets.


def test_a_data_loader_gives_a_working_fit():
    net = make_net(iterator_train=DataLoader, iterator_valid=DataLoader, train_split=SPLIT, max_epochs=60).fit(X, Y)
    assert net.score(X, Y) > 0.5


@pytest.mark.parametrize("weighted", [False, True])
def test_a_data_loader_takes_read_only_rows_without_a_warning(weighted):
    read_only = [np.array(X, dtype=np.float32), Y.to_numpy().copy()]
    for values in read_only:
        values.flags.writeable = False
    weight = np.linspace(1, 2, len(X)) if weighted else None
    params = {"iterator_train": DataLoader, "iterator_valid": DataLoader, "train_split": SPLIT}
    net = make_net(**params).fit(*read_only, weight)
    assert np.array_equal(net.predict(read_only[0]), make_net(**params).fit(X, Y.to_numpy(), weight).predict(X))


@pytest.mark.parametrize("effort", [None, "fast"])
@pytest.mark.parametrize("categories", [False, True])
def test_a_data_loader_reads_data_frames_as_the_default_does(effort, categories):
    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
    if categories:
        frame["colour"] = np.where(X[:, 1] > 0, "red", "blue")
    params = {
        "effort": effort,
        "n_members": 1,
        "max_epochs": 2,
        "categorical_inputs": "one_hot" if categories else "auto",
    }
    net = make_net(iterator_valid=DataLoader, **params).fit(frame, Y)
    np.testing.assert_allclose(net.predict(frame), make_net(**params).fit(frame, Y).predict(frame), rtol=1e-5)


@pytest.mark.parametrize("effort", [None, "fast"])
def test_read_only_rows_are_read_without_a_warning(effort):
    read_only = [np.array(X, dtype=np.float32), Y.to_numpy().copy()]
    for values in read_only:
        values.flags.writeable = False
    net = make_net(effort=effort, loss="gaussian_nll").fit(*read_only)
    assert np.isfinite(net.negative_log_likelihood(*read_only)).all()
    assert np.isfinite(net.residuals(*read_only)).all()


def test_the_batches_of_a_data_loader_are_those_of_the_default():
    settings = {"batch_size": 8, "shuffle": False}
    loader = make_net(iterator_train=DataLoader, **settings).fit(X, Y)
    assert_allclose(loader.predict(X), make_net(**settings).fit(X, Y).predict(X), rtol=1e-5)


def test_parameters_of_the_iterators_are_taken():
    settings = {"iterator_train__batch_size": 12, "iterator_train__drop_last": True}
    assert make_net(**settings).fit(X, Y).history[:, "train_batch_count"] == [3, 3, 3]
    net = make_net(training_loop="skorch", **settings).fit(X, Y)
    assert [len(row["batches"]) for row in net.history] == [3, 3, 3]


class Noisy(Dataset):
    """Adds noise to each row, and counts the rows that were asked for."""

    n_seen = 0

    def transform(self, X, y):
        Noisy.n_seen += 1
        X, y = super().transform(X, y)
        return X + np.float32(0.01), y


def test_a_data_set_of_the_users_own_augments_the_rows():
    Noisy.n_seen = 0
    net = make_net(dataset=Noisy).fit(X, Y)
    assert Noisy.n_seen >= 3 * 40
    assert not torch.equal(net.module_.output.bias, make_net().fit(X, Y).module_.output.bias)
    assert net.predict(X).shape == (40, 3)


def test_validation_rows_as_a_predefined_split():
    valid = Dataset(X[30:].astype(np.float32), Y[30:].to_numpy())
    net = make_net(train_split=predefined_split(valid)).fit(X[:30], Y[:30])
    assert_allclose(
        net.history[:, "valid_loss"],
        make_net().fit(X[:30], Y[:30], X_val=X[30:], y_val=Y[30:]).history[:, "valid_loss"],
    )


# Modules.


def test_a_module_instance_is_copied_and_stays_as_it_was():
    module = Plain()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    net = MultiOutputNetRegressor(module, max_epochs=3, random_state=0).fit(X, Y)
    torch.testing.assert_close(module.state_dict(), before, rtol=0, atol=0)
    assert not torch.equal(net.module_.layers[0].weight, module.layers[0].weight)
    assert net.module is module
    again = clone(net).fit(X, Y)
    assert_array_equal(again.predict(X), net.predict(X))


def test_a_module_class_of_the_users_own_is_built_as_written():
    net = MultiOutputNetRegressor(Plain, module__n_units=7, max_epochs=2, random_state=0).fit(X, Y)
    assert net.module_.layers[0].out_features == 7
    assert net.predict(X).shape == (40, 3)


def test_a_module_as_a_partial_is_built():
    net = MultiOutputNetRegressor(functools.partial(Plain, n_units=6), max_epochs=2, random_state=0).fit(X, Y)
    assert net.module_.layers[0].out_features == 6
    assert_array_equal(clone(net).fit(X, Y).predict(X), net.predict(X))


def test_a_partial_is_told_the_sizes_it_asks_for():
    def build(n_outputs, input_shape, width):
        return nn.Sequential(nn.Linear(*input_shape, width), nn.Linear(width, n_outputs))

    net = MultiOutputNetRegressor(functools.partial(build, width=4), loss={"angle": "circular"}, max_epochs=1)
    assert net.fit(X, Y).module_[1].out_features == 4


# Parameters of components.


def test_one_head_learns_at_a_rate_of_its_own():
    net = make_net(MultiHeadRegressor, optimizer__param_groups=[("heads.distance.*", {"lr": 0.5})]).fit(X, Y)
    assert lrs_of(net) == [0.5, 0.01]
    assert len(net.optimizer_.param_groups[0]["params"]) == 2


def test_a_learning_rate_set_on_a_fitted_net_acts_at_once_and_is_kept_by_clone():
    net = make_net().fit(X, Y)
    net.set_params(lr=0.125)
    assert lrs_of(net) == [0.125]
    assert clone(net).lr == net.lr == net.get_params()["lr"] == 0.125
    assert lrs_of(net.partial_fit(X, Y)) == [0.125]


def test_a_parameter_of_the_optimizer_set_on_a_fitted_net_acts_at_once_and_is_kept_by_clone():
    net = make_net().fit(X, Y)
    net.set_params(optimizer__betas=(0.5, 0.6))
    assert net.optimizer_.param_groups[0]["betas"] == (0.5, 0.6)
    assert clone(net).get_params()["optimizer__betas"] == (0.5, 0.6)
    assert clone(net).fit(X, Y).optimizer_.param_groups[0]["betas"] == (0.5, 0.6)


def test_a_parameter_of_the_module_set_on_a_fitted_net_builds_it_anew():
    net = make_net().fit(X, Y)
    net.set_params(module__hidden_layer_sizes=(5, 4))
    assert net.module_.hidden[0].out_features == 5
    assert net.predict(X).shape == (40, 3)
    assert net.fit(X, Y).module_.hidden[0].out_features == 5


def test_a_callback_set_on_a_fitted_net_acts_in_partial_fit(capsys):
    net = make_net().fit(X, Y)
    net.set_params(verbose=1, callbacks__print_log__floatfmt=".2f", max_epochs=1).partial_fit(X, Y)
    assert re.search(r"\d\.\d\d\s", capsys.readouterr().out)
    assert clone(net).get_params()["callbacks__print_log__floatfmt"] == ".2f"


# Subclasses.


class Sparse(MultiOutputMLPRegressor):
    """Adds an L1 penalty on the first layer."""

    def __init__(self, penalty=0.1, **params):
        super().__init__(**params)
        self.penalty = penalty

    def get_loss(self, y_pred, y_true, X=None, training=False):
        loss = super().get_loss(y_pred, y_true, X=X, training=training)
        return loss + self.penalty * self.module_.hidden[0].weight.abs().sum()


class TwoSteps(MultiOutputMLPRegressor):
    """Learns twice from each batch."""

    def train_step(self, batch, **fit_params):
        super().train_step(batch, **fit_params)
        return super().train_step(batch, **fit_params)


def test_a_subclass_adds_a_penalty_to_the_loss():
    def size(net):
        return float(net.module_.hidden[0].weight.detach().abs().sum())

    nets = [make_net(Sparse, penalty=penalty, max_epochs=40).fit(X, Y) for penalty in (0.0, 0.5)]
    assert size(nets[1]) < 0.7 * size(nets[0])
    assert_same_parameters(nets[0], make_net(max_epochs=40, training_loop="skorch").fit(X, Y))
    row = nets[1].history[-1]
    assert row["train_loss"] > sum(row[f"train_loss__{name}"] for name in NAMES)
    assert clone(nets[1]).penalty == 0.5
    assert "penalty=0.5" in repr(nets[1])


def test_a_subclass_changes_the_training_step():
    settings = {"batch_size": -1, "shuffle": False}
    net = make_net(TwoSteps, max_epochs=3, **settings).fit(X, Y)
    assert net.n_iter_ == 3
    # Whoever steps with the optimizer has it step as torch does by default, which rounds otherwise.
    assert_same_parameters(net, make_net(max_epochs=6, **settings).fit(X, Y), tol=1e-6)
