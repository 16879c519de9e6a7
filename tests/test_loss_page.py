"""The page of the losses agrees with their docstrings, and every public name has a docstring with an example."""

import importlib
import inspect
import re
import runpy
from pathlib import Path

import pytest

import skmulti
from skmulti import conformal, datasets, losses, metrics, modules, training

ROOT = Path(__file__).parents[1]
MADE = runpy.run_path(str(ROOT / "docs" / "make_losses.py"))
PAGE = (ROOT / "docs" / "losses.md").read_text(encoding="utf-8")
LOSSES = {name: loss for name, loss in losses.COLUMN_LOSSES.items() if getattr(losses, loss.__name__, None) is loss}

PUBLIC = {
    f"{module.__name__}.{name}": thing
    for module in (skmulti, losses, metrics, datasets, modules, training, conformal)
    for name in getattr(module, "__all__", ["SplitConformalRegressor"])
    if callable(thing := getattr(module, name))
}


def part_of(name):
    return re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)[1]


def test_the_page_is_what_the_script_makes():
    assert MADE["page"]() == PAGE, "run: make docs"


def test_the_page_has_every_loss_once_and_no_other():
    assert re.findall(r"^## (.*)$", PAGE, re.MULTILINE) == list(LOSSES)
    assert re.findall(r"^\| \[`(\w+)`\]\(#\1\)", PAGE, re.MULTILINE) == list(LOSSES)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(
    "label", ["Class", "Formula", "Columns", "Raw outputs", "Targets", "Prediction", "Supports", "Use", "Source"]
)
def test_the_page_has_every_label_for_every_loss(name, label):
    assert re.search(rf"^- \*\*{label}\*\*: \S.*", part_of(name), re.MULTILINE)


@pytest.mark.parametrize(("name", "loss"), LOSSES.items(), ids=list(LOSSES))
def test_the_page_describes_every_parameter_and_alias(name, loss):
    part = part_of(name)
    described = re.findall(r"^- \*\*Parameter\*\* `(\w+)` \(.+?\): \S", part, re.MULTILINE)
    assert described == list(inspect.signature(loss).parameters)
    for alias, known in losses.ALIASES.items():
        assert (f"`{alias}`" in part.split("Formula")[0]) == (known == name)


@pytest.mark.parametrize(("name", "loss"), LOSSES.items(), ids=list(LOSSES))
def test_the_page_counts_raw_outputs_as_the_loss_does(name, loss):
    stated = re.search(r"^- \*\*Raw outputs\*\*: (.*)$", part_of(name), re.MULTILINE)[1]
    counts = [loss().n_raw(k) for k in ([loss.n_columns] if loss.n_columns else [2, 3, 5])]
    expected = {
        "1 per level": [1],
        "`k`": [2, 3, 5],
        "`k + k (k + 1) / 2`": [k + k * (k + 1) // 2 for k in (2, 3, 5)],
        "6 or 9, according to `representation`": [6, 6, 6],
    }
    assert counts == (expected[stated] if stated in expected else [int(stated)])


@pytest.mark.parametrize(("name", "thing"), PUBLIC.items(), ids=list(PUBLIC))
def test_every_public_name_has_parameters_and_an_example(name, thing):
    parts = MADE["sections"](inspect.getdoc(thing))
    assert parts[""]
    if not (isinstance(thing, type) and issubclass(thing, Exception)):
        described = re.findall(r"^(\w[\w, ]*) : ", parts.get("Parameters", parts.get("Attributes", "")), re.MULTILINE)
        named = {name for entry in described for name in entry.split(", ")}
        taken = inspect.signature(thing).parameters.values()
        assert {p.name for p in taken if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)} <= named
    assert ">>> " in parts["Examples"]


def test_the_public_names_can_be_imported():
    for name in PUBLIC:
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute)
