"""Losses with learnable parameters, which are trained together with the network."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from torch import nn

from skmulti.losses.base import ColumnLoss

if TYPE_CHECKING:
    from skmulti.losses.family import Term


def learned_parts(loss: ColumnLoss) -> list[Any]:
    """Return the modules and parameters of a loss that training updates.

    Parameters
    ----------
    loss : ColumnLoss
        The loss. Its fields are searched, and those of a callable that it holds.

    Returns
    -------
    parts : list of torch.nn.Module or torch.nn.Parameter
        Modules with a parameter that requires a gradient, and such parameters.

    Examples
    --------
    >>> import torch
    >>> from skmulti.losses import TorchLoss
    >>> from skmulti.losses.learned import learned_parts
    >>> class Weighted(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.log_scale = torch.nn.Parameter(torch.zeros(()))
    ...
    ...     def forward(self, raw, y):
    ...         return (raw - y) ** 2 * torch.exp(-self.log_scale) + self.log_scale
    >>> learned_parts(TorchLoss(Weighted()))
    [Weighted()]
    """
    inside: dict[str, Any] = {**getattr(loss, "__dict__", {})}
    if dataclasses.is_dataclass(loss):
        inside.update({f.name: getattr(loss, f.name) for f in dataclasses.fields(loss)})
    return [part for value in (loss, *inside.values()) for part in _learned(value)]


def _learned(value: Any) -> list[Any]:
    if isinstance(value, nn.Parameter):
        return [value] if value.requires_grad else []
    if isinstance(value, nn.Module):
        return [value] if any(parameter.requires_grad for parameter in value.parameters()) else []
    if isinstance(value, partial):
        return [part for inner in (value.func, *value.args, *value.keywords.values()) for part in _learned(inner)]
    owner = getattr(value, "__self__", None)
    if owner is not None:
        return _learned(owner)
    if callable(value) and not isinstance(value, (type, ColumnLoss)):
        # An instance of a custom class with __call__; functions have no parameters as attributes.
        inside = getattr(value, "__dict__", {}).values()
        return [part for inner in inside if isinstance(inner, (nn.Parameter, nn.Module)) for part in _learned(inner)]
    return []


def with_own_parameters(terms: Sequence[Term], before: Sequence[Term], given: Any, given_before: Any) -> Any:
    """Return terms whose losses hold copies of their parameters that no other net shares.

    Parameters
    ----------
    terms : sequence of Term
        The resolved terms.
    before : sequence of Term
        The terms of the net's present criterion: a loss that the user did not replace keeps its trained parameters.
    given, given_before : mapping of tuple of int to list
        The results of `learned_parts` for the losses given by the user, keyed by the columns of the term, for `terms`
        and for `before`.

    Returns
    -------
    terms : tuple of Term
        Losses without learnable parameters are the same objects, all others are copies.
    """
    known = {term.columns: term.loss for term in before}
    kept, new = {}, {}
    for term in terms:
        parts, earlier = given.get(term.columns), given_before.get(term.columns)
        if not parts:
            continue
        if term.columns in known and _are_same(parts, earlier):
            kept[term.columns] = known[term.columns]
        else:
            new[term.columns] = term.loss
    # One deepcopy of all keeps a module shared that several losses share.
    copies = {**kept, **copy.deepcopy(new)}
    return tuple(
        dataclasses.replace(term, loss=copies[term.columns]) if term.columns in copies else term for term in terms
    )


def _are_same(parts: Sequence[Any], earlier: Sequence[Any] | None) -> bool:
    return (
        earlier is not None
        and len(parts) == len(earlier)
        and all(new is old for new, old in zip(parts, earlier, strict=True))
    )
