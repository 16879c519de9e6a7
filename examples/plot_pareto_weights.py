"""
The trade-off between two columns: 64 pairs of loss weights in one search
=========================================================================

One small network predicts ten measurements, and its columns compete for its capacity. How much better can "worst
symmetry" become if "worst area" may become worse? A search over the loss weights answers it: 64 pairs of loss weights
on five folds are 320 networks of the same shape. ``BatchedGridSearchCV`` trains them together, as one stack.
"""

# %%
# The data and the estimator. The network is small and single (``effort=None``) on purpose: columns compete only if its
# capacity is limited.
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmulti import MultiOutputMLPRegressor
from skmulti.datasets import load_breast_cancer_measurements
from skmulti.metrics import column_scorers
from skmulti.model_selection import BatchedGridSearchCV

X, Y = load_breast_cancer_measurements(return_X_y=True, as_frame=True)
first, second = "worst area", "worst symmetry"
net = MultiOutputMLPRegressor((2,), effort=None, lr=0.01, batch_size=64, max_epochs=40, random_state=0)
pipe = make_pipeline(StandardScaler(), net)

# %%
# The search
# ----------
# Eight loss weights for either column, from 1/16 to 16; all other columns have loss weight 1. The search has the
# parameters, scorers and ``cv_results_`` of scikit-learn's ``GridSearchCV``.
weights = np.geomspace(1 / 16, 16, 8).round(3).tolist()
search = BatchedGridSearchCV(
    pipe,
    {f"multioutputmlpregressor__loss_weights__{name}": weights for name in (first, second)},
    scoring=column_scorers(list(Y)),
    refit="mean_r2",
    cv=KFold(5, shuffle=True, random_state=0),
)
start = time.perf_counter()
search.fit(X, Y)
print(f"{search.n_stacked_fits_} of 320 networks were trained in stacks, in {time.perf_counter() - start:.1f} s")
print(f"best mean R2 {search.best_score_:.3f} with {search.best_params_}")
assert search.n_stacked_fits_ == 320

# %%
# The Pareto front
# ----------------
# A pair of loss weights is on the front if no other pair is better for both columns. Selecting by one number, the mean
# over all columns, gives one pair; the figure shows the alternatives.
scores = np.column_stack([search.cv_results_[f"mean_test_{name}_r2"] for name in (first, second)])
is_better = (scores[None] >= scores[:, None]).all(-1) & (scores[None] > scores[:, None]).any(-1)
front = np.flatnonzero(~is_better.any(1))
front = front[np.argsort(scores[front, 0])]
for i in front:
    chosen = ", ".join(f"{value:g}" for value in search.cv_results_["params"][i].values())
    print(f"loss weights {chosen:14} R2 of {first} {scores[i, 0]:.3f}, of {second} {scores[i, 1]:.3f}")
assert len(front) > 1

fig, ax = plt.subplots(figsize=(6.4, 4.6))
ratio = [np.log2(np.divide(*reversed(list(params.values())))) for params in search.cv_results_["params"]]
points = ax.scatter(*scores.T, c=ratio, cmap="coolwarm", s=25)
ax.plot(*scores[front].T, color="black", lw=1, zorder=0, label="Pareto front")
ax.plot(*scores[search.best_index_], "o", ms=12, mfc="none", mec="black", label="best mean over all columns")
fig.colorbar(points, label=f"log2 of loss weight of {second} / loss weight of {first}")
ax.set_xlabel(f"R2 of {first}, mean of 5 folds")
ax.set_ylabel(f"R2 of {second}, mean of 5 folds")
ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncol=2, frameon=False)
fig.tight_layout()
Path("output").mkdir(exist_ok=True)
fig.savefig("output/pareto_weights.png", dpi=120)
print("figure saved as output/pareto_weights.png")
