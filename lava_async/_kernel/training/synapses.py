"""Gradients of weights: each delivered spike adds the gradients of what it reached.

A weight's is summed in the order of samples and time steps. Few weights, and those that sources
share, are added up sample by sample, while the sample's own gradients are in the cache; some
samples make a sum, and these are added up later. Of many weights each thread has some sources.
"""

from __future__ import annotations

import numpy as np

from lava_async._kernel._compiler import borrow, inline_early, jit
from lava_async._kernel._layout import CONV, DELAYS, DENSE, FAN_OUT, KIND, ONE_TO_ONE, SIZE
from lava_async._kernel.connections import conv_learn, dense, one_to_one, sparse

_TURNED_AT_ONCE = 4  # gradients are turned round in the time that one takes where it is


@jit
def _learn_one(net, row, source, times, by_v, by_u, fired_at, released_at, now, gradient, at):
    """What the weights of one spike get."""
    if row[KIND] == CONV:
        conv_learn.learn_one(
            row, source, times, by_v, by_u, fired_at, released_at, now, gradient, at
        )
    elif row[KIND] == ONE_TO_ONE:
        one_to_one.learn(row, source, times, by_v, by_u, fired_at, released_at, now, gradient, at)
    else:
        sparse.learn(net, row, source, times, by_v, by_u, fired_at, released_at, now, gradient, at)


@inline_early
def _learn(
    net, c, neurons, times, first_neuron, low, high, counted, by_v, by_u, fired_at, released_at,
    now, gradient, at, scratch,
):  # fmt: skip
    """What the weights of spikes low..high of a time step get, which arrive at the same time."""
    row = net.wiring[c]
    if row[KIND] == DENSE:
        dense.learn(
            row, neurons, times, first_neuron, low, high, counted, by_v, by_u, fired_at,
            released_at, now, gradient, at, scratch.early,
        )  # fmt: skip
    elif row[KIND] == CONV and (high - low) * row[FAN_OUT] * _TURNED_AT_ONCE > row[SIZE]:
        conv_learn.learn(
            row, neurons, times, first_neuron, low, high, counted, by_v, by_u, fired_at,
            released_at, now, gradient, at, scratch,
        )  # fmt: skip
    else:
        for i in range(low, high):
            n = np.int64(neurons[i])
            count = times[i] if counted else np.float32(1)
            _learn_one(
                net, row, n - first_neuron, count, by_v, by_u, fired_at, released_at[n], now,
                gradient, at,
            )  # fmt: skip


@jit
def _begin(neurons, low, high, wanted):
    """First place among ascending neurons low..high that is not below the wanted one."""
    while low < high:
        middle = (low + high) // 2
        if neurons[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low


@jit
def learn_sources(
    net, way, tape, by_v, by_u, c, sources, samples, gradient, at, before, scratch
):  # fmt: skip
    """Add up the gradients of the weights of some sources of a connection, over some samples.

    Parameters
    ----------
    by_v, by_u : (B, T, N)
        Times 64.
    sources, samples : (first, last)
    gradient : (weights,) float32
        Of many connections, those of this one begin at ``at``.
    before : (inputs,)
        Stands for when inputs were released: before anyone decides.
    scratch : Turned
    """
    net, tape, scratch = borrow(net), borrow(tape), borrow(scratch)
    by_v, by_u, gradient, before = borrow(by_v), borrow(by_u), borrow(gradient), borrow(before)
    num_steps = by_v.shape[1]
    source, delay, delays = way.source[c], way.late[c], net.wiring[c, DELAYS]
    is_input = source < 0
    first_neuron = np.int64(0) if is_input else np.int64(net.start[source])
    count = len(before) if is_input else np.int64(net.start[source + 1]) - first_neuron
    neurons = tape.event if is_input else tape.sent
    for b in range(samples[0], samples[1]):
        for t in range(num_steps):
            if delay >= 0 and t + delay >= num_steps:
                break
            if is_input:
                low, high = tape.event_begin[b, t], tape.event_begin[b, t + 1]
            else:
                low, high = tape.sent_begin[b, t, source], tape.sent_begin[b, t, source + 1]
            if sources[0] > 0:
                low = _begin(neurons, low, high, first_neuron + sources[0])
            if sources[1] < count:
                high = _begin(neurons, low, high, first_neuron + sources[1])
            released_at = before if is_input else tape.released_at[b, t]
            if delay >= 0:
                late = t + delay
                _learn(
                    net, c, neurons, tape.times, first_neuron, low, high, is_input, by_v[b, late],
                    by_u[b, late], tape.fired_at[b, late], released_at,
                    delay == 0 and not is_input, gradient, at, scratch,
                )  # fmt: skip
                continue
            for i in range(low, high):
                own = np.int64(net.delay[delays + np.int64(neurons[i]) - first_neuron])
                late = t + own
                if late < num_steps:
                    _learn(
                        net, c, neurons, tape.times, first_neuron, i, i + 1, is_input,
                        by_v[b, late], by_u[b, late], tape.fired_at[b, late], released_at,
                        own == 0 and not is_input, gradient, at, scratch,
                    )  # fmt: skip
