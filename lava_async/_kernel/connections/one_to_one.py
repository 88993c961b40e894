"""Neuron i to neuron i through one weight."""

from __future__ import annotations

import numpy as np

from lava_async._kernel._compiler import alone, jit
from lava_async._kernel._layout import AT, ONE_TO_ONE, START
from lava_async._kernel.connections.currents import by_current
from lava_async._kernel.connections.layout import lay_out
from lava_async._kernel.connections.reach import reach, take_place
from lava_async._semantics.connections import OneToOne


@lay_out.register
def _(connection: OneToOne, source_shape, target_shape, arrays):
    return ONE_TO_ONE, arrays.add("weight", [connection.weight], np.int16), []


@alone
def deliver(synapses, spikes, targets):
    """The one synapse of each of the neurons that spike. Returns how many."""
    row, listed, packed = synapses.row, targets.listed, targets.packed
    start, weight, synops = np.uint64(row[START]), np.int32(synapses.weight[row[AT]]), 0
    free, length = start + np.uint64(targets.used[0]), np.uint64(targets.num_hits[0])
    for i in range(spikes.count):
        n = start + np.uint64(spikes.neurons[i]) - spikes.first_neuron
        if packed:
            n, free = take_place(n, targets.place, targets.owner, free)
        factor = spikes.times[i] if spikes.counted else np.int32(1)
        targets.current[n] += factor * weight
        synops += np.int64(factor)
        if listed:
            length = reach(n, targets.hit, targets.hits, length)
    targets.num_hits[0], targets.used[0] = length, free - start
    return synops


@jit
def credit_one(net, row, source, by_v, by_u, fired_at, released_at, now):
    """What one source gets back."""
    g = by_current(row[START] + source, by_v, by_u, fired_at, released_at, now)
    return np.float32(net.weight[row[AT]]) * g


@jit
def learn(row, source, times, by_v, by_u, fired_at, released_at, now, gradient, at):
    """What the one weight gets of a spike."""
    g = by_current(row[START] + source, by_v, by_u, fired_at, released_at, now)
    gradient[at] += times * g
