"""
A learning rate of its own for one head
=======================================

Columns converge at different rates: one follows its inputs plainly, another is a fast wave that takes long to find.
Can the head of the slow column learn faster without unsettling the others?
"""

# %%
# The data: a plain column and a wave, from the same two inputs.
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
# The heads carry the names of their columns, or of the groups in ``heads``, into the parameters of the network. A
# pattern of parameter names is therefore all that skorch's ``optimizer__param_groups`` needs to give one head its own
# learning rate.


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

one, own = (net.history_[-1, "train_loss__wave"] for net in nets.values())
assert own < one

# %%
# What was learned
# ----------------
# The column with the faster head comes down further in the same number of epochs, and the other column's head keeps
# its rate. A learning rate per head is a matter of the optimizer, a loss weight one of what is to be learned: a weight
# also changes what the shared layers care for, a rate of the head does not.
