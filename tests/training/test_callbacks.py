"""The printed log: a line per epoch, a column per term."""

import re

import numpy as np
import pytest
import torch
from skorch.callbacks import EpochScoring, LRScheduler

from skmulti import MultiOutputMLPRegressor
from skmulti.training.callbacks import TermLog


def data(n=40, n_columns=3):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 4)).astype(np.float32)
    return X, rng.normal(size=(n, n_columns))


def make(**params):
    return MultiOutputMLPRegressor((4,), effort=None, **{"max_epochs": 3, "random_state": 0, "verbose": 1, **params})


def lines(capsys):
    """Return the printed cells of each line."""
    text = re.sub(r"\x1b\[\d+m", "", capsys.readouterr().out)
    return [re.split(r"\s{2,}", line.strip()) for line in text.splitlines() if line.strip()]


def test_the_log_has_one_column_per_term(capsys):
    net = make(loss={("y0", "y2"): torch.nn.MSELoss}).fit(*data())
    header, _, *rows = lines(capsys)
    assert {"epoch", "train_loss", "y0+y2", "y1", "dur"} == set(header)
    assert len(rows) == 3
    for row, epoch in zip(rows, net.history, strict=True):
        cells = dict(zip(header, row, strict=True))
        for name in ("y0+y2", "y1"):
            assert float(cells[name]) == pytest.approx(epoch[f"train_loss__{name}"], abs=1e-4)


def test_a_term_shows_its_validation_loss_where_there_is_one(capsys):
    X, y = data()
    net = make().fit(X[:30], y[:30], X_val=X[30:], y_val=y[30:])
    header, _, *rows = lines(capsys)
    assert {"epoch", "train_loss", "valid_loss", "y0", "y1", "y2", "dur"} == set(header)
    for row, epoch in zip(rows, net.history, strict=True):
        cells = dict(zip(header, row, strict=True))
        assert float(cells["y1"]) == pytest.approx(epoch["valid_loss__y1"], abs=1e-4)
        assert epoch["valid_loss__y1"] != epoch["train_loss__y1"]


def test_a_single_term_has_no_separate_column(capsys):
    make().fit(data()[0], data()[1][:, 0])
    assert set(lines(capsys)[0]) == {"epoch", "train_loss", "dur"}


def test_columns_of_other_callbacks_are_kept(capsys):
    make(callbacks=[("r2", EpochScoring("r2", on_train=True, name="r2"))]).fit(*data())
    assert {"y0", "y1", "y2", "r2"} <= set(lines(capsys)[0])


def test_nothing_is_printed_by_default(capsys):
    make(verbose=0).fit(*data())
    assert capsys.readouterr().out == ""


def test_the_log_can_be_redirected_or_removed(capsys):
    printed = []
    make(callbacks__print_log__sink=printed.append).fit(*data())
    assert any("y2" in line for line in printed)
    make(callbacks__print_log=None).fit(*data())
    assert capsys.readouterr().out == ""


def test_the_default_callback_is_the_term_log():
    net = make(verbose=0).initialize(*data())
    assert type(dict(net.callbacks_)["print_log"]) is TermLog


def test_the_loss_in_the_history_is_the_weighted_sum_of_its_terms():
    X, y = data()
    net = make(verbose=0, loss_weights=[1.0, 0.5, 2.0], shuffle=False, batch_size=16).fit(X, y, X_val=X, y_val=y)
    for row in net.history:
        for prefix in ("train_loss", "valid_loss"):
            parts = [row[f"{prefix}__y{i}"] for i in range(3)]
            assert row[prefix] == pytest.approx(np.dot([1.0, 0.5, 2.0], parts), rel=1e-5)


def test_the_last_validation_loss_is_that_of_the_predictions():
    X, y = data()
    net = make(verbose=0, scale_targets=False).fit(X, y, X_val=X[:25], y_val=y[:25])
    mse = ((net.predict(X[:25]) - y[:25]) ** 2).mean(0)
    assert [net.history[-1, f"valid_loss__y{i}"] for i in range(3)] == pytest.approx(list(mse), rel=1e-5)


def test_learning_rate_schedules_work():
    schedule = LRScheduler(torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.1)
    net = make(verbose=0, lr=0.1, callbacks=[schedule]).fit(*data())
    assert net.history[:, "event_lr"] == pytest.approx([0.1, 0.01, 0.001])
