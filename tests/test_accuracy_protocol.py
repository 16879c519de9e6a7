"""The accuracy benchmark: its error, its prepared columns, its table, on a small set in a folder."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import r2_score

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
MODELS = ["ridge", "mean"]


@pytest.fixture
def modules(monkeypatch):
    """Import the scripts as their own folder does, and forget them, since their names are common."""
    if not BENCHMARKS.is_dir():
        pytest.skip("the benchmarks are not part of an installed package")
    monkeypatch.syspath_prepend(BENCHMARKS)
    names = ("accuracy", "peers", "protocol", "random_problems")
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)
    import accuracy

    yield accuracy
    for name in names:
        sys.modules.pop(name, None)


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(40, 3)), columns=["a", "b", "empty"])
    frame["kind"] = rng.choice(["1", "2", "3"], 40)
    frame["s"] = 2 * frame["a"] + (frame["kind"] == "2")
    frame["t"] = 1e5 * frame["b"] - 7
    frame.loc[::7, "a"] = np.nan
    frame["empty"] = np.nan
    frame.to_csv(tmp_path / "small.csv", index=False)
    (tmp_path / "meta.json").write_text(json.dumps({"small": {"targets": ["s", "t"], "nominal": ["kind"]}}))
    return tmp_path


def run(accuracy, monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["accuracy.py", *map(str, arguments)])
    monkeypatch.setattr(accuracy.peers, "hush", lambda: None)
    monkeypatch.setattr(accuracy.torch, "set_num_threads", lambda n: None)
    accuracy.main()
    return capsys.readouterr().out


def test_the_error_is_that_of_r2_with_the_mean_of_the_training_rows(modules):
    y_true, y_pred = np.random.default_rng(0).normal(size=(2, 30, 3))
    expected = np.sqrt(1 - r2_score(y_true, y_pred, multioutput="raw_values")).mean()
    assert_allclose(modules.protocol.arrmse(y_true, y_pred, y_true.mean(0)), expected)
    assert modules.protocol.arrmse(y_true, np.zeros((30, 3)), np.zeros(3)) == 1.0


def test_the_error_leaves_out_constant_targets_and_shows_what_is_not_finite(modules):
    y_true, y_pred = np.random.default_rng(0).normal(size=(2, 30, 2))
    alone = modules.protocol.arrmse(y_true[:, :1], y_pred[:, :1], np.zeros(1))
    y_true[:, 1] = 3.0
    assert modules.protocol.arrmse(y_true, y_pred, np.zeros(2)) == alone
    assert np.isnan(modules.protocol.arrmse(y_true[:, 1:], y_pred[:, 1:], np.zeros(1)))
    y_pred[4, 0] = np.nan
    assert modules.protocol.arrmse(y_true, y_pred, np.zeros(2)) == np.inf


def test_columns_are_prepared_on_the_training_rows(modules, folder):
    (table,) = modules.protocol.load_folder(folder)
    train, test = np.arange(30), np.arange(30, 40)
    prepared = modules.protocol.prepare(table, train, test)
    assert prepared["raw"][0].isna().any().any()
    assert set(prepared["filled"][1]["kind"]) <= {"1", "2", "3"}
    assert_array_equal(prepared["filled"][0]["a"].iloc[0], table.X["a"].iloc[train].median())
    assert prepared["coded"][0].shape == (30, 6)
    assert_allclose(prepared["scaled"][0].mean(0), 0, atol=1e-12)
    assert not np.allclose(prepared["scaled"][1].mean(0), 0, atol=1e-3)


def test_results_in_a_file_give_the_same_table(modules, folder, monkeypatch, capsys):
    file = folder / "results.jsonl"
    fitted = run(modules, monkeypatch, capsys, folder, "--models", *MODELS, "--results", file)
    assert fitted.splitlines()[0] == "| model | small | mean | mean rank | cpu s/fit |"
    assert [line.split(" | ")[0] for line in fitted.splitlines()[2:4]] == ["| ridge", "| mean"]
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(line["model"], line["seed"]) for line in lines] == [("ridge", 0), ("mean", 0)]
    assert lines[1]["arrmse"] == pytest.approx(1)
    assert run(modules, monkeypatch, capsys, "--from-results", file) == fitted


def test_seeds_are_averaged_and_ours_is_held_against_ridge(modules, capsys):
    def record(name, model, seed, error):
        return {"set": name, "model": model, "seed": seed, "arrmse": error, "seconds": 1.0}

    ridge = [record(name, "ridge", 0, 0.5) for name in ("one", "two")]
    ours = [record("one", "ours", 0, 0.4), record("one", "ours", 1, 0.6), record("two", "ours", 0, 0.5)]
    modules.show([*ridge, *ours, record("two", "ours", 1, 0.6), record("two", "forest", 0, 0.1)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| model | one | two | mean | ± over seeds | mean rank | cpu s/fit |"
    assert lines[2] == "| ridge | 0.500 | 0.500 | 0.5000 | - | 1.2 | 1.00 |"
    assert lines[3] == "| ours | 0.500 | 0.550 | 0.5250 | 0.1061 | 1.8 | 1.00 |"
    assert lines[4] == "| forest | - | 0.100 | - | - | - | 1.00 |"
    assert lines[-1] == "ours / ridge: at most 1.100, on two   bar 1.03: NOT REACHED"


def test_random_problems_are_those_of_their_seeds_and_the_mean_passes(modules, monkeypatch, capsys):
    problems = [modules.random_problems.draw(seed)[0] for seed in (3, 3, 4)]
    assert_array_equal(problems[0].X, problems[1].X)
    assert problems[0].X.shape != problems[2].X.shape
    with pytest.raises(SystemExit) as left:
        run(modules, monkeypatch, capsys, "--random-problems", "4", "--models", "mean")
    assert not left.value.code
    assert "0 with predictions that are not finite" in capsys.readouterr().out
