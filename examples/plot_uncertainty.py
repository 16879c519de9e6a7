"""
Predictive uncertainty: distributions, quantiles, calibrated intervals
======================================================================

Some rows are harder to predict than others. A network that emits a distribution, or several quantiles, estimates the
uncertainty of each row. Do its intervals have the right coverage, and what about losses that give a point only?
"""

# %%
# The data: two columns of one input. The noise grows with the input for the first column, and shrinks with it for the
# second, where it is also skewed.
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skmulti import MultiOutputMLPRegressor
from skmulti.prediction import SplitConformalRegressor

rng = np.random.default_rng(0)


def draw(n_rows):
    x = rng.uniform(-2, 2, n_rows)
    smooth = np.sin(2 * x) + (0.1 + 0.2 * (x + 2)) * rng.normal(size=n_rows)
    skewed = 100 * x + 50 * (0.2 + 0.3 * (2 - x)) * (rng.gamma(2.0, size=n_rows) - 2)
    return x[:, None], pd.DataFrame({"smooth": smooth, "skewed": skewed})


X, Y = draw(2000)
X_test, Y_test = draw(2000)
grid = np.linspace(-2, 2, 200)[:, None]

# %%
# A distribution for one column, three quantiles for the other
# ------------------------------------------------------------
# ``gaussian_nll`` estimates mean and standard deviation; ``quantile`` with several levels assumes no distribution. Both
# support ``predict_quantiles`` and ``predict_interval``. Only the first supports a standard deviation, so that its
# column is selected by name.
from skmulti.losses import Quantile

net = MultiOutputMLPRegressor(
    effort=None,
    loss={"smooth": "gaussian_nll", "skewed": Quantile(level=(0.05, 0.5, 0.95))},
    lr=0.002,
    max_epochs=40,
    random_state=0,
)
net.fit(X, Y)
_, std = net.predict(grid, return_std=True, columns="smooth")
known = 0.1 + 0.2 * (grid[:, 0] + 2)
print(f"standard deviation of 'smooth': {np.abs(std / known - 1).mean():.1%} from the true one, on average")
print(f"its negative log likelihood: {net.negative_log_likelihood(X_test, Y_test, columns='smooth').mean():.3f}")


def cover(interval):
    return ((interval[..., 0] <= Y_test) & (Y_test <= interval[..., 1])).mean()


covered = {"by the loss": cover(net.predict_interval(X_test, coverage=0.9))}

# %%
# Intervals for any loss
# ----------------------
# ``SplitConformalRegressor`` holds out a fraction of the rows and measures the distance between targets and predictions
# on them. Its intervals have the right coverage on average over rows, for any loss and any regressor; their width is
# the same everywhere.
point = MultiOutputMLPRegressor(effort=None, loss="absolute_error", lr=0.003, max_epochs=20, random_state=0)
conformal = SplitConformalRegressor(point, coverage=0.9, random_state=0).fit(X, Y)
covered["calibrated"] = cover(conformal.predict_interval(X_test))
print("\nfraction of held-out targets inside their 90 % interval\n", pd.DataFrame(covered).round(3).to_string())
assert ((pd.DataFrame(covered) > 0.85) & (pd.DataFrame(covered) < 0.95)).all(axis=None)

# %%
fig, axes = plt.subplots(2, 2, figsize=(10, 7), sharex=True, sharey="row", layout="constrained")
readers = {"by the loss": net.predict_interval(grid), "calibrated": conformal.predict_interval(grid)}
middles = {"by the loss": net.predict(grid), "calibrated": conformal.predict(grid)}
for row, name in enumerate(Y):
    for column, (label, interval) in enumerate(readers.items()):
        ax = axes[row, column]
        ax.scatter(X_test[::3], Y_test[name][::3], s=4, color="0.6")
        ax.fill_between(grid[:, 0], *interval[:, row].T, alpha=0.3)
        ax.plot(grid[:, 0], middles[label][:, row])
        ax.set_title(f"{name}, {label}: {covered[label][name]:.1%} inside")
Path("output").mkdir(exist_ok=True)
fig.savefig("output/uncertainty.png", dpi=100)

# %%
# What was learned
# ----------------
# A loss with a distribution or with quantiles gives each row its own interval width, with the right coverage if the
# distribution fits. Calibrated intervals have the right coverage on average for any loss, and one width for all rows.
