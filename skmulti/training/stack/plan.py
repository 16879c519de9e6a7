"""Which nets can be trained as one stack, and how many at once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from skmulti._compat import BatchNorm, ConvNd
from skmulti.training.loop_choice import overridden, uncompiled, why_skorch
from skmulti.training.optimizers.flat import FlatOptimizer
from skmulti.training.passes.hooks import does_more
from skmulti.training.passes.stacked import shape_of
from skmulti.training.stack.run import TrainingRun
from skmulti.training.threads import available_threads, choose_threads

_MiB = 2**20
# Larger parts no longer fit into the processor's cache, so that stacking more nets saves no time.
_BYTES_OF_ONE_PART = 20 * _MiB
# Fewer nets at once would not repay the overhead of a batched operation, whatever their size.
_LEAST_MEMBERS = 8
# Multiplications per thread: batched products divide by network, so that threads pay earlier than in one product.
_WORK_PER_THREAD = 1_000_000


def why_alone(run: TrainingRun) -> str:
    """Return why a net can't be stacked, or an empty string."""
    net, module = run.net, run.net.module_
    for loader, training in ((run.loader, True), (run.valid, False)):
        reason = "" if loader is None else why_skorch(net, net.base_net, loader, training=training)
        if reason:
            return reason
    name = overridden(net, net.base_net, ("fit_loop", "on_train_begin", "on_train_end"))
    if name:
        return f"{type(net).__name__} overrides {name}"
    if net.mixed_precision or net.compile or str(net.device or "cpu") != "cpu":
        return "it is compiled, in mixed precision or not on the CPU"
    if not FlatOptimizer.can_hold(net.optimizer_):
        return f"the optimizer {type(net.optimizer_).__name__} does not work on flat vectors"
    if len(uncompiled(net.criterion_).learned):
        return "a loss has learned parameters"
    if does_more(module):
        return "its module has hooks"
    if len({id(part) for part in module.modules()}) < len(list(module.modules())) or _shares(module):
        return "parts of its module share parameters"
    if any(isinstance(part, ConvNd) for part in module.modules()):
        return "stacked convolutions are slower than sequential ones"
    if run.loader.last_size == 1 and any(isinstance(part, BatchNorm) for part in module.modules()):
        # Where torch refuses it, with a sentence; the variance of one row is NaN in a stack.
        return "a batch of one row is too small for batch normalisation"
    return ""


def _shares(module: nn.Module) -> bool:
    parameters = [p for part in module.modules() for p in part.parameters(recurse=False)]
    return len(parameters) > len(set(parameters))


def key_of(run: TrainingRun) -> Any:
    """Return what all nets of a stack have in common, as a hashable key."""
    net, module, optimizer = run.net, run.net.module_, run.net.optimizer_
    shape: Any = shape_of(module, net._encoded_shape)
    is_unknown = shape is None
    if is_unknown:
        given = sorted((name, repr(value)) for name, value in net.get_params_for("module").items())
        shape = (type(module), repr(module), tuple(given))
    criterion = uncompiled(net.criterion_)
    places = {parameter: i for i, parameter in enumerate(module.parameters())}
    mixes_rows = is_unknown or any(isinstance(part, BatchNorm) for part in module.modules())
    return (
        shape,
        tuple((tuple(p.shape), p.dtype, p.requires_grad) for p in places),
        type(optimizer),
        tuple(tuple(places[p] for p in group["params"]) for group in optimizer.param_groups),
        tuple((term.columns, term.raw) for term in criterion.terms),
        criterion.takes_any_batch,
        criterion.fill is None,
        run.task.rows.sample_weight is None,
        run.loader.batch_size,
        None if run.valid is None else run.valid.batch_size,
        # Padding rows would change the result where the rows of a batch interact, as in batch normalisation.
        run.loader.n_rows if mixes_rows else None,
        net.n_threads,
        net._encoded_shape,
    )


def in_order(runs: Sequence[TrainingRun]) -> list[TrainingRun]:
    """Return the nets by decreasing number of batches, nets with equal losses and optimizer options side by side."""
    tables: list[Any] = []
    options: list[Any] = []

    def position(value: Any, known: list[Any]) -> int:
        if value not in known:
            known.append(value)
        return known.index(value)

    def rank(run: TrainingRun) -> tuple[int, ...]:
        net = run.net
        table = [(term.loss, term.columns) for term in net.terms_]
        groups = [{k: v for k, v in g.items() if k != "params"} for g in net.optimizer_.param_groups]
        return -len(run.loader), position(table, tables), position(groups, options), id(net.target_scaler_)

    return sorted(runs, key=rank)


def threads_for(runs: Sequence[TrainingRun]) -> int:
    """Return the number of threads for a stack: batched products are divided by network."""
    net = runs[0].net
    work = len(runs) * runs[0].loader.batch_size * net._work_per_row
    if net.n_threads != "auto":
        return choose_threads(net.n_threads, work)
    return max(1, min(available_threads(), len(runs), work // _WORK_PER_THREAD))


def cut(runs: Sequence[TrainingRun], working_memory: float) -> list[list[TrainingRun]]:
    """Split a stack into parts of about equal size that fit into memory.

    Parameters
    ----------
    runs : sequence of TrainingRun
        The nets.
    working_memory : float
        The memory of a part, in MiB.
    """
    n_bytes = bytes_of(runs[0])
    n_cached = max(_LEAST_MEMBERS, _BYTES_OF_ONE_PART // n_bytes)
    most = max(1, min(n_cached, int(working_memory * _MiB // n_bytes)))
    n_parts = -(-len(runs) // most)
    bounds = [len(runs) * i // n_parts for i in range(n_parts + 1)]
    return [list(runs[start:stop]) for start, stop in pairwise(bounds)]


def fitting(stacks: Sequence[list[TrainingRun]], working_memory: float) -> list[list[list[TrainingRun]]]:
    """Group the stacks: each group has as many as fit into memory together, and at least one.

    Parameters
    ----------
    stacks : sequence of lists of TrainingRun
        The stacks.
    working_memory : float
        The memory of a group, in MiB.
    """
    groups: list[list[list[TrainingRun]]] = []
    n_free = 0.0
    for stack in stacks:
        n_bytes = len(stack) * bytes_of(stack[0])
        if n_bytes > n_free:
            groups.append([])
            n_free = working_memory * _MiB
        groups[-1].append(stack)
        n_free -= n_bytes
    return groups


def bytes_of(run: TrainingRun) -> int:
    """Return an estimate of the bytes that one net takes in a stack."""
    module, loader = run.net.module_, run.loader
    n_parameters = sum(value.numel() for value in (*module.parameters(), *module.buffers()))
    # Parameters, gradients, two moments and the last good parameters; with validation, also the best ones.
    copies = 5 + (run.valid is not None)
    n_units = sum(p.shape[0] for p in module.parameters() if p.ndim > 1) + len(run.net.target_names_)
    n_inputs = int(torch.tensor(run.net._encoded_shape).prod())
    # Each layer keeps its inputs and outputs, and the gradients of both.
    per_row = 4 * n_units + 2 * n_inputs
    return 4 * (copies * n_parameters + per_row * loader.batch_size) + 8 * loader.n_rows
