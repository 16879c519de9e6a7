"""The algebra of the total, as properties over random tables of all losses."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

from skmulti.losses import MixedLoss, SquaredError, Term
from tests.losses.every_loss import EVERY_EXAMPLE, batch, table

tables = st.lists(st.sampled_from(EVERY_EXAMPLE), min_size=1, max_size=7)
seeds = st.integers(0, 999)
weights_of = st.lists(st.floats(0, 100), min_size=7, max_size=7)
each_example = pytest.mark.parametrize("example", EVERY_EXAMPLE, ids=lambda example: example.name)
properties = settings(deadline=None, max_examples=40)


def criterion(terms, y=None):
    """Return the total of a table in float64, with stand-ins for missing targets taken from a row of y."""
    mixed = MixedLoss(terms, fill=None if y is None else y[0].tolist()).double()
    # Weights and stand-ins are stored in single precision: give them their digits back.
    mixed.weights = torch.tensor([term.weight for term in terms], dtype=torch.float64)
    if y is not None:
        mixed.fill = y[0].clone()
    return mixed


def total_and_gradient(mixed, raw, y, sample_weight=None):
    raw = raw.clone().requires_grad_()
    total = mixed(raw, y, sample_weight)
    return total.detach(), torch.autograd.grad(total, raw)[0]


def same(a, b):
    assert_close(a, b, rtol=1e-9, atol=1e-9)


@properties
@given(tables, weights_of, weights_of, st.floats(0, 10), seeds)
def test_the_total_is_linear_in_the_weights(examples, first, second, factor, seed):
    raw, y = batch(examples, 6, seed)
    both = [a + factor * b for a, b in zip(first, second, strict=True)]
    results = [total_and_gradient(criterion(table(examples, w)), raw, y) for w in (first, second, both)]
    for a, b, sum_of_both in zip(*results, strict=True):
        assert_close(sum_of_both, a + factor * b, rtol=1e-9, atol=1e-7)


def permuted(terms, order):
    """Return the table with its terms in another order, and where its columns and raw outputs come from."""
    columns = [column for i in order for column in terms[i].columns]
    raws = [raw for i in order for raw in terms[i].raw]
    moved = [
        Term(terms[i].name, terms[i].loss, tuple(map(columns.index, terms[i].columns)),
             tuple(map(raws.index, terms[i].raw)), terms[i].weight)
        for i in order
    ]  # fmt: skip
    return moved, columns, raws


@properties
@given(tables, weights_of, seeds, st.data())
def test_permuting_the_columns_permutes_the_terms(examples, weights, seed, data):
    raw, y = batch(examples, 6, seed)
    terms = table(examples, weights)
    order = data.draw(st.permutations(range(len(terms))))
    moved, columns, raws = permuted(terms, order)
    before, after = criterion(terms), criterion(moved)
    same(after.row_losses(raw[:, raws], y[:, columns]), before.row_losses(raw, y)[:, order])
    same(after.predict(raw[:, raws]), before.predict(raw)[:, columns])
    total, gradient = total_and_gradient(before, raw, y)
    total_moved, gradient_moved = total_and_gradient(after, raw[:, raws], y[:, columns])
    same(total_moved, total)
    same(gradient_moved, gradient[:, raws])


@properties
@given(tables, st.lists(st.booleans(), min_size=7, max_size=7), seeds)
def test_a_weight_of_0_sends_no_gradient_into_its_raw_outputs(examples, kept, seed):
    raw, y = batch(examples, 6, seed)
    terms = table(examples, [float(keep) for keep in kept])
    _, gradient = total_and_gradient(criterion(terms), raw, y)
    for term in terms:
        reaches = gradient[:, list(term.raw)]
        assert reaches.isfinite().all()
        assert term.weight or not reaches.any()


@properties
@given(tables, weights_of, seeds, st.data())
def test_splitting_a_table_into_those_of_two_nets_adds_up(examples, weights, seed, data):
    raw, y = batch(examples, 6, seed)
    terms = table(examples, weights)
    first = sorted(data.draw(st.sets(st.sampled_from(range(len(terms))))))
    rest = [i for i in range(len(terms)) if i not in first]
    total, gradient = total_and_gradient(criterion(terms), raw, y)
    totals = torch.zeros((), dtype=torch.float64)
    for part in filter(None, (first, rest)):
        moved, columns, raws = permuted(terms, part)
        part_total, part_gradient = total_and_gradient(criterion(moved), raw[:, raws], y[:, columns])
        totals += part_total
        same(part_gradient, gradient[:, raws])
    same(totals, total)


@properties
@given(tables, seeds, st.data())
def test_a_masked_term_does_not_depend_on_what_other_columns_miss(examples, seed, data):
    raw, y = batch(examples, 8, seed)
    terms = table(examples)
    mixed = criterion(terms, y)
    chosen = data.draw(st.sampled_from(terms))
    own = list(chosen.columns)
    generator = torch.Generator().manual_seed(seed)
    holes = torch.rand(y.shape, generator=generator) < 0.3
    alone = y.clone()
    alone[:, own] = torch.where(holes[:, own], torch.nan, y[:, own])
    expected = mixed.term_losses(raw, alone)[terms.index(chosen)]
    for share in (0.0, 0.5, 1.0):
        others = torch.rand(y.shape, generator=generator) < share
        others[:, own] = holes[:, own]
        losses = mixed.term_losses(raw, torch.where(others, torch.nan, y))
        same(losses[terms.index(chosen)], expected)


@properties
@given(tables, seeds, st.floats(0, 1))
def test_a_term_is_the_mean_over_the_rows_that_have_all_of_its_targets(examples, seed, share):
    raw, y = batch(examples, 8, seed)
    terms = table(examples)
    holes = torch.rand(y.shape, generator=torch.Generator().manual_seed(seed)) < share
    y_holes = torch.where(holes, torch.nan, y)
    losses, seen = criterion(terms, y).measure(raw, y_holes)
    for i, term in enumerate(terms):
        rows = ~holes[:, list(term.columns)].any(1)
        alone = term.loss.row_loss(raw[rows][:, list(term.raw)], y[rows][:, list(term.columns)])
        assert seen[i] == rows.sum()
        same(losses[i], alone.mean() if rows.any() else torch.zeros((), dtype=torch.float64))


@each_example
def test_a_missing_row_contributes_no_gradient_and_no_nan(example):
    raw, y = batch([example], 6)
    mixed = criterion(table([example]), y)
    full, gradient = total_and_gradient(mixed, raw[2:], y[2:])
    y[0] = torch.nan
    y[1, -1] = torch.nan  # of a group, one column is enough
    for size in (1.0, 1e6, -1e6, 0.0):
        raw[:2] = size
        total, gradient_holes = total_and_gradient(mixed, raw, y)
        same(total, full)
        assert not gradient_holes[:2].any()
        same(gradient_holes[2:], gradient)


@each_example
def test_a_batch_where_a_column_has_no_row_gives_0_and_no_nan(example):
    other = EVERY_EXAMPLE[0]
    raw, y = batch([example, other], 5)
    mixed = criterion(table([example, other]), y)
    y[:, : example.n_columns] = torch.nan
    losses, seen = mixed.measure(raw, y)
    assert losses[0] == 0
    assert seen.tolist() == [0, 5]
    for sample_weight in (None, torch.ones(5, 1, dtype=torch.float64)):
        total, gradient = total_and_gradient(mixed, raw, y, sample_weight)
        same(total, losses[1])
        assert not gradient[:, : example.n_raw].any()
        assert gradient.isfinite().all()


@properties
@given(tables, seeds, st.lists(st.integers(0, 3), min_size=6, max_size=6).filter(any))
def test_integer_weights_are_rows_that_often(examples, seed, counts):
    raw, y = batch(examples, 6, seed)
    mixed, counts = criterion(table(examples)), torch.tensor(counts)
    weighted = mixed.term_losses(raw, y, counts.double()[:, None])
    repeated = mixed.term_losses(raw.repeat_interleave(counts, 0), y.repeat_interleave(counts, 0))
    same(weighted, repeated)
    by_column = counts.double()[:, None].expand(-1, y.shape[1])
    same(mixed.term_losses(raw, y, by_column), repeated)
    same(mixed.term_losses(raw, y, 7 * by_column), repeated)


class OpCounter(TorchDispatchMode):
    """Count what torch computes, forward and backward."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def count_ops(step):
    with OpCounter() as counter:
        step()
    return len(counter.names)


@pytest.mark.parametrize("weighted", [False, True])
def test_sixteen_equal_losses_take_as_many_operations_as_two(weighted):
    def ops_of(n):
        raw, y = torch.randn(2, 8, n, generator=torch.Generator().manual_seed(0))
        raw.requires_grad_()
        mixed = MixedLoss([Term(f"y{i}", SquaredError(), (i,), (i,)) for i in range(n)])
        weight = torch.ones(8, 1) if weighted else None
        return count_ops(lambda: mixed(raw, y, weight).backward())

    assert ops_of(16) == ops_of(2)


def test_sixteen_equal_losses_take_little_more_than_one_squared_error_over_sixteen_columns():
    raw, y = torch.randn(2, 8, 16, generator=torch.Generator().manual_seed(0))
    raw.requires_grad_()
    mixed = MixedLoss([Term(f"y{i}", SquaredError(), (i,), (i,)) for i in range(16)])
    ours = count_ops(lambda: mixed(raw, y).backward())
    theirs = count_ops(lambda: SquaredError().row_loss(raw.unsqueeze(-1), y.unsqueeze(-1)).mean().backward())
    assert ours <= theirs + 8
