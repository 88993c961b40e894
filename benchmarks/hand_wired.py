"""How fast does a graph wired by hand run next to stock netx, compiled and by messages?

Question: time steps per second of ``source -> AsyncDense -> AsyncLIF -> ... -> sink`` under one
`SpikeScheduler`, as a ratio to stock netx. Baseline: ``lava.lib.dl.netx.hdf5.Network`` of the same
network under Lava's own runtime, which runs layer-synchronized; and the same processes
exchanging messages. Device: the CPU of this machine, whose cores and load are printed.

All take turns in one process, several rounds; compiling and starting are not counted. Medians,
and the smallest and largest ratio of a round. CPU time is that of all processes of a network,
and does not depend on what else runs. Messages are counted in a run of their own: those of Lava's
channels, the runtime's commands and answers included, and ours.

What bounds the compiled graph: Lava wakes every process once in a time step and waits for its
answer. On the way of a frame are five processes (source, first connection, first population,
scheduler, last population); the others only answer.

    uv run python benchmarks/hand_wired.py [rounds [time steps]]
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lava_async as la  # first: Python 3.11 and later cannot import Lava without it

# isort: split
import numpy as np
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source
from lava_speed import GROUP_SIZES, SIZES, cpu_seconds, switches, time_stock, write_network

from lava_async._lava.channels import ForkedChannel, SendPort, shared_array
from lava_async.proc import AsyncDense, AsyncLIF, SpikeScheduler
from lava_async.runtime import Runner

FIXED = Loihi2SimCfg(select_tag="fixed_pt")


def wire(graph: la.Graph, x: np.ndarray, schedule: la.Schedule, compiled: bool) -> Any:
    """A chain of dense layers by hand; returns the scheduler."""
    populations = [
        AsyncLIF(shape=p.shape, du=p.i_decay, dv=p.v_decay, vth=p.threshold)
        for p in graph.populations
    ]
    scheduler = SpikeScheduler(populations, schedule, compiled=compiled)
    source, sink = Source(data=x), Sink(shape=(SIZES[-1],), buffer=x.shape[-1])
    for c in graph.connections:
        dense, target = AsyncDense(weights=c.weight), populations[c.target]
        if c.source == la.INPUT:
            source.s_out.connect(dense.s_in)
            dense.a_out.connect(target.a_in)
        else:
            populations[c.source].release_out.connect(dense.release_in)
            dense.forward_out.connect(target.forward_in)
        dense.synops_out.connect(scheduler.synops_in)
    populations[-1].s_out.connect(sink.a_in)
    return scheduler


def run(scheduler: Any, num_steps: int) -> tuple[float, float, int]:
    """Seconds, CPU seconds and switches of a run after the first time step."""
    with Runner(scheduler, FIXED) as runner:
        runner(num_steps=1)
        cpu, waits, begin = cpu_seconds(), switches(), time.perf_counter()
        runner(num_steps=num_steps)
        return time.perf_counter() - begin, cpu_seconds() - cpu, switches() - waits


@contextmanager
def counted_messages() -> Iterator[list[np.ndarray]]:
    """Counters of the messages sent over each channel made here."""
    counters: list[np.ndarray] = []
    create, send = ForkedChannel.__init__, SendPort.send

    def create_counted(channel: Any, *arguments: Any) -> None:
        create(channel, *arguments)
        channel.src_port.sent = shared_array((1,), np.int64)
        counters.append(channel.src_port.sent)

    def send_counted(port: Any, data: np.ndarray) -> None:
        port.sent[0] += 1
        send(port, data)

    ForkedChannel.__init__, SendPort.send = create_counted, send_counted
    try:
        yield counters
    finally:
        ForkedChannel.__init__, SendPort.send = create, send


def count_messages(graph: la.Graph, x: np.ndarray, schedule: la.Schedule, compiled: bool) -> float:
    """Messages per time step."""
    with counted_messages() as counters, Runner(
        wire(graph, x, schedule, compiled), FIXED
    ) as runner:
        runner(num_steps=1)
        before = sum(int(counter[0]) for counter in counters)
        runner(num_steps=x.shape[-1])
        return (sum(int(counter[0]) for counter in counters) - before) / x.shape[-1]


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    num_steps = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    x = (np.random.default_rng(1).random((SIZES[0], num_steps)) < 0.02).astype(np.int32)
    print(f"{len(os.sched_getaffinity(0))} CPU cores, load {os.getloadavg()[0]:.1f}, "
          f"{'-'.join(map(str, SIZES))}, {num_steps} time steps, {rounds} rounds")
    kinds = [(size, compiled) for size in GROUP_SIZES for compiled in (True, False)]
    rows: dict[Any, list[tuple[float, float, int]]] = {kind: [] for kind in kinds}
    stock = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.net"
        write_network(path)
        graph = la.load(path)
        for _ in range(rounds):
            stock.append(time_stock(path, x))
            for size, compiled in kinds:
                scheduler = wire(graph, x, la.Momentum(size), compiled)
                rows[size, compiled].append(run(scheduler, num_steps))
    seconds, cpu = (statistics.median(column) for column in zip(*stock, strict=True))
    print(f"stock netx: {num_steps / seconds:.0f} time steps/s, {1000 * cpu / num_steps:.2f} ms of "
          "CPU a step")
    print(f"{'':22s} {'steps/s':>8s} {'of stock':>9s} {'from':>6s} {'to':>6s} "
          f"{'CPU ms/step':>12s} {'switches/step':>14s} {'messages/step':>14s}")
    for (size, compiled), measured in rows.items():
        seconds, cpu, waits = (statistics.median(column) for column in zip(*measured, strict=True))
        ratios = [base[0] / row[0] for base, row in zip(stock, measured, strict=True)]
        messages = count_messages(graph, x, la.Momentum(size), compiled)
        label = f"F = {size}, {'compiled' if compiled else 'messages'}"
        print(f"{label:22s} {num_steps / seconds:8.0f} {statistics.median(ratios):9.2f} "
              f"{min(ratios):6.2f} {max(ratios):6.2f} {1000 * cpu / num_steps:12.2f} "
              f"{waits / num_steps:14.1f} {messages:14.1f}")
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
