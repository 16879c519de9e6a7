"""The state of a net before a call, to which it returns if the call fails."""

from __future__ import annotations

import copy
import functools
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

_Method = TypeVar("_Method", bound=Callable[..., Any])


class Turn:
    """The training of a net in one thread, and the last finished state, which other threads read meanwhile.

    Parameters
    ----------
    net : net
        The net, before its training begins.
    in_place : bool
        Whether the training changes the network in place.

    Attributes
    ----------
    finished : net or None
        The net as it is before; None if its network can't be copied.
    """

    def __init__(self, net: Any, *, in_place: bool) -> None:
        self._thread, self._process = threading.get_ident(), os.getpid()
        try:
            self.finished = _twin(net, in_place=in_place)
        except Exception:
            # Copying may run arbitrary code of a custom module.
            self.finished = None

    @property
    def is_ours(self) -> bool:
        """Whether this thread trains the net."""
        return self._thread == threading.get_ident()

    @property
    def is_lost(self) -> bool:
        """Whether this process was forked during the training: the training thread runs in the parent only."""
        return not self.is_ours and self._process != os.getpid()


def _twin(net: Any, *, in_place: bool) -> Any:
    """Return a copy of a net that training the original does not change."""
    memo: dict[int, Any] = {}

    def twin_of(net: Any) -> Any:
        twin = object.__new__(type(net))
        vars(twin).update(vars(net))
        if in_place and net.initialized_:
            names = [f"{name}_" for name in (*net._modules, *net._optimizers)]
            # One memo, so that the copied optimizer and ensemble share the copied parameters.
            vars(twin).update({name: copy.deepcopy(vars(net)[name], memo) for name in names if name in vars(net)})
            twin.history_, twin._streams = copy.copy(net.history_), copy.deepcopy(net._streams)
            twin.callbacks_ = [(name, copy.copy(callback)) for name, callback in net.callbacks_]
        return twin

    twin = twin_of(net)
    if in_place and "members_" in vars(net):
        twin.__dict__["members_"] = [twin_of(member) for member in net.members_]
    return twin


def of_one_state(method: _Method) -> _Method:
    """Make a method read one finished state of a net while other threads may train it."""

    @functools.wraps(method)
    def read(self: Any, *args: Any, **kwargs: Any) -> Any:
        while True:
            stamp, net = self._stamp, self._finished()
            if net is not self:
                return method(net, *args, **kwargs)
            try:
                answer = method(self, *args, **kwargs)
            except Exception:
                if self._stamp is stamp:
                    raise
            else:
                if self._stamp is stamp:
                    return answer
            # A training began in another thread: the answer may mix both states, so read again.

    return cast(_Method, read)


class Before:
    """The state of a net and of its members at one moment.

    Attributes are kept by reference: what a call replaces is restored at no cost. What training changes in place
    (parameters, buffers, optimizer state, random streams, the length of the history) is copied if
    `in_place`.

    Parameters
    ----------
    nets : sequence of nets
        The net, then its members if it is an ensemble.
    in_place : bool, default=False
        Whether what follows changes the network in place.

    Attributes
    ----------
    was_built : bool
        Whether the net had a network.

    Examples
    --------
    >>> from skmulti import MultiOutputMLPRegressor
    >>> from skmulti.estimators._before import Before
    >>> net = MultiOutputMLPRegressor(max_epochs=1)
    >>> before = Before([net])
    >>> net.max_epochs = 2
    >>> before.restore()
    >>> net.max_epochs
    1
    """

    def __init__(self, nets: Sequence[Any], *, in_place: bool = False) -> None:
        self._nets = [(net, dict(vars(net))) for net in nets]
        self._net, self._history = nets[0], nets[0].history_
        self._n_epochs = len(self._history or ())
        self.was_built = bool(nets[0].initialized_)
        self._changes = [_InPlace(net) for net in nets if in_place and net.initialized_]

    @property
    def has_new_epoch(self) -> bool:
        """Whether the net has finished an epoch since."""
        return self.n_new_epochs > 0

    @property
    def n_new_epochs(self) -> int:
        """The number of epochs that the net has finished since."""
        history = self._net.history_
        return len(history or ()) - (self._n_epochs if history is self._history else 0)

    def restore(self) -> None:
        """Restore this state of the net and its members."""
        for net, attributes in self._nets:
            held = vars(net)
            # Update before deleting, because other threads may read attributes meanwhile.
            held.update(attributes)
            for name in [name for name in held if name not in attributes]:
                del held[name]
        for change in self._changes:
            change.restore()


class _InPlace:
    """Copies of the tensors, optimizer state and random streams that training changes in place."""

    def __init__(self, net: Any) -> None:
        self._numbers = [(number, number.detach().clone()) for number in _numbers(net)]
        optimizers = [getattr(net, f"{name}_", None) for name in net._optimizers]
        self._optimizers = [
            (own, {p: copy.deepcopy(state) for p, state in own.state.items()}, [dict(g) for g in own.param_groups])
            for own in optimizers
            if own is not None
        ]
        self._history, self._n_epochs = net.history_, len(net.history_ or ())
        self._streams = net._streams
        self._state_of_streams = self._streams.__getstate__()

    def restore(self) -> None:
        with torch.no_grad():
            for number, value in self._numbers:
                number.copy_(value)
        for optimizer, states, groups in self._optimizers:
            optimizer.state.clear()
            optimizer.state.update(states)
            for group, options in zip(optimizer.param_groups, groups, strict=True):
                group.clear()
                group.update(options)
        if self._history is not None:
            del self._history[self._n_epochs :]
        self._streams.__setstate__(self._state_of_streams)


def _numbers(net: Any) -> list[Tensor]:
    """Return the parameters and buffers of a net; an ensemble shares those of its members."""
    parts = [getattr(net, f"{name}_", None) for name in (*net._modules, *net._criteria)]
    return [number for part in parts if isinstance(part, nn.Module) for number in (*part.parameters(), *part.buffers())]
