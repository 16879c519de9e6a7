"""Batches as torch's DataLoader makes them."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skorch.dataset import Dataset
from torch.testing import assert_close
from torch.utils.data import DataLoader, Subset

from skmulti import MultiOutputMLPRegressor, MultiOutputNetRegressor
from skmulti.inputs.tensors import as_tensor
from skmulti.training import TensorLoader


def rows(n, dtype=np.float32):
    """Return n rows whose values encode their positions."""
    X = np.arange(n * 3, dtype=dtype).reshape(n, 3)
    return X, X[:, :2] * 10


def order_of(batches):
    return [int(x) // 3 for X, _ in batches for x in X[:, 0]]


def assert_same_batches(ours, theirs):
    ours, theirs = list(ours), list(theirs)
    assert len(ours) == len(theirs)
    for (X, y), (X_torch, y_torch) in zip(ours, theirs, strict=True):
        assert_close(X, X_torch, rtol=0, atol=0)
        assert_close(y, y_torch, rtol=0, atol=0)


@settings(deadline=None)
@given(n=st.integers(1, 40), batch_size=st.integers(1, 45), drop_last=st.booleans(), subset=st.booleans())
def test_unshuffled_batches_are_those_of_torch(n, batch_size, drop_last, subset):
    dataset = Dataset(*rows(n))
    if subset:
        dataset = Subset(dataset, list(range(n))[::-2])
    params = {"batch_size": batch_size, "drop_last": drop_last}
    assert_same_batches(TensorLoader(dataset, **params), DataLoader(dataset, **params))
    assert len(TensorLoader(dataset, **params)) == len(DataLoader(dataset, **params))


@settings(deadline=None)
@given(n=st.integers(1, 40), batch_size=st.integers(1, 45), subset=st.booleans())
def test_each_row_is_used_once_per_epoch(n, batch_size, subset):
    X, y = rows(n)
    indices = list(range(n))[::2] if subset else list(range(n))
    loader = TensorLoader(Subset(Dataset(X, y), indices), batch_size, shuffle=True)
    for _ in range(2):
        batches = list(loader)
        assert sorted(order_of(batches)) == indices
        for X_batch, y_batch in batches:
            assert_close(y_batch, X_batch[:, :2] * 10, rtol=0, atol=0)


def test_the_order_is_the_permutation_of_the_generator():
    loader = TensorLoader(Dataset(*rows(50)), 8, shuffle=True, generator=torch.Generator().manual_seed(3))
    other = torch.Generator().manual_seed(3)
    epochs = [order_of(loader) for _ in range(2)]
    assert epochs == [torch.randperm(50, generator=other).tolist() for _ in range(2)]
    assert epochs[0] != epochs[1]


def test_a_given_generator_does_not_change_the_global_one():
    state = torch.get_rng_state()
    list(TensorLoader(Dataset(*rows(9)), 2, shuffle=True, generator=torch.Generator().manual_seed(3)))
    list(TensorLoader(Dataset(*rows(9)), 2))
    assert torch.equal(torch.get_rng_state(), state)


def test_without_a_generator_the_order_is_torchs():
    loader = TensorLoader(Dataset(*rows(50)), 8, shuffle=True)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        order = order_of(loader)
        torch.manual_seed(5)
        assert order == torch.randperm(50).tolist()


@pytest.mark.parametrize("indices", [np.array([4, 1, 1]), [4, 1, 1], torch.tensor([4, 1, 1])], ids=type)
def test_indices_of_a_subset_may_be_of_any_kind(indices):
    assert order_of(TensorLoader(Subset(Dataset(*rows(6)), indices), 2)) == [4, 1, 1]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_batches_share_the_memory_of_an_array(dtype):
    X, y = rows(6, dtype)
    for X_batch, y_batch in TensorLoader(Dataset(X, y), 4):
        assert np.shares_memory(X_batch.numpy(), X)
        assert np.shares_memory(as_tensor(X).numpy(), X)
        assert X_batch.numpy().dtype == dtype
        assert y_batch.shape[1:] == (2,)


def test_read_only_arrays_give_no_warning():
    X, y = rows(6)
    X.flags.writeable = y.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert order_of(TensorLoader(Dataset(X, y), 4)) == list(range(6))
        assert order_of(TensorLoader(Subset(Dataset(X, y), [3, 2]), 4)) == [3, 2]


def test_tensors_and_images_are_gathered_too():
    X, y = torch.rand(7, 3, 5, 4), torch.rand(7, 2)
    assert_same_batches(TensorLoader(Dataset(X, y), 3), DataLoader(Dataset(X, y), 3))


def test_a_dict_of_inputs_is_gathered_by_key():
    X, y = rows(7)
    dataset = Subset(Dataset({"X": X, "sample_weight": X[:, 0]}, y), [5, 0, 6])
    for ours, theirs in zip(TensorLoader(dataset, 2), DataLoader(dataset, 2), strict=True):
        assert_close(ours[0], theirs[0], rtol=0, atol=0)
        assert_close(ours[1], theirs[1], rtol=0, atol=0)


def test_rows_without_targets_have_the_placeholder_of_skorch():
    dataset = Dataset(rows(7)[0])
    assert TensorLoader.can_load(dataset)
    assert_same_batches(TensorLoader(dataset, 3), DataLoader(dataset, 3))


class OtherDataset(Dataset):
    """A dataset that changes each row."""

    def __getitem__(self, i):
        X, y = super().__getitem__(i)
        return X + 1, y


@pytest.mark.parametrize(
    ("dataset", "can"),
    [
        (Dataset(*rows(4)), True),
        (Subset(Dataset(*rows(4)), [1]), True),
        (OtherDataset(*rows(4)), False),
        (Subset(OtherDataset(*rows(4)), [1]), False),
        (Subset(Subset(Dataset(*rows(4)), [1, 2]), [1]), False),
        (Dataset({"a": rows(4)[0]}, rows(4)[1]), True),
        (list(zip(*rows(4), strict=True)), False),
    ],
)
def test_it_loads_arrays_and_refuses_datasets_with_a_custom_getitem(dataset, can):
    assert TensorLoader.can_load(dataset) is can


class Recorder(torch.nn.Module):
    """A linear layer that records its training batches."""

    def __init__(self, input_shape, n_outputs):
        super().__init__()
        self.linear = torch.nn.Linear(input_shape[0], n_outputs)
        self.seen = []

    def forward(self, X):
        if self.training:
            self.seen.append(X[:, 0].tolist())
        return self.linear(X)


def test_a_net_uses_torchs_loader_for_a_custom_dataset():
    X, y = rows(10)
    params = {"max_epochs": 1, "batch_size": 4, "shuffle": False, "lr": 1e-6}
    stock = MultiOutputNetRegressor(Recorder, **params).fit(X, y)
    own = MultiOutputNetRegressor(Recorder, dataset=OtherDataset, **params).fit(X, y)
    assert type(stock.get_iterator(stock.get_dataset(X, y))) is TensorLoader
    assert type(own.get_iterator(own.get_dataset(X, y))) is DataLoader
    assert own.module_.seen == [[x + 1 for x in batch] for batch in stock.module_.seen]
    assert [len(batch) for batch in own.module_.seen] == [4, 4, 2]


@pytest.mark.parametrize("iterator", [TensorLoader, DataLoader])
def test_unshuffled_training_is_the_same_with_either_loader(iterator):
    X, y = rows(30)
    params = {"max_epochs": 3, "batch_size": 8, "shuffle": False, "random_state": 0}
    default = MultiOutputMLPRegressor((4,), effort=None, **params).fit(X, y)
    other = MultiOutputMLPRegressor((4,), effort=None, iterator_train=iterator, iterator_valid=iterator, **params).fit(
        X, y
    )
    np.testing.assert_array_equal(default.predict(X), other.predict(X))
