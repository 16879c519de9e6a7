"""Parameters left at "auto": what they are while a net is built and trained, and that they stay "auto" for the user."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, ClassVar

from skmulti.estimators._reading import ReadingNet
from skmulti.estimators.presets import AS_GIVEN, PLAIN, preset

_ABSENT = object()


class EffortNet(ReadingNet):
    """A net whose parameters may be "auto": `effort` and the size of the data say what they are then.

    While it is built and trained they hold these values, which `settings_` keeps; afterwards they are "auto" again, for
    ``get_params`` must return what was given.

    Examples
    --------
    >>> from skmulti import MultiOutputMLPRegressor
    >>> net = MultiOutputMLPRegressor(effort="fast", max_epochs=1).fit([[0.0], [1.0], [2.0]], [0.0, 1.0, 2.0])
    >>> net.n_members, net.settings_["n_members"] == len(net.members_)
    ('auto', True)
    """

    # The values of parameters that `effort` decides; a named estimator adds those of its module.
    _plain: ClassVar[Mapping[str, Any]] = PLAIN
    # What rows are to the presets.
    _kind = "any"
    settings_: dict[str, Any]
    # What the preset says of all parameters, and the shape of X that it was made for.
    _chosen: Mapping[str, Any] = MappingProxyType({})
    _settled_for: tuple[int, ...]
    effort: str | None
    callbacks: Any

    def _settle(self, shape: tuple[int, ...]) -> None:
        """Give all parameters that are "auto" their values for inputs of a shape."""
        # Images that were flattened are no table.
        looks = (*shape, 1) if self._reads_images() else shape
        chosen = {**self._plain, **preset(self._kind, self.effort, looks)}
        if not self._is_auto("optimizer"):
            # Options, and a learning rate, are those of the optimizer that they were chosen for.
            chosen = {name: value for name, value in chosen.items() if not name.startswith("optimizer")}
            chosen["lr"] = self._plain["lr"]
        if any(self._sets_lr(callback) for callback in self.callbacks or ()) and isinstance(self.callbacks, list):
            chosen["lr_schedule"] = None
        if not self._is_auto("n_members") and self.n_members == 1:
            chosen["linear_path"] = False
        if self._has_own_dataset:
            chosen.update(AS_GIVEN)
        if not (chosen["linear_path"] if self._is_auto("linear_path") else self.linear_path):
            chosen["clip_predictions"] = False
        self._chosen, self._settled_for = chosen, shape
        self._settle_again()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        values = {**self._plain, **preset(self._kind, self.effort, (1, 1))}
        if self._has_own_dataset:
            values.update(AS_GIVEN)
        for name in ("missing_inputs", "categorical_inputs"):
            values[name] = values[name] if self._is_auto(name) else getattr(self, name)
        tags.input_tags.allow_nan = values["missing_inputs"] == "impute"
        tags.input_tags.categorical = values["categorical_inputs"] == "one_hot"
        return tags

    @staticmethod
    def _sets_lr(callback: Any) -> bool:
        callback = callback[1] if isinstance(callback, (tuple, list)) and len(callback) == 2 else callback
        return hasattr(callback, "policy")

    def _is_auto(self, name: str) -> bool:
        given = self._given.get(name, vars(self).get(name, _ABSENT))
        # An option of the optimizer is left open by not being there.
        return given is _ABSENT if "__" in name else isinstance(given, str) and given == "auto"

    def _settle_again(self) -> None:
        """Give parameters that are "auto" by now the values of the preset that the net was built by."""
        self.settings_ = {name: value for name, value in self._chosen.items() if self._is_auto(name)}
        self._take_preset()
        self._check_settled()

    def _check_settled(self) -> None:
        """Refuse what was given and can't act beside the values of the preset, or for rows of this shape."""
        if not self._reads_images() and len(self._settled_for) == 2:
            return
        ways = {
            "missing_inputs": "impute missing values before the net",
            "categorical_inputs": "encode categories before the net",
        }
        for name, way in ways.items():
            value = getattr(self, name)
            if value != "error" and not self._is_auto(name):
                raise ValueError(
                    f"The {name!r} parameter must be 'auto' or 'error' for images and signals. "
                    f"Got {value!r} instead; {way}."
                )

    def _take_preset(self) -> None:
        """Let parameters that are "auto" have their values until `_leave_preset`."""
        given = dict(self._given)
        for name, value in self._chosen.items():
            if self._is_auto(name):
                given.setdefault(name, vars(self).get(name, _ABSENT))
                self.__dict__[name] = value
        self.__dict__["_given_params"] = given

    def _as_chosen(self, params: Mapping[str, Any]) -> dict[str, Any]:
        is_open = {name: isinstance(value, str) and value == "auto" for name, value in params.items()}
        return {name: self._chosen.get(name, value) if is_open[name] else value for name, value in params.items()}

    def __getstate__(self) -> dict[str, Any]:
        # A copy that is made while the net trains has the parameters that were given.
        copy: EffortNet = object.__new__(type(self))
        copy.__dict__.update(vars(self))
        copy._leave_preset()
        state: dict[str, Any] = super(EffortNet, copy).__getstate__()
        return state

    @property
    def _given(self) -> Mapping[str, Any]:
        """What parameters with a value of the preset were given as."""
        given: Mapping[str, Any] = vars(self).get("_given_params", {})
        return given

    def _leave_preset(self) -> None:
        """Let parameters be as they were given."""
        for name, value in self.__dict__.pop("_given_params", {}).items():
            if value is _ABSENT:
                self.__dict__.pop(name, None)
            else:
                self.__dict__[name] = value

    @contextmanager
    def _leaving_preset(self) -> Iterator[None]:
        """Let parameters be as they were given after the block."""
        try:
            yield
        finally:
            self._leave_preset()

    @contextmanager
    def _with_preset(self) -> Iterator[None]:
        """Let parameters have their values inside the block, and be as they were given afterwards."""
        is_inner = "_given_params" in vars(self)
        self._take_preset()
        try:
            yield
        finally:
            if not is_inner:
                self._leave_preset()
