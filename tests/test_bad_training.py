"""What can go wrong on the way from parameters to a trained net, and that a fitted net survives it."""

import re

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import NotFittedError
from skorch.callbacks import Callback
from skorch.dataset import ValidSplit
from torch import nn

from skmulti import MultiOutputCNNRegressor, MultiOutputMLPRegressor, MultiOutputNetRegressor, TrainingDivergedError

# NumPy 2 changed the name that messages show.
NUMPY_BOOL = f"'numpy.{np.bool_.__name__}'"
NAMES = ["angle", "distance", "area"]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 3))
Y = pd.DataFrame(X @ [[1, 0, 1], [0, 9, 1], [0, 0, 1]], columns=NAMES)


def make_net(cls=MultiOutputMLPRegressor, **params):
    return cls(**{"effort": None, "hidden_layer_sizes": (4,), "max_epochs": 2, "random_state": 0, **params})


def refused(message, error=ValueError):
    return pytest.raises(error, match="^" + re.escape(message) + "$")


def parameters_of(net):
    return {name: value.clone() for name, value in net.module_.state_dict().items()}


def assert_same_parameters(found, expected):
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


class NaNFrom:
    """A squared error that is NaN from the n-th call on."""

    def __init__(self, call):
        self.call, self.n_calls = call, 0

    def __call__(self, raw, y):
        self.n_calls += 1
        return (raw - y).square().squeeze(1) * (float("nan") if self.n_calls >= self.call else 1.0)

    def __deepcopy__(self, memo):
        return self


