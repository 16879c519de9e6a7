"""
The main job: ten measurements from a table, a box and an angle from an image
=============================================================================

Two real data sets that come with scikit-learn, with several targets each. How accurate is one estimator with its
defaults, what do loss weights change, and how are they searched?
"""

# %%
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.metrics import r2_score
from sklearn.model_selection import GroupShuffleSplit, train_test_split

from skmulti import MultiOutputCNNRegressor, MultiOutputMLPRegressor
from skmulti.datasets import load_breast_cancer_measurements, load_digit_canvases
from skmulti.metrics import column_scorers
from skmulti.model_selection import BatchedGridSearchCV

start = time.perf_counter()


def progress(text):
    print(f"[{time.perf_counter() - start:5.1f} s] {text}", flush=True)


# %%
# Ten measurements from a table
# -----------------------------
# The ten worst measurements of a tumour's cells from the twenty others, on scales from 0.01 to 900. Targets are
# standardised internally, so that all ten columns count equally by default.
X, Y = load_breast_cancer_measurements(return_X_y=True, as_frame=True)
X_train, X_test, Y_train, Y_test = train_test_split(X, Y, test_size=0.3, random_state=0)
progress(f"cell measurements: {len(X_train)} training rows, {X.shape[1]} inputs, {Y.shape[1]} target columns")

scores = {}


def make_net(**params):
    return MultiOutputMLPRegressor(random_state=0, **params)


def measure(label, fitted):
    scores[label] = pd.Series(r2_score(Y_test, fitted.predict(X_test), multioutput="raw_values"), index=Y.columns)
    progress(f"{label}: mean R2 {scores[label].mean():.3f}")


measure("equal loss weights", make_net().fit(X_train, Y_train))

# %%
# By hand: the two columns that are hardest to predict get a loss weight of 3.
hard = ["worst symmetry", "worst smoothness"]
measure("by hand", make_net(loss_weights=dict.fromkeys(hard, 3.0)).fit(X_train, Y_train))

# %%
# By search: each loss weight is a parameter of the estimator. Candidates are compared by R2, not by the weighted loss,
# whose scale changes with the loss weights. The search uses small ensembles (``effort="fast"``), trained as one stack.
grid = {f"loss_weights__{name}": [0.3, 1.0, 3.0] for name in hard}
progress("searching 3 x 3 loss weights in 3 folds")
scorers = column_scorers(list(Y.columns))
search = BatchedGridSearchCV(make_net(effort="fast"), grid, scoring=scorers, refit="mean_r2", cv=3)
search.fit(X_train, Y_train)
best = {name.removeprefix("loss_weights__"): weight for name, weight in search.best_params_.items()}
progress(f"best loss weights {best}: mean R2 {search.best_score_:.3f} in cross-validation")
measure("by search", make_net(**search.best_params_).fit(X_train, Y_train))

# %%
# A box and an angle from an image
# --------------------------------
# Scanned digits on a larger canvas: where is the digit, how large is it, and how is it rotated? The loss ``circular``
# accounts for the period of the angle. The test canvases show scans that are not in the training data.
canvases = load_digit_canvases(6000, canvas_shape=(24, 24), size_range=(9, 14), as_frame=True)
split = GroupShuffleSplit(n_splits=1, test_size=0.2, random_state=0)
train, test = next(split.split(canvases.data, groups=canvases.source))
true = canvases.target.iloc[test]
progress(f"digit canvases: {len(train)} training images of {canvases.data.shape[1:]} pixels")

net = MultiOutputCNNRegressor(effort="fast", loss={"angle": "circular"}, random_state=0)
net.fit(canvases.data[train], canvases.target.iloc[train])
predicted = pd.DataFrame(net.predict(canvases.data[test]), columns=true.columns)
off = np.abs(predicted.to_numpy() - true.to_numpy())
off[:, 4] = np.minimum(off[:, 4], 360 - off[:, 4])
progress("canvases fitted")

# %%
# The scores
# ----------
table = pd.DataFrame(scores)
table.loc["mean"] = table.mean()
print(f"\nR2 per measurement on {len(X_test)} unseen rows; 1 is perfect, 0 is as good as the mean\n")
print(table.to_string(float_format="{:.3f}".format))
print(f"\nError per column on {len(test)} canvases of unseen scans\n")
for name, value in zip("xywh", off[:, :4].mean(axis=0), strict=True):
    print(f"{name:6} mean absolute error   {value:5.2f} pixels")
print(f"angle  median wrapped error  {np.median(off[:, 4]):5.1f} degrees\n")

# %%
# The picture
# -----------
fig = plt.figure(figsize=(13, 6.2), layout="constrained")
left, right = fig.subfigures(1, 2, width_ratios=[1.15, 1])

axes = left.subplots(3, 4)
for ax, image, (_, t), (_, p) in zip(
    axes.flat, canvases.data[test], true.iterrows(), predicted.iterrows(), strict=False
):
    ax.imshow(image, cmap="gray_r", extent=(0, 24, 24, 0))
    for pose, color, style in ((t, "tab:green", "-"), (p, "tab:red", "--")):
        corner = pose.x - pose.w / 2, pose.y - pose.h / 2
        ax.add_patch(plt.Rectangle(corner, pose.w, pose.h, fill=False, edgecolor=color, linewidth=1.8, linestyle=style))
        # The digit's own upward direction: counter-clockwise from the top, and rows count downwards.
        up = np.deg2rad(pose.angle)
        ax.annotate(
            "",
            (pose.x - 8 * np.sin(up), pose.y - 8 * np.cos(up)),
            (pose.x, pose.y),
            arrowprops={"arrowstyle": "-|>", "color": color, "linewidth": 1.8, "linestyle": style},
        )
    ax.set(xticks=[], yticks=[], xlim=(0, 24), ylim=(24, 0))
left.suptitle("box and upward direction: true in green, predicted in red")

ax = right.subplots()
shown = pd.DataFrame(scores).iloc[::-1]
shown.index = shown.index.str.removeprefix("worst ")
shown.loc[:, ::-1].plot.barh(ax=ax, width=0.8, color=["tab:blue", "tab:orange", "0.7"])
handles, labels = ax.get_legend_handles_labels()
ax.legend(handles[::-1], labels[::-1], loc="lower center", bbox_to_anchor=(0.45, 1), ncols=3, frameon=False)
ax.set(xlim=(0, 1), xlabel="R2 on unseen rows")
ax.spines[["top", "right"]].set_visible(False)
right.suptitle("ten worst measurements of a tumour's cells")

path = Path("output/demo.png")
path.parent.mkdir(exist_ok=True)
fig.savefig(path, dpi=110)
progress(f"picture saved as {path}")

# %%
# What was learned
# ----------------
# The losses are one argument, the loss weights another; splitting, searching and scoring are scikit-learn's. With
# standardised targets, equal loss weights are a good start, and loss weights set by hand are a guess that may be worse.
# A search shows whether others are better, and by how much.
