"""Missing targets (NaN) are excluded from the loss of their column only."""

import re

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.linear_model import LinearRegression
from sklearn.metrics import make_scorer, r2_score
from sklearn.model_selection import GridSearchCV, cross_validate, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmulti import MultiHeadRegressor, MultiOutputMLPRegressor
from skmulti.datasets import load_breast_cancer_measurements
from skmulti.metrics import circular_error, circular_score, column_scorers

NAMES = ["angle", "distance", "count", "cx", "cy", "w", "h"]
BOX = ["cx", "cy", "w", "h"]
LOSS = {"angle": "circular", "distance": "gaussian_nll", "count": "poisson", "box": "giou"}


def draw(n=60, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4)).astype(np.float32)
    size = np.exp(0.3 * X[:, 2:]) + 0.5
    columns = [np.rad2deg(np.arctan2(X[:, 0], X[:, 1])) % 360, 100 * X[:, 2], rng.poisson(np.exp(X[:, 3]))]
    return X, pd.DataFrame(np.column_stack([*columns, X[:, :2], size]), columns=NAMES)


def with_holes(y, share=0.3, seed=1):
    return y.mask(np.random.default_rng(seed).random(y.shape) < share)


def net(**params):
    params = {"loss": LOSS, "column_groups": {"box": BOX}, "missing_targets": "mask", **params}
    return MultiOutputMLPRegressor((8,), effort=None, **{"max_epochs": 4, "random_state": 0, "lr": 0.01, **params})


def parameters_of(fitted):
    return torch.cat([p.detach().flatten() for p in fitted.module_.parameters()]).numpy()


def table_loss(fitted, X, y, sample_weight=None):
    """Return the exact losses of all terms over a whole set, computed at once by the net's own criterion."""
    with torch.no_grad():
        fitted.module_.eval()
        raw = fitted.module_(torch.from_numpy(X)).double()
        y_scaled = fitted.target_scaler_.transform(torch.from_numpy(np.asarray(y, dtype=float)))
        weight = None if sample_weight is None else torch.as_tensor(sample_weight).double()
        return fitted.criterion_.double().term_losses(raw, y_scaled.double(), weight).numpy()


@pytest.mark.parametrize("loss", [LOSS, "squared_error", "multivariate_gaussian_nll"], ids=["table", "one", "group"])
def test_rows_without_any_target_are_dropped_bit_for_bit(loss):
    X, y = draw()
    gone = np.arange(60) % 3 == 1
    y_holes = y.mask(np.tile(gone[:, None], (1, 7)))
    masked = net(loss=loss, batch_size=-1).fit(X, y_holes)
    complete = net(loss=loss, batch_size=-1).fit(X[~gone], y[~gone])
    unmasked = net(loss=loss, batch_size=-1, missing_targets="error").fit(X[~gone], y[~gone])
    np.testing.assert_array_equal(parameters_of(masked), parameters_of(complete))
    np.testing.assert_array_equal(parameters_of(masked), parameters_of(unmasked))
    assert masked.history_[:, "train_loss"] == complete.history_[:, "train_loss"]


def test_a_single_column_trains_on_its_complete_rows():
    # A separate head and no trunk, so that the other column could affect it only through the loss.
    X, y = draw()
    y = y[["distance", "cx"]]
    gone = np.arange(60) % 10 > 0
    holes = y.assign(distance=y["distance"].mask(gone))

    def heads(loss):
        return MultiHeadRegressor(hidden_layer_sizes=(), loss=loss, optimizer=torch.optim.SGD, lr=0.1, max_epochs=5,
                                  batch_size=-1, random_state=0, missing_targets="mask")  # fmt: skip

    both = heads(["squared_error", "squared_error"]).fit(X, holes)
    alone = heads("squared_error").fit(X[~gone], y.loc[~gone, ["distance"]])
    for name in ("center", "scale"):
        assert getattr(both.target_scaler_, name)[0] == getattr(alone.target_scaler_, name)[0]
    # With the same initial parameters both have the same training.
    with torch.no_grad():
        for (_, p), (_, q) in zip(both.module_.named_parameters(), alone.module_.named_parameters(), strict=False):
            assert p.shape == q.shape
            p.copy_(q)
    both.set_params(max_epochs=5).partial_fit(X, holes)
    alone.set_params(max_epochs=5).partial_fit(X[~gone], y.loc[~gone, ["distance"]])
    np.testing.assert_allclose(
        both.history_[-5:, "train_loss__distance"], alone.history_[-5:, "train_loss__distance"], rtol=1e-5
    )


