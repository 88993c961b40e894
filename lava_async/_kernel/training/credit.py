"""The decisive gradient of one sample: time steps backwards, populations against the order.

What a source gets back is collected when it is its turn, from targets whose gradients are known
by then. Gradients of voltage and current are kept times 64, which is what a weight of 1 is worth.
"""

from __future__ import annotations

import numpy as np

from lava_async._kernel._compiler import apart, borrow, inline_early, jit
from lava_async._kernel._layout import (
    CONV,
    DELAYS,
    DENSE,
    KIND,
    NEVER,
    ONE_TO_ONE,
    TARGET,
)
from lava_async._kernel.connections import conv_credit, dense, one_to_one, sparse
from lava_async._kernel.training.layout import DETACHED, FULL, GIVEN, LOST, THROUGH, UNSENT
from lava_async._kernel.training.surrogate import derivative
from lava_async._semantics import dynamics as dyn

_UNIT = np.float32(1 << dyn.STATE_SHIFT)
ALL, NOW, LATER = range(3)  # synapses, by when they deliver


@jit
def credit_one(net, c, source, by_v, by_u, fired_at, released_at, now):
    """What one source gets back over one connection."""
    row = net.wiring[c]
    if row[KIND] == DENSE:
        return dense.credit_one(net, row, source, by_v, by_u, fired_at, released_at, now)
    if row[KIND] == CONV:
        return conv_credit.credit_one(net, row, source, by_v, by_u, fired_at, released_at, now)
    if row[KIND] == ONE_TO_ONE:
        return one_to_one.credit_one(net, row, source, by_v, by_u, fired_at, released_at, now)
    return sparse.credit_one(net, row, source, by_v, by_u, fired_at, released_at, now)


@jit
def credit(
    net, way, c, first_step, last_step, which, by_v, by_u, fired_at, first, released_at, out,
    scratch,
):  # fmt: skip
    """What all sources of a connection get back, of time steps first_step..last_step.

    Parameters
    ----------
    which : int
        Whether over synapses that deliver within the time step, later, or over `ALL`.
    by_v, by_u, fired_at : (T, N)
    first : int
        Where the sources are in the two arrays that follow, of which ``out`` is added to.
    released_at, out : (T, N), or (T, inputs)
    scratch : Scratch
    """
    net, way, scratch = borrow(net), borrow(way), borrow(scratch)
    by_v, by_u, fired_at = borrow(by_v), borrow(by_u), borrow(fired_at)
    released_at, out = borrow(released_at), borrow(out)
    row = net.wiring[c]
    steps, delay, at, source = len(by_v), way.late[c], row[DELAYS], way.source[c]
    from_input = source < 0  # it comes before anyone decides
    sources = np.int64(net.start[source + 1]) - first if source >= 0 else out.shape[1]
    if delay < 0:
        for t in range(first_step, last_step):
            for i in range(sources):
                own = np.int64(net.delay[at + i])
                if t + own < steps and which != (LATER if own == 0 else NOW):
                    late = t + own
                    out[t, first + i] += credit_one(
                        net, c, i, by_v[late], by_u[late], fired_at[late],
                        released_at[t, first + i], own == 0 and not from_input,
                    )  # fmt: skip
        return
    if which == (LATER if delay == 0 else NOW):
        return
    now, last_step = delay == 0 and not from_input, min(last_step, steps - delay)
    if row[KIND] == DENSE:
        dense.credit(
            row, way.weight, way.at[c], by_v, by_u, fired_at, delay, first_step, last_step, first,
            sources, released_at, now, out, scratch.listed, scratch.gains,
        )  # fmt: skip
        return
    for t in range(first_step, last_step):
        late = t + delay
        if row[KIND] == CONV:
            conv_credit.credit(
                row, way.weight, way.at[c], by_v[late], by_u[late], fired_at[late], first,
                released_at[t], now, out[t], scratch,
            )  # fmt: skip
        else:
            for i in range(sources):
                out[t, first + i] += credit_one(
                    net, c, i, by_v[late], by_u[late], fired_at[late], released_at[t, first + i],
                    now,
                )  # fmt: skip


