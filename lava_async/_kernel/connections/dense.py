"""All-to-all synapses: whole rows of weights, filled up with zeros to blocks of `ROW`."""

from __future__ import annotations

import numpy as np

from lava_async._kernel._compiler import apart, inline, jit
from lava_async._kernel._layout import AT, DENSE, NEVER, OWN, ROW, SIZE, START, WORDS
from lava_async._kernel.connections.currents import by_current
from lava_async._kernel.connections.layout import (
    arrange,
    lay_out,
    restore,
    room_to_learn,
    turn_round,
)
from lava_async._kernel.connections.products import COLUMNS, STEPS, add_matrix
from lava_async._semantics.connections import Dense

BLOCKS = OWN  # column: how many blocks of weights a source has


@lay_out.register
def _(connection: Dense, source_shape, target_shape, arrays):
    size, sources = connection.weight.shape
    blocks = -(-size // ROW)
    # After the last source one more, without weights, for `deliver_fours`.
    arranged = np.zeros((sources + 1) * blocks * ROW, np.int16)
    arrange(connection, connection.weight, arranged)
    return DENSE, arrays.add("weight", arranged, np.int16), [blocks]


@arrange.register
def _(connection: Dense, weight, arranged):
    size, sources = weight.shape
    length = -(-size // ROW) * ROW
    arranged[: sources * length].reshape(sources, length)[:, :size] = weight.T


@turn_round.register
def _(connection: Dense, weight):
    size, sources = weight.shape
    if size % 4 == 0:
        return weight
    turned = np.zeros((-(-size // 4) * 4, sources), np.float32)  # see `_credit_silent`
    turned[:size] = weight
    return turned


@room_to_learn.register
def _(connection: Dense, weight):
    # Rows are filled up to whole lines, which needs no remainder loop.
    size, sources = weight.shape
    return sources * -(-size // WORDS) * WORDS


@restore.register
def _(connection: Dense, gradient):
    size, sources = connection.weight.shape
    return np.ascontiguousarray(gradient.reshape(sources, -1)[:, :size].T)


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
def _add_some_fours(
    out, begin, weight, row0, row1, row2, row3, sources, early0, early1, early2, early3,
    late0, late1, late2, late3, released_at, fired0, fired1, fired2, fired3,
):  # fmt: skip
    """The rows of four targets that fired."""
    for s in range(sources):
        released = released_at[begin + s]
        g0, g1 = early0 if released < fired0 else late0, early1 if released < fired1 else late1
        g2, g3 = early2 if released < fired2 else late2, early3 if released < fired3 else late3
        out[begin + s] += (
            (g0 * weight[row0 + s] + g1 * weight[row1 + s])
            + (g2 * weight[row2 + s] + g3 * weight[row3 + s])
        )  # fmt: skip


@apart
def _add_fours(out, begin, weight, row0, row1, row2, row3, sources, g0, g1, g2, g3):
    """The rows of four targets, which share what they add to."""
    for s in range(sources):
        out[begin + s] += (
            (g0 * weight[row0 + s] + g1 * weight[row1 + s])
            + (g2 * weight[row2 + s] + g3 * weight[row3 + s])
        )  # fmt: skip


@apart
def _gains(gains, begin, listed, by_v, by_u, fired_at, first, size, now):
    """List the targets that fired, and may have decided against a spike; what all others give."""
    for j in range(size):
        kept = fired_at[first + j] == NEVER if now else True
        gains[begin + j] = by_v[first + j] + by_u[first + j] if kept else np.float32(0)
    for j in range(size, size + np.uint64(3)):
        gains[begin + j] = 0
    count = np.uint64(0)
    if now:
        for j in range(size):
            # Without a branch: who fires is hard to predict.
            listed[count] = j
            count += np.uint64(fired_at[first + j] != NEVER)
    return count


@inline
def _credit_fired(
    to, begin, weight, at, sources, listed, count, by_v, by_u, fired_at, released_at, first
):  # fmt: skip
    """What targets that fired give to all sources, of one time step."""
    # Four at once, which share what they add to.
    fours = count - count % np.uint64(4)
    for i in range(np.uint64(0), fours, np.uint64(4)):
        j0, j1 = np.uint64(listed[i]), np.uint64(listed[i + np.uint64(1)])
        j2, j3 = np.uint64(listed[i + np.uint64(2)]), np.uint64(listed[i + np.uint64(3)])
        n0, n1, n2, n3 = first + j0, first + j1, first + j2, first + j3
        _add_some_fours(
            to, begin, weight, at + j0 * sources, at + j1 * sources, at + j2 * sources,
            at + j3 * sources, sources, by_v[n0] + by_u[n0], by_v[n1] + by_u[n1],
            by_v[n2] + by_u[n2], by_v[n3] + by_u[n3], by_u[n0], by_u[n1], by_u[n2], by_u[n3],
            released_at, fired_at[n0], fired_at[n1], fired_at[n2], fired_at[n3],
        )  # fmt: skip
    for i in range(fours, count):
        n = first + np.uint64(listed[i])
        _add_some(
            to, begin, weight, at + np.uint64(listed[i]) * sources, sources, by_v[n] + by_u[n],
            by_u[n], released_at, fired_at[n],
        )  # fmt: skip


@inline
def _credit_silent(to, begin, weight, at, sources, done, gains, own, size):
    """What all other targets give to the sources behind the first ``done``, of one time step."""
    for j in range(np.uint64(0), size, np.uint64(4)):
        g0, g1 = gains[own + j], gains[own + j + np.uint64(1)]
        g2, g3 = gains[own + j + np.uint64(2)], gains[own + j + np.uint64(3)]
        if (g0 != 0) | (g1 != 0) | (g2 != 0) | (g3 != 0):
            rows = at + j * sources + done
            _add_fours(
                to, begin + done, weight, rows, rows + sources, rows + np.uint64(2) * sources,
                rows + np.uint64(3) * sources, sources - done, g0, g1, g2, g3,
            )  # fmt: skip


@jit
def credit(
    row, weight, at, by_v, by_u, fired_at, delay, first_step, last_step, first_source, sources,
    released_at, now, out, listed, gains,
):  # fmt: skip
    """What all sources get back, of time steps first_step..last_step.

    Parameters
    ----------
    row : row of `Net.wiring`
    weight : array
        From ``at`` on it has a row for each target, and up to three without weights behind.
    by_v, by_u : (T, N)
        Gradients of voltage and current at the targets, where spikes arrive ``delay`` later.
    fired_at : (T, N)
    first_source, sources : int
        Where the sources are in the two arrays that follow, and how many.
    released_at, out : (T, N), or (T, inputs)
        The latter is added to.
    now : bool
        Whether the spikes arrive in the time step of their release.
    listed : (N + 3,)
    gains : (`STEPS` * (N + 3),)
        Scratch space.
    """
    begin, sources, at = np.uint64(first_source), np.uint64(sources), np.uint64(at)
    first, size = np.uint64(row[START]), np.uint64(row[SIZE])
    # Whole blocks of sources and time steps as a product of matrices.
    whole = sources - sources % np.uint64(COLUMNS)
    room, t, last = size + np.uint64(3), first_step, last_step
    while t < last:
        steps = STEPS if whole > 0 and last - t >= STEPS else 1
        for k in range(steps):
            late, own = t + k + delay, np.uint64(k) * room
            v, u, fired = by_v[late], by_u[late], fired_at[late]
            released, to = released_at[t + k], out[t + k]
            count = _gains(gains, own, listed, v, u, fired, first, size, now)
            if now:
                _credit_fired(
                    to, begin, weight, at, sources, listed, count, v, u, fired, released, first
                )
            done = whole if steps == STEPS else np.uint64(0)
            if done < sources:
                _credit_silent(to, begin, weight, at, sources, done, gains, own, size)
        if steps == STEPS:
            length = np.uint64(out.shape[1])
            for column in range(np.uint64(0), whole, np.uint64(COLUMNS)):
                add_matrix(
                    out, np.uint64(t) * length + begin + column, length, gains, room, weight,
                    at + column, sources, size,
                )  # fmt: skip
        t += steps


@jit
def credit_one(net, row, source, by_v, by_u, fired_at, released_at, now):
    """What one source gets back."""
    first = row[AT] + source * row[BLOCKS] * ROW
    total = np.float32(0)
    for o in range(row[SIZE]):
        g = by_current(row[START] + o, by_v, by_u, fired_at, released_at, now)
        total += np.float32(net.weight[first + o]) * g
    return total


@apart
def _learn_some(gradient, begin, by_v, by_u, fired_at, first, row_length, released):
    """The row of a spike, which may have come too late for some targets."""
    for o in range(row_length):
        n = first + o
        g = by_v[n] if released < fired_at[n] else np.float32(0)
        gradient[begin + o] += g + by_u[n]


@apart
def _learn_row(gradient, begin, by_current, row_length, factor):
    for o in range(row_length):
        gradient[begin + o] += factor * by_current[o]


@inline
def _row_to_learn(row):
    """Numbers that a source takes in the room of `room_to_learn`."""
    return np.uint64(-(-row[SIZE] // WORDS) * WORDS)


@inline
def learn(
    row, neurons, times, first_neuron, low, high, counted, by_v, by_u, fired_at, released_at, now,
    gradient, at, scratch,
):  # fmt: skip
    """What the weights of spikes low..high get, in rows as long as those of `room_to_learn`.

    What lies beyond the population adds to places that nobody reads.
    """
    row_length, first = _row_to_learn(row), np.uint64(row[START])
    place = np.uint64(at) - np.uint64(first_neuron) * row_length
    if now:
        for i in range(np.uint64(low), np.uint64(high)):
            source = np.uint64(neurons[i])
            _learn_some(
                gradient, place + source * row_length, by_v, by_u, fired_at, first, row_length,
                released_at[source],
            )  # fmt: skip
    else:
        for o in range(row_length):
            scratch[o] = by_v[first + o] + by_u[first + o]
        for i in range(np.uint64(low), np.uint64(high)):
            begin = place + np.uint64(neurons[i]) * row_length
            factor = times[i] if counted else np.float32(1)
            _learn_row(gradient, begin, scratch, row_length, factor)


@jit
def clear_rows(row, gradient, low, high):
    """Begin to add up what the weights of sources low..high get."""
    length = np.int64(_row_to_learn(row))
    gradient[low * length : high * length] = 0


@jit
def put_in_order(row, gradient, low, high, in_order):
    """What they got, as part of the array (targets, sources) of all weights.

    In squares, whose lines of memory stay in the cache meanwhile.
    """
    length, size = _row_to_learn(row), np.uint64(row[SIZE])
    first, last, side = np.uint64(low), np.uint64(high), np.uint64(WORDS)
    for corner in range(first, last, side):
        end = min(corner + side, last)
        for start in range(np.uint64(0), size, side):
            for target in range(start, min(start + side, size)):
                for source in range(corner, end):
                    in_order[target, source] = gradient[source * length + target]
