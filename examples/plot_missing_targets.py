"""
Half of the targets are missing, and not all rows count alike
=============================================================

Ten measurements of a tumour's cells are to be predicted, and half of the training values were never taken. Throwing
away the rows with a hole leaves next to none. What is lost if each column learns from the values that it has?
"""

# %%
# The data: the real measurements, with holes of our own making in the training targets only.
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import sklearn
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmulti import MultiOutputMLPRegressor
from skmulti.datasets import load_breast_cancer_measurements

X, Y = load_breast_cancer_measurements(return_X_y=True, as_frame=True)
X_train, X_test, Y_train, Y_test = train_test_split(X, Y, test_size=0.3, random_state=0)
rng = np.random.default_rng(0)


def make_pipe():
    net = MultiOutputMLPRegressor(
        (32,), effort=None, missing_targets="mask", lr=0.003, batch_size=64, max_epochs=60, random_state=0
    )
    return make_pipeline(StandardScaler(), net)


# %%
# More and more holes
# -------------------
# ``missing_targets="mask"`` leaves a missing target out of its column's loss. Without it, NaN is an error that names
# the columns.
shares = [0.0, 0.25, 0.5, 0.75, 0.9]
scores, complete_rows = {}, {}
for share in shares:
    holes = Y_train.mask(rng.random(Y_train.shape) < share)
    complete_rows[share] = int(holes.notna().all(axis=1).sum())
    scores[share] = r2_score(Y_test, make_pipe().fit(X_train, holes).predict(X_test), multioutput="raw_values")
    print(f"{share:4.0%} missing: {complete_rows[share]:3} complete rows, mean R2 {scores[share].mean():.3f}")
assert scores[0.0].mean() - scores[0.5].mean() < 0.05

# %%
# Rows that count less
# --------------------
# Let half of the rows come from a worse instrument, with noise as large as the spread of each column, and half of the
# values missing as before. A weight of 1 / 10 says how little these rows are worth. A pipeline sends ``sample_weight``
# on to the steps that ask for it. A weight per row and column, of the shape of y, works as well.
noisy = rng.random(len(Y_train)) < 0.5
noise = noisy[:, None] * rng.normal(size=Y_train.shape) * Y_train.std().to_numpy()
Y_noisy = (Y_train + noise).mask(rng.random(Y_train.shape) < 0.5)
weighted = {}
with sklearn.config_context(enable_metadata_routing=True):
    for label, weight in (("all rows alike", None), ("noisy rows 1 / 10", np.where(noisy, 0.1, 1.0))):
        pipe = make_pipe()
        pipe[0].set_fit_request(sample_weight=False)
        pipe[1].set_fit_request(sample_weight=True)
        pipe.fit(X_train, Y_noisy, sample_weight=weight)
        weighted[label] = r2_score(Y_test, pipe.predict(X_test))
        print(f"{label}: mean R2 {weighted[label]:.3f}")
assert weighted["noisy rows 1 / 10"] > weighted["all rows alike"]

# %%
fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
for i, name in enumerate(Y):
    ax.plot(shares, [scores[share][i] for share in shares], color="0.7", linewidth=1)
    ax.annotate(name.removeprefix("worst "), (shares[-1], scores[shares[-1]][i]), fontsize=6)
ax.plot(shares, [scores[share].mean() for share in shares], "o-", color="black", label="mean of the columns")
ax.set(xlabel="share of training targets missing", ylabel="R2 on unseen, complete rows", ylim=(0, 1))
ax.legend()
Path("output").mkdir(exist_ok=True)
fig.savefig("output/missing_targets.png", dpi=100)

# %%
# What was learned
# ----------------
# With half of the values missing hardly a row is complete, and yet little is lost: every column learns from what it
# has, and the columns share the network. Rows that are known to be worse may stay, with a weight that says so.
