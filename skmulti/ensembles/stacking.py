"""Members and a ridge regression, stacked by non-negative weights that are fitted on out-of-fold predictions."""

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

# Ridge penalties for standardised columns, from almost no shrinkage to almost the mean, three per decade.
_ALPHAS = np.logspace(-2, 5, 22)
# The stacking weight of the ridge regression before any row is seen. Members share the rest: they are usually better.
_PRIOR_OF_RIDGE = 0.2
# How strongly stacking weights are pulled towards their prior, as a fraction of the rows' total weight: those of all
# columns together towards the prior above, those of one column towards those of all columns.
_STRENGTH, _STRENGTH_OF_COLUMN = 0.005, 0.05
# The factor on the noise in the shrinkage of a column. It exceeds 1 because early stopping chose the members' epochs by
# the same held-out rows, and grows as rows get fewer: with 30 rows it is doubled.
_SHRINKAGE, _SHRINKAGE_ROWS = 3.0, 30
# Beyond these sizes there is no ridge regression: its singular value decomposition would take too long, and its
# leave-one-out predictions for every penalty too much memory.
_MOST_PRODUCTS, _MOST_NUMBERS = 3_000_000_000, 100_000_000
# With fewer rows the weights of several candidates cannot be estimated; members keep equal weights.
_LEAST_ROWS = 10
# Products of the linear model that are held at once: a megabyte in double precision, about a processor's cache.
_PRODUCTS_AT_ONCE = 2**17
# Fences for outliers, in interquartile ranges from the quartiles. Predictions are limited to 3, the outer fence of
# Tukey, "Exploratory Data Analysis" (1977); the fit of stacking weights clips only at 10, since heavy tails carry
# information.
_FENCE_OF_WEIGHTS, _FENCE = 10.0, 3.0
# How many out-of-fold predictions beyond the fence are needed to lift it: one that was better may be chance.
_LEAST_OUTLIERS = 3


