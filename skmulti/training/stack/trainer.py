"""Training in step: all members of a stack go through their epochs together, and leave when they are done."""

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

# Rows of each member that are validated at once: they stay near the processor.
_ROWS_TO_VALIDATE = 256


class StackTrainer:
    """The training of nets of one shape, each with its own rows, losses, options and end.

    Parameters
    ----------
    runs : sequence of TrainingRun
        The nets, in the order of falling numbers of batches; see `skmulti.training.stack.plan`.
    sources : Sources
        Their rows.
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
        self._marks = {run: run.mark() for run in runs if run.is_watched}
        self._generators = [run.net._streams.generator() for run in runs]
        self._optimizer = StackedOptimizer(
            [run.net.optimizer_ for run in runs],
            modules,
            self._parameters,
            [len(run.loader) for run in runs],
        )
        for loaders in ([e.loader for e in runs], [e.valid for e in runs if e.valid is not None]):
            sources.add([(own, e.net.target_scaler_) for own, e in zip(loaders, runs, strict=False)])
        self._bind()

    def why_not(self) -> str:
        """Return why these nets can't be trained as a stack after all, or an empty string."""
        if not isinstance(self._network, FunctionalNetwork):
            return ""
        first = self._runs[0]
        rows = self._sources.of(first.loader, first.net.target_scaler_).rows
        # Batch normalisation wants two rows at least.
        return self._network.why_not(rows.gather(torch.zeros(2, dtype=torch.int64))[0])

    def epochs(self) -> Generator[list[TrainingRun], None, None]:
        """Train until nobody is left; yield after each epoch those who began it.

        Who closes the iterator ends the training as an interruption does.
        """
        try:
            while self._runs:
                begun = list(self._runs)
                self._run_epoch()
                yield begun
        except (KeyboardInterrupt, GeneratorExit):
            # As in skorch, what was learned so far is kept.
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
        """Join what belongs to the present members."""
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
                _tell_schedule(self._runs[k].net.optimizer_)
        # Schedules have set what is new in this epoch.
        self._optimizer.read_options()
        train = self._train()
        valid = self._validate() if self._valid is not None else [None] * len(self._runs)
        sound = {k for k, losses in enumerate(zip(train, valid, strict=True)) if all(map(_is_finite, losses))}
        ending = [k for k in sorted(sound) if self._runs[k].ends_unseen]
        self._parameters.publish(ending)
        sound -= {k for k in ending if not self._runs[k].predicts_well()}
        finite = self._parameters.renew_good(sorted(sound))
        self._parameters.publish(watched)
        way = TrainingLoop("stack", self._network.name, "stacked")
        for k, run in enumerate(self._runs):
            run.good.finite = finite[k]
            run.net.training_loop_ = way
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
        """Let those go whose training is over."""
        changed = {e for e in self._runs if e.is_watched and e.mark() != self._marks[e]}
        over = [k for k, run in enumerate(self._runs) if run.is_over or run in changed]
        if not over:
            return
        self._release(over)
        leaving, gone = [self._runs[k] for k in over], set(over)
        rest = [k for k in range(len(self._runs)) if k not in gone]
        if rest:
            self._parameters.keep(rest)
            self._optimizer.keep(rest, self._parameters)
        self._runs = [self._runs[k] for k in rest]
        self._generators = [self._generators[k] for k in rest]
        if rest:
            self._bind()
        for run in leaving:
            best = self._best.pop(run, None)
            numbers = None if best is None else _named(run.net.module_, best)
            if run.is_over:
                run.end(numbers)
            else:
                run.go_on_alone(numbers)

    def _release(self, members: Sequence[int]) -> None:
        """Give members their numbers, what their optimizers remember, and their random streams."""
        failed = {k for k in members if self._runs[k].task.error is not None}
        self._parameters.publish([k for k in members if k not in failed])
        self._parameters.restore(list(failed))
        self._optimizer.publish(members)
        for k in members:
            self._runs[k].net._streams.follow(self._generators[k])


def _named(module: nn.Module, numbers: Sequence[Tensor]) -> dict[str, Tensor]:
    """Return numbers as a module's `state_dict` names them: a member's names may be others than its neighbour's."""
    names = [name for name, _ in (*module.named_parameters(), *module.named_buffers())]
    kept = module.state_dict()
    return {name: value for name, value in zip(names, numbers, strict=True) if name in kept}


def _is_finite(losses: RunLosses | None) -> bool:
    return losses is None or all(map(math.isfinite, losses.of_terms))


def _tell_schedule(optimizer: Any) -> None:
    """Let a schedule of torch, which warns if nobody steps, see that the optimizer is in use."""
    if "step" in vars(optimizer):
        optimizer.zero_grad()
        optimizer.step()
