"""Overlap losses of boxes, against scalar Python written from the papers."""

import math
import re
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from skmulti import MultiOutputMLPRegressor
from skmulti.losses import CIoU, DIoU, GIoU, IoU

UNIT = (5.0, 4.0, 3.0, 2.0)
LOSSES = [IoU, GIoU, DIoU, CIoU]
each_loss = pytest.mark.parametrize("cls", LOSSES, ids=lambda cls: cls.__name__)
each_format = pytest.mark.parametrize("box_format", ["cxcywh", "xyxy"])


def by_hand(name, p, t):
    """Return the loss between boxes of corners (x1, y1, x2, y2), as the papers define it."""
    inside = max(0.0, min(p[2], t[2]) - max(p[0], t[0])) * max(0.0, min(p[3], t[3]) - max(p[1], t[1]))
    area_p, area_t = (p[2] - p[0]) * (p[3] - p[1]), (t[2] - t[0]) * (t[3] - t[1])
    union = area_p + area_t - inside
    iou = inside / union if union else 0.0
    wide, high = max(p[2], t[2]) - min(p[0], t[0]), max(p[3], t[3]) - min(p[1], t[1])
    if name == "IoU":
        return 1 - iou
    if name == "GIoU":
        return 1 - iou + ((wide * high - union) / (wide * high) if wide * high else 0.0)
    apart = ((p[0] + p[2] - t[0] - t[2]) / 2) ** 2 + ((p[1] + p[3] - t[1] - t[3]) / 2) ** 2
    diou = 1 - iou + (apart / (wide**2 + high**2) if wide or high else 0.0)
    if name == "DIoU":
        return diou
    shapes = [math.atan2(box[2] - box[0], box[3] - box[1]) for box in (p, t)]
    v = 4 / math.pi**2 * (shapes[1] - shapes[0]) ** 2
    return diou + (v / (1 - iou + v) * v if v else 0.0)


def raw_of(corners):
    """Return the raw outputs that are read as boxes of given corners, by the inverse of the softplus."""
    corners = np.asarray(corners, dtype=float)
    center, size = (corners[..., :2] + corners[..., 2:]) / 2, corners[..., 2:] - corners[..., :2]
    size = size / UNIT[2:]
    with np.errstate(divide="ignore"):
        inverse = np.where(size > 0, size + np.log(-np.expm1(-np.maximum(size, 1e-300))), -1e9)
    raw = np.concatenate([(center - UNIT[:2]) / UNIT[2:], inverse - math.log(math.e - 1)], axis=-1)
    return torch.from_numpy(raw)


def target(corners, box_format):
    corners = np.asarray(corners, dtype=float)
    if box_format == "xyxy":
        return torch.from_numpy(corners)
    return torch.from_numpy(
        np.concatenate(
            [(corners[..., :2] + corners[..., 2:]) / 2, corners[..., 2:] - corners[..., :2]], axis=-1
        )
    )  # fmt: skip


def random_corners(n, seed):
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 10, (n, 2))
    return np.concatenate([low, low + rng.uniform(0.1, 6, (n, 2))], axis=1)


# (prediction, target), as corners
EDGES = {
    "apart": ([0, 0, 1, 1], [5, 5, 7, 6]),
    "side by side": ([0, 0, 1, 1], [1, 0, 2, 1]),
    "corner to corner": ([0, 0, 1, 1], [1, 1, 2, 2]),
    "target inside": ([0, 0, 9, 9], [3, 4, 5, 5]),
    "prediction inside": ([3, 4, 5, 5], [0, 0, 9, 9]),
    "same": ([2, 3, 5, 9], [2, 3, 5, 9]),
    "a cross": ([0, 4, 9, 5], [4, 0, 5, 9]),
    "target is a point": ([0, 0, 2, 2], [1, 1, 1, 1]),
    "target is a line": ([0, 0, 2, 2], [0, 1, 2, 1]),
    "target is a long line": ([0, 0, 2, 2], [0, 50, 1000, 50]),
    "prediction is a point": ([1, 1, 1, 1], [0, 0, 2, 2]),
    "prediction is a line": ([0, 1, 2, 1], [0, 0, 2, 2]),
    "both are the same point": ([1, 1, 1, 1], [1, 1, 1, 1]),
    "both are points": ([1, 1, 1, 1], [2, 3, 2, 3]),
    "both are one line": ([0, 1, 500, 1], [0, 1, 500, 1]),
    "lines that cross": ([0, 1, 4, 1], [2, 0, 2, 4]),
    "tiny": ([0, 0, 1e-9, 1e-9], [0, 0, 2e-9, 1e-9]),
    "huge": ([0, 0, 1e9, 1e9], [-1e9, 0, 1e9, 1e9]),
    "very flat": ([0, 0, 1e6, 1e-6], [0, 0, 1e-6, 1e6]),
}


