"""
A separate learning rate for one head
=====================================

Columns converge at different rates: one is linear in its inputs, another oscillates and takes many epochs. Can the head
of the slow column have a higher learning rate without an effect on the other heads?
"""

# %%
# The data: a linear column and a wave, from the same two inputs.
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skmulti import MultiHeadRegressor

rng = np.random.default_rng(0)
X = rng.uniform(-1, 1, size=(2000, 2)).astype(np.float32)
Y = pd.DataFrame({"plain": X[:, 0] + X[:, 1], "wave": np.sin(4 * X[:, 0]) * np.cos(3 * X[:, 1])})

# %%
# The parameter names of a head contain the name of its column, or of its group in ``heads``. A pattern of
# parameter names in skorch's ``optimizer__param_groups`` therefore gives one head its own learning rate.


def make_net(**params):
    return MultiHeadRegressor(
        hidden_layer_sizes=(64, 64), head_hidden_layer_sizes=(32,), lr=0.0002, max_epochs=25, random_state=0, **params
    )


nets = {
    "one rate, 0.0002": make_net(),
    "wave's head 0.01": make_net(optimizer__param_groups=[("heads.wave.*", {"lr": 0.01})]),
}
for label, net in nets.items():
    net.fit(X, Y)
    rates = [group["lr"] for group in net.optimizer_.param_groups]
    last = {name: net.history_[-1, f"train_loss__{name}"] for name in net.target_names_}
    print(f"{label}: rates {rates}, last losses " + ", ".join(f"{name} {value:.4f}" for name, value in last.items()))

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 4), sharey=True, layout="constrained")
for ax, name in zip(axes, Y.columns, strict=True):
    for label, net in nets.items():
        ax.plot(net.history_[:, f"train_loss__{name}"], label=label)
    ax.set(title=name, xlabel="epoch", yscale="log")
axes[0].set_ylabel("loss, in variances of the column")
axes[0].legend()
Path("output").mkdir(exist_ok=True)
fig.savefig("output/learning_rate_per_head.png", dpi=100)

single, separate = (net.history_[-1, "train_loss__wave"] for net in nets.values())
assert separate < single

# %%
# What was learned
# ----------------
# The column with the higher learning rate reaches a lower loss in the same number of epochs, and the head of the other
# column keeps its learning rate. A learning rate per head changes the optimizer, a loss weight the objective: a loss
# weight also changes the gradient of the shared layers, a learning rate of a head does not.
