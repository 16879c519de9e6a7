"""The default estimator, an ensemble beside a ridge regression, in what the other tests ask of plain nets."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import r2_score
from sklearn.model_selection import GroupKFold, train_test_split
from skorch.callbacks import Callback
from skorch.dataset import ValidSplit

from skmulti import MultiOutputMLPRegressor, TrainingDivergedError
from skmulti.datasets import load_breast_cancer_measurements

rng = np.random.default_rng(0)
X = rng.normal(size=(90, 4))
Y = np.column_stack([X[:, 0] + X[:, 1], np.abs(X[:, 2]), 100 * X[:, 3] + rng.normal(size=90)])


def make_default(**params):
    # As by default, with fewer members and epochs.
    return MultiOutputMLPRegressor(**{"n_members": 3, "max_epochs": 5, "random_state": 0, **params})


class Epochs(Callback):
    """Count the trainings and the epochs that any copy of this callback sees."""

    seen: list = []

    def on_train_begin(self, net, **kwargs):
        self.seen.append("begin")

    def on_epoch_end(self, net, **kwargs):
        self.seen.append("epoch")


class Break(Callback):
    """Raise an error in an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == self.epoch:
            raise KeyError("broken")


def test_it_is_as_accurate_on_real_measurements_as_the_readme_says():
    X, Y = load_breast_cancer_measurements(return_X_y=True)
    X_train, X_test, Y_train, Y_test = train_test_split(X, Y, random_state=0)
    net = MultiOutputMLPRegressor(random_state=0).fit(X_train, Y_train)
    assert r2_score(Y_test, net.predict(X_test)) > 0.88


def test_rows_without_any_target_are_as_if_they_were_not_there():
    holes = Y.copy()
    holes[::3] = np.nan
    net = make_default(missing_targets="mask").fit(X, holes)
    kept = ~np.isnan(holes).all(axis=1)
    np.testing.assert_array_equal(net.predict(X), make_default().fit(X[kept], Y[kept]).predict(X))


def test_a_column_with_missing_targets_is_learned_from_the_others():
    holes = Y.copy()
    holes[rng.random(90) < 0.4, 0] = np.nan
    net = MultiOutputMLPRegressor(missing_targets="mask", max_epochs=20, n_members=5, random_state=0).fit(X, holes)
    assert r2_score(Y[:, 0], net.predict(X, columns=0)) > 0.9


def test_rows_of_weight_zero_are_as_if_they_were_not_there():
    weight = np.ones(90)
    weight[::4] = 0.0
    kept = weight > 0
    net = make_default().fit(X, Y, sample_weight=weight)
    np.testing.assert_array_equal(net.predict(X), make_default().fit(X[kept], Y[kept]).predict(X))


def test_heavy_rows_count_for_more():
    weight = np.where(X[:, 0] > 0, 1e4, 1e-4)
    shifted = Y + 5 * (X[:, [0]] < 0)
    heavy = make_default(max_epochs=30).fit(X, shifted, sample_weight=weight)
    alike = make_default(max_epochs=30).fit(X, shifted)
    rows = X[:, 0] > 0
    errors = [np.abs(net.predict(X)[rows, 0] - shifted[rows, 0]).mean() for net in (heavy, alike)]
    assert errors[0] < errors[1]


def test_callbacks_see_every_epoch_of_every_member():
    Epochs.seen.clear()
    make_default(callbacks=[Epochs()]).fit(X, Y)
    assert [Epochs.seen.count("begin"), Epochs.seen.count("epoch")] == [3, 15]


def test_columns_of_a_group_share_a_loss():
    net = make_default(column_groups={"place": [0, 1]}, loss={"place": "euclidean"}, loss_weights={"place": 2.0})
    net.fit(X, Y)
    assert [(term.name, term.columns, term.weight) for term in net.terms_] == [
        ("place", (0, 1), 2.0),
        ("y2", (2,), 1.0),
    ]
    assert net.predict(X, columns="place").shape == (90, 2)


def test_groups_of_rows_stay_together_where_the_split_asks_for_it():
    groups = np.repeat(np.arange(9), 10)
    split = ValidSplit(GroupKFold(3))
    net = make_default(train_split=split, linear_path=False).fit(X, Y, groups=groups)
    again = make_default(train_split=split, linear_path=False).fit(X, Y, groups=groups)
    np.testing.assert_array_equal(net.predict(X), again.predict(X))
    with pytest.raises(ValueError, match="groups"):
        make_default().fit(X, Y, groups=groups)


def test_the_same_seed_gives_the_same_bits_and_leaves_the_global_generator():
    torch_state = torch.get_rng_state()
    predictions = [make_default(random_state=seed).fit(X, Y).predict(X) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(predictions[0], predictions[1])
    assert (predictions[0] != predictions[2]).any()
    assert torch.equal(torch_state, torch.get_rng_state())


@pytest.mark.parametrize("epoch", [1, 3])
def test_an_error_in_training_keeps_the_earlier_fit(epoch):
    net = make_default().fit(X, Y)
    before = net.predict(X)
    with pytest.raises(KeyError, match="broken"):
        net.set_params(callbacks=[Break(epoch)]).fit(X[:60], -Y[:60])
    np.testing.assert_array_equal(net.predict(X), before)


def test_a_fit_that_diverges_at_once_keeps_the_earlier_fit():
    net = make_default().fit(X, Y)
    before = net.predict(X)
    with pytest.raises(TrainingDivergedError):
        net.set_params(optimizer=torch.optim.SGD, lr=1e30, lr_schedule=None).fit(X, Y)
    np.testing.assert_array_equal(net.predict(X), before)


def test_parameters_are_the_same_before_and_after_fit_and_in_a_copy():
    net = make_default()
    before = net.get_params(deep=False)
    net.fit(X, Y)
    assert net.get_params(deep=False) == before
    assert clone(net).get_params(deep=False) == before


def test_a_pickle_and_a_data_frame_change_nothing():
    net = make_default().fit(X, Y)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(net)).predict(X), net.predict(X))
    framed = make_default().fit(pd.DataFrame(X).add_prefix("x"), pd.DataFrame(Y).add_prefix("y"))
    np.testing.assert_array_equal(framed.predict(pd.DataFrame(X).add_prefix("x")), net.predict(X))
