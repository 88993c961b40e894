"""How fast is training for asynchronous execution, beside layered training and a PyTorch loop?

Question: training and inference of the fully connected 2312-64-64-64-10 network, 10 time steps,
5% of the input entries active, 400 to 500 spikes a sample, momentum scheduling with F = 8.
Yardsticks: the same forward steps as dense batch operations in PyTorch with autograd through them
(what a straightforward implementation of the method does), and SLAYER's layered training of the
same blocks. Then small batches, LayerSync, and a convolutional network, 8-16-32-10 (kernel 3,
stride 2) on 34 x 34 x 2. A training step is forward pass, loss and backward pass, with quantised
weights and no optimiser, which would cost all of them the same; what quantisation takes, there and
back, is measured alone. Two threads; median of several runs of half a second each, alternating, in
one process; spike counts are printed, and checked where both should agree.

    uv run python benchmarks/training_against_slayer.py
"""

import argparse
import itertools
import math
import statistics
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch

import lava_async as la
from lava_async import slayer as async_slayer
from lava_async.slayer.weights import integers

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from lava.lib.dl.slayer.block import cuba

SIZES = (2312, 64, 64, 64, 10)
NUM_STEPS = 10
INPUT_RATE = 0.05
# No memory between time steps, and the surrogate of the digits' recipe.
NEURON = {
    "threshold": 1.25, "current_decay": 1.0, "voltage_decay": 1.0, "tau_grad": 0.0128,
    "scale_grad": 19.2,
}  # fmt: skip
SCALE = 7.5  # of the initial weights, for 400 to 500 spikes a sample
CONV_SCALE = 6.0
SECONDS = 0.5  # that a run takes, of steps one after the other, as training takes them

Step = Callable[[], object]


def dense_blocks() -> list[torch.nn.Module]:
    torch.manual_seed(0)
    return [
        cuba.Dense(NEURON, i, o, weight_scale=SCALE, delay_shift=False)
        for i, o in itertools.pairwise(SIZES)
    ]


def conv_blocks() -> list[torch.nn.Module]:
    torch.manual_seed(0)
    options = {"weight_scale": CONV_SCALE, "delay_shift": False}
    return [
        *(cuba.Conv(NEURON, i, o, 3, stride=2, **options) for i, o in ((2, 8), (8, 16), (16, 32))),
        cuba.Flatten(),
        cuba.Dense(NEURON, 32 * 3 * 3, 10, **options),
    ]


class TorchLoop(torch.nn.Module):
    """The forward steps as dense batch operations on (B, N) tensors, with a surrogate."""

    def __init__(self, net: async_slayer.Network, group_size: int):
        super().__init__()
        graph = net.graph()
        self.group_size = group_size
        self.neurons = graph.num_neurons
        self.slices = [graph.slice(p) for p in range(len(graph.populations))]
        self.weights = torch.nn.ParameterList(
            torch.from_numpy(c.weight.astype(np.float32)) for c in graph.connections
        )
        self.threshold = float(graph.populations[0].threshold)
        self.first_wins = torch.arange(self.neurons, 0, -1.0) / self.neurons

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x : (B, n_inputs, T) float. Returns spikes (B, N, T)."""
        first, *others = self.weights
        weight = torch.zeros(self.neurons, self.neurons)
        for w, source, target in zip(others, self.slices[:-1], self.slices[1:], strict=True):
            weight[source, target] = w.t()
        all_spikes = []
        for t in range(x.shape[-1]):
            reached = x[:, :, t] @ first.t()
            current = torch.nn.functional.pad(reached, (0, self.neurons - reached.shape[1]))
            v = torch.zeros_like(current)
            pool, fired, credit = v.clone(), v.clone(), v.clone()
            while True:
                v = (v + current) * (1 - fired)
                new = ((v > self.threshold) & (current != 0)).float()
                smooth = torch.exp(-(v - self.threshold).abs() / 100) * (v - v.detach())
                credit = credit + new + smooth * (1 - fired)
                pool = torch.where(new > 0, v.detach() + self.first_wins, pool)
                fired = fired + new
                v = v * (1 - new)
                if not pool.any():
                    break
                rank, neuron = pool.topk(self.group_size, dim=1)
                released = torch.zeros_like(pool).scatter_(1, neuron, (rank > 0).float())
                pool = pool * (1 - released)
                sent = credit * released
                credit = credit - sent
                current = sent @ weight
            all_spikes.append(fired + credit - credit.detach())
        return torch.stack(all_spikes, -1)


def loss_of(spikes: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.cross_entropy(spikes.sum(-1), labels)


def training(module: torch.nn.Module, x: torch.Tensor, labels: torch.Tensor) -> Step:
    def step() -> None:
        module.zero_grad()
        loss_of(module(x)[:, -10:], labels).backward()

    return step


def quantisation(blocks: list[torch.nn.Module]) -> Step:
    """Of all weights, there and back, as the network does it."""

    def step() -> None:
        for block in blocks:
            synapse = block.synapse
            synapse.weight.grad = None
            integers("block", "weight", synapse.weight, synapse.pre_hook_fx).sum().backward()

    return step


def inference(module: torch.nn.Module, x: torch.Tensor) -> Step:
    def step() -> None:
        with torch.no_grad():
            module(x)

    return step


def rates(steps: dict[str, tuple[Step, int]], repeats: int) -> dict[str, float]:
    """Samples/s of each, whose runs alternate and all last as long."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    count: dict[str, int] = {}
    for name, (step, _) in steps.items():
        step()  # also compiles, or loads the compiled code
        start = time.perf_counter()
        step()
        count[name] = math.ceil(SECONDS / (time.perf_counter() - start))
    for _ in range(repeats):
        for name, (step, _) in steps.items():
            step()  # after another's: its data are in no cache
            start = time.perf_counter()
            for _ in range(count[name]):
                step()
            times[name].append((time.perf_counter() - start) / count[name])
    return {name: steps[name][1] / statistics.median(times[name]) for name in steps}


