"""How a net is set up: data checked, columns resolved, the network and its loss built for them."""

from __future__ import annotations

import copy
import fnmatch
import inspect
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn.parameter import is_lazy

from skmulti._checks import check_same_length, refuse_containers
from skmulti.estimators._checking import CheckingNet
from skmulti.losses import MixedLoss
from skmulti.losses.learned import learned_parts, with_own_parameters
from skmulti.targets.columns import Columns, resolve_groups
from skmulti.targets.scaler import TargetScaler
from skmulti.targets.terms import resolve_terms
from skmulti.targets.validation import check_sample_weight, check_targets
from skmulti.targets.weights import refuse_untrainable
from skmulti.training import RandomStreams, Rows
from skmulti.training.interrupt import finish_imports
from skmulti.training.loop_choice import uncompiled
from skmulti.training.precision import precision_of
from skmulti.training.threads import multiplications

if TYPE_CHECKING:
    from typing_extensions import Self

# Attributes that describe the training data.
_OF_DATA = (
    "n_features_in_",
    "feature_names_in_",
    "input_shape_",
    "target_names_",
    "n_outputs_",
    "_input_dtype",
    "_allows_missing",
    "_encoded_shape",
    "table_encoder_",
    "input_encoder_",
    "embedding_",
    "_y_ndim",
)


