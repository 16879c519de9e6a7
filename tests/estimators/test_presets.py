"""The dial of effort: what parameters come to that are left open, and that what is given always wins."""

import copy
import pickle
import re
from contextlib import suppress

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.utils import get_tags
from skorch.callbacks import Callback, LRScheduler

from skmulti import (
    MultiHeadRegressor,
    MultiOutputCNNRegressor,
    MultiOutputMLPRegressor,
    MultiOutputNetRegressor,
    TrainingDivergedError,
)
from skmulti.estimators.presets import EFFORTS, PLAIN_IMAGE, PLAIN_TABLE, preset
from skmulti.model_selection import BatchedGridSearchCV

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3)).astype("float32")
Y = np.column_stack([X[:, 0] + 0.1 * RNG.normal(size=60), np.abs(X[:, 1])])
IMAGES = RNG.normal(size=(20, 6, 6)).astype("float32")


def make_net(**params):
    return MultiOutputMLPRegressor(**{"effort": "fast", "max_epochs": 2, "n_members": 3, "random_state": 0, **params})


def test_what_is_left_open_stays_open_for_the_user():
    net = make_net()
    before = net.get_params()
    net.fit(X, Y).set_params(loss_weights={0: 2.0})
    net.partial_fit(X, Y)
    assert net.get_params() == {**before, "loss_weights": {0: 2.0}}
    assert repr(clone(net)) == repr(net)


@pytest.mark.parametrize("effort", EFFORTS)
def test_the_recipe_says_what_open_parameters_were(effort):
    net = MultiOutputMLPRegressor(effort=effort, max_epochs=1, n_members=2, random_state=0).fit(X, Y)
    expected = {**PLAIN_TABLE, **preset("table", effort, (60, 3))}
    assert net.settings_ == {name: v for name, v in expected.items() if name not in ("max_epochs", "n_members")}
    assert [len(net.members_), len(net.history_)] == [2, 1]


@pytest.mark.parametrize("effort", [None, "fast", "default"])
@pytest.mark.parametrize(("cls", "data"), [(MultiOutputMLPRegressor, X), (MultiOutputCNNRegressor, IMAGES)])
def test_a_net_that_is_given_its_recipe_is_the_same_net(cls, data, effort):
    few = {} if effort is None else {"n_members": 1 + (cls is MultiOutputMLPRegressor)}
    left_open = cls(effort=effort, max_epochs=2, random_state=0, **few).fit(data, Y[: len(data)])
    told = cls(effort=None, max_epochs=2, random_state=0, **few, **left_open.settings_).fit(data, Y[: len(data)])
    assert not set(left_open.settings_) & set(told.settings_)
    assert_array_equal(told.predict(data), left_open.predict(data))


@pytest.mark.parametrize(
    "name", sorted({**PLAIN_TABLE, **preset("table", "fast", (60, 3))}.keys() - {"n_members", "max_epochs"})
)
def test_each_parameter_that_is_given_leaves_the_others_to_the_dial(name):
    """The value is what the dial would say: nothing changes but who says it."""
    left_open = make_net().fit(X, Y)
    chosen = left_open.settings_
    net = make_net(**{name: chosen[name]}).fit(X, Y)
    options = {key for key in chosen if key.startswith("optimizer__")} | {"lr"}
    others = {key for key in chosen if key != name and not (name == "optimizer" and key in options)}
    assert {key: net.settings_[key] for key in others} == {key: chosen[key] for key in others}
    assert name not in net.settings_
    if name != "optimizer":
        assert_array_equal(net.predict(X), left_open.predict(X))


def test_more_effort_never_means_fewer_members_or_epochs():
    for n_rows in (20, 300, 5000, 10**5, 10**7):
        presets = [preset("table", effort, (n_rows, 50)) for effort in EFFORTS]
        for name in ("n_members", "max_epochs"):
            values = [values[name] for values in presets]
            assert values == sorted(values)
            assert values[0] >= 2


