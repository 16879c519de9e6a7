"""Groups of fits that share the steps before their networks."""

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
    """The fits of one split whose preceding steps have equal settings, so that their networks get the same data.

    Attributes
    ----------
    fits : list of Fit
        The fits.
    fitted : estimator
        The estimator of the first fit, with fitted steps.
    call : Call or None
        The arguments of the networks' `fit`.
    seconds : float
        The duration of fitting the steps.
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
    net_name = "__".join(fit.place.path)
    settings = {name: value for name, value in fit.params.items() if name != net_name}
    if not net_name:
        return ()
    key = [(name, _identity(value)) for name, value in sorted(settings.items()) if not name.startswith(f"{net_name}__")]
    if has_fit_params and net_name in fit.params:
        # Another network may request other metadata.
        key.append(("", str(get_routing_for_object(fit.place.net_of(fit.estimator)))))
    return tuple(key)


def _identity(value: Any) -> Any:
    if isinstance(value, _SIMPLE):
        return type(value), value
    try:
        return joblib.hash(value)
    except Exception:
        # A value that cannot be hashed equals only the same object.
        return id(value)
