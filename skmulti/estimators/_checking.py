"""What a net refuses: parameters, rows and targets that can't be what they are given for."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import column_or_1d
from skorch.dataset import Dataset
from torch.utils.data import DataLoader

from skmulti._checks import check_same_length, did_you_mean, has_nan
from skmulti.estimators._constraints import check_constraints
from skmulti.estimators._effort import EffortNet
from skmulti.estimators.presets import AS_GIVEN
from skmulti.targets.validation import Targets, check_sample_weight, check_targets
from skmulti.training import Rows, TensorLoader
from skmulti.training.threads import check_n_threads

# How torch says that layers and inputs have other sizes, and that batch normalisation got a single row.
_OF_SIZES = re.compile(
    r"shapes cannot be multiplied|to have \d+ channels|normalized_shape|running_mean should|invalid for input of size"
)
_OF_NO_GRADIENT = "does not require grad and does not have a grad_fn"
_OF_ONE_ROW = "Expected more than 1 value per channel when training"


class CheckingNet(EffortNet):
    """The checks of what a net is given, before anything of it is changed."""

    _parameter_constraints: dict[str, Any] = {}
    # Prefixes of parameters that belong to the estimator, not to one of skorch's components.
    _own_prefixes = ("loss", "loss_weights")

    def _refuse_holdout(self, holdout: Rows | None) -> None:
        """Let each loss refuse validation targets, as it does training targets."""
        if holdout is None:
            return
        for term in self.terms_:
            columns = list(term.columns)
            held_out = holdout.y[:, columns].astype(np.float64)
            held_out = held_out[~np.isnan(held_out).any(axis=1)]
            if len(held_out):
                # Called for what it refuses: the loss has learned from the training rows already.
                term.loss.adapt_to(held_out, tuple(f"{self.target_names_[i]} of y_val" for i in columns))

    def _refuse_empty_columns(self, targets: Targets) -> None:
        if not has_nan(targets.values):
            return
        empty = [name for name, none in zip(targets.names, np.isnan(targets.values).all(axis=0), strict=True) if none]
        if empty:
            raise ValueError(
                f"y must have a value in each column. Got none in {', '.join(map(repr, empty))}. Leave these columns "
                "out of y; in a cross-validation or a search, use shuffled or fewer folds."
            )

    def _refuse_single_row(self, rows: Rows, sample_weight: Any) -> None:
        if len(rows.y) < 2:
            what = "y" if sample_weight is None else "The 'sample_weight' parameter"
            counts = "a target" if sample_weight is None else "a weight above zero, and a target"
            raise ValueError(f"{what} must leave two rows or more with {counts}. Got {len(rows.y)}.")

    def _check_targets(self, y: Any, *, parameter: str, missing: bool, keep_float32: bool = False) -> Targets:
        targets = check_targets(y, parameter=parameter, missing=missing, keep_float32=keep_float32)
        names = tuple(self.target_names_)
        if len(targets.names) != len(names) or (_named(y) and _was_named(names) and targets.names != names):
            raise ValueError(
                f"{parameter} must have the columns of y in fit: {', '.join(map(repr, names))}. "
                f"Got {', '.join(map(repr, targets.names))}."
            )
        return targets

    def _check_rows(self, X: Any, y: Any, sample_weight: Any, suffix: str = "", groups: Any = None) -> Rows:
        """Check rows against those of the first fit; the suffix belongs to the names of the arguments."""
        missing = self.missing_targets == "mask"
        targets = self._check_targets(y, parameter=f"y{suffix}", missing=missing, keep_float32=True)
        inputs = self._check_inputs(X, parameter=f"X{suffix}")
        check_same_length((f"X{suffix}", f"y{suffix}"), inputs, targets.values)
        names = tuple(self.target_names_)
        weights = check_sample_weight(sample_weight, len(inputs), names, parameter=f"sample_weight{suffix}")
        return Rows(inputs, targets.values, weights, self._check_groups(groups, len(inputs))).without_ignored()

    def _check_groups(self, groups: Any, n_rows: int) -> np.ndarray | None:
        """Check labels of rows, or say that nobody would look at them."""
        if groups is None:
            return None
        if self.train_split is None:
            raise ValueError(
                "The 'groups' argument is for 'train_split', which decides about validation rows. Got groups and "
                "train_split=None; use for example train_split=ValidSplit(GroupKFold(5)) (skorch.dataset.ValidSplit)."
            )
        labels = column_or_1d(groups)
        if len(labels) != n_rows:
            raise ValueError(f"The 'groups' argument must have one label per row, {n_rows}. Got {len(labels)} instead.")
        return labels

    def _check_holdout(self, X_val: Any, y_val: Any, sample_weight_val: Any, groups: Any = None) -> Rows | None:
        if (X_val is None) != (y_val is None):
            missing = "X_val" if X_val is None else "y_val"
            raise ValueError(f"X_val and y_val must be given together. Got no {missing}.")
        if X_val is not None and groups is not None:
            raise ValueError(
                "The 'groups' argument must be None where X_val and y_val are the validation rows, since 'train_split' "
                "is not asked then. Got groups and X_val; leave one of them out."
            )
        if X_val is None and sample_weight_val is not None:
            raise ValueError(
                "The 'sample_weight_val' argument must be None without validation rows. Got sample weights; give X_val "
                "and y_val as well."
            )
        return None if X_val is None else self._check_rows(X_val, y_val, sample_weight_val, "_val")

    def _check_linear_path(self) -> None:
        """Refuse an explicit ``linear_path=True`` where no ridge regression can be stacked."""
        # First of all: more members would not help.
        if len(self._settled_for) > 2:
            raise ValueError(
                "The 'linear_path' parameter must be False or 'auto' for images, whose pixels are no columns of a "
                f"table. Got True for rows of shape {self._settled_for[1:]}."
            )
        if self.n_members == 1:
            raise ValueError(
                "The 'linear_path' parameter must be False or 'auto' for a single net: stacking weights are fitted on "
                "out-of-fold predictions of an ensemble. Got True; use n_members=2 or more."
            )
        if not self.early_stopping or self.train_split is not None:
            raise ValueError(
                "The 'linear_path' parameter must be False or 'auto' unless early stopping sets rows of "
                "'validation_fraction' aside, from which stacking weights are learned. Got True; use "
                "early_stopping=True and train_split=None."
            )

    def _check_parameters(self) -> None:
        self.check_training_readiness()
        check_constraints(self._parameter_constraints, self.get_params(deep=False), type(self).__name__)
        check_n_threads(self.n_threads)
        for name, value in AS_GIVEN.items() if self._has_own_dataset else ():
            if not self._is_auto(name) and getattr(self, name) != value:
                raise ValueError(
                    f"The {name!r} parameter must be {value!r} or 'auto' beside a 'dataset' of one's own, which gets X "
                    f"as it is given. Got {getattr(self, name)!r}; do it in the dataset, or in a step before the net."
                )
        for name in self._params_to_validate:
            self._refuse_mistyped_prefix(name)
        if any(cls.__name__ == "AccelerateMixin" for cls in type(self).__mro__):
            raise TypeError(
                f"{type(self).__name__} must not inherit from skorch's AccelerateMixin, whose accelerator takes the "
                "place of the training here. Use device='cuda', and mixed_precision='bfloat16' for its precision."
            )
        for item in self.callbacks if isinstance(self.callbacks, list) else ():
            callback = item[1] if isinstance(item, (tuple, list)) and len(item) == 2 else item
            if callback is not None and not hasattr(callback, "on_epoch_end"):
                raise ValueError(
                    "The 'callbacks' parameter must hold skorch callbacks, or pairs of a name and a callback. "
                    f"Got {callback!r} instead."
                )
        schedulers = [callback for callback in self.callbacks or () if self._sets_lr(callback)]
        if self.lr_schedule is not None and not self._is_auto("lr_schedule") and schedulers:
            raise ValueError(
                "The 'lr_schedule' parameter must be None or 'auto' with a learning-rate scheduler in 'callbacks'. "
                f"Got {self.lr_schedule!r}; leave out one of them."
            )
        try:
            device = torch.device("cpu" if self.device is None else self.device)
        except (RuntimeError, TypeError) as error:
            raise ValueError(
                "The 'device' parameter must be a device of torch, such as 'cpu' or 'cuda'. "
                f"Got {self.device!r} instead."
            ) from error
        if device.type == "cuda" and not torch.cuda.is_available():
            raise ValueError(
                f"The 'device' parameter must be a device that torch can use. Got {self.device!r}, but there is no "
                "GPU, or this build of torch has no CUDA."
            )

    def _check_settled(self) -> None:
        super()._check_settled()
        if self.numeric_embedding == "mixed" and self.n_members == 1 and not self._is_auto("numeric_embedding"):
            raise ValueError(
                "The 'numeric_embedding' parameter must be 'piecewise_linear', None or 'auto' for a single net. Got "
                "'mixed', which encodes the inputs of every second member; use n_members=2 or more."
            )
        module = type(self.module) if isinstance(self.module, torch.nn.Module) else self.module
        # Rows that a TensorLoader can't load are left to torch's own.
        loaders = {
            name: DataLoader if given is TensorLoader and self.dataset is not Dataset else given
            for name, given in (("iterator_train", self.iterator_train), ("iterator_valid", self.iterator_valid))
        }
        parts = {"module": module, "optimizer": self.optimizer, "dataset": self.dataset, **loaders}
        for part, factory in parts.items():
            self._refuse_unknown_options(part, factory)
        compile_options = [name for name in self._params_to_validate if name.startswith("compile__")]
        if compile_options and not self.compile:
            raise ValueError(
                f"The {compile_options[0]!r} parameter must stand beside compile=True, since nothing is compiled "
                "otherwise. Got compile=False."
            )

    @contextmanager
    def _explained_errors(self) -> Iterator[None]:
        """Turn errors of torch about sizes into a sentence about the parameter that has them."""
        try:
            yield
        except (RuntimeError, ValueError) as error:
            if _OF_ONE_ROW in str(error):
                raise ValueError(
                    "The 'batch_size' parameter must give batches of two rows or more to batch normalisation. Got a "
                    "batch of one row; use a larger batch_size, more rows, or normalization='layer'."
                ) from error
            if _OF_NO_GRADIENT in str(error):
                raise ValueError(
                    "The 'loss' parameter must compute losses with torch operations on the raw outputs. Got a loss "
                    "without gradient; remove detach(), item(), numpy() or no_grad() from the loss, or from the module."
                ) from error
            if type(error) is RuntimeError and _OF_SIZES.search(str(error)):
                raise ValueError(
                    "The 'module' parameter must be a network that takes batches of rows of shape "
                    f"{self._encoded_shape}. torch says: {error}; a module whose __init__ has a parameter "
                    "'input_shape' is given this shape."
                ) from error
            raise

    def _refuse_unknown_options(self, part: str, factory: Any) -> None:
        """Refuse options of the module, the optimizer, ... that it does not have."""
        options = {name.removeprefix(f"{part}__"): name for name in vars(self) if name.startswith(f"{part}__")}
        options.pop("param_groups", None)
        if not options:
            return
        try:
            known = inspect.signature(factory).parameters
        except ValueError:
            # Some that are written in C have none.
            return
        if any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
            return
        for option, name in options.items():
            if option not in known:
                hint = did_you_mean(option, known, f"{part}__{{}}")
                if factory is TensorLoader and option in inspect.signature(DataLoader).parameters:
                    hint = f" Use {part}=torch.utils.data.DataLoader, which has it."
                raise TypeError(
                    f"The {name!r} parameter must be an option of {getattr(factory, '__name__', factory)}, which has "
                    f"{', '.join(map(repr, known)) or 'none'}. Got an unexpected keyword argument {option!r}.{hint}"
                )


def _named(y: Any) -> bool:
    return hasattr(y, "columns") or isinstance(getattr(y, "name", None), str)


def _was_named(names: tuple[str, ...]) -> bool:
    return names != tuple(f"y{i}" for i in range(len(names)))