@pytest.mark.parametrize(
    ("params", "seen"),
    [
        ({"hidden_layer_sizes": (5,)}, lambda net: net.members_[0].module_.hidden[1].out_features == 5),
        ({"activation": "tanh"}, lambda net: any(isinstance(m, torch.nn.Tanh) for m in net.module_.modules())),
        ({"scaling_layer": False}, lambda net: "Scaling" not in str(net.module_)),
        ({"n_members": 2}, lambda net: len(net.members_) == 2),
        ({"max_epochs": 3}, lambda net: len(net.history_) == 3),
        ({"numeric_embedding": None}, lambda net: all(m.embedding_ is None for m in net.members_)),
        ({"numeric_embedding": "piecewise_linear"}, lambda net: all(m.embedding_ is not None for m in net.members_)),
        ({"scale_inputs": False}, lambda net: np.ndim(net.input_encoder_.scale) == 0),
        ({"linear_path": False}, lambda net: net.module_.stacking is None),
        ({"optimizer": torch.optim.SGD}, lambda net: type(net.members_[0].optimizer_) is torch.optim.SGD),
        ({"optimizer__weight_decay": 0.5}, lambda net: net.members_[0].optimizer_.defaults["weight_decay"] == 0.5),
        ({"lr": 0.125}, lambda net: net.members_[0].optimizer_.param_groups[0]["lr"] == 0.125),
        ({"early_stopping": False}, lambda net: "valid_loss" not in net.members_[0].history_[-1]),
        ({"validation_fraction": 0.5}, lambda net: len(net.members_[0]._left_out(Y)) == 30),
        ({"lr_schedule": None}, lambda net: "lr_schedule" not in dict(net.members_[0].callbacks_)),
        ({"batch_size": 7}, lambda net: net.members_[0].batch_size == 7),
    ],
    ids=lambda value: "" if callable(value) else str(next(iter(value))),
)
def test_what_is_given_wins_over_the_dial(params, seen):
    net = make_net(**params).fit(X, Y)
    assert not set(params) & set(net.settings_)
    assert seen(net)


@pytest.mark.parametrize(
    ("cls", "plain", "data"),
    [(MultiOutputMLPRegressor, PLAIN_TABLE, X), (MultiOutputCNNRegressor, PLAIN_IMAGE, IMAGES)],
)
def test_no_effort_is_one_plain_net(cls, plain, data):
    y = Y[: len(data)]
    open_net = cls(effort=None, max_epochs=3, random_state=0).fit(data, y)
    given = cls(effort="default", **{**plain, "max_epochs": 3}, random_state=0)
    if cls is MultiOutputCNNRegressor:
        given.set_params(batch_size=32)
    given.set_params(optimizer__weight_decay=0, optimizer__betas=(0.9, 0.999)).fit(data, y)
    assert not hasattr(open_net, "members_")
    assert_array_equal(open_net.predict(data), given.predict(data))


def test_classes_that_do_not_know_their_module_make_no_effort():
    assert MultiOutputNetRegressor().effort is None
    assert MultiHeadRegressor().effort is None
    assert MultiOutputCNNRegressor().effort == MultiOutputMLPRegressor().effort == "default"


@pytest.mark.parametrize("data", [X, IMAGES], ids=["table", "images"])
def test_any_module_is_trained_as_effort_says_and_keeps_its_layers(data):
    class Small(torch.nn.Module):
        def __init__(self, input_shape, n_outputs):
            super().__init__()
            self.layers = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(int(np.prod(input_shape)), n_outputs))

        def forward(self, X):
            return self.layers(X)

    net = MultiOutputNetRegressor(Small, effort="fast", random_state=0).fit(data, Y[: len(data)])
    assert net.input_encoder_ is not None
    assert net.settings_["lr_schedule"] == "one_cycle"
    assert hasattr(net, "members_") is (data is X)
    heads = MultiHeadRegressor(effort="fast", trunk="mlp" if data is X else "cnn").fit(data, Y[: len(data)])
    assert heads.settings_["optimizer"] is torch.optim.AdamW
    assert not set(heads.settings_) & {"activation", "hidden_layer_sizes", "channels"}


