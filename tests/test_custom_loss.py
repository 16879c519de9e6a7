"""A loss of one's own, losses in searches, and every loss of the table in a small net."""

import pickle
import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV

from skmulti import MultiHeadRegressor, MultiOutputMLPRegressor
from skmulti.losses import COLUMN_LOSSES, ColumnLoss, Huber, SquaredError, make_loss, register_loss
from tests.losses.every_loss import EVERY_EXAMPLE


@dataclass(frozen=True)
class MyHuber(ColumnLoss):
    """Huber's loss, written by a user."""

    bend: float = 1.0

    robust_scaling = True

    def __post_init__(self):
        if not self.bend > 0:
            raise ValueError(f"'bend' must be positive. Got {self.bend}.")

    def row_loss(self, raw, y):
        d = (y - raw).abs().squeeze(-1)
        return torch.where(d <= self.bend, d**2 / 2, self.bend * (d - self.bend / 2))


@dataclass(frozen=True)
class LogNormal(ColumnLoss):
    """Squared error of logarithms; raw outputs, scaling, prediction and what it learns are its own."""

    center: float | None = None
    target_scaling = None

    def adapt_to(self, y, names, sample_weight=None):
        return LogNormal(float(np.log(y).mean())) if self.center is None else self

    def n_raw(self, n_columns):
        return 2

    def row_loss(self, raw, y):
        return (raw.sum(-1) + self.center - y.squeeze(-1).log()) ** 2

    def predict(self, raw):
        return (raw.sum(-1, keepdim=True) + self.center).exp()


@pytest.fixture
def my_huber():
    yield register_loss("my_huber", MyHuber)
    del COLUMN_LOSSES["my_huber"]


def draw(n=60):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 3)).astype(np.float32)
    y = pd.DataFrame({"angle": X[:, 0] * 30, "distance": 100 * X[:, 1] + 300 * rng.standard_t(1.5, n)})
    return X, y


def net(**params):
    return MultiOutputMLPRegressor((8,), effort=None, **{"max_epochs": 4, "random_state": 0, "lr": 0.01, **params})


