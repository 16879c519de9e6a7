"""Prediction in batches: the raw outputs of a row do not depend on other rows."""

import numpy as np
import pytest
import torch
from torch import nn

from skmulti import MultiOutputCNNRegressor, MultiOutputMLPRegressor, MultiOutputNetRegressor
from skmulti.prediction.raw_outputs import learns, raw_outputs, rows_at_once

X = np.random.default_rng(0).normal(size=(10_001, 4)).astype(np.float32)
NET = MultiOutputMLPRegressor((8,), effort=None, max_epochs=1, random_state=0).fit(X[:100], X[:100, :2])


class Counts(nn.Module):
    """A linear layer that records the sizes of its batches."""

    def __init__(self, n_features=4):
        super().__init__()
        self.linear = nn.Linear(n_features, 2)
        self.seen = []

    def forward(self, X):
        self.seen.append(len(X))
        return self.linear(X)


def test_many_rows_are_predicted_as_in_batches():
    whole = NET.predict(X)
    assert whole.shape == (10_001, 2)
    np.testing.assert_array_equal(whole, np.concatenate([NET.predict(X[:5000]), NET.predict(X[5000:])]))
    np.testing.assert_array_equal(whole[7777], NET.predict(X[7777:7778])[0])
    np.testing.assert_array_equal(whole, NET.predict(X.astype(np.float64)))


def test_many_rows_are_predicted_in_batches_of_whole_blocks():
    net = MultiOutputNetRegressor(Counts, max_epochs=1).fit(X[:100], X[:100, :2])
    net.module_.seen.clear()
    net.predict(X)
    assert net.module_.seen == [4096, 4096, 1812]


def test_large_rows_are_predicted_in_small_batches():
    assert rows_at_once(np.empty((9, 20))) == 4096
    assert rows_at_once(np.empty((9, 3, 600, 600))) == 32


def test_inputs_are_not_copied_and_not_changed():
    taken = []
    module = nn.Identity()
    module.register_forward_pre_hook(lambda module, inputs: taken.append(inputs[0].data_ptr()))
    before = X[:8].copy()
    raw_outputs(module, X[:8], "cpu")
    assert taken == [X.ctypes.data]
    np.testing.assert_array_equal(X[:8], before)


def test_a_hook_on_a_layer_is_called_in_predict():
    net = MultiOutputMLPRegressor((8,), effort=None, max_epochs=1).fit(X[:100], X[:100, :2])
    calls = []
    net.module_.hidden[0].register_forward_hook(lambda *args: calls.append(1))
    net.predict(X[:1])
    assert calls == [1]


def test_a_global_module_hook_is_called_in_predict():
    calls = []
    hook = nn.modules.module.register_module_forward_hook(lambda *args: calls.append(1))
    try:
        NET.predict(X[:1])
    finally:
        hook.remove()
    assert calls


def test_predict_uses_evaluation_mode():
    net = MultiOutputMLPRegressor((8,), effort=None, dropout=0.5, max_epochs=1).fit(X[:100], X[:100, :2])
    expected = net.predict(X[:9])
    net.module_.hidden[2].train()
    assert learns(net.module_)
    np.testing.assert_array_equal(net.predict(X[:9]), expected)


@pytest.mark.parametrize("n_rows", [1, 3, 50])
def test_images_are_predicted_by_the_module_itself(n_rows):
    images = np.random.default_rng(0).normal(size=(50, 6, 6)).astype(np.float32)
    net = MultiOutputCNNRegressor((4,), effort=None, max_epochs=1, scale_targets=False).fit(images, images[:, 0, :2])
    with torch.no_grad():
        expected = net.module_.eval()(torch.from_numpy(images[:n_rows])).numpy()
    np.testing.assert_allclose(net.predict(images[:n_rows]), expected, rtol=1e-5, atol=1e-6)
