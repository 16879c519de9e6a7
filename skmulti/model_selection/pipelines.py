"""The net at the end of a pipeline: where it is, what the steps before hand to it, how to put another in its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sklearn.pipeline import Pipeline

from skmulti.estimators.net import MultiOutputNetRegressor
from skmulti.training.loop_choice import overridden

_OF_FIT = ("fit", "_begin", "_begin_beside", "_set_up", "_train")
_FIT_PARAMS = {"sample_weight", "X_val", "y_val", "sample_weight_val"}


@dataclass(frozen=True)
class Place:
    """Where the net of an estimator is.

    Attributes
    ----------
    path : tuple of str
        The names of the steps that lead to it; empty where the estimator is the net.
    why_not : str
        Why nobody but the estimator's own `fit` may train it, empty if others may.
    """

    path: tuple[str, ...]
    why_not: str = ""

    @classmethod
    def of(cls, estimator: Any) -> Place:
        """Return the place of the net in an estimator."""
        path: list[str] = []
        while isinstance(estimator, Pipeline):
            if type(estimator) is not Pipeline or "fit" in vars(estimator):
                return cls((), f"{type(estimator).__name__} is not a plain Pipeline")
            try:
                name, estimator = estimator.steps[-1]
            except (IndexError, TypeError, ValueError):
                return cls((), "the steps of its Pipeline are not valid")
            path.append(name)
        return cls(tuple(path), _why_own_fit(estimator))

    def net_of(self, estimator: Any) -> Any:
        """Return the net of an estimator."""
        for _ in self.path:
            estimator = estimator.steps[-1][1]
        return estimator

    def with_net(self, estimator: Any, net: Any) -> Any:
        """Return an estimator with the same fitted steps and another net."""
        if not self.path:
            return net
        inner = Place(self.path[1:]).with_net(estimator.steps[-1][1], net)
        pipeline = shallow_copy(estimator)
        vars(pipeline)["steps"] = [*estimator.steps[:-1], (self.path[0], inner)]
        return pipeline


@dataclass
class Call:
    """What the `fit` of a net was given."""

    X: Any
    y: Any
    sample_weight: Any = None
    X_val: Any = None
    y_val: Any = None
    sample_weight_val: Any = None


def record_fit(estimator: Any, place: Place, X: Any, y: Any, fit_params: dict[str, Any]) -> Call | None:
    """Fit the steps before the net and return what the net's `fit` is given, without running it.

    scikit-learn's own code fits the steps and routes the parameters. None stands for a call that nobody but the net's
    own `fit` can answer.
    """
    calls: list[Call | None] = []

    def fit(*args: Any, **params: Any) -> None:
        of_net = len(args) == 2 and set(params) <= _FIT_PARAMS
        calls.append(Call(*args, **params) if of_net else None)

    net = place.net_of(estimator)
    # On the instance: a stand-in of another class would be told other metadata.
    vars(net)["fit"] = fit
    try:
        estimator.fit(X, **fit_params) if y is None else estimator.fit(X, y, **fit_params)
    finally:
        del vars(net)["fit"]
    return calls[0] if len(calls) == 1 and place.net_of(estimator) is net else None


def shallow_copy(estimator: Any) -> Any:
    """Return an estimator with the same attributes, fitted ones too: `copy.copy` would ask its way of pickling."""
    twin = object.__new__(type(estimator))
    vars(twin).update(vars(estimator))
    return twin


def _why_own_fit(estimator: Any) -> str:
    name = type(estimator).__name__
    if not isinstance(estimator, MultiOutputNetRegressor):
        return f"{name} is not an estimator of skmulti"
    own = overridden(estimator, MultiOutputNetRegressor, _OF_FIT)
    if own:
        return f"{name} has its own {own}"
    return "warm_start is set" if estimator.warm_start else ""