@pytest.mark.parametrize(
    ("params", "seen"),
    [
        ({"channels": (3,)}, lambda net: net.module_.blocks[0][0].out_channels == 3),
        ({"activation": "tanh"}, lambda net: any(isinstance(m, torch.nn.Tanh) for m in net.module_.modules())),
        ({"n_members": 2}, lambda net: len(net.members_) == 2),
        ({"scale_inputs": False}, lambda net: net.input_encoder_ is None),
        ({"batch_size": 5}, lambda net: net.history_[-1]["train_batch_count"] == 4),
    ],
    ids=lambda value: "" if callable(value) else str(next(iter(value))),
)
def test_what_is_given_wins_over_the_dial_for_images_too(params, seen):
    net = MultiOutputCNNRegressor(effort="fast", max_epochs=1, random_state=0, **params).fit(IMAGES, Y[:20])
    assert not set(params) & set(net.settings_)
    assert seen(net)


@pytest.mark.parametrize("name", ["missing_inputs", "categorical_inputs"])
def test_what_is_refused_by_the_user_is_refused_whatever_the_effort(name):
    frame = pd.DataFrame({"number": [1.0, np.nan, 2.0] * 20, "word": ["a", "b", "c"] * 20})
    make_net().fit(frame, Y)
    with pytest.raises(ValueError, match=name):
        make_net(**{name: "error"}).fit(frame, Y)


def test_he_begins_with_the_mean_and_torch_does_not():
    he, torchs = (make_net(initialization=how).initialize(X, Y) for how in ("he", "torch"))
    assert_allclose(he.predict(X), np.tile(Y.mean(axis=0), (60, 1)), rtol=1e-5, atol=1e-6)
    assert np.ptp(torchs.predict(X), axis=0).min() > 1e-3


@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize(
    ("name", "value"), [("max_epochs", 1), ("lr", 0.125), ("early_stopping", False), ("lr_schedule", None)]
)
def test_a_fitted_net_goes_on_with_parameters_that_are_left_open_by_then(n_members, name, value):
    net = make_net(n_members=n_members, **{"max_epochs": 2, name: value}).fit(X, Y)
    assert name not in net.settings_
    net.set_params(**{name: "auto"})
    n_epochs = len(net.history_)
    net.partial_fit(X, Y)
    assert getattr(net, name) == "auto"
    assert len(net.history_) == n_epochs + (net.settings_["max_epochs"] if name == "max_epochs" else 2)
    expected = preset("table", "fast", (60, 3))
    assert net.settings_[name] == expected[name]
    for part in getattr(net, "members_", [net]):
        if name == "lr":
            assert part.optimizer_.param_groups[0]["lr"] == expected["lr"]


@pytest.mark.parametrize("n_members", [1, 3])
def test_a_learning_rate_acts_at_once_and_is_no_part_of_the_recipe_then(n_members):
    net = make_net(n_members=n_members).fit(X, Y)
    net.set_params(lr=0.5)
    parts = getattr(net, "members_", [net])
    assert [part.optimizer_.param_groups[0]["lr"] for part in parts] == [0.5] * n_members
    net.partial_fit(X, Y)
    assert "lr" not in net.settings_
    assert [part.optimizer_.param_groups[0]["lr"] for part in parts] == [0.5] * n_members


def test_another_effort_takes_effect_at_the_next_fit_and_not_before():
    net = make_net(n_members="auto").fit(X, Y)
    predicted, n_members = net.predict(X), len(net.members_)
    net.set_params(effort=None)
    assert_array_equal(net.predict(X), predicted)
    assert len(net.partial_fit(X, Y).members_) == n_members
    assert not hasattr(net.fit(X, Y), "members_")
    assert net.settings_["lr"] == PLAIN_TABLE["lr"]


def test_another_optimizer_has_none_of_the_options_that_were_chosen_for_ours():
    net = make_net(optimizer=torch.optim.Adam).fit(X, Y)
    assert net.members_[0].optimizer_.defaults["weight_decay"] == 0
    assert net.settings_["lr"] == PLAIN_TABLE["lr"]


def test_another_optimizer_keeps_what_was_given_with_it():
    net = make_net(optimizer=torch.optim.SGD, optimizer__momentum=0.5, lr=0.005).fit(X, Y)
    assert net.members_[0].optimizer_.defaults["momentum"] == 0.5
    assert net.members_[0].optimizer_.param_groups[0]["lr"] == 0.005
    assert not {"lr", "optimizer__weight_decay", "optimizer__betas"} & set(net.settings_)