@each_loss
@each_format
def test_rows_cost_what_the_paper_says(cls, box_format):
    p, t = random_corners(300, 0), random_corners(300, 1)
    ours = cls(box_format, unit=UNIT).row_loss(raw_of(p), target(t, box_format)).numpy()
    np.testing.assert_allclose(ours, [by_hand(cls.__name__, *pair) for pair in zip(p, t, strict=True)], atol=1e-9)


@each_loss
@each_format
@pytest.mark.parametrize("edge", EDGES)
def test_edges_cost_what_the_paper_says_and_have_finite_gradients(cls, box_format, edge):
    p, t = EDGES[edge]
    raw = raw_of([p]).requires_grad_()
    value = cls(box_format, unit=UNIT).row_loss(raw, target([t], box_format))
    value.sum().backward()
    assert value.item() == pytest.approx(by_hand(cls.__name__, p, t), abs=1e-6)
    assert raw.grad.isfinite().all()


@each_loss
@pytest.mark.parametrize(
    "line", [[50.0, 50.0, 100.0, 0.0], [50.0, 50.0, 0.0, 0.0], [50.0, 50.0, 100.0, 1e-30]], ids=str
)
def test_single_precision_stays_finite_as_a_box_of_pixels_goes_flat(cls, line):
    loss = cls(unit=(50.0, 50.0, 100.0, 100.0))
    sizes = [0.0, -1e4, -200.0, -100.0, -88.0, -80.0, -50.0, -20.0]
    for shape in product([0.0, 0.3], [0.0], sizes, sizes):
        raw = torch.tensor([shape], requires_grad=True)
        value = loss.row_loss(raw, torch.tensor([line]))
        value.sum().backward()
        assert value.isfinite().all()
        assert raw.grad.isfinite().all()


@each_loss
@each_format
def test_a_perfect_prediction_costs_nothing_and_is_read_back(cls, box_format):
    corners = random_corners(50, 2)
    loss, y = cls(box_format, unit=UNIT), target(corners, box_format)
    assert_close(loss.row_loss(raw_of(corners), y), torch.zeros(50, dtype=torch.float64), rtol=0, atol=1e-9)
    assert_close(loss.predict(raw_of(corners)), y, rtol=1e-9, atol=1e-9)


@settings(deadline=None)
@given(
    st.sampled_from(LOSSES), st.sampled_from(["cxcywh", "xyxy"]), st.lists(st.floats(-1e6, 1e6), min_size=4, max_size=4)
)
def test_any_raw_output_is_a_box(cls, box_format, raw):
    box = cls(box_format, unit=UNIT).predict(torch.tensor([raw], dtype=torch.float64))[0].numpy()
    assert np.isfinite(box).all()
    size = box[2:] - box[:2] if box_format == "xyxy" else box[2:]
    assert (size >= 0).all()


@settings(deadline=None)
@given(st.integers(0, 10**6), st.floats(0.1, 10), st.floats(-100, 100))
def test_moving_or_stretching_the_picture_changes_nothing(seed, factor, shift):
    p, t = random_corners(1, seed), random_corners(1, seed + 1)
    for cls in LOSSES:
        before = cls(unit=UNIT).row_loss(raw_of(p), target(t, "cxcywh"))
        unit = (UNIT[0] * factor + shift, UNIT[1] * factor + shift, UNIT[2] * factor, UNIT[3] * factor)
        after = cls(unit=unit).row_loss(raw_of(p), target(t * factor + shift, "cxcywh"))
        assert_close(after, before, rtol=1e-7, atol=1e-7)


def test_the_factor_of_ciou_is_held_constant_for_the_gradient():
    p, t = random_corners(20, 3), random_corners(20, 4)
    raw, y = raw_of(p).requires_grad_(), target(t, "cxcywh")
    ours = torch.autograd.grad(CIoU(unit=UNIT).row_loss(raw, y).sum(), raw)[0]
    box = DIoU(unit=UNIT).predict(raw)
    angle = torch.atan(y[:, 2] / y[:, 3]) - torch.atan(box[:, 2] / box[:, 3])
    v = 4 / math.pi**2 * angle**2
    factor = (v / (IoU(unit=UNIT).row_loss(raw, y) + v)).detach()
    theirs = torch.autograd.grad((DIoU(unit=UNIT).row_loss(raw, y) + factor * v).sum(), raw)[0]
    assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("cls", [GIoU, DIoU, CIoU], ids=lambda cls: cls.__name__)
def test_boxes_that_do_not_touch_are_led_together(cls):
    y = torch.tensor([[20.0, 4.0, 3.0, 2.0]], dtype=torch.float64)
    raw = torch.zeros(1, 4, dtype=torch.float64, requires_grad=True)
    cls(unit=UNIT).row_loss(raw, y).sum().backward()
    assert raw.grad[0, 0] < 0
    raw.grad = None
    IoU(unit=UNIT).row_loss(raw, y).sum().backward()
    assert not raw.grad.any()


