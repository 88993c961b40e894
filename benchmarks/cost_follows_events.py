"""Does a sample cost what happens in it, however many neurons the network has?

Question: time per synaptic event (a spike delivered over one synapse) from 200 to 1,000,000
neurons at the same events per sample, and the time of a time step in which nothing happens. The
same network of 200 neurons, each with 100 targets, lies among more and more neurons that get
nothing: side by side, or evenly scattered, so that no two share a cache line. The results are
checked to be the same. Baseline: the 200 neurons alone. Time is of the CPU on one thread, that of a
sample by the difference between two numbers of samples, as laying out the network is paid once in
a call; medians.

    uv run python benchmarks/cost_follows_events.py
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse

import lava_async as la

ACTIVE, INPUTS, FAN_OUT, NUM_STEPS = 200, 200, 100, 20
INPUT_RATE = 0.1
SIZES = (200, 1_000, 10_000, 100_000, 1_000_000)
SCHEDULE = la.Momentum(8)
NOTHING = np.zeros((1, INPUTS, 1010), np.uint8)


def synapses(rng: np.random.Generator, scale: int, bias: float) -> np.ndarray:
    """(ACTIVE, INPUTS) weights, FAN_OUT of each source."""
    weight = np.zeros((ACTIVE, INPUTS), np.int64)
    for source in range(INPUTS):
        targets = rng.choice(ACTIVE, FAN_OUT, replace=False)
        weight[targets, source] = rng.normal(bias, scale, FAN_OUT).round().clip(-256, 254)
    return weight


def network(size: int, stride: int) -> la.Graph:
    """The active neurons among ``size``, so far from each other; with memory, and recurrent."""
    rng = np.random.default_rng(0)
    place = np.arange(ACTIVE) * stride

    def spread(weight: np.ndarray, source: np.ndarray, sources: int) -> Any:
        row, column = np.nonzero(weight)
        entries = weight[row, column], (place[row], source[column])
        return scipy.sparse.csc_matrix(entries, (size, sources))

    forward = spread(synapses(rng, 30, 4), np.arange(INPUTS), INPUTS)
    recurrent = spread(synapses(rng, 20, -2), place, size)
    cells = la.Population("cells", (size,), 2048, 400, 150)
    return la.Graph(
        (INPUTS,), (cells,), (la.Sparse(la.INPUT, 0, forward), la.Sparse(0, 0, recurrent))
    )


def seconds(run: Callable[[int], object], few: int, many: int, repeats: int) -> float:
    """CPU time of one more, by the difference between ``few`` and ``many``."""
    run(few)
    taken: list[float] = []
    for _ in range(repeats):
        start = time.process_time()
        run(few)
        between = time.process_time()
        run(many)
        taken.append((time.process_time() - between - (between - start)) / (many - few))
    return statistics.median(taken)


def run(graph: la.Graph, x: np.ndarray) -> la.SparseRecord:
    record = la.simulate(graph, x, SCHEDULE, record="sparse", num_threads=1)
    assert isinstance(record, la.SparseRecord)
    return record


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    rng = np.random.default_rng(1)
    shape = (args.samples, INPUTS, NUM_STEPS)
    x = (rng.random(shape) < INPUT_RATE).astype(np.uint8)
    print("            a sample          | CPU time of a synaptic event |  of an idle       of a")
    print("  neurons   spikes   its events | side by side       scattered |   time step       call")
    events: la.Events | None = None
    for size in SIZES:
        taken = []
        for stride in (1, size // ACTIVE):
            graph = network(size, stride)
            record = run(graph, x)
            own = record.events._replace(neuron=record.events.neuron // stride)
            events = own if events is None else events
            if not all(np.array_equal(a, b) for a, b in zip(own, events, strict=True)):
                raise SystemExit("the larger network does not do the same")
            synops = record.synops.sum() / len(x)
            one = seconds(
                lambda n, graph=graph: run(graph, x[:n]), len(x) // 8, len(x), args.repeats
            )
            taken.append(one / synops * 1e9)
        start = time.process_time()
        run(graph, NOTHING[..., :1])
        call = time.process_time() - start
        step = seconds(
            lambda n, graph=graph: run(graph, NOTHING[..., :n]), 10, 1010, args.repeats
        )
        print(
            f"{size:9,} {len(own.sample) / len(x):8.0f} {synops:12,.0f} |"
            f" {taken[0]:9.2f} ns {taken[1]:12.2f} ns | {step * 1e6:8.2f} µs {call * 1e3:7.1f} ms"
        )


if __name__ == "__main__":
    main()
