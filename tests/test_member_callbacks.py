"""Callbacks of ensembles: each member has its own, which writes files of its own."""

import io
import pickle
import re
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning
from skorch.callbacks import Callback, Checkpoint, LoadInitState, TrainEndCheckpoint

from skmulti import MultiOutputCNNRegressor, MultiOutputMLPRegressor
from skmulti.model_selection import BatchedGridSearchCV, cross_validate

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3)).astype("float32")
Y = X @ RNG.normal(size=(3, 2)) + RNG.normal(size=(60, 2))
IMAGES = RNG.normal(size=(40, 8, 8)).astype("float32")
NUMBERS = [f"{number:02d}" for number in range(1, 7)]


class Remembers(Callback):
    """Keeps state that is no parameter: scikit-learn can't clone it."""

    def __init__(self):
        self.seen = []

    def on_epoch_end(self, net, **kwargs):
        self.seen.append(net.history[-1, "train_loss"])


class Locked(Callback):
    def __init__(self):
        self.lock = threading.Lock()


class Reports(Callback):
    def __init__(self, trial):
        self._trial = trial

    def on_epoch_end(self, net, **kwargs):
        self._trial.report(net.history[-1, "valid_loss"], step=len(net.history))


def default_net(callbacks, **params):
    return MultiOutputMLPRegressor(
        **{"effort": "fast", "max_epochs": 2, "random_state": 0, "callbacks": callbacks, **params}
    )


def plain_ensemble(callbacks, **params):
    return MultiOutputMLPRegressor(
        (4,), **{"effort": None, "n_members": 2, "max_epochs": 2, "random_state": 0, "callbacks": callbacks, **params}
    )


def files_in(folder):
    return sorted(path.name for path in Path(folder).iterdir())


def test_a_callback_with_state_of_its_own_has_a_copy_in_each_member():
    given = Remembers()
    net = default_net([("seen", given)]).fit(X, Y)
    copies = [dict(member.callbacks_)["seen"] for member in net.members_]
    assert len({id(copy) for copy in copies}) == 6
    for member, copy in zip(net.members_, copies, strict=True):
        assert copy.seen == member.history_[:, "train_loss"]
    assert given.seen == []


def test_a_callback_with_state_of_its_own_may_be_set_live_and_go_on():
    net = plain_ensemble([("seen", Remembers())]).fit(X, Y)
    net.set_params(callbacks__seen=Remembers()).partial_fit(X, Y)
    assert [len(dict(member.callbacks_)["seen"].seen) for member in net.members_] == [2, 2]


@pytest.mark.parametrize(("name", "shown"), [(None, "Locked"), ("mine", "'mine' (Locked)")])
def test_a_callback_that_no_copy_can_be_made_of_is_refused_by_name(name, shown):
    callback = Locked()
    net = default_net([callback if name is None else (name, callback)])
    with pytest.raises(ValueError, match=re.escape(f"Got {shown}, whose copy fails with TypeError: ")) as caught:
        net.fit(X, Y)
    assert str(caught.value).startswith(
        "The 'callbacks' parameter of an ensemble must hold callbacks that can be copied, since each member needs"
    )
    assert str(caught.value).endswith("or use n_members=1.")
    # The ways out that it names.
    net.set_params(callbacks=[Locked]).fit(X, Y)
    net.set_params(callbacks=[callback], n_members=1).fit(X, Y)


def test_a_refused_callback_loses_no_fitted_net():
    net = plain_ensemble([]).fit(X, Y)
    expected = net.predict(X)
    with pytest.raises(ValueError, match="can be copied"):
        net.set_params(callbacks=[Locked()])
    with pytest.raises(ValueError, match="can be copied"):
        plain_ensemble([Locked()]).fit(X, Y)
    np.testing.assert_array_equal(net.predict(X), expected)


