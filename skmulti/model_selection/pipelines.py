"""The network at the end of a pipeline: its place, the data that its `fit` receives, and its replacement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sklearn.pipeline import Pipeline

from skmulti.estimators.net import MultiOutputNetRegressor
from skmulti.training.loop_choice import overridden

# A network whose class overrides one of these is trained by its own `fit`.
_FIT_METHODS = ("fit", "_begin", "_begin_beside", "_set_up", "_train")
_FIT_PARAMS = {"sample_weight", "X_val", "y_val", "sample_weight_val"}


@dataclass(frozen=True)
class Place:
    """The place of the network in an estimator.

    Attributes
    ----------
    path : tuple of str
        The names of the last steps of nested pipelines; empty if the estimator is the network.
    why_not : str
        The reason why only the `fit` of the estimator can train it, or an empty string.
    """

    path: tuple[str, ...]
    why_not: str = ""

    @classmethod
    def of(cls, estimator: Any) -> Place:
        """Find the network in an estimator."""
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
        """Return the network of an estimator."""
        for _ in self.path:
            estimator = estimator.steps[-1][1]
        return estimator

    def with_net(self, estimator: Any, net: Any) -> Any:
        """Return an estimator with the same fitted steps and another network."""
        if not self.path:
            return net
        inner = Place(self.path[1:]).with_net(estimator.steps[-1][1], net)
        pipeline = shallow_copy(estimator)
        vars(pipeline)["steps"] = [*estimator.steps[:-1], (self.path[0], inner)]
        return pipeline


@dataclass
class Call:
    """The arguments of a call of `fit` of a network."""

    X: Any
    y: Any
    sample_weight: Any = None
    X_val: Any = None
    y_val: Any = None
    sample_weight_val: Any = None


def record_fit(estimator: Any, place: Place, X: Any, y: Any, fit_params: dict[str, Any]) -> Call | None:
    """Fit the steps before the network and return the arguments of its `fit`, without running it.

    scikit-learn's own code fits the steps and routes the parameters. The result is None if the arguments are not those
    of `MultiOutputNetRegressor.fit`.
    """
    calls: list[Call | None] = []

    def fit(*args: Any, **params: Any) -> None:
        is_usual = len(args) == 2 and set(params) <= _FIT_PARAMS
        calls.append(Call(*args, **params) if is_usual else None)

    net = place.net_of(estimator)
    # On the instance: an object of another class would have other metadata requests.
    vars(net)["fit"] = fit
    try:
        estimator.fit(X, **fit_params) if y is None else estimator.fit(X, y, **fit_params)
    finally:
        del vars(net)["fit"]
    return calls[0] if len(calls) == 1 and place.net_of(estimator) is net else None


def shallow_copy(estimator: Any) -> Any:
    """Return an estimator with the same attributes, fitted ones too: `copy.copy` would run its pickling methods."""
    copied = object.__new__(type(estimator))
    vars(copied).update(vars(estimator))
    return copied


def _why_own_fit(estimator: Any) -> str:
    name = type(estimator).__name__
    if not isinstance(estimator, MultiOutputNetRegressor):
        return f"{name} is not an estimator of skmulti"
    overrides = overridden(estimator, MultiOutputNetRegressor, _FIT_METHODS)
    if overrides:
        return f"{name} overrides {overrides}"
    return "warm_start is set" if estimator.warm_start else ""