@inline_early
def _by_voltage(reset, sigma, by_spike, by_v, voltage, fired):
    """The gradient of the voltage that decided."""
    if reset == FULL:
        kept = np.float32(0) if fired else by_v
        return np.float32(sigma * np.float32(by_spike - voltage * by_v) + kept)
    kept = np.float32(0) if fired and reset == DETACHED else by_v
    return np.float32(sigma * by_spike + kept)


@jit
def derivatives(net, way, voltage, given, b, out):
    """Of the spike function at the voltages (T, N) of sample b."""
    for t in range(len(voltage)):
        for p in range(len(way.population)):
            first, last = np.uint64(net.start[p]), np.uint64(net.start[p + 1])
            threshold, slope, height = way.threshold[p], way.slope[p], way.height[p]
            if way.surrogate == GIVEN:
                for n in range(first, last):
                    out[t, n] = given[b, t, n]
            else:
                for n in range(first, last):
                    distance = np.float32(voltage[t, n]) - threshold
                    out[t, n] = derivative(way.surrogate, distance, slope, height)


@inline_early
def _discard(loss, loss_first, released_at, by_spike, n, t):
    """What was never delivered gets nothing from its targets, what dropout took nothing at all."""
    if released_at == LOST:
        by_spike[t, n] = 0
    elif released_at == UNSENT:
        own = n - loss_first
        by_spike[t, n] = loss[own, t] if 0 <= own < len(loss) else np.float32(0)


@inline_early
def _decide(way, n, t, x):
    """Gradients of a neuron's voltage and current in time step t, and of its state before."""
    g = _by_voltage(
        way.reset, x.sigma[t, n], x.by_spike[t, n], x.end_v[n], np.float32(x.voltage[t, n]),
        x.fired_at[t, n] != NEVER,
    )  # fmt: skip
    x.by_v[t, n] = _UNIT * g
    x.by_u[t, n] = _UNIT * x.end_u[n]
    x.end_u[n] = way.keep_u[n] * (g + x.end_u[n])
    x.end_v[n] = way.keep_v[n] * g


@apart
def _decide_range(
    first, last, reset, keep_v, keep_u, sigma, by_spike, voltage, fired_at, by_v, by_u, end_v, end_u
):  # fmt: skip
    for n in range(first, last):
        g = _by_voltage(
            reset, sigma[n], by_spike[n], end_v[n], np.float32(voltage[n]), fired_at[n] != NEVER
        )
        by_v[n] = _UNIT * g
        by_u[n] = _UNIT * end_u[n]
        end_u[n] = keep_u[n] * (g + end_u[n])
        end_v[n] = keep_v[n] * g


@inline_early
def _decide_alone(net, way, p, t, x):
    """A population that closes no circle within a time step.

    Inlined, as handing over all these arrays takes longer than the work.
    """
    start, stop = np.uint64(net.start[p]), np.uint64(net.start[p + 1])
    if x.discards:
        for n in range(np.int64(start), np.int64(stop)):
            _discard(x.loss, x.loss_first, x.released_at[t, n], x.by_spike, n, t)
    _decide_range(
        start, stop, way.reset, way.keep_v, way.keep_u, x.sigma[t], x.by_spike[t],
        x.voltage[t], x.fired_at[t], x.by_v[t], x.by_u[t], x.end_v, x.end_u,
    )  # fmt: skip


@inline_early
def _is_tied(net, way, c, p):
    """Whether a connection of population p leads into its own component."""
    return way.component_of[net.wiring[c, TARGET]] == way.component_of[p]


