"""Callbacks that record and print the losses of an epoch, one column per term."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from skorch.callbacks import EarlyStopping, PassthroughScoring, PrintLog
from skorch.history import History

from skmulti.training.ensemble_log import MEMBERS

PREFIXES = ("train_loss__", "valid_loss__")


def last_row(history: History) -> dict[str, Any]:
    """Return the row of the last epoch, which may be changed; ``history[-1]`` would copy the list of rows."""
    row: dict[str, Any] = list.__getitem__(history, -1)
    return row


class LossScoring(PassthroughScoring):
    """Record the loss of an epoch: exact with sample weights or missing targets, else skorch's mean over batches."""

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Record the loss, and whether it is the best so far."""
        row = last_row(net.history)
        if self.name in net._exact_losses:
            loss = net._exact_losses[self.name]
            row[self.name], row[f"{self.name}_best"] = loss, bool(self._is_best_score(loss))
            self.best_score_: float = min(loss, self.best_score_)
        elif self.name.replace("loss", "batch_count") in row:
            super().on_epoch_end(net, **kwargs)


class BestEpoch(EarlyStopping):
    """skorch's early stopping that restores all trained modules; skorch's own restores `module_` only."""

    best_beside_: Mapping[str, Any] = MappingProxyType({})

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name != "best_beside_"}

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Keep a copy of the parameters of the best epoch, or stop."""
        super().on_epoch_end(net, **kwargs)
        if self.load_best and not self.misses_:
            beside = net._learned_beside()
            self.best_beside_ = {name: copy.deepcopy(module.state_dict()) for name, module in beside.items()}

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Restore the parameters of the best epoch."""
        if not net.history:
            # Interrupted before the first epoch: skorch's would look for the last one.
            return
        restores = self.load_best and self.best_epoch_ != net.history[-1, "epoch"]
        super().on_train_end(net, **kwargs)
        for name, state in self.best_beside_.items() if restores else ():
            net._learned_beside()[name].load_state_dict(state)
        self.best_beside_ = {}


class TermLog(PrintLog):
    """Print the history as a table, with one column per term: its validation loss where there is one.

    Terms are in the order of y's columns and precede other recorded values. The best values are coloured on a terminal
    only.
    """

    # The names of the term columns in the last call of `table`.
    _shown: tuple[str, ...] = ()

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Store the names of the terms."""
        self.names_ = [term.name for term in net.terms_]

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Print a line, unless the net is silent; a member of an ensemble reports its epoch to the ensemble's log."""
        if net._on_member_epoch is not None:
            net._on_member_epoch()
        elif net.verbose or self.sink is not print:
            super().on_epoch_end(net, **kwargs)

    def table(self, row: Any) -> str:
        """Return the table of one row of the history."""
        kept = {key: value for key, value in row.items() if not key.startswith(PREFIXES)}
        terms = {}
        for name in self.names_ if len(self.names_) > 1 else ():
            for prefix in PREFIXES:
                if prefix + name in row:
                    # A column of y may have the name of another recorded value.
                    terms[f"loss of {name}" if name in kept else name] = row[prefix + name]
        self._shown = tuple(terms)
        return super().table({**kept, **terms})

    def format_row(self, row: Any, key: str, color: str) -> Any:
        """Return a cell, without colour codes unless standard output is a terminal."""
        # A custom sink may write to a file, where colour codes are noise.
        colored = self.sink is print and getattr(sys.stdout, "isatty", bool)()
        return super().format_row(row if colored else {key: row[key]}, key, color)

    def _sorted_keys(self, keys: Iterable[str]) -> list[str]:
        # skorch sorts by name and hides some names, which columns of y may have.
        others = super()._sorted_keys([key for key in keys if key not in self._shown])
        first = [key for key in ("epoch", MEMBERS) if key in others]
        terms = [name for name in self._shown if name not in self.keys_ignored_]
        return [*first, *terms, *(key for key in others if key not in first)]