@pytest.mark.parametrize("bend", [0.3, 1.0, 2.5])
def test_a_loss_of_ones_own_learns_as_the_built_in_that_it_imitates(bend):
    X, y = draw()
    own, built_in = (net(loss={"distance": loss}).fit(X, y) for loss in (MyHuber(bend), Huber(bend)))
    np.testing.assert_allclose(own.predict(X), built_in.predict(X), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(
        own.history_[:, "train_loss__distance"], built_in.history_[:, "train_loss__distance"], rtol=1e-5
    )


def test_its_name_serves_everywhere_and_its_parameter_in_searches(my_huber):
    X, y = draw()
    by_name = net(loss={"distance": "my_huber"}, loss__distance__bend=0.5).fit(X, y)
    np.testing.assert_array_equal(by_name.predict(X), net(loss={"distance": MyHuber(0.5)}).fit(X, y).predict(X))
    assert by_name.terms_[1].loss == MyHuber(0.5)
    grid = {"loss__distance__bend": [0.1, 1.0, 10.0]}
    search = GridSearchCV(net(loss={"distance": "my_huber"}), grid, cv=3, error_score="raise").fit(X, y)
    built_in = GridSearchCV(
        net(loss={"distance": "huber"}), {"loss__distance__delta": [0.1, 1.0, 10.0]}, cv=3, error_score="raise"
    ).fit(X, y)
    np.testing.assert_allclose(
        search.cv_results_["mean_test_score"], built_in.cv_results_["mean_test_score"], rtol=1e-3, atol=1e-4
    )
    assert len(set(search.cv_results_["mean_test_score"])) == 3
    whole = GridSearchCV(net(), {"loss__distance": ["my_huber", "squared_error", MyHuber(3.0)]}, cv=3).fit(X, y)
    assert len(whole.cv_results_["params"]) == 3


def test_a_parameter_that_it_does_not_have_or_refuses_is_refused(my_huber):
    X, y = draw()
    message = (
        "The 'loss__distance__delta' parameter must name a parameter of the loss MyHuber(bend=1.0), which has 'bend'. "
        "Got 'delta' instead."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        net(loss={"distance": "my_huber"}, loss__distance__delta=2.0).fit(X, y)
    with pytest.raises(ValueError, match=r"^'bend' must be positive\. Got -1\.$"):
        net(loss={"distance": "my_huber"}, loss__distance__bend=-1).fit(X, y)


def test_a_loss_with_raw_outputs_scaling_and_learning_of_its_own():
    X, _ = draw()
    y = pd.DataFrame({"a": X[:, 0], "amount": np.exp(5 + 0.5 * X[:, 1])})
    fitted = net(loss={"amount": LogNormal}, max_epochs=60).fit(X, y)
    assert fitted.terms_[1].loss.center == pytest.approx(np.log(y["amount"]).mean())
    assert fitted.terms_[1].raw == (1, 2)
    assert list(fitted.target_scaler_.scale[1:]) == [1.0]
    assert np.corrcoef(np.log(fitted.predict(X)[:, 1]), np.log(y["amount"]))[0, 1] > 0.9
    later = clone(fitted).partial_fit(X, y)
    center = later.terms_[1].loss.center
    assert later.partial_fit(X, y.assign(amount=y["amount"] * 100)).terms_[1].loss.center == center


def test_names_are_given_once(my_huber):
    assert register_loss("my_huber", MyHuber) is MyHuber
    assert make_loss("my_huber") == MyHuber()
    for name in ("my_huber", "mse"):
        message = f"The 'name' parameter must be a name that no other loss has. Got {name!r}."
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            register_loss(name, LogNormal)
    for loss in (MyHuber(), torch.nn.MSELoss, "huber", None):
        with pytest.raises(TypeError, match=r"^The 'loss' parameter must be a subclass of ColumnLoss\. Got "):
            register_loss("another", loss)
    assert "another" not in COLUMN_LOSSES


def boxes(n=60):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 4)).astype(np.float32)
    return X, pd.DataFrame(
        np.column_stack([X[:, 0], 10 + X[:, :2], np.exp(0.3 * X[:, 2:]) + 1]), columns=["age", "cx", "cy", "w", "h"]
    )


def test_the_loss_of_a_group_is_searched():
    X, y = boxes()
    model = net(column_groups={"box": ["cx", "cy", "w", "h"]})
    search = GridSearchCV(model, {"loss__box": ["giou", "squared_error"], "loss_weights__box": [1.0, 3.0]}, cv=3,
                          error_score="raise").fit(X, y)  # fmt: skip
    assert len(set(search.cv_results_["mean_test_score"])) == 4
    n_terms = {"giou": 2, "squared_error": 5}[search.best_params_["loss__box"]]
    assert len(search.best_estimator_.terms_) == n_terms
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    np.testing.assert_array_equal(again.predict(X), search.predict(X))


