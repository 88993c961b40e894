"""Neuron i to neuron i through one weight."""

from __future__ import annotations

import numpy as np

from lava_async._kernel._compiler import jit
from lava_async._kernel._layout import AT, ONE_TO_ONE, START
from lava_async._kernel.connections.currents import by_current
from lava_async._kernel.connections.layout import lay_out
from lava_async._kernel.connections.reach import reach
from lava_async._semantics.connections import OneToOne


@lay_out.register
def _(connection: OneToOne, source_shape, target_shape, arrays):
    return ONE_TO_ONE, arrays.add("weight", [connection.weight], np.int16), []


@jit
def deliver(net, row, start, current, hit, hits, num_hits, listed, source, times):
    """The one synapse of a source neuron."""
    n = start + source
    current[n] += np.int32(times) * np.int32(net.weight[row[AT]])
    if listed:
        num_hits[0] = reach(n, hit, hits, np.uint64(num_hits[0]))
    return 1


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
