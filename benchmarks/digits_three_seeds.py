"""What does training for asynchronous execution save, over several seeds?

Question: accuracy and spikes of the digits network, trained layered and unlayered (momentum,
F = 8) by the same recipe, each run layer-synchronized and asynchronously. Baseline: the
layered training. One line per training, then the means.

    uv run python benchmarks/digits_three_seeds.py
"""

import argparse
import statistics
import time

import lava_async as la
from lava_async import metrics
from lava_async.datasets import load_frames
from lava_async.study import recipe

SCHEDULES = {"layered": la.LayerSync(8), "unlayered": la.Momentum(8)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=recipe.DIGITS.epochs)
    args = parser.parse_args()

    train, (x, labels) = load_frames(train=True), load_frames(train=False)
    results: dict[tuple[str, str], list[metrics.Evaluation]] = {}
    for method, schedule in SCHEDULES.items():
        for seed in args.seeds:
            start = time.perf_counter()
            network = recipe.build_network(schedule, seed=seed)
            optimizer = recipe.build_optimizer(network)
            for epoch in range(args.epochs):
                recipe.train_epoch(network, optimizer, *train, epoch=epoch, seed=seed)
            seconds = time.perf_counter() - start
            graph = network.graph()
            cells = []
            for run, run_schedule in SCHEDULES.items():
                result = metrics.evaluate(graph, la.simulate(graph, x, run_schedule), labels)
                results.setdefault((method, run), []).append(result)
                cells.append(f"{run}: {result.accuracy:.3f}, {result.spikes_per_sample:.0f} spikes")
            rate = args.epochs * len(train[0]) / seconds
            print(f"trained {method}, seed {seed} ({rate:.0f} samples/s); run", "; ".join(cells))
    print("\ntrained    run        accuracy  spikes a sample  forward steps to decision")
    for (method, run), values in results.items():
        accuracy = statistics.mean(v.accuracy for v in values)
        spikes = statistics.mean(v.spikes_per_sample for v in values)
        latency = statistics.mean(v.decision_latency or 0 for v in values)
        print(f"{method:10} {run:10} {accuracy:8.3f}  {spikes:15.1f}  {latency:25.1f}")


if __name__ == "__main__":
    main()
