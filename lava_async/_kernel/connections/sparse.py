"""Synapses one by one: what any kind of connection can be laid out as."""

from __future__ import annotations

import numpy as np

from lava_async._kernel._compiler import alone, call, inline, jit, pointer
from lava_async._kernel._layout import AT, START
from lava_async._kernel.connections.currents import by_current
from lava_async._kernel.connections.layout import FIRST, TARGETS
from lava_async._kernel.connections.reach import reach, take_place


@alone
def _walk(
    synapse, target, weight, start, current, neurons, first_neuron, count, times, counted, listed,
    hit, hits, num_listed, packed, place, owner, free,
):  # fmt: skip
    """`deliver` on what it has found. Returns the synapses, how many are listed, what is free."""
    synops = 0
    for i in range(count):
        source = np.uint64(neurons[i]) - first_neuron
        begin, end = np.uint64(synapse[source]), np.uint64(synapse[source + np.uint64(1)])
        factor = times[i] if counted else np.int32(1)
        synops += np.int64(factor) * np.int64(end - begin)
        if packed and listed:
            for j in range(begin, end):
                n, free = take_place(start + np.uint64(target[j]), place, owner, free)
                current[n] += factor * np.int32(weight[j])
                num_listed = reach(n, hit, hits, num_listed)
        elif packed:
            for j in range(begin, end):
                n, free = take_place(start + np.uint64(target[j]), place, owner, free)
                current[n] += factor * np.int32(weight[j])
        elif listed:
            for j in range(begin, end):
                n = start + np.uint64(target[j])
                current[n] += factor * np.int32(weight[j])
                num_listed = reach(n, hit, hits, num_listed)
        else:
            for j in range(begin, end):
                current[start + np.uint64(target[j])] += factor * np.int32(weight[j])
    return synops, num_listed, free


@inline
def deliver(
    net, row, current, hit, hits, num_hits, listed, packed, place, owner, used, neurons, low, high,
    first_neuron, times, counted,
):  # fmt: skip
    """Walk the synapses of the neurons low..high. Returns how many."""
    zero, first, start = np.uint64(0), np.uint64(low), np.uint64(row[START])
    synops, num_hits[0], free = call(_walk, (
        pointer(net.synapse, np.uint64(row[FIRST])), pointer(net.target, np.uint64(row[TARGETS])),
        pointer(net.weight, np.uint64(row[AT])), start, pointer(current, zero),
        pointer(neurons, first), np.uint64(first_neuron), np.uint64(high) - first,
        pointer(times, first), counted, listed, pointer(hit, zero), pointer(hits, zero),
        np.uint64(num_hits[0]), packed, pointer(place, zero), pointer(owner, zero),
        start + np.uint64(used[0]),
    ))  # fmt: skip
    used[0] = free - start
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
