"""
Half of the targets are missing, and some rows are less reliable
================================================================

Ten measurements of a tumour's cells are the targets, and half of the training values are missing. Dropping incomplete
rows leaves almost none. How much accuracy is lost if each column is trained on the values that it has?
"""

# %%
# The data: real measurements, with values removed at random from the training targets only.
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
# An increasing fraction of missing values
# ----------------------------------------
# ``missing_targets="mask"`` leaves a missing target out of its column's loss. Without it, NaN is an error that names
# the columns.
fractions = [0.0, 0.25, 0.5, 0.75, 0.9]
scores, complete_rows = {}, {}
for fraction in fractions:
    sparse = Y_train.mask(rng.random(Y_train.shape) < fraction)
    complete_rows[fraction] = int(sparse.notna().all(axis=1).sum())
    scores[fraction] = r2_score(Y_test, make_pipe().fit(X_train, sparse).predict(X_test), multioutput="raw_values")
    print(f"{fraction:4.0%} missing: {complete_rows[fraction]:3} complete rows, mean R2 {scores[fraction].mean():.3f}")
assert scores[0.0].mean() - scores[0.5].mean() < 0.05

# %%
# Less reliable rows
# ------------------
# Half of the rows come from a worse instrument, with noise as large as the standard deviation of each column, and half
# of the values are missing as before. The noisy rows get a sample weight of 1 / 10. A pipeline passes ``sample_weight``
# to the steps that request it. One sample weight per row and column, an array of the shape of y, works as well.
noisy = rng.random(len(Y_train)) < 0.5
noise = noisy[:, None] * rng.normal(size=Y_train.shape) * Y_train.std().to_numpy()
Y_noisy = (Y_train + noise).mask(rng.random(Y_train.shape) < 0.5)
weighted = {}
with sklearn.config_context(enable_metadata_routing=True):
    for label, weight in (("equal sample weights", None), ("noisy rows 1 / 10", np.where(noisy, 0.1, 1.0))):
        pipe = make_pipe()
        pipe[0].set_fit_request(sample_weight=False)
        pipe[1].set_fit_request(sample_weight=True)
        pipe.fit(X_train, Y_noisy, sample_weight=weight)
        weighted[label] = r2_score(Y_test, pipe.predict(X_test))
        print(f"{label}: mean R2 {weighted[label]:.3f}")
assert weighted["noisy rows 1 / 10"] > weighted["equal sample weights"]

# %%
fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
for i, name in enumerate(Y):
    ax.plot(fractions, [scores[fraction][i] for fraction in fractions], color="0.7", linewidth=1)
    ax.annotate(name.removeprefix("worst "), (fractions[-1], scores[fractions[-1]][i]), fontsize=6)
ax.plot(
    fractions, [scores[fraction].mean() for fraction in fractions], "o-", color="black", label="mean of the columns"
)
ax.set(xlabel="fraction of training targets missing", ylabel="R2 on unseen, complete rows", ylim=(0, 1))
ax.legend()
Path("output").mkdir(exist_ok=True)
fig.savefig("output/missing_targets.png", dpi=100)

# %%
# What was learned
# ----------------
# With half of the values missing hardly a row is complete, and yet little accuracy is lost: every column is trained on
# the values that it has, and the columns share the network. Less reliable rows can be kept with a low sample weight.
