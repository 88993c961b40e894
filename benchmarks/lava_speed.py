"""How fast do our Lava processes run next to stock netx, on the same network and device?

Question: time steps per second of the fused process and of the process graph, and forward
steps per second of the graph. Baseline: ``lava.lib.dl.netx.hdf5.Network`` under Lava's own
runtime, which runs layer-synchronized. Device: the CPU of this machine (the first line says
how many cores). All run the same dense network file on the same random input, in one
process, one after the other; compiling and starting are not counted.

What bounds the graph: in a forward step, messages go from the scheduler to populations, on to
connections, to populations and back to the scheduler, and each has to wake a process that
waits for it. The last column counts how often a process gave up its core. Therefore messages
carry lists of spikes, only processes that a forward step concerns get any, and channels have
no threads; what remains is Python between two switches.

    uv run python benchmarks/lava_speed.py [time steps]
"""

from __future__ import annotations

import contextlib
import io
import itertools
import multiprocessing
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import lava_async as la  # first: Python 3.11 and later cannot import Lava without it

# isort: split
import h5py
import numpy as np
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source

from lava_async.netx import Network
from lava_async.runtime import Runner

SIZES = (2312, 64, 64, 64, 10)
GROUP_SIZES = (1, 8, 64)


def write_network(path: Path) -> None:
    """A dense network in SLAYER's layout, with weights that make it fire."""
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for i, (source, target) in enumerate(itertools.pairwise(SIZES)):
            layer = file.create_group(f"layer/{i}")
            layer.create_dataset("type", (1,), "S10", [b"dense"])
            scale = 24 if i == 0 else 80
            weight = 2 * rng.integers(-scale // 3, scale, (target, source))
            fields: dict[str, Any] = {
                "shape": np.array([target]), "inFeatures": source, "outFeatures": target,
                "weight": weight.astype(np.float32),
            }  # fmt: skip
            neuron: dict[str, Any] = {
                "type": "CUBA", "iDecay": 1024, "vDecay": 128, "vThMant": 400, "refDelay": 1,
                "gradedSpike": False,
            }  # fmt: skip
            for name, value in fields.items():
                layer.create_dataset(name, data=value)
            for name, value in neuron.items():
                layer.create_dataset(f"neuron/{name}", data=value)


def wire(network: Any, x: np.ndarray) -> None:
    source, sink = Source(data=x), Sink(shape=network.out.shape, buffer=x.shape[-1])
    source.s_out.connect(network.inp)
    network.out.connect(sink.a_in)


def switches() -> int:
    """How often the processes of a network that runs have waited so far (Linux)."""
    lines = [
        line
        for child in multiprocessing.active_children()
        for line in Path(f"/proc/{child.pid}/status").read_text().splitlines()
    ]
    return sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt"))


def cpu_seconds() -> float:
    """Of all processes of a network that runs (Linux)."""
    ticks = 0
    for child in multiprocessing.active_children():
        fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def time_ours(
    path: Path, x: np.ndarray, schedule: la.Schedule, graph: bool
) -> tuple[float, int, int]:
    """Seconds, forward steps and process switches."""
    network = Network(path, schedule=schedule)
    wire(network, x)
    with Runner(network, Loihi2SimCfg(None, "fixed_pt", graph)) as run:
        run(num_steps=1)
        steps, waits, begin = network.total_forward_steps.get()[0], switches(), time.perf_counter()
        run(num_steps=x.shape[-1] - 1)
        seconds, waits = time.perf_counter() - begin, switches() - waits
        return seconds, int(network.total_forward_steps.get()[0] - steps), waits


def time_stock(path: Path, x: np.ndarray) -> tuple[float, float]:
    """Seconds, and CPU seconds of all processes."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        from lava.lib.dl.netx import hdf5

        network: AbstractProcess = hdf5.Network(net_config=str(path))
    wire(network, x)
    config = Loihi2SimCfg(select_tag="fixed_pt")
    network.run(RunSteps(num_steps=1), config)
    cpu, begin = cpu_seconds(), time.perf_counter()
    network.run(RunSteps(num_steps=x.shape[-1] - 1), config)
    seconds, cpu = time.perf_counter() - begin, cpu_seconds() - cpu
    network.stop()
    return seconds, cpu


def main() -> None:
    num_steps = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    x = (np.random.default_rng(1).random((SIZES[0], num_steps)) < 0.02).astype(np.int32)
    print(f"{len(os.sched_getaffinity(0))} CPU cores, {'-'.join(map(str, SIZES))}, "
          f"{num_steps} time steps")
    print(f"{'':14s} {'time steps/s':>12s} {'forward steps':>14s} {'forward steps/s':>15s} "
          f"{'switches/forward step':>21s}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.net"
        write_network(path)

        def row(label: str, seconds: float, steps: int = 0, waits: int = 0) -> None:
            rates = f"{label:14s} {num_steps / seconds:12.0f}"
            if steps:
                rates += f" {steps:14d} {steps / seconds:15.0f} {waits / steps:21.2f}"
            print(rates, flush=True)

        row("stock netx", time_stock(path, x)[0])
        for group_size in GROUP_SIZES:
            schedule = la.Momentum(group_size)
            row(f"fused, F = {group_size}", *time_ours(path, x, schedule, graph=False))
            row(f"graph, F = {group_size}", *time_ours(path, x, schedule, graph=True))


if __name__ == "__main__":
    main()