def test_the_loss_weight_of_a_column_with_few_targets_is_kept():
    X, y = draw(100)
    y = y[["cx", "cy"]].assign(cx=y["cx"].mask(np.arange(100) % 10 > 0))
    fitted = net(loss="squared_error", loss_weights=[3.0, 2.0], column_groups=None, batch_size=-1).fit(X, y)
    for row in fitted.history_:
        assert row["train_loss"] == pytest.approx(3 * row["train_loss__cx"] + 2 * row["train_loss__cy"], rel=1e-6)
    # The gradient of cx is that of a mean over its ten targets, not over all hundred rows.
    raw = torch.zeros(100, 2, requires_grad=True)
    fitted.criterion_(raw, fitted.target_scaler_.transform(torch.from_numpy(y.to_numpy()))).backward()
    known = y["cx"].notna().to_numpy()
    z = (y["cx"][known] - fitted.target_scaler_.center[0]) / fitted.target_scaler_.scale[0]
    np.testing.assert_allclose(raw.grad[known, 0], -3 * 2 * z / 10, rtol=1e-4, atol=1e-6)
    assert not raw.grad[~known, 0].any()


def test_a_group_is_masked_where_any_of_its_columns_is_missing():
    X, y = draw()
    one, all_four = y.copy(), y.copy()
    one.loc[::3, "w"] = np.nan
    all_four.loc[::3, BOX] = np.nan
    first, second = (net(batch_size=-1).fit(X, holes) for holes in (one, all_four))
    np.testing.assert_array_equal(parameters_of(first), parameters_of(second))


@pytest.mark.parametrize("batch_size", [7, 16, -1])
def test_the_recorded_validation_loss_is_that_of_the_whole_set_at_once(batch_size):
    X, y = draw()
    X_val, y_val = draw(45, seed=5)
    y, y_val = with_holes(y), with_holes(y_val, share=0.6)
    fitted = net(batch_size=batch_size).fit(X, y, X_val=X_val, y_val=y_val)
    exact = table_loss(fitted, X_val, y_val)
    recorded = [fitted.history_[-1, f"valid_loss__{term.name}"] for term in fitted.terms_]
    np.testing.assert_allclose(recorded, exact, rtol=1e-4, atol=1e-5)
    assert fitted.history_[-1, "valid_loss"] == pytest.approx(exact.sum(), rel=1e-4)


def test_the_recorded_training_loss_is_that_of_the_whole_set_at_once():
    X, y = draw()
    y = with_holes(y)
    # With steps too small to change a parameter all batches use the same parameters.
    fitted = net(batch_size=7, optimizer=torch.optim.SGD, lr=1e-30, max_epochs=1).fit(X, y)
    exact = table_loss(fitted, X, y)
    recorded = [fitted.history_[-1, f"train_loss__{term.name}"] for term in fitted.terms_]
    np.testing.assert_allclose(recorded, exact, rtol=1e-4, atol=1e-5)
    assert fitted.history_[-1, "train_loss"] == pytest.approx(exact.sum(), rel=1e-4)


def test_early_stopping_restores_the_epoch_whose_whole_validation_loss_is_least():
    X, y = draw()
    X_val, y_val = draw(45, seed=5)
    y, y_val = with_holes(y), with_holes(y_val)
    params = {"early_stopping": True, "max_epochs": 60, "n_iter_no_change": 2, "lr": 0.1, "batch_size": 11, "tol": 0.0}
    fitted = net(**params).fit(X, y, X_val=X_val, y_val=y_val)
    losses = fitted.history_[:, "valid_loss"]
    assert len(losses) < 60
    assert losses[-3] == min(losses)
    assert table_loss(fitted, X_val, y_val).sum() == pytest.approx(min(losses), rel=1e-4)


