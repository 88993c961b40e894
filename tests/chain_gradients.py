"""Chains whose spikes and gradients were kept from release 0.1.0, in ``chain_gradients.npz``."""

import itertools
from pathlib import Path

import numpy as np
import torch

import lava_async as la
import slayer_blocks as sb
from lava_async import slayer as async_slayer

PATH = Path(__file__).with_suffix(".npz")

NEURON = {**sb.NEURON, "tau_grad": 0.02, "scale_grad": 3}
DROPOUT = {"refractory_dropout": 0.4, "spike_dropout": 0.2, "input_dropout": 0.3}
DENSE = {
    "plain": {},
    "weight norm": {"weight_norm": True},
    "another scale": {"neuron": {**NEURON, "scale": 32}},
}
SCHEDULES = {
    "momentum": la.Momentum(3),
    "noise": la.Momentum(2, noise=0.5, seed=7),
    "random": la.Random(4, seed=11),
    "layer": la.LayerSync(),
}
RULES = {
    "as it comes": {},
    "dropout": DROPOUT,
    "credit": {"credit": async_slayer.Carried(0.5, 0.25), "surrogate": "arctan"},
    "detached": {"detach_reset": True},
}


def _network(blocks, schedule, seed=5, **how):
    return sb.network(blocks, schedule, seed=seed, gradient="unrolled", **how)


def cases():
    """Name, network and input of each case."""
    dense = sb.spikes((3, 20, 5), 1)
    for name, settings in DENSE.items():
        settings = {"neuron": NEURON, **settings}
        for (of, schedule), (rule, how) in itertools.product(SCHEDULES.items(), RULES.items()):
            net = _network(sb.dense_blocks((20, 12, 8, 4), **settings), schedule, **how)
            yield f"dense, {name}, {of}, {rule}", net, dense
    frames = sb.spikes((2, 2, 7, 6, 4), 2)
    for of, schedule in SCHEDULES.items():
        net = _network(sb.conv_blocks(neuron=NEURON), schedule, **DROPOUT)
        yield f"conv, {of}", net, frames
    forgetful = {**NEURON, "current_decay": 1.0}
    for of, schedule in SCHEDULES.items():
        block = sb.seeded(
            sb.cuba.Input, forgetful, weight=0.75, bias=0.25, delay_shift=False
        )
        blocks = [block, *sb.dense_blocks((20, 6), neuron=NEURON)]
        yield f"input with bias, {of}", _network(blocks, schedule, seed=0), dense


def gradients(net, x):
    """Spikes of the output and the gradient of each parameter, by name."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        y = net(x, sample_ids=np.arange(len(x)) + 3)
        weight = torch.linspace(-1, 2, y.numel()).reshape(y.shape)
        (y * weight).sum().backward()
    finally:
        torch.set_num_threads(threads)
    found = {"spikes": y.detach().numpy().astype(np.int8)}
    for name, parameter in net.named_parameters():
        if parameter.requires_grad:
            grad = parameter.grad
            found[name] = torch.zeros_like(parameter).numpy() if grad is None else grad.numpy()
    return found