@pytest.mark.parametrize("callback", [LRScheduler("StepLR", step_size=1), Callback()], ids=["schedule", "other"])
@pytest.mark.parametrize("is_named", [False, True])
def test_only_callbacks_that_set_the_rate_take_the_schedules_place(callback, is_named):
    net = make_net(callbacks=[("mine", callback) if is_named else callback]).fit(X, Y)
    assert (net.settings_["lr_schedule"] is None) == isinstance(callback, LRScheduler)


def test_a_schedule_of_the_users_takes_the_place_of_ours():
    net = make_net(callbacks=[("step", LRScheduler("StepLR", step_size=1))]).fit(X, Y)
    assert net.settings_["lr_schedule"] is None
    assert "lr_schedule" not in dict(net.members_[0].callbacks_)


@pytest.mark.parametrize(
    "begin",
    [
        lambda net: net.fit(X, Y[:10]),
        lambda net: net.fit(np.full_like(X, np.inf), Y),
        lambda net: net.set_params(hidden_layer_sizes=(0,)).fit(X, Y),
        lambda net: net.initialize(X, Y),
        lambda net: net.partial_fit(X, Y),
        lambda net: net.partial_fit(X, Y[:10]),
    ],
    ids=["other rows", "infinite", "no layer", "initialized", "first part", "bad first part"],
)
def test_however_a_net_begins_what_is_left_open_stays_open(begin):
    net = make_net()
    before = net.get_params()
    with suppress(ValueError):
        begin(net)
    assert {**net.get_params(), "hidden_layer_sizes": "auto"} == before


def test_a_refused_fit_leaves_parameters_and_predictions_as_they_were():
    net = make_net().fit(X, Y)
    before, predicted = net.get_params(), net.predict(X)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        net.fit(X, Y[:10])
    assert net.get_params() == before
    assert_array_equal(net.predict(X), predicted)


class Fails(Callback):
    """Ends the second epoch with an error, or as Ctrl-C does."""

    def __init__(self, error):
        self.error = error

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 2:
            raise self.error


@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize(
    "params",
    [
        {"callbacks": [("fails", Fails(RuntimeError("no more")))]},
        {"callbacks": [("fails", Fails(KeyboardInterrupt()))]},
        {"optimizer": torch.optim.SGD, "lr": 3.0},
    ],
    ids=["error", "interrupt", "divergence"],
)
def test_what_is_left_open_stays_open_however_training_ends(n_members, params):
    net = make_net(n_members=n_members, max_epochs=4, **params)
    before = net.get_params(deep=False)
    with suppress(RuntimeError, KeyboardInterrupt, TrainingDivergedError):
        net.fit(X, Y)
    assert len(net.history_) < 4
    assert net.get_params(deep=False) == before
    assert np.isfinite(net.predict(X)).all()


class Copies(Callback):
    """Pickles the net after each epoch, as skorch's Checkpoint can."""

    def on_train_begin(self, net, **kwargs):
        self.made = []

    def on_epoch_end(self, net, **kwargs):
        self.made.append(pickle.dumps(net))


def test_a_copy_made_in_the_middle_of_training_has_the_parameters_that_were_given():
    net = make_net(n_members=1, callbacks=[("copies", Copies())]).fit(X, Y)
    again = pickle.loads(dict(net.callbacks_)["copies"].made[-1])
    assert again.get_params(deep=False).keys() == net.get_params(deep=False).keys()
    assert again.early_stopping == again.lr == again.linear_path == "auto"
    assert np.isfinite(again.predict(X)).all()
    again.set_params(callbacks=None)
    assert_array_equal(again.fit(X, Y).predict(X), make_net(n_members=1).fit(X, Y).predict(X))


@pytest.mark.parametrize("again", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))], ids=["copy", "pickle"])
def test_a_copy_predicts_the_same_and_goes_on_alike(again):
    net = make_net().fit(X, Y)
    other = again(net)
    assert_array_equal(other.predict(X), net.predict(X))
    assert other.settings_ == net.settings_
    assert_array_equal(other.partial_fit(X, Y).predict(X), net.partial_fit(X, Y).predict(X))


def test_saved_parameters_bring_back_members_and_linear_path(tmp_path):
    net = make_net().fit(X, Y)
    assert net.module_.stacking.is_stacked.all()
    net.save_params(f_params=tmp_path / "net.pt")
    again = make_net(random_state=1).initialize(X, Y)
    again.load_params(f_params=tmp_path / "net.pt")
    assert_array_equal(again.predict(X), net.predict(X))


