"""Progress of the training of many nets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any


class TrainingProgress:
    """Adds up the progress of single networks and reports it as a number of nets.

    A single net or an ensemble counts as one. An ensemble of k members has k + 1 equal parts: its members, and the
    stacking after their training. `Fraction` makes the sum exact.

    Parameters
    ----------
    nets : sequence of sequences of TrainingTask
        The tasks of each net: one for a single net, one per member for an ensemble.
    are_ensembles : sequence of bool
        Whether each net is an ensemble.
    report : callable
        Called with the progress since the last call, as a number of nets.

    Examples
    --------
    >>> from skmulti.training.progress import TrainingProgress
    >>> reported, one, other, single = [], object(), object(), object()
    >>> done = TrainingProgress([[one, other], [single]], [True, False], reported.append)
    >>> done.finish([one, single])
    >>> done.finish_all()
    >>> [float(amount) for amount in reported], sum(reported) == 2
    ([1.3333333333333333, 0.6666666666666666], True)
    """

    def __init__(
        self,
        nets: Sequence[Sequence[Any]],
        are_ensembles: Sequence[bool],
        report: Callable[[Fraction | int], None],
    ) -> None:
        self._report, self._n_nets, self._done = report, len(nets), Fraction(0)
        self._whole: dict[int, Fraction] = {}
        for tasks, is_ensemble in zip(nets, are_ensembles, strict=True):
            self._whole.update((id(task), Fraction(1, len(tasks) + is_ensemble)) for task in tasks)
        self._rest = dict(self._whole)

    def add_epoch(self, tasks: Iterable[Any], finished: Iterable[Any] = ()) -> None:
        """Add an epoch of some networks, of which `finished` have completed their training."""
        over = {id(task) for task in finished}
        done = Fraction(0)
        for task in tasks:
            rest = self._rest[id(task)]
            step = rest if id(task) in over else min(rest, self._whole[id(task)] / int(task.net.max_epochs))
            self._rest[id(task)] -= step
            done += step
        self._add(done)

    def finish(self, tasks: Sequence[Any]) -> None:
        """Add what is left of networks that have completed their training after any number of epochs."""
        self.add_epoch(tasks, finished=tasks)

    def finish_all(self) -> None:
        """Report what is left, so that the sum is the number of nets."""
        self._add(self._n_nets - self._done)

    def _add(self, done: Fraction) -> None:
        self._done += done
        if done:
            self._report(done)