def test_missing_targets_are_refused_by_default_with_columns_and_counts():
    X, y = draw()
    y.loc[:4, "angle"] = np.nan
    y.loc[9, "h"] = np.nan
    message = (
        "Input y contains NaN: 'angle' has 5, 'h' has 1. It must be finite throughout. "
        "Use missing_targets='mask' to leave missing targets out of the loss."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        net(missing_targets="error").fit(X, y)
    assert MultiOutputMLPRegressor(effort=None).missing_targets == "error"


def test_a_column_without_any_value_is_refused_by_name():
    X, y = draw()
    message = (
        "y must have a value in each column. Got none in 'count', 'w'. Leave these columns out of y; in a "
        "cross-validation or a search, use shuffled or fewer folds."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        net().fit(X, y.assign(count=np.nan, w=np.nan))


def test_a_group_without_one_complete_row_is_refused_by_name():
    X, y = draw()
    y.loc[::2, "w"] = np.nan
    y.loc[1::2, "h"] = np.nan
    message = (
        "y must have rows with all columns of the loss GIoU(box_format='cxcywh', unit=None): 'cx', 'cy', 'w', 'h'. "
        "Got none, counting those with a positive weight."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        net().fit(X, y)


def test_infinity_is_never_a_missing_target():
    X, y = draw()
    y.loc[3, "distance"] = np.inf
    with pytest.raises(ValueError, match=r"^Input y contains infinity .*: 'distance' has 1\."):
        net().fit(X, y)


def test_scores_skip_what_is_missing():
    X, y = draw()
    fitted, holes = net().fit(X, with_holes(y)), with_holes(y, seed=3)
    y_pred = fitted.predict(X)
    metrics = {name: circular_score if name == "angle" else r2_score for name in NAMES}
    expected = [metrics[c](holes.loc[holes[c].notna(), c], y_pred[holes[c].notna(), i]) for i, c in enumerate(NAMES)]
    assert fitted.score(X, holes) == pytest.approx(np.mean(expected), rel=1e-9)
    scorers = column_scorers(NAMES, {"angle": circular_score})
    for i, (name, metric) in enumerate(metrics.items()):
        key = f"{name}_{metric.__name__.removesuffix('_score') if metric is r2_score else metric.__name__}"
        assert scorers[key](fitted, X, holes) == pytest.approx(expected[i], rel=1e-9)
    assert scorers["mean_score"](fitted, X, holes) == pytest.approx(fitted.score(X, holes), rel=1e-9)
    # A column without any target is left out of the mean.
    assert fitted.score(X, holes.assign(angle=np.nan)) == pytest.approx(np.mean(expected[1:]), rel=1e-9)
    assert np.isnan(fitted.residuals(X, holes)).sum() == holes.isna().sum().sum()


def test_a_likelihood_counts_only_present_targets():
    X, y = draw()
    y = y[["distance", "cx", "cy"]]
    fitted = net(
        loss={"distance": "laplace_nll", "xy": "multivariate_gaussian_nll"}, column_groups={"xy": ["cx", "cy"]}
    )
    fitted.fit(X, with_holes(y))
    both = fitted.negative_log_likelihood(X, y)
    parts = [fitted.negative_log_likelihood(X, y, columns=part) for part in ("distance", "xy")]
    np.testing.assert_allclose(both, parts[0] + parts[1], rtol=1e-9)
    holes = y.copy()
    holes.loc[:9, "distance"] = np.nan
    holes.loc[5:19, "cx"] = np.nan
    rows = np.arange(60)
    expected = np.where(rows < 10, 0, parts[0]) + np.where((rows >= 5) & (rows < 20), 0, parts[1])
    np.testing.assert_allclose(fitted.negative_log_likelihood(X, holes), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", ["NaN", "None", "pd.NA", "array", "list"])
def test_missing_targets_may_be_given_in_any_form(kind):
    X, y = draw(30)
    holes = with_holes(y)
    written = {
        "NaN": holes,
        "None": holes.astype(object).where(holes.notna(), None),
        "pd.NA": holes.convert_dtypes(),
        "array": holes.to_numpy(),
        "list": holes.to_numpy().tolist(),
    }[kind]
    losses = ["circular", "gaussian_nll", "poisson"] + ["squared_error"] * 4
    first, second = (net(loss=losses, column_groups=None).fit(X, part) for part in (holes, written))
    np.testing.assert_array_equal(first.predict(X), second.predict(X))


def test_it_works_in_pipelines_and_searches():
    X, y = draw()
    holes = with_holes(y)
    pipe = make_pipeline(StandardScaler(), net())
    scoring = column_scorers(NAMES, {"angle": make_scorer(circular_error, greater_is_better=False)})
    grid = {"multioutputmlpregressor__loss__box": ["giou", "squared_error"],
            "multioutputmlpregressor__loss_weights__count": [0.5, 2.0]}  # fmt: skip
    search = GridSearchCV(pipe, grid, cv=3, scoring=scoring, refit="mean_score", error_score="raise").fit(X, holes)
    assert np.isfinite(search.cv_results_["mean_test_mean_score"]).all()
    assert search.predict(X).shape == (60, 7)


def test_later_targets_may_miss_a_whole_column():
    X, y = draw()
    fitted = net().partial_fit(X, y)
    before = fitted.terms_
    y_later = y.assign(angle=np.nan, w=np.nan, distance=with_holes(y)["distance"])
    fitted.partial_fit(X, y_later)
    assert fitted.terms_ == before
    assert np.isfinite(fitted.history_[:, "train_loss"]).all()
    assert fitted.history_[-1, "train_loss__angle"] == 0
    assert np.isfinite(fitted.predict(X)).all()
    fitted.partial_fit(X, y)
    assert fitted.history_[-1, "train_loss__angle"] > 0


def test_half_of_the_measurements_missing_lowers_the_score_little():
    X, y = load_breast_cancer_measurements(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(StandardScaler().fit_transform(X), y, random_state=0)
    holes = np.where(np.random.default_rng(0).random(y_train.shape) < 0.5, np.nan, y_train)
    scores = []
    for targets in (y_train, holes):
        fitted = MultiOutputMLPRegressor(
            (64,), effort=None, max_epochs=60, lr=3e-3, random_state=0, missing_targets="mask"
        )
        scores.append(fitted.fit(X_train, targets).score(X_test, y_test))
    print("mean R2 complete, 50 % missing:", scores)
    assert scores[0] > LinearRegression().fit(X_train, y_train).score(X_test, y_test) - 0.02
    assert scores[0] - scores[1] < 0.05


def test_cross_validation_over_missing_targets_needs_no_more_than_the_parameter():
    X, y = draw()
    result = cross_validate(net(loss="squared_error", column_groups=None), X, with_holes(y), cv=3, error_score="raise")
    assert np.isfinite(result["test_score"]).all()


def test_missing_validation_targets_are_refused_with_the_way_out():
    X, y = draw()
    holes = y.copy()
    holes.iloc[0, 0] = np.nan
    with pytest.raises(ValueError, match=r"^Input y_val contains NaN: .* Use missing_targets='mask' to leave "):
        net(missing_targets="error").fit(X, y.fillna(0.0), X_val=X, y_val=holes)


def test_a_score_without_any_target_is_nan_with_a_warning():
    X, y = draw()
    fitted = net().fit(X, y)
    message = "score is NaN: no row of y has the targets of a loss. Use rows that have targets."
    with pytest.warns(UndefinedMetricWarning, match=f"^{re.escape(message)}$"):
        assert np.isnan(fitted.score(X, y * np.nan))
