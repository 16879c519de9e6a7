"""
A shared layer and a head per group of columns
==============================================

One head for an angle, another for distance and area, on a shared layer; the loss is the sum of a squared, an absolute
and a squared error. In torch that is a module with two outputs and a criterion over both. What is it here, and is the
training the same?
"""

# %%
# The data: ten measurements of a disc that is seen at an angle, from a distance.
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from torch import nn

rng = np.random.default_rng(0)
angle, distance, area = rng.uniform(-1.5, 1.5, 1500), rng.uniform(1, 3, 1500), rng.uniform(0.5, 2, 1500)
seen = np.column_stack([np.sin(angle), np.cos(angle), area / distance**2, distance, np.sqrt(area)])
X = (seen @ rng.normal(size=(5, 10)) + 0.02 * rng.normal(size=(1500, 10))).astype(np.float32)
Y = pd.DataFrame({"angle": angle, "distance": distance, "area": area}).astype(np.float32)
X_train, Y_train, X_test, Y_test = X[:1000], Y[:1000], X[1000:], Y[1000:]

# %%
# Before: plain torch
# -------------------


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.shared = nn.Sequential(nn.Linear(10, 64), nn.ReLU())
        self.angle = nn.Linear(64, 1)
        self.size = nn.Linear(64, 2)

    def forward(self, X):
        hidden = self.shared(X)
        return self.angle(hidden), self.size(hidden)


def total_loss(outputs, true):
    angle, size = outputs
    return (
        nn.functional.mse_loss(angle, true[:, :1])
        + nn.functional.l1_loss(size[:, 0], true[:, 1])
        + nn.functional.mse_loss(size[:, 1], true[:, 2])
    )


torch.manual_seed(0)
plain = TwoHeads()
optimizer = torch.optim.Adam(plain.parameters(), lr=0.001)
X_ten, Y_ten = torch.tensor(X_train[:320]), torch.tensor(Y_train[:320].to_numpy())
for X_batch, Y_batch in zip(X_ten.split(32), Y_ten.split(32), strict=True):
    optimizer.zero_grad()
    loss = total_loss(plain(X_batch), Y_batch)
    loss.backward()
    optimizer.step()

# %%
# After: one estimator
# --------------------
# ``heads`` defines the groups, ``loss`` the one column without squared error. ``random_state=0`` initialises the
# network as ``torch.manual_seed(0)`` does. To repeat the loop above step by step, rows are not shuffled and targets
# not scaled.
from skmulti import MultiHeadRegressor

heads = {"direction": ["angle"], "size": ["distance", "area"]}
net = MultiHeadRegressor(
    heads=heads,
    hidden_layer_sizes=(64,),
    loss={"distance": "absolute_error"},
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
# Where the names appear
# ----------------------
# The history has the loss of every column, the parameter names contain the names of the heads, and a loss weight may be
# given to a whole head.
net = MultiHeadRegressor(
    heads=heads,
    hidden_layer_sizes=(64,),
    head_hidden_layer_sizes={"size": (32,)},
    loss={"distance": "absolute_error"},
    loss_weights={"size": 2.0},
    max_epochs=40,
    random_state=0,
)
net.fit(X_train, Y_train)
print([name for name, _ in net.module_.named_parameters()])
error = np.abs(net.predict(X_test) - Y_test.to_numpy()).mean(axis=0)
for name, value in zip(net.target_names_, error, strict=True):
    print(f"{name}: mean absolute error {value:.3f}")
assert error.max() < 0.3

# %%
fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
for term in net.terms_:
    ax.plot(net.history_[:, f"train_loss__{term.name}"], label=f"{term.name} ({type(term.loss).__name__})")
ax.set(xlabel="epoch", ylabel="loss of the column, standardised", yscale="log")
ax.legend()
Path("output").mkdir(exist_ok=True)
fig.savefig("output/heads.png", dpi=100)

# %%
# What was learned
# ----------------
# One mapping defines the heads and their columns, another the losses, and the training is that of the torch program, up
# to rounding. Sizes, slices and the order of the outputs follow from the names.
