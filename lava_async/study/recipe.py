"""Training by a recipe, layered and unlayered alike.

Everything that an epoch depends on is the network, the optimizer's state, the number of
the epoch and the seed, so training goes on from a checkpoint to the same bits.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from lava.lib.dl.slayer.block import cuba
from lava.lib.dl.slayer.loss import SpikeRate
from torch import Tensor

from lava_async._kernel import cores
from lava_async._parts import Frames
from lava_async._semantics import random
from lava_async._semantics.schedule import Schedule
from lava_async.slayer import Network, SpikePenalty
from lava_async.study.settings import DIGITS, KERNEL_SIZE, STRIDE, Recipe


def build_network(schedule: Schedule, seed: int = 0, recipe: Recipe = DIGITS) -> Network:
    """A network with initial weights that depend on the seed only."""
    options = {
        "weight_scale": recipe.weight_scale,
        "weight_norm": recipe.weight_norm,
        "delay_shift": False,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        convolutions = [
            cuba.Conv(recipe.neuron, i, o, KERNEL_SIZE, stride=STRIDE, **options)
            for i, o in recipe.convolutions
        ]
        dense = [
            cuba.Dense(recipe.neuron, i, o, **options)
            for i, o in itertools.pairwise(recipe.dense_sizes)
        ]
    return Network(
        [cuba.Input(delay_shift=False), *convolutions, cuba.Flatten(), *dense],
        schedule,
        input_shape=recipe.input_shape,
        gradient=recipe.gradient,
        penalty=SpikePenalty(recipe.target_density) if recipe.penalty else None,
        input_dropout=recipe.input_dropout,
        seed=seed,
        num_threads=cores(),  # `one_thread` is for PyTorch's own
    )


def build_optimizer(network: Network, recipe: Recipe = DIGITS) -> torch.optim.Optimizer:
    return torch.optim.Adam(
        network.parameters(), lr=recipe.rate_at(0), weight_decay=recipe.weight_decay
    )


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch on one thread.

    Its threads are of no use to layers as small as these and wait for each other in loops, which
    makes training many times as slow on a busy machine; the kernels have threads of their own.
    Sums of ``gradient="unrolled"`` are taken in the same order whatever the number of cores;
    ``"decisive"`` does without.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _spike_count(recipe: Recipe) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda spikes, labels: F.cross_entropy(spikes.sum(-1), labels)


def _spike_rate(recipe: Recipe) -> Callable[[Tensor, Tensor], Tensor]:
    return SpikeRate(recipe.true_rate, recipe.false_rate, reduction="sum")


_LOSSES = {"spike_count": _spike_count, "spike_rate": _spike_rate}


@dataclass(frozen=True)
class Passed:
    """What an epoch of training says of itself.

    Attributes
    ----------
    loss : float
        Mean over the batches, by their size, of what was minimised, the penalty included.
    gradient_norm : float or None
        Mean over the batches of the Euclidean norm of the gradient, where that is finite.
    skipped : int
        Batches whose gradient was not finite: no step was taken.
    not_finite : list of str
        Parameters whose gradient that was.
    """

    loss: float
    gradient_norm: float | None
    skipped: int
    not_finite: list[str]


@one_thread()
def train_epoch(
    network: Network,
    optimizer: torch.optim.Optimizer,
    x: Frames,
    labels: npt.NDArray[np.int64],
    *,
    epoch: int,
    seed: int = 0,
    recipe: Recipe = DIGITS,
) -> Passed:
    """Train on every sample once, in an order that depends on seed and epoch only.

    Parameters
    ----------
    network, optimizer
        Changed in place.
    x : (M, *input_shape, T) frames
        Input spikes; no more than a batch is asked for at a time.
    labels : (M,) int64
    epoch : int
        From 0.
    seed : int
        0 <= seed < 2**64.

    Raises
    ------
    ValidationError
        As `Network` does.
    """
    network.train()
    loss_of = _LOSSES[recipe.loss](recipe)
    order = np.random.default_rng([seed, epoch]).permutation(len(x))
    total, norms, skipped, not_finite = 0.0, [], 0, set[str]()
    for start in range(0, len(x), recipe.batch_size):
        batch = order[start : start + recipe.batch_size]
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate_at(epoch + start / len(x))
        # Each epoch has its own draws for each sample, whatever batch it comes in.
        ids = (epoch * len(x) + batch) % (random.MAX_INDEX + 1)
        result = network(torch.from_numpy(x[batch]), sample_ids=ids)
        spikes, penalty = result if recipe.penalty else (result, None)
        loss = loss_of(spikes, torch.from_numpy(labels[batch]))
        if penalty is not None:
            loss = loss + recipe.penalty * penalty
        optimizer.zero_grad()
        loss.backward()
        total += loss.item() * len(batch)
        sizes = {
            name: float(parameter.grad.norm())
            for name, parameter in network.named_parameters()
            if parameter.grad is not None
        }
        norm = math.hypot(*sizes.values())
        if math.isfinite(norm):
            norms.append(norm)
            optimizer.step()
        else:
            skipped += 1
            not_finite.update(name for name, size in sizes.items() if not math.isfinite(size))
    gradient_norm = sum(norms) / len(norms) if norms else None
    return Passed(total / len(x), gradient_norm, skipped, sorted(not_finite))
