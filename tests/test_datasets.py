"""The data sets match their descriptions: names, boxes, angles, and reproducibility for a seed."""

import re

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.ndimage import rotate, zoom
from sklearn.datasets import load_breast_cancer, load_digits

from skmulti.datasets import load_breast_cancer_measurements, load_digit_canvases

POSE = ["x", "y", "w", "h", "angle"]


@pytest.fixture(scope="module")
def canvases():
    return load_digit_canvases(600)


def visible_box(canvas):
    rows, columns = np.flatnonzero(canvas.any(axis=1)), np.flatnonzero(canvas.any(axis=0))
    return columns[0], columns[-1] + 1, rows[0], rows[-1] + 1


def upright(scan, size):
    """Return a scan on a square of 45 pixels, unrotated, by SciPy's own zoom."""
    big = zoom(np.pad(scan / 16, 1), size / 8, grid_mode=True, mode="grid-constant")
    return centred(np.clip(big, 0, 1))


def centred(image, side=45):
    """Return an image with its centre of mass in the middle pixel of a square."""
    rows, columns = np.indices(image.shape)
    row, column = (round((image * axis).sum() / image.sum()) for axis in (rows, columns))
    padded = np.pad(image, side)
    half = side // 2
    return padded[row + side - half : row + side + half + 1, column + side - half :][:, :side]


def test_measurements_are_the_columns_of_scikit_learns_table():
    table, whole = load_breast_cancer_measurements(), load_breast_cancer()
    assert (table.data.shape, table.target.shape) == ((569, 20), (569, 10))
    assert table.frame is None
    assert all(name.startswith("worst ") for name in table.target_names)
    names = table.feature_names + table.target_names
    order = [list(whole.feature_names).index(name) for name in names]
    assert sorted(order) == list(range(30))
    assert_array_equal(np.hstack([table.data, table.target]), whole.data[:, order])
    assert whole.DESCR in table.DESCR


def test_measurements_as_frames_hold_the_same_under_their_names():
    table, frames = (
        load_breast_cancer_measurements(),
        load_breast_cancer_measurements(as_frame=True),
    )
    assert list(frames.data.columns) == table.feature_names
    assert list(frames.target.columns) == table.target_names
    assert list(frames.frame.columns) == table.feature_names + table.target_names
    assert_array_equal(frames.data.to_numpy(), table.data)
    assert_array_equal(frames.target.to_numpy(), table.target)


@pytest.mark.parametrize("load", [load_breast_cancer_measurements, load_digit_canvases])
@pytest.mark.parametrize("as_frame", [False, True])
def test_return_x_y_gives_the_data_and_target_of_the_bunch(load, as_frame):
    bunch = load(as_frame=as_frame)
    X, y = load(return_X_y=True, as_frame=as_frame)
    assert isinstance(y, pd.DataFrame if as_frame else np.ndarray)
    assert type(X) is type(bunch.data)
    assert_array_equal(X, bunch.data)
    assert_array_equal(y, bunch.target)


def test_canvases_have_the_shapes_types_and_names_described(canvases):
    assert canvases.data.shape == (600, 32, 32)
    assert canvases.data.dtype == np.float32
    assert canvases.data.min() == 0
    assert 0.99 < canvases.data.max() <= 1
    assert canvases.target.shape == (600, 5)
    assert canvases.target.dtype == np.float64
    assert canvases.target_names == POSE
    assert list(load_digit_canvases(3, as_frame=True).target.columns) == POSE
    assert load_digit_canvases(3, canvas_shape=(40, 50)).data.shape == (3, 40, 50)


def test_digit_and_source_identify_the_scan_of_a_canvas(canvases):
    scans = load_digits()
    assert_array_equal(canvases.digit, scans.target[canvases.source])
    assert set(canvases.digit) == set(range(10))
    assert set(load_digit_canvases(60, digits=(0, 5)).digit) == {0, 5}


def test_each_scan_is_used_once_before_one_is_used_twice():
    n_scans = np.isin(load_digits().target, (7,)).sum()
    source = load_digit_canvases(2 * n_scans + 5, digits=(7,)).source
    assert len(set(source[:n_scans])) == n_scans
    assert set(np.bincount(source)) == {0, 2, 3}
    assert not np.array_equal(source[:n_scans], source[n_scans : 2 * n_scans])


def test_the_box_is_the_smallest_that_holds_the_visible_pixels(canvases):
    for canvas, (x, y, w, h, _) in zip(canvases.data, canvases.target, strict=True):
        assert (x - w / 2, x + w / 2, y - h / 2, y + h / 2) == visible_box(canvas)


def test_the_whole_digit_is_on_the_canvas(canvases):
    # The ink of a scan grows with the area it covers: a digit cut at the border would have less.
    straight = load_digit_canvases(600, canvas_shape=(64, 64))
    assert_array_equal(straight.source, canvases.source)
    assert_allclose(straight.data.sum((1, 2)), canvases.data.sum((1, 2)), rtol=1e-5)
    assert_array_equal(straight.target[:, 2:], canvases.target[:, 2:])


