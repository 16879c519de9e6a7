"""As many threads as the work is worth, inside the work only."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

# Multiplications of one step for which a further thread pays. Below, threads wait for one another longer than they
# work, and on a machine with other things to do they wait many times as long.
_WORK_PER_THREAD = 10_000_000


def choose_threads(n_threads: Any, module: nn.Module, input_shape: tuple[int, ...], n_rows: int) -> int:
    """Return the number of threads for steps of ``n_rows`` rows: the given one, or one by the size of the work.

    The choice is never more than torch has now, and depends on sizes alone, so that a run can be repeated.
    """
    if n_threads != "auto":
        return int(n_threads)
    available = torch.get_num_threads()
    return max(1, min(available, n_rows * multiplications(module, input_shape) // _WORK_PER_THREAD))


def multiplications(module: nn.Module, input_shape: tuple[int, ...]) -> int:
    """Return about how many multiplications the module needs for one row: at most, since images shrink on the way."""
    work = 0
    for part in module.modules():
        weight = getattr(part, "weight", None)
        if isinstance(weight, torch.Tensor):
            n_axes = weight.ndim - 2
            work += weight.numel() * (math.prod(input_shape[-n_axes:]) if n_axes > 0 else 1)
    return work


@contextmanager
def limited_threads(n_threads: int) -> Iterator[None]:
    """Let torch use ``n_threads`` threads inside the block, and as many as before afterwards."""
    before = torch.get_num_threads()
    if n_threads == before:
        yield
        return
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
