"""What the members of an ensemble say joined with a linear model, in shares learned from rows that they did not see."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from scipy.optimize import nnls
from sklearn import config_context
from sklearn.linear_model import RidgeCV
from torch import Tensor, nn

from skmulti.losses.base import mean_over_members

_ALPHAS = np.logspace(-2, 5, 22)
# The share that a linear model is thought to have before anything is known.
_PRIOR_OF_LINEAR = 0.2
# How strongly shares are held at what was thought before: those of all columns together, and those of one column at
# those of all. Shares of the rows.
_STRENGTH, _STRENGTH_OF_COLUMN = 0.005, 0.05
# How many times its expected error a column's signal must be to be believed: more than one, since the epochs of members
# were chosen by the rows that they left out, and the more so the fewer these are: with 30 rows twice as many.
_CAUTION, _CAUTIOUS_ROWS = 3.0, 30
# Singular values of larger tables take too long, and what is left out of more rows too much memory.
_MOST_PRODUCTS, _MOST_NUMBERS = 3_000_000_000, 100_000_000
_LEAST_ROWS = 10
# Products of the linear model that are held at once: what a processor's cache holds.
_PRODUCTS_AT_ONCE = 2**17
# Targets that lie further from their middle half than so many times its width do not decide about shares, and are not
# predicted unless some were foreseen. What Tukey calls far out begins at 3.
_REACH_OF_SHARES, _REACH = 10.0, 3.0
# One row that was right may be chance.
_LEAST_FORESEEN = 3


class Stacking(nn.Module):
    """The weighted sum of the means of groups of members and of a ridge regression, column by column [1]_, [2]_.

    It stays within what targets were seen, and a share of their range further, unless it is to extrapolate.

    Parameters
    ----------
    groups : sequence of int
        The group of each member.
    n_features : int
        The number of inputs of the ridge regression.
    n_raw : int
        The number of raw outputs.
    margin : float or None, default=0.1
        How far beyond the targets that were seen a prediction may lie: a share of their range. None sets no limit.

    References
    ----------
    .. [1] D. H. Wolpert, "Stacked generalization", Neural Networks 5 (1992), 241-259.
    .. [2] L. Breiman, "Stacked regressions", Machine Learning 24 (1996), 49-64: no share is negative.

    Examples
    --------
    >>> import torch
    >>> from skmulti.ensembles.stacking import Stacking
    >>> stacking = Stacking([0, 0], n_features=1, n_raw=1)
    >>> [raw.tolist() for raw in stacking([torch.tensor([[1.0]]), torch.tensor([[3.0]])], torch.tensor([[5.0]]))]
    [[[1.0]], [[3.0]]]
    """

    weights: Tensor
    coef: Tensor
    intercept: Tensor
    slope: Tensor
    is_stacked: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, groups: Sequence[int], n_features: int, n_raw: int, margin: float | None = 0.1) -> None:
        super().__init__()
        self.groups, self.margin = list(groups), margin
        sizes = torch.bincount(torch.tensor(self.groups)).to(torch.get_default_dtype())
        self.register_buffer("weights", (sizes / sizes.sum())[:, None].repeat(1, n_raw))
        self.register_buffer("coef", torch.zeros(n_features, n_raw))
        self.register_buffer("intercept", torch.zeros(n_raw))
        self.register_buffer("slope", torch.zeros(n_features, n_raw))
        self.register_buffer("low", torch.full((n_raw,), -torch.inf))
        self.register_buffer("high", torch.full((n_raw,), torch.inf))
        self.register_buffer("is_stacked", torch.zeros(n_raw, dtype=torch.bool))

    def forward(self, raws: Sequence[Tensor], X: Tensor, beyond: Tensor | None = None) -> list[Tensor]:
        """Return raw outputs of all members whose mean is the joint prediction.

        Parameters
        ----------
        raws : sequence of Tensor of shape (n_rows, n_raw)
            What each member says.
        X : Tensor of shape (n_rows, n_features)
            The inputs of the members and of the linear model.
        beyond : Tensor of shape (n_rows, n_features), default=None
            How far inputs lie beyond those in `fit`, where predictions go on along the linear model.
        """
        if not self.is_stacked.any():
            return list(raws)
        # In double precision, and with sums in an order that does not depend on other rows.
        raws = [raw.double() for raw in raws]
        means, shares = self.means_of_groups(raws), self.weights.double()
        joint = (shares[:, None] * means).sum(0) + _by_row(X, self.coef) + self.intercept
        if beyond is not None:
            joint = joint + _by_row(beyond, self.slope)
        joint = joint.clamp(self.low, self.high)
        # They go on to disagree, as much as they have a share.
        spread = shares.sum(0).clamp(max=1)
        return [
            torch.where(self.is_stacked, joint + spread * (raw - means[group]), raw)
            for raw, group in zip(raws, self.groups, strict=True)
        ]

    def means_of_groups(self, raws: Sequence[Tensor]) -> Tensor:
        """Return the mean of what the members of each group say, shape (n_groups, n_rows, n_raw)."""
        groups: list[list[Tensor]] = [[] for _ in range(max(self.groups) + 1)]
        for raw, group in zip(raws, self.groups, strict=True):
            groups[group].append(raw)
        return torch.stack([mean_over_members(torch.stack(own)) for own in groups])

    def learn(
        self,
        X: np.ndarray,
        y: np.ndarray,
        held_out: np.ndarray,
        raw: Sequence[int],
        sample_weight: np.ndarray | None = None,
    ) -> None:
        """Learn the linear model and the shares.

        Parameters
        ----------
        X : ndarray of shape (n_rows, n_features)
            The training inputs.
        y : ndarray of shape (n_rows, n_stacked)
            The targets of some raw outputs in the network's units, NaN where one is missing.
        held_out : ndarray of shape (n_groups, n_rows, n_stacked)
            What each group says of rows that its members did not learn from, NaN where there is no such member.
        raw : sequence of int
            Which raw outputs these are.
        sample_weight : ndarray of shape (n_rows, n_stacked), default=None
            The weight of each target.
        """
        weight = np.ones_like(y) if sample_weight is None else sample_weight
        seen = ~np.isnan(y) & (weight > 0)
        # Columns that have the same rows and weights are one regression.
        together = [list(range(len(raw)))] if seen.all() and sample_weight is None else [[i] for i in range(len(raw))]
        for places in together:
            of_rows = seen[:, places[0]]
            if of_rows.sum() < _LEAST_ROWS:
                continue
            of_row = None if sample_weight is None else weight[of_rows, places[0]]
            linear = _Linear(X[of_rows], y[np.ix_(of_rows, places)], of_row)
            candidates = np.stack([*held_out[:, of_rows][..., places], linear.held_out], axis=-1)
            targets, weights = y[np.ix_(of_rows, places)], weight[np.ix_(of_rows, places)]
            usual = _pooled_weights(candidates, targets, weights)
            if usual is None:
                continue
            for i, place in enumerate(places):
                shares = _column_weights(candidates[:, i], targets[:, i], weights[:, i], usual, _STRENGTH_OF_COLUMN)
                self.is_stacked[raw[place]] = True
                self.low[raw[place]], self.high[raw[place]] = _range(
                    candidates[:, i] @ shares, targets[:, i], self.margin
                )
                self.weights[:, raw[place]] = torch.as_tensor(shares[:-1])
                self.coef[:, raw[place]] = torch.as_tensor(shares[-1] * linear.coef[:, i])
                # Networks say anything of what lies beyond: all of the sum goes on as the linear model does.
                self.slope[:, raw[place]] = torch.as_tensor(shares.sum() * linear.coef[:, i])
                self.intercept[raw[place]] = float(shares[-1] * linear.intercept[i])


def _by_row(X: Tensor, coef: Tensor) -> Tensor:
    """Return X times coef, each row by itself: matrix products sum rows at the end of a block in another order."""
    coef = coef.double().T.contiguous()
    at_once = max(1, _PRODUCTS_AT_ONCE // coef.numel())
    return torch.cat([(rows.double()[:, None] * coef).sum(-1) for rows in X.split(at_once)])


def held_out_means(
    predictions: Sequence[tuple[np.ndarray, np.ndarray]], groups: Sequence[int], n_rows: int
) -> np.ndarray:
    """Return the mean of each group's out-of-fold predictions, shape (n_groups, n_rows, n_raw), NaN where it has none.

    Parameters
    ----------
    predictions : sequence of pairs of ndarray of shape (n_held_out,) and ndarray of shape (n_held_out, n_raw)
        The held-out rows of each member and its predictions for them.
    groups : sequence of int
        The group of each member.
    n_rows : int
        The number of training rows.
    """
    total = np.zeros((max(groups) + 1, n_rows, predictions[0][1].shape[1]))
    count = np.zeros((*total.shape[:2], 1))
    for (held_out, values), group in zip(predictions, groups, strict=True):
        total[group, held_out] += values
        count[group, held_out] += 1
    with np.errstate(invalid="ignore"):
        return np.asarray(total / count)


class _Linear:
    """A ridge regression of several columns, each with its own penalty.

    It knows too what it says of each row when it learns from all others.
    """

    def __init__(self, X: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None) -> None:
        self.coef, self.intercept = np.zeros((X.shape[1], y.shape[1])), np.average(y, axis=0, weights=sample_weight)
        self.held_out = np.repeat(self.intercept[None], len(y), axis=0)
        if X.size * min(X.shape) > _MOST_PRODUCTS or y.size * len(_ALPHAS) > _MOST_NUMBERS:
            return
        ridge = RidgeCV(_ALPHAS, scoring="neg_mean_squared_error", store_cv_results=True, alpha_per_target=True)
        with warnings.catch_warnings(), np.errstate(all="ignore"), config_context(enable_metadata_routing=False):
            # Of rows that a fit without them can't say anything about.
            warnings.simplefilter("ignore")
            ridge.fit(X.astype(np.float64), y, sample_weight=sample_weight)
        best = [int(np.flatnonzero(alpha == _ALPHAS)[0]) for alpha in np.atleast_1d(ridge.alpha_)]
        coef, held_out = ridge.coef_.reshape(y.shape[1], -1).T, ridge.cv_results_.reshape(*y.shape, -1)
        held_out = np.stack([held_out[:, i, k] for i, k in enumerate(best)], axis=1)
        if np.isfinite(held_out).all() and np.isfinite(coef).all():
            self.coef, self.intercept, self.held_out = coef, np.atleast_1d(ridge.intercept_), held_out


def _pooled_weights(candidates: np.ndarray, y: np.ndarray, weight: np.ndarray) -> np.ndarray | None:
    """Return the shares that suit all columns, None where there is too little to learn from.

    Parameters
    ----------
    candidates : ndarray of shape (n_rows, n_columns, n_candidates)
        What each candidate says, NaN where it says nothing.
    y, weight : ndarray of shape (n_rows, n_columns)
        The targets and their weights.
    """
    seen = np.isfinite(candidates).all(axis=(1, 2))
    if seen.sum() < _LEAST_ROWS:
        return None
    n_groups = candidates.shape[-1] - 1
    prior = np.array([(1 - _PRIOR_OF_LINEAR) / n_groups] * n_groups + [_PRIOR_OF_LINEAR])
    parts = [_within_reach(candidates[seen, i], y[seen, i]) for i in range(y.shape[1])]
    # Columns that can hardly be told are not to decide for the others, nor the other way round.
    errors = [float(np.mean((own.mean(axis=1) - of_rows) ** 2)) for own, of_rows in parts]
    scales = 1 / np.sqrt(np.maximum(errors, 1e-9))
    return _solve(
        np.concatenate([scale * own for scale, (own, _) in zip(scales, parts, strict=True)]),
        np.concatenate([scale * of_rows for scale, (_, of_rows) in zip(scales, parts, strict=True)]),
        weight[seen].T.ravel(),
        prior,
        _STRENGTH,
    )


def _column_weights(
    candidates: np.ndarray, y: np.ndarray, weight: np.ndarray, prior: np.ndarray, strength: float
) -> np.ndarray:
    """Return the share of each candidate in one column, none negative and at most 1 together."""
    seen = np.isfinite(candidates).all(axis=1)
    (candidates, y), weight = _within_reach(candidates[seen], y[seen]), weight[seen]
    shares = _solve(candidates, y, weight, prior, strength)
    joint = candidates @ shares
    signal, noise = np.average(joint**2, weights=weight), np.average((y - joint) ** 2, weights=weight)
    # As James and Stein did: what is little beside its errors comes closer to the mean.
    caution = _CAUTION * (1 + _CAUTIOUS_ROWS / len(y))
    return shares * max(0.0, 1.0 - caution * noise / max(len(y) * signal, 1e-12))


def _solve(candidates: np.ndarray, y: np.ndarray, weight: np.ndarray, prior: np.ndarray, strength: float) -> np.ndarray:
    root, pull = np.sqrt(weight), np.sqrt(strength * weight.sum())
    A = np.concatenate([candidates * root[:, None], pull * np.eye(len(prior))])
    shares: np.ndarray = nnls(A, np.concatenate([y * root, pull * prior]))[0]
    return shares / max(1.0, float(shares.sum()))


def _range(joint: np.ndarray, y: np.ndarray, margin: float | None) -> tuple[float, float]:
    """Return how low and how high predictions may lie, after those of rows that were left out.

    Outliers among the targets are none that a prediction may reach, unless some were foreseen.
    """
    if margin is None:
        return -np.inf, np.inf
    low, high = _reach(y, _REACH)
    beyond = (joint < low) | (joint > high)
    was_right = np.abs(joint - y) < np.abs(np.clip(joint, low, high) - y)
    if beyond.sum() >= _LEAST_FORESEEN and was_right[beyond].mean() > 0.5:
        low, high = -np.inf, np.inf
    further = margin * (y.max() - y.min())
    return max(low, y.min() - further), min(high, y.max() + further)


def _within_reach(candidates: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Move what lies far outside to the ends of what is usual: shares are not to hang on one row."""
    ends = _reach(y, _REACH_OF_SHARES)
    return np.clip(candidates, *ends), np.clip(y, *ends)


def _reach(y: np.ndarray, widths: float) -> tuple[float, float]:
    """Return the ends of what is no outlier: so many widths of the middle half away from it."""
    low, high = np.quantile(y, [0.25, 0.75])
    further = widths * (high - low)
    return (low - further, high + further) if low < high else (-np.inf, np.inf)
