"""What can be asked of a fitted net: spreads, quantiles, intervals and likelihoods in the user's units."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.exceptions import NotFittedError

from skmulti import MultiOutputMLPRegressor
from skmulti.losses import Quantile, StudentTNLL

NAMES = ["length", "angle", "count", "u", "v", "price"]
LOSS = {
    "length": "gaussian_nll",
    "angle": "von_mises_nll",
    "count": "poisson",
    "uv": "multivariate_gaussian_nll",
    "price": "squared_error",
}
GROUPS = {"uv": ["u", "v"], "numbers": ["length", "count"]}
SPREADS = ["length", "angle", "count", "uv"]


def draw(n=80, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3)).astype(np.float32)
    length = 500 + 100 * X[:, 0] + 20 * rng.normal(size=n)
    angle = np.rad2deg(np.arctan2(X[:, 0], X[:, 1])) % 360
    u = X[:, 1] + 0.3 * rng.normal(size=n)
    y = np.column_stack([length, angle, rng.poisson(np.exp(X[:, 2])), u, -3 * u + rng.normal(size=n), 7 * X[:, 2]])
    return X, pd.DataFrame(y, columns=NAMES)


def net(**params):
    params = {"loss": LOSS, "column_groups": GROUPS, "max_epochs": 20, "random_state": 0, "lr": 0.01, **params}
    return MultiOutputMLPRegressor((16,), effort=None, **params)


@pytest.fixture(scope="module")
def fitted():
    return net().fit(*draw())


def test_return_std_is_in_the_users_units(fitted):
    X, _ = draw()
    y_pred, y_std = fitted.predict(X, return_std=True, columns=SPREADS)
    assert y_pred.shape == y_std.shape == (80, 5)
    np.testing.assert_array_equal(y_pred, fitted.predict(X)[:, :5])
    assert (y_std > 0).all()
    np.testing.assert_allclose(y_std[:, 2], np.sqrt(y_pred[:, 2]), rtol=1e-6)
    assert 5 < np.median(y_std[:, 0]) < 120


@pytest.mark.parametrize("level", [0.01, 0.25, 0.5, 0.9])
def test_quantiles_are_those_of_scipy_with_the_predicted_mean_and_spread(fitted, level):
    X, _ = draw()
    y_pred, y_std = fitted.predict(X, return_std=True, columns=["length", "uv"])
    read = fitted.predict_quantiles(X, level, columns=["length", "uv"])
    assert read.shape == (80, 3, 1)
    np.testing.assert_allclose(read[..., 0], stats.norm(y_pred, y_std).ppf(level), rtol=1e-5)
    counts = fitted.predict_quantiles(X, [level], columns="count")[:, 0]
    np.testing.assert_array_equal(counts, stats.poisson(fitted.predict(X)[:, 2]).ppf(level))


def test_an_interval_has_quantiles_as_its_ends(fitted):
    X, _ = draw()
    for coverage, ends in ((0.9, [0.05, 0.95]), (0.5, [0.25, 0.75])):
        interval = fitted.predict_interval(X, coverage, columns=SPREADS)
        np.testing.assert_array_equal(interval, fitted.predict_quantiles(X, ends, columns=SPREADS))
        assert (interval[..., 0] <= interval[..., 1]).all()
    np.testing.assert_array_equal(
        fitted.predict_interval(X, columns="length"), fitted.predict_interval(X, 0.9, columns="length")
    )


def test_the_interval_of_an_angle_is_around_its_prediction(fitted):
    X, _ = draw()
    interval, y_pred = fitted.predict_interval(X, 0.8, columns="angle"), fitted.predict(X)[:, 1]
    np.testing.assert_allclose(interval.mean(1), y_pred, atol=1e-3)
    assert (np.diff(interval, axis=1) < 360).all()


def test_the_likelihood_is_that_of_scipy_with_the_predicted_parameters(fitted):
    X, y = draw(seed=1)
    y_pred, y_std = fitted.predict(X, return_std=True, columns=["length", "angle", "count"])
    length = -stats.norm(y_pred[:, 0], y_std[:, 0]).logpdf(y["length"])
    np.testing.assert_allclose(fitted.negative_log_likelihood(X, y, columns="length"), length, rtol=1e-3)
    count = -stats.poisson(y_pred[:, 2]).logpmf(y["count"])
    np.testing.assert_allclose(fitted.negative_log_likelihood(X, y, columns="count"), count, rtol=1e-4, atol=1e-5)
    raw = fitted.forward(X)[:, list(fitted.terms_[1].raw)].double().numpy()
    k, loc = np.hypot(*raw.T), np.arctan2(raw[:, 1], raw[:, 0])
    angle = -stats.vonmises(k, loc).logpdf(np.deg2rad(y["angle"])) - np.log(np.pi / 180)
    np.testing.assert_allclose(fitted.negative_log_likelihood(X, y, columns="angle"), angle, rtol=1e-3, atol=1e-3)
    scaler = fitted.target_scaler_
    mean, cov = (fitted.terms_[3].loss.predict, fitted.terms_[3].loss.covariance)
    raw_uv = fitted.forward(X)[:, list(fitted.terms_[3].raw)].double()
    scale = scaler.scale[3:5]
    group = [
        -stats.multivariate_normal(m * scale + scaler.center[3:5], c * np.outer(scale, scale)).logpdf(row)
        for m, c, row in zip(mean(raw_uv).numpy(), cov(raw_uv).numpy(), y[["u", "v"]].to_numpy(), strict=True)
    ]
    np.testing.assert_allclose(fitted.negative_log_likelihood(X, y, columns="uv"), group, rtol=1e-3, atol=1e-4)
    all_four = fitted.negative_log_likelihood(X, y, columns=SPREADS)
    np.testing.assert_allclose(all_four, length + count + angle + group, rtol=1e-3)


@pytest.mark.parametrize("loss", ["gaussian_nll", "laplace_nll", StudentTNLL(df=3.0)], ids=str)
def test_a_smaller_unit_shifts_the_likelihood_by_its_logarithm(loss):
    X, y = draw()
    first = net(loss=loss, column_groups=None).fit(X, y["length"])
    second = net(loss=loss, column_groups=None).fit(X, 1000 * y["length"])
    np.testing.assert_allclose(second.predict(X), 1000 * first.predict(X), rtol=1e-4)
    (_, std), (_, std_second) = (one.predict(X, return_std=True) for one in (first, second))
    np.testing.assert_allclose(std_second, 1000 * std, rtol=1e-3)
    shift = second.negative_log_likelihood(X, 1000 * y["length"]) - first.negative_log_likelihood(X, y["length"])
    np.testing.assert_allclose(shift, np.log(1000), rtol=1e-3)


def test_predictions_without_target_scaling_are_in_the_same_units():
    X, y = draw()
    one = net(loss="gaussian_nll", column_groups=None, scale_targets=False).fit(X, y["price"])
    y_pred, y_std = one.predict(X, return_std=True)
    expected = -stats.norm(y_pred, y_std).logpdf(y["price"])
    np.testing.assert_allclose(one.negative_log_likelihood(X, y["price"]), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("columns", "positions"),
    [
        (None, [0, 1, 2, 3, 4, 5]),
        ("angle", 1),
        (2, 2),
        (-1, 5),
        (np.int64(1), 1),
        (["angle"], [1]),
        ((2,), [2]),
        ("uv", [3, 4]),
        ("numbers", [0, 2]),
        (["v", "length"], [4, 0]),
        (["uv", 0], [3, 4, 0]),
        (("price", "angle"), [5, 1]),
    ],
    ids=str,
)
def test_columns_are_selected_by_name_group_or_position(fitted, columns, positions):
    X, _ = draw()
    np.testing.assert_array_equal(fitted.predict(X, columns=columns), fitted.predict(X)[:, positions])


@pytest.mark.parametrize(
    ("columns", "axes"), [("length", ()), (0, ()), (["length"], (1,)), (("length",), (1,)), ("uv", (2,))], ids=str
)
def test_one_selected_column_has_the_shape_that_it_has_in_y(fitted, columns, axes):
    X, y = draw()
    y_pred, y_std = fitted.predict(X, return_std=True, columns=columns)
    assert y_pred.shape == y_std.shape == fitted.predict(X, columns=columns).shape == (80, *axes)
    assert fitted.predict_quantiles(X, [0.1, 0.5, 0.9], columns=columns).shape == (80, *axes, 3)
    assert fitted.predict_interval(X, columns=columns).shape == (80, *axes, 2)
    if not axes:
        assert (y["length"] - y_pred).shape == (y["length"].to_numpy() - y_pred).shape == (80,)


def test_the_name_of_a_group_of_one_column_is_the_name_of_a_group():
    X, y = draw()
    alone = net(loss="gaussian_nll", column_groups={"lonely": ["length"], "angle": ["angle"]}, max_epochs=1).fit(X, y)
    assert alone.predict(X, columns="lonely").shape == (80, 1)
    # A group may bear the name of its only column: then it is that column.
    assert alone.predict(X, columns="angle").shape == (80,)


def test_a_default_ensemble_predicts_one_column_in_its_shape():
    X, y = draw(60)
    default = MultiOutputMLPRegressor(effort="fast", n_members=2, max_epochs=1, random_state=0).fit(X, y[["u", "v"]])
    y_pred, y_std = default.predict(X, return_std=True, columns="v")
    np.testing.assert_array_equal(y_pred, default.predict(X)[:, 1])
    assert (y["v"].to_numpy() - y_pred).shape == y_std.shape == (60,)


@pytest.mark.parametrize("columns", [None, 0, "length", ["length"]], ids=str)
def test_one_dimensional_targets_keep_their_shape_for_any_columns(columns):
    X, y = draw()
    flat = net(loss="gaussian_nll", column_groups=None, max_epochs=1).fit(X, y["length"])
    assert flat.predict(X, columns=columns).shape == (80,)
    assert flat.predict_interval(X, columns=columns).shape == (80, 2)


def test_an_unknown_column_is_refused_with_the_nearest_name(fitted):
    X, y = draw()
    message = (
        "The 'columns' parameter must name columns of y. Got 'lenght', but the columns of y are 'length', 'angle', "
        "'count', 'u', 'v', 'price' and its groups are 'uv', 'numbers'. Did you mean 'length'?"
    )
    asks = [
        fitted.predict,
        fitted.predict_interval,
        lambda X, columns: fitted.predict_quantiles(X, 0.5, columns=columns),
        lambda X, columns: fitted.negative_log_likelihood(X, y, columns=columns),
    ]
    for ask in asks:
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            ask(X, columns="lenght")


def test_columns_without_support_are_named(fitted):
    X, y = draw()
    asks = {
        "standard deviation": lambda: fitted.predict(X, return_std=True),
        "quantiles": lambda: fitted.predict_interval(X),
        "likelihood": lambda: fitted.negative_log_likelihood(X, y),
    }
    others = {"standard deviation": " An ensemble (n_members=2 or more) has what its members disagree about."}
    others["quantiles"] = " For intervals of any loss see skmulti.prediction.SplitConformalRegressor."
    for words, ask in asks.items():
        message = (
            f"Losses of these columns give no {words}: 'price' (SquaredError()). Ask for other columns with "
            f"'columns', or train with a loss that has one, such as 'gaussian_nll'.{others.get(words, '')}"
        )
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            ask()


def test_levels_and_coverages_out_of_range_are_refused(fitted):
    X, _ = draw()
    for levels in ([0.0], [0.5, 1.0], -0.1, [], [float("nan")]):
        with pytest.raises(ValueError, match=r"^'levels' must lie between 0 and 1, both excluded\. Got \["):
            fitted.predict_quantiles(X, levels, columns="length")
    for coverage in (0, 1, -1, 1.5, float("nan")):
        message = f"'coverage' must lie between 0 and 1, both excluded. Got {coverage!r} instead."
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            fitted.predict_interval(X, coverage, columns="length")


@pytest.mark.parametrize("given", ["high", "0.5", None, [], [[0.1, 0.9]], [0.1, [0.2]], True, 1j], ids=repr)
def test_levels_and_coverages_must_be_numbers(fitted, given):
    X, _ = draw()
    for name, ask in (("levels", fitted.predict_quantiles), ("coverage", fitted.predict_interval)):
        message = f"'{name}' must lie between 0 and 1, both excluded. Got {given!r} instead."
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            ask(X, given, columns="length")


def test_an_unfitted_net_raises_not_fitted_error():
    X, y = draw()
    asks = [lambda one: one.predict(X, return_std=True), lambda one: one.predict_quantiles(X, 0.5),
            lambda one: one.predict_interval(X), lambda one: one.negative_log_likelihood(X, y),
            lambda one: one.residuals(X, y), lambda one: one.score(X, y)]  # fmt: skip
    for ask in asks:
        with pytest.raises(NotFittedError):
            ask(net())


def test_one_dimensional_targets_give_arrays_with_one_dimension_less():
    X, y = draw()
    one = net(loss="gaussian_nll", column_groups=None).fit(X, y["length"])
    y_pred, y_std = one.predict(X, return_std=True)
    assert y_pred.shape == y_std.shape == (80,)
    assert one.predict_quantiles(X, [0.1, 0.5, 0.9]).shape == (80, 3)
    assert one.predict_quantiles(X, 0.5).shape == (80, 1)
    assert one.predict_interval(X).shape == (80, 2)
    assert one.residuals(X, y["length"]).shape == (80,)
    assert one.negative_log_likelihood(X, y["length"]).shape == (80,)
    np.testing.assert_allclose(one.predict_quantiles(X, 0.5)[:, 0], y_pred, rtol=1e-6)
    np.testing.assert_allclose(one.residuals(X, y["length"]), y["length"] - y_pred, rtol=1e-9)


def test_several_quantiles_are_in_the_users_units():
    X, y = draw(400)
    one = net(loss=Quantile((0.05, 0.5, 0.95)), column_groups=None, max_epochs=60, batch_size=128).fit(
        X, y[["length", "price"]]
    )
    read = one.predict_quantiles(X, [0.05, 0.5, 0.95])
    np.testing.assert_array_equal(one.predict(X), read[..., 1])
    np.testing.assert_array_equal(one.predict_interval(X, 0.9), read[..., [0, 2]])
    assert (np.diff(read, axis=-1) >= 0).all()
    share = (y["length"].to_numpy()[:, None] <= read[:, 0]).mean(0)
    np.testing.assert_allclose(share, [0.05, 0.5, 0.95], atol=0.1)
    with pytest.raises(
        ValueError, match=r"^'levels' must lie within those of Quantile\(level=\(0\.05, 0\.5, 0\.95\)\)"
    ):
        one.predict_quantiles(X, 0.99)


def test_residuals_of_an_angle_take_the_shorter_way_round(fitted):
    X, y = draw()
    residuals, y_pred = fitted.residuals(X, y), fitted.predict(X)
    others = [0, 2, 3, 4, 5]
    np.testing.assert_allclose(residuals[:, others], (y.to_numpy() - y_pred)[:, others], rtol=1e-9)
    turned = np.rad2deg(np.angle(np.exp(1j * np.deg2rad(y["angle"] - y_pred[:, 1]))))
    np.testing.assert_allclose(residuals[:, 1], turned, atol=1e-9)
    assert (np.abs(residuals[:, 1]) <= 180).all()
    assert (np.abs(y["angle"] - y_pred[:, 1]) > 180).any()


def test_a_constant_column_has_a_standard_deviation_of_zero():
    X, y = draw()
    one = net(loss="gaussian_nll", column_groups=None).fit(X, y.assign(length=5.0)[["length", "price"]])
    y_pred, y_std = one.predict(X, return_std=True)
    assert (y_pred[:, 0] == 5.0).all()
    assert (y_std[:, 0] == 0).all()
    assert (one.predict_interval(X)[:, 0] == 5.0).all()
    assert np.isfinite(one.negative_log_likelihood(X, y.assign(length=5.0)[["length", "price"]])).all()


def test_heteroscedastic_noise_is_estimated_within_15_percent():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (4000, 1)).astype(np.float32)
    noise = 30 * np.exp(X[:, 0])
    y = 1000 + 200 * np.sin(3 * X[:, 0]) + noise * rng.normal(size=4000)
    one = MultiOutputMLPRegressor(
        (32,), effort=None, loss="gaussian_nll", max_epochs=60, lr=5e-3, batch_size=256, random_state=0
    )
    grid = np.linspace(-0.9, 0.9, 50, dtype=np.float32)[:, None]
    y_pred, y_std = one.fit(X, y).predict(grid, return_std=True)
    error = np.abs(y_std / (30 * np.exp(grid[:, 0])) - 1)
    print(f"noise level: worst {error.max():.3f}, mean {error.mean():.3f} off")
    assert error.max() < 0.15
    assert np.abs(y_pred - 1000 - 200 * np.sin(3 * grid[:, 0])).mean() < 15
