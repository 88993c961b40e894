"""Neurons: decay, integrate, fire.

The arithmetic of `dynamics` in 32 bits, eight neurons to a vector register. State has 24
bits, biases 19; only sums of weights need more, see `_SUM_MAX`. The loops over a population
become vector code: they have no branch, they mark who fires instead of firing, and their
indices are unsigned, because one that might be negative would be checked in each turn. Where few
neurons of many matter, their states are brought together as a block first, and taken back then.
Neurons go by their places here, see `State`: n is one.
"""

from __future__ import annotations

import numpy as np

from lava_async._kernel._compiler import BLOCK, apart, inline
from lava_async._kernel._draws import spike_lost
from lava_async._kernel._layout import (
    FIFO,
    FIRED,
    FIRST_OUTPUT,
    LOST,
    OVERFLOWS,
    POOLED,
)
from lava_async._kernel._marks import above, inside, not_zero, ones, trailing_zeros
from lava_async._kernel._pool import spike
from lava_async._semantics import dynamics as dyn

_LIMIT = np.int32(dyn.STATE_LIMIT)
_VOLTAGE_MAX = np.int32(dyn.STATE_LIMIT - 1)
_VOLTAGE_MIN = np.int32(1 - dyn.STATE_LIMIT)
_REFRACTORY = np.int32(-(1 << 31))  # stands for the voltage until the time step ends
_SUM_MAX = np.int32(1 << 24)  # weight units; in membrane units it overflows any state
_FEW = 8  # neurons of a block that take as long to bring together as the block takes by itself


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


@inline
def _begin(u, v, current, bias, i_keep, v_keep):
    """Boundary and first integration of a neuron.

    Returns its current and voltage, whether anything touches it, and the overflows.
    """
    i = _decay(u, i_keep)
    residual = np.int32(i + bias)
    volt = np.int32(_decay(v, v_keep) + residual)
    begun = _clip_voltage(volt)
    arriving, modulo = _membrane_units(current)
    wrapped = _wrap_current(np.int32(i + modulo))
    raised = np.int32(begun + arriving)
    clipped = _clip_voltage(raised)
    overflows = np.int32(
        np.int32(begun != volt)
        + np.int32(wrapped != np.int32(i + arriving))
        + np.int32(clipped != raised)
    )
    return wrapped, clipped, (current != 0) | (residual != 0), overflows


@apart
def _begin_block(
    first, left, u, v, current, bias, i_keep, v_keep, touched, everyone
):
    """The same of ``left`` neurons; marks those that anything touches. Returns the overflows."""
    overflows = np.int32(0)
    for k in range(np.uint64(BLOCK)):
        n = first + k
        inside = np.int32(k) < left
        wrapped, clipped, reached, over = _begin(
            u[n], v[n], current[n], bias[n], i_keep[n], v_keep[n]
        )
        overflows = np.int32(overflows + (over if inside else np.int32(0)))
        touched[k] = everyone | reached
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
        waiting, inside = current[n], np.int32(np.int32(k) - left) < 0  # in 32 bits, as the states
        received = waiting if inside else np.int32(0)  # which leaves others as they are
        arriving, modulo = _membrane_units(received)
        wrapped = _wrap_current(np.int32(u[n] + modulo))
        overflows = np.int32(overflows + (wrapped != np.int32(u[n] + arriving)))
        u[n] = wrapped
        able = v[n] != _REFRACTORY
        volt = np.int32(v[n] + arriving)
        clipped = _clip_voltage(volt)
        overflows = np.int32(overflows + ((clipped != volt) & able))
        v[n] = clipped if able else _REFRACTORY
        current[n] = np.int32(waiting - received)
    return overflows


@inline
def _fire(place, momentum, is_output, plan, s, sample, time_step, forward_step):
    """A spike enters the pool; its neuron is refractory from now on."""
    count, n = s.count, s.owner[place]
    s.v[place] = _REFRACTORY
    if len(plan.spike_dropout) and spike_lost(plan, n, sample, time_step, forward_step):
        k = np.uint64(count[LOST])
        s.lost[k], s.lost_at[k], s.lost_momentum[k] = n, forward_step, momentum
        count[LOST] = k + np.uint64(1)
    else:
        k, waiting = np.uint64(count[FIRED]), np.uint64(count[POOLED])
        s.pool[waiting] = spike(n, -forward_step if plan.kind == FIFO else momentum)
        s.fired[k], s.fired_at[k], s.momentum[k] = n, forward_step, momentum
        count[FIRED], count[POOLED] = k + np.uint64(1), waiting + np.uint64(1)
        if is_output and s.number[FIRST_OUTPUT] < 0:
            s.number[FIRST_OUTPUT] = forward_step


