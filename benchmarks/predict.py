"""Time the predictions of ours, the bare torch module, MLPRegressor and stock skorch, of one row and of many.

Contestants are interleaved in one process; the table shows ratios of medians, ours / theirs, with their range over the
rounds. All networks have the same sizes, and ours, the bare module and skorch the same parameters; the largest
difference of their predictions is printed as well. The default estimator, an ensemble, is compared with the same
rivals.
"""

import warnings

import numpy as np
import torch
from contest import compare, parse, run_interleaved, save, show
from fit import WORKS, by_default
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from skorch import NeuralNetRegressor
from torch import nn

# (rows, calls per round, target ratios)
BARE, SKLEARN, SKORCH = "bare module", "MLPRegressor", "stock skorch"
TASKS = {
    "one row": (1, 200, {BARE: 3.0, SKLEARN: 1.5, SKORCH: 0.5}),
    "200,000 rows": (200_000, 1, {BARE: 1.15, SKLEARN: 1.0, SKORCH: 0.9}),
}
BATCH = 1024


def contestants():
    """Return prediction functions by name: the plain net and its rivals, then the default estimator and its rivals.

    All are fitted to the small table.
    """
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

    # The number of epochs does not affect the time of a prediction.
    default = by_default(work, X, y, max_epochs=1)
    rivals = {BARE: bare, SKLEARN: sklearn_net.predict, SKORCH: skorch_net.predict}
    return {"ours": ours.predict, **rivals}, {"default": default, **rivals}


def main():
    """Run the requested tasks."""
    args = parse(__doc__.splitlines()[0], TASKS)
    (predict, beside_default), results = contestants(), {}
    for name in args.works:
        n_rows, repeat, bars = TASKS[name]
        X = np.random.default_rng(1).normal(size=(n_rows, 20)).astype(np.float32)
        runs = {who: lambda read=read: read(X) for who, read in predict.items()}  # noqa: B023
        seconds, last = run_interleaved(runs, max(args.rounds, 15), repeat)
        compared = compare(seconds, bars)
        show(name, compared)
        apart = {who: float(np.abs(last["ours"] - last[who]).max()) for who in (BARE, SKORCH)}
        print(f"{name:14} largest difference: " + ", ".join(f"{who} {value:.1e}" for who, value in apart.items()))
        runs = {who: lambda read=read: read(X) for who, read in beside_default.items()}  # noqa: B023
        of_default, _ = run_interleaved(runs, max(1, args.rounds // 2), max(1, repeat // 4))
        default = compare(of_default, {}, ours="default")
        show(name, default, ours="default")
        results[name] = {"compared": compared, "seconds": seconds, "apart": apart}
        results[name]["default"] = {"compared": default, "seconds": of_default}
    save("bench_predict", results)


if __name__ == "__main__":
    main()
