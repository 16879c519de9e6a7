"""The types of the parameters name the options that `fit` accepts (tests/typed_use.py has what mypy sees of them)."""

import inspect
import typing

import pytest
from sklearn.utils._param_validation import StrOptions

import skmulti
from skmulti import MultiOutputNetRegressor
from skmulti.estimators import cnn, mlp, multi_head, net

ESTIMATORS = [cls for name in skmulti.__all__ if issubclass(cls := getattr(skmulti, name), MultiOutputNetRegressor)]


def options(annotation):
    """Return the strings and None that a type allows."""
    if typing.get_origin(annotation) is typing.Literal:
        return set(typing.get_args(annotation))
    if annotation is type(None):
        return {None}
    return set().union(*(options(part) for part in typing.get_args(annotation)))


def types_of(cls):
    names = {**vars(net), **vars(mlp), **vars(cnn), **vars(multi_head), "Self": None}
    return {
        name: eval(parameter.annotation, names) if isinstance(parameter.annotation, str) else parameter.annotation
        for name, parameter in inspect.signature(cls).parameters.items()
    }


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_types_name_the_options_that_fit_accepts(cls):
    types = types_of(cls)
    for name, constraints in cls._parameter_constraints.items():
        strings = {option for c in constraints if isinstance(c, StrOptions) for option in c.options}
        if name in types and strings:
            assert options(types[name]) == strings | ({None} if None in constraints else set()), name


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_every_default_has_the_type_of_its_parameter(cls):
    for name, parameter in inspect.signature(cls).parameters.items():
        if isinstance(parameter.default, (str, type(None))) and options(types_of(cls)[name]):
            assert parameter.default in options(types_of(cls)[name]), name
