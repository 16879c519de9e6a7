"""What a table of equal losses costs, in units of one loss over as many columns: forward and backward.

Run ``python benchmarks/loss_table.py``; the bar of the project is a ratio of 1.3.
"""

import statistics
import time

import torch

from skmulti.losses import MixedLoss, SquaredError, Term, make_loss

N_ROWS, N_COLUMNS, N_REPEATS, N_STEPS = 256, 16, 20, 50


def seconds(step):
    """Return how long a number of steps takes."""
    start = time.perf_counter()
    for _ in range(N_STEPS):
        step()
    return time.perf_counter() - start


def main():
    torch.set_num_threads(1)
    for n_rows in (N_ROWS, 4096):
        y, raw = torch.randn(2, n_rows, N_COLUMNS)
        raw.requires_grad_()
        table = MixedLoss([Term(f"y{i}", SquaredError(), (i,), (i,)) for i in range(N_COLUMNS)])
        everything = tuple(range(N_COLUMNS))
        mse = MixedLoss([Term("y", make_loss(torch.nn.MSELoss), everything, everything)])
        one = SquaredError()
        alone = [Term("y", SquaredError(), (i,), (i,)) for i in range(N_COLUMNS)]

        def of_table(table=table, raw=raw, y=y):
            table(raw, y).backward()

        def of_one(one=one, raw=raw, y=y):
            (N_COLUMNS * one.row_loss(raw.unsqueeze(-1), y.unsqueeze(-1)).mean()).backward()

        def of_mse(mse=mse, raw=raw, y=y):
            mse(raw, y).backward()

        def one_by_one(alone=alone, raw=raw, y=y):
            sum(t.loss.row_loss(raw[:, t.raw], y[:, t.columns]).mean() for t in alone).backward()

        # Side by side in turns, so that whatever else the machine does falls on all alike.
        times = [[seconds(step) for step in (of_mse, of_table, one_by_one, of_one)] for _ in range(N_REPEATS)]
        ratios = [statistics.median(row[k] / row[0] for row in times) for k in (1, 2, 3)]
        print(
            f"{n_rows} rows, in units of a table with one squared error over all {N_COLUMNS} columns: "
            f"{ratios[0]:.2f} a table of {N_COLUMNS}, {ratios[1]:.2f} one by one, {ratios[2]:.2f} bare tensors"
        )


if __name__ == "__main__":
    main()
