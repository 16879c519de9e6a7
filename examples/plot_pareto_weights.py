"""
The trade-off between two columns: 64 weightings in one search
==============================================================

One network predicts ten measurements, and what it learns for one column it can't spend on another. How much is to be
had for "worst symmetry" if "worst area" may get worse? The answer is a search over the loss weights: 64 weightings,
each on five folds, are 320 networks of the same shape. ``BatchedGridSearchCV`` trains them side by side, as one stack.
"""

# %%
# The data and the estimator. The network is small and alone (``effort=None``) on purpose: only where it is short
# of room must columns compete.
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
# Eight weights for either column, from a sixteenth to sixteen; all other columns weigh one. It is used as
# scikit-learn's own ``GridSearchCV``, with its parameters, its scorers and its ``cv_results_``.
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
# A weighting is on the front if no other is better for both columns. Who asks for one number, the mean over all
# columns, gets one of them; the picture shows what the others would have been.
scores = np.column_stack([search.cv_results_[f"mean_test_{name}_r2"] for name in (first, second)])
is_better = (scores[None] >= scores[:, None]).all(-1) & (scores[None] > scores[:, None]).any(-1)
front = np.flatnonzero(~is_better.any(1))
front = front[np.argsort(scores[front, 0])]
for i in front:
    chosen = ", ".join(f"{value:g}" for value in search.cv_results_["params"][i].values())
    print(f"weights {chosen:14} R2 of {first} {scores[i, 0]:.3f}, of {second} {scores[i, 1]:.3f}")
assert len(front) > 1

fig, ax = plt.subplots(figsize=(6.4, 4.6))
ratio = [np.log2(np.divide(*reversed(list(params.values())))) for params in search.cv_results_["params"]]
points = ax.scatter(*scores.T, c=ratio, cmap="coolwarm", s=25)
ax.plot(*scores[front].T, color="black", lw=1, zorder=0, label="Pareto front")
ax.plot(*scores[search.best_index_], "o", ms=12, mfc="none", mec="black", label="best mean over all columns")
fig.colorbar(points, label=f"log2 of weight of {second} / weight of {first}")
ax.set_xlabel(f"R2 of {first}, mean of 5 folds")
ax.set_ylabel(f"R2 of {second}, mean of 5 folds")
ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncol=2, frameon=False)
fig.tight_layout()
Path("output").mkdir(exist_ok=True)
fig.savefig("output/pareto_weights.png", dpi=120)
print("picture written to output/pareto_weights.png")
