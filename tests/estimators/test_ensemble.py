"""Ensembles: members that learn for themselves, and what they say together."""

import copy
import os
import pickle
import re
import signal

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback, EpochScoring, LRScheduler
from torch.utils.data import Subset

from skmulti import (
    MultiHeadRegressor,
    MultiOutputCNNRegressor,
    MultiOutputMLPRegressor,
    MultiOutputNetRegressor,
    TrainingDivergedError,
)
from skmulti.losses import Quantile
from skmulti.metrics import column_scorers
from skmulti.prediction import SplitConformalRegressor
from skmulti.training import TensorLoader
from skmulti.training.stack.train import TrainingTask, train_tasks
from tests.losses.every_loss import EVERY_EXAMPLE

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3)).astype("float32")
Y = pd.DataFrame(
    {
        "length": 500 + 100 * X[:, 0] + 20 * RNG.normal(size=60),
        "angle": np.rad2deg(np.arctan2(X[:, 0], X[:, 1])) % 360,
        "price": 7 * X[:, 2],
    }
)
LOSS = {"length": "gaussian_nll", "angle": "von_mises_nll"}


def make_net(**params):
    defaults = {"loss": LOSS, "n_members": 3, "max_epochs": 4, "lr": 0.01, "random_state": 0, "batch_size": 16}
    return MultiOutputMLPRegressor((8,), effort=None, **{**defaults, **params})


def parameters_of(net):
    return torch.cat([parameter.detach().flatten() for parameter in net.module_.parameters()])


def assert_same_parameters(net, other, tol=1e-5):
    # A stack sums in another order than a net alone.
    assert_allclose(parameters_of(net), parameters_of(other), rtol=tol, atol=tol)


@pytest.fixture(scope="module")
def fitted():
    return make_net().fit(X, Y)


# Members.


def test_a_single_net_has_no_members():
    net = make_net(n_members=1, max_epochs=1).fit(X, Y)
    assert not hasattr(net, "members_")
    assert_array_equal(net.predict(X), make_net(max_epochs=1).set_params(n_members=1).fit(X, Y).predict(X))


def test_members_are_nets_of_the_same_class_with_seeds_of_their_own(fitted):
    assert [type(member) for member in fitted.members_] == [MultiOutputMLPRegressor] * 3
    assert len({member.random_state for member in fitted.members_}) == 3
    assert not torch.equal(parameters_of(fitted.members_[0]), parameters_of(fitted.members_[1]))
    own = ("n_members", "bootstrap", "random_state", "verbose")
    # What the ensemble was left to choose is chosen once, for all members.
    chosen = {**fitted.get_params(), **fitted.settings_}
    for member in fitted.members_:
        given = {name: value for name, value in member.get_params().items() if name not in own}
        assert given == {name: value for name, value in chosen.items() if name not in own}
        assert member.n_members == 1
        assert list(member.target_names_) == list(Y)


def test_members_of_a_smaller_ensemble_are_the_first_of_a_larger_one(fitted):
    larger = make_net(n_members=5).fit(X, Y)
    for member, same in zip(fitted.members_, larger.members_, strict=False):
        assert member.random_state == same.random_state
        assert_same_parameters(member, same)


