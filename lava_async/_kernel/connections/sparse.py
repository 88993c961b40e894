"""Synapses one by one: what any kind of connection can be laid out as."""

from __future__ import annotations

import numpy as np

from lava_async._kernel._compiler import alone, jit
from lava_async._kernel._layout import AT, START
from lava_async._kernel.connections.currents import by_current
from lava_async._kernel.connections.layout import FIRST, TARGETS
from lava_async._kernel.connections.reach import reach, take_place


@alone
def deliver(synapses, spikes, targets):
    """Walk the synapses of neurons that spike. Returns how many."""
    row, synapse, target, weight = synapses.row, synapses.synapse, synapses.target, synapses.weight
    current, place, owner = targets.current, targets.place, targets.owner
    hit, hits, listed, packed = targets.hit, targets.hits, targets.listed, targets.packed
    first, own, at = np.uint64(row[FIRST]), np.uint64(row[TARGETS]), np.uint64(row[AT])
    synops, start, length = 0, np.uint64(row[START]), np.uint64(targets.num_hits[0])
    free = start + np.uint64(targets.used[0])
    for i in range(spikes.count):
        source = first + np.uint64(spikes.neurons[i]) - spikes.first_neuron
        begin, end = np.uint64(synapse[source]), np.uint64(synapse[source + np.uint64(1)])
        factor = spikes.times[i] if spikes.counted else np.int32(1)
        synops += np.int64(factor) * np.int64(end - begin)
        if packed and listed:
            for j in range(begin, end):
                n, free = take_place(start + np.uint64(target[own + j]), place, owner, free)
                current[n] += factor * np.int32(weight[at + j])
                length = reach(n, hit, hits, length)
        elif packed:
            for j in range(begin, end):
                n, free = take_place(start + np.uint64(target[own + j]), place, owner, free)
                current[n] += factor * np.int32(weight[at + j])
        elif listed:
            for j in range(begin, end):
                n = start + np.uint64(target[own + j])
                current[n] += factor * np.int32(weight[at + j])
                length = reach(n, hit, hits, length)
        else:
            for j in range(begin, end):
                current[start + np.uint64(target[own + j])] += factor * np.int32(weight[at + j])
    targets.num_hits[0], targets.used[0] = length, free - start
    return synops


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
