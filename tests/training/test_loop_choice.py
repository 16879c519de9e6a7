"""Callbacks and overrides that need batches select skorch's loop; otherwise the tensor loop gives equal results."""

import pytest
from skorch.callbacks import (
    Callback,
    EpochScoring,
    Freezer,
    GradientNormClipping,
    LRScheduler,
    PassthroughScoring,
    Unfreezer,
)
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader

from skmulti import MultiOutputMLPRegressor
from tests.training.either_loop import X, Y, assert_same, both, make


def cosine():
    return LRScheduler(lr_scheduler.CosineAnnealingLR, T_max=4)


@pytest.mark.parametrize(
    "callbacks",
    [
        lambda: [cosine()],
        lambda: [LRScheduler(lr_scheduler.ReduceLROnPlateau, monitor="train_loss", patience=0)],
        lambda: [EpochScoring("r2", name="r2", lower_is_better=False, use_caching=False)],
        lambda: [Freezer("hidden.0.*")],
        lambda: [Freezer("hidden.*"), Unfreezer("hidden.*", at=3)],
        lambda: [Freezer("output.*", at=3)],
    ],
    ids=["cosine", "plateau", "scoring", "freezer", "unfreezer", "late freezer"],
)
def test_epoch_callbacks_keep_the_tensor_loop(callbacks):
    fit = lambda net: net.set_params(callbacks=callbacks()).fit(X, Y, X_val=X[:20], y_val=Y[:20])  # noqa: E731
    assert_same(*both(fit, optimizer__weight_decay=0.1))


class EventCounter(Callback):
    """Counts the calls of one event."""

    def __init__(self, event):
        self.event = event
        self.calls = 0
        setattr(self, event, self.count)

    def count(self, *args, **kwargs):
        self.calls += 1


@pytest.mark.parametrize("event", ["on_batch_begin", "on_batch_end", "on_grad_computed"])
def test_a_callback_with_batch_events_is_called_by_skorchs_loop(event):
    counter = EventCounter(event)
    ours, theirs = make(callbacks=[("it", counter)]).fit(X, Y), make(training_loop="skorch").fit(X, Y)
    assert counter.calls == 4 * 6
    assert_same(ours, theirs, loop="skorch", rtol=0)
    assert ours.training_loop_.reason == "the callback 'it' handles batch events"


@pytest.mark.parametrize(
    ("callback", "needs_batches"),
    [
        (EpochScoring("r2", on_train=True), True),
        (EpochScoring("r2", on_train=False), False),
        (EpochScoring("r2", on_train=True, use_caching=False), False),
        (LRScheduler(lr_scheduler.StepLR, step_size=2), False),
        (LRScheduler(lr_scheduler.StepLR, step_size=2, step_every="batch"), True),
        (GradientNormClipping(1.0), True),
        (PassthroughScoring("train_loss", on_train=True), True),
    ],
    ids=["cached scores", "scores of validation", "scores", "epochs", "batches", "clipping", "passthrough"],
)
def test_only_callbacks_that_use_batch_events_require_skorchs_loop(callback, needs_batches):
    net = make(callbacks=[callback]).fit(X, Y, X_val=X[:20], y_val=Y[:20])
    assert net.training_loop_.loop == ("skorch" if needs_batches else "tensor")


def test_a_cached_validation_scorer_leaves_training_to_the_tensor_loop():
    def fit(net):
        scoring = EpochScoring("r2", name="r2", lower_is_better=False)
        return net.set_params(callbacks=[scoring]).fit(X, Y, X_val=X[:20], y_val=Y[:20])

    ours, theirs = both(fit)
    assert "r2" in ours.history[-1]
    assert_same(ours, theirs)


class Watching(MultiOutputMLPRegressor):
    """Counts training batches."""

    def train_step(self, batch, **fit_params):
        self.seen_ = getattr(self, "seen_", 0) + 1
        return super().train_step(batch, **fit_params)


class Penalised(MultiOutputMLPRegressor):
    """Changes the loss of every batch."""

    def get_loss(self, y_pred, y_true, X=None, training=False):
        return 2 * super().get_loss(y_pred, y_true, X=X, training=training)


def test_an_override_of_the_step_is_called():
    net = Watching((8,), effort=None, max_epochs=2, batch_size=30).fit(X, Y)
    assert net.seen_ == 6
    assert net.training_loop_.reason == "Watching overrides train_step"
    assert Penalised((8,), effort=None, max_epochs=1).fit(X, Y).training_loop_.reason == "Penalised overrides get_loss"
    patched = make()
    patched.initialize(X, Y).infer = patched.infer
    assert patched.partial_fit(X, Y).training_loop_.reason == "MultiOutputMLPRegressor overrides infer"


def test_other_iterators_require_skorchs_loop():
    net = make(iterator_train=DataLoader).fit(X, Y)
    assert net.training_loop_.reason == "the batches are not those of a TensorLoader over arrays"


def test_a_hook_on_the_optimizer_is_called():
    calls = []
    net = make().initialize(X, Y)
    net.optimizer_.register_step_post_hook(lambda *args: calls.append(1))
    net.partial_fit(X, Y)
    assert len(calls) == 4 * 6
    assert net.training_loop_.optimizer == "own"


def test_training_loop_must_be_known():
    with pytest.raises(ValueError, match=r"'training_loop' parameter .* must be a str among"):
        make(training_loop="fast").fit(X, Y)