@pytest.mark.parametrize("training_loop", ["auto", "skorch"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_member_is_the_net_that_its_seed_gives_alone(training_loop, early_stopping):
    params = {"training_loop": training_loop, "early_stopping": early_stopping, "n_iter_no_change": 2, "lr": 0.1}
    net = make_net(max_epochs=15, **params).fit(X, Y)
    assert (len({member.n_iter_ for member in net.members_}) > 1) == early_stopping
    for member in net.members_:
        alone = clone(member).fit(X, Y)
        assert alone.n_iter_ == member.n_iter_
        assert_same_parameters(member, alone, tol=1e-3)
        assert_allclose(alone.history_[:, "train_loss"], member.history_[:, "train_loss"], rtol=1e-3)


@pytest.mark.parametrize("random_state", [0, np.random.RandomState(0), None], ids=["int", "RandomState", "None"])
def test_random_state_is_that_of_scikit_learn(random_state):
    states = torch.get_rng_state()
    first, second = (make_net(random_state=random_state, max_epochs=1).fit(X, Y) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), states)
    assert torch.equal(parameters_of(first), parameters_of(second)) == (random_state == 0)


def test_a_grid_search_chooses_the_number_of_members():
    search = GridSearchCV(make_net(max_epochs=2), {"n_members": [1, 2]}, cv=2, scoring=column_scorers(list(Y)),
                          refit="mean_r2").fit(X, Y)  # fmt: skip
    assert search.best_estimator_.n_members in (1, 2)
    assert np.isfinite(search.cv_results_["mean_test_mean_r2"]).all()


@pytest.mark.parametrize(
    "net",
    [
        MultiOutputNetRegressor(module__hidden_layer_sizes=(4,)),
        MultiHeadRegressor(heads={"a": [0, 1], "b": [2]}, optimizer__param_groups=[("heads.a.*", {"lr": 0.1})]),
        MultiOutputCNNRegressor((2,), effort=None, image_shape=(1, 3), hidden_layer_sizes=(4,), normalization="batch"),
        MultiOutputMLPRegressor((4,), effort=None, optimizer=torch.optim.LBFGS, batch_size=-1),
    ],
    ids=lambda net: type(net).__name__,
)
def test_each_estimator_makes_ensembles(net):
    net.set_params(n_members=2, bootstrap=True, max_epochs=2, random_state=0).fit(X, Y)
    assert net.predict(X, return_std=True)[1].shape == (60, 3)
    assert net.module_(torch.from_numpy(X)).shape == (60, 2, 3)


# What members say together.


@pytest.mark.parametrize("example", EVERY_EXAMPLE, ids=lambda example: example.name)
def test_every_loss_works_in_an_ensemble(example):
    y = example.draw(np.random.default_rng(0), 60)
    columns = tuple(range(example.n_columns))
    loss = {columns if len(columns) > 1 else 0: example.loss}
    net = make_net(loss=loss, n_members=2, max_epochs=2).fit(X, y)
    y_pred, y_std = net.predict(X, return_std=True)
    each = torch.stack([torch.from_numpy(member.predict(X)) for member in net.members_])
    scaler, fitted_loss = net.target_scaler_, net.terms_[0].loss
    scaled = fitted_loss.mean_prediction((each - torch.from_numpy(scaler.center)) / torch.from_numpy(scaler.scale))
    assert_allclose(y_pred, scaled.numpy() * scaler.scale + scaler.center, atol=1e-9)
    assert (y_std > 0).all()
    assert np.isfinite(net.residuals(X, y)).all()
    assert np.isfinite(net.score(X, y))
    if fitted_loss.supports("quantiles"):
        levels = [0.5] if example.name == "quantile" else [0.3, 0.5, 0.8]
        read = net.predict_quantiles(X, levels)
        assert (np.diff(read, axis=-1) >= 0).all()
    if fitted_loss.supports("log_likelihood"):
        assert np.isfinite(net.negative_log_likelihood(X, y)).all()


def test_the_standard_deviation_is_that_of_the_law_of_total_variance(fitted):
    y_pred, y_std = fitted.predict(X, return_std=True)
    read = [member.predict(X, return_std=True, columns=["length", "angle"]) for member in fitted.members_]
    means, stds = (np.stack(values) for values in zip(*read, strict=True))
    prices = np.stack([member.predict(X, columns="price") for member in fitted.members_])
    assert_allclose(y_pred[:, 0], means[..., 0].mean(0))
    assert_allclose(y_std[:, 0], np.sqrt((stds[..., 0] ** 2).mean(0) + means[..., 0].var(0)))
    apart = (means[..., 1] - y_pred[:, 1] + 180) % 360 - 180
    assert_allclose(y_std[:, 1], np.sqrt((stds[..., 1] ** 2 + apart**2).mean(0)))
    # The squared error knows no noise: its members only disagree.
    assert_allclose(y_pred[:, 2], prices.mean(0), atol=1e-6)
    assert_allclose(y_std[:, 2], prices.std(0), rtol=1e-6)


def test_the_mean_of_angles_goes_across_the_end_of_the_period(fitted):
    each = np.stack([member.predict(X, columns="angle") for member in fitted.members_])
    across = np.ptp(each, axis=0) > 300
    assert across.any()
    found = fitted.predict(X, columns="angle")
    turns = np.deg2rad(each)
    expected = np.rad2deg(np.arctan2(np.sin(turns).mean(0), np.cos(turns).mean(0))) % 360
    assert_allclose(found, expected)
    assert (np.abs(found - each.mean(0))[across] > 30).all()


def test_quantiles_are_the_means_of_those_of_the_members(fitted):
    levels = [0.1, 0.5, 0.9]
    read = fitted.predict_quantiles(X, levels, columns=["length", "angle"])
    each = np.stack([m.predict_quantiles(X, levels, columns=["length", "angle"]) for m in fitted.members_])
    assert_allclose(read[:, 0], each[:, :, 0].mean(0))
    angles = np.stack([member.predict(X)[:, 1] for member in fitted.members_])
    joint = fitted.predict(X)[:, 1]
    near = joint + (angles - joint + 180) % 360 - 180
    assert_allclose(read[:, 1], (each[:, :, 1] - angles[..., None] + near[..., None]).mean(0))
    assert_array_equal(fitted.predict_interval(X, 0.8, columns="length"), read[:, 0][:, [0, 2]])


def test_the_median_of_several_quantiles_is_the_prediction():
    net = make_net(loss=Quantile((0.1, 0.5, 0.9))).fit(X, Y[["length", "price"]])
    assert_allclose(net.predict_quantiles(X, 0.5)[..., 0], net.predict(X))


def test_the_likelihood_is_that_of_the_mixture_of_the_joint_densities(fitted):
    columns = ["length", "angle"]
    each = np.stack([m.negative_log_likelihood(X, Y, columns=columns) for m in fitted.members_])
    found = fitted.negative_log_likelihood(X, Y, columns=columns)
    assert_allclose(found, -np.log(np.exp(-each).mean(0)))
    length = [m.predict(X, return_std=True, columns="length") for m in fitted.members_]
    densities = [stats.norm(mean, std).pdf(Y["length"]) for mean, std in length]
    assert_allclose(fitted.negative_log_likelihood(X, Y, columns="length"), -np.log(np.mean(densities, axis=0)), 1e-3)
    holes = Y.copy()
    holes.iloc[::3] = np.nan
    assert_allclose(fitted.negative_log_likelihood(X, holes, columns=columns)[::3], 0, atol=1e-12)


def test_columns_of_an_ensemble_are_asked_for_as_of_a_net(fitted):
    y_pred, y_std = fitted.predict(X, return_std=True)
    found = fitted.predict(X, return_std=True, columns=["price", "length"])
    assert_array_equal(found[0], y_pred[:, [2, 0]])
    assert_array_equal(found[1], y_std[:, [2, 0]])
    with pytest.raises(ValueError, match="Losses of these columns give no quantiles: 'price'"):
        fitted.predict_interval(X)


def test_a_row_is_the_same_whatever_rows_are_beside_it(fitted):
    assert_array_equal(fitted.predict(X[7:8]), fitted.predict(X)[7:8])


def test_score_and_residuals_are_those_of_the_prediction(fitted):
    expected = Y - fitted.predict(X)
    expected["angle"] = (expected["angle"] + 180) % 360 - 180
    assert_allclose(fitted.residuals(X, Y), expected)
    single = make_net(n_members=1).fit(X, Y)
    single.predict = lambda X: fitted.predict(X)
    assert fitted.score(X, Y) == pytest.approx(single.score(X, Y))


def test_one_dimensional_targets_stay_so():
    net = make_net(loss="gaussian_nll", n_members=2, max_epochs=2).fit(X, Y["length"])
    y_pred, y_std = net.predict(X, return_std=True)
    assert y_pred.shape == y_std.shape == net.negative_log_likelihood(X, Y["length"]).shape == (60,)
    assert net.predict_interval(X).shape == (60, 2)


def test_a_conformal_wrapper_takes_an_ensemble():
    inner = make_pipeline(StandardScaler(), make_net(n_members=2))
    conformal = SplitConformalRegressor(inner, calibration_fraction=0.4, random_state=0).fit(X, Y)
    assert conformal.predict_interval(X).shape == (60, 3, 2)


# Training.


class Seen(Callback):
    """Notes whether it was called, in a list of all its clones."""

    calls = []

    def __init__(self, stop_after=99):
        self.stop_after = stop_after

    def on_epoch_end(self, net, **kwargs):
        Seen.calls.append((id(self), net.random_state, len(net.history)))
        if len(net.history) == self.stop_after:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def seen():
    Seen.calls = []
    return Seen.calls


def test_callbacks_run_once_for_each_member(seen, tmp_path):
    schedule = LRScheduler(torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.1)
    score = EpochScoring("r2", lower_is_better=False, name="r2")
    given = Seen()
    net = make_net(callbacks=[given, ("schedule", schedule), score], early_stopping=True, max_epochs=3).fit(X, Y)
    assert sorted({number for _, _, number in seen}) == [1, 2, 3]
    assert len({one for one, _, _ in seen}) == len({seed for _, seed, _ in seen}) == 3
    assert id(given) not in {one for one, _, _ in seen}
    for member in net.members_:
        assert member.optimizer_.param_groups[0]["lr"] == pytest.approx(1e-5)
    assert np.isfinite(net.history_[:, "r2"]).all()


def test_the_history_has_the_means_over_members_that_still_trained():
    net = make_net(max_epochs=15, lr=0.1, early_stopping=True, n_iter_no_change=2).fit(X, Y)
    lengths = [member.n_iter_ for member in net.members_]
    assert len(set(lengths)) > 1
    assert net.n_iter_ == len(net.history_) == max(lengths)
    assert net.history_[:, "epoch"] == list(range(1, max(lengths) + 1))
    for name in ("train_loss", "valid_loss", "train_loss__angle"):
        for i in range(max(lengths)):
            values = [m.history_[i, name] for m in net.members_ if len(m.history_) > i]
            assert net.history_[i, name] == pytest.approx(np.mean(values))
    assert net.training_loop_ == net.members_[0].training_loop_


def test_verbose_prints_the_history_of_the_ensemble_and_of_no_member(capsys):
    make_net(verbose=1, max_epochs=2).fit(X, Y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    make_net(verbose=1, max_epochs=2, n_members=1).fit(X, Y)
    assert lines[0] == capsys.readouterr().out.splitlines()[0]


def test_weights_of_rows_missing_targets_and_validation_rows_reach_the_members():
    weights = RNG.uniform(0.5, 2, 60)
    holes = Y.mask(RNG.random(Y.shape) < 0.3)
    net = make_net(missing_targets="mask", early_stopping=True)
    net.fit(X[:40], holes[:40], weights[:40], X_val=X[40:], y_val=Y[40:], sample_weight_val=weights[40:])
    for member in net.members_:
        alone = clone(member).fit(X[:40], holes[:40], weights[:40], X_val=X[40:], y_val=Y[40:],
                                  sample_weight_val=weights[40:])  # fmt: skip
        assert_same_parameters(member, alone, tol=1e-4)


def test_an_ensemble_is_trained_among_other_nets(fitted):
    first, second = make_net(), make_net(n_members=1)
    rows, holdout = first._begin(X, Y, None, (None, None, None))
    second._begin_beside(first, rows, holdout)
    nets = [TrainingTask(first, rows), TrainingTask(second, rows)]
    train_tasks(nets)
    assert [one.error for one in nets] == [None, None]
    assert_same_parameters(first, fitted)
    assert_same_parameters(second, make_net(n_members=1).fit(X, Y))
    assert_allclose(second.predict(X), make_net(n_members=1).fit(X, Y).predict(X), rtol=1e-3)


@pytest.mark.parametrize("first", ["fit", "partial_fit"])
def test_going_on_is_what_one_longer_training_is(first):
    one = getattr(make_net(max_epochs=3), first)(X, Y).partial_fit(X, Y)
    warm = make_net(max_epochs=3, warm_start=True).fit(X, Y).fit(X, Y)
    longer = make_net(max_epochs=6).fit(X, Y)
    assert one.n_iter_ == warm.n_iter_ == 6
    assert_same_parameters(one, longer)
    assert_same_parameters(warm, longer)
    assert_allclose(one.history_[:, "train_loss"], longer.history_[:, "train_loss"], rtol=1e-4)


def test_a_bootstrap_goes_on_with_the_rows_that_it_drew():
    one = make_net(max_epochs=3, bootstrap=True).fit(X, Y).partial_fit(X, Y)
    assert_same_parameters(one, make_net(max_epochs=6, bootstrap=True).fit(X, Y))


def test_parameters_set_on_an_ensemble_reach_its_members():
    net = make_net(max_epochs=1).fit(X, Y)
    alone = [clone(member).fit(X, Y) for member in net.members_]
    changes = {"lr": 0.1, "max_epochs": 2, "loss_weights__angle": 5.0, "optimizer__weight_decay": 0.1}
    net.set_params(**changes).partial_fit(X, Y)
    assert net.n_iter_ == 3
    for member, one in zip(net.members_, alone, strict=True):
        one.set_params(**changes).partial_fit(X, Y)
        assert one.n_iter_ == member.n_iter_ == 3
        assert member.terms_[1].weight == 5.0
        assert_same_parameters(member, one)


def test_live_parameters_take_effect_at_once(fitted, seen):
    net = copy.deepcopy(fitted).set_params(lr=0.5, callbacks=[Seen()])
    for member in net.members_:
        assert member.lr == member.optimizer_.param_groups[0]["lr"] == 0.5
        assert "Seen" in dict(member.callbacks_)
    net.partial_fit(X, Y)
    assert len({seed for _, seed, _ in seen}) == 3


def test_another_module_is_built_for_each_member_at_once():
    net = MultiOutputNetRegressor(n_members=2, max_epochs=1, random_state=0).fit(X, Y)
    net.set_params(module__hidden_layer_sizes=(5,))
    for member, module in zip(net.members_, net.module_.members, strict=True):
        assert member.module_ is module
        assert next(module.parameters()).shape == (5, 3)
    assert net.partial_fit(X, Y).predict(X).shape == (60, 3)


def test_a_net_becomes_an_ensemble_and_back():
    net = make_net(n_members=1, max_epochs=1).fit(X, Y)
    single = net.predict(X)
    assert len(net.set_params(n_members=2).fit(X, Y).members_) == 2
    assert net.set_params(n_members=1).fit(X, Y).optimizer_ is not None
    assert not hasattr(net, "members_")
    assert_array_equal(net.predict(X), single)


# Bootstrap.


class RecordsRows(TensorLoader):
    """Notes the rows that nets learn from, and those that they are validated on."""

    learned, validated = [], []

    def __init__(self, dataset, **params):
        super().__init__(dataset, **params)
        rows = dataset.indices if isinstance(dataset, Subset) else range(len(dataset))
        (self.learned if params.get("shuffle") else self.validated).append(np.asarray(rows))


@pytest.mark.parametrize("bootstrap", [False, True])
def test_a_bootstrap_draws_rows_to_learn_from_and_never_those_to_validate_on(bootstrap):
    RecordsRows.learned, RecordsRows.validated = [], []
    make_net(bootstrap=bootstrap, early_stopping=True, max_epochs=1, iterator_train=RecordsRows,
             iterator_valid=RecordsRows).fit(X, Y)  # fmt: skip
    pairs = {tuple(map(tuple, pair)) for pair in zip(RecordsRows.learned, RecordsRows.validated, strict=False)}
    assert len(pairs) == 3
    for learned, validated in pairs:
        assert len(learned) == 54
        assert len(validated) == 6
        assert not set(learned) & set(validated)
        assert (len(set(learned)) < 45) == bootstrap


def test_a_bootstrap_draws_from_all_rows_where_none_are_set_aside():
    net = make_net(bootstrap=True, max_epochs=1)
    net.initialize(X, Y)
    drawn = []
    for member in net.members_:
        train, valid = member.get_split_datasets(X, Y.to_numpy())
        again, _ = member.get_split_datasets(X, Y.to_numpy())
        assert valid is None
        assert len(train) == 60
        assert 25 < len(set(train.indices)) < 50
        assert_array_equal(train.indices, again.indices)
        assert train.dataset.X is X
        drawn.append(tuple(train.indices))
    assert len(set(drawn)) == 3


# Keeping.


@pytest.mark.parametrize("keep", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_a_copy_shares_parameters_with_its_own_members(fitted, keep):
    kept = keep(fitted)
    assert_array_equal(kept.predict(X), fitted.predict(X))
    for member, module in zip(kept.members_, kept.module_.members, strict=True):
        assert member.module_ is module
    assert len(pickle.dumps(fitted)) < 4.5 * len(pickle.dumps(fitted.members_[0]))
    kept.partial_fit(X, Y)
    assert not np.array_equal(kept.predict(X), fitted.predict(X))


def test_parameters_are_saved_and_loaded(fitted, tmp_path):
    fitted.save_params(f_params=tmp_path / "net.pt", f_history=tmp_path / "history.json")
    other = make_net(random_state=1).initialize(X, Y)
    assert not np.array_equal(other.predict(X), fitted.predict(X))
    other.load_params(f_params=tmp_path / "net.pt", f_history=tmp_path / "history.json")
    assert_array_equal(other.predict(X), fitted.predict(X))
    assert_array_equal(other.members_[2].predict(X), fitted.members_[2].predict(X))
    assert other.history_[:, "train_loss"] == fitted.history_[:, "train_loss"]
    assert set(fitted.module_.state_dict()) == {
        f"members.{k}.{name}" for k in range(3) for name in fitted.members_[0].module_.state_dict()
    }


def test_an_ensemble_is_initialized_without_data_where_it_was_fitted(fitted):
    net = copy.deepcopy(fitted)
    net.initialize()
    fresh = make_net().initialize(X, Y)
    assert_array_equal(net.predict(X), fresh.predict(X))
    assert not np.array_equal(net.predict(X), fitted.predict(X))


def test_skorchs_forward_gives_the_raw_outputs_of_all_members(fitted):
    raw = fitted.forward(X)
    assert raw.shape == (60, 3, 5)
    assert_allclose(raw[:, 1], fitted.members_[1].forward(X), rtol=1e-6)


def test_an_ensemble_is_trimmed_for_prediction(fitted):
    net = copy.deepcopy(fitted)
    net.trim_for_prediction()
    assert all(member.optimizer_ is None for member in net.members_)
    assert_array_equal(net.predict(X), fitted.predict(X))


# Misuse.


@pytest.mark.parametrize("n_members", [0, -1, "4", 2.5, None], ids=str)
def test_a_number_of_members_that_is_none_is_refused(n_members):
    message = (
        "The 'n_members' parameter of MultiOutputMLPRegressor must be an int in the range [1, inf) or a str among "
        f"{{'auto'}}. Got {n_members!r} instead."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make_net(n_members=n_members).fit(X, Y)


def test_a_single_net_refuses_a_bootstrap():
    message = (
        "The 'bootstrap' parameter must be False for a single net, which learns from all rows. Got True; let each "
        "member of an ensemble draw its own rows with n_members=2 or more."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make_net(n_members=1, bootstrap=True).fit(X, Y)


@pytest.mark.parametrize(("before", "after"), [(3, 2), (2, 1), (1, 2)])
def test_another_number_of_members_is_refused_where_training_goes_on(before, after):
    net = make_net(n_members=before, max_epochs=1).fit(X, Y)
    y_pred = net.predict(X)
    message = (
        "The 'n_members' parameter must stay as it is in a net that goes on training. "
        f"Got {after} instead of {before}; use fit with warm_start=False."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        net.set_params(n_members=after).partial_fit(X, Y)
    assert_array_equal(net.predict(X), y_pred)


NO_ROWS = {"train_split": lambda dataset, y, **params: (Subset(dataset, []), None)}


@pytest.mark.parametrize(
    ("method", "X_bad", "params", "message"),
    [
        ("fit", np.full_like(X, np.nan), {}, "NaN"),
        ("partial_fit", np.full_like(X, np.nan), {}, "NaN"),
        ("fit", X, {"loss": "gamma"}, "requires positive targets"),
        ("partial_fit", X, {"loss": {"length": "huber"}}, "must keep the raw outputs"),
        ("fit", X, {"optimizer__param_groups": [("nothing", {"lr": 0.1})]}, "patterns that match parameters"),
        ("fit", X, NO_ROWS, "must leave rows"),
        ("partial_fit", X, NO_ROWS, "must leave rows"),
    ],
)
def test_bad_input_never_loses_a_fitted_ensemble(fitted, method, X_bad, params, message):
    net = copy.deepcopy(fitted).set_params(**params)
    y_pred, members = net.predict(X), net.members_
    before = [vars(member).copy() for member in members]
    with pytest.raises(ValueError, match=message):
        getattr(net, method)(X_bad, Y - 5000)
    assert net.members_ is members
    assert [vars(member) for member in members] == before
    assert_array_equal(net.predict(X), y_pred)
    assert net.n_iter_ == 4


@pytest.mark.parametrize("training_loop", ["auto", "skorch"])
def test_a_member_that_diverges_is_named(training_loop):
    net = make_net(loss="squared_error", training_loop=training_loop).fit(X, Y)
    y_pred = net.predict(X)
    with pytest.raises(TrainingDivergedError, match=r"^Member 1 of 3: .*epoch 1:"):
        net.set_params(optimizer=torch.optim.SGD, lr=1e12).fit(X, Y)
    assert_array_equal(net.predict(X), y_pred)


@pytest.mark.usefixtures("ctrl_c_is_heard")
@pytest.mark.parametrize("training_loop", ["auto", "skorch"])
def test_ctrl_c_keeps_the_members_that_have_learned(seen, training_loop):
    net = make_net(callbacks=[Seen(stop_after=2)], max_epochs=30, training_loop=training_loop)
    with pytest.warns(UserWarning, match="interrupted after 2 epochs"):
        net.fit(X, Y)
    # Trained sequentially, two have not begun.
    assert len(net.members_) == (3 if training_loop == "auto" else 1)
    assert all(1 <= member.n_iter_ <= 2 for member in net.members_)
    assert np.isfinite(net.predict(X)).all()


def test_the_optimizers_of_an_ensemble_are_not_saved_apart(tmp_path):
    net = make_net().fit(X, Y)
    with pytest.raises(ValueError, match="'f_optimizer' argument must be None for an ensemble"):
        net.save_params(f_params=tmp_path / "net.pt", f_optimizer=tmp_path / "optimizer.pt")
    net.save_params(f_params=tmp_path / "net.pt")
    twin = make_net(random_state=5).initialize(X, Y)
    twin.load_params(f_params=tmp_path / "net.pt")
    np.testing.assert_array_equal(twin.predict(X), net.predict(X))


@pytest.mark.parametrize(
    ("loss", "n_columns", "params"),
    [
        ("squared_error", 1, {}),
        ("squared_error", 3, {}),
        ("absolute_error", 1, {}),
        ("circular", 2, {}),
        ("unit_vector", 3, {}),
        (["huber", "gaussian_nll", "squared_error"], 3, {}),
        ("squared_error", 2, {"effort": None}),
    ],
    ids=str,
)
def test_many_rows_are_each_predicted_as_alone_to_the_last_digit(loss, n_columns, params):
    rng = np.random.default_rng(0)
    table, rows = rng.normal(size=(100, 8)), rng.normal(size=(201, 8))
    targets = table[:, :n_columns] + np.abs(table[:, [3]])
    given = {("y0", "y1", "y2"): loss} if loss == "unit_vector" else loss
    if loss == "unit_vector":
        targets /= np.linalg.norm(targets, axis=1, keepdims=True)
    net = MultiOutputMLPRegressor(loss=given, max_epochs=3, random_state=0, **params).fit(table, targets)
    together = net.predict(rows)
    # torch computes sines on several numbers at once, and those left over by another function.
    rtol = 1e-12 if loss == "circular" else 0
    assert_allclose(np.concatenate([net.predict(rows[i : i + 1]) for i in range(201)]), together, rtol=rtol)
    assert_allclose(np.concatenate([net.predict(rows[:7]), net.predict(rows[7:])]), together, rtol=rtol)
