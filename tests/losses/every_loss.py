"""Every loss of the table with the columns that it takes and targets that are valid for it, for tests over all."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial.transform import Rotation as ScipyRotation

from skmulti.losses import COLUMN_LOSSES, ColumnLoss, Quantile, Rotation, Term


@dataclass(frozen=True)
class Example:
    """A loss, how many columns it is to take, and how to draw targets for them."""

    name: str
    loss: ColumnLoss
    n_columns: int
    draw: Callable[[np.random.Generator, int], np.ndarray]

    @property
    def n_raw(self):
        return self.loss.n_raw(self.n_columns)

    def targets(self, n_rows, seed=0):
        return torch.from_numpy(self.draw(np.random.default_rng(seed), n_rows))

    def fitted(self):
        y = self.draw(np.random.default_rng(0), 50)
        return self.loss.adapt_to(y, tuple(f"y{i}" for i in range(self.n_columns)))


def normals(n_columns):
    return lambda rng, n: rng.normal(size=(n, n_columns))


def boxes(rng, n):
    return np.concatenate([rng.uniform(0, 9, (n, 2)), rng.uniform(0.5, 5, (n, 2))], axis=1)


def rotations(n_columns):
    def draw(rng, n):
        turned = ScipyRotation.random(n, rng)
        return {3: turned.as_rotvec(), 4: turned.as_quat(), 9: turned.as_matrix().reshape(-1, 9)}[n_columns]

    return draw


SPECIAL = {
    "circular": (1, lambda rng, n: rng.uniform(0, 360, (n, 1))),
    "von_mises_nll": (1, lambda rng, n: rng.uniform(0, 360, (n, 1))),
    "poisson": (1, lambda rng, n: rng.poisson(3.0, (n, 1)).astype(float)),
    "gamma": (1, lambda rng, n: rng.gamma(2.0, 3.0, (n, 1)) + 0.01),
    "tweedie": (1, lambda rng, n: rng.poisson(1.0, (n, 1)) * rng.gamma(2.0, 3.0, (n, 1))),
    "multivariate_gaussian_nll": (3, normals(3)),
    "euclidean": (3, normals(3)),
    "unit_vector": (3, normals(3)),
    "rotation": (3, rotations(3)),
    **dict.fromkeys(["iou", "giou", "diou", "ciou"], (4, boxes)),
}
EVERY_LOSS = [Example(name, cls(), *SPECIAL.get(name, (1, normals(1)))) for name, cls in COLUMN_LOSSES.items()]
VARIANTS = [
    Example("quantiles", Quantile(level=(0.1, 0.3, 0.5, 0.9)), 1, normals(1)),
    Example("quaternion", Rotation(), 4, rotations(4)),
    Example("matrix", Rotation(representation="9d"), 9, rotations(9)),
]
EVERY_EXAMPLE = [*EVERY_LOSS, *VARIANTS]


def table(examples, weights=None):
    """Return one term per example, columns and raw outputs side by side."""
    terms, column, raw = [], 0, 0
    for i, example in enumerate(examples):
        columns, raws = range(column, column + example.n_columns), range(raw, raw + example.n_raw)
        weight = 1.0 if weights is None else weights[i]
        terms.append(Term(f"t{i}", example.fitted(), tuple(columns), tuple(raws), weight))
        column, raw = columns.stop, raws.stop
    return terms


def batch(examples, n_rows, seed=0, spread=1.0):
    """Return raw outputs and targets of a table, float64."""
    y = torch.cat([example.targets(n_rows, seed + i) for i, example in enumerate(examples)], dim=1)
    n_raw = sum(example.n_raw for example in examples)
    generator = torch.Generator().manual_seed(seed)
    return spread * torch.randn(n_rows, n_raw, generator=generator, dtype=torch.float64), y
