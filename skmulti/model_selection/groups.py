"""Which fits may share the steps before their nets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import joblib
from sklearn.utils.metadata_routing import get_routing_for_object

from skmulti.model_selection.pipelines import Call

_SIMPLE = (bool, int, float, str, type(None))


@dataclass
class Group:
    """The fits of one split whose nets are given the same by the same steps.

    Attributes
    ----------
    fits : list of Fit
        The fits.
    fitted : estimator
        The first one's estimator with its steps fitted.
    call : Call or None
        What the nets are given.
    seconds : float
        The time of the steps.
    """

    fits: list[Any] = field(default_factory=list)
    fitted: Any = None
    call: Call | None = None
    seconds: float = 0.0


def group_fits(fits: Sequence[Any], *, has_fit_params: bool) -> list[Group]:
    """Return the groups of fits, split by split."""
    groups: dict[Any, Group] = {}
    for fit in fits:
        key = (fit.split, fit.place, _settings_of_steps(fit, has_fit_params))
        groups.setdefault(key, Group()).fits.append(fit)
    return sorted(groups.values(), key=lambda group: int(group.fits[0].split))


def _settings_of_steps(fit: Any, has_fit_params: bool) -> tuple[Any, ...]:
    of_net = "__".join(fit.place.path)
    settings = {name: value for name, value in fit.params.items() if name != of_net}
    if not of_net:
        return ()
    key = [(name, _identity(value)) for name, value in sorted(settings.items()) if not name.startswith(f"{of_net}__")]
    if has_fit_params and of_net in fit.params:
        # Another net may ask for other metadata.
        key.append(("", str(get_routing_for_object(fit.place.net_of(fit.estimator)))))
    return tuple(key)


def _identity(value: Any) -> Any:
    if isinstance(value, _SIMPLE):
        return type(value), value
    try:
        return joblib.hash(value)
    except Exception:
        # What can't be hashed is the same only where the candidates hold one object.
        return id(value)
