"""As many threads as the work is worth, inside the work only."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

# Multiplications of one step for which a further thread pays. Below, threads wait for one another longer than they
# work, and on a machine with other things to do they wait many times as long.
_WORK_PER_THREAD = 10_000_000


def choose_threads(n_threads: Any, work: int) -> int:
    """Return the number of threads for steps of so many multiplications: the given one, or one by their number.

    The choice is never more than torch has now, and depends on sizes alone, so that a run can be repeated.
    """
    if n_threads != "auto":
        return int(n_threads)
    return max(1, min(torch.get_num_threads(), work // _WORK_PER_THREAD))


def multiplications(module: nn.Module, input_shape: tuple[int, ...]) -> int:
    """Return about how many multiplications the module needs for one row: at most, since images shrink on the way."""
    work = 0
    for part in module.modules():
        weight = getattr(part, "weight", None)
        if isinstance(weight, torch.Tensor):
            n_axes = weight.ndim - 2
            work += weight.numel() * (math.prod(input_shape[-n_axes:]) if n_axes > 0 else 1)
    return work


class limited_threads:  # noqa: N801
    """Let torch use ``n_threads`` threads inside a block, and as many as before afterwards.

    A class, and not a generator, since a prediction of one row takes little longer than one.
    """

    def __init__(self, n_threads: int) -> None:
        self._n_threads = n_threads

    def __enter__(self) -> None:
        self._before = torch.get_num_threads()
        if self._n_threads != self._before:
            torch.set_num_threads(self._n_threads)

    def __exit__(self, *error: object) -> None:
        if self._n_threads != self._before:
            torch.set_num_threads(self._before)
