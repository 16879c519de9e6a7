"""Sample weights, per row or per row and column: in scaling, training, validation, early stopping and scores."""

import re

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.utils.data import DataLoader

from skmulti import MultiOutputMLPRegressor
from skmulti.metrics import circular_score

NAMES = ["angle", "distance", "count", "cx", "cy", "w", "h"]
BOX = ["cx", "cy", "w", "h"]
LOSS = {"angle": "circular", "distance": "gaussian_nll", "count": "poisson", "box": "giou"}


def draw(n=40, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4)).astype(np.float32)
    size = np.exp(0.3 * X[:, 2:]) + 0.5
    columns = [np.rad2deg(np.arctan2(X[:, 0], X[:, 1])) % 360, 100 * X[:, 2], rng.poisson(np.exp(X[:, 3]))]
    return X, pd.DataFrame(np.column_stack([*columns, X[:, :2], size]), columns=NAMES)


def net(**params):
    params = {"loss": LOSS, "column_groups": {"box": BOX}, "batch_size": -1, "shuffle": False, **params}
    return MultiOutputMLPRegressor((8,), effort=None, **{"max_epochs": 5, "random_state": 0, "lr": 0.01, **params})


def parameters_of(fitted):
    return torch.cat([p.detach().flatten() for p in fitted.module_.parameters()]).numpy()


def counts(n=40, seed=1, low=0):
    return np.random.default_rng(seed).integers(low, 4, n)


def assert_same_net(first, second, X):
    np.testing.assert_allclose(parameters_of(first), parameters_of(second), atol=1e-5)
    np.testing.assert_allclose(first.target_scaler_.center, second.target_scaler_.center, rtol=1e-9)
    np.testing.assert_allclose(first.target_scaler_.scale, second.target_scaler_.scale, rtol=1e-9)
    np.testing.assert_allclose(first.history_[:, "train_loss"], second.history_[:, "train_loss"], rtol=1e-5)
    pairs = zip(first.terms_, second.terms_, strict=True)
    assert all(type(a.loss) is type(b.loss) and a.columns == b.columns for a, b in pairs)
    assert first.terms_[2].loss.mean == pytest.approx(second.terms_[2].loss.mean)
    np.testing.assert_allclose(first.terms_[3].loss.unit, second.terms_[3].loss.unit)


@pytest.mark.parametrize("two_dimensional", [False, True], ids=["1-D", "2-D"])
@pytest.mark.parametrize("low", [1, 0], ids=["positive", "with zeros"])
def test_integer_sample_weights_equal_repeated_rows(two_dimensional, low):
    X, y = draw()
    weight = counts(low=low)
    repeated = net().fit(X.repeat(weight, 0), y.loc[y.index.repeat(weight)])
    given = np.tile(weight[:, None], (1, 7)) if two_dimensional else weight
    assert_same_net(net().fit(X, y, sample_weight=given), repeated, X)
    assert_same_net(net().fit(X, y, sample_weight=0.37 * given), repeated, X)


@pytest.mark.parametrize("two_dimensional", [False, True], ids=["1-D", "2-D"])
def test_rows_of_weight_zero_are_ignored(two_dimensional):
    X, y = draw()
    keep = np.arange(40) % 4 > 0
    wild = y.where(np.tile(keep[:, None], 7), 1e6)
    given = keep.astype(float)
    given = np.tile(given[:, None], (1, 7)) if two_dimensional else given
    assert_same_net(net().fit(X, wild, sample_weight=given), net().fit(X[keep], y[keep]), X)


def test_equal_weights_beside_rows_of_weight_zero_are_no_weights_bit_for_bit():
    params = {"effort": None, "hidden_layer_sizes": (6,), "normalization": "batch", "max_epochs": 3, "random_state": 0}
    X, y = np.random.default_rng(0).normal(size=(2, 40, 3))
    weight = np.r_[np.full(30, 3.0), np.zeros(10)]
    weighted = MultiOutputMLPRegressor(**params).fit(X, y, weight)
    np.testing.assert_array_equal(weighted.predict(X), MultiOutputMLPRegressor(**params).fit(X[:30], y[:30]).predict(X))


def test_targets_of_weight_zero_equal_missing_targets():
    X, y = draw()
    weight = np.ones((40, 7))
    weight[::3, 0] = 0
    weight[1::3, 1] = 0
    weight[2::3, 3:] = 0
    holes = y.mask(weight == 0)
    assert_same_net(net().fit(X, y, sample_weight=weight), net(missing_targets="mask").fit(X, holes), X)


@pytest.mark.parametrize("wild", [-1.0, 1e30], ids=str)
def test_a_target_of_weight_zero_may_be_anything(wild):
    X, y = draw()
    weight = np.ones((40, 7))
    weight[::3] = np.array([0, 0, 0, 1, 1, 1, 1])
    weight[1::3] = np.array([1, 1, 1, 0, 0, 0, 0])
    first, second = (net().fit(X, y.mask(weight == 0, value), sample_weight=weight) for value in (wild, 1.0))
    assert np.isfinite(parameters_of(first)).all()
    np.testing.assert_allclose(parameters_of(first), parameters_of(second), atol=1e-5)


