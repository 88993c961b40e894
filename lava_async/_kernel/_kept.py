"""A sample that goes on where another batch left it, and is left for the next one."""

from __future__ import annotations

import numpy as np

from lava_async._kernel._compiler import borrow, jit


@jit
def take_up(net, s, kept, time_step):
    """Go on with a sample that has begun.

    ``kept`` (2 + slots, N): currents, voltages, and what is under way to this time step and those
    that follow.
    """
    net, s, kept = borrow(net), borrow(s), borrow(kept)
    num_neurons, num_populations = len(net.population), len(net.threshold)
    for n in range(num_neurons):
        s.u[n] = kept[0, n]
        s.v[n] = kept[1, n]
    s.full[:] = 1  # whoever was left with a state lives
    for i in range(net.slots):
        slot = 1 + (time_step + i) % net.slots
        for p in range(num_populations):
            any_current = False
            for n in range(np.int64(net.start[p]), np.int64(net.start[p + 1])):
                s.current[slot * num_neurons + n] = kept[2 + i, n]
                any_current |= kept[2 + i, n] != 0
            if any_current:
                s.swept[slot * num_populations + p] = 1


@jit
def leave(net, s, kept, time_step):
    """Write down where a sample is before this time step, for `take_up`."""
    net, s, kept = borrow(net), borrow(s), borrow(kept)
    num_neurons = len(net.population)
    for n in range(num_neurons):
        kept[0, n] = s.u[n]
        kept[1, n] = s.v[n]
    for i in range(net.slots):
        first = (1 + (time_step + i) % net.slots) * num_neurons
        for n in range(num_neurons):
            kept[2 + i, n] = s.current[first + n]
