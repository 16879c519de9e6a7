"""The printed log: one column per term."""

from __future__ import annotations

from typing import Any

from skorch.callbacks import PrintLog

PREFIXES = ("train_loss__", "valid_loss__")


class TermLog(PrintLog):
    """Print the history as a table, with one column per term: its validation loss where there is one."""

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Remember the names of the terms."""
        self.names_ = [term.name for term in net.terms_]

    def table(self, row: Any) -> str:
        """Return the table of one row of the history."""
        kept = {key: value for key, value in row.items() if not key.startswith(PREFIXES)}
        for name in self.names_ if len(self.names_) > 1 else ():
            for prefix in PREFIXES:
                if prefix + name in row:
                    kept[name] = row[prefix + name]
        return super().table(kept)
