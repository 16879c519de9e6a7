"""All fits of a search: planned, divided among processes, and trained together."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import joblib
import numpy as np
from joblib.parallel import get_active_backend
from sklearn.base import clone
from sklearn.utils.parallel import Parallel, delayed

from skmulti._compat import check_method_params, device, get_namespace, num_samples, safe_split
from skmulti.model_selection.groups import Group, group_fits
from skmulti.model_selection.pipelines import Place
from skmulti.model_selection.progress import counted_fits
from skmulti.model_selection.workers import NOT_TRAINED, Outcome, fit_alone, fit_steps, train_list
from skmulti.training.interrupt import Interrupts


@dataclass
class Fit:
    """The fit of one candidate on one split."""

    params: Mapping[str, Any]
    split: int
    n_rows: int
    estimator: Any
    place: Place
    outcome: Outcome


@dataclass(frozen=True)
class Data:
    """The data of a search: its rows, its splits, and the parameters of `fit`."""

    X: Any
    y: Any
    splits: Sequence[tuple[Any, Any]]
    fit_params: dict[str, Any]

    def of(self, fit: Fit) -> tuple[Any, Any, dict[str, Any]]:
        """Return X, y and the parameters of `fit` for the training rows of a fit."""
        xp, _ = get_namespace(self.X)
        rows = xp.asarray(self.splits[fit.split][0], device=device(self.X))
        fit_params = check_method_params(self.X, params=self.fit_params, indices=rows)
        return (*safe_split(fit.estimator, self.X, self.y, rows), fit_params)


@dataclass(frozen=True)
class Workers:
    """How the fits are run: the parameters of scikit-learn, and the memory limit of one stack in MiB."""

    n_jobs: int | None
    pre_dispatch: Any
    verbose: int
    working_memory: float | None

    def n_processes(self) -> int:
        """Return the number of training processes."""
        n_jobs: int = joblib.effective_n_jobs(self.n_jobs)
        # Networks seed and use torch's global generator: threads would interleave their random numbers.
        return 1 if getattr(get_active_backend()[0], "supports_sharedmem", False) else n_jobs


def plan_fits(estimator: Any, candidates: Sequence[Mapping[str, Any]], data: Data) -> list[Fit]:
    """Return the fits in scikit-learn's order: all splits of the first candidate, then those of the second, ..."""
    fits = []
    for params in candidates:
        for split, (rows, _) in enumerate(data.splits):
            # Values may be estimators: each fit has a clone, as in scikit-learn.
            configured = clone(estimator).set_params(**clone(dict(params), safe=False))
            place = Place.of(configured)
            fits.append(Fit(params, split, _count(rows), configured, place, Outcome(configured)))
    return fits


def _count(rows: Any) -> int:
    is_mask = getattr(rows, "dtype", None) == np.bool_
    return int(rows.sum()) if is_mask else int(num_samples(rows))


def do_fits(fits: Sequence[Fit], data: Data, workers: Workers, interrupts: Interrupts) -> None:
    """Run all fits, and set the outcome of each.

    Parameters
    ----------
    fits : sequence of Fit
        What `plan_fits` returned.
    data : Data
        The data.
    workers : Workers
        How to run the fits.
    interrupts : Interrupts
        Ends all fits after Ctrl-C.
    """
    n_processes = workers.n_processes()
    is_remote = n_processes > 1
    with nullcontext() if is_remote else joblib.parallel_config(backend="sequential"):
        # With one job, some backends still send tasks to a worker; these fits stay in this process.
        parallel = Parallel(n_jobs=n_processes, pre_dispatch=workers.pre_dispatch, max_nbytes=None)
    groups = group_fits([fit for fit in fits if not fit.place.why_not], has_fit_params=bool(data.fit_params))
    with counted_fits(len(fits), verbose=workers.verbose > 0, shared=is_remote, interrupts=interrupts) as progress:
        n_failed = _fit_steps_of_groups(groups, data, parallel, is_remote)
        interrupts.check()
        if progress is not None and n_failed:
            progress(n_failed)
        lists = _divide([group for group in groups if group.call is not None], n_processes)
        alone = [fit for fit in fits if fit.place.why_not]
        options: dict[str, Any] = {"progress": progress, "is_remote": is_remote}

        def tasks() -> Iterator[Any]:
            for parts in lists:
                calls = [(group.call, [fit.place.net_of(fit.estimator) for fit in part]) for group, part in parts]
                yield delayed(train_list)(calls, working_memory=workers.working_memory, **options)
            for fit in alone:
                yield delayed(fit_alone)(fit.estimator, *data.of(fit), fit.place.why_not, **options)

        outcomes = iter([outcome.unpack() for done in parallel(tasks()) for outcome in done])
        interrupts.check()
    for parts in lists:
        for group, part in parts:
            for fit in part:
                fit.outcome = next(outcomes)
                fit.outcome.estimator = fit.place.with_net(group.fitted, fit.outcome.estimator)
                fit.outcome.seconds += group.seconds / len(group.fits)
    for fit in alone:
        fit.outcome = next(outcomes)


def _fit_steps_of_groups(groups: Sequence[Group], data: Data, parallel: Parallel, is_remote: bool) -> int:
    """Fit the steps before the networks once per group, and record the arguments of the networks' `fit`.

    Returns
    -------
    n_failed : int
        The number of fits that failed in these steps.
    """
    n_failed = 0
    bare = [group for group in groups if not group.fits[0].place.path]
    with_steps = [group for group in groups if group.fits[0].place.path]
    results = [_of_group(fit_steps, group, data, is_remote=False) for group in bare]
    # Without steps there is nothing to fit in other processes.
    results += parallel(_of_group(delayed(fit_steps), group, data, is_remote) for group in with_steps)
    for group, (outcome, call) in zip([*bare, *with_steps], results, strict=True):
        outcome.unpack()
        group.fitted, group.call, group.seconds = outcome.estimator, call, outcome.seconds
        for fit in group.fits:
            if outcome.error is not None:
                seconds = outcome.seconds / len(group.fits)
                fit.outcome = Outcome(fit.estimator, outcome.error, seconds, NOT_TRAINED)
                n_failed += 1
            elif call is None:
                fit.estimator = clone(fit.estimator)
                fit.place = Place((), "its fit is called with unexpected arguments")
    return n_failed


def _of_group(run: Any, group: Group, data: Data, is_remote: bool) -> Any:
    fit = group.fits[0]
    return run(fit.estimator, fit.place, *data.of(fit), is_remote=is_remote)


def _divide(groups: Sequence[Group], n_lists: int) -> list[list[tuple[Group, list[Fit]]]]:
    """Return lists with about equal numbers of fits, with as few groups as possible divided between lists."""
    n_fits = sum(len(group.fits) for group in groups)
    per_list = max(1, math.ceil(n_fits / n_lists))
    lists: list[list[tuple[Group, list[Fit]]]] = []
    n_free = 0
    for group in groups:
        start = 0
        while start < len(group.fits):
            if n_free == 0:
                lists.append([])
                n_free = per_list
            part = group.fits[start : start + n_free]
            lists[-1].append((group, part))
            start, n_free = start + len(part), n_free - len(part)
    return lists