def test_a_trial_of_optuna_is_refused_in_an_ensemble_and_told_of_one_net():
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    trial = optuna.create_study().ask()
    message = (
        "The 'callbacks' parameter of an ensemble must hold callbacks that can be copied for each member. Got "
        "Reports, which reports a single net to an Optuna trial; use n_members=1."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        default_net([Reports(trial)]).fit(X, Y)
    net = default_net([Reports(trial)], n_members=1).fit(X, Y)
    assert list(trial.study.trials[0].intermediate_values.values()) == net.history_[:, "valid_loss"]


def test_checkpoints_of_members_are_files_of_their_own(tmp_path):
    checkpoint = Checkpoint(dirname=str(tmp_path), fn_prefix="best_", f_pickle="net.pkl")
    net = default_net([checkpoint]).fit(X, Y)
    assert files_in(tmp_path) == sorted(
        f"best_{name}_member_{number}.{extension}"
        for name, extension in [
            ("params", "pt"), ("optimizer", "pt"), ("criterion", "pt"), ("history", "json"), ("net", "pkl"),
        ]
        for number in NUMBERS
    )  # fmt: skip
    # What the user gave is as it was.
    assert checkpoint.f_params == "params.pt"
    for number, member in zip(NUMBERS, net.members_, strict=True):
        kept = pickle.loads((tmp_path / f"best_net_member_{number}.pkl").read_bytes())
        assert kept.random_state == member.random_state


def test_each_member_loads_its_own_best_checkpoint(tmp_path):
    net = default_net([Checkpoint(dirname=str(tmp_path), load_best=True)], max_epochs=8, early_stopping=True)
    net.fit(X, Y)
    for number, member in zip(NUMBERS, net.members_, strict=True):
        saved = torch.load(tmp_path / f"params_member_{number}.pt", weights_only=True)
        for name, value in member.module_.state_dict().items():
            torch.testing.assert_close(value, saved[name])


@pytest.mark.parametrize("cls", [Checkpoint, TrainEndCheckpoint])
def test_each_member_goes_on_from_its_own_checkpoint(cls, tmp_path):
    options = {"monitor": None} if cls is Checkpoint else {}
    checkpoint = cls(dirname=str(tmp_path), **options)
    net = default_net([checkpoint, LoadInitState(checkpoint)]).fit(X, Y)
    first = [member.history_[:, "train_loss"] for member in net.members_]
    assert len({losses[0] for losses in first}) == 6
    net.fit(X, Y)
    assert [member.history_[:2, "train_loss"] for member in net.members_] == first
    assert [len(member.history_) for member in net.members_] == [4] * 6
    assert net.n_iter_ == 4


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("params_{last_epoch[epoch]}.pt", ["params_1_member_{}.pt", "params_2_member_{}.pt"]),
        ("params_{last_epoch[epoch]:.1f}", ["params_1.0_member_{}", "params_2.0_member_{}"]),
        ("params", ["params_member_{}"]),
    ],
)
def test_names_may_have_format_specifiers_or_no_extension(given, written, tmp_path):
    others = {"f_optimizer": None, "f_criterion": None, "f_history": None}
    checkpoint = Checkpoint(monitor=None, dirname=str(tmp_path), f_params=given, **others)
    plain_ensemble([checkpoint]).fit(X, Y)
    assert files_in(tmp_path) == sorted(name.format(number) for name in written for number in NUMBERS[:2])


def test_names_may_be_paths_and_members_may_train_in_turn(tmp_path):
    others = {"f_optimizer": None, "f_criterion": None, "f_history": None}
    checkpoint = Checkpoint(monitor=None, f_params=tmp_path / "params.pt", **others)
    net = MultiOutputCNNRegressor(effort=None, n_members=2, max_epochs=1, callbacks=[checkpoint])
    net.fit(IMAGES, IMAGES[:, 0, :2])
    assert files_in(tmp_path) == ["params_member_01.pt", "params_member_02.pt"]


def test_files_keep_their_numbers_when_a_net_goes_on_and_when_they_are_named_anew(tmp_path):
    others = {"f_optimizer": None, "f_criterion": None, "f_history": None}
    net = plain_ensemble([("save", Checkpoint(monitor=None, dirname=str(tmp_path), **others))]).fit(X, Y)
    net.partial_fit(X, Y)
    assert files_in(tmp_path) == ["params_member_01.pt", "params_member_02.pt"]
    net.set_params(callbacks__save__f_params="other.pt").partial_fit(X, Y)
    assert files_in(tmp_path)[:2] == ["other_member_01.pt", "other_member_02.pt"]
    clone(net).set_params(callbacks__save__f_params="third.pt").fit(X, Y)
    assert files_in(tmp_path)[-2:] == ["third_member_01.pt", "third_member_02.pt"]


def test_a_single_net_writes_the_files_that_were_named(tmp_path):
    default_net([TrainEndCheckpoint(dirname=str(tmp_path))], n_members=1).fit(X, Y)
    assert files_in(tmp_path) == [
        f"train_end_{n}" for n in ("criterion.pt", "history.json", "optimizer.pt", "params.pt")
    ]


def test_an_open_file_is_no_file_for_several_members():
    file = io.BytesIO()
    message = (
        "The 'f_params' parameter of the callback 'Checkpoint' must be the name of a file, since each member of an "
        "ensemble writes its own. Got <_io.BytesIO"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        default_net([Checkpoint(f_params=file)]).fit(X, Y)


def test_ensembles_in_a_search_write_files_with_numbers(tmp_path):
    cross_validate(plain_ensemble([TrainEndCheckpoint(dirname=str(tmp_path), fn_prefix="")]), X, Y, cv=2)
    assert "params_member_01.pt" in files_in(tmp_path)
    assert "params.pt" not in files_in(tmp_path)


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite:UserWarning")
def test_a_refused_callback_is_an_error_of_its_own_fit_in_a_search():
    grid = {"callbacks": [None, [Locked], [Checkpoint(f_params=io.BytesIO())]]}
    search = BatchedGridSearchCV(plain_ensemble(None), grid, cv=2, refit=False)
    with pytest.warns(FitFailedWarning, match="must be the name of a file"):
        search.fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).tolist() == [True, True, False]
