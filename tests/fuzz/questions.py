"""What a fitted net is asked, and what must hold for its answers."""

from __future__ import annotations

import io
import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import r2_score

from skmulti import MultiOutputMLPRegressor, TrainingDivergedError
from skmulti.losses import ALIASES, COLUMN_LOSSES, TorchLoss
from tests.fuzz.cases import Case
from tests.fuzz.containers import CONTAINERS, names_for
from tests.fuzz.watch import Watch


class Fitted:
    """A fitted net with the case that it comes from."""

    def __init__(self, case: Case, watch: Watch, net: Any) -> None:
        self.case, self.watch, self.net, self.rng = case, watch, net, case.rng
        self.X, self.y = case.give_inputs(), case.give_targets_of()
        self.pred = np.empty(0)

    def call(self, what: str, function: Callable[[], Any], **options: Any) -> tuple[Any, BaseException | None]:
        """Call a function of the net, whose parameters and whose user's data must stay."""
        before = self.net.get_params(deep=False)
        text = repr(before)
        options.setdefault("draws", self.net.random_state is None)
        result = self.watch.call(what, function, mine={"X": self.X, "y": self.y}, **options)
        after = self.net.get_params(deep=False)
        if list(after) != list(before) or any(after[name] is not before[name] for name in before):
            self.watch.find(f"{what}: changed the parameters of the estimator")
        elif repr(after) != text:
            self.watch.find(f"{what}: changed the values of parameters")
        return result

    def same_as(self, what: str, other: Any, *, tolerance: float = 0.0, rows: Any = slice(None)) -> None:
        """Note where predictions are not those of `self.pred`."""
        other = np.asarray(other)
        expected = self.pred[rows]
        if other.shape != expected.shape:
            self.watch.find(f"{what}: predictions of shape {other.shape}, not {expected.shape}")
        elif not np.array_equal(other, expected):
            far = self.distance(expected, other)
            if not far <= tolerance:
                self.watch.find(f"{what}: predictions differ by {far:.2g} of their size")

    def distance(self, one: np.ndarray, other: np.ndarray) -> float:
        """Return the largest relative difference of predictions over all blocks."""
        one, other = one.reshape(len(one), -1), other.reshape(len(other), -1)
        columns = self.case.block_columns()
        return max(
            block.distance(one[:, members], other[:, members])
            for block, members in zip(self.case.blocks, columns, strict=True)
        )

    def predict(self) -> bool:
        """Predict all rows; return whether there is something to go on with."""
        case = self.case
        pred, error = self.call("predict", lambda: self.net.predict(self.X))
        if error is not None:
            return False
        if not isinstance(pred, np.ndarray) or pred.dtype != np.float64:
            self.watch.find(f"predict: {type(pred).__name__} of {getattr(pred, 'dtype', None)}, not float64")
            return False
        shape = (len(case.X),) if case.y_ndim == 1 else case.y.shape
        if pred.shape != shape:
            self.watch.find(f"predict: shape {pred.shape}, not {shape}")
            return False
        self.pred = pred
        table = pred.reshape(len(pred), -1)
        for block, members in zip(case.blocks, case.block_columns(), strict=True):
            for text in block.complaints(case.y[:, members], table[:, members], bounded=case.bounded):
                self.watch.find(f"predict of {block}: {text}")
            if case.learns and block.kind == "real" and len(case.X) >= 20:
                r2 = r2_score(case.y[:, members], table[:, members])
                # From zero, and beside a linear model, little training does no harm; other nets begin anywhere.
                if not r2 > (-3 if isinstance(self.net, MultiOutputMLPRegressor) and self.net.effort else -30):
                    self.watch.find(f"predict of {block}: R2 {r2:.3g} on the rows of fit")
        if not np.isfinite(pred).all():
            return False
        self.terms()
        losses = [value for row in self.net.history_ for name, value in row.items() if name.startswith("train_loss")]
        if not np.isfinite([value for value in losses if isinstance(value, float)]).all():
            self.watch.find("history_: a training loss that is not finite")
        return True

    def terms(self) -> None:
        """The table of terms has the losses, parameters and weights that were asked for."""
        columns = self.case.block_columns()
        for block, members, weight in zip(self.case.blocks, columns, self.case.weights, strict=True):
            own = [term for term in self.net.terms_ if set(term.columns) & set(members)]
            if [i for term in own for i in term.columns] != members:
                self.watch.find(f"terms_: {own} for the columns {members} of {block}")
            for term in own:
                if term.weight != weight:
                    self.watch.find(f"terms_: weight {term.weight} for {block}, not {weight}")
                asked = COLUMN_LOSSES[ALIASES.get(block.loss, block.loss)] if isinstance(block.loss, str) else TorchLoss
                given = {name: getattr(term.loss, name, None) for name in block.params}
                if type(term.loss) is not asked or given != block.params:
                    self.watch.find(f"terms_: {term.loss} for {block}")

    # Questions; each is asked of some of the fitted nets.

    def single_rows(self) -> None:
        """A row alone has the prediction that it has among others."""
        i = int(self.rng.integers(len(self.case.X)))
        pred, error = self.call("predict of one row", lambda: self.net.predict(self.case.give_inputs([i])))
        if error is None:
            self.same_as("predict of one row", pred, tolerance=1e-5, rows=[i])

    def many_rows(self) -> None:
        """Rows that come many times have the same prediction each time."""
        n_times = 1 + 2500 // len(self.case.X)
        rows = np.tile(np.arange(len(self.case.X)), n_times)
        pred, error = self.call("predict of many rows", lambda: self.net.predict(self.case.give_inputs(rows)))
        if error is None:
            self.same_as("predict of many rows", pred[-len(self.case.X) :], tolerance=1e-5)

    def same_parameters(self) -> None:
        """Parameters that are set to what they are change nothing."""
        if any(name.startswith("module__") for name in self.net.get_params(deep=False)):
            # As in every skorch net, these build the module anew.
            return
        again = pickle.loads(pickle.dumps(self.net))
        _, error = self.watch.call("set_params", lambda: again.set_params(**again.get_params(deep=False)))
        if error is None:
            self.same_as("set_params of the same", again.predict(self.X))
        _, error = self.watch.call("get_params", lambda: clone(self.net).set_params(**self.net.get_params()))

    def weighted_score(self) -> None:
        """A score with equal weights is one without."""
        ones = np.full(len(self.case.X), 2.0)
        found, error = self.call("score with weights", lambda: self.net.score(self.X, self.y, ones))
        alone, other = self.call("score without", lambda: self.net.score(self.X, self.y))
        if error is None and other is None and not np.isclose(found, alone, rtol=1e-9, equal_nan=True):
            self.watch.find(f"score: {found:g} with equal weights, {alone:g} without")

    def moved(self) -> None:
        """Targets that are moved have predictions that are moved as far."""
        case = self.case
        units = [(block.location, block.scale) for block in case.blocks]
        if not all(
            block.is_standardized and unit == (0.0, 1.0) for block, unit in zip(case.blocks, units, strict=True)
        ):
            return
        if not (self.is_seeded and self.net.scale_targets and case.bounded and case.y_form in ("float64", "list")):
            return
        again = clone(self.net)
        y = 64 + (case.y[:, 0] if case.y_ndim == 1 else case.y)
        fit_params = {name: value for name, value in case.fit_params.items() if not name.endswith("_val")}
        if fit_params == case.fit_params:
            _, error = self.call(
                "fit of targets plus 64", lambda: again.fit(self.X, y, **fit_params), expected="either"
            )
            if error is None:
                self.same_as("targets plus 64", again.predict(self.X) - 64, tolerance=1e-3)

    def pickled(self) -> None:
        """A pickled net predicts the same."""
        again, error = self.call("pickle", lambda: pickle.loads(pickle.dumps(self.net)))
        if error is None:
            self.same_as("after pickle", again.predict(self.X))

    def cloned(self) -> None:
        """A clone has the same parameters, is not fitted, and learns the same."""
        again = clone(self.net)
        one, other = (re.sub(r" at 0x\w+", "", repr(net.get_params(deep=False))) for net in (again, self.net))
        if one != other:
            self.watch.find("clone: other parameters")
        try:
            again.predict(self.X)
            self.watch.find("clone: is fitted")
        except NotFittedError:
            pass
        if self.is_seeded:
            _, error = self.call("fit of a clone", lambda: again.fit(self.X, self.y, **self.case.fit_params))
            if error is None:
                self.same_as("fit of a clone", again.predict(self.X))

    def other_form(self) -> None:
        """The same numbers in another form give the same net."""
        if not self.is_seeded:
            return
        case = self.case
        if case.frame is not None or case.form in ("strings of numbers", "matrix", "scipy sparse"):
            return
        if "X_val" in case.fit_params or np.isnan(case.X).any():
            return
        forms = [name for name in names_for(case.X.ndim) if not CONTAINERS[name].refusable]
        form = "float64" if case.form != "float64" else str(self.rng.choice(forms))
        if not np.array_equal(CONTAINERS[form].represents(case.X), case.X):
            form = "Fortran order"
        again, X = clone(self.net), case.give_inputs(form=form)
        _, error = self.call(f"fit of X as {form}", lambda: again.fit(X, self.y, **case.fit_params))
        if error is None:
            # An ill-conditioned table makes much of the last digit.
            self.same_as(f"X as {form}", again.predict(X), tolerance=1e-6)

    def other_form_of_y(self) -> None:
        """The same targets in another form give the same net."""
        if not self.is_seeded:
            return
        case = self.case
        if case.y_form not in ("list", "tensor", "Fortran order", "read-only", "negative strides", "object"):
            return
        if "y_val" in case.fit_params:
            return
        again, y = clone(self.net), case.give_targets_of(form="float64")
        _, error = self.call("fit of y as float64", lambda: again.fit(self.X, y, **case.fit_params))
        if error is None:
            self.same_as("y as float64", again.predict(self.X))

    def columns(self) -> None:
        """Columns that are asked for by name or position are those of all predictions."""
        table = self.pred.reshape(len(self.pred), -1)
        i = int(self.rng.integers(table.shape[1]))
        key = i if self.rng.random() < 0.5 else str(self.net.target_names_[i])
        for asked, expected in ((key, table[:, i]), ([key], table[:, [i]])):
            pred, error = self.call(
                f"predict(columns={asked!r})", lambda asked=asked: self.net.predict(self.X, columns=asked)
            )
            if error is None:
                pred = np.asarray(pred)
                expected = expected if self.case.y_ndim == 2 else table[:, i]
                if not np.array_equal(pred, expected):
                    self.watch.find(f"predict(columns={asked!r}): other numbers or shape {pred.shape}")

    def spread(self) -> None:
        """Standard deviations are finite, and none is negative."""
        known = self.is_ensemble or all(block.is_distribution for block in self.case.blocks)
        if any(np.abs(block.location) > 1e6 for block in self.case.blocks):
            return
        found, error = self.call(
            "predict(return_std=True)",
            lambda: self.net.predict(self.X, return_std=True),
            expected="works" if known else "either",
        )
        if error is not None:
            return
        if not (isinstance(found, tuple) and len(found) == 2 and found[1].shape == self.pred.shape):
            self.watch.find("predict(return_std=True): not a pair of arrays of one shape")
        elif not np.isfinite(found[1]).all() or (found[1] < 0).any():
            self.watch.find(f"predict(return_std=True): a standard deviation of {found[1].min():g}")
        else:
            self.same_as("predict(return_std=True)", found[0])

    def quantiles(self) -> None:
        """Quantiles rise with their levels."""
        known = all(block.is_distribution for block in self.case.blocks)
        levels = [0.1, 0.5, 0.9] if self.rng.random() < 0.7 else [0.001, 0.3, 0.999]
        found, error = self.call(
            f"predict_quantiles({levels})",
            lambda: self.net.predict_quantiles(self.X, levels),
            expected="works" if known else "either",
        )
        if error is not None:
            return
        if found.shape != (*self.pred.shape, 3) or not np.isfinite(found).all():
            self.watch.find(f"predict_quantiles: shape {found.shape}, finite: {np.isfinite(found).all()}")
        elif (np.diff(found, axis=-1) < 0).any():
            self.watch.find("predict_quantiles: a quantile below one of a lower level")
        interval, error = self.call("predict_interval", lambda: self.net.predict_interval(self.X, 0.8))
        if error is None and not np.array_equal(interval, found[..., [0, 2]]) and levels[0] == 0.1:
            self.watch.find("predict_interval: not between the quantiles of 0.1 and 0.9")

    def likelihood(self) -> None:
        """Likelihoods are finite."""
        known = all(block.is_distribution for block in self.case.blocks)
        found, error = self.call(
            "negative_log_likelihood",
            lambda: self.net.negative_log_likelihood(self.X, self.y),
            expected="works" if known else "either",
        )
        if error is None and (found.shape != (len(self.case.X),) or not np.isfinite(found).all()):
            self.watch.find(f"negative_log_likelihood: shape {found.shape}, finite: {np.isfinite(found).all()}")

    def score(self) -> None:
        """The score is the mean R2 where all columns are real numbers."""
        case = self.case
        found, error = self.call("score", lambda: self.net.score(self.X, self.y))
        if error is not None:
            return
        if not isinstance(found, float) or not (np.isfinite(found) or len(case.X) < 3):
            self.watch.find(f"score: {found!r}")
        elif all(block.kind == "real" for block in case.blocks) and not np.isnan(case.y).any():
            expected = r2_score(case.y, self.pred.reshape(case.y.shape))
            if not np.isclose(found, expected, rtol=1e-6, atol=1e-9, equal_nan=True):
                self.watch.find(f"score: {found:g}, and the mean R2 is {expected:g}")

    def residuals(self) -> None:
        """Residuals are targets minus predictions, of angles the shorter way round."""
        case = self.case
        found, error = self.call("residuals", lambda: self.net.residuals(self.X, self.y))
        if error is not None:
            return
        if found.shape != self.pred.shape:
            self.watch.find(f"residuals: shape {found.shape}")
            return
        table, pred = found.reshape(case.y.shape), self.pred.reshape(case.y.shape)
        for block, members in zip(case.blocks, case.block_columns(), strict=True):
            own, y = table[:, members], case.y[:, members]
            if not np.array_equal(np.isnan(own), np.isnan(y)):
                self.watch.find("residuals: NaN elsewhere than in y")
            elif block.kind == "real" and not np.allclose(own, y - pred[:, members], equal_nan=True, rtol=1e-6):
                self.watch.find("residuals: not targets minus predictions")
            elif block.kind == "angle" and np.nanmax(np.abs(own)) > block.period / 2 * (1 + 1e-9):
                self.watch.find("residuals: the longer way round")

    def trained_on(self) -> None:
        """`partial_fit` and `warm_start` go on, and end in something finite."""
        again = pickle.loads(pickle.dumps(self.net))
        before = len(again.history_)
        X_val = {name: value for name, value in self.case.fit_params.items() if name.endswith("_val")}
        warm = self.rng.random() < 0.5
        if warm:
            again.set_params(warm_start=True)
        train = again.fit if warm else again.partial_fit
        _, error = self.call(
            "a warm start" if warm else "partial_fit",
            lambda: train(self.X, self.y, **X_val),
            expected="either" if self.case.expected == "either" else "works",
        )
        if error is not None:
            return
        if len(again.history_) <= before:
            self.watch.find("partial_fit: no further epoch")
        if not np.isfinite(again.predict(self.X)).all():
            self.watch.find("partial_fit: predictions are not finite")

    def saved(self) -> None:
        """Parameters that were saved and loaded predict the same."""
        if not self.is_seeded:
            return
        case, file = self.case, io.BytesIO()
        other = clone(self.net).set_params(random_state=77)
        _, error = self.call(
            "fit with another seed", lambda: other.fit(self.X, self.y, **case.fit_params), expected="either"
        )
        if error is not None:
            return
        _, error = self.call("save_params", lambda: self.net.save_params(f_params=file))
        file.seek(0)
        if error is None:
            _, error = self.watch.call("load_params", lambda: other.load_params(f_params=file))
        if error is None and len(case.X) > 7:
            self.same_as("load_params", other.predict(self.X))

    def bad_refit(self) -> None:
        """A refit that is refused leaves the fit as it was."""
        case, rng = self.case, self.rng
        X = case.give_inputs(form="float64") if case.frame is None else case.give_inputs()
        choices: list[tuple[str, Any, Any]] = [
            ("of too few rows of y", X, case.give_targets_of(slice(0, -1))),
            ("of words", np.array([["a"]] * len(case.X)), self.y),
            ("of no y", X, None),
            ("of infinite targets", X, np.full(case.y.shape, np.inf)),
            ("of one row", case.give_inputs([0]), case.give_targets_of([0])),
        ]
        what, X, y = choices[rng.integers(len(choices))]
        self.call(f"a refit {what}", lambda: self.net.fit(X, y), expected="refused")
        self.still("a refit that was refused")

    def bad_parameter(self) -> None:
        """Parameters that are refused leave the fit as it was."""
        name, value = [
            ("max_epochs", -1),
            ("loss", "nonsense"),
            ("loss_weights", {"nobody": 1.0}),
            ("batch_size", 0),
            ("random_state", "x"),
            ("validation_fraction", 7.0),
        ][self.rng.integers(6)]
        before = getattr(self.net, name)
        self.net.set_params(**{name: value})
        self.call(f"a refit with {name}={value!r}", lambda: self.net.fit(self.X, self.y), expected="refused")
        self.net.set_params(**{name: before})
        self.still("a refit with a bad parameter")

    def bad_questions(self) -> None:
        """Questions that make no sense are refused, and change nothing."""
        case, net = self.case, self.net
        plain = np.nan_to_num(case.X)
        wider = np.concatenate([plain, plain, plain], axis=-1)
        questions: list[tuple[str, Callable[[], Any]]] = [
            ("predict of wider rows", lambda: net.predict(wider)),
            ("predict of more axes", lambda: net.predict(plain[..., None])),
            ("predict of no rows", lambda: net.predict(plain[:0])),
            ("predict of infinity", lambda: net.predict(np.full(plain.shape, np.inf))),
            ("predict of words", lambda: net.predict(np.full(plain.shape, "a"))),
            ("predict of None", lambda: net.predict(None)),
            ("predict of a mapping", lambda: net.predict({"a": plain})),
            ("an unknown column", lambda: net.predict(self.X, columns="nobody")),
            ("a column out of range", lambda: net.predict(self.X, columns=99)),
            ("a column that is no name", lambda: net.predict(self.X, columns=[1.5])),
            ("levels out of range", lambda: net.predict_quantiles(self.X, [0.0, 1.0])),
            ("levels that are no numbers", lambda: net.predict_quantiles(self.X, "high")),
            ("no levels", lambda: net.predict_quantiles(self.X, [])),
            ("a level of NaN", lambda: net.predict_quantiles(self.X, [np.nan])),
            ("a coverage out of range", lambda: net.predict_interval(self.X, 1.5)),
            ("a coverage that is no number", lambda: net.predict_interval(self.X, "most")),
            ("a score of fewer rows", lambda: net.score(self.X, case.give_targets_of(slice(0, -1)))),
            ("a score without targets", lambda: net.score(self.X, None)),
            ("a score of more columns", lambda: net.score(self.X, np.zeros((len(plain), 9 + case.y.shape[1])))),
            ("residuals of fewer rows", lambda: net.residuals(self.X, case.give_targets_of(slice(0, -1)))),
            ("a score with negative weights", lambda: net.score(self.X, self.y, -np.ones(len(plain)))),
            ("an unknown parameter", lambda: net.set_params(nothing=1)),
            ("partial_fit of wider rows", lambda: net.partial_fit(wider, self.y)),
            (
                "partial_fit of more columns",
                lambda: net.partial_fit(self.X, np.zeros((len(plain), 9 + case.y.shape[1]))),
            ),
        ]
        for i in self.rng.choice(len(questions), 3, replace=False):
            what, question = questions[i]
            self.call(what, question, expected="refused")
            self.still(what)

    def other_units(self) -> None:
        """Targets times a power of two have predictions times that power."""
        if not self.is_seeded:
            return
        case = self.case
        if not all(block.is_standardized for block in case.blocks) or "y_val" in case.fit_params:
            return
        if not self.net.scale_targets or not case.bounded or case.y_form not in ("float64", "list", "tensor"):
            return
        again = clone(self.net)
        _, error = self.call(
            "fit of targets times 1024",
            lambda: again.fit(self.X, 1024 * (case.y[:, 0] if case.y_ndim == 1 else case.y), **case.fit_params),
            expected="either",
        )
        if error is None:
            self.same_as("targets times 1024", again.predict(self.X) / 1024, tolerance=1e-4)

    def weight_of_nothing(self) -> None:
        """Rows of weight 0 are no rows."""
        if not self.is_seeded:
            return
        case = self.case
        if case.fit_params or case.frame is not None or case.X.ndim > 2 or len(case.X) > 40:
            return
        if case.form not in ("float64", "list", "tensor of float64") or np.isnan(case.X).any():
            return
        X = np.concatenate([case.X, 100 + case.X[:3]])
        y = np.concatenate([case.y, case.y[:3]])
        weight = np.r_[np.ones(len(case.X)), np.zeros(3)]
        again, alone = clone(self.net), clone(self.net)
        y_all, y_own = (values[:, 0] if case.y_ndim == 1 else values for values in (y, case.y))
        _, error = self.call("fit with rows of weight 0", lambda: again.fit(X, y_all, weight), expected="either")
        _, other = self.call("fit without them", lambda: alone.fit(case.X, y_own), expected="either")
        if error is None and other is None:
            self.pred = alone.predict(case.X)
            self.same_as("rows of weight 0", again.predict(case.X), tolerance=1e-4)

    def members(self) -> None:
        """An ensemble without a linear model predicts the mean of its members where that is arithmetic."""
        if not self.is_ensemble or not all(block.kind in ("real", "vector") for block in self.case.blocks):
            return
        if self.net.effort is not None and self.net.linear_path is not False:
            return
        mean = np.mean([member.predict(self.X) for member in self.net.members_], axis=0)
        self.same_as("the mean of members", mean, tolerance=1e-5)

    def other_weights(self) -> None:
        """Only ratios of weights matter, and equal ones are none."""
        if not self.is_seeded:
            return
        case = self.case
        if case.fit_params:
            return
        again, weight = clone(self.net), np.full(len(case.X), 8.0)
        _, error = self.call("fit with equal weights", lambda: again.fit(self.X, self.y, weight))
        if error is None:
            self.same_as("equal weights", again.predict(self.X))

    def renamed(self) -> None:
        """Data frames with other columns are refused."""
        case = self.case
        if case.form != "pandas" or case.frame is not None:
            return
        frame = self.X.rename(columns={"x0": "elsewhere"})
        self.call("predict of renamed columns", lambda: self.net.predict(frame), expected="refused")
        if case.X.shape[1] > 1:
            self.call(
                "predict of columns in another order",
                lambda: self.net.predict(self.X[self.X.columns[::-1]]),
                expected="refused",
            )
        other = pd.concat([self.X, self.X], axis=1)
        self.call("predict of repeated columns", lambda: self.net.predict(other), expected="refused")
        self.still("predict of other columns")

    def diverged(self) -> None:
        """A refit that diverges keeps something that predicts."""
        again = pickle.loads(pickle.dumps(self.net))
        again.set_params(lr=1e30)
        _, error = self.watch.call(
            "a refit at a rate of 1e30",
            lambda: again.fit(self.X, self.y),
            expected="either",
            draws=self.net.random_state is None,
        )
        if error is None or isinstance(error, TrainingDivergedError):
            found, error = self.watch.call("predict after it", lambda: again.predict(self.X))
            if error is None and not np.isfinite(found).all():
                self.watch.find("a refit at a rate of 1e30: predictions are not finite")

    def still(self, what: str) -> None:
        """Check that predictions are as before."""
        pred, error = self.call(f"predict after {what}", lambda: self.net.predict(self.X))
        if error is None:
            self.same_as(f"after {what}", pred)

    @property
    def is_seeded(self) -> bool:
        """Return whether a second fit draws the same numbers."""
        return isinstance(self.net.random_state, (int, np.integer))

    @property
    def is_ensemble(self) -> bool:
        """Return whether the net has several members."""
        return hasattr(self.net, "members_")


QUESTIONS = [
    Fitted.single_rows,
    Fitted.pickled,
    Fitted.cloned,
    Fitted.other_form,
    Fitted.other_form,
    Fitted.other_form_of_y,
    Fitted.columns,
    Fitted.spread,
    Fitted.quantiles,
    Fitted.likelihood,
    Fitted.score,
    Fitted.residuals,
    Fitted.trained_on,
    Fitted.saved,
    Fitted.bad_refit,
    Fitted.bad_parameter,
    Fitted.bad_questions,
    Fitted.bad_questions,
    Fitted.other_units,
    Fitted.weight_of_nothing,
    Fitted.other_weights,
    Fitted.members,
    Fitted.many_rows,
    Fitted.same_parameters,
    Fitted.weighted_score,
    Fitted.moved,
    Fitted.renamed,
    Fitted.diverged,
]