def test_warm_start_goes_on_with_the_same_recipe():
    net = make_net(warm_start=True).fit(X, Y)
    assert len(net.fit(X, Y).history_) == 4
    assert len(net.members_) == 3


@pytest.mark.parametrize(
    "grid", [{"effort": [None, "fast"]}, {"max_epochs": [1, 2]}, {"loss_weights__0": [1, 9]}], ids=str
)
def test_a_search_over_stacks_scores_as_one_net_after_the_other(grid):
    net = make_net(n_members=2) if "effort" not in grid else make_net(n_members=2, linear_path=False)
    ours = BatchedGridSearchCV(net, grid, cv=2).fit(X, Y)
    theirs = GridSearchCV(net, grid, cv=2).fit(X, Y)
    assert_allclose(ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"], rtol=1e-4)
    assert ours.sequential_fits_ == {}


def test_a_search_over_defaults_leaves_them_open():
    net = MultiOutputMLPRegressor(max_epochs=1, random_state=0)
    search = GridSearchCV(net, {"effort": [None, "fast"]}, cv=2).fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert {**search.best_estimator_.get_params(), "effort": "default"} == net.get_params()


def test_nets_that_begin_beside_one_another_have_the_recipe_of_the_same_rows():
    # Rows without any target are left out before the second one begins.
    y = np.where(np.arange(30_000)[:, None] % 4 == 0, np.tile(Y, (500, 1)), np.nan)
    table = pd.DataFrame(np.tile(X, (500, 1)), columns=list("abc")).assign(word=["u", "v"] * 15_000)
    first, second = (make_net(n_members=1, max_epochs="auto", missing_targets="mask") for _ in range(2))
    rows, holdout = first._begin(table, y, None, (None, None, None))
    second._begin_beside(first, rows, holdout)
    assert len(rows.y) < 10_000
    assert second.settings_ == first.settings_


def test_tags_say_whether_inputs_may_be_missing():
    assert get_tags(MultiOutputMLPRegressor()).input_tags.allow_nan
    assert not get_tags(MultiOutputMLPRegressor(effort=None)).input_tags.allow_nan
    assert get_tags(MultiOutputMLPRegressor(effort=None, missing_inputs="impute")).input_tags.allow_nan
    assert not get_tags(MultiOutputMLPRegressor(missing_inputs="error")).input_tags.allow_nan
    assert not get_tags(MultiOutputCNNRegressor()).input_tags.allow_nan


def test_tags_say_whether_inputs_may_be_categories():
    assert get_tags(MultiOutputMLPRegressor()).input_tags.categorical
    assert not get_tags(MultiOutputMLPRegressor(effort=None)).input_tags.categorical
    assert get_tags(MultiOutputMLPRegressor(effort=None, categorical_inputs="one_hot")).input_tags.categorical


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("effort", "much"),
        ("missing_inputs", "drop"),
        ("categorical_inputs", "ordinal"),
        ("scale_inputs", "robust"),
        ("numeric_embedding", "periodic"),
        ("linear_path", "ridge"),
        ("lr_schedule", "cosine"),
        ("lr", 0.0),
        ("max_epochs", 0),
        ("n_members", 0),
        ("optimizer", "adamw"),
        ("validation_fraction", 1.0),
    ],
)
def test_values_out_of_place_are_refused_by_name(name, value):
    with pytest.raises(
        ValueError, match=f"The '{name}' parameter of .* must be .* Got {re.escape(repr(value))} instead"
    ):
        make_net(**{name: value}).fit(X, Y)


@pytest.mark.parametrize(
    ("name", "value"), [("scaling_layer", 2), ("initialization", "xavier"), ("activation", "silo")]
)
def test_values_that_the_module_knows_are_refused_by_name_too(name, value):
    with pytest.raises(ValueError, match=f"'?{name}'? .*{value}"):
        make_net(**{name: value}).fit(X, Y)


def test_a_linear_path_is_refused_beside_a_single_net():
    with pytest.raises(
        ValueError, match=r"The 'linear_path' parameter must be False or 'auto' for a single net.*n_members=2"
    ):
        make_net(n_members=1, linear_path=True).fit(X, Y)


