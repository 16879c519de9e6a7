"""
A custom loss: late is worse than early
=======================================

A delivery date is promised some days ahead. A day late costs four times as much as a day early. How much code does a
loss with these costs take, and can a search set its parameter?
"""

# %%
# The data: two targets from six inputs, a distance and the days of the delivery, whose spread depends on one input.
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch.nn.functional as F
from sklearn.metrics import make_scorer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmulti import MultiOutputMLPRegressor
from skmulti.losses import ColumnLoss, register_loss

rng = np.random.default_rng(0)
X = rng.normal(size=(1500, 6))
distance = 100 + 20 * (X[:, 0] - X[:, 1] + X[:, 2] * X[:, 3])
days = 5 + distance / 50 + rng.gamma(2.0, np.exp(X[:, 4] / 2))
Y = pd.DataFrame({"distance": distance, "days": days})
X_train, X_test, Y_train, Y_test = X[:1000], X[1000:], Y[:1000], Y[1000:]

# %%
# The loss
# --------
# A frozen dataclass: its fields are its parameters, and ``row_loss`` returns one value per row. A day late (the target
# is above the prediction) costs ``late`` times as much as a day early, smoothed near zero. The defaults of the base
# class are one column, one raw output, standardised targets and the raw output as the prediction; a loss may override
# them.


@dataclass(frozen=True)
class Late(ColumnLoss):
    late: float = 3.0

    def row_loss(self, raw, y):
        over = (y - raw).squeeze(-1)  # (n_rows,)
        return F.softplus(over) * self.late + F.softplus(-over)


register_loss("late", Late)

# %%
# A name like any other
# ---------------------
# It is now used like the losses of the package: by name, by class, with parameters, in a search. The search compares
# candidates by the cost in days, which does not depend on the parameter.


def true_cost(y_true, y_pred):
    over = np.asarray(y_true)[:, 1] - y_pred[:, 1]
    return np.where(over > 0, 4 * over, -over).mean()


net = MultiOutputMLPRegressor((32,), effort=None, loss={"days": "late"}, lr=0.005, max_epochs=15, random_state=0)
search = GridSearchCV(
    make_pipeline(StandardScaler(), net),
    {"multioutputmlpregressor__loss__days__late": [0.5, 1.0, 2.0, 4.0]},
    scoring=make_scorer(true_cost, greater_is_better=False),
    cv=3,
)
search.fit(X_train, Y_train)
costs = -search.cv_results_["mean_test_score"]
factors = [params["multioutputmlpregressor__loss__days__late"] for params in search.cv_results_["params"]]
for factor, cost in zip(factors, costs, strict=True):
    print(f"late={factor}: a delivery costs {cost:.2f} in cross-validation")

plain = make_pipeline(
    StandardScaler(), MultiOutputMLPRegressor((32,), effort=None, lr=0.005, max_epochs=15, random_state=0)
)
plain.fit(X_train, Y_train)
results = {
    "squared error": true_cost(Y_test, plain.predict(X_test)),
    "custom loss": true_cost(Y_test, search.predict(X_test)),
}
for name, cost in results.items():
    print(f"{name}: a delivery costs {cost:.2f} on unseen rows")
assert results["custom loss"] < results["squared error"]

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
axes[0].plot(factors, costs, "o-")
axes[0].set(xscale="log", xlabel="late", ylabel="cost of a delivery, cross-validation")
for name, fitted in (("squared error", plain), ("custom loss", search)):
    over = Y_test["days"] - fitted.predict(X_test)[:, 1]
    axes[1].hist(over, bins=np.linspace(-6, 6, 49), alpha=0.6, label=f"{name}: {(over > 0).mean():.0%} late")
axes[1].set(xlabel="days late", ylabel="deliveries")
axes[1].legend()
Path("output").mkdir(exist_ok=True)
fig.savefig("output/custom_loss.png", dpi=100)

# %%
# What was learned
# ----------------
# A custom loss is a class of a few lines, registered under a name. Its parameters are parameters of the estimator,
# ``loss__days__late``, which any search can set. For a search in several processes (``n_jobs``), define and register
# the class in a module that all of them import.
