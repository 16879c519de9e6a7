"""
Columns that belong together: boxes and rotations
=================================================

Four columns make a box, three a rotation. Squared errors of single columns ignore that. What changes if the loss is
defined for the whole group: the overlap of two boxes, the angle between two rotations?
"""

# %%
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.spatial.transform import Rotation
from sklearn.model_selection import GroupShuffleSplit
from skorch.callbacks import LRScheduler

from skmulti import MultiOutputCNNRegressor, MultiOutputMLPRegressor
from skmulti.datasets import load_digit_canvases

# %%
# Boxes
# -----
# Digits on a canvas; the test canvases show scans that are not in the training data. The group of columns has a name,
# and the loss of the group is a parameter, ``loss__box``. Network, seed and epochs are the same for both losses.
canvases = load_digit_canvases(1000, canvas_shape=(24, 24), size_range=(9, 14), as_frame=True)
train, test = next(GroupShuffleSplit(1, test_size=0.25, random_state=0).split(canvases.data, groups=canvases.source))
boxes = canvases.target[["x", "y", "w", "h"]]
true = boxes.iloc[test].to_numpy()


def overlaps(p, t):
    low = np.maximum(p[:, :2] - p[:, 2:] / 2, t[:, :2] - t[:, 2:] / 2)
    high = np.minimum(p[:, :2] + p[:, 2:] / 2, t[:, :2] + t[:, 2:] / 2)
    both = (high - low).clip(0).prod(axis=1)
    return both / (p[:, 2:].clip(0).prod(axis=1) + t[:, 2:].prod(axis=1) - both)


net = MultiOutputCNNRegressor(
    effort=None,
    channels=(8, 16, 32),
    hidden_layer_sizes=(64,),
    column_groups={"box": ["x", "y", "w", "h"]},
    lr=0.003,
    batch_size=64,
    max_epochs=30,
    callbacks=[("schedule", LRScheduler(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=30))],
    random_state=0,
)
found = {}
for loss in ("squared_error", "giou"):
    net.set_params(loss__box=loss).fit(canvases.data[train], boxes.iloc[train])
    found[loss] = net.predict(canvases.data[test])
    print(f"boxes with {loss:13}: mean overlap {overlaps(found[loss], true).mean():.3f}")

# %%
# Rotations
# ---------
# Three points of a body, measured with a little noise: what is its rotation? A rotation vector is discontinuous at 180
# degrees, so that similar rotations have distant targets. With ``rotation`` the network emits a continuous
# representation, and predictions are rotation vectors all the same.
rng = np.random.default_rng(0)
turns = Rotation.random(1500, random_state=0)
points = turns.as_matrix() @ rng.normal(size=(3, 3)) + 0.02 * rng.normal(size=(1500, 3, 3))
X, Y = points.reshape(-1, 9), turns.as_rotvec()
off = {}
for loss in ("squared_error", "rotation"):
    mlp = MultiOutputMLPRegressor((64,), effort=None, loss={(0, 1, 2): loss}, max_epochs=30, random_state=0).fit(
        X[:1000], Y[:1000]
    )
    off[loss] = np.degrees((Rotation.from_rotvec(mlp.predict(X[1000:])).inv() * turns[1000:]).magnitude())
    print(f"rotations with {loss:13}: median angle {np.median(off[loss]):.1f} degrees")
assert np.median(off["rotation"]) < 10 < np.median(off["squared_error"])

# %%
fig = plt.figure(figsize=(11, 4.2), layout="constrained")
left, right = fig.subfigures(1, 2, width_ratios=[1.3, 1])
for ax, image, t, *predicted in zip(left.subplots(2, 4).flat, canvases.data[test], true, *found.values(), strict=False):
    ax.imshow(image, cmap="gray_r", extent=(0, 24, 24, 0))
    for (x, y, w, h), color in zip((t, *predicted), ("tab:green", "tab:orange", "tab:red"), strict=True):
        ax.add_patch(plt.Rectangle((x - w / 2, y - h / 2), w, h, fill=False, edgecolor=color, linewidth=1.5))
    ax.set_axis_off()
left.suptitle("green: true, orange: squared_error, red: giou")
ax = right.subplots()
for loss, angles in off.items():
    ax.plot(np.sort(angles), np.linspace(0, 1, len(angles)), label=loss)
ax.set(xscale="log", xlabel="angle to the true rotation, degrees", ylabel="fraction of rotations below")
ax.legend()
Path("output").mkdir(exist_ok=True)
fig.savefig("output/boxes_rotations.png", dpi=100)

# %%
# What was learned
# ----------------
# A group of columns is one term, with a loss defined for all of them together. A discontinuous target representation,
# such as a rotation vector, cannot be learned column by column; a loss of the group uses a continuous one.
