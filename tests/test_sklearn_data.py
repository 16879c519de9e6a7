"""The forms of X and y, names of columns, scores, and scikit-learn's wrappers around one net."""

import copy
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import metrics
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import make_regression
from sklearn.ensemble import VotingRegressor
from sklearn.inspection import permutation_importance
from sklearn.multioutput import MultiOutputRegressor, RegressorChain
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skmulti import MultiHeadRegressor, MultiOutputCNNRegressor, MultiOutputMLPRegressor, MultiOutputNetRegressor

NAMES = ["angle", "distance", "area"]
FEATURES = ["f", "g", "h"]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
Y = pd.DataFrame(X @ [[1, 0, 1], [0, 9, 1], [0, 0, 1]] + [0, 50, 0], columns=NAMES)


def make_net(cls=MultiOutputMLPRegressor, **params):
    return cls(**{"effort": None, "max_epochs": 3, "lr": 0.01, "random_state": 0, **params})


@pytest.fixture(scope="module")
def fitted():
    return make_net(max_epochs=60).fit(X, Y)


@pytest.mark.parametrize("as_y", [np.asarray, torch.as_tensor, np.ndarray.tolist, np.asfortranarray, pd.DataFrame])
def test_every_form_of_targets_fits_the_same(fitted, as_y):
    net = make_net(max_epochs=60).fit(X, as_y(Y.to_numpy()))
    assert_array_equal(net.predict(X), fitted.predict(X))


@pytest.mark.parametrize(
    "as_x", [np.asarray, torch.as_tensor, np.ndarray.tolist, np.asfortranarray, pd.DataFrame, np.float32]
)
def test_every_form_of_inputs_fits_the_same(fitted, as_x):
    net = make_net(max_epochs=60).fit(as_x(X), Y)
    assert_array_equal(net.predict(as_x(X)), fitted.predict(X))


def test_targets_and_inputs_that_run_backwards_fit_the_same(fitted):
    backwards = [np.ascontiguousarray(values[::-1])[::-1] for values in (X, Y.to_numpy())]
    net = make_net(max_epochs=60).fit(*backwards)
    assert_array_equal(net.predict(backwards[0]), fitted.predict(X))
    flat = backwards[1][:, 1]
    assert flat.strides[0] < 0
    assert_array_equal(
        make_net().fit(X, flat, X_val=X, y_val=flat).predict(X),
        make_net().fit(X, flat.copy(), X_val=X, y_val=flat.copy()).predict(X),
    )


def test_a_column_of_one_dimension_is_predicted_in_one_and_of_two_in_two():
    y = Y["distance"].to_numpy()
    flat, table = make_net().fit(X, y), make_net().fit(X, y[:, None])
    assert flat.predict(X).shape == (40,)
    assert table.predict(X).shape == (40, 1)
    assert_array_equal(flat.predict(X), table.predict(X)[:, 0])
    assert flat.predict(X).dtype == table.predict(X).dtype == np.float64


def test_a_data_frame_keeps_its_names():
    net = make_net(loss_weights__distance=2).fit(pd.DataFrame(X, columns=FEATURES), Y)
    assert list(net.target_names_) == NAMES
    assert list(net.feature_names_in_) == FEATURES
    assert net.n_features_in_ == 3
    assert net.n_outputs_ == 3


def test_a_polars_frame_keeps_its_names():
    pl = pytest.importorskip("polars")
    frame, targets = pl.DataFrame(X, schema=FEATURES), pl.DataFrame(Y.to_numpy(), schema=NAMES)
    net = make_net(loss={"distance": "huber"}).fit(frame, targets)
    assert list(net.target_names_) == NAMES
    assert list(net.feature_names_in_) == FEATURES
    assert_array_equal(net.predict(frame), make_net(loss={"distance": "huber"}).fit(X, Y).predict(X))


def test_a_polars_series_keeps_its_name():
    pl = pytest.importorskip("polars")
    net = make_net().fit(X, pl.Series("area", Y["area"].to_numpy()))
    assert list(net.target_names_) == ["area"]
    assert net.predict(X).shape == (40,)


def test_a_series_keeps_its_name_and_its_one_dimension():
    net = make_net(loss={"area": "absolute_error"}).fit(X, Y["area"])
    assert list(net.target_names_) == ["area"]
    assert net.predict(X).shape == (40,)


def test_a_series_without_a_name_is_y0():
    assert list(make_net().fit(X, pd.Series(Y["area"].to_numpy())).target_names_) == ["y0"]


