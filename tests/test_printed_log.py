"""What `verbose` prints while nets train: live, in the order of y, and readable in a file."""

import io
import re
import signal
import time
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import FitFailedWarning
from skorch.callbacks import Callback, PrintLog

from skmulti import MultiHeadRegressor, MultiOutputCNNRegressor, MultiOutputMLPRegressor
from skmulti.model_selection import BatchedGridSearchCV

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3)).astype("float32")
# Not in the order of the alphabet.
Y = pd.DataFrame({"width": 5 * X[:, 0] + RNG.normal(size=60), "area": X[:, 1], "height": X[:, 2]})
IMAGES = RNG.normal(size=(40, 8, 8)).astype("float32")
HEADER = ["epoch", "width", "area", "height", "train_loss", "valid_loss", "dur"]


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Slow(Callback):
    def on_epoch_end(self, net, **kwargs):
        time.sleep(0.01)


def default_net(**params):
    return MultiOutputMLPRegressor(**{"effort": "fast", "max_epochs": 4, "random_state": 0, "verbose": 1, **params})


def plain_net(cls=MultiOutputMLPRegressor, **params):
    return cls(**{"effort": None, "max_epochs": 3, "random_state": 0, "verbose": 1, **params})


def printed(capsys):
    """Return the header and the rows."""
    header, _, *rows = (line.split() for line in capsys.readouterr().out.splitlines())
    return header, rows


def watched_lines(net, *data):
    """Fit a net; return each printed row with how many epochs its members had been through by then."""
    seen = []

    def sink(text):
        seen.append((text.split(), [len(member.history_) for member in net.members_]))

    net.set_params(callbacks__print_log__sink=sink).fit(*data)
    return seen[0][0], seen[2:]


def test_the_default_ensemble_prints_each_epoch_while_it_trains():
    net = default_net()
    header, lines = watched_lines(net, X, Y)
    assert header == HEADER
    assert len(net.members_) == 6
    assert [(cells[0], lengths) for cells, lengths in lines] == [(f"{i}", [i] * 6) for i in range(1, 5)]


def test_what_is_printed_is_the_history_of_the_ensemble(capsys):
    net = default_net(early_stopping=True, n_iter_no_change=2, max_epochs=12).fit(X, Y)
    assert len({member.n_iter_ for member in net.members_}) > 1
    header, rows = printed(capsys)
    assert len(rows) == len(net.history_) == net.n_iter_
    for cells, row in zip(rows, net.history_, strict=True):
        shown = dict(zip(header, map(float, cells), strict=True))
        assert shown["epoch"] == row["epoch"]
        for name in ("train_loss", "valid_loss", "dur"):
            assert shown[name] == pytest.approx(row[name], abs=1e-4)
        for name in Y:
            assert shown[name] == pytest.approx(row[f"valid_loss__{name}"], abs=1e-4)


def test_durations_of_an_ensemble_sum_to_the_time_of_training():
    net, start = default_net(callbacks=[Slow()], verbose=0, linear_path=False), time.perf_counter()
    net.fit(X, Y)
    whole = time.perf_counter() - start
    assert 6 * 4 * 0.01 <= sum(net.history_[:, "dur"]) <= whole


def test_members_that_train_in_turn_are_printed_by_their_numbers():
    net = plain_net(MultiOutputCNNRegressor, n_members=2, max_epochs=2)
    header, lines = watched_lines(net, IMAGES, IMAGES[:, 0, :2])
    assert header == ["epoch", "members", "y0", "y1", "train_loss", "dur"]
    assert [(cells[:2], lengths) for cells, lengths in lines] == [
        (["1", "1"], [1, 0]),
        (["2", "1"], [2, 0]),
        (["1", "2"], [2, 1]),
        (["2", "2"], [2, 2]),
    ]
    durations = [sum(member.history_[i, "dur"] for member in net.members_) for i in range(2)]
    assert net.history_[:, "dur"] == pytest.approx(durations)


def test_a_net_that_leaves_its_stack_is_printed_too(capsys):
    class Rebuilds(Callback):
        def on_epoch_end(self, net, **kwargs):
            net.initialize_optimizer()

    net = plain_net(n_members=3, callbacks=[Rebuilds()]).fit(X, Y)
    _, rows = printed(capsys)
    assert [cells[0] for cells in rows] == ["1", "2", "3"] == [f"{epoch}" for epoch in net.history_[:, "epoch"]]