class Wide(nn.Module):
    """Three outputs too many."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 6)

    def forward(self, X):
        return self.layer(X)


class Pair(nn.Module):
    """A tuple of outputs."""

    def __init__(self, n_outputs):
        super().__init__()
        self.layer = nn.Linear(3, n_outputs)

    def forward(self, X):
        return self.layer(X), X


class Explodes(nn.Module):
    """Raw outputs far beyond float32."""

    def __init__(self, n_outputs):
        super().__init__()
        self.layer = nn.Linear(3, n_outputs)

    def forward(self, X):
        return self.layer(X) * 1e30 * 1e30


# Parameters of the constructor.


@pytest.mark.parametrize(
    ("parameter", "value", "must"),
    [
        ("max_epochs", 0, "an int in the range [1, inf) or a str among {'auto'}"),
        ("max_epochs", 1.5, "an int in the range [1, inf) or a str among {'auto'}"),
        ("batch_size", 0, "an int in the range [1, inf), a int among {-1} or a str among {'auto'}"),
        ("batch_size", "big", "an int in the range [1, inf), a int among {-1} or a str among {'auto'}"),
        ("lr", 0, "a float in the range (0.0, inf) or a str among {'auto'}"),
        ("lr", -0.1, "a float in the range (0.0, inf) or a str among {'auto'}"),
        ("lr", float("nan"), "a float in the range (0.0, inf) or a str among {'auto'}"),
        ("lr", float("inf"), "a float in the range (0.0, inf) or a str among {'auto'}"),
        ("lr", "fast", "a float in the range (0.0, inf) or a str among {'auto'}"),
        ("validation_fraction", 0, "a float in the range (0.0, 1.0) or a str among {'auto'}"),
        ("validation_fraction", 1.0, "a float in the range (0.0, 1.0) or a str among {'auto'}"),
        ("n_iter_no_change", 0, "an int in the range [1, inf) or a str among {'auto'}"),
        ("tol", -1, "a float in the range [0.0, inf)"),
        ("scale_targets", "yes", f"an instance of 'bool' or an instance of {NUMPY_BOOL}"),
        ("shuffle", 2, f"an instance of 'bool' or an instance of {NUMPY_BOOL}"),
        (
            "early_stopping",
            "yes",
            f"an instance of 'bool' or an instance of {NUMPY_BOOL} or a str among {{'auto'}}",
        ),
        ("warm_start", None, f"an instance of 'bool' or an instance of {NUMPY_BOOL}"),
        ("compile", "yes", f"an instance of 'bool' or an instance of {NUMPY_BOOL}"),
        ("verbose", "loud", f"an int in the range [0, inf), an instance of 'bool' or an instance of {NUMPY_BOOL}"),
        ("callbacks", "off", "an instance of 'list', None or a str among {'disable'}"),
        ("train_split", 5, "a callable or None"),
        ("optimizer", "adam", "a callable or a str among {'auto'}"),
        ("iterator_train", 2, "a callable"),
        ("dataset", 2, "a callable"),
    ],
)
def test_a_value_out_of_place_is_refused(parameter, value, must):
    with pytest.raises(
        ValueError,
        match=re.escape(
            f"The {parameter!r} parameter of MultiOutputMLPRegressor must be {must}. Got {value!r} instead"
        ),
    ):
        make_net(**{parameter: value}).fit(X, Y)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("random_state", "x"), ("module", 3), ("device", "cud")],
)
def test_a_value_out_of_place_is_named(parameter, value):
    net = MultiOutputNetRegressor(max_epochs=1).set_params(**{parameter: value})
    with pytest.raises(ValueError, match=f"^The '{parameter}' parameter .*{value!r} instead"):
        net.fit(X, Y)


@pytest.mark.parametrize(
    ("parameter", "value", "must"),
    [
        ("dropout", 1.5, "be a float in the range [0.0, 1.0). Got 1.5 instead."),
        ("hidden_layer_sizes", (0,), "be a positive int or a sequence of them. Got (0,) instead."),
        ("normalization", "bach", "be one of [None, 'batch', 'layer']. Got 'bach' instead. Did you mean 'batch'?"),
    ],
)
def test_a_value_that_the_module_can_not_take_is_refused(parameter, value, must):
    with refused(f"The {parameter!r} parameter must {must}"):
        make_net(**{parameter: value}).fit(X, Y)


@pytest.mark.parametrize("cls", [MultiOutputMLPRegressor, MultiOutputCNNRegressor])
def test_an_unknown_constructor_argument_is_refused(cls):
    with refused(f"{cls.__name__}.__init__() got an unexpected keyword argument 'hiden'.", TypeError):
        make_net(cls, hiden=3)


def test_the_criterion_is_no_argument_since_the_loss_table_is():
    with refused(
        "MultiOutputMLPRegressor.__init__() got an unexpected keyword argument 'criterion'. Did you mean 'loss'?",
        TypeError,
    ):
        make_net(criterion=nn.MSELoss)
    with refused("The criterion has no parameters of its own. Give 'loss' and 'loss_weights' instead."):
        make_net(criterion__reduction="sum").fit(X, Y)


def test_an_unknown_parameter_in_set_params_is_refused_with_those_there_are():
    with pytest.raises(
        ValueError,
        match=r"^Invalid parameter 'hiden' for estimator MultiOutputMLPRegressor\. Valid parameters are: \['act",
    ):
        make_net().set_params(hiden=3)


def test_an_unknown_parameter_of_the_module_is_refused():
    with pytest.raises(TypeError, match=re.escape("unexpected keyword argument 'typo'")):
        make_net(module__typo=3).fit(X, Y)


def test_an_unknown_parameter_of_the_optimizer_is_refused():
    with pytest.raises(TypeError, match=re.escape("unexpected keyword argument 'typo'")):
        make_net(optimizer__typo=3).fit(X, Y)


def test_an_unknown_prefix_is_refused():
    with pytest.raises(ValueError, match=re.escape("got unexpected argument(s) modle__activation. Either you made a")):
        make_net(modle__activation="relu").fit(X, Y)


# The validation share.


def test_a_train_split_that_gives_no_rows_is_refused_with_early_stopping():
    with refused(
        "The 'early_stopping' parameter needs rows to validate on. Got a 'train_split' that gives none; give X_val and "
        "y_val to fit, or leave 'train_split' at None."
    ):
        make_net(early_stopping=True, train_split=lambda dataset, y: (dataset, None)).fit(X, Y)


@pytest.mark.parametrize("n_valid", [0, 20])
def test_an_empty_share_is_refused(n_valid):
    split = ValidSplit([(np.arange(20 - n_valid), np.arange(n_valid))])
    with refused(
        "The 'train_split' parameter must leave rows to learn from and rows to validate on. "
        f"Got {20 - n_valid} and {n_valid} rows."
    ):
        make_net(train_split=split).fit(X, Y)


@pytest.mark.parametrize("missing", ["X_val", "y_val"])
def test_validation_inputs_without_targets_are_refused_and_the_reverse(missing):
    given = {"X_val": X, "y_val": Y, missing: None}
    with refused(f"X_val and y_val must be given together. Got no {missing}."):
        make_net().fit(X, Y, **given)


def test_validation_rows_that_are_none_are_refused():
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        make_net().fit(X, Y, X_val=X[:0], y_val=Y[:0])


@pytest.mark.parametrize(
    ("y_val", "came"),
    [(Y[["angle", "area", "distance"]], "'angle', 'area', 'distance'"), (Y[["angle", "area"]], "'angle', 'area'")],
)
def test_validation_targets_of_other_columns_are_refused(y_val, came):
    with refused(f"y_val must have the columns of y in fit: 'angle', 'distance', 'area'. Got {came}."):
        make_net().fit(X, Y, X_val=X, y_val=y_val)


def test_validation_inputs_of_another_width_are_refused():
    with pytest.raises(ValueError, match="2 features"):
        make_net().fit(X, Y, X_val=X[:, :2], y_val=Y)


def test_validation_inputs_that_are_not_finite_are_named():
    with refused(
        "Input X_val contains NaN: column 0 has 20, column 1 has 20, column 2 has 20. It must be finite throughout."
    ):
        make_net().fit(X, Y, X_val=X * np.nan, y_val=Y)


# Losses that become NaN.


def test_a_loss_that_explodes_stops_the_training_and_keeps_the_initial_parameters():
    net = MultiOutputNetRegressor(Explodes, max_epochs=3, random_state=0, scale_targets=False)
    initial = parameters_of(net.initialize(X, Y))
    with pytest.raises(
        TrainingDivergedError, match=r"^Training diverged in epoch 1: the loss of 'angle' \(inf\), 'distance' \(inf\), "
    ):
        net.fit(X, Y)
    assert_same_parameters(parameters_of(net), initial)


def test_a_learning_rate_that_explodes_says_what_to_do_and_leaves_no_net_that_predicts_nan():
    net = make_net(lr=1e30, max_epochs=5, optimizer=torch.optim.SGD)
    with pytest.raises(TrainingDivergedError) as caught:
        net.fit(X, Y)
    assert "Training diverged in epoch" in str(caught.value)
    assert str(caught.value).endswith(
        "Lower 'lr', scale X and the targets, or clip the gradients (skorch.callbacks.GradientNormClipping)."
    )
    # The first step went too far already: no epoch is good, and there was no net before.
    with pytest.raises(NotFittedError):
        net.predict(X)


def test_a_loss_that_is_nan_from_the_third_epoch_on_keeps_the_parameters_of_the_second():
    good = make_net(loss={"area": NaNFrom(99)}, max_epochs=2, batch_size=-1).fit(X, Y)
    net = make_net(loss={"area": NaNFrom(3)}, max_epochs=6, batch_size=-1)
    with refused(
        "Training diverged in epoch 3: the loss of 'area' (nan) is not finite. The net keeps the parameters of the "
        "last good epoch. Lower 'lr', scale X and the targets, or clip the gradients "
        "(skorch.callbacks.GradientNormClipping).",
        TrainingDivergedError,
    ):
        net.fit(X, Y)
    assert_same_parameters(parameters_of(net), parameters_of(good))
    np.testing.assert_array_equal(net.predict(X), good.predict(X))
    assert np.isfinite(net.history[:2, "train_loss"]).all()


def test_a_validation_loss_that_is_nan_is_named():
    net = make_net(loss={"area": NaNFrom(2)}, batch_size=-1)
    with pytest.raises(TrainingDivergedError, match=re.escape("epoch 1: the loss of 'area, validation' (nan) is not")):
        net.fit(X, Y, X_val=X, y_val=Y)


def test_a_net_that_diverged_goes_on_training_from_its_good_parameters():
    net = make_net(loss={"area": NaNFrom(3)}, max_epochs=6, batch_size=-1)
    with pytest.raises(TrainingDivergedError):
        net.fit(X, Y)
    net.set_params(loss="squared_error").partial_fit(X, Y)
    assert np.isfinite(net.history[-1]["train_loss"])


# Modules that return something else.


def test_a_module_of_another_width_is_refused():
    with refused(
        "The module must return raw outputs of shape (n_rows, 3), 3 for the loss table's 3 columns. Got shape (20, 6) "
        "instead; a module whose __init__ has a parameter 'n_outputs' is given this number."
    ):
        MultiOutputNetRegressor(Wide, max_epochs=1).fit(X, Y)


def test_a_module_that_returns_a_tuple_is_refused():
    with refused("The module must return one tensor of raw outputs. Got tuple instead.", TypeError):
        MultiOutputNetRegressor(Pair, max_epochs=1).fit(X, Y)


# A fitted net survives.


class Stop(Callback):
    """Raises in the middle of an epoch."""

    def __init__(self, epoch=1):
        self.epoch = epoch

    def on_batch_end(self, net, **kwargs):
        if len(net.history) == self.epoch:
            raise RuntimeError("the disk is full")


BAD_DATA = {
    "NaN in X": (X * np.nan, Y, {}),
    "NaN in y": (X, Y * np.inf, {}),
    "strings in X": (np.full((20, 3), "a"), Y, {}),
    "no y": (X, None, {}),
    "3-D y": (X, np.zeros((20, 2, 2)), {}),
    "other numbers of rows": (X, Y[:9], {}),
    "no rows": (X[:0], Y[:0], {}),
    "X_val alone": (X, Y, {"X_val": X}),
    "y_val of other columns": (X, Y, {"X_val": X, "y_val": Y[["angle"]]}),
    "X_val of another width": (X, Y, {"X_val": X[:, :1], "y_val": Y}),
}
BAD_PARAMETERS = {
    "max_epochs": {"max_epochs": 0},
    "unknown column": {"loss_weights": {"distnce": 1}},
    "unknown loss": {"loss": "hubber"},
    "number of losses": {"loss": ["huber"]},
    "empty share": {"train_split": ValidSplit([(np.arange(20), np.arange(0))])},
    "no share": {"early_stopping": True, "train_split": lambda dataset, y: (dataset, None)},
    "loss of another shape": {"loss": lambda raw, y: raw[:1, :1] * 0},
}
BAD_IN_FIT_ONLY = {
    "dropout": {"dropout": 2},
    "activation": {"activation": "rellu"},
    "optimizer": {"optimizer": lambda params, lr: 1 / 0},
    "callback": {"callbacks": [Stop()]},
}


def assert_unchanged(net, call):
    """Check that a call that raises leaves a fitted net as it was."""
    y_pred, history = net.predict(X), len(net.history)
    state = parameters_of(net)
    with pytest.raises(Exception, match=r".") as caught:
        call()
    assert not isinstance(caught.value, (AttributeError, AssertionError, IndexError, KeyError))
    np.testing.assert_array_equal(net.predict(X), y_pred)
    assert_same_parameters(parameters_of(net), state)
    assert len(net.history) == net.n_iter_ == history
    assert list(net.target_names_) == NAMES


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("case", [*BAD_DATA])
def test_bad_data_leaves_a_fitted_net_as_it_was(method, case):
    X_bad, y_bad, more = BAD_DATA[case]
    net = make_net().fit(X, Y)
    assert_unchanged(net, lambda: getattr(net, method)(X_bad, y_bad, **more))


@pytest.mark.parametrize(
    ("method", "case"),
    [("fit", case) for case in [*BAD_PARAMETERS, *BAD_IN_FIT_ONLY]]
    + [("partial_fit", case) for case in BAD_PARAMETERS],
)
def test_bad_parameters_leave_a_fitted_net_as_it_was(method, case):
    net = make_net().fit(X, Y)
    net.set_params(**{**BAD_PARAMETERS, **BAD_IN_FIT_ONLY}[case])
    assert_unchanged(net, lambda: getattr(net, method)(X, Y))


def test_a_module_of_another_width_leaves_a_fitted_net_as_it_was():
    net = MultiOutputNetRegressor(max_epochs=1, random_state=0).fit(X, Y)
    net.set_params(module=Wide)
    assert_unchanged(net, lambda: net.fit(X, Y))


@pytest.mark.parametrize("other", [X[:, :2], np.zeros((20, 3, 4))])
def test_other_inputs_in_partial_fit_leave_a_fitted_net_as_it_was(other):
    net = make_net().fit(X, Y)
    assert_unchanged(net, lambda: net.partial_fit(other, Y))


def test_other_columns_in_partial_fit_leave_a_fitted_net_as_it_was():
    net = make_net().fit(X, Y)
    assert_unchanged(net, lambda: net.partial_fit(X, Y[["area", "angle", "distance"]]))


def test_divergence_in_the_first_epoch_of_partial_fit_leaves_the_predictions_as_they_were():
    net = make_net().fit(X, Y)
    y_pred = net.predict(X)
    net.set_params(loss={"area": NaNFrom(1)}, scale_targets=True)
    with pytest.raises(TrainingDivergedError):
        net.partial_fit(X, Y)
    np.testing.assert_array_equal(net.predict(X), y_pred)


def test_a_typo_in_set_params_leaves_a_fitted_net_as_it_was():
    net = make_net().fit(X, Y)
    y_pred = net.predict(X)
    with pytest.raises(TypeError, match="unexpected keyword argument 'typo'"):
        net.set_params(module__typo=1)
    np.testing.assert_array_equal(net.predict(X), y_pred)
    assert "module__typo" not in net.get_params()


def test_an_error_in_a_later_epoch_keeps_what_the_epochs_before_it_learned():
    net = make_net(callbacks=[Stop(epoch=3)], max_epochs=5)
    with pytest.raises(RuntimeError, match="the disk is full"):
        net.fit(X, Y)
    assert len(net.history) == net.n_iter_ == 2
    assert_same_parameters(parameters_of(net), parameters_of(make_net(max_epochs=2).fit(X, Y)))


def test_an_error_in_the_first_epoch_leaves_a_new_net_unfitted():
    net = make_net(callbacks=[Stop()])
    with pytest.raises(RuntimeError, match="the disk is full"):
        net.fit(X, Y)
    with pytest.raises(NotFittedError):
        net.predict(X)
