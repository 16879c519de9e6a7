"""What a network takes has the precision of its parameters, whatever is done to inputs and whatever shape they have."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from skorch.dataset import Dataset
from torch import nn

from skmulti import MultiHeadRegressor, MultiOutputCNNRegressor, MultiOutputMLPRegressor, MultiOutputNetRegressor

RNG = np.random.default_rng(0)
Y = RNG.normal(size=(12, 2))
SHAPES = {"table": (4,), "signals": (3, 8), "grey images": (8, 8), "images": (2, 8, 8)}


class Flat(nn.Module):
    """Any rows, flattened."""

    def __init__(self, input_shape, n_outputs):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(input_shape)), n_outputs))

    def forward(self, X):
        assert X.dtype == self.layers[1].weight.dtype
        return self.layers(X)


MAKE = {
    "net": lambda **params: MultiOutputNetRegressor(Flat, **params),
    "mlp": MultiOutputMLPRegressor,
    "cnn": MultiOutputCNNRegressor,
    "heads": lambda **params: MultiHeadRegressor(trunk="cnn", **params),
}
OPTIONS = {
    "effort": [None, "fast"],
    "missing_inputs": ["auto", "error", "impute"],
    "categorical_inputs": ["auto", "one_hot"],
    "scale_inputs": ["auto", False],
}
CASES = [
    (kind, shape)
    for kind, shape in product(MAKE, SHAPES)
    if (kind not in ("cnn", "heads") or shape != "table") and (kind != "mlp" or shape == "table")
]


@pytest.mark.parametrize(("kind", "shape"), CASES)
def test_every_way_to_prepare_inputs_gives_the_network_its_own_precision(kind, shape):
    X = RNG.normal(size=(12, *SHAPES[shape]))
    for values in product(*OPTIONS.values()):
        params = dict(zip(OPTIONS, values, strict=True))
        many = {"n_members": 2 if shape == "table" else 1} if params["effort"] else {}
        net = MAKE[kind](**params, **many, max_epochs=1, random_state=0)
        of_tables = "impute" in params.values() or "one_hot" in params.values()
        if shape != "table" and of_tables:
            with pytest.raises(ValueError, match="for images and signals"):
                net.fit(X, Y)
            continue
        net.fit(X, Y, X_val=X, y_val=Y)
        assert net.predict(X).shape == (12, 2), params
        assert net.forward(X).dtype == torch.float32, params
        assert net.forward(X.astype(np.float32)).dtype == torch.float32, params


@pytest.mark.parametrize("kind", ["net", "mlp"])
@pytest.mark.parametrize("given", [np.float64, np.float32, np.float16, int])
@pytest.mark.parametrize("as_tensor", [False, True])
def test_forward_takes_numbers_of_any_precision(kind, given, as_tensor):
    X = RNG.integers(0, 5, size=(12, 4)).astype(given)
    net = MAKE[kind](effort=None, max_epochs=1, random_state=0).fit(X, Y)
    inputs = torch.as_tensor(X) if as_tensor else X
    raw = net.forward(inputs)
    assert raw.dtype == torch.float32
    assert_allclose(net.target_scaler_.inverse_transform(raw.numpy().copy()), net.predict(X), rtol=1e-5, atol=1e-5)
    assert_allclose(torch.cat(list(net.forward_iter(inputs))), raw)


def test_forward_refuses_what_predict_refuses():
    net = MAKE["mlp"](effort=None, max_epochs=1, random_state=0).fit(RNG.normal(size=(12, 4)), Y)
    with pytest.raises(ValueError, match="contains NaN"):
        net.forward(np.full((3, 4), np.nan))
    with pytest.raises(ValueError, match="X has 5 features"):
        net.forward(np.ones((3, 5)))


@pytest.mark.parametrize("loop", ["auto", "skorch"])
@pytest.mark.parametrize("many", [{}, {"n_members": 2}])
@pytest.mark.parametrize("scale_inputs", [False, True])
def test_a_module_in_double_precision_gets_double_precision(loop, many, scale_inputs):
    X = RNG.normal(size=(12, 4))
    module = Flat((4,), 2).double()
    net = MultiOutputNetRegressor(
        module, training_loop=loop, scale_inputs=scale_inputs, max_epochs=2, random_state=0, **many
    ).fit(X, Y, X_val=X, y_val=Y)
    assert net.predict(X).shape == (12, 2)
    assert net.forward(X).dtype == torch.float64
    assert_allclose(net.predict(Dataset(X.astype(np.float32))), net.predict(X.astype(np.float32)), rtol=1e-6)