@pytest.mark.parametrize(
    ("images", "shape"),
    [(IMAGES, None), (IMAGES[:, 0], None), (IMAGES.reshape(20, -1), (6, 6))],
    ids=["images", "signals", "flat"],
)
def test_bent_inputs_are_refused_for_images(images, shape):
    net = MultiOutputCNNRegressor(numeric_embedding="piecewise_linear", image_shape=shape, max_epochs=1)
    with pytest.raises(ValueError, match="The 'numeric_embedding' parameter must be None for images and signals"):
        net.fit(images, Y[:20])


def test_large_and_wide_tables_are_not_bent():
    assert preset("table", "default", (300, 100))["numeric_embedding"] == "mixed"
    assert preset("table", "default", (300, 2000))["numeric_embedding"] is None
    assert preset("table", "default", (10**6, 100))["numeric_embedding"] is None


def test_more_rows_mean_fewer_passes_over_them_and_a_wider_network():
    presets = [preset("table", "default", (n_rows, 50)) for n_rows in (100, 2000, 20_000, 10**6)]
    assert presets[0] == presets[1]
    for name, falls in (("n_members", True), ("max_epochs", True), ("lr", True), ("hidden_layer_sizes", False)):
        values = [values[name] for values in presets]
        assert values == sorted(values, reverse=falls)
        assert values[0] != values[-1]


def test_the_module_of_an_ensemble_bends_inputs_for_those_who_want_it():
    net = make_net(n_members=4).fit(X, Y)
    raw = net.forward(X).double().numpy()
    assert raw.shape == (60, 4, 2)
    inputs = net._encoded(X)
    for k, member in enumerate(net.members_):
        own = inputs if member.embedding_ is None else member.embedding_.transform(inputs)
        assert_allclose(raw[:, k], member.module_(torch.from_numpy(own)).detach().numpy(), rtol=1e-4, atol=1e-5)


def test_the_recipe_of_a_single_net_has_no_linear_path():
    net = make_net(n_members=1).fit(X, Y)
    assert net.settings_["linear_path"] is False
    assert not hasattr(net, "members_")


@pytest.mark.parametrize(("effort", "fraction"), [("fast", 0.33), ("default", 0.2), ("best", 0.1)])
def test_auto_on_a_table_is_what_the_docstring_says(effort, fraction):
    X = np.random.default_rng(0).normal(size=(30, 3))
    net = MultiOutputMLPRegressor(effort=effort, n_members=2, max_epochs=1, random_state=0).fit(X, X[:, :2])
    said = {
        "missing_inputs": "impute",
        "categorical_inputs": "one_hot",
        "numeric_embedding": "mixed",
        "linear_path": True,
        "early_stopping": True,
        "validation_fraction": fraction,
    }
    assert {name: net.settings_[name] for name in said} == said
    assert "valid_loss" in net.history_[-1]


@pytest.mark.parametrize(("effort", "n_members"), [("fast", 1), ("default", 1), ("best", 5)])
def test_auto_on_images_is_what_the_docstring_says(effort, n_members):
    X = np.random.default_rng(0).normal(size=(16, 8, 8))
    net = MultiOutputCNNRegressor(effort=effort, max_epochs=1, random_state=0).fit(X, X[:, 0, :2])
    said = {
        "missing_inputs": "error",
        "categorical_inputs": "error",
        "numeric_embedding": None,
        "linear_path": False,
        "early_stopping": False,
        "validation_fraction": 0.1,
        "n_iter_no_change": 10,
        "n_members": n_members,
    }
    assert {name: net.settings_[name] for name in said} == said
    assert "valid_loss" not in net.history_[-1]


def test_predict_refuses_nan_only_where_it_is_not_imputed():
    X = np.random.default_rng(0).normal(size=(30, 3))
    holes = np.array([[np.nan, 0.0, 0.0]])
    fitted = MultiOutputMLPRegressor(n_members=2, max_epochs=1, random_state=0).fit(X, X[:, :2])
    assert np.isfinite(fitted.predict(holes)).all()
    plain = MultiOutputMLPRegressor(effort=None, max_epochs=1, random_state=0).fit(X, X[:, :2])
    with pytest.raises(ValueError, match="NaN"):
        plain.predict(holes)
