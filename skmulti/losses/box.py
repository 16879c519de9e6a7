"""Losses of bounding boxes, based on their overlap."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from skmulti.losses._checks import check_option, refuse_targets
from skmulti.losses.base import ColumnLoss

# softplus(log(e - 1)) = 1: a raw output of 0 means the mean width or height.
_SHIFT = math.log(math.e - 1)
# Boxes smaller than this fraction of the standard deviation of the centres do not overlap in practice, since centres
# are predicted with larger errors.
_LEAST_SIZE = 1e-3


@dataclass(frozen=True)
class IoU(ColumnLoss):
    """One minus the intersection over union of two boxes [1]_.

    The network's four raw outputs are converted to a centre and a width and height, ``mean + size * raw`` and
    ``size * softplus(raw + log(e - 1))`` with the means of the training boxes, so that widths and heights are
    positive for any raw output. For disjoint boxes the loss is 1 and its gradient is zero: `GIoU`, `DIoU` and `CIoU`
    add a term whose gradient moves the boxes together.

    Parameters
    ----------
    box_format : {"cxcywh", "xyxy"}, default="cxcywh"
        The four columns: centre x, centre y, width, height; or left, top, right, bottom.
    unit : tuple of four floats or None, default=None
        Centre x, centre y, width and height predicted from raw outputs of zero. None means the means of the training
        boxes.

    Raises
    ------
    ValueError
        If `box_format` is unknown or `unit` is not a box; in `fit` if a training box has a negative width or height, or
        if all widths or all heights are at most a thousandth of the standard deviation of the centres. Such boxes
        never overlap, and their size cannot be learned.

    Notes
    -----
    Formula: ``1 - I / U``, the areas of intersection and union.

    Prediction: the box, in the format of the targets, never with a negative width or height.

    Use: for boxes that are evaluated by their overlap and overlap from the first epoch; mostly for comparison with the
    other losses.

    References
    ----------
    .. [1] J. Yu et al., "UnitBox: an advanced object detection network", ACM Multimedia 2016.

    Examples
    --------
    >>> import torch
    >>> from skmulti.losses import IoU
    >>> loss = IoU(unit=(2.0, 2.0, 4.0, 4.0))
    >>> loss.predict(torch.zeros(1, 4))
    tensor([[2., 2., 4., 4.]])
    >>> loss.row_loss(torch.zeros(1, 4), torch.tensor([[2.0, 2.0, 4.0, 2.0]]))
    tensor([0.5000])
    """

    box_format: str = "cxcywh"
    unit: tuple[float, float, float, float] | None = None

    n_columns = 4
    target_scaling = None

    def __post_init__(self) -> None:
        name = type(self).__name__.lower()
        check_option("box_format", self.box_format, ("cxcywh", "xyxy"), loss=name)
        if self.unit is not None:
            object.__setattr__(self, "unit", _checked_unit(self.unit, loss=name))

    def adapt_to(self, y: np.ndarray, names: tuple[str, ...], sample_weight: np.ndarray | None = None) -> IoU:
        """Return the loss with the mean training box; raise a ValueError for negative or negligible sizes."""
        corners = self.box_format == "xyxy"
        size = y[:, 2:] - y[:, :2] if corners else y[:, 2:]
        refuse_targets(
            size < 0,
            size,
            [f"{high} minus {low}" for low, high in zip(names[:2], names[2:], strict=True)] if corners else names[2:],
            loss=type(self).__name__.lower(),
            requires="boxes without a negative width or height",
            are="negative",
        )
        if self.unit is not None:
            return self
        center = (y[:, :2] + y[:, 2:]) / 2 if corners else y[:, :2]
        mean = np.average(np.concatenate([center, size], axis=1), axis=0, weights=sample_weight)
        self._refuse_negligible_sizes(center, size, names)
        return dataclasses.replace(self, unit=tuple(mean.tolist()))

    def _refuse_negligible_sizes(self, center: np.ndarray, size: np.ndarray, names: tuple[str, ...]) -> None:
        """Raise a ValueError if no box can overlap another, since the loss is then the same for any size."""
        largest, scale = size.max(axis=0), center.std(axis=0)
        for i, what in enumerate(("width", "height")):
            if largest[i] <= _LEAST_SIZE * scale[i]:
                columns = f"{names[2 + i]!r} minus {names[i]!r}" if self.box_format == "xyxy" else repr(names[2 + i])
                raise ValueError(
                    f"The loss {type(self).__name__.lower()!r} requires boxes of which some have a {what} of more than "
                    f"{_LEAST_SIZE:g} standard deviations of the centres. Got at most {largest[i]:.3g} in {columns}, "
                    f"with a standard deviation of {scale[i]:.3g}: boxes never overlap. Use 'euclidean' for the "
                    "centres, or 'squared_error'."
                )

    def row_loss(self, raw: Tensor, y: Tensor) -> Tensor:
        """Return one minus the intersection over union of each row, plus the penalty of the subclass."""
        p1, p2 = self._corners(self._box(raw))
        t1, t2 = (y[..., :2], y[..., 2:]) if self.box_format == "xyxy" else self._corners(y)
        intersection = (torch.minimum(p2, t2) - torch.maximum(p1, t1)).clamp(min=0).prod(-1)
        union = (p2 - p1).prod(-1) + (t2 - t1).prod(-1) - intersection
        overlap = _ratio(intersection, union)
        return 1 - overlap + self._penalty((p1, p2), (t1, t2), union, overlap)

    def predict(self, raw: Tensor) -> Tensor:
        """Return the box in the format of the targets."""
        box = self._box(raw)
        return torch.cat(self._corners(box), dim=-1) if self.box_format == "xyxy" else box

    def _penalty(
        self, p: tuple[Tensor, Tensor], t: tuple[Tensor, Tensor], union: Tensor, overlap: Tensor
    ) -> Tensor | float:
        return 0.0

    def _box(self, raw: Tensor) -> Tensor:
        """Return centre, width and height from any raw outputs."""
        unit = torch.tensor(self.unit or (0.0, 0.0, 1.0, 1.0), dtype=raw.dtype, device=raw.device)
        center = unit[:2] + unit[2:] * raw[..., :2]
        return torch.cat([center, unit[2:] * F.softplus(raw[..., 2:] + _SHIFT)], dim=-1)

    @staticmethod
    def _corners(box: Tensor) -> tuple[Tensor, Tensor]:
        return box[..., :2] - box[..., 2:] / 2, box[..., :2] + box[..., 2:] / 2


def _checked_unit(unit: Any, *, loss: str) -> tuple[float, ...]:
    """Return a box of centre, width and height as a tuple of floats."""
    values = np.asarray(unit)
    if (
        values.shape != (4,)
        or values.dtype.kind not in "iuf"
        or not (np.isfinite(values).all() and (values[2:] > 0).all())
    ):
        raise ValueError(
            f"The 'unit' parameter of the loss {loss!r} must be a centre x and y, a positive width and a positive "
            f"height, or None. Got {unit!r} instead."
        )
    return tuple(values.tolist())


def _hull(p: tuple[Tensor, Tensor], t: tuple[Tensor, Tensor]) -> Tensor:
    """Return width and height of the smallest box that encloses two boxes."""
    return torch.maximum(p[1], t[1]) - torch.minimum(p[0], t[0])


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    """Return a ratio that is 0 where both are 0; the square root of tiny keeps gradients finite in units of pixels."""
    return above / below.clamp(min=torch.finfo(below.dtype).tiny ** 0.5)


@dataclass(frozen=True)
class GIoU(IoU):
    """One minus the generalised intersection over union of two boxes [1]_.

    `IoU` plus the fraction of the smallest enclosing box that neither box covers.

    Parameters
    ----------
    box_format : {"cxcywh", "xyxy"}, default="cxcywh"
        The four columns: centre x, centre y, width, height; or left, top, right, bottom.
    unit : tuple of four floats or None, default=None
        Centre x, centre y, width and height predicted from raw outputs of zero. None means the means of the training
        boxes.

    Notes
    -----
    Formula: ``1 - I / U + (C - U) / C`` with the area ``C`` of the smallest enclosing box.

    Prediction: the box, as `IoU`.

    Use: the first choice for boxes that are evaluated by their overlap. It needs more epochs than a squared error:
    compare the two after a complete learning rate schedule, by the overlap. Boxes that are small relative to the
    spread of their centres are predicted too large until the errors of the centres are about the size of the boxes.

    References
    ----------
    .. [1] H. Rezatofighi et al., "Generalized intersection over union", CVPR 2019.

    Examples
    --------
    >>> import torch
    >>> from skmulti.losses import GIoU
    >>> GIoU().row_loss(torch.zeros(1, 4), torch.tensor([[3.0, 0.0, 1.0, 1.0]]))
    tensor([1.5000])
    """

    def _penalty(self, p: tuple[Tensor, Tensor], t: tuple[Tensor, Tensor], union: Tensor, overlap: Tensor) -> Tensor:
        area = _hull(p, t).prod(-1)
        return _ratio(area - union, area)


@dataclass(frozen=True)
class DIoU(IoU):
    """One minus the intersection over union, plus the squared distance of the centres [1]_.

    The distance is in units of the diagonal of the smallest enclosing box.

    Parameters
    ----------
    box_format : {"cxcywh", "xyxy"}, default="cxcywh"
        The four columns: centre x, centre y, width, height; or left, top, right, bottom.
    unit : tuple of four floats or None, default=None
        Centre x, centre y, width and height predicted from raw outputs of zero. None means the means of the training
        boxes.

    Notes
    -----
    Formula: ``1 - I / U + |c - c_t|**2 / diagonal**2`` with the centres and the diagonal of the smallest enclosing
    box.

    Prediction: the box, as `IoU`.

    Use: where `GIoU` is slow, since its gradient moves the centres together directly.

    References
    ----------
    .. [1] Z. Zheng et al., "Distance-IoU loss: faster and better learning for bounding box regression", AAAI 2020.

    Examples
    --------
    >>> import torch
    >>> from skmulti.losses import DIoU
    >>> DIoU().row_loss(torch.zeros(1, 4), torch.tensor([[3.0, 0.0, 1.0, 1.0]])).round(decimals=4)
    tensor([1.5294])
    """

    def _penalty(self, p: tuple[Tensor, Tensor], t: tuple[Tensor, Tensor], union: Tensor, overlap: Tensor) -> Tensor:
        between = ((p[0] + p[1] - t[0] - t[1]) / 2).square().sum(-1)
        return _ratio(between, _hull(p, t).square().sum(-1))


@dataclass(frozen=True)
class CIoU(DIoU):
    """The distance loss `DIoU` plus a term for the ratio of width and height [1]_.

    ``a v`` with ``v = 4 / pi**2 (atan(w_t / h_t) - atan(w / h))**2`` and ``a = v / (1 - IoU + v)``, held constant for
    the gradient.

    Parameters
    ----------
    box_format : {"cxcywh", "xyxy"}, default="cxcywh"
        The four columns: centre x, centre y, width, height; or left, top, right, bottom.
    unit : tuple of four floats or None, default=None
        Centre x, centre y, width and height predicted from raw outputs of zero. None means the means of the training
        boxes.

    Notes
    -----
    Formula: that of `DIoU` plus ``a v`` with ``v = 4 / pi**2 (atan(w_t / h_t) - atan(w / h))**2`` and ``a = v / (1 - I
    / U + v)``.

    Prediction: the box, as `IoU`.

    Use: as `DIoU`, where the aspect ratio of the boxes matters too.

    References
    ----------
    .. [1] Z. Zheng et al., "Distance-IoU loss: faster and better learning for bounding box regression", AAAI 2020,
       section 3.

    Examples
    --------
    >>> import torch
    >>> from skmulti.losses import CIoU
    >>> CIoU().row_loss(torch.zeros(1, 4), torch.tensor([[0.0, 0.0, 1.0, 1.0]]))
    tensor([0.])
    """

    def _penalty(self, p: tuple[Tensor, Tensor], t: tuple[Tensor, Tensor], union: Tensor, overlap: Tensor) -> Tensor:
        shapes = [_shape(size[..., 0], size[..., 1]) for size in (p[1] - p[0], t[1] - t[0])]
        v = 4 / math.pi**2 * (shapes[1] - shapes[0]).square()
        a = _ratio(v, 1 - overlap + v).detach()
        return super()._penalty(p, t, union, overlap) + a * v


def _shape(width: Tensor, height: Tensor) -> Tensor:
    """Return the angle of the diagonal; 0 with gradient 0 for a point, where older torch returns a NaN gradient."""
    is_point = (width == 0) & (height == 0)
    return torch.atan2(torch.where(is_point, 0.0, width), torch.where(is_point, 1.0, height))