def test_an_array_has_numbered_names():
    assert list(make_net().fit(X, Y.to_numpy()).target_names_) == ["y0", "y1", "y2"]


def test_integer_column_labels_are_names_and_positions():
    targets = Y.set_axis([0, 1, 2], axis=1)
    net = make_net(loss={1: "huber"}, loss_weights={2: 3.0}, loss_weights__0=0.5).fit(X, targets)
    assert [str(name) for name in net.target_names_] == ["0", "1", "2"]
    assert [term.weight for term in net.terms_] == [0.5, 1.0, 3.0]


def test_integer_column_labels_in_another_order_mean_the_label():
    net = make_net(loss_weights={2: 3.0}, loss_weights__1=0.5).fit(X, Y.set_axis([2, 1, 0], axis=1))
    assert {term.name: term.weight for term in net.terms_} == {"2": 3.0, "1": 0.5, "0": 1.0}


def test_other_feature_names_at_predict_are_refused():
    net = make_net().fit(pd.DataFrame(X, columns=FEATURES), Y)
    with pytest.raises(ValueError, match="The feature names should match those that were passed during fit"):
        net.predict(pd.DataFrame(X, columns=["g", "f", "h"]))


def test_an_array_at_predict_after_a_data_frame_warns_as_scikit_learn_does():
    net = make_net().fit(pd.DataFrame(X, columns=FEATURES), Y)
    with pytest.warns(UserWarning, match="X does not have valid feature names, but MultiOutputMLPRegressor was fitted"):
        net.predict(X)


@pytest.mark.parametrize(
    "metric",
    [
        metrics.r2_score,
        metrics.mean_squared_error,
        metrics.root_mean_squared_error,
        metrics.mean_absolute_error,
        metrics.median_absolute_error,
        metrics.explained_variance_score,
        metrics.mean_absolute_percentage_error,
    ],
)
@pytest.mark.parametrize("multioutput", ["raw_values", "uniform_average", [0.5, 0.25, 0.25]])
def test_every_metric_takes_the_predictions(fitted, metric, multioutput):
    score = metric(Y, fitted.predict(X), multioutput=multioutput)
    assert np.shape(score) == ((3,) if multioutput == "raw_values" else ())
    assert np.isfinite(score).all()


@pytest.mark.parametrize("metric", [metrics.r2_score, metrics.explained_variance_score])
def test_variance_weighted_scores_take_the_predictions(fitted, metric):
    assert metric(Y, fitted.predict(X), multioutput="variance_weighted") > 0.5


def test_score_is_the_mean_r2_of_the_columns(fitted):
    assert fitted.score(X, Y) == metrics.r2_score(Y, fitted.predict(X))


def test_score_takes_sample_weights(fitted):
    weight = np.arange(40)
    assert fitted.score(X, Y, sample_weight=weight) == metrics.r2_score(Y, fitted.predict(X), sample_weight=weight)


@pytest.mark.parametrize(
    "net",
    [
        make_net(loss__distance="huber", loss_weights={"area": 2.0}, module__activation="tanh"),
        make_net(MultiHeadRegressor, heads={"pose": ["angle", "distance"], "size": ["area"]}, loss_weights__pose=3),
        make_net(MultiOutputCNNRegressor, channels=(2,), hidden_layer_sizes=()),
        make_net(MultiOutputNetRegressor, loss={"angle": "circular", ("distance", "area"): torch.nn.MSELoss()}),
    ],
    ids=lambda net: type(net).__name__,
)
@pytest.mark.parametrize("copied", ["clone", "deepcopy", "pickle", "joblib"])
def test_a_copy_has_the_same_parameters_and_predictions(net, copied, tmp_path):
    net = clone(net).fit(X, Y)
    if copied == "clone":
        other = clone(net)
        assert not hasattr(other, "module_")
        other.fit(X, Y)
    elif copied == "deepcopy":
        other = copy.deepcopy(net)
    elif copied == "pickle":
        other = pickle.loads(pickle.dumps(net))
    else:
        joblib.dump(net, tmp_path / "net.joblib")
        other = joblib.load(tmp_path / "net.joblib")
    assert repr(other) == repr(net)
    assert_array_equal(other.predict(X), net.predict(X))
    assert [t.weight for t in other.terms_] == [t.weight for t in net.terms_]
    assert other.module_ is not net.module_


