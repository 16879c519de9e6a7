"""The layers of networks for rows of features: a trunk, and heads that share its output."""

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
        The layers of the trunk, in the order in which they are applied.
    heads : list of list of nn.Module
        The layers of each head. Their outputs are concatenated; empty if the network has no heads.
    """

    trunk: list[nn.Module]
    heads: list[list[nn.Module]]

    @property
    def chains(self) -> list[list[nn.Module]]:
        """Return the trunk followed by the heads."""
        return [self.trunk, *self.heads]


def layout_of(module: Any, input_shape: tuple[int, ...]) -> Layout | None:
    """Return the layers of a network that only applies them in order, None for any other network.

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
