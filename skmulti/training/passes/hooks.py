"""Detection of hooks and replaced methods: a module that has some must be called, not bypassed by an analytic pass."""

from __future__ import annotations

import torch
from torch import nn

# Hooks for all modules, as added by `torch.nn.modules.module.register_module_forward_hook`.
_GLOBAL_HOOKS = [
    getattr(torch.nn.modules.module, f"_global_{kind}_hooks")
    for kind in ("forward", "forward_pre", "backward", "backward_pre")
]


def does_more(module: nn.Module) -> bool:
    """Return whether a call of a module does more than the `forward` methods of its classes.

    That is the case with hooks on the module, on a submodule or on all modules, and with a `forward` set on an
    instance.

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
    return any(map(bool, _GLOBAL_HOOKS)) or _does_more(module)


def _does_more(module: nn.Module) -> bool:
    added = (
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
        or "forward" in vars(module)
    )
    return bool(added) or any(_does_more(part) for part in module._modules.values() if part is not None)
