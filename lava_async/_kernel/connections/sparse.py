"""Synapses one by one: what any kind of connection can be laid out as."""

from __future__ import annotations

import numpy as np

from lava_async._kernel._compiler import jit
from lava_async._kernel._layout import AT, START
from lava_async._kernel.connections.currents import by_current
from lava_async._kernel.connections.layout import FIRST, TARGETS
from lava_async._kernel.connections.reach import reach


@jit
def deliver(net, row, start, current, hit, hits, count, now, source, times):
    """Walk the synapses of one source neuron. Returns how many."""
    low = net.synapse[row[FIRST] + source]
    length = net.synapse[row[FIRST] + source + 1] - low
    at, targets = row[AT] + low, row[TARGETS] + low
    factor = np.int32(times)
    for j in range(length):
        n = start + np.int64(net.target[targets + j])
        current[n] += factor * np.int32(net.weight[at + j])
        if now:
            reach(n, hit, hits, count)
    return length


@jit
def credit_one(net, row, source, by_v, by_u, fired_at, released_at, now):
    """What one source gets back."""
    low, high = net.synapse[row[FIRST] + source], net.synapse[row[FIRST] + source + 1]
    total = np.float32(0)
    for j in range(low, high):
        n = row[START] + np.int64(net.target[row[TARGETS] + j])
        g = by_current(n, by_v, by_u, fired_at, released_at, now)
        total += np.float32(net.weight[row[AT] + j]) * g
    return total


@jit
def learn(net, row, source, times, by_v, by_u, fired_at, released_at, now, gradient, at):
    """What the weights of a spike get, in the order of the synapses."""
    low, high = net.synapse[row[FIRST] + source], net.synapse[row[FIRST] + source + 1]
    for j in range(low, high):
        n = row[START] + np.int64(net.target[row[TARGETS] + j])
        g = by_current(n, by_v, by_u, fired_at, released_at, now)
        gradient[at + j] += times * g


@jit
def clear_rows(net, row, gradient, low, high):
    """Begin to add up what the weights of sources low..high get."""
    gradient[net.synapse[row[FIRST] + low] : net.synapse[row[FIRST] + high]] = 0
