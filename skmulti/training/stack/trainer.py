"""Train the nets of a stack epoch by epoch; a net leaves the stack when its training ends."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from skmulti._compat import foreach_copy_
from skmulti.training.loop_choice import TrainingLoop, uncompiled
from skmulti.training.optimizers.stacked import StackedOptimizer
from skmulti.training.optimizers.stacked_parameters import StackedParameters
from skmulti.training.passes.functional import FunctionalNetwork
from skmulti.training.passes.stacked import StackedPasses, shape_of
from skmulti.training.stack.epoch_sums import LossAccumulator
from skmulti.training.stack.losses import StackedLosses
from skmulti.training.stack.rows import Sources, StackedRows
from skmulti.training.stack.run import RunLosses, TrainingRun
from skmulti.training.threads import AdaptiveThreads

# Rows of each net that are validated at once, few enough for the processor's cache.
_ROWS_TO_VALIDATE = 256


class StackTrainer:
    """Trains nets of one shape, each with its own rows, losses, optimizer options and stopping criterion.

    Parameters
    ----------
    runs : sequence of TrainingRun
        The nets, by decreasing number of batches; see `skmulti.training.stack.plan`.
    sources : Sources
        The rows of their datasets.
    threads : AdaptiveThreads
        Chooses the number of threads of each step.
    """

    def __init__(
        self,
        runs: Sequence[TrainingRun],
        sources: Sources,
        threads: AdaptiveThreads,
    ) -> None:
        self._threads = threads
        self._runs, self._sources = list(runs), sources
        modules = [run.net.module_ for run in runs]
        self._parameters = StackedParameters(modules)
        self._best: dict[TrainingRun, list[Tensor]] = {}
        self._fingerprints = {run: run.fingerprint() for run in runs if run.is_watched}
        self._generators = [run.net._streams.generator() for run in runs]
        self._optimizer = StackedOptimizer(
            [run.net.optimizer_ for run in runs],
            modules,
            self._parameters,
            [len(run.loader) for run in runs],
        )
        for loaders in ([e.loader for e in runs], [e.valid for e in runs if e.valid is not None]):
            sources.add([(loader, e.net.target_scaler_) for loader, e in zip(loaders, runs, strict=False)])
        self._bind()

    def why_not(self) -> str:
        """Return why the networks can't be evaluated as a stack, or an empty string."""
        if not isinstance(self._network, FunctionalNetwork):
            return ""
        first = self._runs[0]
        rows = self._sources.of(first.loader, first.net.target_scaler_).rows
        # Batch normalisation needs at least two rows in training mode.
        return self._network.why_not(rows.gather(torch.zeros(2, dtype=torch.int64))[0])

    def epochs(self) -> Generator[list[TrainingRun], None, None]:
        """Train until all runs have ended; yield the runs of each epoch after it.

        Closing the generator ends training as Ctrl-C does.
        """
        try:
            while self._runs:
                begun = list(self._runs)
                self._run_epoch()
                yield begun
        except (KeyboardInterrupt, GeneratorExit):
            # As in skorch, the nets keep the parameters learned so far.
            for run in self._runs:
                run.is_over = True
            self._leave()
            raise
        except Exception:
            self._release(range(len(self._runs)))
            for run in self._runs:
                run.net._leave_training()
            raise

    def _bind(self) -> None:
        """Stack the rows, losses and networks of the present runs."""
        runs = self._runs
        scalers = [run.net.target_scaler_ for run in runs]
        self._rows = StackedRows(
            [run.loader for run in runs],
            [self._sources.of(e.loader, scaler) for e, scaler in zip(runs, scalers, strict=True)],
        )
        self._losses = StackedLosses([uncompiled(run.net.criterion_) for run in runs])
        self._valid: StackedRows | None = None
        held_out = [run.valid for run in runs if run.valid is not None]
        if held_out:
            self._valid = StackedRows(
                held_out,
                [self._sources.of(loader, scaler) for loader, scaler in zip(held_out, scalers, strict=True)],
                batch_size=_ROWS_TO_VALIDATE if self._losses.takes_any_batch else None,
                keeps_all=True,
            )
        modules = [run.net.module_ for run in runs]
        input_shape = runs[0].net._encoded_shape
        self._network: StackedPasses | FunctionalNetwork
        if shape_of(modules[0], input_shape) is None:
            self._network = FunctionalNetwork(modules, self._parameters)
        else:
            self._network = StackedPasses(modules, self._parameters, self._generators, input_shape)

    def _run_epoch(self) -> None:
        for run in self._runs:
            run.begin_epoch()
        self._leave()
        start = time.perf_counter()
        if not self._runs:
            return
        watched = [k for k, run in enumerate(self._runs) if run.is_watched]
        if watched:
            self._parameters.fetch(watched)
            for k in watched:
                _mark_stepped(self._runs[k].net.optimizer_)
        # Callbacks and schedules may have changed the options at the beginning of the epoch.
        self._optimizer.read_options()
        train = self._train()
        valid = self._validate() if self._valid is not None else [None] * len(self._runs)
        finite_losses = {k for k, losses in enumerate(zip(train, valid, strict=True)) if all(map(_is_finite, losses))}
        # Losses are those before each step: without validation, only predictions reveal a last step that diverged.
        ending = [k for k in sorted(finite_losses) if self._runs[k].ends_unvalidated]
        self._parameters.publish(ending)
        good = finite_losses - {k for k in ending if not self._runs[k].predicts_finite()}
        finite = self._parameters.renew_good(sorted(good))
        self._parameters.publish(watched)
        loop = TrainingLoop("stack", self._network.name, "stacked")
        for k, run in enumerate(self._runs):
            run.last_good.finite = finite[k]
            run.net.training_loop_ = loop
            run.end_epoch(train[k], valid[k])
            if run.improved:
                self._keep_best(k, run)
        seconds = (time.perf_counter() - start) / len(self._runs)
        for run in self._runs:
            run.task.seconds_of_epochs[len(run.net.history_) - 1] = seconds
        self._leave()

    @torch.no_grad()
    def _train(self) -> list[RunLosses]:
        accumulator = LossAccumulator(self._losses, len(self._runs))
        for batch in self._rows.batches():
            n_members = len(batch.sizes)
            self._threads.begin_step()
            self._network.narrow(n_members)
            raw = self._network.forward(batch.X, batch.sizes)
            self._network.backward(self._losses.gradient(raw, batch))
            self._optimizer.step(n_members)
            accumulator.add(raw, batch)
            self._threads.end_step(n_members)
        return accumulator.per_run()

    @torch.no_grad()
    def _validate(self) -> list[RunLosses]:
        assert self._valid is not None
        accumulator = LossAccumulator(self._losses, len(self._runs))
        self._network.narrow(len(self._runs))
        for batch in self._valid.batches():
            accumulator.add(self._network.evaluate(batch.X), batch)
        return accumulator.per_run()

    def _keep_best(self, k: int, run: TrainingRun) -> None:
        values = [value[k] for value in self._parameters.numbers()]
        if run in self._best:
            foreach_copy_(self._best[run], values)
        else:
            self._best[run] = [value.clone() for value in values]

    def _leave(self) -> None:
        """Remove the runs that have ended and those whose net changed so that it no longer fits the stack."""
        changed = {e for e in self._runs if e.is_watched and e.fingerprint() != self._fingerprints[e]}
        over = [k for k, run in enumerate(self._runs) if run.is_over or run in changed]
        if not over:
            return
        self._release(over)
        removed, indices = [self._runs[k] for k in over], set(over)
        rest = [k for k in range(len(self._runs)) if k not in indices]
        if rest:
            self._parameters.keep(rest)
            self._optimizer.keep(rest, self._parameters)
        self._runs = [self._runs[k] for k in rest]
        self._generators = [self._generators[k] for k in rest]
        if rest:
            self._bind()
        for run in removed:
            best = self._best.pop(run, None)
            numbers = None if best is None else _named(run.net.module_, best)
            if run.is_over:
                run.end(numbers)
            else:
                run.continue_alone(numbers)

    def _release(self, indices: Sequence[int]) -> None:
        """Copy parameters, optimizer states and random states of some runs back into their nets."""
        failed = {k for k in indices if self._runs[k].task.error is not None}
        self._parameters.publish([k for k in indices if k not in failed])
        self._parameters.restore(list(failed))
        self._optimizer.publish(indices)
        for k in indices:
            self._runs[k].net._streams.follow(self._generators[k])


def _named(module: nn.Module, numbers: Sequence[Tensor]) -> dict[str, Tensor]:
    """Return values by their names in the module's `state_dict`; names can differ between the nets of a stack."""
    names = [name for name, _ in (*module.named_parameters(), *module.named_buffers())]
    kept = module.state_dict()
    return {name: value for name, value in zip(names, numbers, strict=True) if name in kept}


def _is_finite(losses: RunLosses | None) -> bool:
    return losses is None or all(map(math.isfinite, losses.of_terms))


def _mark_stepped(optimizer: Any) -> None:
    """Call the optimizer's patched step: torch's schedulers warn if it was never called."""
    if "step" in vars(optimizer):
        optimizer.zero_grad()
        optimizer.step()
