"""Places of neurons in packed populations: see `State`."""

from __future__ import annotations

import numpy as np

from lava_async._kernel._compiler import borrow, inline, jit
from lava_async._kernel._layout import NOWHERE

_MOST = 3, 4  # of more than three in four neurons places cost more than they spare


@jit
def leave_places(net, s):
    """A sample is over: nobody has a place any more, as nobody has a state."""
    net, s = borrow(net), borrow(s)
    for p in range(len(net.threshold)):
        if s.packed[p]:
            first = np.uint64(net.start[p])
            for n in range(first, first + np.uint64(s.used[p])):
                s.place[s.owner[n]] = NOWHERE
            s.used[p] = 0


@inline
def _by_neuron(array, begin, place, first, stop, room):
    """What an array has by place, ``begin`` on, it has by neuron then; ``room`` is for scratch."""
    for n in range(first, stop):
        room[n] = 0 if place[n] == NOWHERE else array[begin + np.uint64(place[n])]
    for n in range(first, stop):
        array[begin + n] = room[n]


@inline
def _spread_out(net, s, p):
    """Each neuron of a packed population gets the place of its number, for good.

    Between two time steps, where of the currents only those of time steps to come wait.
    """
    first, stop = np.uint64(net.start[p]), np.uint64(net.start[p + 1])
    num_neurons, room = np.uint64(len(net.population)), s.heap
    _by_neuron(s.u, np.uint64(0), s.place, first, stop, room)
    _by_neuron(s.v, np.uint64(0), s.place, first, stop, room)
    for slot in range(np.uint64(1), np.uint64(len(s.num_hits))):
        begin = slot * num_neurons
        _by_neuron(s.current, begin, s.place, first, stop, room)
        _by_neuron(s.hit, begin, s.place, first, stop, room)
        for i in range(begin + slot, begin + slot + np.uint64(s.num_hits[slot])):
            if first <= s.hits[i] < stop:
                s.hits[i] = s.owner[s.hits[i]]
    for n in range(first, stop):
        s.place[n] = s.owner[n] = n
    s.used[p] = stop - first
    s.packed[p] = 0
    s.num_packed[0] -= 1
    s.full[p] = 1  # whose bits have moved


@jit
def spread_out(net, s):
    """Populations of which so much is active are packed no longer, nor in samples to come."""
    net, s = borrow(net), borrow(s)
    for p in range(len(net.threshold)):
        if s.packed[p] and s.used[p] * _MOST[1] > (net.start[p + 1] - net.start[p]) * _MOST[0]:
            _spread_out(net, s, p)