@pytest.mark.parametrize("value", [1.0, 1, 2.5, 1e-6])
@pytest.mark.parametrize("shape", [(40,), (40, 7)], ids=str)
@pytest.mark.parametrize("batch_size", [-1, 9])
def test_equal_weights_are_no_weights_bit_for_bit(value, shape, batch_size):
    X, y = draw()
    first = net(batch_size=batch_size).fit(X, y, sample_weight=np.full(shape, value))
    second = net(batch_size=batch_size).fit(X, y)
    np.testing.assert_array_equal(parameters_of(first), parameters_of(second))
    assert first.history_[:, "train_loss"] == second.history_[:, "train_loss"]


def test_a_group_has_the_mean_weight_of_its_columns():
    X, y = draw()
    uneven, even = np.ones((40, 7)), np.ones((40, 7))
    uneven[::2, 3:] = [1, 2, 3, 6]
    even[::2, 3:] = 3
    pair = [net().fit(X, y, sample_weight=weight) for weight in (uneven, even)]
    # The mean over all columns differs, but only ratios within a column matter.
    np.testing.assert_allclose(parameters_of(pair[0]), parameters_of(pair[1]), atol=1e-5)


def test_early_stopping_uses_the_weights_of_the_validation_rows():
    X, y = draw()
    X_val, y_val = draw(30, seed=5)
    weight, weight_val = counts(low=1), counts(30, seed=2)
    params = {"early_stopping": True, "max_epochs": 40, "n_iter_no_change": 2, "lr": 0.1, "tol": 0.0}
    weighted = net(**params).fit(X, y, weight, X_val=X_val, y_val=y_val, sample_weight_val=weight_val)
    repeated = net(**params).fit(
        X.repeat(weight, 0),
        y.loc[y.index.repeat(weight)],
        X_val=X_val.repeat(weight_val, 0),
        y_val=y_val.loc[y_val.index.repeat(weight_val)],
    )
    assert weighted.n_iter_ == repeated.n_iter_ < 40
    np.testing.assert_allclose(weighted.history_[:, "valid_loss"], repeated.history_[:, "valid_loss"], rtol=1e-3)
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-2, atol=0.5)


@pytest.mark.parametrize("batch_size", [7, -1])
@pytest.mark.parametrize("two_dimensional", [False, True], ids=["1-D", "2-D"])
def test_the_recorded_loss_is_that_of_the_whole_set_at_once(batch_size, two_dimensional):
    X, y = draw()
    rng = np.random.default_rng(3)
    weight = rng.random((40, 7) if two_dimensional else 40)
    # With steps too small to change a parameter all batches use the same parameters.
    fitted = net(batch_size=batch_size, optimizer=torch.optim.SGD, lr=1e-30, max_epochs=1).fit(
        X, y, weight, X_val=X, y_val=y, sample_weight_val=weight
    )
    with torch.no_grad():
        raw = fitted.module_(torch.from_numpy(X))
        rows = fitted.criterion_.row_losses(raw, fitted.target_scaler_.transform(torch.from_numpy(y.to_numpy())))
    per_term = (
        np.tile(weight[:, None], 4) if weight.ndim == 1 else np.column_stack([weight[:, :3], weight[:, 3:].mean(1)])
    )
    exact = (rows.double().numpy() * per_term).sum(0) / per_term.sum(0)
    for prefix in ("train", "valid"):
        recorded = [fitted.history_[-1, f"{prefix}_loss__{term.name}"] for term in fitted.terms_]
        np.testing.assert_allclose(recorded, exact, rtol=1e-5)
        assert fitted.history_[-1, f"{prefix}_loss"] == pytest.approx(exact.sum(), rel=1e-5)


SHAPES = "The 'sample_weight' parameter must have one weight per row, shape (40,), or one per row and column of y, "
BAD = [
    (np.ones(39), SHAPES + "shape (40, 7). Got shape (39,) instead."),
    (np.ones((40, 6)), SHAPES + "shape (40, 7). Got shape (40, 6) instead."),
    (np.ones((40, 1)), SHAPES + "shape (40, 7). Got shape (40, 1) instead."),
    (np.ones((40, 7, 1)), SHAPES + "shape (40, 7). Got shape (40, 7, 1) instead."),
    (np.r_[np.ones(39), -0.5], "The 'sample_weight' parameter must hold weights of 0 or more. Got -0.5."),
    (
        np.r_[np.ones(39), np.nan],
        "Input sample_weight contains NaN: 'sample_weight' has 1. It must be finite throughout.",
    ),
    (
        np.column_stack([np.ones((40, 6)), np.r_[np.ones(38), np.inf, np.inf]]),
        "Input sample_weight contains infinity or a value too large for float32: 'h' has 2. "
        "It must be finite throughout.",
    ),
    (np.zeros(40), "The 'sample_weight' parameter must hold a weight above zero. All weights are zero."),
    (
        np.column_stack([np.zeros(40), np.ones((40, 5)), np.zeros(40)]),
        "The 'sample_weight' parameter must hold a weight above zero. All weights are zero for 'angle', 'h'.",
    ),
]