def table(title: str, found: dict[str, float], yardsticks: dict[str, str]) -> None:
    print(f"\n{title}")
    for name, rate in found.items():
        line = f"  {name:44} {rate:10,.0f} samples/s"
        for label, other in yardsticks.items():
            line += f"   {rate / found[other]:6.1f} x {label}"
        print(line)


def spikes_a_sample(net: async_slayer.Network, x: torch.Tensor) -> float:
    with torch.no_grad():
        return float(net(x, return_spikes=True)[1].sum() / len(x))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    dense(args.batch, args.repeats)
    convolutional(args.repeats)


def dense(batch: int, repeats: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x = (torch.rand(batch, SIZES[0], NUM_STEPS, generator=generator) < INPUT_RATE).float()
    labels = torch.randint(10, (batch,), generator=generator)
    net = async_slayer.Network(dense_blocks(), la.Momentum(8), input_shape=SIZES[:1])
    layered = async_slayer.Network(dense_blocks(), la.LayerSync())
    slayers = torch.nn.Sequential(*dense_blocks())
    loop = TorchLoop(net, 8)
    with torch.no_grad():
        if not torch.equal(loop(x), net(x, return_spikes=True)[1]):
            raise SystemExit("the loop does not compute the same spikes")
        if not torch.equal(layered(x), slayers(x)):
            raise SystemExit("SLAYER does not compute the same spikes")
    few, labels_of_few = x[:32], labels[:32]
    found = rates(
        {
            "PyTorch loop": (training(loop, x, labels), batch),
            "SLAYER, layered": (training(slayers, x, labels), batch),
            "ours, momentum": (training(net, x, labels), batch),
            "ours, momentum, batch 32": (training(net, few, labels_of_few), 32),
            "ours, layered": (training(layered, x, labels), batch),
            "quantisation": (quantisation(dense_blocks()), batch),
        },
        repeats,
    )
    apart = batch / found.pop("quantisation")
    many, few_at_once = batch / found["ours, momentum"], 32 / found["ours, momentum, batch 32"]
    more = (few_at_once - apart) / 32 / ((many - apart) / batch)
    title = f"training, dense: {spikes_a_sample(net, x):.0f} spikes a sample, batch {batch}"
    table(title, found, {"loop": "PyTorch loop", "SLAYER": "SLAYER, layered"})
    print(f"  quantisation: {1e3 * apart:.2f} ms a step; without, batch 32 costs {more:.2f} x")
    small = x.to(torch.uint8)
    found = rates(
        {
            "PyTorch loop": (inference(loop, x), batch),
            "SLAYER, layered": (inference(slayers, x), batch),
            "ours, momentum": (inference(net, x), batch),
            "ours, momentum, input of uint8": (inference(net, small), batch),
            "ours, layered": (inference(layered, x), batch),
        },
        repeats,
    )
    title = "inference, dense"
    table(title, found, {"loop": "PyTorch loop", "SLAYER": "SLAYER, layered"})


def convolutional(repeats: int, batch: int = 32) -> None:
    generator = torch.Generator().manual_seed(0)
    x = (torch.rand(batch, 2, 34, 34, NUM_STEPS, generator=generator) < INPUT_RATE / 3).float()
    labels = torch.randint(10, (batch,), generator=generator)
    net = async_slayer.Network(conv_blocks(), la.Momentum(8))
    layered = async_slayer.Network(conv_blocks(), la.LayerSync())
    slayers = torch.nn.Sequential(*conv_blocks())
    found = rates(
        {
            "SLAYER, layered": (training(slayers, x, labels), batch),
            "ours, momentum": (training(net, x, labels), batch),
            "ours, layered": (training(layered, x, labels), batch),
        },
        repeats,
    )
    title = f"training, convolutional: {spikes_a_sample(net, x):.0f} spikes a sample, batch {batch}"
    table(title, found, {"SLAYER": "SLAYER, layered"})


if __name__ == "__main__":
    main()
