"""Trains small networks, alone or as one of the ranks that torchrun starts."""

import os
import sys

import numpy as np
import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

import lava_async as la
import slayer_blocks as sb
from lava_async import slayer as async_slayer

STEPS, BATCH = 4, 12
BLANK = 2  # in which step odd samples, those of rank 1, have no input

CASES = {
    "momentum": lambda: network(sb.dense_blocks(weight_norm=True), la.Momentum(4)),
    "layer by layer": lambda: network(sb.dense_blocks(), la.LayerSync()),
    # Draws by sample, which a rank's samples share with those of the one process.
    "random, dropout": lambda: network(
        sb.dense_blocks(), la.Random(3, 5), spike_dropout=0.2, input_dropout=0.1
    ),
    "mixture": lambda: network(
        sb.dense_blocks(), la.Mixture([la.Momentum(1), la.LayerSync(), la.Fifo(4)])
    ),
    "convolutions": lambda: network(
        sb.conv_blocks(), la.Momentum(8), input_shape=(2, 7, 6)
    ),
    "delays": lambda: network(delayed_blocks(), la.Momentum(4)),
    # Each rank goes on with its own samples.
    "persistent": lambda: network(
        delayed_blocks({**sb.NEURON, "persistent_state": True}), la.Random(3, 5)
    ),
    "unrolled": lambda: network(
        sb.dense_blocks(), la.Momentum(4, 0.5), gradient="unrolled", refractory_dropout=0.3
    ),
}


def delayed_blocks(neuron=sb.NEURON):
    blocks = sb.dense_blocks(neuron=neuron, delay=True)
    for block in blocks:  # all ranks must have the same before they share them
        steps = torch.arange(block.synapse.out_channels) % 3 + 0.5
        block.delay.delay = torch.nn.Parameter(steps)
    return blocks


def network(blocks, schedule, **settings):
    return async_slayer.Network(
        blocks, schedule, penalty=async_slayer.SpikePenalty(), **settings
    )


def batches(case):
    shape = (2, 7, 6) if case == "convolutions" else (20,)
    for step in range(STEPS):
        x = sb.spikes((BATCH, *shape, 6), step)
        if step == BLANK:
            x[1::2] = 0
        yield x, torch.rand((BATCH, 1), generator=torch.Generator().manual_seed(step))


def train(case, rank=0, ranks=1):
    """Parameters after each step, and the samples' indices."""
    net = CASES[case]()
    seen, number = [], net._ids

    def numbered(*arguments):
        seen.append(number(*arguments))
        return seen[-1]

    net._ids = numbered
    model = DistributedDataParallel(net) if ranks > 1 else net
    optimizer = torch.optim.SGD(net.parameters(), lr=0.2, momentum=0.9)
    found = {}
    for step, (x, target) in enumerate(batches(case)):
        y, penalty = model(x[rank::ranks])
        loss = (y.mean(-1) - target[rank::ranks]).square().mean() + 1e-3 * penalty
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for name, parameter in net.named_parameters():
            found[f"{case}/{step}/{name}"] = parameter.detach().numpy().copy()
    found[f"{case}/ids"] = np.stack(seen)
    found[f"{case}/samples seen"] = np.array(int(net.samples_seen))
    net.eval()
    net._ids(None, 3)
    found[f"{case}/evaluated"] = net._ids(None, 3)
    return found


def main(folder):
    rank, ranks = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    distributed.init_process_group("gloo")
    found = {}
    for case in CASES:
        found |= train(case, rank, ranks)
    np.savez(os.path.join(folder, f"rank_{rank}.npz"), **found)
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1])
