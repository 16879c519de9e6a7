"""Time the predictions of ours, the bare torch module, MLPRegressor and stock skorch, of one row and of many.

Contestants take turns in one process; the table shows ratios of medians, ours / theirs, with the least and the most of
the rounds. All networks have the same sizes, and ours, the bare module and skorch the same parameters; how far their
predictions lie apart is printed as well.
"""

import warnings

import numpy as np
import torch
from contest import compare, parse, run_in_turn, save, show
from fit import WORKS
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from skorch import NeuralNetRegressor
from torch import nn

# (rows, calls per turn, bars)
BARE, SKLEARN, SKORCH = "bare module", "MLPRegressor", "stock skorch"
READS = {
    "one row": (1, 200, {BARE: 3.0, SKLEARN: 1.5, SKORCH: 0.5}),
    "200,000 rows": (200_000, 1, {BARE: 1.15, SKLEARN: 1.0, SKORCH: 0.9}),
}
BATCH = 1024


def contestants():
    """Return functions of inputs that predict, by name; all are fitted to the small table."""
    work = WORKS["small"]
    X, y = work.data()
    ours = work.estimator(max_epochs=1, scale_targets=False).fit(X, y)
    module = work.module()
    module.load_state_dict(dict(zip(module.state_dict(), ours.module_.state_dict().values(), strict=True)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        sklearn_net = MLPRegressor(hidden_layer_sizes=work.hidden, max_iter=1).fit(X, y)
    skorch_net = NeuralNetRegressor(module, criterion=nn.MSELoss, batch_size=BATCH, verbose=0).initialize()

    def bare(X):
        with torch.no_grad():
            parts = torch.from_numpy(X).split(BATCH)
            return (module(parts[0]) if len(parts) == 1 else torch.cat([module(part) for part in parts])).numpy()

    return {"ours": ours.predict, BARE: bare, SKLEARN: sklearn_net.predict, SKORCH: skorch_net.predict}


def main():
    """Run the works that are asked for."""
    args = parse(__doc__.splitlines()[0], READS)
    predict, results = contestants(), {}
    for name in args.works:
        n_rows, repeat, bars = READS[name]
        X = np.random.default_rng(1).normal(size=(n_rows, 20)).astype(np.float32)
        runs = {who: lambda read=read: read(X) for who, read in predict.items()}  # noqa: B023
        seconds, last = run_in_turn(runs, max(args.rounds, 15), repeat)
        compared = compare(seconds, bars)
        show(name, compared)
        apart = {who: float(np.abs(last["ours"] - last[who]).max()) for who in (BARE, SKORCH)}
        print(f"{name:14} apart by at most: " + ", ".join(f"{who} {value:.1e}" for who, value in apart.items()))
        results[name] = {"compared": compared, "seconds": seconds, "apart": apart}
    save("bench_predict", results)


if __name__ == "__main__":
    main()
