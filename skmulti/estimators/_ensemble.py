"""Ensembles: members are built from one net, trained together, and their predictions combined."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle, zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.base import clone
from skorch.utils import is_dataset

from skmulti.ensembles import Members
from skmulti.ensembles.folds import Fold
from skmulti.ensembles.stacking import Stacking, held_out_means
from skmulti.estimators._building import BuildingNet
from skmulti.estimators._inputs import piecewise_linear
from skmulti.estimators.contract import ContractNet
from skmulti.inputs.piecewise_linear import PiecewiseLinear
from skmulti.inputs.tensors import as_tensor
from skmulti.losses import SquaredError
from skmulti.prediction.outputs import MemberOutputs, Outputs
from skmulti.training import Rows, TrainingDivergedError
from skmulti.training.ensemble_log import EnsembleLog, joint_row
from skmulti.training.interrupt import ctrl_c
from skmulti.training.member_callbacks import is_of_callbacks, member_copies, number_files
from skmulti.training.stack.train import TrainingTask, train_tasks

if TYPE_CHECKING:
    from typing_extensions import Self

# The parameters in which a member differs from its ensemble.
_OF_ENSEMBLE = ("n_members", "bootstrap", "linear_path", "clip_predictions", "random_state", "verbose")


class EnsembleNet(BuildingNet):
    """A net that is one network, or with `n_members` above 1 an ensemble of nets [1]_.

    An ensemble resolves the columns, their losses and their scaling; its members, nets of the same class with a seed of
    their own, are trained; and their predictions are combined.

    References
    ----------
    .. [1] B. Lakshminarayanan, A. Pritzel and C. Blundell, "Simple and scalable predictive uncertainty estimation
       using deep ensembles", NeurIPS 2017.

    Examples
    --------
    >>> from skmulti import MultiOutputMLPRegressor
    >>> net = MultiOutputMLPRegressor(n_members=3, max_epochs=1).fit([[0.0], [1.0]], [0.0, 1.0])
    >>> [member.n_members for member in net.members_]
    [1, 1, 1]
    """

    # The piecewise-linear encoding that members may use.
    _learned_embedding: PiecewiseLinear | None = None
    # As a member, its number and that of all members.
    _number: tuple[int, int] | None = None
    # Whether stacking weights are fitted when training ends. partial_fit does not: it sees only some of the rows.
    _fits_stacking = True
    # How many members it was built with: after Ctrl-C it may have fewer.
    _n_members_built: int | None = None

    @property
    def _members(self) -> Sequence[EnsembleNet]:
        """The members of a net that was built as an ensemble, else none."""
        members: Sequence[EnsembleNet] = vars(self).get("members_", ())
        return members

    # Building.

    def initialize_module(self) -> Self:
        """Build the network, or each member's."""
        if self.n_members == 1:
            self.__dict__.pop("members_", None)
            super().initialize_module()
            return self
        learned = self._learned_embedding
        members, embeddings = [], cycle([None, learned] if self.numeric_embedding == "mixed" else [learned])
        n_kinds = 2 if self.numeric_embedding == "mixed" else 1
        for k, seed in enumerate(self._streams.seeds_of_members(self.n_members)):
            member = self._new_member(
                n_members=1,
                bootstrap=False,
                linear_path=False,
                clip_predictions=False,
                random_state=seed,
                verbose=0,
            )
            member._number = (k + 1, self.n_members)
            member._draws_rows, member._fold = self.bootstrap, self._fold_of(k // n_kinds)
            member._begin_as(self, next(embeddings))
            members.append(member)
        self.members_, self._work_per_row = members, members[0]._work_per_row
        self._n_members_built = self.n_members
        self._join_modules(self._new_stacking())
        return self

    def _new_member(self, **params: Any) -> EnsembleNet:
        """Return a net with the parameters of this one, but for some, and with callbacks of its own."""
        of_callbacks = {n: value for n, value in self.get_params(deep=False).items() if is_of_callbacks(n)}
        bare: EnsembleNet = object.__new__(type(self))
        bare.__dict__.update({name: value for name, value in vars(self).items() if name not in of_callbacks})
        bare.callbacks = None
        member: EnsembleNet = clone(bare)
        member.__dict__.update(member_copies(of_callbacks))
        return member.set_params(**params)

    def initialize_callbacks(self) -> Self:
        """Prepare the callbacks; those of a member write files that bear its number."""
        super().initialize_callbacks()
        self._number_files()
        return self

    def _number_files(self) -> None:
        if self._number is not None:
            number_files(self.callbacks_, *self._number)

    def initialize_optimizer(self, *args: Any) -> Self:
        """Build the optimizer; of an ensemble, each member has its own."""
        if not self._members:
            super().initialize_optimizer(*args)
        else:
            self.optimizer_ = None
        return self

    def _fold_of(self, place: int) -> Fold | None:
        """Return the validation rows of a member: each row is held out by about as many members as any other."""
        if not self.linear_path:
            # Without stacking, no held-out predictions are needed: each member equals a single net with its seed.
            return None
        return Fold.of_member(place, float(self.validation_fraction), self._streams.split_seed)

    def _join_modules(self, stacking: Stacking | None) -> None:
        modules, embeddings = zip(*((member.module_, member.embedding_) for member in self._members), strict=True)
        self.module_ = Members(modules, stacking, embeddings)
        if self.device is not None:
            self.module_.to(self.device)

    def _begin_as(self, other: EnsembleNet, embedding: Any = None) -> None:
        """Build a member for the data of its ensemble, with its own piecewise-linear encoding."""
        self._take_data_of(other)
        self._take_terms_of(other)
        self._use_embedding(embedding)
        self.initialize()

    def _use_embedding(self, embedding: PiecewiseLinear | None) -> None:
        self._learned_embedding = embedding
        if self.n_members == 1:
            super()._use_embedding(embedding)

    def _new_stacking(self) -> Stacking | None:
        if not self.linear_path or len(self._encoded_shape) > 1:
            return None
        embeddings = list(dict.fromkeys(id(member.embedding_) for member in self._members))
        groups = [embeddings.index(id(member.embedding_)) for member in self._members]
        return Stacking(groups, self._encoded_shape[0], sum(len(term.raw) for term in self.terms_), self._margin())

    def _check_settled(self) -> None:
        super()._check_settled()
        if self.linear_path is True and not self._is_auto("linear_path"):
            self._check_linear_path()
        if self._margin() is not None and not self.linear_path:
            raise ValueError(
                "The 'clip_predictions' parameter must be False or 'auto' without a linear path, beside which "
                f"predictions have limits. Got {self.clip_predictions!r}; use linear_path=True in an ensemble."
            )
        if self.bootstrap and self.n_members == 1:
            raise ValueError(
                "The 'bootstrap' parameter must be False for a single net, which learns from all rows. Got True; let "
                "each member of an ensemble draw its own rows with n_members=2 or more."
            )

    # Parameters of an ensemble that was built.

    def _is_live_param(self, name: str) -> bool:
        # The optimizers are the members'.
        return super()._is_live_param(name) and not (self._members and self._is_virtual_param(name))

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
        members = self._members
        with self._unchanged_on_error():
            super().set_params(**params)
            # If n_members changes, the next fit builds new members: leave the present ones unchanged.
            same = bool(members) and members is self._members and self.n_members in ("auto", len(members))
            for member in members if same else ():
                live = {n: value for n, value in self._as_chosen(params).items() if member._is_live_param(n)}
                member.set_params(**member_copies(live))
                member._number_files()
        return self

    def _change_terms(self, rows: Rows, holdout: Rows | None) -> None:
        built = (self._n_members_built or len(self._members)) if self._members else 1
        if self.n_members != built:
            raise ValueError(
                "The 'n_members' parameter must stay as it is in a net that goes on training. "
                f"Got {self.n_members} instead of {built}; use fit with warm_start=False."
            )
        super()._change_terms(rows, holdout)
        for member in self._members:
            given = self._new_member().get_params(deep=False)
            # Live parameters were set on members already, and their callbacks have state by now.
            member.__dict__.update(
                {n: v for n, v in given.items() if n not in _OF_ENSEMBLE and not member._is_live_param(n)}
            )
            member._draws_rows = self.bootstrap
            member._take_terms_of(self)
            member._renew_criterion()

    # Training.

    def _train(self, rows: Rows, holdout: Rows | None) -> None:
        if not self._members:
            super()._train(rows, holdout)
            return
        parts, interrupt = self._parts(rows, holdout), None
        try:
            with ctrl_c():
                train_tasks(parts, in_step=True)
        except KeyboardInterrupt as error:
            interrupt = error
        self._join(parts, interrupt)

    def _parts(self, rows: Rows, holdout: Rows | None) -> list[TrainingTask]:
        """Return the nets that are to be trained: of an ensemble, its members."""
        for member in self._members:
            member.target_scaler_ = self.target_scaler_
        parts = [TrainingTask(member, rows, holdout) for member in self._members]
        print_log = dict(self.callbacks_).get("print_log")
        if print_log is not None and (self.verbose or getattr(print_log, "sink", print) is not print):
            log = EnsembleLog(self, print_log, parts)
            for part in parts:
                part.log = log
        return parts

    def _join(self, parts: Sequence[TrainingTask], interrupt: KeyboardInterrupt | None = None) -> None:
        """Record how the training of the members went, and raise what it raised.

        Divergence and other errors leave nothing to keep unless all members have finished an epoch. After Ctrl-C
        those that have not are left out.
        """
        failed = [(k, part.error) for k, part in enumerate(parts) if part.error is not None]
        k, error = failed[0] if failed else (0, interrupt)
        for part in parts if interrupt is not None else ():
            # Members that had not begun still hold resolved parameters.
            part.net._leave_training()
            part.net._leave_preset()
        new_rows = [part.new_epochs() for part in parts]
        if error is None and not any(new_rows):
            # Callbacks stopped all members with KeyboardInterrupt.
            error = KeyboardInterrupt()
        is_cut = (error is None or isinstance(error, KeyboardInterrupt)) and any(new_rows)
        try:
            if is_cut and not all(new_rows) and not any(part.was_trained for part in parts):
                parts = self._keep_members([part for part, rows in zip(parts, new_rows, strict=True) if rows])
            if is_cut or all(new_rows):
                self._record_epochs([rows for rows in new_rows if rows])
                if hasattr(parts[0].net, "training_loop_"):
                    self.training_loop_ = parts[0].net.training_loop_
            if is_cut:
                with self._reading_threads(parts[0].rows.X):
                    self._fit_stacking(parts)
        finally:
            self._leave_preset()
        if isinstance(error, TrainingDivergedError):
            raise TrainingDivergedError(f"Member {k + 1} of {len(parts)}: {error}") from error
        # As in skorch, Ctrl-C ends training, and the estimator is fitted.
        if error is not None and not is_cut:
            raise error

    def _interruption(self, n_epochs: int) -> str:
        kept = f" It kept {len(self._members)} of {self._n_members_built} members." if self._members else ""
        return super()._interruption(n_epochs) + kept

    def _keep_members(self, parts: list[TrainingTask]) -> list[TrainingTask]:
        """Let the ensemble consist of some of its members."""
        self.members_ = [part.net for part in parts]
        self._join_modules(self._new_stacking())
        return parts

    def _fit_stacking(self, parts: Sequence[TrainingTask]) -> None:
        """Fit the stacking weights on the members' out-of-fold predictions."""
        stacking = getattr(self.module_, "stacking", None)
        rows, terms = parts[0].rows, [term for term in self.terms_ if type(term.loss) is SquaredError]
        own_split = self.early_stopping is True and self.train_split is None and parts[0].holdout is None
        if stacking is None or not (terms and own_split and self._fits_stacking):
            return
        raw, columns = [i for term in terms for i in term.raw], [i for term in terms for i in term.columns]
        predictions = []
        for member in self._members:
            left_out = member._left_out(rows.y)
            predictions.append((left_out, member._raw(member._encoded(rows.X[left_out])).double().numpy()[:, raw]))
        held_out = held_out_means(predictions, stacking.groups, len(rows.y))
        weight = rows.sample_weight
        if weight is not None:
            weight = np.broadcast_to(weight, rows.y.shape)[:, columns]
        y = self.target_scaler_.transform(as_tensor(rows.y)).double().numpy()[:, columns]
        stacking.fit(self._encoded(rows.X), y, held_out, raw, weight)

    def _record_epochs(self, of_members: Sequence[Sequence[dict[str, Any]]]) -> None:
        """Record the mean of each number over the members that still trained, and the time of all of them."""
        for of_epoch in zip_longest(*of_members):
            rows = [row for row in of_epoch if row is not None]
            self.history_.new_epoch()
            self.history_.record("epoch", len(self.history_))
            for name, value in joint_row(rows).items():
                self.history_.record(name, value)
        self.n_iter_ = len(self.history_)

    @property
    def _nets(self) -> list[ContractNet]:
        return [self, *self._members]

    # Prediction.

    def _outputs(self, inputs: Any) -> Outputs:
        if not self._members:
            return super()._outputs(inputs)
        embedding = None if self._learned_embedding is None or is_dataset(inputs) else self._learned_embedding
        embedded = inputs if embedding is None else piecewise_linear(embedding, inputs)
        raws = [member._raw(inputs if member.embedding_ is None else embedded) for member in self._members]
        stacking = getattr(self.module_, "stacking", None)
        if stacking is not None and not is_dataset(inputs):
            beyond = getattr(inputs, "beyond", None)
            raws = stacking(
                raws, torch.from_numpy(np.asarray(inputs)), None if beyond is None else torch.tensor(beyond)
            )
        # Each member has its own reader, because a loss may have learned parameters that prediction needs.
        readers = [member._reader for member in self._members]
        outputs = [Outputs(raw, reader, self.target_scaler_) for raw, reader in zip(raws, readers, strict=True)]
        return MemberOutputs(outputs)

    def _families_supporting(self, what: str, wanted: list[int]) -> list[Any]:
        if what == "std" and self._members:
            # Members disagree about every column, whatever its loss says.
            return [family for family in self._reader.families if family.loss.supports("std")]
        return super()._families_supporting(what, wanted)

    # Persistence.

    def save_params(self, f_params: Any = None, f_optimizer: Any = None, *args: Any, **kwargs: Any) -> None:
        """Save parameters as in skorch: `f_params` holds those of all members of an ensemble."""
        if self._members and f_optimizer is not None:
            raise ValueError(
                "The 'f_optimizer' argument must be None for an ensemble, whose members have an optimizer each. "
                "Pickle the ensemble to keep them."
            )
        super().save_params(f_params, f_optimizer, *args, **kwargs)

    def trim_for_prediction(self) -> None:
        """Remove what only training needs, as in skorch: from the members too; parameters stay, for ``clone``."""
        given = {name: vars(self)[name] for name in self._get_param_names()}
        if isinstance(self.callbacks, list):
            given["callbacks"] = list(self.callbacks)
        super().trim_for_prediction()
        for name in self._get_param_names():
            self.__dict__.pop(name)
        self.__dict__.update(given)
        for member in self._members:
            member.trim_for_prediction()

    def __getstate__(self) -> dict[str, Any]:
        net = self._finished()
        if net is not self:
            finished: dict[str, Any] = net.__getstate__()
            return finished
        if not self._members:
            return super().__getstate__()
        # Each member keeps its own module: a second copy would not share its parameters.
        bare: EnsembleNet = object.__new__(type(self))
        bare.__dict__.update({name: value for name, value in vars(self).items() if name != "module_"})
        state = super(EnsembleNet, bare).__getstate__()
        return {**state, "_stacking": getattr(self.module_, "stacking", None)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if self._members:
            self._join_modules(self.__dict__.pop("_stacking", None))
