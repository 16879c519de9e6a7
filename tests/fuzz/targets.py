"""Blocks of target columns: how they are drawn, which losses take them, and which predictions make sense for them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation as ScipyRotation
from torch import nn

from skmulti.losses import COLUMN_LOSSES, TorchLoss


def root_mean_square(raw: Any, y: Any) -> Any:
    """Return a loss of one's own, one number for a batch."""
    return (raw - y).square().mean().add(1e-12).sqrt()


@dataclass
class Block:
    """Target columns with one loss.

    Attributes
    ----------
    kind : str
        What the targets are; a key of `KINDS`.
    loss : str, class, instance or callable
        The loss as a user writes it, without its parameters where it is a name.
    params : dict
        Parameters of a loss that is a name.
    """

    kind: str
    loss: Any
    n_columns: int = 1
    params: dict[str, Any] = field(default_factory=dict)
    location: float = 0.0
    scale: float = 1.0

    def draw(self, rng: np.random.Generator, signal: np.ndarray) -> np.ndarray:
        """Return targets of shape (n_rows, n_columns) that follow a signal of that shape."""
        return KINDS[self.kind].draw(self, rng, signal)

    def complaints(self, y: np.ndarray, y_pred: np.ndarray, *, bounded: bool) -> Iterator[str]:
        """Yield what can't be right about predictions of shape (n_rows, n_columns), given training targets."""
        if not np.isfinite(y_pred).all():
            yield "predictions are not finite"
            return
        if bounded:
            lowest, highest = np.nanmin(y), np.nanmax(y)
            far = 20 * (highest - lowest) + 1e-3 * max(abs(lowest), abs(highest))
            if self.kind in ("count", "positive", "amount"):
                # Untrained, these are the mean times e to the power of anything small.
                far += 10 * highest
            if (y_pred < lowest - far).any() or (y_pred > highest + far).any():
                yield f"predictions from {y_pred.min():g} to {y_pred.max():g}, targets from {lowest:g} to {highest:g}"
        yield from KINDS[self.kind].complaints(self, y, y_pred)

    def distance(self, one: np.ndarray, other: np.ndarray) -> float:
        """Return the largest difference between two predictions, relative to their size."""
        difference = np.abs(one - other)
        unit = self.scale if self.kind in ("real", "vector") else 1e-300
        size = max(float(np.max(np.abs(one), initial=0.0)), unit)
        if self.kind == "angle":
            period = self.period
            difference = np.minimum(difference, period - difference)
            size = period
        if self.kind == "rotation":
            difference = np.abs(_matrices(one) - _matrices(other))
            size = 1.0
        return float(np.max(difference, initial=0.0)) / size

    @property
    def period(self) -> float:
        return float(self.params.get("period", 360.0))

    @property
    def is_distribution(self) -> bool:
        """Return whether the loss has standard deviations, quantiles and a likelihood."""
        return isinstance(self.loss, str) and (self.loss.endswith("_nll") or self.loss == "poisson")

    @property
    def is_standardized(self) -> bool:
        """Return whether predictions scale with the targets exactly."""
        return self.kind == "real" and isinstance(self.loss, (str, TorchLoss))

    def __str__(self) -> str:
        params = ", ".join(f"{name}={value!r}" for name, value in self.params.items())
        unit = f" around {self.location:g} +- {self.scale:g}" if self.kind == "real" else f" of {self.kind}"
        return f"{self.loss}({params}) x {self.n_columns}{unit}"


@dataclass(frozen=True)
class Kind:
    """One kind of targets."""

    losses: tuple[tuple[Any, dict[str, Any]], ...]
    n_columns: tuple[int, ...]
    draw: Callable[[Block, np.random.Generator, np.ndarray], np.ndarray]
    complaints: Callable[[Block, np.ndarray, np.ndarray], Iterator[str]]


def _no_complaint(block: Block, y: np.ndarray, y_pred: np.ndarray) -> Iterator[str]:
    return iter(())


def _real(block: Block, rng: np.random.Generator, signal: np.ndarray) -> np.ndarray:
    return block.location + block.scale * (signal + 0.1 * rng.normal(size=signal.shape))