@pytest.mark.parametrize(("weight", "message"), BAD, ids=[message[-40:] for _, message in BAD])
def test_bad_weights_are_refused_everywhere(weight, message):
    X, y = draw()
    fitted = net(max_epochs=1).fit(X, y)
    calls = [net().fit, fitted.partial_fit, fitted.score]
    for call in calls:
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            call(X, y, sample_weight=weight)
    of_validation = message.replace("sample_weight", "sample_weight_val")
    with pytest.raises(ValueError, match=f"^{re.escape(of_validation)}$"):
        net().fit(X, y, X_val=X, y_val=y, sample_weight_val=weight)


@pytest.mark.parametrize("two_dimensional", [False, True], ids=["1-D", "2-D"])
def test_a_weighted_score_is_scikit_learns_r2_and_circular_score_for_angles(two_dimensional):
    X, y = draw()
    fitted, weight = net().fit(X, y), np.random.default_rng(0).random((40, 7))
    weight = weight if two_dimensional else weight[:, 0]
    y_pred = fitted.predict(X)
    expected = [
        (circular_score if name == "angle" else r2_score)(
            y[name], y_pred[:, i], sample_weight=weight[:, i] if two_dimensional else weight
        )
        for i, name in enumerate(y)
    ]
    assert fitted.score(X, y, sample_weight=weight) == pytest.approx(np.mean(expected), rel=1e-9)


def routed(**params):
    return net(**params).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)


def test_weights_are_routed_through_pipelines_and_searches():
    X, y = draw(60)
    weight = counts(60, low=0).astype(float)
    with sklearn.config_context(enable_metadata_routing=True):
        scaler = StandardScaler().set_fit_request(sample_weight=True)
        pipe = make_pipeline(scaler, routed()).fit(X, y, sample_weight=weight)
        by_hand = net().fit(StandardScaler().fit(X, sample_weight=weight).transform(X), y, sample_weight=weight)
        np.testing.assert_array_equal(parameters_of(pipe[-1]), parameters_of(by_hand))
        search = GridSearchCV(
            make_pipeline(scaler, routed()),
            {"multioutputmlpregressor__loss_weights__count": [0.5, 2.0]},
            cv=3,
            error_score="raise",
        ).fit(X, y, sample_weight=weight)
        scores = cross_validate(routed(), X, y, params={"sample_weight": weight}, cv=3, error_score="raise")
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    best = search.best_params_["multioutputmlpregressor__loss_weights__count"]
    again = net(loss_weights__count=best).fit(StandardScaler().fit(X, sample_weight=weight).transform(X), y, weight)
    np.testing.assert_array_equal(parameters_of(search.best_estimator_[-1]), parameters_of(again))
    train = np.arange(60) >= 20
    first = net().fit(X[train], y[train], weight[train]).score(X[~train], y[~train], weight[~train])
    assert scores["test_score"][0] == pytest.approx(first, rel=1e-6)


@pytest.mark.parametrize("two_dimensional", [False, True], ids=["1-D", "2-D"])
def test_the_loader_of_torch_gives_the_same(two_dimensional):
    X, y = draw()
    weight = np.random.default_rng(0).random((40, 7) if two_dimensional else 40)
    ours = net(batch_size=9).fit(X, y, weight)
    theirs = net(batch_size=9, iterator_train=DataLoader, iterator_valid=DataLoader).fit(X, y, weight)
    np.testing.assert_allclose(parameters_of(ours), parameters_of(theirs), atol=1e-6)
    np.testing.assert_allclose(theirs.predict(X), ours.predict(X), rtol=1e-4, atol=1e-4)


def one_number(raw, y):
    return (raw - y).square().mean()


def test_a_loss_that_returns_one_number_for_all_rows_is_refused():
    X, y = draw()
    with pytest.raises(ValueError, match=r"^The loss .* must return one value per row to be used with"):
        net(loss=one_number, column_groups=None).fit(X, y, counts())
    net(loss=one_number, column_groups=None).fit(X, y)
    net(loss=torch.nn.L1Loss, column_groups=None).fit(X, y, counts())


def test_partial_fit_takes_sample_weights():
    X, y = draw()
    weight = counts(low=1)
    weighted = net().fit(X, y, weight).partial_fit(X, y, weight)
    rows = [X.repeat(weight, 0), y.loc[y.index.repeat(weight)]]
    assert_same_net(weighted, net().fit(*rows).partial_fit(*rows), X)
    unweighted_first = net().fit(X, y).partial_fit(X, y, weight)
    assert np.abs(parameters_of(unweighted_first) - parameters_of(weighted)).max() > 1e-4
