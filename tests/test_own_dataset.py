"""Datasets of the user's own, as the `dataset` parameter and as X."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import r2_score
from skorch.callbacks import EpochScoring
from skorch.dataset import Dataset
from skorch.helper import predefined_split
from torch.utils.data import DataLoader, Subset, TensorDataset
from torch.utils.data import Dataset as TorchDataset

from skmulti import MultiOutputCNNRegressor, MultiOutputMLPRegressor, MultiOutputNetRegressor

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, size=(60, 3)).astype(float)
Y = np.column_stack([X[:, 0] - X[:, 1], 2 * X[:, 2]]) / 255


class Bytes(Dataset):
    """Divides bytes by 255, and writes down the largest input that it was given."""

    largest = 0.0

    def __init__(self, X, y=None, divisor=255):
        super().__init__(X, y)
        self.divisor = divisor
        Bytes.largest = float(np.max(X))

    def transform(self, X, y):
        X, y = super().transform(X, y)
        return (X / self.divisor).astype(np.float32), y


def quick(**params):
    """The default ensemble, short."""
    return MultiOutputMLPRegressor(**{"max_epochs": 3, "n_members": 2, "random_state": 0, **params})


def plain(**params):
    return MultiOutputMLPRegressor(**{"effort": None, "max_epochs": 5, "random_state": 0, **params})


# What a net without a dataset does that divides by itself; the loader draws the same order of rows.
BY_HAND = {"scale_inputs": False, "numeric_embedding": None, "linear_path": False, "iterator_train": DataLoader}
MAKE = pytest.mark.parametrize("make", [quick, plain])


@MAKE
@pytest.mark.parametrize("kind", [Bytes, partial(Bytes, divisor=255)])
def test_a_dataset_is_used_in_fit_predict_score_and_forward(make, kind):
    net = make(dataset=kind, max_epochs=8).fit(X, Y)
    assert Bytes.largest == X.max()
    by_hand = make(max_epochs=8, **BY_HAND).fit(X / 255, Y)
    assert_allclose(net.predict(X), by_hand.predict(X / 255), rtol=1e-4, atol=1e-4)
    assert net.score(X, Y) == pytest.approx(r2_score(Y, net.predict(X)))
    raw = net.forward(X) if make is plain else torch.stack([member.forward(X) for member in net.members_]).mean(0)
    assert_allclose(net.target_scaler_.inverse_transform(raw.numpy()), net.predict(X), rtol=1e-4, atol=1e-4)


@MAKE
def test_a_dataset_is_asked_for_one_row_and_for_all_spreads(make):
    net = make(dataset=Bytes, loss="gaussian_nll").fit(X, Y)
    assert_allclose(net.predict(X[:1]), net.predict(X)[:1], rtol=1e-5, atol=1e-5)
    assert net.predict_interval(X[:4]).shape == (4, 2, 2)


@MAKE
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("scale_inputs", True),
        ("missing_inputs", "impute"),
        ("categorical_inputs", "one_hot"),
        ("numeric_embedding", "piecewise_linear"),
    ],
)
def test_preprocessing_beside_a_dataset_is_refused_where_it_is_asked_for(make, name, value):
    with pytest.raises(ValueError, match=f"The '{name}' parameter must be .* beside a 'dataset' of one's own"):
        make(dataset=Bytes, **{name: value}).fit(X, Y)


def test_a_linear_path_beside_a_dataset_is_refused():
    with pytest.raises(ValueError, match="The 'linear_path' parameter must be False"):
        quick(dataset=Bytes, linear_path=True).fit(X, Y)


def test_what_a_dataset_switches_off_is_told_and_missing_inputs_are_refused():
    net = quick(dataset=Bytes).fit(X, Y)
    assert net.settings_["scale_inputs"] is False
    assert net.settings_["linear_path"] is False
    with pytest.raises(ValueError, match="contains NaN"):
        quick(dataset=Bytes).fit(np.where(X[0, 0] == X, np.nan, X), Y)


@MAKE
def test_weights_of_rows_travel_beside_a_dataset(make):
    weight = np.where(np.arange(len(X)) < 30, 1.0, 3.0)
    net = make(dataset=Bytes).fit(X, Y, sample_weight=weight)
    by_hand = make(**BY_HAND)
    by_hand.fit(X / 255, Y, sample_weight=weight)
    assert_allclose(net.predict(X), by_hand.predict(X / 255), rtol=1e-4, atol=1e-4)


@MAKE
def test_validation_rows_go_through_a_dataset(make):
    net = make(dataset=Bytes, early_stopping=True).fit(X[:40], Y[:40], X_val=X[40:], y_val=Y[40:])
    by_hand = make(early_stopping=True, **BY_HAND)
    by_hand.fit(X[:40] / 255, Y[:40], X_val=X[40:] / 255, y_val=Y[40:])
    assert_allclose(net.history[:, "valid_loss"], by_hand.history[:, "valid_loss"], rtol=1e-4)


def test_scores_of_epochs_go_through_a_dataset():
    score = EpochScoring("r2", name="mine", lower_is_better=False, on_train=True, use_caching=False)
    net = plain(dataset=Bytes, max_epochs=3, callbacks=[score]).fit(X, Y)
    assert net.history[-1, "mine"] == pytest.approx(net.score(X, Y), abs=1e-5)


def test_images_go_to_a_dataset_as_they_are():
    images = RNG.integers(0, 256, size=(20, 6, 6)).astype(float)
    targets = images.mean(axis=(1, 2))
    net = MultiOutputCNNRegressor(dataset=Bytes, max_epochs=1, random_state=0).fit(images, targets)
    assert Bytes.largest == images.max()
    assert net.predict(images).shape == (20,)


@MAKE
def test_a_dataset_may_yield_double_precision(make):
    class Double(Dataset):
        def transform(self, X, y):
            X, y = super().transform(X, y)
            return np.asarray(X, dtype=np.float64) / 255, y

    net = make(dataset=Double).fit(X, Y)
    assert np.isfinite(net.predict(X)).all()


# A dataset as X.


class Pairs(TorchDataset):
    """Rows in double precision, as torch's own data sets are written."""

    def __len__(self):
        return len(X)

    def __getitem__(self, i):
        return X[i], Y[i]