def _angle(block: Block, rng: np.random.Generator, signal: np.ndarray) -> np.ndarray:
    low = block.params.get("low")
    start = 0.0 if low is None else low
    y = start + (signal / 6 + 0.02 * rng.normal(size=signal.shape)) % 1.0 * block.period
    # The default period warns of what looks like radians.
    y[:2] = [[start + 0.9 * block.period], [start + 0.1 * block.period]][: len(y)]
    return y


def _angle_complaints(block: Block, y: np.ndarray, y_pred: np.ndarray) -> Iterator[str]:
    low = block.params.get("low")
    if low is None:
        low = -block.period / 2 if np.nanmin(y) < 0 else 0.0
    if (y_pred < low).any() or (y_pred >= low + block.period).any():
        yield f"angles from {y_pred.min():g} to {y_pred.max():g} outside of [{low:g}, {low + block.period:g})"


def _counts(block: Block, rng: np.random.Generator, signal: np.ndarray) -> np.ndarray:
    return rng.poisson(3 * np.exp(signal.clip(-3, 3) / 2)).astype(float)


def _positive(block: Block, rng: np.random.Generator, signal: np.ndarray) -> np.ndarray:
    return block.scale * np.exp(signal.clip(-3, 3) / 2) * rng.gamma(4.0, 0.25, signal.shape).clip(1e-3)


def _amounts(block: Block, rng: np.random.Generator, signal: np.ndarray) -> np.ndarray:
    return _positive(block, rng, signal) * (rng.random(signal.shape) < 0.7)


def _positive_complaints(block: Block, y: np.ndarray, y_pred: np.ndarray) -> Iterator[str]:
    if np.nanmax(y) > 0 and (y_pred <= 0).any():
        yield f"a mean of {y_pred.min():g}, which must be positive"


def _boxes(block: Block, rng: np.random.Generator, signal: np.ndarray) -> np.ndarray:
    center, size = 50 + 10 * signal[:, :2], 5 + 10 * rng.random((len(signal), 2))
    if block.params.get("box_format") == "xyxy":
        return np.concatenate([center - size / 2, center + size / 2], axis=1)
    return np.concatenate([center, size], axis=1)


def _box_complaints(block: Block, y: np.ndarray, y_pred: np.ndarray) -> Iterator[str]:
    size = y_pred[:, 2:] - y_pred[:, :2] if block.params.get("box_format") == "xyxy" else y_pred[:, 2:]
    if (size < 0).any():
        yield f"a box with a side of {size.min():g}"


def _units(block: Block, rng: np.random.Generator, signal: np.ndarray) -> np.ndarray:
    vectors = signal + 0.1 * rng.normal(size=signal.shape) + 0.5
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _unit_complaints(block: Block, y: np.ndarray, y_pred: np.ndarray) -> Iterator[str]:
    norms = np.linalg.norm(y_pred, axis=1)
    if np.abs(norms - 1).max() > 1e-4:
        yield f"vectors of norm {norms.min():g} to {norms.max():g}, which must be 1"


def _rotations(block: Block, rng: np.random.Generator, signal: np.ndarray) -> np.ndarray:
    turned = ScipyRotation.from_rotvec(0.5 * np.resize(signal, (len(signal), 3)).clip(-3, 3))
    columns = {3: turned.as_rotvec(), 4: turned.as_quat(), 9: turned.as_matrix().reshape(-1, 9)}
    return columns[block.n_columns]


def _matrices(y: np.ndarray) -> np.ndarray:
    if y.shape[1] == 9:
        return y.reshape(-1, 3, 3)
    read = ScipyRotation.from_rotvec if y.shape[1] == 3 else ScipyRotation.from_quat
    return read(y).as_matrix()


