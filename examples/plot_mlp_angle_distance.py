"""
A different loss for each column: an angle and a distance
=========================================================

Ten measurements, two targets: an angle, learned with squared error, and a distance with a few gross outliers, learned
with absolute error. In torch that is a criterion that slices columns. What is it here, and is the training the same?
"""

# %%
# The data: inputs are a linear mixture of the position. One distance in ten is a gross misreading.
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from torch import nn

rng = np.random.default_rng(0)
truth = pd.DataFrame({"angle": rng.uniform(-1.5, 1.5, 1500), "distance": rng.uniform(0.5, 3, 1500)})
position = np.column_stack([truth["distance"] * np.cos(truth["angle"]), truth["distance"] * np.sin(truth["angle"])])
X = (position @ rng.normal(size=(2, 10)) + 0.05 * rng.normal(size=(1500, 10))).astype(np.float32)
Y = truth.astype(np.float32)
misread = rng.random(1500) < 0.1
Y.loc[misread, "distance"] += rng.uniform(5, 20, misread.sum()).astype(np.float32)
X_train, Y_train, X_test, truth_test = X[:1000], Y[:1000], X[1000:], truth[1000:]

# %%
# Before: plain torch
# -------------------
# A module, a criterion that selects columns by number, and a loop.


class AngleDistanceLoss(nn.Module):
    def forward(self, predicted, true):
        angle = nn.functional.mse_loss(predicted[:, 0], true[:, 0])
        distance = nn.functional.l1_loss(predicted[:, 1], true[:, 1])
        return angle + distance


torch.manual_seed(0)
plain = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 2))
optimizer = torch.optim.Adam(plain.parameters(), lr=0.001)
criterion = AngleDistanceLoss()
X_ten, Y_ten = torch.tensor(X_train[:320]), torch.tensor(Y_train[:320].to_numpy())
for X_batch, Y_batch in zip(X_ten.split(32), Y_ten.split(32), strict=True):
    optimizer.zero_grad()
    loss = criterion(plain(X_batch), Y_batch)
    loss.backward()
    optimizer.step()

# %%
# After: one estimator
# --------------------
# The losses are a mapping from column names. ``effort=None`` is one plain network without the presets that make the
# default more accurate. ``random_state=0`` initialises the network as ``torch.manual_seed(0)`` does. To repeat the loop
# above step by step, rows are not shuffled and targets not scaled.
from skmulti import MultiOutputMLPRegressor

net = MultiOutputMLPRegressor(
    effort=None,
    hidden_layer_sizes=(64,),
    loss={"angle": "squared_error", "distance": "absolute_error"},
    lr=0.001,
    batch_size=32,
    max_epochs=1,
    shuffle=False,
    scale_targets=False,
    random_state=0,
)
net.fit(X_train[:320], Y_train[:320])

# %%
# After ten steps both networks have the same parameters.
difference = 0.0
for ours, theirs in zip(net.module_.parameters(), plain.parameters(), strict=True):
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-7)
    difference = max(difference, float((ours - theirs).detach().abs().max()))
print(f"largest difference between two parameters after ten steps: {difference:.1e}")

# %%
# What a different loss changes
# -----------------------------
# A loss is one string, and comparing two of them takes one line. With squared error the predictions are biased towards
# the misread distances; absolute error estimates the median, which they hardly change.
losses = ["squared_error", "absolute_error"]
nets = {
    name: MultiOutputMLPRegressor(effort=None, loss={"distance": name}, max_epochs=40, random_state=0).fit(
        X_train, Y_train
    )
    for name in losses
}
errors = {}
for name, fitted in nets.items():
    angle, distance = (fitted.predict(X_test) - truth_test.to_numpy()).T
    errors[name] = np.abs(distance).mean()
    print(f"distance with {name:15}: mean error {errors[name]:.3f}; angle: {np.abs(angle).mean():.3f}")
assert errors["absolute_error"] < errors["squared_error"] / 2

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 4.2), sharex=True, sharey=True, layout="constrained")
for ax, (name, fitted) in zip(axes, nets.items(), strict=True):
    ax.scatter(truth_test["distance"], fitted.predict(X_test)[:, 1], s=8)
    ax.axline((1, 1), slope=1, color="black", linewidth=1)
    ax.set(title=f"{name}: mean error {errors[name]:.2f}", xlabel="true distance", ylabel="predicted distance")
Path("output").mkdir(exist_ok=True)
fig.savefig("output/mlp_angle_distance.png", dpi=100)

# %%
# What was learned
# ----------------
# A mapping from column names to losses gives the same training as the criterion with its slices, up to rounding. The
# loss of a column is a parameter, so that it can be compared and searched like any other.
