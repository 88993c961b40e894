"""Neurons: decay, integrate, fire.

The arithmetic of `dynamics` in 32 bits, eight neurons to a vector register. State has 24
bits, biases 19; only sums of weights need more, see `_SUM_MAX`. The loops over a population
become vector code: they have no branch, they mark who fires instead of firing, and their
indices are unsigned, because one that might be negative would be checked in each turn.
"""

from __future__ import annotations

import numpy as np

from lava_async._kernel._compiler import BLOCK, apart, inline
from lava_async._kernel._draws import spike_lost
from lava_async._kernel._layout import (
    FIFO,
    FIRED,
    FIRST_OUTPUT,
    HITS,
    LOST,
    OVERFLOWS,
    POOLED,
)
from lava_async._kernel._marks import above, inside, not_zero, trailing_zeros
from lava_async._kernel._pool import spike
from lava_async._semantics import dynamics as dyn

_LIMIT = np.int32(dyn.STATE_LIMIT)
_VOLTAGE_MAX = np.int32(dyn.STATE_LIMIT - 1)
_VOLTAGE_MIN = np.int32(1 - dyn.STATE_LIMIT)
_REFRACTORY = np.int32(-(1 << 31))  # stands for the voltage until the time step ends
_SUM_MAX = np.int32(1 << 24)  # weight units; in membrane units it overflows any state


@inline
def _decay(x, keep):
    """`dyn.decay`; the product is split, so that its parts fit 32 bits."""
    size = np.int32(abs(x))
    low = np.int32((size & (dyn.DECAY_ONE - 1)) * keep)
    kept = np.int32((size >> dyn.DECAY_BITS) * keep + (low >> dyn.DECAY_BITS))
    return kept if x >= 0 else np.int32(-kept)


@inline
def _clip_voltage(v):
    return min(max(v, _VOLTAGE_MIN), _VOLTAGE_MAX)


@inline
def _wrap_current(i):
    return np.int32(((i + (_LIMIT - 1)) & (2 * _LIMIT - 1)) - (_LIMIT - 1))


@inline
def _membrane_units(current):
    """Sum of weights -> what arrives. Twice: saturated, which overflows wherever the true
    number does; and modulo 2**32, which wraps as the true number does."""
    saturated = min(max(current, -_SUM_MAX), _SUM_MAX)
    return np.int32(saturated << dyn.STATE_SHIFT), np.int32(current << dyn.STATE_SHIFT)


@apart
def _begin_block(
    first, left, u, v, current, bias, i_keep, v_keep, touched, everyone
):
    """Boundary and first integration of ``left`` neurons; marks those that anything touches.

    Returns the overflows.
    """
    overflows = np.int32(0)
    for k in range(np.uint64(BLOCK)):
        n = first + k
        inside = np.int32(k) < left
        i = _decay(u[n], i_keep)
        residual = np.int32(i + bias[n])
        volt = np.int32(_decay(v[n], v_keep) + residual)
        clipped = _clip_voltage(volt)
        overflows = np.int32(overflows + ((clipped != volt) & inside))
        arriving, modulo = _membrane_units(current[n])
        wrapped = _wrap_current(np.int32(i + modulo))
        overflows = np.int32(overflows + ((wrapped != np.int32(i + arriving)) & inside))
        volt = np.int32(clipped + arriving)
        clipped = _clip_voltage(volt)
        overflows = np.int32(overflows + ((clipped != volt) & inside))
        touched[k] = everyone | (current[n] != 0) | (residual != 0)
        u[n] = wrapped if inside else u[n]
        v[n] = clipped if inside else v[n]
        current[n] = 0 if inside else current[n]
    return overflows


@apart
def _integrate_block(first, left, u, v, current):
    """Integrate the currents that wait for ``left`` neurons. Returns the overflows."""
    overflows = np.int32(0)
    for k in range(np.uint64(BLOCK)):
        n = first + k
        inside = np.int32(k) < left
        received = current[n] if inside else np.int32(0)  # which leaves others as they are
        arriving, modulo = _membrane_units(received)
        wrapped = _wrap_current(np.int32(u[n] + modulo))
        overflows = np.int32(overflows + (wrapped != np.int32(u[n] + arriving)))
        u[n] = wrapped
        able = v[n] != _REFRACTORY
        volt = np.int32(v[n] + arriving)
        clipped = _clip_voltage(volt)
        overflows = np.int32(overflows + ((clipped != volt) & able))
        v[n] = clipped if able else _REFRACTORY
        current[n] = 0 if inside else current[n]
    return overflows