def _rotation_complaints(block: Block, y: np.ndarray, y_pred: np.ndarray) -> Iterator[str]:
    if y_pred.shape[1] == 3 and np.linalg.norm(y_pred, axis=1).max() > math.pi + 1e-4:
        yield "a rotation vector longer than pi"
    if y_pred.shape[1] == 4 and np.abs(np.linalg.norm(y_pred, axis=1) - 1).max() > 1e-4:
        yield "a quaternion of another norm than 1"
    if y_pred.shape[1] == 9:
        m = y_pred.reshape(-1, 3, 3)
        if np.abs(m @ m.transpose(0, 2, 1) - np.eye(3)).max() > 1e-3 or (np.linalg.det(m) < 0).any():
            yield "a matrix that is no rotation"


KINDS = {
    "real": Kind(
        (
            ("squared_error", {}),
            ("squared_error", {}),
            ("absolute_error", {}),
            ("huber", {}),
            ("huber", {"delta": 0.1}),
            ("smooth_l1", {"beta": 2.0}),
            ("log_cosh", {}),
            ("quantile", {}),
            ("quantile", {"level": 0.1}),
            ("quantile", {"level": (0.05, 0.5, 0.95)}),
            ("quantile", {"level": (0.2, 0.7)}),
            ("expectile", {"level": 0.9}),
            ("gaussian_nll", {}),
            ("gaussian_nll", {"beta": 0.5}),
            ("laplace_nll", {}),
            ("student_t_nll", {}),
            ("student_t_nll", {"df": 3.0}),
            ("mse", {}),
            ("mae", {}),
            (nn.MSELoss(), {}),
            (nn.L1Loss, {}),
            (TorchLoss(nn.SmoothL1Loss(), standardize=True), {}),
            (root_mean_square, {}),
        ),
        (1,),
        _real,
        _no_complaint,
    ),
    "angle": Kind(
        (
            ("circular", {}),
            ("circular", {"period": 24.0}),
            ("circular", {"period": 2 * math.pi, "low": -math.pi}),
            ("von_mises_nll", {}),
            ("von_mises_nll", {"period": 180.0, "low": -90.0}),
        ),
        (1,),
        _angle,
        _angle_complaints,
    ),
    "count": Kind((("poisson", {}), ("tweedie", {"power": 1.0})), (1,), _counts, _positive_complaints),
    "positive": Kind(
        (("gamma", {}), ("tweedie", {"power": 2.5}), ("gamma", {"mean": 2.0})), (1,), _positive, _positive_complaints
    ),
    "amount": Kind((("tweedie", {}), ("tweedie", {"power": 1.9})), (1,), _amounts, _positive_complaints),
    "box": Kind(
        (
            ("iou", {}),
            ("giou", {}),
            ("giou", {"box_format": "xyxy"}),
            ("diou", {}),
            ("ciou", {"unit": (50.0, 50.0, 10.0, 10.0)}),
        ),
        (4,),
        _boxes,
        _box_complaints,
    ),
    "vector": Kind(
        (("euclidean", {}), ("multivariate_gaussian_nll", {}), (nn.MSELoss(), {})), (1, 2, 3), _real, _no_complaint
    ),
    "unit": Kind((("unit_vector", {}),), (2, 3), _units, _unit_complaints),
    "rotation": Kind(
        (("rotation", {}), ("rotation", {"representation": "9d"})), (3, 4, 9), _rotations, _rotation_complaints
    ),
}

# How often each kind is drawn.
_FREQUENCIES = {
    "real": 12,
    "angle": 3,
    "count": 1,
    "positive": 1,
    "amount": 1,
    "box": 1,
    "vector": 1.5,
    "unit": 1,
    "rotation": 1,
}


def draw_block(rng: np.random.Generator) -> Block:
    """Return a block of columns of some kind, with one of its losses."""
    kinds = list(_FREQUENCIES)
    shares = np.array([_FREQUENCIES[kind] for kind in kinds])
    name = kinds[rng.choice(len(kinds), p=shares / shares.sum())]
    kind = KINDS[name]
    loss, params = kind.losses[rng.integers(len(kind.losses))]
    return Block(name, loss, int(rng.choice(kind.n_columns)), dict(params))


def names_of_losses() -> set[str]:
    """Return the names in the table of losses that some block draws."""
    return {loss for kind in KINDS.values() for loss, _ in kind.losses if loss in list(COLUMN_LOSSES)}
