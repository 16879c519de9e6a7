"""What is recorded and printed of an epoch: its losses, one column per term."""

from __future__ import annotations

from typing import Any

from skorch.callbacks import PassthroughScoring, PrintLog
from skorch.history import History

PREFIXES = ("train_loss__", "valid_loss__")


def last_row(history: History) -> dict[str, Any]:
    """Return the row of the last epoch, to be read and written: ``history[-1]`` copies the list of all rows."""
    row: dict[str, Any] = list.__getitem__(history, -1)
    return row


class LossScoring(PassthroughScoring):
    """Record an epoch's loss: exact where rows have weights or miss targets, else the mean over the batches."""

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Record the loss, and whether it is the best so far."""
        row = last_row(net.history)
        if self.name in net._exact_losses:
            loss = net._exact_losses[self.name]
            row[self.name], row[f"{self.name}_best"] = loss, bool(self._is_best_score(loss))
            self.best_score_: float = min(loss, self.best_score_)
        elif self.name.replace("loss", "batch_count") in row:
            super().on_epoch_end(net, **kwargs)


class TermLog(PrintLog):
    """Print the history as a table, with one column per term: its validation loss where there is one."""

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Remember the names of the terms."""
        self.names_ = [term.name for term in net.terms_]

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Print a line, and make none where nobody sees it."""
        if net.verbose or self.sink is not print:
            super().on_epoch_end(net, **kwargs)

    def table(self, row: Any) -> str:
        """Return the table of one row of the history."""
        kept = {key: value for key, value in row.items() if not key.startswith(PREFIXES)}
        for name in self.names_ if len(self.names_) > 1 else ():
            for prefix in PREFIXES:
                if prefix + name in row:
                    kept[name] = row[prefix + name]
        return super().table(kept)
