"""Delivery: spikes become weighted sums at their targets.

A spike walks its own synapses only. Of the targets of single synapses a list is kept, unless they
are so many that it is quicker to ask all neurons there, as it is of whole rows of weights. What a
delay holds back is added to a ring of currents, one slot for each time step to come, with a list of
its own. Whom a spike reaches first in a sample gets a place, where populations are packed.
"""

from __future__ import annotations

import numpy as np

from lava_async._kernel._compiler import borrow, call, inline, jit, pointer
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
from lava_async._kernel.connections.reach import Spikes, Synapses, Targets, reach

_SWEPT_AT_ONCE = 4  # neurons of a population are asked in the time that one of a list takes


@inline
def _sweeps(s, row, spikes):
    """Whether all neurons are asked that so many spikes might reach."""
    return spikes * row[FAN_OUT] * _SWEPT_AT_ONCE > s.used[row[TARGET]]


@inline
def _deliver_single(net, s, c, slot, sweeps, neurons, low, high, first_neuron, times, counted):
    """Walk the single synapses of the neurons low..high, to a slot. Returns how many."""
    kind, target = net.wiring[c, KIND], np.uint64(net.wiring[c, TARGET])
    zero, own, first = np.uint64(0), np.uint64(slot), np.uint64(slot * len(net.population))
    if sweeps:
        s.swept[own * np.uint64(len(net.threshold)) + target] = 1
    synapses = Synapses(
        row=pointer(net.wiring, np.uint64(c * net.wiring.shape[1])),
        weight=pointer(net.weight, zero),
        synapse=pointer(net.synapse, zero),
        target=pointer(net.target, zero),
    )
    spikes = Spikes(
        neurons=pointer(neurons, np.uint64(low)),
        times=pointer(times, np.uint64(low)),
        count=np.uint64(high - low),
        first_neuron=np.uint64(first_neuron),
        counted=np.bool_(counted),  # a constant would be another type
    )
    targets = Targets(
        current=pointer(s.current, first),
        listed=not sweeps,
        hit=pointer(s.hit, first),
        hits=pointer(s.hits, first + own),
        num_hits=pointer(s.num_hits, own),
        packed=s.packed[target] != 0,
        place=pointer(s.place, zero),
        owner=pointer(s.owner, zero),
        used=pointer(s.used, target),
    )
    if kind == CONV:
        return call(conv.deliver, (synapses, spikes, targets))
    if kind == ONE_TO_ONE:
        return call(one_to_one.deliver, (synapses, spikes, targets))
    return call(sparse.deliver, (synapses, spikes, targets))


@inline
def _slot(net, c, source, time_step):
    """Where the currents of a source wait over a connection with delays."""
    delay = np.int64(net.delay[net.wiring[c, DELAYS] + source])
    return np.int64(0) if delay == 0 else 1 + (time_step + delay) % net.slots


@jit
def _deliver_delayed(net, s, c, neurons, low, high, first_neuron, times, counted, time_step):
    """Deliver the neurons low..high over a connection with delays. Returns the synapses."""
    net, s = borrow(net), borrow(s)
    row, synops, end = net.wiring[c], 0, low
    while end < high:
        begin, slot = end, _slot(net, c, np.int64(neurons[end]) - first_neuron, time_step)
        end += 1
        while end < high and slot == _slot(
            net, c, np.int64(neurons[end]) - first_neuron, time_step
        ):
            end += 1  # neurons that follow each other to the same slot
        if row[KIND] != DENSE:
            synops += _deliver_single(
                net, s, c, slot, _sweeps(s, row, end - begin), neurons, begin, end, first_neuron,
                times, counted,
            )  # fmt: skip
            continue
        s.swept[slot * len(net.threshold) + row[TARGET]] = 1
        start = slot * len(net.population) + row[START]
        for i in range(begin, end):
            source, count = np.int64(neurons[i]) - first_neuron, np.int32(1)
            if counted:
                count = times[i]
            dense.deliver(net.wiring, c, net.weight, s.current, start, source, count)
            synops += np.int64(count) * row[SIZE]
    return synops


@jit
def _take_slot(net, s, slot):
    """What waits in a slot becomes what waits now."""
    net, s = borrow(net), borrow(s)
    num_populations = np.uint64(len(net.threshold))
    late = np.uint64(slot) * np.uint64(len(net.population))
    for p in range(num_populations):
        late_p = np.uint64(slot) * num_populations + p
        if s.swept[late_p]:
            s.swept[late_p], s.swept[p] = 0, 1
            first = np.uint64(net.start[p])
            for n in range(first, first + np.uint64(s.used[p])):
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
                s.current[net.start[p] : net.start[p] + s.used[p]] = 0
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
    if low == high:
        return
    begin, end = np.int64(low), np.int64(high)
    for c in range(net.first[0], net.delayed[0]):
        if wiring[c, KIND] == DENSE:
            start, rest = wiring[c, START], low
            s.swept[wiring[c, TARGET]] = 1
            if spikes == high - low:  # once each
                rest += (high - low) // 4 * 4
                dense.deliver_fours(wiring, c, weight, current, start, index, low, rest, 0)
            dense.deliver_events(wiring, c, weight, current, start, index, times, rest, high)
            synops += wiring[c, SIZE] * spikes
        else:
            synops += _deliver_single(
                net, s, c, 0, _sweeps(s, wiring[c], end - begin), index, begin, end, 0, times, True
            )
    for c in range(net.delayed[0], net.first[1]):
        synops += _deliver_delayed(net, s, c, index, begin, end, 0, times, True, time_step)
    s.number[SYNOPS] += synops


@inline
def deliver_spikes(net, s, p, neurons, low, high, time_step):
    """Deliver one spike of each of the neurons low..high, all of population p.

    There have to be three more places in the list.
    """
    wiring, current, unread = net.wiring, s.current, s.fired_at  # each spikes once
    first_neuron, synops = np.int64(net.start[p]), 0
    for k in range(3):  # so that there are fours; this one has no weights
        neurons[np.uint64(high + k)] = net.start[p + 1]
    for c in range(net.first[p + 1], net.delayed[p + 1]):
        if wiring[c, KIND] == DENSE:
            dense.deliver_fours(
                wiring, c, net.weight, current, wiring[c, START], neurons, low, high, first_neuron
            )
            s.swept[wiring[c, TARGET]] = 1
            synops += wiring[c, SIZE] * (high - low)
        else:
            synops += _deliver_single(
                net, s, c, 0, _sweeps(s, wiring[c], high - low), neurons, low, high, first_neuron,
                unread, False,
            )  # fmt: skip
    for c in range(net.delayed[p + 1], net.first[p + 2]):
        synops += _deliver_delayed(
            net, s, c, neurons, low, high, first_neuron, unread, False, time_step
        )
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
