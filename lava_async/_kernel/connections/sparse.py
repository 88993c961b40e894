"""Synapses one by one: what any kind of connection can be laid out as."""

from __future__ import annotations

import numpy as np

from lava_async._kernel._compiler import apart, jit
from lava_async._kernel._layout import AT, START
from lava_async._kernel.connections.currents import by_current
from lava_async._kernel.connections.layout import FIRST, TARGETS
from lava_async._kernel.connections.reach import reach


@apart
def _add(weight, at, target, targets, length, start, current, factor):
    for j in range(length):
        current[start + np.uint64(target[targets + j])] += factor * np.int32(weight[at + j])


@apart
def _add_and_list(
    weight, at, target, targets, length, start, current, factor, hit, hits, num_listed
):  # fmt: skip
    """The same, and the targets behind the first ``num_listed`` ones; returns how many then."""
    for j in range(length):
        n = start + np.uint64(target[targets + j])
        current[n] += factor * np.int32(weight[at + j])
        num_listed = reach(n, hit, hits, num_listed)
    return num_listed


@jit
def deliver(net, row, start, current, hit, hits, num_hits, listed, source, times):
    """Walk the synapses of one source neuron. Returns how many."""
    low = net.synapse[row[FIRST] + source]
    length = net.synapse[row[FIRST] + source + 1] - low
    at, targets, first = np.uint64(row[AT] + low), np.uint64(row[TARGETS] + low), np.uint64(start)
    factor, synapses = np.int32(times), np.uint64(length)
    if listed:
        num_hits[0] = _add_and_list(
            net.weight, at, net.target, targets, synapses, first, current, factor, hit, hits,
            np.uint64(num_hits[0]),
        )  # fmt: skip
    else:
        _add(net.weight, at, net.target, targets, synapses, first, current, factor)
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