@jit
def _decide_together(net, way, low, high, t, x):
    """Populations low..high of ``way.population``, which close a circle.

    Silent neurons first: they count on what no decision of this time step adds to. Then those
    that fired, the last one first: of what a spike caused, all is known by then.
    """
    for i in range(low, high):
        p = way.population[i]
        for n in range(np.int64(net.start[p]), np.int64(net.start[p + 1])):
            stays = x.fired_at[t, n] == NEVER or way.reset == THROUGH
            x.by_v[t, n] = _UNIT * x.end_v[n] if stays else np.float32(0)
            x.by_u[t, n] = _UNIT * x.end_u[n]
    for i in range(low, high):
        p = way.population[i]
        start, stop = np.int64(net.start[p]), np.int64(net.start[p + 1])
        x.back[t, start:stop] = 0
        for c in range(net.first[p + 1], net.first[p + 2]):
            if _is_tied(net, way, c, p):
                credit(
                    net, way, c, t, t + 1, NOW, x.by_v, x.by_u, x.fired_at,
                    start, x.released_at, x.back, x.scratch,
                )  # fmt: skip
        for n in range(start, stop):
            if x.fired_at[t, n] == NEVER:
                x.by_spike[t, n] += x.back[t, n]
    fired = np.zeros(0, np.int64)
    for i in range(low, high):
        p = way.population[i]
        start, stop = np.int64(net.start[p]), np.int64(net.start[p + 1])
        for n in range(start, stop):
            if x.fired_at[t, n] == NEVER:
                _decide(way, n, t, x)
        fired = np.concatenate(
            (fired, np.nonzero(x.fired_at[t, start:stop] != NEVER)[0] + start)
        )
    when = np.zeros(len(fired), np.int64)
    for i in range(len(fired)):
        when[i] = x.fired_at[t, fired[i]]
    for i in np.argsort(when, kind="mergesort")[::-1]:
        n = fired[i]
        p = np.int64(net.population[n])
        source = n - np.int64(net.start[p])
        for c in range(net.first[p + 1], net.first[p + 2]):
            if _is_tied(net, way, c, p) and _delay(net, way, c, source) == 0:
                x.by_spike[t, n] += credit_one(
                    net, c, source, x.by_v[t], x.by_u[t], x.fired_at[t], x.released_at[t, n], True
                )
        _discard(x.loss, x.loss_first, x.released_at[t, n], x.by_spike, n, t)
        _decide(way, n, t, x)


@inline_early
def _delay(net, way, c, source):
    delay = way.late[c]
    return delay if delay >= 0 else np.int64(net.delay[net.wiring[c, DELAYS] + source])


@jit
def credit_sample(net, way, x):
    """Walk back through a sample.

    The state's gradients at the end of it, ``x.end_v`` and ``x.end_u``, are 0.
    """
    net, way, x = borrow(net), borrow(way), borrow(x)
    num_steps = len(x.voltage)
    for b in range(len(way.block) - 1):
        first, last = way.block[b], way.block[b + 1]
        # From blocks that are done, all time steps at once.
        for i in range(way.component[first], way.component[last]):
            p = way.population[i]
            start = np.int64(net.start[p])
            for c in range(net.first[p + 1], net.first[p + 2]):
                if way.block_of[net.wiring[c, TARGET]] != b:
                    credit(
                        net, way, c, 0, num_steps, ALL, x.by_v, x.by_u, x.fired_at,
                        start, x.released_at, x.by_spike, x.scratch,
                    )  # fmt: skip
        for t in range(num_steps - 1, -1, -1):
            for k in range(first, last):
                low, high = way.component[k], way.component[k + 1]
                for i in range(low, high):
                    p = way.population[i]
                    start = np.int64(net.start[p])
                    for c in range(net.first[p + 1], net.first[p + 2]):
                        if way.block_of[net.wiring[c, TARGET]] == b:
                            tied = way.circular[k] and _is_tied(net, way, c, p)
                            credit(
                                net, way, c, t, t + 1, LATER if tied else ALL, x.by_v, x.by_u,
                                x.fired_at, start, x.released_at, x.by_spike, x.scratch,
                            )  # fmt: skip
                if way.circular[k]:
                    _decide_together(net, way, low, high, t, x)
                else:
                    _decide_alone(net, way, way.population[low], t, x)
