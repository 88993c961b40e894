"""Neuron i to neuron i through one weight."""

from __future__ import annotations

import numpy as np

from lava_async._kernel._compiler import jit
from lava_async._kernel._layout import AT, ONE_TO_ONE
from lava_async._kernel.connections.layout import lay_out
from lava_async._kernel.connections.reach import reach
from lava_async._semantics.connections import OneToOne


@lay_out.register
def _(connection: OneToOne, source_shape, target_shape, arrays):
    return ONE_TO_ONE, arrays.add("weight", [connection.weight], np.int16), []


@jit
def deliver(net, row, start, current, hit, hits, count, now, source, times):
    """The one synapse of a source neuron."""
    n = start + source
    current[n] += np.int32(times) * np.int32(net.weight[row[AT]])
    if now:
        reach(n, hit, hits, count)
    return 1