class BuildingNet(CheckingNet):
    """What happens between the user's data and the first step of training."""

    criterion = MixedLoss

    # The parameters of a named estimator that are its module's.
    _module_params: tuple[str, ...] = ()
    # Valid targets, in the network's units, that stand in for missing ones.
    _fill: list[float]
    _some_missing: bool
    # What losses that the user gave are to learn, by the columns of the term: `terms_` hold copies.
    _given_parts: Mapping[tuple[int, ...], Sequence[Any]] = MappingProxyType({})

    def initialize(self, X: Any = None, y: Any = None) -> Self:
        """Build the network without training it.

        Parameters
        ----------
        X, y : array-like, default=None
            Data from which sizes, columns and scaling are read. None is enough for a net that was fitted before.

        Returns
        -------
        self : object
            The estimator, untrained.

        Raises
        ------
        ValueError
            If neither X and y nor an earlier fit give the columns.
        """
        with self._unchanged_on_error():
            if X is not None:
                with self._leaving_preset():
                    self._begin(X, y, None, (None, None, None))
                return self
            if not hasattr(self, "terms_"):
                raise ValueError(
                    f"{type(self).__name__}.initialize must be given X and y (a few rows are enough): the columns of y "
                    "and the sizes of the network come from them. Got neither, and the net was not fitted before."
                )
            self._streams = RandomStreams(self.random_state, self.device)
            with self._with_preset(), self._streams.active():
                super().initialize()
            self._network_dtype = np.float64 if precision_of(self.module_) is torch.float64 else np.float32
        return self

    def initialize_module(self) -> Self:
        """Build the network with the sizes of the data."""
        self.module_ = self._built_module()
        self._work_per_row = multiplications(self.module_, self._encoded_shape)
        return self

    def _built_module(self) -> nn.Module:
        given = self.get_params_for("module")
        module = self.module
        if isinstance(module, nn.Module) and not given:
            return copy.deepcopy(module)
        factory = type(module) if isinstance(module, nn.Module) else module
        accepted = inspect.signature(factory).parameters
        # A fitted net builds its module anew in set_params, without the checks of fit.
        self._refuse_unknown_options("module", factory)
        sizes = {name: value for name, value in self._sizes().items() if name in accepted}
        own = {name: getattr(self, name) for name in self._module_params}
        arguments = {**sizes, **own, **given}
        name = getattr(factory, "__name__", repr(factory))
        required = [
            option
            for option, parameter in accepted.items()
            if parameter.default is parameter.empty
            and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
            and option not in arguments
        ]
        if required:
            options = ", ".join(f"module__{option}=..." for option in required)
            raise TypeError(
                "The 'module' parameter must be a torch.nn.Module, its class, or a function that returns one. "
                f"{name} requires {', '.join(map(repr, required))}; pass {options}."
            )
        with self._streams.active():
            built: nn.Module = factory(**arguments)
        if not isinstance(built, nn.Module):
            raise TypeError(
                "The 'module' parameter must be a torch.nn.Module, its class, or a function that returns one. "
                f"{name} returned {built!r}."
            )
        if any(is_lazy(parameter) for parameter in built.parameters()):
            raise ValueError(
                "The 'module' parameter must be a module that knows its sizes when it is built. Got one with lazy "
                "layers; give its __init__ a parameter 'input_shape', which receives the shape of a row."
            )
        return built

    def initialize_optimizer(self, *args: Any) -> Self:
        """Build the optimizer, and refuse groups of parameters that match nothing or set nothing."""
        groups = getattr(self, "optimizer__param_groups", [])
        if not isinstance(groups, (list, tuple)) or not all(
            isinstance(group, (list, tuple)) and len(group) == 2 and isinstance(group[1], dict) for group in groups
        ):
            raise ValueError(
                "The 'optimizer__param_groups' parameter must be a list of pairs (pattern of parameter names, {option: "
                f"value}}). Got {groups!r} instead."
            )
        names = [name for name, _ in self.get_all_learnable_params()]
        for pattern, _ in groups:
            if not fnmatch.filter(names, pattern):
                raise ValueError(
                    "The 'optimizer__param_groups' parameter must hold patterns that match parameters of the module: "
                    f"{', '.join(names)}. Got {pattern!r}."
                )
        self._build_optimizer(*args)
        for pattern, options in groups:
            unknown = [option for option in options if option not in self.optimizer_.defaults]
            if unknown:
                raise ValueError(
                    f"The 'optimizer__param_groups' parameter must set options of {type(self.optimizer_).__name__}: "
                    f"{', '.join(self.optimizer_.defaults)}. Got {', '.join(map(repr, unknown))} for {pattern!r}."
                )
        return self

    def _build_optimizer(self, *args: Any) -> None:
        """Build the optimizer as skorch does, with errors that name its parameters."""
        own = [
            name
            for name in self._get_param_names()
            if name.startswith("optimizer__") and name != "optimizer__param_groups"
        ]
        name = getattr(self.optimizer, "__name__", repr(self.optimizer))
        finish_imports()
        try:
            super().initialize_optimizer(*args)
        except (TypeError, ValueError) as error:
            taken = ", ".join(f"{param}={vars(self)[param]!r}" for param in ["lr", *own])
            raised = TypeError if isinstance(error, TypeError) else ValueError
            if own and _is_own_class_of_torch(self.optimizer):
                raise raised(
                    f"The {', '.join(map(repr, own))} parameter{'s' * (len(own) > 1)} must be valid for {name}. "
                    f"Got {taken}; {name} raised: {error}"
                ) from error
            raise raised(
                "The 'optimizer' parameter must be a class of torch.optim.Optimizer that takes the parameters of the "
                f"module and {taken}. {name} refused: {error}"
            ) from error
        if not hasattr(self.optimizer_, "step"):
            raise TypeError(f"The 'optimizer' parameter must be a class of torch.optim.Optimizer. Got {name} instead.")

    def initialize_criterion(self) -> Self:
        """Build the total loss from the table of terms."""
        if self.get_params_for("criterion"):
            raise ValueError("The criterion has no parameters of its own. Give 'loss' and 'loss_weights' instead.")
        self.criterion_ = MixedLoss(self.terms_, fill=self._fill if self._some_missing else None)
        self._reader = self.criterion_.with_fill(self._fill)
        return self

    def _sizes(self) -> dict[str, Any]:
        """Return the sizes passed to the module, by the name of its parameter."""
        return {"input_shape": self._encoded_shape, "n_outputs": sum(len(term.raw) for term in self.terms_)}

    def _groups(self, columns: tuple[str, ...]) -> Columns:
        """Return the columns with the groups that the user named."""
        return resolve_groups(columns, self.column_groups, parameter="column_groups")

    def _head_columns(self, columns: Columns) -> list[tuple[int, ...]] | None:
        """Return the columns of each head of the module; None where it has no heads."""
        return None

    def _begin(
        self, X: Any, y: Any, sample_weight: Any, validation: tuple[Any, Any, Any], groups: Any = None
    ) -> tuple[Rows, Rows | None]:
        """Check everything, resolve the columns and build the net; return the checked data."""
        self._check_parameters()
        refuse_containers(X, "X")
        if y is None:
            raise ValueError(f"This {type(self).__name__} estimator requires y to be passed, but the target y is None.")
        self._settle(_shape_of(X))
        targets = check_targets(y, missing=self.missing_targets == "mask", keep_float32=True)
        inputs = self._check_inputs(X, reset=True, min_samples=2)
        check_same_length(("X", "y"), inputs, targets.values)
        self.target_names_ = np.array(targets.names, dtype=object)
        self.n_outputs_ = len(targets.names)
        self._y_ndim = targets.ndim
        self._refuse_empty_columns(targets)
        weights = check_sample_weight(sample_weight, len(inputs), targets.names)
        rows = Rows(inputs, targets.values, weights, self._check_groups(groups, len(inputs))).without_ignored()
        self._refuse_single_row(rows, sample_weight)
        holdout = self._check_holdout(*validation, groups=groups)
        self._set_up(rows, holdout)
        return rows, holdout

    def _begin_beside(self, other: BuildingNet, rows: Rows, holdout: Rows | None) -> None:
        """Build the net for the checked data of a net that has begun, without checking it again.

        Parameters
        ----------
        other : BuildingNet
            A net that has begun with the same data and the same `missing_targets`.
        rows, holdout : Rows, Rows or None
            What its `_begin` returned.
        """
        self._check_parameters()
        # Not by the shape of the checked rows: some may have been left out, and categories have columns of their own.
        self._settle(other._settled_for)
        self._take_data_of(other)
        self._set_up(rows, holdout, beside=other)

    def _begin_as(self, other: BuildingNet) -> None:
        """Build the net for the data, the losses and the weights of a net that has begun."""
        self._take_data_of(other)
        self._take_terms_of(other)
        self.initialize()

    def _take_data_of(self, other: BuildingNet) -> None:
        for name in _OF_DATA:
            self.__dict__.pop(name, None)
            if name in vars(other):
                setattr(self, name, vars(other)[name])

    def _take_terms_of(self, other: BuildingNet) -> None:
        self._take_terms(other.terms_, other._given_parts)
        self.target_scaler_ = other.target_scaler_
        self._some_missing, self._fill = other._some_missing, other._fill

    def _set_up(self, rows: Rows, holdout: Rows | None, beside: BuildingNet | None = None) -> None:
        """Resolve the columns, scale the targets and build the network."""
        self._given_parts = {}
        self._take_terms(self._resolve_terms(rows))
        self._refuse_holdout(holdout)
        if beside is not None and self._scales_as(beside):
            self.target_scaler_ = beside.target_scaler_
            self._some_missing, self._fill = beside._some_missing, beside._fill
        else:
            self.target_scaler_ = TargetScaler.fit(
                rows.y, self.terms_, standardize=self.scale_targets, sample_weight=rows.sample_weight
            )
            self._note_missing(rows, holdout)
        if beside is None:
            self._learn_encoding(rows)
        self._learn_embedding(rows)
        self.initialize()

    def _scales_as(self, other: BuildingNet) -> bool:
        """Return whether the targets of another net are scaled as ours: weights do not matter."""
        if self._given_parts or other._given_parts:
            return False
        ours, theirs = ([(term.columns, term.loss) for term in net.terms_] for net in (self, other))
        return self.scale_targets is other.scale_targets and ours == theirs

    def _take_terms(self, terms: Any, given: Mapping[tuple[int, ...], Sequence[Any]] | None = None) -> None:
        """Take a table of terms, with copies of the parameters that its losses learn.

        `given` are those of the user's losses, by which a loss is known again that is to go on with what it learned.
        """
        if given is None:
            given = {term.columns: parts for term in terms if (parts := learned_parts(term.loss))}
        before = uncompiled(self.criterion_).terms if self._given_parts else ()
        self.terms_ = with_own_parameters(terms, before, given, self._given_parts) if given else terms
        self._given_parts = given

    def _resolve_terms(self, rows: Rows, before: Any = ()) -> Any:
        columns = self._groups(tuple(self.target_names_))
        overrides = {name: value for name, value in vars(self).items() if name.startswith(("loss__", "loss_weights__"))}
        terms = resolve_terms(
            self.loss,
            self.loss_weights,
            columns,
            rows.y,
            sample_weight=rows.sample_weight,
            overrides=overrides,
            heads=self._head_columns(columns),
            before=before,
        )
        if self.scale_targets:
            refuse_untrainable(terms)
        return terms

    def _change_terms(self, rows: Rows, holdout: Rows | None) -> None:
        """Take losses and weights that were set since the last fit, if they fit the network."""
        terms = self._resolve_terms(rows, before=self.terms_)
        if [(term.columns, term.raw) for term in terms] != [(term.columns, term.raw) for term in self.terms_]:
            raise ValueError(
                "The 'loss' parameter must keep the raw outputs of a net that goes on training. Got losses that need "
                "others; use fit with warm_start=False."
            )
        self._take_terms(terms)
        self._refuse_holdout(holdout)
        self.target_scaler_ = self.target_scaler_.thaw(rows.y)
        self._note_missing(rows, holdout)
        self._renew_criterion()

    def _renew_criterion(self) -> None:
        learned = list(uncompiled(self.criterion_).parameters())
        self.initialize_criterion()
        self.criterion_.to(self.device)
        now = list(uncompiled(self.criterion_).parameters())
        if len(now) != len(learned) or any(ours is not theirs for ours, theirs in zip(now, learned, strict=True)):
            self._initialize_optimizer()

    def _note_missing(self, rows: Rows, holdout: Rows | None) -> None:
        """Find out whether targets are missing, and a valid row of each term that may stand in for them."""
        self._some_missing = any(part.has_missing_targets or part.has_zero_weights for part in (rows, holdout) if part)
        all_count = rows.sample_weight is None and not rows.has_missing_targets
        fill = rows.y[0].astype(np.float64) if all_count else np.full(self.n_outputs_, np.nan)
        for term in self.terms_ if not all_count else ():
            columns = list(term.columns)
            complete = ~np.isnan(rows.y[:, columns]).any(axis=1)
            if rows.sample_weight is not None and rows.sample_weight.shape[1] > 1:
                complete &= (rows.sample_weight[:, columns] > 0).any(axis=1)
            fill[columns] = rows.y[np.argmax(complete)][columns] if complete.any() else np.nan
        values = self.target_scaler_.transform(torch.as_tensor(fill)).tolist()
        # A later call of partial_fit may have no row of a term: what stood in before still does.
        self._fill = [self._fill[i] if np.isnan(value) else value for i, value in enumerate(values)]


def _is_own_class_of_torch(optimizer: Any) -> bool:
    """Return whether an optimizer is one of torch's: then its options are wrong, not the class."""
    return isinstance(optimizer, type) and optimizer.__module__.startswith("torch.optim")


def _shape_of(X: Any) -> tuple[int, ...]:
    """Return what seems to be the shape of a table or of images: X has not been checked yet."""
    try:
        shape = tuple(getattr(X, "shape", None) or np.shape(X if isinstance(X, (list, tuple)) else ()))
    except ValueError:
        # Rows of several lengths, which the check refuses.
        shape = (len(X), 1)
    return shape if len(shape) > 1 else (*(shape or (0,)), 1)
