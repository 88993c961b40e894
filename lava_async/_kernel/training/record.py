"""Write down what the gradient will need of a time step that has just run."""

from __future__ import annotations

import numpy as np

from lava_async._kernel._compiler import BLOCK, inline
from lava_async._kernel._layout import FIRED, NEVER, RELEASED
from lava_async._kernel._layout import LOST as LOST_SPIKES
from lava_async._kernel._marks import above, differ, inside, list_marked
from lava_async._kernel.training.layout import IN_TIME, LOST, UNSENT


@inline
def record_events(e, tape, b, position, num_steps):
    """The input of sample ``b``, from there on in the list. Returns where the next may begin."""
    event, times, place = tape.event, tape.times, np.uint64(position)
    for t in range(num_steps):
        tape.event_begin[b, t] = place
        for k in range(np.uint64(e.begin[t]), np.uint64(e.stop[t])):
            event[place] = e.index[k]
            times[place] = np.float32(e.times[k])
            place += np.uint64(1)
    tape.event_begin[b, num_steps] = place
    return np.int64(place)


@inline
def record_step(net, s, layered, tape, b, t, position):
    """A time step of sample ``b``; spikes from there on. Returns where the next may begin."""
    voltage, fired_at = tape.voltage[b, t], tape.fired_at[b, t]
    released_at, active = tape.released_at[b, t], tape.active
    for n in range(np.uint64(len(net.population))):
        voltage[n] = s.v[n]
        fired_at[n] = NEVER
        released_at[n] = IN_TIME
    if len(tape.current):
        current = tape.current[b, t]
        for n in range(np.uint64(len(net.population))):
            current[n] = s.u[n]
    for i in range(s.count[FIRED]):
        n = s.fired[i]
        voltage[n] = s.momentum[i]
        fired_at[n] = s.fired_at[i]
        released_at[n] = IN_TIME if layered else UNSENT
        if not active[n]:  # all threads look there: whoever writes takes it from the others
            active[n] = 1
    for i in range(s.count[LOST_SPIKES]):
        n = s.lost[i]
        voltage[n] = s.lost_momentum[i]
        fired_at[n] = s.lost_at[i]
        released_at[n] = LOST
    for i in range(s.count[RELEASED]):
        released_at[s.released[i]] = s.released_at[i]
    # Population by population, so that each connection finds its own, in the same order always.
    sent, begin, found = tape.sent, tape.sent_begin[b, t], np.uint64(position)
    for p in range(len(net.threshold)):
        begin[p] = found
        stop = np.int64(net.start[p + 1])
        for start in range(np.int64(net.start[p]), stop, BLOCK):
            first, left = np.uint64(start), np.int32(min(stop - start, BLOCK))
            marks = differ(fired_at, first, NEVER) & above(released_at, first, UNSENT)
            found = list_marked(sent, found, first, marks & inside(left))
    begin[len(net.threshold)] = found
    return np.int64(found)
