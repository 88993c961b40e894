"""One time step of one sample, in place: asynchronous or layer-synchronized."""

from __future__ import annotations

import numpy as np

from lava_async._kernel._compiler import inline
from lava_async._kernel._delivery import (
    deliver_input,
    deliver_released,
    deliver_spikes,
    drop_late,
    forget_reached,
    take_late,
)
from lava_async._kernel._layout import (
    FIRED,
    FIRST_OUTPUT,
    FORWARD_STEPS,
    HEAPED,
    LOST,
    ORDERED,
    POOLED,
    RANKED,
    RELEASED,
)
from lava_async._kernel._neurons import (
    begin_population,
    evaluate_reached,
    forget_population,
    wake_reached,
)
from lava_async._kernel._places import leave_places, spread_out
from lava_async._kernel._pool import take_group


@inline
def begin_sample(net, s):
    """Zero whatever is not, whichever net the sample before ran on."""
    for p in range(len(net.threshold)):
        forget_population(net, s, p)
    for w in range(len(net.biased)):
        s.live[w] = net.biased[w]
    drop_late(net, s)
    if s.num_packed[0] > 0:
        spread_out(net, s)  # who filled up in the last time step
        leave_places(net, s)


@inline
def _begin(net, s, index, times, low, high, time_step):
    """Forget the time step before, and deliver what arrives with this one, events low..high.

    The scratch space is clean otherwise.
    """
    if s.num_packed[0] > 0:
        spread_out(net, s)
    s.count[:] = 0
    s.number[:] = 0
    s.number[FIRST_OUTPUT] = -1
    take_late(net, s, time_step)
    deliver_input(net, s, index, times, low, high, time_step)


@inline
def _run(net, plan, s, sample, time_step):
    """One asynchronous time step. Returns the forward steps."""
    forward_step = np.int64(0)
    wake_reached(net, s, np.uint32(0))
    for p in range(len(net.threshold)):
        if net.forgets[p] and not s.swept[p] and s.num_hits[0] == 0:
            forget_population(net, s, p)
        else:
            begin_population(net, plan, s, p, sample, time_step, forward_step)
    forget_reached(net, s)
    while s.count[POOLED] + s.count[HEAPED] > 0:
        if plan.stop_after >= 0 and s.number[FIRST_OUTPUT] >= 0 and (
            forward_step - s.number[FIRST_OUTPUT] >= plan.stop_after
        ):
            break
        first = s.count[RELEASED]
        take_group(net, plan, s, sample, time_step, forward_step)
        deliver_released(net, s, first, s.count[RELEASED], time_step)
        forward_step += 1
        evaluate_reached(net, plan, s, sample, time_step, forward_step)
    return forward_step


@inline
def _run_layers(net, plan, s, sample, time_step):
    """One layer-synchronized time step; what recurs has a delay in ``net``."""
    fired, count = s.fired, s.count
    forward_step, awake = np.int64(0), np.uint32(0)
    for i in range(len(net.order)):
        p, first_fired = np.int64(net.order[i]), np.int64(count[FIRED])
        awake = wake_reached(net, s, awake)
        begin_population(net, plan, s, p, sample, time_step, forward_step)
        spikes = np.int64(count[FIRED]) - first_fired
        forward_step += (spikes + plan.group_size - 1) // plan.group_size
        deliver_spikes(net, s, p, fired, first_fired, np.int64(count[FIRED]), time_step)
    forget_reached(net, s)
    return forward_step


@inline
def any_step(net, plan, s, index, times, low, high, sample, time_step):
    """One time step of one sample, on the events low..high: input ``index``, ``times`` spikes.

    Refractoriness ends with it; spikes that still wait are discarded.
    """
    _begin(net, s, index, times, low, high, time_step)
    if plan.layered:
        s.number[FORWARD_STEPS] = _run_layers(net, plan, s, sample, time_step)
    else:
        s.number[FORWARD_STEPS] = _run(net, plan, s, sample, time_step)
    for i in range(s.count[FIRED]):
        s.v[s.place[s.fired[i]]] = 0
    for i in range(s.count[LOST]):
        s.v[s.place[s.lost[i]]] = 0
    s.count[POOLED] = s.count[ORDERED] = s.count[RANKED] = s.count[HEAPED] = 0
