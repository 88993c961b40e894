"""Delivery: spikes become weighted sums at their targets.

A spike walks its own synapses only. Of the targets of single synapses a list is kept, unless they
are so many that it is quicker to ask all neurons there, as it is of whole rows of weights. What a
delay holds back is added to a ring of currents, one slot for each time step to come, with a list of
its own.
"""

from __future__ import annotations

import numpy as np

from lava_async._kernel._compiler import borrow, inline, jit
from lava_async._kernel._layout import (
    CONV,
    DELAYS,
    DENSE,
    FAN_OUT,
    KIND,
    ONE_TO_ONE,
    SIZE,
    START,
    SYNOPS,
    TARGET,
)
from lava_async._kernel.connections import conv, dense, one_to_one, sparse
from lava_async._kernel.connections.reach import reach

_SWEPT_AT_ONCE = 4  # neurons of a population are asked in the time that one of a list takes


@inline
def _sweeps(row, spikes):
    """Whether all neurons are asked that so many spikes might reach."""
    return spikes * row[FAN_OUT] * _SWEPT_AT_ONCE > row[SIZE]


@jit
def _deliver_single(net, row, current, hit, hits, num_hits, listed, source, times):
    """Walk the single synapses of one source neuron. Returns how many."""
    start = row[START]
    if row[KIND] == CONV:
        return conv.deliver(
            row, net.weight, start, current, hit, hits, num_hits, listed, source, times
        )
    if row[KIND] == ONE_TO_ONE:
        return one_to_one.deliver(
            net, row, start, current, hit, hits, num_hits, listed, source, times
        )
    return sparse.deliver(net, row, start, current, hit, hits, num_hits, listed, source, times)


@jit
def _deliver_delayed(net, s, c, source, times, time_step):
    """Deliver one source neuron over a connection with delays. Returns its synapses."""
    net, s = borrow(net), borrow(s)
    row = net.wiring[c]
    delay = np.int64(net.delay[row[DELAYS] + source])
    slot = 0 if delay == 0 else 1 + (time_step + delay) % net.slots
    first = slot * len(net.population)
    sweeps = row[KIND] == DENSE or _sweeps(row, 1)
    if sweeps:
        s.swept[slot * len(net.threshold) + row[TARGET]] = 1
    if row[KIND] == DENSE:
        dense.deliver(net.wiring, c, net.weight, s.current, first + row[START], source, times)
        return row[SIZE]
    return _deliver_single(
        net, row, s.current[first:], s.hit[first:], s.hits[first + slot :], s.num_hits[slot:],
        not sweeps, source, times,
    )  # fmt: skip


@jit
def _take_slot(net, s, slot):
    """What waits in a slot becomes what waits now."""
    net, s = borrow(net), borrow(s)
    num_populations = np.uint64(len(net.threshold))
    late = np.uint64(slot) * np.uint64(len(net.population))
    for p in range(num_populations):
        place = np.uint64(slot) * num_populations + p
        if s.swept[place]:
            s.swept[place], s.swept[p] = 0, 1
            for n in range(np.uint64(net.start[p]), np.uint64(net.start[p + np.uint64(1)])):
                s.current[n], s.current[late + n] = s.current[late + n], 0
    for i in range(s.num_hits[slot]):
        n = np.uint64(s.hits[late + np.uint64(slot) + np.uint64(i)])
        s.hit[late + n] = 0
        if s.current[late + n] != 0:  # neither cancelled out, nor taken above
            s.current[n], s.current[late + n] = s.current[late + n], 0
            s.num_hits[0] = reach(n, s.hit, s.hits, np.uint64(s.num_hits[0]))
    s.num_hits[slot] = 0


@inline
def take_late(net, s, time_step):
    """What was on its way to this time step arrives; its slot serves a later one."""
    if net.slots > 0:
        _take_slot(net, s, 1 + time_step % net.slots)


@jit
def drop_late(net, s):
    """Nothing is on its way any more, not even by another net in the same state."""
    net, s = borrow(net), borrow(s)
    for slot in range(1, len(s.num_hits)):
        _take_slot(net, s, slot)
        for p in range(len(net.threshold)):
            if s.swept[p]:
                s.current[net.start[p] : net.start[p + 1]] = 0
        for i in range(s.num_hits[0]):
            s.current[s.hits[i]] = 0
        forget_reached(net, s)


@inline
def deliver_input(net, s, index, times, low, high, time_step):
    """Deliver the events low..high, those of an input frame."""
    wiring, weight, current = net.wiring, net.weight, s.current
    synops, spikes = 0, 0
    for i in range(low, high):
        spikes += times[i]
    for c in range(net.first[0], net.delayed[0]):
        start, target = wiring[c, START], wiring[c, TARGET]
        sweeps = wiring[c, KIND] == DENSE or _sweeps(wiring[c], np.int64(high) - np.int64(low))
        if sweeps and low < high:
            s.swept[target] = 1
        if wiring[c, KIND] == DENSE:
            rest = low
            if spikes == high - low:  # once each
                rest += (high - low) // 4 * 4
                dense.deliver_fours(wiring, c, weight, current, start, index, low, rest, 0)
            dense.deliver_events(wiring, c, weight, current, start, index, times, rest, high)
            synops += wiring[c, SIZE] * spikes
        elif sweeps and wiring[c, KIND] == CONV:
            synops += conv.deliver_all(
                wiring[c], weight, start, current, s.hit, s.hits, s.num_hits, index, times, True,
                low, high, 0,
            )  # fmt: skip
        else:
            for i in range(low, high):
                synops += times[i] * _deliver_single(
                    net, wiring[c], current, s.hit, s.hits, s.num_hits, not sweeps,
                    np.int64(index[i]), times[i],
                )  # fmt: skip
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
        start, target = wiring[c, START], wiring[c, TARGET]
        if wiring[c, KIND] == DENSE:
            dense.deliver_fours(
                wiring, c, net.weight, current, start, neurons, low, high, first_neuron
            )
            s.swept[target] = 1
            synops += wiring[c, SIZE] * (high - low)
        else:
            sweeps = _sweeps(wiring[c], high - low)
            if sweeps:
                s.swept[target] = 1
            if sweeps and wiring[c, KIND] == CONV:
                synops += conv.deliver_all(
                    wiring[c], net.weight, start, current, s.hit, s.hits, s.num_hits, neurons,
                    s.count, False, low, high, first_neuron,
                )  # fmt: skip
                continue
            for i in range(low, high):
                synops += _deliver_single(
                    net, wiring[c], current, s.hit, s.hits, s.num_hits, not sweeps,
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
def forget_reached(net, s):
    """Where everybody was evaluated, nobody needs to know any more who received a current."""
    for i in range(s.num_hits[0]):
        s.hit[s.hits[i]] = 0
    s.num_hits[0] = 0
    for p in range(len(net.threshold)):
        s.swept[p] = 0
