"""The layers of networks for rows of features: one chain, and heads side by side on what it emits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from skmulti.modules import MLP, MultiHead
from skmulti.modules.mlp import _MLPTrunk


@dataclass(frozen=True)
class Layout:
    """The layers of a network.

    Attributes
    ----------
    trunk : list of nn.Module
        The layers that all rows go through, one after the other.
    heads : list of list of nn.Module
        The layers of each head, whose outputs stand side by side; empty where the trunk is all there is.
    """

    trunk: list[nn.Module]
    heads: list[list[nn.Module]]

    @property
    def chains(self) -> list[list[nn.Module]]:
        """Return the trunk and the heads."""
        return [self.trunk, *self.heads]


def layout_of(module: Any, input_shape: tuple[int, ...]) -> Layout | None:
    """Return the layers of a network whose calls do no more than go through them, None for any other.

    Parameters
    ----------
    module : torch.nn.Module
        The network.
    input_shape : tuple of int
        The shape of one row of the inputs.

    Examples
    --------
    >>> from skmulti.modules import MLP
    >>> from skmulti.training.passes.layout import layout_of
    >>> layout_of(MLP(input_shape=2, n_outputs=1, hidden_layer_sizes=(3,)), (2,)).trunk
    [Linear(in_features=2, out_features=3, bias=True), ReLU(), Linear(in_features=3, out_features=1, bias=True)]
    """
    flatten: list[nn.Module] = [] if len(input_shape) == 1 else [nn.Flatten()]
    if type(module) is MultiHead and type(module.trunk) is _MLPTrunk:
        heads: list[Any] = list(module.heads.values())
        return Layout([*flatten, *module.trunk.hidden], [list(head) for head in heads])
    if type(module) is MLP:
        return Layout([*flatten, *module.hidden, module.output], [])
    if type(module) is nn.Sequential and (len(input_shape) == 1 or type(module[0]) is nn.Flatten):
        return Layout(list(module), [])
    return None
