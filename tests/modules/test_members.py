"""The module of a default fit is one torch module: it exports, differentiates and is saved whole."""

import copy
import io
import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from torch.testing import assert_close

from skmulti import MultiOutputMLPRegressor
from skmulti.ensembles import Members
from skmulti.inputs.piecewise_linear import PiecewiseLinear
from skmulti.modules import MLP

RNG = np.random.default_rng(0)
X = np.column_stack([RNG.normal(size=(120, 3)), RNG.integers(0, 4, size=120)])
Y = np.column_stack([X[:, 0] * X[:, 1], np.abs(X[:, 2]) + X[:, 3]])
# Rows of other values and another number than those that a module is traced with.
TRACED = torch.tensor(RNG.normal(size=(8, 4)), dtype=torch.float32)
OTHERS = torch.tensor(2 * RNG.normal(size=(33, 4)), dtype=torch.float32)


@pytest.fixture(scope="module")
def default():
    return MultiOutputMLPRegressor(max_epochs=20, random_state=0).fit(X, Y)


@pytest.fixture(scope="module")
def module(default):
    assert default.settings_["numeric_embedding"] == "mixed"
    return default.module_.eval()


# That a shape which is checked is a constant of the trace.
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore:`torch.jit.trace:DeprecationWarning")
def test_a_traced_module_agrees_on_other_rows(module):
    traced = torch.jit.trace(module, (TRACED,))
    assert_close(traced(OTHERS), module(OTHERS))


def test_an_exported_module_agrees_on_other_rows(module):
    shapes = {"X": {0: torch.export.Dim("n_rows", min=2)}}
    exported = torch.export.export(module, (TRACED,), dynamic_shapes=shapes).module()
    assert_close(exported(OTHERS), module(OTHERS))


def test_gradients_of_the_inputs_are_finite_differences(module):
    double = copy.deepcopy(module).double()
    rows, step = OTHERS[:6].double().requires_grad_(), 1e-6
    with torch.no_grad():
        by_differences = [
            (double(rows + step * axis) - double(rows - step * axis)).mean(1).sum(-1) / (2 * step)
            for axis in torch.eye(4, dtype=torch.float64)
        ]
    (gradient,) = torch.autograd.grad(double(rows).mean(1).sum(), rows)
    assert_close(gradient, torch.stack(by_differences, dim=1), rtol=1e-5, atol=1e-7)


def test_the_module_has_the_raw_outputs_that_members_predict_from(default, module):
    with torch.no_grad():
        raw = module(torch.as_tensor(np.asarray(default.input_encoder_.transform(X)))).numpy()
    scaler = default.target_scaler_
    for k, member in enumerate(default.members_):
        assert_allclose(scaler.inverse_transform(raw[:, k]), member.predict(X), rtol=1e-5, atol=1e-5)


def test_members_that_share_an_embedding_keep_it_once():
    shared, own = PiecewiseLinear.fit(X), PiecewiseLinear.fit(X[:50])
    sizes = [4, shared.n_encoded, shared.n_encoded, own.n_encoded]
    members = Members([MLP((size,), 1) for size in sizes], embeddings=[None, shared, shared, own])
    assert list(members.embeddings) == [shared, own]
    inputs = [OTHERS, shared(OTHERS), shared(OTHERS), own(OTHERS)]
    each = [member(rows) for member, rows in zip(members.members, inputs, strict=True)]
    assert_close(members(OTHERS), torch.stack(each, dim=1))


def test_parameters_carry_the_bins_to_another_net(default):
    saved = io.BytesIO()
    default.save_params(f_params=saved)
    saved.seek(0)
    # As many bins as the first, elsewhere.
    other = clone(default).initialize(X + X**3, Y)
    before = other.module_(OTHERS)
    other.load_params(f_params=saved)
    assert not torch.allclose(before, default.module_(OTHERS))
    assert_close(other.module_(OTHERS), default.module_(OTHERS), rtol=0, atol=0)


def test_parameters_saved_without_bins_still_load(default):
    state = {name: value for name, value in default.module_.state_dict().items() if not name.startswith("embeddings")}
    saved = io.BytesIO()
    torch.save(state, saved)
    saved.seek(0)
    other = clone(default).initialize(X, Y)
    other.load_params(f_params=saved)
    assert_array_equal(other.predict(X), default.predict(X))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))], ids=["copy", "pickle"])
def test_copies_predict_the_same_and_share_their_embedding(default, copied):
    other = copied(default)
    assert_array_equal(other.predict(X), default.predict(X))
    assert_close(other.module_(OTHERS), default.module_(OTHERS), rtol=0, atol=0)
    assert len(other.module_.embeddings) == 1
    assert all(member.embedding_ in (None, other.module_.embeddings[0]) for member in other.members_)


def test_bins_go_where_the_module_goes(module):
    moved = copy.deepcopy(module).to("meta")
    assert {values.device.type for values in (*moved.parameters(), *moved.buffers())} == {"meta"}
    assert moved(OTHERS.to("meta")).shape == module(OTHERS).shape
