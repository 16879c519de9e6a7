"""Two random streams from one seed, separate from the global generators."""

import copy
import pickle

import numpy as np
import pytest
import torch

from skmulti.training import RandomStreams


def draws(streams, n=3):
    with streams.active():
        return torch.rand(n).tolist()


def orders(streams):
    return torch.randperm(50, generator=streams.order).tolist()


def test_torch_draws_the_numbers_of_manual_seed():
    with torch.random.fork_rng():
        torch.manual_seed(7)
        expected = torch.rand(6).tolist()
    streams = RandomStreams(7)
    assert streams.seed == 7
    assert draws(streams, 3) + draws(streams, 3) == expected


def test_the_global_generators_keep_their_state():
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    streams = RandomStreams(7)
    draws(streams)
    orders(streams)
    RandomStreams(np.random.RandomState(3))
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002


def test_an_error_inside_restores_the_global_generator():
    state = torch.get_rng_state()
    streams = RandomStreams(7)
    first = []

    def draw_and_fail():
        with streams.active():
            first.extend(torch.rand(3).tolist())
            raise KeyError

    with pytest.raises(KeyError):
        draw_and_fail()
    assert torch.equal(torch.get_rng_state(), state)
    assert first + draws(streams, 3) == draws(RandomStreams(7), 6)


def test_global_draws_do_not_change_the_stream():
    streams = RandomStreams(7)
    first = draws(streams)
    torch.rand(10)
    assert first + draws(streams) == draws(RandomStreams(7), 6)


def test_a_nested_block_continues_the_same_stream():
    streams = RandomStreams(7)
    with streams.active():
        outer = torch.rand(2).tolist()
        inner = draws(streams, 2)
        outer_again = torch.rand(2).tolist()
    assert outer + inner + outer_again == draws(RandomStreams(7), 6)


def test_the_order_does_not_depend_on_torchs_draws():
    quiet, busy = RandomStreams(7), RandomStreams(7)
    draws(busy, 1000)
    assert [orders(quiet) for _ in range(3)] == [orders(busy) for _ in range(3)]
    assert draws(quiet, 2) != draws(busy, 2)


def test_the_streams_are_independent_of_each_other():
    streams = RandomStreams(7)
    with streams.active():
        drawn = torch.randperm(50).tolist()
    assert orders(streams) != drawn
    assert orders(RandomStreams(7)) != orders(RandomStreams(8))
    assert draws(RandomStreams(7)) != draws(RandomStreams(8))
    assert RandomStreams(7).split_seed != RandomStreams(8).split_seed


@pytest.mark.parametrize("same", [np.int64(7), np.int32(7), np.uint8(7)], ids=lambda same: type(same).__name__)
def test_a_seed_may_be_any_integer(same):
    assert draws(RandomStreams(same)) == draws(RandomStreams(7))
    assert orders(RandomStreams(same)) == orders(RandomStreams(7))
    assert RandomStreams(same).split_seed == RandomStreams(7).split_seed


@pytest.mark.parametrize("seed", [0, 2**32 - 1])
def test_the_smallest_and_largest_seeds_are_valid(seed):
    assert draws(RandomStreams(seed)) == draws(RandomStreams(seed))
    assert 0 <= RandomStreams(seed).split_seed < 2**32


def test_a_random_state_gives_another_seed_each_time():
    first, second = (np.random.RandomState(3) for _ in range(2))
    seeds = [RandomStreams(first).seed for _ in range(3)]
    assert seeds == [RandomStreams(second).seed for _ in range(3)]
    assert len(set(seeds)) == 3


def test_none_draws_the_seed_from_numpys_generator():
    state = np.random.get_state()  # noqa: NPY002
    try:
        np.random.seed(5)  # noqa: NPY002
        first = RandomStreams(None).seed
        second = RandomStreams(None).seed
        np.random.seed(5)  # noqa: NPY002
        assert RandomStreams(None).seed == first != second
    finally:
        np.random.set_state(state)  # noqa: NPY002


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda streams: pickle.loads(pickle.dumps(streams))])
def test_a_copy_continues_from_the_same_state(copied):
    streams = RandomStreams(7)
    draws(streams)
    orders(streams)
    other = copied(streams)
    assert (draws(streams), orders(streams)) == (draws(other), orders(other))
    assert (draws(streams), orders(streams)) == (draws(other), orders(other))
    assert other.split_seed == streams.split_seed


def test_a_copy_made_inside_a_block_can_open_a_block():
    streams = RandomStreams(7)
    with streams.active():
        other = pickle.loads(pickle.dumps(streams))
    state = torch.get_rng_state()
    assert draws(other) == draws(RandomStreams(7))
    assert torch.equal(torch.get_rng_state(), state)