@inline
def _wake(live, word, place):
    """A neuron may have a state from now on, of the population whose bits begin with a word."""
    live[word + place // np.uint64(BLOCK)] |= np.uint64(1) << (place % np.uint64(BLOCK))


@inline
def wake_reached(net, s, first):
    """Those that received a current live, from there on in the list. Returns where it ends."""
    word, start, stop = np.uint64(0), np.uint64(0), np.uint64(0)  # of the neuron before
    for i in range(first, s.num_hits[0]):
        n = np.uint64(s.hits[i])
        if n < start or n >= stop:
            p = np.uint64(net.population[n])
            word, start = np.uint64(net.word[p]), np.uint64(net.start[p])
            stop = np.uint64(net.start[p + np.uint64(1)])
        _wake(s.live, word, n - start)
    return s.num_hits[0]


@inline
def _end_of_places(net, s, p):
    """The place behind those of a population that are somebody's."""
    return np.int64(net.start[p]) + np.int64(s.used[p])


@inline
def _end_of_words(net, s, p):
    """The word behind those that have their bits, of `State.live`."""
    return np.int64(net.word[p]) + (np.int64(s.used[p]) + BLOCK - 1) // BLOCK


@inline
def _live_words(s, p, first_word, end_of_words):
    """Marks of those of 64 words of a population, or fewer, in which any bit is set."""
    left = end_of_words - np.int64(first_word)
    marks = inside(np.int32(min(left, BLOCK)))
    return marks if s.full[p] or s.swept[p] else marks & not_zero(s.live, np.uint64(first_word))


@apart
def _bring_live(
    marks, first, start, varied, num_near, u, v, current, bias, i_keep, v_keep,
    near, near_u, near_v, near_current, near_bias, near_i_keep, near_v_keep,
):  # fmt: skip
    """Bring marked neurons together, behind those that are there. Returns how many are then."""
    while marks != 0:
        n = first + trailing_zeros(marks)
        marks &= marks - np.uint64(1)
        near[num_near] = n
        near_u[num_near], near_v[num_near] = u[n], v[n]
        near_current[num_near], current[n] = current[n], 0
        like = n if varied else start  # which is in the cache
        near_bias[num_near] = bias[like]
        near_i_keep[num_near], near_v_keep[num_near] = i_keep[like], v_keep[like]
        num_near += np.uint64(1)
    return num_near


@apart
def _bring_reached(
    j, num_hits, hits, hit, start, stop, word, u, v, current, live,
    near, near_u, near_v, near_current,
):  # fmt: skip
    """Bring together listed neurons, from the j-th on, as long as they are in start..stop.

    Returns which is the next, and how many there are: each once, where a current waits for it.
    """
    num_near = np.uint64(0)
    while j < num_hits and num_near < np.uint64(BLOCK):
        n = np.uint64(hits[j])
        if n < start or n >= stop:
            break
        j += np.uint64(1)
        hit[n] = 0
        near[num_near], near_u[num_near], near_v[num_near] = n, u[n], v[n]
        if u[n] == 0 and v[n] == 0:
            _wake(live, word, n - start)
        near_current[num_near] = current[n]
        num_near += np.uint64(current[n] != 0)
        current[n] = 0
    return j, num_near


@apart
def _take_back(num_near, near, near_u, near_v, u, v):
    """Neurons that were brought together get their states."""
    for i in range(num_near):
        n = np.uint64(near[i])
        u[n], v[n] = near_u[i], near_v[i]


@inline
def _begin_near(net, s, p, num_near, everyone):
    """Boundary of neurons of a population that were brought together. Marks those that fire."""
    left, zero = np.int32(num_near), np.uint64(0)
    s.number[OVERFLOWS] += _begin_block(
        zero, left, s.near_u, s.near_v, s.near_current, s.near_bias, s.near_i_keep,
        s.near_v_keep, s.touched, everyone,
    )  # fmt: skip
    _take_back(num_near, s.near, s.near_u, s.near_v, s.u, s.v)
    for i in range(num_near):
        if s.near_u[i] == 0 and s.near_v[i] == 0 and s.near_bias[i] == 0:
            place = np.uint64(s.near[i]) - np.uint64(net.start[p])
            word = np.uint64(net.word[p]) + place // np.uint64(BLOCK)
            s.live[word] ^= np.uint64(1) << (place % np.uint64(BLOCK))
    return not_zero(s.touched, zero) & above(s.near_v, zero, net.threshold[p]) & inside(left)


@inline
def begin_population(net, plan, s, p, sample, time_step, forward_step):
    """Boundary, the current that waits, and who fires on them.

    Of all neurons, or in an asynchronous time step of those that anything touches.
    """
    u, v, current, touched, live, bias = s.u, s.v, s.current, s.touched, s.live, net.bias
    i_keep, v_keep, stop = net.i_keep, net.v_keep, _end_of_places(net, s, p)
    whole, end_of_words = s.full[p] or s.swept[p], _end_of_words(net, s, p)
    first_word, todo, num_near = np.int64(net.word[p]) - BLOCK, np.uint64(0), np.uint64(0)
    first = np.uint64(0)
    while True:
        while todo == 0 and first_word + BLOCK < end_of_words:
            first_word += BLOCK
            todo = _live_words(s, p, first_word, end_of_words)
        near = num_near > (0 if todo == 0 else BLOCK - _FEW)
        if near:
            marks = _begin_near(net, s, p, num_near, plan.layered)
            num_near = np.uint64(0)
        elif todo == 0:
            break
        else:
            w = np.uint64(first_word) + trailing_zeros(todo)
            todo &= todo - np.uint64(1)
            first = np.uint64(net.start[p]) + (w - np.uint64(net.word[p])) * np.uint64(BLOCK)
            if not whole and ones(live[w]) <= _FEW:
                num_near = _bring_live(
                    live[w], first, np.uint64(net.start[p]), net.varied[p], num_near, u, v,
                    current, bias, i_keep, v_keep, s.near, s.near_u, s.near_v, s.near_current,
                    s.near_bias, s.near_i_keep, s.near_v_keep,
                )  # fmt: skip
                continue
            left = np.int32(min(stop - np.int64(first), BLOCK))
            s.number[OVERFLOWS] += _begin_block(
                first, left, u, v, current, bias, i_keep, v_keep, touched, plan.layered
            )
            marks = not_zero(touched, np.uint64(0)) & above(v, first, net.threshold[p])
            marks &= inside(left)
            if not s.swept[p]:
                alive = not_zero(u, first) | not_zero(v, first) | not_zero(bias, first)
                live[w] = alive & inside(left)
        while marks != 0:
            n = np.uint64(s.near[trailing_zeros(marks)]) if near else first + trailing_zeros(marks)
            marks &= marks - np.uint64(1)
            _fire(n, v[n], p == net.output, plan, s, sample, time_step, forward_step)
    s.full[p] = s.swept[p]  # where so much arrives, to look who lives takes longer than it spares


@inline
def forget_population(net, s, p):
    """Boundary of a population that forgets everything and that no current has reached."""
    start, stop = np.uint64(net.start[p]), np.uint64(_end_of_places(net, s, p))
    end_of_words = _end_of_words(net, s, p)
    if s.full[p]:
        for n in range(start, stop):
            s.u[n] = 0
            s.v[n] = 0
        for w in range(np.int64(net.word[p]), end_of_words):
            s.live[w] = 0
        s.full[p] = 0
        return
    for first_word in range(np.int64(net.word[p]), end_of_words, BLOCK):
        todo = _live_words(s, p, first_word, end_of_words)
        while todo != 0:
            w = np.uint64(first_word) + trailing_zeros(todo)
            todo &= todo - np.uint64(1)
            s.live[w] = 0
            first = start + (w - np.uint64(net.word[p])) * np.uint64(BLOCK)
            for n in range(first, min(first + np.uint64(BLOCK), stop)):
                s.u[n] = 0
                s.v[n] = 0


@inline
def evaluate_reached(net, plan, s, sample, time_step, forward_step):
    """Integrate and fire, wherever a current may have arrived."""
    u, v, current, hits, num_hits = s.u, s.v, s.current, s.hits, s.num_hits
    for p in range(len(net.threshold)):  # whole populations, place by place
        if s.swept[p]:
            s.swept[p], s.full[p] = 0, 1
            stop = _end_of_places(net, s, p)
            for start in range(np.int64(net.start[p]), stop, BLOCK):
                first, left = np.uint64(start), np.int32(min(stop - start, BLOCK))
                touched = not_zero(current, first) & inside(left)
                s.number[OVERFLOWS] += _integrate_block(first, left, u, v, current)
                marks = touched & above(v, first, net.threshold[p])
                while marks != 0:
                    n = first + trailing_zeros(marks)
                    marks &= marks - np.uint64(1)
                    _fire(n, v[n], p == net.output, plan, s, sample, time_step, forward_step)
    j, num_listed, zero = np.uint64(0), np.uint64(num_hits[0]), np.uint64(0)
    while j < num_listed:  # single neurons, as many as follow each other in a population
        own = np.uint64(net.population[hits[j]])
        j, num_near = _bring_reached(
            j, num_listed, hits, s.hit, np.uint64(net.start[own]),
            np.uint64(net.start[own + np.uint64(1)]), np.uint64(net.word[own]), u, v, current,
            s.live, s.near, s.near_u, s.near_v, s.near_current,
        )  # fmt: skip
        if num_near == 0:
            continue
        left = np.int32(num_near)
        s.number[OVERFLOWS] += _integrate_block(zero, left, s.near_u, s.near_v, s.near_current)
        _take_back(num_near, s.near, s.near_u, s.near_v, u, v)
        marks = above(s.near_v, zero, net.threshold[own]) & inside(left)
        while marks != 0:
            n = np.uint64(s.near[trailing_zeros(marks)])
            marks &= marks - np.uint64(1)
            _fire(n, v[n], own == net.output, plan, s, sample, time_step, forward_step)
    num_hits[0] = 0
