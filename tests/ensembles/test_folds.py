"""Folds of validation rows for the members of an ensemble with a linear path."""

import numpy as np
import pytest

from skmulti import MultiOutputMLPRegressor
from skmulti.ensembles.folds import Fold

RNG = np.random.default_rng(0)
X = RNG.normal(size=(53, 3))
Y = X[:, :2] + 0.1 * RNG.normal(size=(53, 2))


def fitted(**params):
    given = {"n_members": 10, "max_epochs": 1, "validation_fraction": 0.2, "numeric_embedding": None, **params}
    return MultiOutputMLPRegressor(**given, random_state=0).fit(X, Y)


@pytest.mark.parametrize("n_rows", [2, 3, 5, 53])
def test_folds_partition_all_rows(n_rows):
    parts = [next(Fold(5, index, seed=3).split(np.zeros(n_rows))) for index in range(min(5, n_rows))]
    assert sorted(row for _, left_out in parts for row in left_out) == list(range(n_rows))
    for train, left_out in parts:
        assert sorted([*train, *left_out]) == list(range(n_rows))


def test_each_row_is_held_out_by_the_same_number_of_members():
    counts = sum(np.isin(np.arange(53), member._left_out(Y)).astype(int) for member in fitted().members_)
    assert set(counts) == {2}


@pytest.mark.parametrize("n_members", [3, 5, 8])
def test_the_numbers_of_members_that_hold_out_a_row_differ_by_at_most_one(n_members):
    members = fitted(n_members=n_members).members_
    counts = sum(np.isin(np.arange(53), member._left_out(Y)).astype(int) for member in members)
    assert np.ptp(counts) <= 1


def test_rows_are_shuffled_again_after_all_folds_are_used():
    members = fitted().members_
    parts = {frozenset(member._left_out(Y).tolist()) for member in members}
    assert len(parts) == 10


def test_both_groups_of_a_mixed_ensemble_hold_out_the_same_rows():
    members = fitted(numeric_embedding="mixed").members_
    for plain, bent in zip(members[::2], members[1::2], strict=True):
        assert plain.embedding_ is None
        assert bent.embedding_ is not None
        np.testing.assert_array_equal(plain._left_out(Y), bent._left_out(Y))


@pytest.mark.parametrize("bootstrap", [False, True])
def test_a_member_is_not_trained_on_its_held_out_rows(bootstrap):
    for member in fitted(bootstrap=bootstrap).members_:
        train, valid = member.get_split_datasets(X.astype("float32"), Y)
        left_out = set(member._left_out(Y))
        assert {int(i) for i in valid.indices} == left_out
        assert not left_out & {int(i) for i in np.asarray(train.indices)}


def test_without_a_linear_path_each_member_equals_a_single_net_of_its_seed():
    assert all(member._fold is None for member in fitted(linear_path=False).members_)
