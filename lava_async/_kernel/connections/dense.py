"""All-to-all synapses: whole rows of weights, filled up with zeros to blocks of `ROW`."""

from __future__ import annotations

import numpy as np

from lava_async._kernel._compiler import apart, inline
from lava_async._kernel._layout import AT, DENSE, OWN, ROW
from lava_async._kernel.connections.layout import lay_out
from lava_async._semantics.connections import Dense

BLOCKS = OWN  # column: how many blocks of weights a source has


@lay_out.register
def _(connection: Dense, source_shape, target_shape, arrays):
    size = connection.weight.shape[0]
    blocks = -(-size // ROW)
    # After the last source one more, without weights, for `deliver_fours`.
    weight = np.pad(connection.weight.T, ((0, 1), (0, blocks * ROW - size)))
    return DENSE, arrays.add("weight", weight, np.int16), [blocks]


@inline
def deliver(wiring, c, weight, current, start, source, times):
    """Add one row of weights; the compiler turns the loop into vector code."""
    # What lies beyond the population receives zeros.
    begin, length = np.uint64(start), np.uint64(wiring[c, BLOCKS]) * np.uint64(ROW)
    first = np.uint64(wiring[c, AT]) + np.uint64(source) * length
    factor = np.int32(times)
    for o in range(length):
        current[begin + o] += factor * np.int32(weight[first + o])


@inline
def deliver_events(wiring, c, weight, current, start, index, times, low, high):
    """Add a row of weights for each event. Four at once, which share what they add to."""
    begin, length = np.uint64(start), np.uint64(wiring[c, BLOCKS]) * np.uint64(ROW)
    at = np.uint64(wiring[c, AT])
    i = low
    while i + 4 <= high:
        row0, row1 = at + np.uint64(index[i]) * length, at + np.uint64(index[i + 1]) * length
        row2, row3 = at + np.uint64(index[i + 2]) * length, at + np.uint64(index[i + 3]) * length
        times0, times1, times2, times3 = times[i], times[i + 1], times[i + 2], times[i + 3]
        for o in range(length):
            current[begin + o] += (
                times0 * weight[row0 + o] + times1 * weight[row1 + o]
                + times2 * weight[row2 + o] + times3 * weight[row3 + o]
            )  # fmt: skip
        i += 4
    for j in range(i, high):
        deliver(wiring, c, weight, current, start, index[j], times[j])


@apart
def _add_rows(weight, row0, row1, row2, row3, length, current, begin):
    for o in range(length):
        # Four weights fit 16 bits, in which twice as many go into a register.
        pair0 = np.int16(weight[row0 + o] + weight[row1 + o])
        pair1 = np.int16(weight[row2 + o] + weight[row3 + o])
        current[begin + o] += np.int16(pair0 + pair1)


@inline
def deliver_fours(wiring, c, weight, current, start, neurons, low, high, first_neuron):
    """Add a row of weights for each of the neurons low..high, a multiple of four, once each."""
    begin, length = np.uint64(start), np.uint64(wiring[c, BLOCKS]) * np.uint64(ROW)
    at = np.uint64(wiring[c, AT]) - np.uint64(first_neuron) * length
    for i in range(np.uint64(low), np.uint64(high), np.uint64(4)):
        row0, row1 = at + neurons[i] * length, at + neurons[i + np.uint64(1)] * length
        row2 = at + neurons[i + np.uint64(2)] * length
        row3 = at + neurons[i + np.uint64(3)] * length
        _add_rows(weight, row0, row1, row2, row3, length, current, begin)