def test_clone_of_an_unfitted_net_keeps_every_parameter():
    net = make_net(loss__distance="huber", loss_weights__area=2, optimizer__betas=(0.8, 0.9), callbacks__print_log=None)
    assert clone(net).get_params(deep=False) == net.get_params(deep=False)


def test_permutation_importance_finds_the_features_that_matter(fitted):
    y = np.column_stack([5 * X[:, 0], -X[:, 0]])
    net = make_net(max_epochs=60).fit(X, y)
    importances = permutation_importance(net, X, y, n_repeats=2, random_state=0).importances_mean
    assert importances.argmax() == 0


def test_transformed_targets_come_back():
    y = np.exp(Y - Y.min() + 1).clip(upper=1e6)
    regressor = TransformedTargetRegressor(make_net(max_epochs=60), func=np.log, inverse_func=np.exp).fit(X, y)
    assert regressor.predict(X).shape == (40, 3)
    assert (regressor.predict(X) > 0).all()
    assert regressor.score(X, np.log(y)) < regressor.score(X, y)


def test_scaled_targets_come_back_from_a_transformer():
    regressor = TransformedTargetRegressor(make_net(max_epochs=60), transformer=StandardScaler()).fit(X, Y)
    assert regressor.score(X, Y) > 0.5
    assert_allclose(regressor.predict(X).mean(0), Y.mean(), atol=3)


def test_a_column_transformer_stands_in_front_of_it():
    frame = pd.DataFrame(X, columns=FEATURES).assign(town=RNG.choice(["Ulm", "Bonn"], 40))
    columns = ColumnTransformer(
        [("town", OneHotEncoder(sparse_output=False), ["town"]), ("x", StandardScaler(), FEATURES)]
    )
    pipe = make_pipeline(columns, make_net(loss_weights__distance=2.0, max_epochs=60)).fit(frame, Y)
    assert pipe[-1].n_features_in_ == 5
    assert pipe.predict(frame).shape == (40, 3)
    assert pipe.score(frame, Y) > 0.5


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_set_output_in_front_of_it_gives_it_names(container):
    pytest.importorskip(container)
    pipe = make_pipeline(StandardScaler().set_output(transform=container), make_net())
    pipe.fit(pd.DataFrame(X, columns=FEATURES), Y)
    assert list(pipe[-1].feature_names_in_) == FEATURES
    assert pipe.predict(pd.DataFrame(X, columns=FEATURES)).shape == (40, 3)


def test_the_html_of_a_net_shows_its_parameters():
    html = make_net(loss_weights__area=2.0)._repr_html_()
    assert "MultiOutputMLPRegressor" in html
    assert "loss_weights__area" in html


def test_the_html_of_a_fitted_pipeline_shows_the_net(fitted):
    assert "MultiOutputMLPRegressor" in make_pipeline(StandardScaler(), fitted)._repr_html_()


def test_nets_vote():
    y = Y["area"]
    voters = [("a", make_net()), ("b", make_net(random_state=1))]
    voting = VotingRegressor(voters).fit(X, y)
    assert_allclose(voting.predict(X), np.mean([clone(net).fit(X, y).predict(X) for _, net in voters], axis=0))


def test_a_net_per_column_and_a_chain_of_nets_fit():
    table = Y.to_numpy()
    each = MultiOutputRegressor(make_net()).fit(X, table)
    assert_array_equal(each.predict(X)[:, 1], make_net().fit(X, table[:, 1]).predict(X))
    assert RegressorChain(make_net(), order=[2, 0, 1]).fit(X, table).predict(X).shape == (40, 3)


def test_n_iter_and_the_tags_say_what_holds():
    tags = make_net().__sklearn_tags__()
    assert tags.estimator_type == "regressor"
    assert tags.target_tags.multi_output
    assert not tags.input_tags.sparse
    assert make_net(max_epochs=2).fit(*make_regression(20, n_targets=2, random_state=0)).n_iter_ == 2


def test_a_net_keeps_the_precision_that_it_was_built_with():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        net = MultiOutputMLPRegressor((4,), effort=None, max_epochs=2, random_state=0).fit(X, Y)
        expected = net.predict(X)
    finally:
        torch.set_default_dtype(before)
    assert next(net.module_.parameters()).dtype == torch.float64
    assert_array_equal(net.predict(X), expected)
    net.partial_fit(X, Y)
    assert next(net.module_.parameters()).dtype == torch.float64