def test_weights_and_parameters_of_losses_are_drawn_from_ranges():
    from scipy.stats import loguniform, uniform

    X, y = draw()
    ranges = {"loss_weights__distance": loguniform(0.1, 10), "loss__distance__power": uniform(1.1, 0.8)}
    model = net(loss={"distance": "tweedie"})
    search = RandomizedSearchCV(model, ranges, n_iter=3, cv=3, random_state=0, error_score="raise")
    search.fit(X, y.assign(distance=y["distance"].clip(lower=0)))
    assert len({params["loss__distance__power"] for params in search.cv_results_["params"]}) == 3
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("estimator", [MultiOutputMLPRegressor, MultiHeadRegressor], ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("example", EVERY_EXAMPLE, ids=lambda example: example.name)
def test_every_loss_is_fitted_predicted_pickled_and_cloned(example, estimator):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(24, 3)).astype(np.float32)
    names = [f"c{i}" for i in range(example.n_columns)]
    y = pd.DataFrame(example.draw(rng, 24), columns=names).assign(other=X[:, 0])
    heads = {"heads": {"group": names, "rest": ["other"]}} if estimator is MultiHeadRegressor else {
        "column_groups": {"group": names}}  # fmt: skip
    loss = example.loss if example.name not in COLUMN_LOSSES else example.name
    model = estimator(
        hidden_layer_sizes=(6,), loss={"group": loss}, effort=None, max_epochs=2, random_state=0, lr=0.01, **heads
    )
    fitted = clone(model).fit(X, y)
    read = fitted.predict(X)
    assert read.shape == (24, example.n_columns + 1)
    assert np.isfinite(read).all()
    assert type(fitted.terms_[0].loss) is type(example.loss)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict(X), read)
    np.testing.assert_array_equal(clone(fitted).fit(X, y).predict(X), read)
    np.testing.assert_array_equal(clone(model).fit(X, y, sample_weight=np.ones(24)).predict(X), read)
    losses = fitted.partial_fit(X, y).history_[:, "train_loss"]
    assert len(losses) == 4
    assert np.isfinite(losses).all()


def test_parameters_of_a_loss_that_change_between_calls_count_and_what_it_learned_stays():
    X, _ = draw()
    y = pd.DataFrame({"count": np.random.default_rng(0).poisson(3.0, 60), "length": X[:, 0]})
    fitted = net(loss={"count": "tweedie", "length": Huber(1.0)}).partial_fit(X, y)
    mean = fitted.terms_[0].loss.mean
    fitted.set_params(loss__count__power=1.2, loss={"count": "tweedie", "length": Huber(0.1)})
    fitted.partial_fit(X, y.assign(count=10 * y["count"]))
    assert (fitted.terms_[0].loss.power, fitted.terms_[0].loss.mean) == (1.2, mean)
    assert fitted.terms_[1].loss == Huber(0.1)
    fitted.set_params(loss={"count": SquaredError(), "length": "huber"}, loss__count="squared_error")
    del fitted.loss__count__power
    assert type(fitted.partial_fit(X, y).terms_[0].loss) is SquaredError


@dataclass(frozen=True)
class Squares(ColumnLoss):
    """A squared error whose derivative is written out, right or wrong."""

    kind: str = "right"

    def row_loss(self, raw, y):
        return (raw - y).square().squeeze(-1)

    def raw_gradient(self, raw, y):
        right = 2 * (raw - y)
        return {
            "right": right,
            "wrong": -right,
            "flat": right.flatten(),
            "double": right.double(),
            "none": None,
            "array": right.numpy(),
            "in place": raw.sub_(y).mul_(2.0),
        }[self.kind]


def squares(kind):
    X = np.random.default_rng(0).normal(size=(60, 3))
    return MultiOutputMLPRegressor((8,), effort=None, loss=Squares(kind), max_epochs=3, random_state=0).fit(X, X)


@pytest.mark.parametrize("kind", ["right", "in place"])
def test_a_gradient_of_ones_own_learns_as_that_of_autograd(kind):
    X = np.random.default_rng(0).normal(size=(60, 3))
    theirs = MultiOutputMLPRegressor((8,), effort=None, max_epochs=3, random_state=0).fit(X, X)
    ours = squares(kind)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-5, atol=1e-6)
    assert ours.history[:, "train_loss"] == pytest.approx(theirs.history[:, "train_loss"], rel=1e-5)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("wrong", "must return the derivative of its row_loss"),
        ("flat", r"\(rows, terms, raw outputs\), \(32, 3, 1\).* Got shape \(96,\)"),
        ("double", "Got shape .* of torch.float64"),
        ("none", "Got NoneType"),
        ("array", "Got ndarray"),
    ],
)
def test_a_gradient_that_is_wrong_is_refused(kind, message):
    with pytest.raises(ValueError, match=message):
        squares(kind)
