"""
Loss weights as ranges: random, halving and Optuna's search
===========================================================

A grid of loss weights grows exponentially with the number of columns. A loss weight is one number, whose order of
magnitude matters, so that a search can draw it from a distribution. Which searches can do that with a net in a
pipeline?
"""

# %%
# The data: ten measurements of a tumour's cells from twenty others. Two columns are hard to predict.
import logging

import optuna
from scipy.stats import loguniform
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.metrics import r2_score
from sklearn.model_selection import HalvingRandomSearchCV, RandomizedSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmulti import MultiOutputMLPRegressor
from skmulti.datasets import load_breast_cancer_measurements

X, Y = load_breast_cancer_measurements(return_X_y=True, as_frame=True)
X_train, X_test, Y_train, Y_test = train_test_split(X, Y, test_size=0.3, random_state=0)

net = MultiOutputMLPRegressor((32,), effort=None, lr=0.003, batch_size=64, max_epochs=18, random_state=0)
pipe = make_pipeline(StandardScaler(), net)
prefix = "multioutputmlpregressor__loss_weights__"
hard = ["worst symmetry", "worst smoothness"]
found = {}


def report(label, params, score):
    fitted = pipe.set_params(**params).fit(X_train, Y_train)
    found[label] = r2_score(Y_test, fitted.predict(X_test))
    weights = ", ".join(f"{name.removeprefix(prefix)} {weight:.2f}" for name, weight in params.items())
    print(f"{label:12} R2 {score:.3f} in cross-validation, {found[label]:.3f} on unseen rows: {weights}")


plain = dict.fromkeys((prefix + name for name in hard), 1.0)
report("all 1", plain, cross_val_score(pipe, X_train, Y_train, cv=3).mean())

# %%
# Random search
# -------------
# Every loss weight is a parameter of the estimator, and takes any of SciPy's distributions. Candidates are compared by
# R2, the net's score, and not by the weighted loss, whose scale changes with the loss weights.
ranges = {prefix + name: loguniform(0.2, 5.0) for name in hard}
search = RandomizedSearchCV(pipe, ranges, n_iter=5, cv=3, random_state=0, refit=False).fit(X_train, Y_train)
report("random", search.best_params_, search.best_score_)

# %%
# Successive halving
# ------------------
# Many candidates with few epochs, then the best third of them with three times as many, and so on. The resource is
# ``max_epochs``, a parameter of the net.
search = HalvingRandomSearchCV(
    pipe,
    ranges,
    n_candidates=9,
    resource="multioutputmlpregressor__max_epochs",
    min_resources=2,
    max_resources=18,
    cv=3,
    random_state=0,
    refit=False,
).fit(X_train, Y_train)
epochs = search.best_params_.pop("multioutputmlpregressor__max_epochs")
print(f"halving went from 9 candidates with 2 epochs to {search.n_candidates_[-1]} with {epochs}")
report("halving", search.best_params_, search.best_score_)

# %%
# Optuna
# ------
# The objective is a function of one trial: Optuna proposes loss weights that depend on the results of earlier trials.
optuna.logging.set_verbosity(logging.WARNING)


def objective(trial):
    weights = {prefix + name: trial.suggest_float(prefix + name, 0.2, 5.0, log=True) for name in hard}
    return cross_val_score(pipe.set_params(**weights), X_train, Y_train, cv=3).mean()


study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
study.optimize(objective, n_trials=5)
report("Optuna", study.best_params, study.best_value)
assert min(found.values()) > 0.75

# %%
# What was learned
# ----------------
# A loss weight is a numeric parameter, and every search handles it like any other. With targets that are standardised
# internally, loss weights of 1 are hard to improve on by much; a search confirms it for the data at hand.
