"""Delivery: spikes become weighted sums at their targets.

A released spike walks its own synapses only. Of the targets of single synapses a list is kept,
unless they are so many that it is quicker to ask all neurons there, as it is of whole rows of
weights. What a delay holds back is added to a ring of
currents, one slot for each time step to come, and reaches nobody yet.
"""

from __future__ import annotations

import numpy as np

from lava_async._kernel._compiler import inline, jit
from lava_async._kernel._layout import (
    CONV,
    DELAYS,
    DENSE,
    FAN_OUT,
    HITS,
    KIND,
    ONE_TO_ONE,
    SIZE,
    START,
    SYNOPS,
    TARGET,
)
from lava_async._kernel.connections import conv, dense, one_to_one, sparse

_SWEPT_AT_ONCE = 8  # neurons of a population are asked in the time that one of a list takes


@jit
def _deliver_single(net, row, start, current, hit, hits, count, now, source, times):
    """Walk the single synapses of one source neuron. Returns how many."""
    if row[KIND] == CONV:
        return conv.deliver(
            row, net.weight, start, current, hit, hits, count, now, source, times
        )
    if row[KIND] == ONE_TO_ONE:
        return one_to_one.deliver(net, row, start, current, hit, hits, count, now, source, times)
    return sparse.deliver(net, row, start, current, hit, hits, count, now, source, times)


@jit
def _deliver_delayed(net, s, c, source, times, time_step):
    """Deliver one source neuron over a connection with delays. Returns its synapses."""
    row = net.wiring[c]
    delay = np.int64(net.delay[row[DELAYS] + source])
    start, now = row[START], delay == 0
    if not now:
        start += (1 + (time_step + delay) % net.slots) * len(net.population)
    if row[KIND] == DENSE:
        dense.deliver(net.wiring, c, net.weight, s.current, start, source, times)
        if now:
            s.swept[row[TARGET]] = 1
        return row[SIZE]
    return _deliver_single(
        net, row, start, s.current, s.hit, s.hits, s.count, now, source, times
    )


@inline
def take_late(net, s, time_step):
    """What was on its way to this time step arrives; its slot serves a later one."""
    if net.slots > 0:
        num_neurons = np.uint64(len(net.population))
        slot = np.uint64(1 + time_step % net.slots) * num_neurons
        for n in range(num_neurons):
            s.current[n] = s.current[slot + n]
            s.current[slot + n] = 0


@inline
def deliver_input(net, s, index, times, low, high, time_step):
    """Deliver the events low..high, those of an input frame."""
    wiring, weight, current, count = net.wiring, net.weight, s.current, s.count
    synops, spikes = 0, 0
    for i in range(low, high):
        spikes += times[i]
    for c in range(net.first[0], net.delayed[0]):
        start = wiring[c, START]
        if wiring[c, KIND] == DENSE:
            rest = low
            if spikes == high - low:  # once each
                rest += (high - low) // 4 * 4
                dense.deliver_fours(wiring, c, weight, current, start, index, low, rest, 0)
            dense.deliver_events(wiring, c, weight, current, start, index, times, rest, high)
            synops += wiring[c, SIZE] * spikes
        elif wiring[c, KIND] == CONV:
            synops += conv.deliver_all(
                wiring[c], weight, start, current, s.hit, s.hits, count, index, times, True, low,
                high, 0,
            )  # fmt: skip
        else:
            for i in range(low, high):
                synops += times[i] * _deliver_single(
                    net, wiring[c], start, current, s.hit, s.hits, count, False,
                    np.int64(index[i]), times[i],
                )  # fmt: skip
    if low < high:
        for c in range(net.first[0], net.first[1]):
            s.swept[wiring[c, TARGET]] = 1
    for c in range(net.delayed[0], net.first[1]):
        for i in range(low, high):
            synops += times[i] * _deliver_delayed(
                net, s, c, np.int64(index[i]), times[i], time_step
            )
    s.number[SYNOPS] += synops


@inline
def deliver_spikes(net, s, p, neurons, low, high, time_step):
    """Deliver one spike of each of the neurons low..high, all of population p.

    There have to be three more places in the list.
    """
    wiring, current = net.wiring, s.current
    first_neuron, synops = np.int64(net.start[p]), 0
    for k in range(3):  # so that there are fours; this one has no weights
        neurons[np.uint64(high + k)] = net.start[p + 1]
    for c in range(net.first[p + 1], net.delayed[p + 1]):
        start = wiring[c, START]
        if wiring[c, KIND] == DENSE:
            dense.deliver_fours(
                wiring, c, net.weight, current, start, neurons, low, high, first_neuron
            )
            s.swept[wiring[c, TARGET]] = 1
            synops += wiring[c, SIZE] * (high - low)
        else:
            reached = (high - low) * wiring[c, FAN_OUT]
            sweeps = reached * _SWEPT_AT_ONCE > wiring[c, SIZE]
            if sweeps:
                s.swept[wiring[c, TARGET]] = 1
            if sweeps and wiring[c, KIND] == CONV:
                synops += conv.deliver_all(
                    wiring[c], net.weight, start, current, s.hit, s.hits, s.count, neurons,
                    s.count, False, low, high, first_neuron,
                )  # fmt: skip
                continue
            for i in range(low, high):
                synops += _deliver_single(
                    net, wiring[c], start, current, s.hit, s.hits, s.count, not sweeps,
                    np.int64(neurons[i]) - first_neuron, 1,
                )  # fmt: skip
    for c in range(net.delayed[p + 1], net.first[p + 2]):
        for i in range(low, high):
            source = np.int64(neurons[i]) - first_neuron
            synops += _deliver_delayed(net, s, c, source, 1, time_step)
    s.number[SYNOPS] += synops


@inline
def deliver_released(net, s, low, high, time_step):
    """Deliver the released spikes low..high, population by population."""
    start, ready, num_ready = net.start, s.ready, s.num_ready
    for i in range(low, high):
        n = s.released[i]
        p = net.population[n]
        ready[start[p] + np.uint32(3) * p + num_ready[p]] = n
        num_ready[p] += np.uint32(1)
    for p in range(len(num_ready)):
        if num_ready[p] > 0:
            begin = np.int64(start[p]) + 3 * p
            deliver_spikes(net, s, p, ready, begin, begin + np.int64(num_ready[p]), time_step)
            num_ready[p] = 0


@inline
def forget_reached(s):
    """Where every neuron is evaluated anyway, nobody needs to know who received a current."""
    for i in range(s.count[HITS]):
        s.hit[s.hits[i]] = 0
    s.count[HITS] = 0
    s.swept[:] = 0