@inline
def _fire(n, momentum, is_output, plan, s, sample, time_step, forward_step):
    """A spike enters the pool; its neuron is refractory from now on."""
    count = s.count
    s.v[n] = _REFRACTORY
    if plan.spike_dropout > 0 and spike_lost(plan, n, sample, time_step, forward_step):
        s.lost[count[LOST]] = n
        s.lost_at[count[LOST]] = forward_step
        s.lost_momentum[count[LOST]] = momentum
        count[LOST] += 1
    else:
        s.pool[count[POOLED]] = spike(n, -forward_step if plan.kind == FIFO else momentum)
        count[POOLED] += 1
        s.fired[count[FIRED]] = n
        s.fired_at[count[FIRED]] = forward_step
        s.momentum[count[FIRED]] = momentum
        count[FIRED] += 1
        if is_output and s.number[FIRST_OUTPUT] < 0:
            s.number[FIRST_OUTPUT] = forward_step


@inline
def _fire_marked(first, marks, is_output, plan, s, sample, time_step, forward_step):
    """Fire the marked neurons of a block, in their order."""
    while marks != 0:
        n = np.uint32(first + trailing_zeros(marks))
        marks &= marks - np.uint64(1)
        _fire(n, s.v[n], is_output, plan, s, sample, time_step, forward_step)


@inline
def begin_population(net, plan, s, p, sample, time_step, forward_step, everyone):
    """Boundary, the current that waits, and who fires on them, of all or of the touched."""
    u, v, current, touched = s.u, s.v, s.current, s.touched
    stop = np.int64(net.start[p + 1])
    for start in range(np.int64(net.start[p]), stop, BLOCK):
        first, left = np.uint64(start), np.int32(min(stop - start, BLOCK))
        s.number[OVERFLOWS] += _begin_block(
            first, left, u, v, current, net.bias, net.i_keep[p], net.v_keep[p], touched, everyone
        )
        marks = not_zero(touched, np.uint64(0)) & above(v, first, net.threshold[p])
        _fire_marked(
            first, marks & inside(left), p == net.output, plan, s, sample, time_step,
            forward_step,
        )  # fmt: skip


@inline
def forget_population(net, s, p):
    """Boundary of a population that forgets everything and that no current has reached."""
    for n in range(net.start[p], net.start[p + 1]):
        s.u[n] = 0
        s.v[n] = 0


@inline
def evaluate_reached(net, plan, s, sample, time_step, forward_step):
    """Integrate and fire, wherever a current may have arrived."""
    u, v, current, count = s.u, s.v, s.current, s.count
    swept, hit, hits = s.swept, s.hit, s.hits
    thresholds, population = net.threshold, net.population
    for p in range(len(swept)):  # whole populations, their neurons in order
        if swept[p]:
            swept[p] = 0
            stop = np.int64(net.start[p + 1])
            for start in range(np.int64(net.start[p]), stop, BLOCK):
                first, left = np.uint64(start), np.int32(min(stop - start, BLOCK))
                touched = not_zero(current, first) & inside(left)
                s.number[OVERFLOWS] += _integrate_block(first, left, u, v, current)
                marks = touched & above(v, first, thresholds[p])
                _fire_marked(
                    first, marks, p == net.output, plan, s, sample, time_step, forward_step
                )
    for j in range(count[HITS]):  # single neurons
        n = hits[j]
        hit[n] = 0
        if current[n] == 0:  # cancelled out, or evaluated above
            continue
        arriving, modulo = _membrane_units(current[n])
        current[n] = 0
        wrapped = _wrap_current(np.int32(u[n] + modulo))
        s.number[OVERFLOWS] += wrapped != np.int32(u[n] + arriving)
        u[n] = wrapped
        if v[n] == _REFRACTORY:
            continue
        volt = np.int32(v[n] + arriving)
        clipped = _clip_voltage(volt)
        s.number[OVERFLOWS] += clipped != volt
        v[n] = clipped
        p = population[n]
        if clipped > thresholds[p]:
            _fire(n, clipped, p == net.output, plan, s, sample, time_step, forward_step)
    count[HITS] = 0