def test_an_ensemble_that_goes_on_training_goes_on_counting(capsys):
    net = default_net(max_epochs=2).fit(X, Y)
    net.set_params(warm_start=True).fit(X, Y)
    net.partial_fit(X, Y)
    assert [cells[0] for cells in printed(capsys)[1]] == ["1", "2", "3", "4", "5", "6"]
    assert net.history_[:, "epoch"] == [1, 2, 3, 4, 5, 6]


def test_a_log_of_another_class_gets_the_lines_of_the_ensemble(capsys):
    net = plain_net(MultiOutputCNNRegressor, n_members=2, max_epochs=1)
    net.set_params(callbacks__print_log=PrintLog(keys_ignored="dur")).fit(IMAGES, IMAGES[:, 0, :2])
    header, rows = printed(capsys)
    assert [dict(zip(header, cells, strict=True))["members"] for cells in rows] == ["1", "2"]


def test_an_interruption_in_the_default_ensemble_keeps_what_all_members_learned():
    def sink(text):
        if text.split()[0] == "2":
            signal.raise_signal(signal.SIGINT)

    net = default_net(max_epochs=50).set_params(callbacks__print_log__sink=sink)
    with pytest.warns(UserWarning, match=r"interrupted after 2 epochs\..* It kept 6 of 6 members\."):
        net.fit(X, Y)
    assert [member.n_iter_ for member in net.members_] == [2] * 6
    assert net.n_iter_ == 2
    assert net.predict(X).shape == Y.shape


def test_ensembles_in_a_search_print_lines_of_their_own_and_members_none(capsys):
    grid = {"max_epochs": [1, 2]}
    BatchedGridSearchCV(plain_net(n_members=2), grid, cv=2, refit=False).fit(X, Y)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [cells[0] for cells in rows].count("epoch") == 4
    assert sorted(cells[0] for cells in rows if cells[0].isdigit()) == ["1", "1", "1", "1", "2", "2"]


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite:UserWarning")
def test_a_sink_that_fails_is_an_error_of_its_own_ensemble():
    def sink(text):
        if text.split()[0] == "2":
            raise OSError("the disk is full")

    net = default_net(callbacks__print_log__sink=sink)
    with pytest.raises(OSError, match="the disk is full"):
        net.fit(X, Y)
    search = BatchedGridSearchCV(net, {"callbacks__print_log__sink": [sink, [].append]}, cv=2, refit=False)
    with pytest.warns(FitFailedWarning, match="the disk is full"):
        search.fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).tolist() == [False, True]


def test_nothing_is_printed_without_verbose(capsys):
    default_net(verbose=0).fit(X, Y)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("cls", [MultiOutputMLPRegressor, MultiHeadRegressor])
def test_columns_are_printed_in_the_order_of_y(cls, capsys):
    plain_net(cls, early_stopping=True).fit(X, Y)
    assert printed(capsys)[0] == HEADER


def test_columns_that_are_named_as_records_are_printed_all_the_same(capsys):
    y = Y.set_axis(["epoch", "rate_best", "dur"], axis=1)
    net = plain_net(max_epochs=1).fit(X, y)
    text = capsys.readouterr().out.splitlines()
    assert re.split(r"\s{2,}", text[0].strip()) == [
        "epoch", "loss of epoch", "rate_best", "loss of dur", "train_loss", "dur",
    ]  # fmt: skip
    shown = list(map(float, text[2].split()))
    losses = [net.history_[-1, f"train_loss__{name}"] for name in y]
    assert shown[0] == 1
    assert shown[1:4] == pytest.approx(losses, abs=1e-4)


def test_a_column_can_be_left_out_of_the_log(capsys):
    plain_net(callbacks__print_log__keys_ignored=["area", "train_loss"]).fit(X, Y)
    assert printed(capsys)[0] == ["epoch", "width", "height", "dur"]


@pytest.mark.parametrize("make", [plain_net, default_net])
def test_there_are_no_escape_sequences_where_the_output_is_no_terminal(make, capsys):
    make().fit(X, Y)
    said = []
    make(callbacks__print_log__sink=said.append).fit(X, Y)
    text = capsys.readouterr().out
    assert "epoch" in text
    assert "\x1b" not in text + "".join(said)


def test_the_best_losses_are_in_colour_on_a_terminal(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    plain_net().fit(X, Y)
    assert "\x1b[" in terminal.getvalue()


def test_output_that_can_not_say_what_it_is_is_no_terminal(monkeypatch):
    said = io.StringIO()
    monkeypatch.setattr("sys.stdout", SimpleNamespace(write=said.write, flush=said.flush))
    plain_net().fit(X, Y)
    assert "width" in said.getvalue()
    assert "\x1b" not in said.getvalue()