class Stacking(nn.Module):
    """Stacking of members and a ridge regression [1]_, [2]_.

    Each raw output is a weighted sum of the means of groups of members and of a ridge regression. The sum is clipped to
    the range of the training targets and a margin, unless `margin` is None.

    Parameters
    ----------
    groups : sequence of int
        The group of each member.
    n_features : int
        The number of encoded inputs, which the ridge regression takes.
    n_raw : int
        The number of raw outputs.
    margin : float or None, default=0.1
        By how much a prediction may exceed the range of the training targets, as a fraction of this range. None sets no
        limit.

    Attributes
    ----------
    weights : Tensor of shape (n_groups, n_raw)
        The stacking weights of the groups, none negative.
    coef : Tensor of shape (n_features, n_raw)
        The coefficients of the ridge regression, times its stacking weight.
    intercept : Tensor of shape (n_raw,)
        Its intercepts, times its stacking weight.
    slope : Tensor of shape (n_features, n_raw)
        The coefficients by which predictions continue beyond the inputs of `fit`.
    is_stacked : Tensor of shape (n_raw,), bool
        Whether a raw output is stacked; others keep the members' values.
    low, high : Tensor of shape (n_raw,)
        The limits of predictions, in the network's units.

    References
    ----------
    .. [1] D. H. Wolpert, "Stacked generalization", Neural Networks 5 (1992), 241-259.
    .. [2] L. Breiman, "Stacked regressions", Machine Learning 24 (1996), 49-64: weights are not negative.

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
        """Return raw outputs of all members, shifted so that their mean is the stacked prediction.

        Parameters
        ----------
        raws : sequence of Tensor of shape (n_rows, n_raw)
            The raw outputs of each member.
        X : Tensor of shape (n_rows, n_features)
            The encoded inputs.
        beyond : Tensor of shape (n_rows, n_features), default=None
            By how much inputs exceed those of `fit`, 0 where they do not; predictions continue linearly there.

        Returns
        -------
        raws : list of Tensor of shape (n_rows, n_raw)
            Double precision where a raw output is stacked.
        """
        if not self.is_stacked.any():
            return list(raws)
        # Double precision, and sums in an order that does not depend on other rows, so that a row has the same
        # prediction in any batch.
        raws = [raw.double() for raw in raws]
        means, weights = self.means_of_groups(raws), self.weights.double()
        stacked = (weights[:, None] * means).sum(0) + _by_row(X, self.coef) + self.intercept
        if beyond is not None:
            stacked = stacked + _by_row(beyond, self.slope)
        stacked = stacked.clamp(self.low, self.high)
        # Members keep their deviations from the mean, scaled by their total weight, so that `std` remains meaningful.
        spread = weights.sum(0).clamp(max=1)
        return [
            torch.where(self.is_stacked, stacked + spread * (raw - means[group]), raw)
            for raw, group in zip(raws, self.groups, strict=True)
        ]

    def means_of_groups(self, raws: Sequence[Tensor]) -> Tensor:
        """Return the mean raw outputs of each group, shape (n_groups, n_rows, n_raw)."""
        groups: list[list[Tensor]] = [[] for _ in range(max(self.groups) + 1)]
        for raw, group in zip(raws, self.groups, strict=True):
            groups[group].append(raw)
        return torch.stack([mean_over_members(torch.stack(group)) for group in groups])

    def fit(
        self,
        X: np.ndarray,
        y: np.ndarray,
        held_out: np.ndarray,
        raw: Sequence[int],
        sample_weight: np.ndarray | None = None,
    ) -> None:
        """Fit the ridge regression and the stacking weights.

        Parameters
        ----------
        X : ndarray of shape (n_rows, n_features)
            The encoded training inputs.
        y : ndarray of shape (n_rows, n_stacked)
            The targets of some raw outputs in the network's units, NaN where one is missing.
        held_out : ndarray of shape (n_groups, n_rows, n_stacked)
            The mean out-of-fold predictions of each group, NaN where a row is held out by no member of the group.
        raw : sequence of int
            The positions of these raw outputs.
        sample_weight : ndarray of shape (n_rows, n_stacked), default=None
            The sample weight of each target.
        """
        weight = np.ones_like(y) if sample_weight is None else sample_weight
        seen = ~np.isnan(y) & (weight > 0)
        # Columns with the same rows and sample weights take one decomposition of X; others one each.
        is_complete = seen.all() and sample_weight is None
        batches = [list(range(len(raw)))] if is_complete else [[i] for i in range(len(raw))]
        for batch in batches:
            rows = seen[:, batch[0]]
            if rows.sum() < _LEAST_ROWS:
                continue
            row_weight = None if sample_weight is None else weight[rows, batch[0]]
            ridge = _Ridge(X[rows], y[np.ix_(rows, batch)], row_weight)
            candidates = np.stack([*held_out[:, rows][..., batch], ridge.held_out], axis=-1)
            targets, target_weight = y[np.ix_(rows, batch)], weight[np.ix_(rows, batch)]
            pooled = _pooled_weights(candidates, targets, target_weight)
            if pooled is None:
                continue
            for i, position in enumerate(batch):
                weights = _column_weights(
                    candidates[:, i], targets[:, i], target_weight[:, i], pooled, _STRENGTH_OF_COLUMN
                )
                k = raw[position]
                self.is_stacked[k] = True
                self.low[k], self.high[k] = _limits(candidates[:, i] @ weights, targets[:, i], self.margin)
                self.weights[:, k] = torch.as_tensor(weights[:-1])
                self.coef[:, k] = torch.as_tensor(weights[-1] * ridge.coef[:, i])
                # Networks extrapolate arbitrarily, so the whole sum continues along the ridge regression.
                self.slope[:, k] = torch.as_tensor(weights.sum() * ridge.coef[:, i])
                self.intercept[k] = float(weights[-1] * ridge.intercept[i])


def _by_row(X: Tensor, coef: Tensor) -> Tensor:
    """Return X times coef, row by row: matrix products sum the last rows of a block in another order."""
    coef = coef.double().T.contiguous()
    at_once = max(1, _PRODUCTS_AT_ONCE // coef.numel())
    return torch.cat([(rows.double()[:, None] * coef).sum(-1) for rows in X.split(at_once)])


def held_out_means(
    predictions: Sequence[tuple[np.ndarray, np.ndarray]], groups: Sequence[int], n_rows: int
) -> np.ndarray:
    """Return the mean out-of-fold predictions of each group, shape (n_groups, n_rows, n_raw), NaN where it has none.

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


class _Ridge:
    """A ridge regression of several columns, each with its own penalty.

    Where X is too large, or the regression is not finite, it is the mean of each column.

    Attributes
    ----------
    coef : ndarray of shape (n_features, n_columns)
        The coefficients.
    intercept : ndarray of shape (n_columns,)
        The intercepts.
    held_out : ndarray of shape (n_rows, n_columns)
        The leave-one-out predictions.
    """

    def __init__(self, X: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None) -> None:
        self.coef, self.intercept = np.zeros((X.shape[1], y.shape[1])), np.average(y, axis=0, weights=sample_weight)
        self.held_out = np.repeat(self.intercept[None], len(y), axis=0)
        if X.size * min(X.shape) > _MOST_PRODUCTS or y.size * len(_ALPHAS) > _MOST_NUMBERS:
            return
        ridge = RidgeCV(_ALPHAS, scoring="neg_mean_squared_error", store_cv_results=True, alpha_per_target=True)
        with warnings.catch_warnings(), np.errstate(all="ignore"), config_context(enable_metadata_routing=False):
            # Leave-one-out predictions divide by zero at rows with a leverage of 1, and are not finite then.
            warnings.simplefilter("ignore")
            ridge.fit(X.astype(np.float64), y, sample_weight=sample_weight)
        best = [int(np.flatnonzero(alpha == _ALPHAS)[0]) for alpha in np.atleast_1d(ridge.alpha_)]
        coef, held_out = ridge.coef_.reshape(y.shape[1], -1).T, ridge.cv_results_.reshape(*y.shape, -1)
        held_out = np.stack([held_out[:, i, k] for i, k in enumerate(best)], axis=1)
        if np.isfinite(held_out).all() and np.isfinite(coef).all():
            self.coef, self.intercept, self.held_out = coef, np.atleast_1d(ridge.intercept_), held_out


