"""skorch's regressor, kept to scikit-learn's contract: the only file that works around either.

What differs from a stock skorch net, and why:

* ``__init__`` stores its parameters and nothing else; what skorch sets there are class attributes here,
  used until ``fit``.
* ``get_params`` reads the stored parameters; the default callbacks, which ``fit`` changes, are not parameters.
* ``set_params`` stores anything, as scikit-learn's does, and asks skorch only for what lives in a fitted net
  (its callbacks, its optimizer, its module).
* A regressor has no ``predict_proba``.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from sklearn.base import BaseEstimator, MultiOutputMixin
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import check_is_fitted
from skorch import NeuralNetRegressor
from skorch.dataset import unpack_data
from skorch.history import History

from skmulti._checks import did_you_mean, nearest
from skmulti._compat import BatchNorm
from skmulti.estimators._before import Before, Turn
from skmulti.prediction.raw_outputs import n_padding_rows

if TYPE_CHECKING:
    from typing_extensions import Self

# What skorch, torch users and scikit-learn's MLPRegressor call our parameters.
_FOREIGN_NAMES = {
    "criterion": "loss",
    "epochs": "max_epochs",
    "n_epochs": "max_epochs",
    "max_iter": "max_epochs",
    "learning_rate": "lr",
    "learning_rate_init": "lr",
    "solver": "optimizer",
}


class _OwnMetadata:
    # skorch removes `classes` from the metadata of partial_fit, and scikit-learn raises an error where it is absent.
    # `groups` is for the splitter of `train_split`, to which skorch routes it.
    __metadata_request__fit = {"groups": UNUSED}
    __metadata_request__partial_fit = {"classes": None, "groups": UNUSED}


class ContractNet(MultiOutputMixin, NeuralNetRegressor, _OwnMetadata):
    """A skorch regressor that scikit-learn's estimator checks accept."""

    history_: Any = None
    initialized_: Any = False
    virtual_params_: Any = MappingProxyType({})
    # skorch registers these on first use, on the instance; known from the start, they need no registration
    # and a parameter may hold a torch module.
    prefixes_ = [*NeuralNetRegressor.prefixes_, "module", "criterion", "optimizer"]
    cuda_dependent_attributes_ = ["module_", "criterion_", "optimizer_"]
    _modules = ["module"]
    _criteria = ["criterion"]
    _optimizers = ["optimizer"]
    # Torch modules that skorch must not take for components of its own, with parameters and a prefix.
    _not_components: tuple[str, ...] = ("embedding_",)

    # The training in progress, and an object that each training replaces.
    _turn: Turn | None = None
    _stamp: object = None

    # Prefixes of parameters that belong to the estimator, not to one of skorch's components.
    _own_prefixes: tuple[str, ...] = ()

    def __init__(self, **prefix__params: Any) -> None:
        # The name has two underscores like the parameters in it: scikit-learn's checks pass the name itself too.
        for name in prefix__params:
            if "__" not in name:
                known = list(inspect.signature(type(self)).parameters)
                near = _FOREIGN_NAMES.get(name) or nearest(name, known)
                hint = f" Did you mean {near!r}?" if near in known else ""
                raise TypeError(f"{type(self).__name__}.__init__() got an unexpected keyword argument {name!r}.{hint}")
        self.__dict__.update(prefix__params)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Show the parameters that a subclass passes on in its signature, where tools look for them."""
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):
            init: Any = vars(cls)["__init__"]
            init.__signature__ = _with_inherited_parameters(cls)

    def __setattr__(self, name: str, value: Any) -> None:
        if self._turn is not None and name[0] != "_" and name[-1] != "_":
            # As in set_params: a parameter set while another thread trains would be lost in part.
            self._refuse_other_threads()
        is_stray = _is_component(value) and name[0] != "_" and name not in inspect.signature(type(self)).parameters
        if (name.endswith("_") or is_stray) and name not in self._not_components:
            super().__setattr__(name, value)
        else:
            object.__setattr__(self, name, value)

    # skorch fills an attribute in __init__ and in set_params; a property needs no update.
    @property
    def _params_to_validate(self) -> set[str]:
        own = tuple(f"{prefix}__" for prefix in self._own_prefixes)
        return {name for name in self._get_param_names() if "__" in name and not name.startswith(own)}

    def _get_param_names(self) -> list[str]:
        return [name for name in vars(self) if not name.startswith("_") and not name.endswith("_")]

    def _get_params_callbacks(self, deep: bool = True) -> dict[str, Any]:
        if not deep or not isinstance(self.callbacks, (list, type(None))):
            return {}
        users = [item[1] if isinstance(item, (tuple, list)) else item for item in self.callbacks or []]
        params: dict[str, Any] = {}
        for name, callback in self._uniquely_named_callbacks():
            if f"callbacks__{name}" in vars(self):
                callback = vars(self)[f"callbacks__{name}"]
            if any(callback is given for given in users):
                params[f"callbacks__{name}"] = callback
            if callback is not None and not isinstance(callback, type):
                for key, value in callback.get_params().items():
                    params[f"callbacks__{name}__{key}"] = value
        return params

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters of this estimator.

        Parameters
        ----------
        deep : bool, default=True
            Whether to add the parameters of the callbacks as ``callbacks__<name>__<parameter>``.

        Returns
        -------
        params : dict
            Parameter names mapped to their values.
        """
        # While another thread trains, the parameters are those from before the training.
        net = self._finished()
        params = BaseEstimator.get_params(net, deep=deep)
        return {**net._get_params_callbacks(deep=deep), **params}

    def set_params(self, **params: Any) -> Self:
        """Set parameters of this estimator.

        Parameters are stored and take effect at the next ``fit``. As in every skorch net, ``lr``,
        ``optimizer__*`` and ``callbacks*`` of a fitted net take effect at once, and ``module__*`` of a fitted
        net builds its module anew.

        Parameters
        ----------
        **params : dict
            Estimator parameters.

        Returns
        -------
        self : object
            This estimator.
        """
        known = self._get_param_names()
        for name in params:
            if "__" not in name and name not in known:
                valid = sorted(known_name for known_name in known if "__" not in known_name)
                raise ValueError(
                    f"Invalid parameter {name!r} for estimator {type(self).__name__}. "
                    f"Valid parameters are: {valid!r}.{did_you_mean(_FOREIGN_NAMES.get(name, name), valid)}"
                )
            if "__" in name:
                # Refused here, because a search turns an error in fit into a missing score.
                self._refuse_mistyped_prefix(name)
        with self._unchanged_on_error():
            self.__dict__.update(params)
            live = {name: value for name, value in params.items() if self._is_live_param(name)}
            whole = [name for name in live if name.startswith("callbacks__") and name.count("__") == 1]
            if live and self.initialized_:
                with self._with_preset():
                    if whole:
                        # Rebuild the callbacks: skorch sets only those that exist already.
                        self._initialize_callbacks()
                    live = {name: value for name, value in live.items() if name not in whole}
                    super().set_params(**self._as_chosen(live))
        return self

    def _refuse_mistyped_prefix(self, name: str) -> None:
        """Refuse a parameter whose prefix is a misspelling of an own prefix."""
        prefix, _, rest = name.partition("__")
        near = nearest(prefix, self._own_prefixes)
        if near and prefix not in (*self._own_prefixes, *self.prefixes_):
            raise ValueError(
                f"The {name!r} parameter bears a prefix that is none of {', '.join(self._own_prefixes)}, module, "
                f"optimizer, ... Did you mean '{near}__{rest}'?"
            )

    def _refuse_arguments(self, method: str, arguments: Mapping[str, Any]) -> None:
        """Refuse arguments that a method does not have, with the parameter or the argument that was meant."""
        parameters = inspect.signature(getattr(self, method)).parameters.values()
        known = [parameter.name for parameter in parameters if parameter.kind is not parameter.VAR_KEYWORD]
        for name, value in arguments.items():
            meant = _FOREIGN_NAMES.get(name, name)
            hint = did_you_mean(name, known) or f" It has {', '.join(known)}."
            if meant in self._get_param_names():
                hint = f" Give {type(self).__name__}({meant}={value!r}) to the constructor."
            raise TypeError(f"{type(self).__name__}.{method}() got an unexpected keyword argument {name!r}.{hint}")

    def _as_chosen(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return parameters with "auto" resolved."""
        return dict(params)

    def _with_preset(self) -> AbstractContextManager[None]:
        """Return a context in which "auto" parameters have their resolved values."""
        return nullcontext()

    def _is_live_param(self, name: str) -> bool:
        """Return whether a parameter acts on a fitted net at once."""
        component = name.split("__", 1)[0]
        if component == "callbacks":
            # skorch raises an error where the net has no callbacks.
            return bool(getattr(self, "callbacks_", None))
        return self._is_virtual_param(name) or ("__" in name and component in self._modules)

    def load_params(self, *args: Any, **kwargs: Any) -> None:
        """Load parameters, optimizer and history as in skorch: all of them, or none after an error."""
        with self._in_turn(in_place=True), self._unchanged_on_error(in_place=True):
            try:
                super().load_params(*args, **kwargs)
            except RuntimeError as error:
                if "loading state_dict" not in str(error):
                    raise
                # torch lists each parameter in a line of its own after the first.
                first = str(error).partition("\n")[2].strip().partition("\n")[0]
                raise ValueError(
                    "The parameters to load must have the names and shapes of this network's. Got others: "
                    f"{first} Build the net with the settings and the columns with which it was saved."
                ) from error

    def initialize_history(self) -> Self:
        """Start an empty history; references to the history of an earlier fit stay valid."""
        self.history_ = History()
        return self

    @property
    def predict_proba(self) -> Any:
        """Not available: this is a regressor."""
        raise AttributeError(f"{type(self).__name__} is a regressor and has no predict_proba.")

    def check_is_fitted(self, attributes: Any = None, *args: Any, **kwargs: Any) -> None:
        """Raise scikit-learn's NotFittedError unless the net was fitted or initialized."""
        check_is_fitted(self, attributes, *args, **kwargs)

    def __sklearn_is_fitted__(self) -> bool:
        return bool(self._finished().initialized_)

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        return BaseEstimator.__repr__(self, N_CHAR_MAX)

    def _get_params_html(self, deep: bool = True, *args: Any, **kwargs: Any) -> Any:
        # scikit-learn marks each parameter that is not in the signature as changed by the user. With deep=True those of
        # the default callbacks are among them; what the user gave, callbacks__* too, is listed without.
        return super()._get_params_html(False, *args, **kwargs)

    def evaluation_step(self, batch: Any, training: bool = False) -> Any:
        """Return the module's outputs for a batch; those of a row do not depend on the other rows.

        Matrix products process rows in blocks and sum the remaining rows in another order, so that the last digit of
        a row would depend on the number of rows. Padding rows complete the last block. For some layer widths, the
        products treat rows within one block differently, and the last digit may still change.
        """
        X, y = unpack_data(batch)
        rest = n_padding_rows(len(X))
        if training or not rest or not isinstance(X, torch.Tensor):
            return super().evaluation_step(batch, training=training)
        padded = torch.cat([X, X[-1:].expand(rest, *X.shape[1:])])
        return super().evaluation_step((padded, y), training=training)[: len(X)]

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        optimizer = vars(self).get("optimizer_")
        if isinstance(optimizer, torch.optim.LBFGS) and not hasattr(optimizer, "_params"):
            # torch pickles groups and state; LBFGS also keeps its own list of parameters, which is not pickled.
            optimizer._params = optimizer.param_groups[0]["params"]
            optimizer._numel_cache = None

    @property
    def _nets(self) -> list[ContractNet]:
        """The net, and its members if it is an ensemble."""
        return [self]

    def _finished(self) -> Any:
        """Return the net, or while another thread trains it, its state from before the training."""
        turn = self._turn
        if turn is None or turn.is_ours:
            return self
        if turn.finished is None:
            raise RuntimeError(
                f"This {type(self).__name__} is being trained in another thread, and its module can't be copied, so "
                "it has no readable state until the training ends. Use a copy of the estimator in each thread."
            )
        return turn.finished

    def _refuse_other_threads(self) -> None:
        turn = self._turn
        if turn is None or turn.is_ours:
            return
        if turn.is_lost and turn.finished is not None:
            # The training thread does not exist in a forked child: restore the state from before.
            self.__dict__.update(vars(turn.finished))
            self.__dict__.pop("_turn", None)
            return
        raise RuntimeError(
            f"This {type(self).__name__} is being trained in another thread. Wait until the training ends, or use "
            "sklearn.base.clone to train a copy of the estimator."
        )

    @contextmanager
    def _in_turn(self, *, in_place: bool) -> Iterator[None]:
        """Lock the net for training: other threads can't train it, and read its state from before the block.

        Parameters
        ----------
        in_place : bool
            Whether the block changes the network in place.
        """
        self._refuse_other_threads()
        if self._turn is not None:
            # A callback trains the net during its own training.
            yield
            return
        turn = Turn(self, in_place=in_place)
        try:
            # Of two threads, one succeeds.
            if self.__dict__.setdefault("_turn", turn) is not turn:
                self._refuse_other_threads()
            self.__dict__["_stamp"] = object()
            yield
        finally:
            if self._turn is turn:
                del self.__dict__["_turn"]

    @contextmanager
    def _unchanged_on_error(self, *, in_place: bool = False) -> Iterator[None]:
        """Restore the state from before the block when it raises; `in_place` as in `Before`."""
        self._refuse_other_threads()
        before = Before(self._nets, in_place=in_place)
        try:
            yield
        except BaseException:
            before.restore()
            raise


def _is_component(value: Any) -> bool:
    return isinstance(value, (torch.nn.Module, torch.optim.Optimizer))


def _with_inherited_parameters(cls: type) -> inspect.Signature:
    """Return the signature of ``cls.__init__`` with the parameters that it passes on to its parent."""
    own = inspect.signature(vars(cls)["__init__"])
    parameters = dict(own.parameters)
    passes_on = [p for p in parameters.values() if p.kind is p.VAR_KEYWORD]
    if not passes_on:
        return own
    del parameters[passes_on[0].name]
    fixed = getattr(cls, "_fixed_params", ())
    for name, parameter in inspect.signature(cls.__mro__[1].__init__).parameters.items():  # type: ignore[misc]
        if name not in parameters and name not in fixed:
            if parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
                parameter = parameter.replace(kind=parameter.KEYWORD_ONLY)
            parameters[name] = parameter
    return own.replace(parameters=sorted(parameters.values(), key=lambda p: p.kind))


def has_batch_norm(module: torch.nn.Module) -> bool:
    """Return whether ``module`` normalises over the batch, so that a batch of one row can't be trained on."""
    return any(isinstance(part, BatchNorm) for part in module.modules())
