"""What does training take of a network of 100,000 neurons with convolutions?

Question: time, memory and spikes of training steps (forward pass, loss, backward pass, Adam) on
2 x 96 x 96 inputs, convolutions of 8 and 12 channels and a dense layer of ten, 101,386 neurons and
290,000 weights; 32 samples, 10 time steps, 1% of the input entries active, momentum scheduling
with F = 64. Baseline: the memory of the process before the first step. Two threads.

    uv run python benchmarks/large_training.py
"""

import argparse
import resource
import statistics
import time
import warnings

import torch

import lava_async as la
from lava_async import slayer as async_slayer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from lava.lib.dl.slayer.block import cuba

BATCH, NUM_STEPS, SIZE, RATE = 32, 10, 96, 0.01
NEURON = {
    "threshold": 1.25, "current_decay": 0.5, "voltage_decay": 0.3, "tau_grad": 0.1,
    "scale_grad": 1.0,
}  # fmt: skip


def blocks() -> list[torch.nn.Module]:
    torch.manual_seed(0)
    off = {"delay_shift": False}
    return [
        cuba.Conv(NEURON, 2, 8, 3, padding=1, weight_scale=12, **off),
        cuba.Conv(NEURON, 8, 12, 3, stride=2, padding=1, weight_scale=5, **off),
        cuba.Flatten(),
        cuba.Dense(NEURON, 12 * (SIZE // 2) ** 2, 10, weight_scale=4, **off),
    ]


def peak() -> float:
    """MiB that the process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=5)
    steps = parser.parse_args().steps
    torch.set_num_threads(2)
    net = async_slayer.Network(blocks(), schedule=la.Momentum(64))
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    x = (torch.rand(BATCH, 2, SIZE, SIZE, NUM_STEPS) < RATE).float()
    labels = torch.arange(BATCH) % 10
    before, times, spikes = peak(), [], 0.0

    def step() -> None:
        nonlocal spikes
        optimizer.zero_grad()
        y, everyone = net(x, return_spikes=True)
        spikes = float(everyone.sum()) / BATCH
        torch.nn.functional.cross_entropy(y.mean(-1), labels).backward()
        optimizer.step()

    step()  # compiles, and takes its memory
    for _ in range(steps):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    seconds = statistics.median(times)
    print(f"{net.graph().num_neurons} neurons, {spikes:.0f} spikes a sample")
    print(f"{seconds:.2f} s a step, {BATCH / seconds:.1f} samples/s")
    print(f"{peak() - before:.0f} MiB on top of {before:.0f} MiB")


if __name__ == "__main__":
    main()