FORMS = {
    "skorch": lambda: Dataset(X, Y),
    "without targets": lambda: Dataset(X),
    "tensors": lambda: TensorDataset(torch.tensor(X), torch.tensor(Y)),
    "of the user's own": Pairs,
    "a subset": lambda: Subset(Subset(Dataset(X, Y), range(len(X))), range(len(X))),
    "a subset of tensors": lambda: Subset(TensorDataset(torch.tensor(X), torch.tensor(Y)), range(len(X))),
    "data frame": lambda: Dataset(pd.DataFrame(X), Y),
}


@MAKE
@pytest.mark.parametrize("form", FORMS)
def test_predictions_for_a_dataset_are_those_for_its_inputs(make, form):
    net = make().fit(X, Y)
    assert_allclose(net.predict(FORMS[form]()), net.predict(X), rtol=1e-6, atol=1e-6)
    assert net.score(FORMS[form](), Y) == pytest.approx(net.score(X, Y), abs=1e-6)
    assert_allclose(net.forward(FORMS[form]()), net.forward(X), rtol=1e-5, atol=1e-5)
    assert_allclose(net.residuals(FORMS[form](), Y), net.residuals(X, Y), rtol=1e-4, atol=1e-4)


@MAKE
def test_a_dataset_of_ones_own_as_x_is_taken_as_it_is(make):
    net = make(dataset=Bytes).fit(X, Y)
    assert_allclose(net.predict(Bytes(X)), net.predict(X), rtol=1e-6, atol=1e-6)


def test_rows_of_a_subset_are_those_that_it_names():
    net = quick().fit(X, Y)
    chosen = Subset(Subset(Dataset(X, Y), range(10, 50)), [3, 0, 7])
    assert_array_equal(net.predict(chosen), net.predict(X[[13, 10, 17]]))


def test_a_dataset_of_a_data_frame_with_categories_is_encoded():
    table = pd.DataFrame({"a": X[:, 0], "b": np.where(X[:, 1] > 100, "high", "low")})
    net = quick().fit(table, Y)
    assert_array_equal(net.predict(Dataset(table)), net.predict(table))
    assert_array_equal(net.predict(Subset(Dataset(table), [5, 3])), net.predict(table.iloc[[5, 3]]))


def test_a_search_that_sets_a_dataset_reads_inputs_as_each_candidate_does():
    from skmulti.model_selection import BatchedGridSearchCV

    search = BatchedGridSearchCV(quick(n_members=2, max_epochs=2), {"dataset": [Dataset, Bytes]}, cv=2).fit(X, Y)
    alone = [
        quick(n_members=2, max_epochs=2, dataset=d).fit(X[30:], Y[30:]).score(X[:30], Y[:30]) for d in (Dataset, Bytes)
    ]
    assert_allclose(search.cv_results_["split0_test_score"], alone, rtol=1e-4, atol=1e-4)


def test_a_module_of_the_users_own_gets_what_a_dataset_yields():
    net = MultiOutputNetRegressor(torch.nn.Linear(3, 2), dataset=Bytes, max_epochs=2, random_state=0).fit(X, Y)
    expected = net.module_(torch.tensor(X / 255, dtype=torch.float32)).detach().numpy()
    assert_allclose(net.predict(X), net.target_scaler_.inverse_transform(expected), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "params", [{"effort": None}, {"effort": "fast", "n_members": 2, "linear_path": False}], ids=str
)
@pytest.mark.parametrize("n_dims", [1, 2])
def test_a_predefined_split_validates_as_the_same_rows_given_to_fit(params, n_dims):
    rng = np.random.default_rng(0)
    X, y = 100 + 30 * rng.normal(size=(60, 3)), rng.normal(size=60)
    y = y if n_dims == 1 else y[:, None]
    given = MultiOutputMLPRegressor(max_epochs=3, early_stopping=True, random_state=0, **params)
    given.fit(X[:40], y[:40], X_val=X[40:], y_val=y[40:])
    split = predefined_split(Dataset(X[40:], y[40:]))
    net = MultiOutputMLPRegressor(max_epochs=3, early_stopping=True, train_split=split, random_state=0, **params)
    net.fit(X[:40], y[:40])
    assert_array_equal(net.predict(X), given.predict(X))
    assert net.history_[:, "valid_loss"] == given.history_[:, "valid_loss"]


def test_rows_of_a_predefined_split_are_checked():
    X, y = np.ones((10, 3)) * np.arange(10)[:, None], np.arange(10.0)
    net = MultiOutputMLPRegressor(effort=None, max_epochs=1, train_split=predefined_split(Dataset(X[:, :2], y)))
    with pytest.raises(ValueError, match="X_val"):
        net.fit(X, y)
