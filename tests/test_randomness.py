"""`random_state` decides everything random, and the generators of everybody else stay where they are."""

import pickle
import random

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from skorch.dataset import ValidSplit
from torch.utils.data import DataLoader

from skmulti import MultiHeadRegressor, MultiOutputCNNRegressor, MultiOutputMLPRegressor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 6))
Y = X[:, :2] @ [[1, 2], [3, 4]]

NETS = {
    "mlp": MultiOutputMLPRegressor(effort=None, dropout=0.3, normalization="batch", early_stopping=True),
    "cnn": MultiOutputCNNRegressor(effort=None, channels=(2, 3), image_shape=(2, 3), dropout=0.3),
    "heads": MultiHeadRegressor(head_hidden_layer_sizes=(4,), dropout=0.3),
    "loader": MultiOutputMLPRegressor(effort=None, iterator_train=DataLoader, dropout=0.3),
}


def make_net(kind="mlp", **params):
    return clone(NETS[kind]).set_params(**{"max_epochs": 3, "random_state": 3, "batch_size": 10, **params})


def global_states():
    return torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002


def assert_same_states(found, expected):
    assert torch.equal(found[0], expected[0])
    assert_array_equal(found[1][1], expected[1][1])
    assert found[1][2:] == expected[1][2:]
    assert found[2] == expected[2]


def assert_same_parameters(net, other):
    torch.testing.assert_close(net.module_.state_dict(), other.module_.state_dict(), rtol=0, atol=0)


def differ(net, other):
    return not torch.equal(next(net.module_.parameters()), next(other.module_.parameters()))


def orders_of(net):
    """Record the order of the first target's rows of every training epoch."""
    seen = []
    iterate = net.get_iterator

    def record(dataset, training=False):
        iterator = iterate(dataset, training=training)
        return Recorded(iterator, seen) if training else iterator

    net.__dict__["get_iterator"] = record
    return seen


class Recorded:
    def __init__(self, iterator, seen):
        self.iterator, self.seen = iterator, seen

    def __iter__(self):
        batches = list(self.iterator)
        self.seen.append(torch.cat([y for _, y in batches])[:, 0].tolist())
        return iter(batches)


@pytest.mark.parametrize("kind", [*NETS])
def test_the_same_seed_gives_bit_identical_parameters_twice(kind):
    first = make_net(kind).fit(X, Y)
    torch.rand(7)
    np.random.rand(7)  # noqa: NPY002
    second = make_net(kind).fit(X, Y)
    assert_same_parameters(first, second)
    assert_array_equal(first.predict(X), second.predict(X))
    assert first.history[:, "train_loss"] == second.history[:, "train_loss"]


@pytest.mark.parametrize("kind", [*NETS])
def test_fitting_again_gives_the_same_parameters(kind):
    net = make_net(kind).fit(X, Y)
    first = pickle.loads(pickle.dumps(net))
    assert_same_parameters(net.fit(X, Y), first)


@pytest.mark.parametrize("kind", [*NETS])
def test_another_seed_gives_other_parameters(kind):
    assert differ(make_net(kind, max_epochs=1).fit(X, Y), make_net(kind, max_epochs=1, random_state=4).fit(X, Y))


@pytest.mark.parametrize("kind", [*NETS])
def test_the_global_generators_stay_where_they_are(kind):
    net = make_net(kind)
    for call in (
        lambda: net.initialize(X, Y),
        lambda: net.fit(X, Y),
        lambda: net.partial_fit(X, Y),
        lambda: net.predict(X),
        lambda: net.score(X, Y),
        lambda: net.set_params(module__activation="tanh"),
        lambda: net.fit(X, Y),
        lambda: net.set_params(random_state=9).initialize(),
        lambda: clone(net).partial_fit(X, Y),
        lambda: pickle.loads(pickle.dumps(net)),
    ):
        before = global_states()
        call()
        assert_same_states(global_states(), before)


@pytest.mark.parametrize("name", ["iterator_train", "iterator_valid"])
def test_batches_of_torchs_own_loader_leave_the_global_generators_where_they_are(name):
    net = make_net("mlp", early_stopping=True, **{name: DataLoader})
    before = global_states()
    net.fit(X, Y)
    first, second = net.predict(X), net.predict(X)
    assert_same_states(global_states(), before)
    assert_array_equal(first, second)


def test_a_failing_fit_leaves_the_global_generators_where_they_are():
    before = global_states()
    with pytest.raises(ValueError, match="must return one value per row"):
        make_net(loss=lambda raw, y: raw[:1, :1]).fit(X, Y)
    assert_same_states(global_states(), before)


