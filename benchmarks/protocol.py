"""The protocol of the accuracy benchmark: tables, folds, preprocessing, and the error measure."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.datasets import fetch_openml
from sklearn.impute import SimpleImputer
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

N_FOLDS = 5
# Rows, inputs and targets, to detect another data set of the same name on OpenML.
OPENML_SHAPES = {
    "atp1d": (337, 411, 6),
    "edm": (154, 16, 2),
    "enb": (768, 8, 2),
    "jura": (359, 15, 3),
    "oes97": (334, 263, 16),
    "scpf": (1137, 23, 3),
    "sf1": (323, 10, 3),
    "slump": (103, 7, 3),
}


@dataclass(frozen=True)
class Table:
    """Raw inputs, which may have missing values; numeric targets; the names of the nominal inputs."""

    name: str
    X: pd.DataFrame
    y: np.ndarray
    nominal: list = field(default_factory=list)


def _names(known, requested):
    unknown = set(requested or ()) - set(known)
    if unknown:
        raise SystemExit(f"unknown sets: {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    return requested or list(known)


def load_folder(folder, sets=None):
    """Yield the tables ``NAME.csv`` that the folder's ``meta.json`` describes, or the requested ones."""
    described = json.loads((Path(folder) / "meta.json").read_text(encoding="utf-8"))
    for name in _names(described, sets):
        about = described[name]
        frame = pd.read_csv(Path(folder) / f"{name}.csv", dtype=dict.fromkeys(about["nominal"], str))
        y = frame[about["targets"]].to_numpy(dtype=float)
        yield Table(name, frame.drop(columns=about["targets"]), y, about["nominal"])


def load_openml(sets=None):
    """Yield OpenML's copies of the sets, which have the same names there. Untested: no network was available."""
    for name in _names(OPENML_SHAPES, sets):
        copy = fetch_openml(name=name, version=1, as_frame=True)
        X, y = copy.data, np.asarray(copy.target, dtype=float).reshape(len(copy.data), -1)
        if (*X.shape, y.shape[1]) != OPENML_SHAPES[name]:
            raise SystemExit(f"OpenML's {name!r} has shapes {X.shape} and {y.shape}, not those of the protocol's set.")
        nominal = [column for column in X if not pd.api.types.is_numeric_dtype(X[column])]
        yield Table(name, X.astype(dict.fromkeys(nominal, str)), y, nominal)


def folds(n_rows, seed=0):
    """Return the rows of training and of test of each fold."""
    return list(KFold(N_FOLDS, shuffle=True, random_state=seed).split(np.empty(n_rows)))


def prepare(table, train, test):
    """Return ``{form: (training inputs, test inputs)}``, with preprocessing fitted on the training rows.

    ``raw`` is the unchanged table. ``filled`` has missing numbers imputed by medians, ``coded`` also one-hot encoded
    nominal columns, and ``scaled`` is also standardised.
    """
    inputs = table.X.iloc[train], table.X.iloc[test]
    numeric = [column for column in table.X if column not in table.nominal]
    median = SimpleImputer(strategy="median", keep_empty_features=True)
    fill = ColumnTransformer(
        [("numeric", median, numeric), ("nominal", "passthrough", table.nominal)], verbose_feature_names_out=False
    ).set_output(transform="pandas")
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    code = ColumnTransformer([("numeric", median, numeric), ("nominal", one_hot, table.nominal)])
    steps = {"filled": fill, "coded": code, "scaled": make_pipeline(code, StandardScaler())}
    fitted = {form: step.fit(inputs[0]) for form, step in steps.items()}
    return {"raw": inputs} | {form: tuple(map(step.transform, inputs)) for form, step in fitted.items()}


def run(contestant, prepared, table, train, seed):
    """Fit a contestant on training rows; return its predictions of the test rows and the fit's processor seconds."""
    X_train, X_test = prepared[contestant.form]
    model = contestant.make(seed)
    start = time.process_time()
    model.fit(X_train, table.y[train])
    seconds = time.process_time() - start
    return np.asarray(model.predict(X_test)).reshape(len(X_test), -1), seconds


def arrmse(y_true, y_pred, train_mean):
    """Return the mean over targets of the error relative to predicting the mean of the training rows.

    RRMSE is the root of the ratio of two sums of squares; targets that are constant in `y_true` are excluded; the
    result is NaN if all are. With predictions that are not finite it is infinite.
    """
    if not np.isfinite(y_pred).all():
        return np.inf
    varies = np.ptp(y_true, axis=0) > 0
    if not varies.any():
        return np.nan
    # In units of the targets' spread, since the squares of some tables' values overflow.
    unit = np.ptp(y_true, axis=0)[varies]
    error, reference = ((y_true - guess)[:, varies] / unit for guess in (y_pred, train_mean))
    return float(np.sqrt((error**2).sum(0) / (reference**2).sum(0)).mean())
