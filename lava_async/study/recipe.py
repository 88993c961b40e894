"""How the digits are trained: one recipe for layered and unlayered training alike.

Everything that an epoch depends on is the network, the optimizer's state, the number of
the epoch and the seed, so training goes on from a checkpoint to the same bits.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from lava.lib.dl.slayer.block import cuba

from lava_async._semantics import random
from lava_async._semantics.schedule import Schedule
from lava_async.slayer import Network


@dataclass(frozen=True)
class Recipe:
    """Network and training.

    Attributes
    ----------
    input_shape : (C, H, W)
    sizes : tuple of int
        Neurons of the dense layers, the last one a neuron per class.
    threshold, current_decay, voltage_decay, tau_grad, scale_grad
        SLAYER's neuron parameters. Decays of 1: no memory between time steps. The surrogate
        derivative is 0.6 at the threshold and falls by 1/e within 1.6 voltage units: wide
        enough for silent neurons to learn from a few forward steps.
    weight_scale : float
        Scale of the initial weights, such that spikes reach the last layer from the start.
    input_dropout : float
        Of the input spikes, in training.
    batch_size : int
    learning_rate : float
        Adam's, at its highest; rises over the first ``warm_up`` of the epochs, then falls
        as a cosine to a hundredth, and stays there.
    epochs : int
    """

    input_shape: tuple[int, int, int] = (2, 34, 34)
    sizes: tuple[int, ...] = (64, 64, 64, 10)
    threshold: float = 1.25
    current_decay: float = 1.0
    voltage_decay: float = 1.0
    tau_grad: float = 0.0128
    scale_grad: float = 19.2
    weight_scale: float = 12.0
    input_dropout: float = 0.25
    batch_size: int = 64
    learning_rate: float = 0.08
    warm_up: float = 0.3
    weight_decay: float = 1e-5
    epochs: int = 15

    def rate_at(self, progress: float) -> float:
        """The learning rate after ``progress`` epochs."""
        done = min(progress / self.epochs, 1.0)
        if done < self.warm_up:
            factor = 0.1 + 0.9 * done / self.warm_up
        else:
            fall = (done - self.warm_up) / (1 - self.warm_up)
            factor = 0.01 + 0.99 * (1 + math.cos(math.pi * fall)) / 2
        return self.learning_rate * factor


DIGITS = Recipe()


def build_network(schedule: Schedule, seed: int = 0, recipe: Recipe = DIGITS) -> Network:
    """A network with initial weights that depend on the seed only."""
    neuron = {
        "threshold": recipe.threshold,
        "current_decay": recipe.current_decay,
        "voltage_decay": recipe.voltage_decay,
        "tau_grad": recipe.tau_grad,
        "scale_grad": recipe.scale_grad,
    }
    sizes = (math.prod(recipe.input_shape), *recipe.sizes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        dense = [
            cuba.Dense(neuron, i, o, weight_scale=recipe.weight_scale, delay_shift=False)
            for i, o in itertools.pairwise(sizes)
        ]
    return Network(
        [cuba.Input(delay_shift=False), cuba.Flatten(), *dense],
        schedule,
        input_shape=recipe.input_shape,
        input_dropout=recipe.input_dropout,
        seed=seed,
    )


def build_optimizer(network: Network, recipe: Recipe = DIGITS) -> torch.optim.Optimizer:
    return torch.optim.Adam(
        network.parameters(), lr=recipe.rate_at(0), weight_decay=recipe.weight_decay
    )


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """PyTorch on one thread.

    About as fast for these small layers and many times as fast on a busy machine; and sums
    are taken in the same order whatever the number of cores.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@_one_thread()
def train_epoch(
    network: Network,
    optimizer: torch.optim.Optimizer,
    x: npt.NDArray[np.integer],
    labels: npt.NDArray[np.int64],
    *,
    epoch: int,
    seed: int = 0,
    recipe: Recipe = DIGITS,
) -> float:
    """Train on every sample once, in an order that depends on seed and epoch only.

    Parameters
    ----------
    network, optimizer
        Changed in place.
    x : (M, *input_shape, T) array of int
        Input spikes.
    labels : (M,) int64
    epoch : int
        From 0.
    seed : int
        0 <= seed < 2**64.

    Returns
    -------
    float
        Mean loss: cross-entropy, with the spike counts of the output neurons as logits.
    """
    network.train()
    order = np.random.default_rng([seed, epoch]).permutation(len(x))
    total = 0.0
    for start in range(0, len(x), recipe.batch_size):
        batch = order[start : start + recipe.batch_size]
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate_at(epoch + start / len(x))
        # Each epoch has its own draws for each sample, whatever batch it comes in.
        ids = (epoch * len(x) + batch) % (random.MAX_INDEX + 1)
        spikes = network(torch.from_numpy(x[batch]), sample_ids=ids)
        loss = F.cross_entropy(spikes.sum(-1), torch.from_numpy(labels[batch]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(batch)
    return total / len(x)
