"""All-to-all synapses: whole rows of weights, filled up with zeros to blocks of `ROW`."""

from __future__ import annotations

import numpy as np

from lava_async._kernel._compiler import apart, inline, jit
from lava_async._kernel._layout import AT, DENSE, NEVER, OWN, ROW, SIZE, START
from lava_async._kernel.connections.currents import by_current
from lava_async._kernel.connections.layout import arrange, lay_out, restore, turn_round
from lava_async._semantics.connections import Dense

BLOCKS = OWN  # column: how many blocks of weights a source has


@lay_out.register
def _(connection: Dense, source_shape, target_shape, arrays):
    weight = arrange(connection, connection.weight)
    return DENSE, arrays.add("weight", weight, np.int16), [weight.shape[1] // ROW]


@arrange.register
def _(connection: Dense, weight):
    size, sources = weight.shape
    # After the last source one more, without weights, for `deliver_fours`.
    arranged = np.zeros((sources + 1, -(-size // ROW) * ROW), np.int16)
    arranged[:-1, :size] = weight.T
    return arranged


@turn_round.register
def _(connection: Dense, weight):
    return weight


@restore.register
def _(connection: Dense, gradient):
    return gradient.reshape(connection.weight.shape[::-1]).T


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


@apart
def _add_some(out, begin, weight, row, sources, early, late, released_at, fired_at):
    """The row of a target that fired, for sources that may have come too late."""
    for s in range(sources):
        g = early if released_at[begin + s] < fired_at else late
        out[begin + s] += weight[row + s] * g


@apart
def _add_fours(out, begin, weight, row0, row1, row2, row3, sources, g0, g1, g2, g3):
    """The rows of four targets, which share what they add to."""
    for s in range(sources):
        out[begin + s] += (
            (g0 * weight[row0 + s] + g1 * weight[row1 + s])
            + (g2 * weight[row2 + s] + g3 * weight[row3 + s])
        )  # fmt: skip


@apart
def _add_row(out, begin, weight, row, sources, g):
    for s in range(sources):
        out[begin + s] += g * weight[row + s]


@jit
def credit(
    weight, at, first, size, by_v, by_u, fired_at, first_source, num_sources, released_at, now,
    out, listed,
):  # fmt: skip
    """What all sources get back in one time step; rows of ``weight`` are those of targets.

    Parameters
    ----------
    by_v, by_u : (N,)
        Gradients of voltage and current where the spikes arrive, at targets from ``first`` on.
    fired_at : (N,)
        Of the targets, there.
    released_at, out : (sources,) or more
        Of the sources, from ``first_source`` on; ``out`` is added to.
    now : bool
        Whether the spikes arrive in the time step of their release.
    listed : (size,) uint32
        Scratch space.
    """
    begin, sources, target = np.uint64(first_source), np.uint64(num_sources), np.uint64(first)
    count = np.uint64(0)
    for j in range(np.uint64(size)):
        late, early = by_u[target + j], np.float32(by_v[target + j] + by_u[target + j])
        if now and fired_at[target + j] != NEVER:
            row = np.uint64(at) + j * sources
            _add_some(
                out, begin, weight, row, sources, early, late, released_at, fired_at[target + j]
            )
        elif early != 0:
            listed[count] = j
            count += np.uint64(1)
    # Those who never decide against a spike: four at once, which share what they add to.
    for i in range(np.uint64(0), count - count % np.uint64(4), np.uint64(4)):
        j0, j1 = np.uint64(listed[i]), np.uint64(listed[i + np.uint64(1)])
        j2, j3 = np.uint64(listed[i + np.uint64(2)]), np.uint64(listed[i + np.uint64(3)])
        g0, g1 = by_v[target + j0] + by_u[target + j0], by_v[target + j1] + by_u[target + j1]
        g2, g3 = by_v[target + j2] + by_u[target + j2], by_v[target + j3] + by_u[target + j3]
        row0, row1 = np.uint64(at) + j0 * sources, np.uint64(at) + j1 * sources
        row2, row3 = np.uint64(at) + j2 * sources, np.uint64(at) + j3 * sources
        _add_fours(out, begin, weight, row0, row1, row2, row3, sources, g0, g1, g2, g3)
    for i in range(count - count % np.uint64(4), count):
        j = np.uint64(listed[i])
        g, row = by_v[target + j] + by_u[target + j], np.uint64(at) + j * sources
        _add_row(out, begin, weight, row, sources, g)


@jit
def credit_one(net, row, source, by_v, by_u, fired_at, released_at, now):
    """What one source gets back."""
    first = row[AT] + source * row[BLOCKS] * ROW
    total = np.float32(0)
    for o in range(row[SIZE]):
        g = by_current(row[START] + o, by_v, by_u, fired_at, released_at, now)
        total += np.float32(net.weight[first + o]) * g
    return total


@inline
def learn(
    row, neurons, times, first_neuron, low, high, counted, by_v, by_u, fired_at, released_at, now,
    gradient, at, scratch,
):  # fmt: skip
    """What the weights of spikes low..high get, in rows of (sources, size)."""
    size, first = np.uint64(row[SIZE]), np.uint64(row[START])
    if now:
        for i in range(low, high):
            source = np.uint64(neurons[i])
            released = released_at[source]
            begin = np.uint64(at) + (source - np.uint64(first_neuron)) * size
            for o in range(size):
                n = first + o
                g = by_v[n] if released < fired_at[n] else np.float32(0)
                gradient[begin + o] += g + by_u[n]
    else:
        for o in range(size):
            scratch[o] = by_v[first + o] + by_u[first + o]
        for i in range(low, high):
            source = np.uint64(neurons[i])
            begin = np.uint64(at) + (source - np.uint64(first_neuron)) * size
            factor = times[i] if counted else np.float32(1)
            for o in range(size):
                gradient[begin + o] += factor * scratch[o]