def test_digits_reach_every_border_and_both_ends_of_size_and_angle(canvases):
    x, y, w, h, angle = canvases.target.T
    assert (x - w / 2).min() == (y - h / 2).min() == 0
    assert (x + w / 2).max() == (y + h / 2).max() == 32
    longest = np.maximum(w, h)
    assert longest.max() / longest.min() > 1.8
    assert set(np.unique(angle // 30)) == {0, 1, 10, 11}


@pytest.mark.parametrize("digit", [3, 6, 7])
def test_rotating_a_canvas_back_gives_the_upright_scan(digit):
    canvases = load_digit_canvases(25, digits=(digit,), size_range=(18, 18), angle_range=(0, 360), random_state=3)
    scans = load_digits().images
    for canvas, angle, source in zip(canvases.data, canvases.target[:, 4], canvases.source, strict=True):
        model = upright(scans[source], 18).ravel()
        turned = centred(canvas)
        angles = angle + np.arange(0, 360, 15)
        backs = (centred(np.clip(rotate(turned, -a, reshape=False), 0, 1)) for a in angles)
        likeness = [np.corrcoef(back.ravel(), model)[0, 1] for back in backs]
        # SciPy's rotate turns counter-clockwise on the screen for a positive angle.
        assert np.argmax(likeness) == 0
        assert likeness[0] > 0.9


@pytest.mark.parametrize("angle", [-90, 0, 90, 180, 270])
def test_quarter_turns_are_counter_clockwise(angle):
    kwargs = {"digits": (4,), "size_range": (16, 16), "canvas_shape": (26, 26)}
    straight = load_digit_canvases(20, angle_range=(0, 0), **kwargs)
    turned = load_digit_canvases(20, angle_range=(angle, angle), **kwargs)
    assert_array_equal(turned.target[:, 4], np.full(20, angle % 360))
    for before, after in zip(straight.data, turned.data, strict=True):
        likeness = [np.corrcoef(centred(np.rot90(before, k)).ravel(), centred(after).ravel())[0, 1] for k in range(4)]
        assert np.argmax(likeness) == angle // 90 % 4


def test_angles_around_zero_wrap_into_the_full_circle():
    angle = load_digit_canvases(200, angle_range=(-30, 30)).target[:, 4]
    assert ((angle >= 330) | (angle < 30)).all()
    assert (angle >= 330).any()
    assert (angle < 30).any()
    tiny = load_digit_canvases(5, angle_range=(-1e-300, -1e-300)).target[:, 4]
    assert (tiny < 360).all()


def test_the_seed_determines_the_canvases():
    first, again, other, drawn = (
        load_digit_canvases(50, digits=(3, 7), random_state=seed) for seed in (7, 7, 8, np.random.RandomState(7))
    )
    for key in ("data", "target", "digit", "source"):
        assert_array_equal(first[key], again[key])
        assert_array_equal(first[key], drawn[key])
        assert not np.array_equal(first[key], other[key])


@pytest.mark.parametrize("random_state", [0, None])
def test_the_global_generator_is_left_as_it_was(random_state):
    before = np.random.get_state()  # noqa: NPY002
    load_digit_canvases(5, random_state=random_state)
    after = np.random.get_state()  # noqa: NPY002
    assert before[2] == after[2]
    assert_array_equal(before[1], after[1])


def test_without_a_seed_each_call_gives_different_canvases():
    first, second = (load_digit_canvases(20, random_state=None).target for _ in range(2))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        (
            {"n_samples": 0},
            "The 'n_samples' parameter must be an integer, 1 or more. Got 0 instead.",
        ),
        (
            {"n_samples": 2.5},
            "'n_samples' parameter must be an integer, 1 or more. Got 2.5 instead.",
        ),
        ({"digits": ()}, "The 'digits' parameter must hold digits from 0 to 9. Got () instead."),
        ({"digits": (3, 10)}, "must hold digits from 0 to 9. Got (3, 10) instead."),
        ({"canvas_shape": (64, 20)}, "parameter must be (height, width), each "),
        ({"canvas_shape": (64,)}, "parameter must be (height, width), each "),
        ({"size_range": (5, 9)}, "The 'size_range' parameter must start at 8 pixels, "),
        (
            {"size_range": (20, 10)},
            "'size_range' parameter must be two finite numbers in increasing order.",
        ),
        ({"angle_range": (0, np.inf)}, "'angle_range' parameter must be two finite numbers in increasing order. "),
        ({"angle_range": (0, 361)}, "The 'angle_range' parameter must span 360 degrees or less."),
    ],
)
def test_invalid_canvas_parameters_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        load_digit_canvases(**kwargs)


def test_the_smallest_accepted_canvas_is_large_enough():
    too_small = {
        "canvas_shape": (8, 8),
        "digits": range(10),
        "n_samples": 1797,
        "size_range": (13, 13),
    }
    with pytest.raises(ValueError, match=r"each (\d+) pixels or more") as refused:
        load_digit_canvases(**too_small)
    least = int(re.search(r"each (\d+) pixels", str(refused.value))[1])
    canvases = load_digit_canvases(**{**too_small, "canvas_shape": (least, least)})
    assert canvases.target[:, 2:4].max() <= least
    with pytest.raises(ValueError, match="each"):
        load_digit_canvases(**{**too_small, "canvas_shape": (least - 1, least)})
