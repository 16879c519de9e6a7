"""The printed log of an ensemble: one line per epoch of its members."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from numbers import Real
from typing import Any

import numpy as np

# The column with the numbers of members, for lines that do not cover all members.
MEMBERS = "members"


def joint_row(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the mean of each number over members, and the sum of their durations.

    Parameters
    ----------
    rows : sequence of mappings
        The history row of one epoch for each member; ``dur`` is the duration of the member alone.

    Examples
    --------
    >>> from skmulti.training.ensemble_log import joint_row
    >>> joint_row([{"train_loss": 1.0, "dur": 0.5}, {"train_loss": 2.0, "dur": 0.5}])
    {'train_loss': 1.5, 'dur': 1.0}
    """
    joint = {}
    for name, value in rows[0].items():
        if name != "epoch" and isinstance(value, Real) and not isinstance(value, (bool, np.bool_)):
            # Durations add up, since each is the part of the time that one member took.
            values = [row[name] for row in rows if name in row]
            joint[name] = float(np.sum(values) if name == "dur" else np.mean(values))
    return joint


class EnsembleLog:
    """Prints the epochs of an ensemble while its members train.

    Parameters
    ----------
    net : EnsembleNet
        The ensemble.
    print_log : skorch.callbacks.PrintLog
        The callback that prints a row of the history.
    tasks : sequence of TrainingTask
        The tasks of all members, before training.
    """

    def __init__(self, net: Any, print_log: Any, tasks: Sequence[Any]) -> None:
        self._net, self._print_log, self._tasks = net, print_log, list(tasks)
        self._n_printed = [0] * len(tasks)
        self._names_members: bool | None = None
        print_log.on_train_begin(net)

    def print_epochs(self, tasks: Sequence[Any]) -> None:
        """Print the epochs that members have completed since the last call, one line per epoch number.

        Parameters
        ----------
        tasks : sequence of TrainingTask
            The tasks of the members.
        """
        updated = {id(task) for task in tasks}
        new = []
        for k, task in enumerate(self._tasks):
            if id(task) in updated:
                rows = task.new_epochs()
                new += [(epoch, k, rows[epoch]) for epoch in range(self._n_printed[k], len(rows))]
                self._n_printed[k] = max(self._n_printed[k], len(rows))
        new.sort(key=lambda found: found[:2])
        for epoch, found in groupby(new, key=lambda found: found[0]):
            _, places, rows = zip(*found, strict=True)
            self._print(epoch, places, rows)

    def _print(self, epoch: int, places: Sequence[int], rows: Sequence[Mapping[str, Any]]) -> None:
        history = self._net.history_
        if self._names_members is None:
            self._names_members = len(places) < len(self._tasks)
        # Added to the history for the time of printing, since print_log prints the last row of a net's history.
        history.new_epoch()
        try:
            history.record("epoch", len(history) + epoch)
            if self._names_members:
                history.record(MEMBERS, _numbers(places))
            for name, value in joint_row(rows).items():
                history.record(name, value)
            self._print_log.on_epoch_end(self._net)
        finally:
            del history[-1:]


def _numbers(places: Sequence[int]) -> str:
    """Return the numbers of members, counted from one, as text: "1-3", "1,2,..,9" or "2,5"."""
    numbers = [place + 1 for place in places]
    if len(numbers) > 1 and numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"{numbers[0]}-{numbers[-1]}"
    if len(numbers) > 3:
        return f"{numbers[0]},{numbers[1]},..,{numbers[-1]}"
    return ",".join(map(str, numbers))