@each_loss
@each_format
def test_the_unit_is_the_mean_training_box(cls, box_format):
    corners, weight = random_corners(30, 5), np.random.default_rng(0).random(30)
    as_center, names = target(corners, "cxcywh").numpy(), ("a", "b", "c", "d")
    y = target(corners, box_format).numpy()
    np.testing.assert_allclose(cls(box_format).adapt_to(y, names).unit, as_center.mean(0))
    weighted = cls(box_format).adapt_to(y, names, weight)
    np.testing.assert_allclose(weighted.unit, weight @ as_center / weight.sum())
    assert_close(weighted.predict(torch.zeros(1, 4)), target(  # raw zeros are the mean box
        np.array([[weighted.unit[0] - weighted.unit[2] / 2, weighted.unit[1] - weighted.unit[3] / 2,
                   weighted.unit[0] + weighted.unit[2] / 2, weighted.unit[1] + weighted.unit[3] / 2]]),
        box_format,
    ).float())  # fmt: skip
    assert cls(box_format, unit=UNIT).adapt_to(y, names).unit == UNIT


@each_loss
@pytest.mark.parametrize("size", [0.0, 1e-12, 1e-3])
@pytest.mark.parametrize("box_format", ["cxcywh", "xyxy"])
@pytest.mark.parametrize("side", [0, 1], ids=["width", "height"])
def test_boxes_that_never_overlap_are_refused(cls, size, box_format, side):
    names, what = ("a", "b", "c", "d"), ("width", "height")[side]
    center = np.random.default_rng(0).normal(50, 10, size=(100, 2))
    sides = np.full((100, 2), 5.0)
    sides[:, side] = size
    y = np.concatenate([center, sides], axis=1)
    columns = repr(names[2 + side])
    if box_format == "xyxy":
        y = np.concatenate([center - sides / 2, center + sides / 2], axis=1)
        columns += f" minus {names[side]!r}"
    message = (
        f"The loss {cls.__name__.lower()!r} requires boxes of which some have a {what} of more than 0.001 standard "
        f"deviations of the centres. Got at most {size:.3g} in {columns}, with a standard deviation of "
        f"{center.std(0)[side]:.3g}: boxes never overlap. Use 'euclidean' for the centres, or 'squared_error'."
    )
    if box_format == "xyxy" and size == 1e-12:
        # What is left of it in the corners is rounding.
        with pytest.raises(ValueError, match="boxes never overlap"):
            cls(box_format).adapt_to(y, names)
        return
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        cls(box_format).adapt_to(y, names)


@each_loss
def test_equal_points_are_refused_and_equal_boxes_are_not(cls):
    names = ("x", "y", "w", "h")
    with pytest.raises(ValueError, match="boxes never overlap"):
        cls().adapt_to(np.array([[1.0, 2.0, 0.0, 0.0]] * 3), names)
    assert cls().adapt_to(np.array([[1.0, 2.0, 1e-9, 1e-9]] * 3), names).unit == (1, 2, 1e-9, 1e-9)


def test_some_points_among_boxes_leave_sides_in_the_range_of_the_others():
    X = np.random.default_rng(0).normal(size=(100, 3))
    y = np.concatenate([50 + 10 * X[:, :2], 20 + 2 * X[:, 1:]], axis=1)
    y[::4, 2:] = 0
    net = MultiOutputMLPRegressor(loss="giou", n_members=2, max_epochs=20, random_state=0).fit(X, y)
    assert (net.predict(X)[:, 2:] < 60).all()


@each_loss
def test_boxes_of_negative_size_are_refused(cls):
    name, names = cls.__name__.lower(), ("x", "y", "w", "h")
    message = (
        f"The loss {name!r} requires boxes without a negative width or height. Column 'w' has 1 value that is "
        "negative, the first: -2; column 'h' has 2 values that are negative, the first: -1."
    )
    y = np.array([[1, 1, 2, -1], [1, 1, -2, -3], [1, 1, 0, 0.0]])
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        cls().adapt_to(y, names)
    y[:, 2:] += y[:, :2]
    message = message.replace("'w'", "'w minus x'").replace("'h'", "'h minus y'")
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        cls("xyxy").adapt_to(y, names)


@each_loss
def test_an_unknown_format_is_refused(cls):
    message = (
        f"The 'box_format' parameter of the loss {cls.__name__.lower()!r} must be one of 'cxcywh', 'xyxy'. "
        "Got 'xywh' instead."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        cls("xywh")


@pytest.mark.parametrize(
    "unit", [(1, 2, 3), (1, 2, 0, 1), (1, 2, -1, 1), (1, 2, 3, float("nan")), 3.0, "1234"], ids=repr
)
def test_a_unit_that_is_no_box_is_refused(unit):
    message = (
        "The 'unit' parameter of the loss 'iou' must be a centre x and y, a positive width and a positive height, "
        f"or None. Got {unit!r} instead."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        IoU(unit=unit)


def test_a_unit_may_be_a_list_or_an_array():
    assert IoU(unit=list(UNIT)) == IoU(unit=np.array(UNIT)) == IoU(unit=UNIT)
    assert hash(IoU(unit=list(UNIT))) == hash(IoU(unit=UNIT))
