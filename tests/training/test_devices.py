"""Both loops give the same results in mixed precision, with torch.compile and on a GPU."""

import numpy as np
import pytest
import torch

from skmulti import MultiHeadRegressor, MultiOutputCNNRegressor, MultiOutputMLPRegressor
from skmulti.training import device_rows
from tests.training.either_loop import IMAGES, WEIGHTS, X, Y, assert_same, both, make

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU that torch can use")


def test_mixed_precision_learns_the_same_in_either_loop():
    ours, theirs = both(mixed_precision="bfloat16")
    assert ours.training_loop_.step == "autograd"
    assert_same(ours, theirs, rtol=1e-4)


def test_mixed_precision_rounds_predictions_and_keeps_parameters_in_float32():
    half, whole = make(mixed_precision="bfloat16").fit(X, Y), make().fit(X, Y)
    assert next(half.module_.parameters()).dtype == torch.float32
    same = make(mixed_precision="bfloat16").initialize(X, Y)
    same.module_.load_state_dict(whole.module_.state_dict())
    apart = np.abs(same.predict(X) - whole.predict(X)) / Y.std(0)
    assert 1e-5 < apart.max() < 0.05
    assert same.predict(X[:1]).dtype == np.float64


@pytest.mark.parametrize("value", ["float16", True, "half"])
def test_other_precisions_are_refused(value):
    with pytest.raises(ValueError, match="The 'mixed_precision' parameter of MultiOutputMLPRegressor must be"):
        make(mixed_precision=value).fit(X, Y)


def test_a_compiled_module_learns_the_same():
    ours, theirs = both(compile=True, compile__backend="eager")
    assert ours.training_loop_.step == "autograd"
    assert ours.training_loop_.optimizer == "flat"
    assert_same(ours, theirs)
    np.testing.assert_allclose(ours.predict(X), make().fit(X, Y).predict(X), rtol=1e-4)


@needs_gpu
@pytest.mark.parametrize("cls", [MultiOutputMLPRegressor, MultiHeadRegressor])
@pytest.mark.parametrize("params", [{}, {"dropout": 0.2}, {"optimizer": torch.optim.SGD}], ids=str)
def test_a_gpu_learns_the_same_in_either_loop(cls, params):
    ours, theirs = both(cls=cls, device="cuda", **params)
    assert_same(ours, theirs, rtol=1e-3)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-2, atol=1e-2)


@needs_gpu
def test_a_gpu_learns_the_same_as_the_cpu():
    gpu, cpu = make(device="cuda").fit(X, Y), make().fit(X, Y)
    np.testing.assert_allclose(gpu.predict(X), cpu.predict(X), rtol=1e-2, atol=1e-2)


@needs_gpu
def test_rows_that_do_not_fit_on_the_gpu_are_copied_block_by_block(monkeypatch):
    whole = make(device="cuda").fit(X, Y)
    monkeypatch.setattr(device_rows, "_FRACTION_OF_DEVICE", 0.0)
    assert_same(make(device="cuda").fit(X, Y), make(device="cuda", training_loop="skorch").fit(X, Y), rtol=1e-3)
    np.testing.assert_allclose(make(device="cuda").fit(X, Y).predict(X), whole.predict(X), rtol=1e-3, atol=1e-3)


@needs_gpu
def test_a_gpu_supports_weights_missing_targets_images_and_mixed_precision():
    y = np.where(np.random.default_rng(0).random(Y.shape) < 0.2, np.nan, Y)
    fit = lambda net: net.fit(X, y, sample_weight=WEIGHTS)  # noqa: E731
    assert_same(*both(fit, device="cuda", missing_targets="mask"), rtol=1e-3)
    images = lambda net: net.fit(IMAGES, Y[:60])  # noqa: E731
    assert_same(*both(images, cls=MultiOutputCNNRegressor, channels=(4,), device="cuda"), rtol=1e-2)
    assert np.isfinite(make(device="cuda", mixed_precision="bfloat16").fit(X, Y).predict(X)).all()
