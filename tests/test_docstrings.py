"""Each public estimator's docstring describes all its parameters, with the defaults of its signature."""

import inspect
import re
import runpy
from pathlib import Path

import pytest

import skmulti
from skmulti import MultiOutputNetRegressor

DOCS = Path(__file__).parents[1] / "docs"
ESTIMATORS = [cls for name in skmulti.__all__ if issubclass(cls := getattr(skmulti, name), MultiOutputNetRegressor)]
NAMED = [cls for cls in ESTIMATORS if cls is not MultiOutputNetRegressor]


@pytest.fixture(scope="module")
def script():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DOCS)
        return runpy.run_path(str(DOCS / "sync_docstrings.py"))


def entries_of(script, cls, section="Parameters"):
    return script["entries"](script["sections"](cls.__doc__)[section])


def signature_of(cls):
    return {
        f"**{name}" if parameter.kind is parameter.VAR_KEYWORD else name: parameter.default
        for name, parameter in inspect.signature(cls).parameters.items()
    }


def test_the_copied_parameters_are_those_of_the_base_class(script):
    assert len(script["NAMED"]) == 3
    for cls in script["NAMED"]:
        assert script["new_source"](cls) == script["source_of"](cls).read_text(encoding="utf-8"), "run: make docs"


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_every_parameter_is_described_in_the_order_of_the_signature(script, cls):
    entries = entries_of(script, cls)
    assert list(entries) == list(signature_of(cls))
    for name, entry in entries.items():
        assert re.match(r".+\n    \S", entry), f"{name} has no description"


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_every_default_is_that_of_the_signature(script, cls):
    for name, default in signature_of(cls).items():
        if name.startswith("**"):
            continue
        described = re.search(r"default=(.+)$", entries_of(script, cls)[name].split("\n")[0])[1]
        if isinstance(default, type):
            assert described.rpartition(".")[2] == default.__name__
        else:
            assert described.replace('"', "'") == repr(default) or float(described) == default


@pytest.mark.parametrize("cls", NAMED)
def test_a_parameter_of_the_base_class_has_the_same_text(script, cls):
    base, own = entries_of(script, MultiOutputNetRegressor), entries_of(script, cls)
    differing = {name for name in base if name in own and own[name] != base[name]}
    # Only the default and the presets of `effort` differ.
    assert differing <= {"effort"}


@pytest.mark.parametrize("cls", NAMED)
@pytest.mark.parametrize("section", ["Attributes", "Raises"])
def test_attributes_and_exceptions_are_those_of_the_base_class(script, cls, section):
    assert entries_of(script, cls, section) == entries_of(script, MultiOutputNetRegressor, section)


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_every_citation_has_a_reference(script, cls):
    listed = script["references"](script["sections"](cls.__doc__)["References"])
    assert set(script["cited"](cls.__doc__)) == set(listed)


def test_a_renamed_or_undescribed_parameter_is_named(script):
    class Wider(MultiOutputNetRegressor):
        """An estimator.

        Parameters
        ----------
        module : class
            The network.
        """

        def __init__(self, *, width=3, **prefix__params):
            super().__init__(**prefix__params)
            self.width = width

    with pytest.raises(ValueError, match=re.escape("Wider or its base class must describe ['width']")):
        script["synced"](Wider)