def _pooled_weights(candidates: np.ndarray, y: np.ndarray, weight: np.ndarray) -> np.ndarray | None:
    """Return the stacking weights that fit all columns together, None if there are too few rows.

    Parameters
    ----------
    candidates : ndarray of shape (n_rows, n_columns, n_candidates)
        The out-of-fold predictions of the groups and, last, of the ridge regression; NaN where there is none.
    y, weight : ndarray of shape (n_rows, n_columns)
        The targets and their sample weights.
    """
    seen = np.isfinite(candidates).all(axis=(1, 2))
    if seen.sum() < _LEAST_ROWS:
        return None
    n_groups = candidates.shape[-1] - 1
    prior = np.array([(1 - _PRIOR_OF_RIDGE) / n_groups] * n_groups + [_PRIOR_OF_RIDGE])
    columns = [_clip_outliers(candidates[seen, i], y[seen, i]) for i in range(y.shape[1])]
    # Each column is divided by its error, so that columns that are difficult to predict do not dominate the fit.
    errors = [float(np.mean((predicted.mean(axis=1) - target) ** 2)) for predicted, target in columns]
    scales = 1 / np.sqrt(np.maximum(errors, 1e-9))
    return _solve(
        np.concatenate([scale * predicted for scale, (predicted, _) in zip(scales, columns, strict=True)]),
        np.concatenate([scale * target for scale, (_, target) in zip(scales, columns, strict=True)]),
        weight[seen].T.ravel(),
        prior,
        _STRENGTH,
    )


def _column_weights(
    candidates: np.ndarray, y: np.ndarray, weight: np.ndarray, prior: np.ndarray, strength: float
) -> np.ndarray:
    """Return the stacking weights of one column: none is negative, and their sum is at most 1."""
    seen = np.isfinite(candidates).all(axis=1)
    (candidates, y), weight = _clip_outliers(candidates[seen], y[seen]), weight[seen]
    weights = _solve(candidates, y, weight, prior, strength)
    stacked = candidates @ weights
    signal, noise = np.average(stacked**2, weights=weight), np.average((y - stacked) ** 2, weights=weight)
    # Positive-part James-Stein shrinkage: predictions that are small beside their errors move towards the mean.
    factor = _SHRINKAGE * (1 + _SHRINKAGE_ROWS / len(y))
    return weights * max(0.0, 1.0 - factor * noise / max(len(y) * signal, 1e-12))


def _solve(candidates: np.ndarray, y: np.ndarray, weight: np.ndarray, prior: np.ndarray, strength: float) -> np.ndarray:
    """Return non-negative weights of least squares, pulled towards the prior; their sum is at most 1."""
    root, pull = np.sqrt(weight), np.sqrt(strength * weight.sum())
    # The prior enters as additional rows, as the penalty of a ridge regression does.
    A = np.concatenate([candidates * root[:, None], pull * np.eye(len(prior))])
    weights: np.ndarray = nnls(A, np.concatenate([y * root, pull * prior]))[0]
    return weights / max(1.0, float(weights.sum()))


def _limits(stacked: np.ndarray, y: np.ndarray, margin: float | None) -> tuple[float, float]:
    """Return the least and the largest prediction: the range of the targets and a margin, without outliers.

    Outliers count if enough out-of-fold predictions were more accurate beyond the fence than they are clipped to it.
    """
    if margin is None:
        return -np.inf, np.inf
    low, high = _fences(y, _FENCE)
    beyond = (stacked < low) | (stacked > high)
    is_better = np.abs(stacked - y) < np.abs(np.clip(stacked, low, high) - y)
    if beyond.sum() >= _LEAST_OUTLIERS and is_better[beyond].mean() > 0.5:
        low, high = -np.inf, np.inf
    width = margin * (y.max() - y.min())
    return max(low, y.min() - width), min(high, y.max() + width)


def _clip_outliers(candidates: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Clip predictions and targets to the fences of the targets: a single row must not determine stacking weights."""
    fences = _fences(y, _FENCE_OF_WEIGHTS)
    return np.clip(candidates, *fences), np.clip(y, *fences)


def _fences(y: np.ndarray, n_ranges: float) -> tuple[float, float]:
    """Return the quartiles, moved outwards by this many interquartile ranges; infinite if the quartiles are equal."""
    low, high = np.quantile(y, [0.25, 0.75])
    width = n_ranges * (high - low)
    return (low - width, high + width) if low < high else (-np.inf, np.inf)
