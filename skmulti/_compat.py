"""Private and version-dependent names of scikit-learn, skorch and torch, with the reason for each.

No other file of the package names them (``tests/test_architecture.py`` checks this), so that only this file changes
with a new release of these packages. Tested with scikit-learn 1.7 to 1.9, skorch 1.2 to 1.4 and torch 2.6 to 2.13.
"""

from __future__ import annotations

import torch

# Validates constructor parameters by `_parameter_constraints`; scikit-learn's own estimators do it this way, and there
# is no public counterpart.
from sklearn.base import _fit_context as fit_context

# Selects rows of arrays, data frames, sparse matrices and lists alike.
from sklearn.utils import _safe_indexing as safe_indexing

# Move scores between array namespaces, as scikit-learn's cross-validation does.
from sklearn.utils._array_api import device, get_namespace

# The types of `_parameter_constraints`.
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    Options,
    validate_parameter_constraints,
)
from sklearn.utils._param_validation import StrOptions as _StrOptions

# Whether metadata routing is enabled: the searches route metadata as scikit-learn's searches do.
from sklearn.utils.metadata_routing import _routing_enabled as routing_enabled

# Selects the rows of one fold from X and y, including precomputed kernels.
from sklearn.utils.metaestimators import _safe_split as safe_split

# The checks that scikit-learn's own metrics and searches apply to weights, fit parameters and numbers of rows.
from sklearn.utils.validation import _check_method_params as check_method_params
from sklearn.utils.validation import _check_sample_weight as check_row_weights
from sklearn.utils.validation import _num_samples as num_samples

# The common base of all batch normalisations.
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm

# The common base of all convolutions.
from torch.nn.modules.conv import _ConvNd as ConvNd

# Hooks that observe every optimizer: a fused step must not bypass them.
from torch.optim.optimizer import _global_optimizer_post_hooks as global_optimizer_post_hooks
from torch.optim.optimizer import _global_optimizer_pre_hooks as global_optimizer_pre_hooks


def import_dynamo() -> None:
    """Import what torch imports when the first optimizer of a process is built, sympy included."""
    import torch._dynamo  # noqa: F401


class StrOptions(_StrOptions):
    """The strings that a parameter may be.

    scikit-learn's class prints a set, in an order that differs between processes; this class sorts it.
    """

    def __str__(self) -> str:
        return f"a str among {{{', '.join(sorted(map(repr, self.options)))}}}"


# The kernels behind torch.optim's fused optimizers. A class of torch.optim adds more time per step than a small
# network takes.
fused_adam_ = torch._fused_adam_
fused_adamw_ = torch._fused_adamw_
fused_sgd_ = torch._fused_sgd_

# Copies a list of tensors in one call.
foreach_copy_ = torch._foreach_copy_

# The backward pass of a convolution, without a graph.
convolution_backward = torch.ops.aten.convolution_backward

__all__ = [
    "BatchNorm",
    "ConvNd",
    "HasMethods",
    "Interval",
    "Options",
    "StrOptions",
    "check_method_params",
    "check_row_weights",
    "convolution_backward",
    "device",
    "fit_context",
    "foreach_copy_",
    "fused_adam_",
    "fused_adamw_",
    "fused_sgd_",
    "get_namespace",
    "global_optimizer_post_hooks",
    "global_optimizer_pre_hooks",
    "import_dynamo",
    "num_samples",
    "routing_enabled",
    "safe_indexing",
    "safe_split",
    "validate_parameter_constraints",
]