def test_the_split_of_a_given_train_split_is_its_own():
    split = ValidSplit(0.2, random_state=0)
    assert_same_parameters(make_net(train_split=split).fit(X, Y), make_net(train_split=split).fit(X, Y))


def test_a_random_state_instance_advances_as_in_scikit_learn():
    state = np.random.RandomState(0)
    first, second = (make_net(random_state=state, max_epochs=1).fit(X, Y) for _ in range(2))
    assert differ(first, second)
    assert_same_parameters(first, make_net(random_state=np.random.RandomState(0), max_epochs=1).fit(X, Y))


def test_a_random_state_instance_leaves_the_global_generators_where_they_are():
    before = global_states()
    make_net(random_state=np.random.RandomState(0)).fit(X, Y)
    assert_same_states(global_states(), before)


def test_none_draws_its_seed_from_numpy_and_leaves_torch_where_it_is():
    torch_state = torch.get_rng_state()
    nets = []
    for seed in (0, 0, 1):
        np.random.seed(seed)  # noqa: NPY002
        nets.append(make_net(random_state=None, max_epochs=1).fit(X, Y))
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert_same_parameters(nets[0], nets[1])
    assert differ(nets[0], nets[2])
    assert differ(nets[2], make_net(random_state=None, max_epochs=1).fit(X, Y))


def test_numpy_integers_are_seeds():
    assert_same_parameters(make_net(random_state=np.int64(3)).fit(X, Y), make_net(random_state=3).fit(X, Y))


def test_the_number_of_jobs_changes_nothing():
    assert_array_equal(cross_val_score(make_net(), X, Y, cv=2, n_jobs=2), cross_val_score(make_net(), X, Y, cv=2))


@pytest.mark.parametrize("kind", ["mlp", "loader"])
def test_partial_fit_draws_new_orders_in_a_second_call(kind):
    net = make_net(kind, max_epochs=2, early_stopping=False).initialize(X, Y)
    seen = orders_of(net)
    net.partial_fit(X, Y)
    net.partial_fit(X, Y)
    assert len(seen) == 4
    assert len({tuple(order) for order in seen}) == 4
    assert len({tuple(sorted(order)) for order in seen}) == 1


def test_without_shuffling_every_epoch_has_the_order_of_the_rows():
    net = make_net(max_epochs=2, early_stopping=False, shuffle=False).initialize(X, Y)
    seen = orders_of(net)
    net.partial_fit(X, Y)
    assert seen[0] == seen[1] == pytest.approx(Y[:, 0])


def test_twice_two_epochs_are_four_without_early_stopping():
    once = make_net(max_epochs=4, early_stopping=False).fit(X, Y)
    twice = make_net(max_epochs=2, early_stopping=False).fit(X, Y).partial_fit(X, Y)
    assert_same_parameters(once, twice)
    assert once.history[:, "train_loss"] == twice.history[:, "train_loss"]


def test_early_stopping_keeps_the_same_validation_rows_in_a_second_call():
    net = make_net(max_epochs=1).fit(X, Y)
    splits = [net.get_split_datasets(X, Y)[1].indices for _ in range(2)]
    assert_array_equal(splits[0], splits[1])
    net.partial_fit(X, Y)
    assert_array_equal(net.get_split_datasets(X, Y)[1].indices, splits[0])


@pytest.mark.parametrize("kind", [*NETS])
def test_a_reloaded_net_goes_on_as_the_original(kind):
    net = make_net(kind).fit(X, Y)
    reloaded = pickle.loads(pickle.dumps(net))
    torch.rand(7)
    assert_same_parameters(net.partial_fit(X, Y), reloaded.partial_fit(X, Y))
    assert net.history[:, "train_loss"] == reloaded.history[:, "train_loss"]


def test_a_reloaded_net_goes_on_with_an_optimizer_that_keeps_a_list_of_parameters():
    net = make_net(optimizer=torch.optim.LBFGS, lr=0.1, early_stopping=False, batch_size=-1).fit(X, Y)
    again = pickle.loads(pickle.dumps(net))
    assert_same_parameters(again.partial_fit(X, Y), net.partial_fit(X, Y))


def test_dropout_and_orders_come_from_streams_of_their_own():
    dropped = make_net(max_epochs=2, early_stopping=False).initialize(X, Y)
    plain = make_net(max_epochs=2, early_stopping=False, dropout=0.0).initialize(X, Y)
    seen, expected = orders_of(dropped), orders_of(plain)
    dropped.partial_fit(X, Y)
    plain.partial_fit(X, Y)
    assert seen == expected
