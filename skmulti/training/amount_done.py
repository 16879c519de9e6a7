"""How much of the training of many nets is done, told while it goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any


class AmountDone:
    """Adds up what single networks have done of the nets that they are of.

    A net counts as one, and an ensemble too: its members, and what is left to do when all are trained, are equal parts
    of it. Fractions, so that all parts make one exactly.

    Parameters
    ----------
    nets : sequence of sequences of TrainingTask
        The members of each net: of an ensemble all of them, of any other itself.
    are_ensembles : sequence of bool
        Which of them are ensembles.
    report : callable
        Called with what was done since the last call, as a fraction of nets.

    Examples
    --------
    >>> from skmulti.training.amount_done import AmountDone
    >>> told, one, other, single = [], object(), object(), object()
    >>> done = AmountDone([[one, other], [single]], [True, False], told.append)
    >>> done.finish([one, single])
    >>> done.finish_all()
    >>> [float(amount) for amount in told], sum(told) == 2
    ([1.3333333333333333, 0.6666666666666666], True)
    """

    def __init__(
        self,
        nets: Sequence[Sequence[Any]],
        are_ensembles: Sequence[bool],
        report: Callable[[Fraction | int], None],
    ) -> None:
        self._report, self._n_nets, self._done = report, len(nets), Fraction(0)
        self._share: dict[int, Fraction] = {}
        for own, is_ensemble in zip(nets, are_ensembles, strict=True):
            self._share.update((id(part), Fraction(1, len(own) + is_ensemble)) for part in own)
        self._rest = dict(self._share)

    def add_epoch(self, parts: Iterable[Any], finished: Iterable[Any] = ()) -> None:
        """Note that networks went through an epoch, and that some have finished thereby."""
        over = {id(part) for part in finished}
        done = Fraction(0)
        for part in parts:
            rest = self._rest[id(part)]
            step = rest if id(part) in over else min(rest, self._share[id(part)] / int(part.net.max_epochs))
            self._rest[id(part)] -= step
            done += step
        self._tell(done)

    def finish(self, parts: Sequence[Any]) -> None:
        """Note that networks have finished, after however many epochs."""
        self.add_epoch(parts, finished=parts)

    def finish_all(self) -> None:
        """Note that there is nothing left to do."""
        self._tell(self._n_nets - self._done)

    def _tell(self, done: Fraction) -> None:
        self._done += done
        if done:
            self._report(done)
