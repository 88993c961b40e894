"""Small SLAYER networks for the trainer's tests."""

import io
import itertools
import pickle
import warnings

import numpy as np
import torch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from lava.lib.dl.slayer.block import cuba

import lava_async as la
from lava_async import slayer as async_slayer

FORGETFUL = {"current_decay": 1.0, "voltage_decay": 1.0}
NEURON = {"threshold": 1.25, "current_decay": 0.4, "voltage_decay": 0.2}


def seeded(build, *args, seed=0, **kwargs):
    """Call ``build`` with torch's generator seeded, and leave that generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(*args, **kwargs)


def dense_blocks(sizes=(20, 12, 8, 4), weight_scale=6, seed=0, neuron=NEURON, **settings):
    def build():
        settings.setdefault("delay_shift", False)
        return [
            cuba.Dense(dict(neuron), i, o, weight_scale=weight_scale, **settings)
            for i, o in itertools.pairwise(sizes)
        ]

    return seeded(build, seed=seed)


def conv_blocks(neuron=NEURON, seed=0, **settings):
    """For inputs (2, 7, 6); an input layer with neurons, two convolutions, a dense layer."""

    def build():
        off = {"delay_shift": False}
        return [
            cuba.Input(dict(neuron), weight=1.5, **off),
            cuba.Conv(dict(neuron), 2, 4, 3, stride=2, padding=1, weight_scale=6, **off,
                      **settings),
            cuba.Conv(dict(neuron), 4, 6, (2, 3), groups=2, dilation=(1, 1), padding=(0, 1),
                      weight_scale=6, **off, **settings),
            cuba.Flatten(),
            cuba.Dense(dict(neuron), 6 * 3 * 3, 5, weight_scale=8, **off, **settings),
        ]

    return seeded(build, seed=seed)


def spikes(shape, seed=0, density=0.3, high=2):
    """Random input counts 0..high as a float tensor."""
    rng = np.random.default_rng(seed)
    counts = (rng.random(shape) < density) * rng.integers(1, high + 1, shape)
    return torch.from_numpy(counts.astype(np.float32))


def network(blocks, schedule=None, **settings):
    return async_slayer.Network(blocks, schedule or la.Momentum(4), **settings)


def pickled(net):
    """A copy, by way of pickle."""
    return pickle.loads(pickle.dumps(net))


def saved(net):
    """A copy, by way of `torch.save`."""
    file = io.BytesIO()
    torch.save(net, file)
    file.seek(0)
    return torch.load(file)


def random_chain(build, rng, seed, taus, samples):
    """Blocks by ``dense_blocks`` or ``conv_blocks`` with random neurons, and an input for them."""
    neuron = {
        "threshold": rng.choice([0.5, 1.25, 2.0]),
        "current_decay": rng.random(),
        "voltage_decay": rng.random(),
        "tau_grad": rng.choice(taus),
        "scale_grad": rng.choice([1.0, 3.0]),
    }
    blocks = build(neuron=neuron, seed=seed, weight_norm=bool(seed % 2))
    if build is conv_blocks:
        blocks = blocks[1:]  # SLAYER's input block clips its input
    shape = (20,) if build is dense_blocks else (2, 7, 6)
    return blocks, spikes((samples, *shape, 8), seed)
