"""The contestants of the accuracy benchmark: skmulti, and peers with their defaults, on one thread."""

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module, metadata
from importlib.util import find_spec

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.compose import TransformedTargetRegressor
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import RidgeCV
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler

from skmulti import MultiOutputMLPRegressor


@dataclass(frozen=True)
class Contestant:
    """A factory of models by seed, the form of the inputs (see `protocol.prepare`), and the package of the model."""

    make: Callable
    form: str
    module: str = "sklearn"

    @property
    def ours(self):
        """Whether it belongs to skmulti, and is run with several seeds."""
        return self.module == "skmulti"

    @property
    def installed(self):
        """Whether its package is installed."""
        return find_spec(self.module) is not None

    def version(self):
        """Return the version of its package."""
        return getattr(import_module(self.module), "__version__", None) or metadata.version(self.module)


def _ours(effort, form="scaled", **params):
    def make(seed):
        return MultiOutputMLPRegressor(effort=effort, random_state=seed, **params)

    return Contestant(make, form, "skmulti")


def _mlp(seed):
    net = MLPRegressor(max_iter=500, random_state=seed)
    return TransformedTargetRegressor(net, transformer=StandardScaler())


def _catboost(seed):
    from catboost import CatBoostRegressor

    return CatBoostRegressor(
        loss_function="MultiRMSE",
        iterations=1000,
        random_seed=seed,
        thread_count=1,
        allow_writing_files=False,
        verbose=False,
    )


def _xgboost(seed):
    from xgboost import XGBRegressor

    return XGBRegressor(
        tree_method="hist", multi_strategy="multi_output_tree", n_estimators=300, random_state=seed, n_jobs=1
    )


def _realmlp(seed):
    from pytabkit import RealMLP_TD_Regressor

    return RealMLP_TD_Regressor(device="cpu", random_state=seed, n_threads=1)


class TabMPerTarget(RegressorMixin, BaseEstimator):
    """One TabM per target, since pytabkit's takes one target; the mean for a constant target."""

    def __init__(self, random_state=0):
        self.random_state = random_state

    def fit(self, X, y):
        """Fit one model per target."""
        from pytabkit import TabM_D_Regressor

        settings = {"device": "cpu", "random_state": self.random_state, "n_threads": 1}
        self.models_ = [
            (TabM_D_Regressor(**settings) if np.ptp(column) > 0 else DummyRegressor()).fit(X, column) for column in y.T
        ]
        return self

    def predict(self, X):
        """Return the predictions of all targets."""
        return np.column_stack([model.predict(X) for model in self.models_])


# RidgeCV with half decades of the penalty, as for the published figures of the protocol; its default grid of three
# values is too narrow for the two sets with more inputs than rows.
CONTESTANTS = {
    "ours-fast": _ours("fast"),
    "ours": _ours("default"),
    "ours-best": _ours("best"),
    "ours-raw": _ours("default", "raw"),
    "ridge": Contestant(lambda seed: RidgeCV(np.logspace(-3, 3, 13)), "scaled"),
    "forest": Contestant(lambda seed: RandomForestRegressor(300, random_state=seed, n_jobs=1), "coded"),
    "extra-trees": Contestant(lambda seed: ExtraTreesRegressor(300, random_state=seed, n_jobs=1), "coded"),
    "mlp": Contestant(_mlp, "scaled"),
    "boosted-trees": Contestant(
        lambda seed: MultiOutputRegressor(HistGradientBoostingRegressor(random_state=seed), n_jobs=1), "coded"
    ),
    "mean": Contestant(lambda seed: DummyRegressor(), "coded"),
    "catboost": Contestant(_catboost, "coded", "catboost"),
    "xgboost": Contestant(_xgboost, "coded", "xgboost"),
    "realmlp": Contestant(_realmlp, "filled", "pytabkit"),
    "tabm": Contestant(lambda seed: TabMPerTarget(seed), "filled", "pytabkit"),
}
# The default with one component removed or replaced by the usual choice, to measure its contribution.
ABLATIONS = {
    "without scaling layer": _ours("default", scaling_layer=False),
    "without piecewise-linear encoding": _ours("default", numeric_embedding=None),
    "all inputs piecewise-linear": _ours("default", numeric_embedding="piecewise_linear"),
    "without linear path": _ours("default", linear_path=False),
    "ReLU": _ours("default", activation="relu"),
    "initialised as in torch": _ours("default", initialization="torch"),
    "constant learning rate": _ours("default", lr_schedule=None, lr=0.005),
    "without weight decay": _ours("default", optimizer__weight_decay=0.0),
    "two layers": _ours("default", hidden_layer_sizes=(64, 64)),
    "one net": _ours("default", n_members=1, linear_path=False),
    "plain net": _ours(None),
}


def choose(names=None):
    """Return the contestants of these names; all that are installed if there are none."""
    known = {**CONTESTANTS, **ABLATIONS}
    unknown = set(names or ()) - set(known)
    if unknown:
        raise SystemExit(f"unknown models: {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    chosen = {name: known[name] for name in names or CONTESTANTS}
    absent = [name for name, contestant in chosen.items() if not contestant.installed]
    if names and absent:
        raise SystemExit(f"not installed: {', '.join(absent)}; pip install 'skmulti[peers]'")
    return {name: contestant for name, contestant in chosen.items() if name not in absent}


def hush():
    """Silence the warnings of peers, which repeat in every fit; warnings of skmulti are shown."""
    warnings.filterwarnings("ignore", module=r"sklearn\.(neural_network|preprocessing)")
    # Lightning, used by pytabkit, logs the devices in every fit; its loggers reset a level that was set before.
    logging.disable(logging.INFO)
    warnings.filterwarnings("ignore", module="pytabkit|lightning|pytorch_lightning|torchmetrics|catboost|xgboost")
