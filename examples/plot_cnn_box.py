"""
Four numbers from an image: what one estimator replaces
=======================================================

Where in the image is the rectangle, and how large is it? A small convolutional network predicts x, y, w and h from
``(3, 28, 28)`` images. How much of the usual torch program does an estimator replace, and is the training the same?
"""

# %%
# The data: a coloured rectangle on noise. x and y are its centre, w and h its size, all in pixels.
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

rng = np.random.default_rng(0)


def draw(n_images):
    X = rng.normal(scale=0.3, size=(n_images, 3, 28, 28)).astype(np.float32)
    Y = np.empty((n_images, 4), dtype=np.float32)
    for image, target in zip(X, Y, strict=True):
        w, h = rng.integers(4, 15, size=2)
        left, top = rng.integers(0, 28 - w + 1), rng.integers(0, 28 - h + 1)
        image[:, top : top + h, left : left + w] += rng.uniform(0.3, 1.5, size=(3, 1, 1))
        target[:] = left + w / 2, top + h / 2, w, h
    return X, Y


X, Y = draw(1000)
X_test, Y_test = draw(200)

# %%
# Before: plain torch
# -------------------
# A module, with the hand-counted size ``32 * 7 * 7``, and a loop. Prediction, validation, device placement, batches at
# prediction time and saving are still missing.


class BoxNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(32 * 7 * 7, 128), nn.ReLU(), nn.Linear(128, 4))

    def forward(self, X):
        return self.head(self.features(X))


torch.manual_seed(0)
plain = BoxNet()
optimizer = torch.optim.Adam(plain.parameters(), lr=0.001)
criterion = nn.MSELoss()
for X_batch, Y_batch in zip(torch.tensor(X[:320]).split(32), torch.tensor(Y[:320]).split(32), strict=True):
    optimizer.zero_grad()
    loss = criterion(plain(X_batch), Y_batch)
    loss.backward()
    optimizer.step()

# %%
# After: one estimator
# --------------------
# The same blocks, the same loss over all four columns, the same optimizer. ``effort=None`` is one plain network without
# the presets that make the default more accurate. ``random_state=0`` initialises the network as
# ``torch.manual_seed(0)`` does. To repeat the loop above step by step, rows are not shuffled and targets not scaled.
from skmulti import MultiOutputCNNRegressor

net = MultiOutputCNNRegressor(
    effort=None,
    channels=(16, 32),
    hidden_layer_sizes=(128,),
    loss=nn.MSELoss(),
    lr=0.001,
    batch_size=32,
    max_epochs=1,
    shuffle=False,
    scale_targets=False,
    random_state=0,
)
net.fit(X[:320], Y[:320])

# %%
# After ten steps both networks have the same parameters.
difference = 0.0
for ours, theirs in zip(net.module_.parameters(), plain.parameters(), strict=True):
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-7)
    difference = max(difference, float((ours - theirs).detach().abs().max()))
print(f"largest difference between two parameters after ten steps: {difference:.1e}")

# %%
# What an estimator adds
# ----------------------
# Shuffled rows, standardised targets, and a validation fraction for early stopping are one parameter each. The shapes
# come from the data, and predictions are in pixels.
net = MultiOutputCNNRegressor(effort=None, lr=0.002, max_epochs=20, early_stopping=True, random_state=0)
net.fit(X, Y)
error = np.abs(net.predict(X_test) - Y_test).mean(axis=0)
for name, value in zip("xywh", error, strict=True):
    print(f"{name}: mean absolute error {value:.2f} pixels")
assert error.max() < 2

# %%
fig, axes = plt.subplots(2, 5, figsize=(10, 4.4), layout="constrained")
for ax, image, true, predicted in zip(axes.flat, X_test, Y_test, net.predict(X_test[:10]), strict=False):
    ax.imshow(image.transpose(1, 2, 0).clip(0, 1.5) / 1.5)
    for (x, y, w, h), color in ((true, "white"), (predicted, "red")):
        ax.add_patch(plt.Rectangle((x - w / 2 - 0.5, y - h / 2 - 0.5), w, h, fill=False, edgecolor=color, linewidth=2))
    ax.set_axis_off()
fig.suptitle("true box in white, predicted box in red")
Path("output").mkdir(exist_ok=True)
fig.savefig("output/cnn_box.png", dpi=100)

# %%
# What was learned
# ----------------
# The estimator runs the same training as the plain program: the parameters agree up to rounding. It replaces the
# hand-counted sizes, the loop and the code around it; what remains is the choice of network, loss and optimizer.
