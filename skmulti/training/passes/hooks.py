"""Whether a module does more when it is called than its class says: then nobody may go past the call."""

from __future__ import annotations

import torch
from torch import nn

_OF_ALL = [
    getattr(torch.nn.modules.module, f"_global_{kind}_hooks")
    for kind in ("forward", "forward_pre", "backward", "backward_pre")
]


def does_more(module: nn.Module) -> bool:
    """Return whether there are hooks on a module, on a part of it or on all modules, or methods of its own.

    Parameters
    ----------
    module : torch.nn.Module
        The module.

    Examples
    --------
    >>> import torch
    >>> from skmulti.training.passes.hooks import does_more
    >>> net = torch.nn.Sequential(torch.nn.ReLU())
    >>> does_more(net)
    False
    >>> _ = net[0].register_forward_hook(print)
    >>> does_more(net)
    True
    """
    return any(map(bool, _OF_ALL)) or _does_more(module)


def _does_more(module: nn.Module) -> bool:
    own = (
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
        or "forward" in vars(module)
    )
    return bool(own) or any(_does_more(part) for part in module._modules.values() if part is not None)
