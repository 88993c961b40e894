"""How much faster is the compiled kernel than a batch-vectorised PyTorch loop?

Question: inference of the fully connected 2312-64-64-64-10 network, 10 time steps, momentum
scheduling with F = 8, input about as dense as the digits'. Random weights of three sizes make
the network as active as the demo's network trained unlayered (250 spikes a sample), as the
digits networks of the reference method (360 to 480) and as the demo's network trained layered
(810). Baseline: the same forward steps as dense batch operations in PyTorch (what a
straightforward implementation of the method does), checked to give the same spikes. Both use
all cores; median of several runs, alternating, in one process.

    uv run python benchmarks/kernel_against_torch.py
"""

import argparse
import statistics
import time

import numpy as np
import torch

import lava_async as la

SIZES = (2312, 64, 64, 64, 10)
NUM_STEPS = 10
INPUT_RATE = 0.0156  # 360 events a sample, as the digits
SPREADS = (15, 18, 25)  # of the weights: the wider, the more spikes


def network(rng: np.random.Generator, spread: float) -> la.Graph:
    """Random weights, memoryless neurons."""
    populations = tuple(
        la.Population(f"layer {i}", (n,), 4096, 4096, 70) for i, n in enumerate(SIZES[1:])
    )
    connections = tuple(
        la.Dense(
            i - 1, i, rng.normal(0, spread, (SIZES[i + 1], SIZES[i])).round().clip(-256, 254)
        )
        for i in range(len(SIZES) - 1)
    )
    return la.Graph((SIZES[0],), populations, connections)


class TorchLoop:
    """The forward steps as dense batch operations on (B, N) tensors."""

    def __init__(self, graph: la.Graph, group_size: int):
        n = graph.num_neurons
        self.group_size = group_size
        self.input_weight = torch.zeros(graph.input_shape[0], n)
        self.weight = torch.zeros(n, n)
        for c in graph.connections:
            assert isinstance(c, la.Dense)
            w = torch.from_numpy(c.weight.T.astype(np.float32))
            columns = graph.slice(c.target)
            if c.source == la.INPUT:
                self.input_weight[:, columns] = w
            else:
                self.weight[graph.slice(c.source), columns] = w
        self.threshold = float(graph.populations[0].threshold)
        self.first_wins = torch.arange(n, 0, -1.0) / n  # equal momentum: lowest index first

    @torch.no_grad()
    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """x : (B, n_inputs, T) float. Returns spikes (B, N, T)."""
        batch, _, num_steps = x.shape
        n = self.weight.shape[0]
        spikes = torch.zeros(batch, n, num_steps)
        for t in range(num_steps):
            v = torch.zeros(batch, n)
            pool = torch.zeros(batch, n)  # rank of the waiting spikes, 0: none
            fired = torch.zeros(batch, n)
            current = x[:, :, t] @ self.input_weight
            while True:
                v = (v + current) * (1 - fired)
                new = (v > self.threshold) & (current != 0)
                pool = torch.where(new, v + self.first_wins, pool)
                fired = torch.where(new, 1.0, fired)
                v = torch.where(new, 0.0, v)
                if not pool.any():
                    break
                rank, neuron = pool.topk(self.group_size, dim=1)
                released = torch.zeros(batch, n).scatter_(1, neuron, (rank > 0).float())
                pool = pool * (1 - released)
                current = released @ self.weight
            spikes[:, :, t] = fired
        return spikes


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--samples", type=int, default=2048)
    parser.add_argument("--batch", type=int, default=256, help="batch size of the PyTorch loop")
    parser.add_argument("--group-size", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()

    rng = np.random.default_rng(0)
    x = (rng.random((args.samples, SIZES[0], NUM_STEPS)) < INPUT_RATE).astype(np.uint8)
    schedule = la.Momentum(args.group_size)
    print("          a sample          |        samples/s        |")
    print("   spikes   forward steps   | PyTorch loop     kernel |  ratio")
    for spread in SPREADS:
        compare(network(np.random.default_rng(1), spread), x, schedule, args.batch, args.repeats)


def compare(
    graph: la.Graph, x: np.ndarray, schedule: la.Momentum, batch: int, repeats: int
) -> None:
    """Print one row."""
    batches = torch.from_numpy(x).float().split(batch)
    loop = TorchLoop(graph, schedule.group_size)
    record = la.simulate(graph, x, schedule)  # also compiles, or loads the compiled code
    spikes = torch.cat([loop(b) for b in batches]).numpy()
    if not np.array_equal(spikes, record.all_spikes):
        raise SystemExit("the two do not compute the same spikes")
    rates: dict[str, list[float]] = {"loop": [], "kernel": []}
    for _ in range(repeats):
        start = time.perf_counter()
        for b in batches:
            loop(b)
        rates["loop"].append(len(x) / (time.perf_counter() - start))
        start = time.perf_counter()
        la.simulate(graph, x, schedule)
        rates["kernel"].append(len(x) / (time.perf_counter() - start))
    median = {name: statistics.median(values) for name, values in rates.items()}
    spikes, steps = record.all_spikes.sum() / len(x), record.forward_steps.sum() / len(x)
    print(
        f"{spikes:9.0f} {steps:15.0f}   | {median['loop']:12,.0f} {median['kernel']:10,.0f} |"
        f" {median['kernel'] / median['loop']:6.1f}"
    )


if __name__ == "__main__":
    main()
