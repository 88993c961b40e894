"""The entry points of training: what Python calls, compiled once and kept on disk."""

from __future__ import annotations

import numpy as np

from lava_async._kernel._compiler import borrow, jit
from lava_async._kernel._draws import input_lost
from lava_async._kernel._entry import on_disk
from lava_async._kernel._events import find_events
from lava_async._kernel._layout import FIRED
from lava_async._kernel._steps import any_step
from lava_async._kernel.training.credit import ALL, credit, credit_sample, derivatives
from lava_async._kernel.training.layout import MOST_COUNT, Sample
from lava_async._kernel.training.record import record_events, record_step
from lava_async._kernel.training.synapses import learn_unit


@jit
def _drop(plan, probability, e, sample, num_steps):
    """Take out the input spikes that dropout loses."""
    for t in range(num_steps):
        kept = e.begin[t]
        for i in range(e.begin[t], e.stop[t]):
            e.index[kept], e.times[kept] = e.index[i], e.times[i]
            if not input_lost(plan, probability, e.index[i], sample, t):
                kept += np.uint32(1)
        e.stop[t] = kept


@on_disk
def run_samples(
    net, plan, s, e, frames, sample_ids, low, high, input_dropout, outputs, spikes, taped,
    tape,
):  # fmt: skip
    """Run samples low..high of a batch; writes the spikes of neurons outputs[0]..outputs[1].

    Returns the first sample whose input is not of whole numbers that are counts, or -1.
    """
    net, s, e, tape = borrow(net), borrow(s), borrow(e), borrow(tape)
    spikes, sample_ids = borrow(spikes), borrow(sample_ids)
    num_steps = spikes.shape[2]
    first_output, last_output = outputs
    # Each call has its own part of the lists, with room for all that its samples may need.
    next_event = low * np.int64(frames.shape[1])
    next_sent = low * (np.int64(num_steps) * len(net.population) + 1)
    for b in range(low, high):
        s.u[:] = 0
        s.v[:] = 0
        s.current[:] = 0
        flat = borrow(frames[b])
        num_found = find_events(e, flat, num_steps)
        for k in range(num_found):
            value = flat[e.found[k]]
            if not (value > 0 and value < MOST_COUNT and value == np.floor(value)):
                return b
        if input_dropout > 0:
            _drop(plan, input_dropout, e, sample_ids[b], num_steps)
        if taped:
            next_event = record_events(e, tape, b, next_event, num_steps)
        for t in range(num_steps):
            any_step(
                net, plan, s, e.index, e.times, e.begin[t], e.stop[t], sample_ids[b], t
            )
            for i in range(s.count[FIRED]):
                n = s.fired[i]
                if first_output <= n < last_output:
                    spikes[b, n - first_output, t] = 1
            if taped:
                next_sent = record_step(net, s, plan.layered, tape, b, t, next_sent)
    return -1


@on_disk
def credit_samples(
    net, way, tape, loss, loss_first, discards, derivative, low, high, by_v, by_u, by_frames,
    scratch,
):  # fmt: skip
    """The gradients of voltages and currents (B, T, N) of samples low..high, times 64.

    Where ``by_frames`` (B, T, inputs) has samples, those of the input counts, too. ``derivative``
    (B, T, N) is looked at where the surrogate is `GIVEN`.
    """
    net, way, tape, loss = borrow(net), borrow(way), borrow(tape), borrow(loss)
    by_v, by_u, by_frames = borrow(by_v), borrow(by_u), borrow(by_frames)
    scratch, derivative = borrow(scratch), borrow(derivative)
    sigma, by_spike, back, end_v, end_u, space, before = scratch
    for b in range(low, high):
        by_spike[:] = 0
        for i in range(loss.shape[1]):
            for t in range(loss.shape[2]):
                by_spike[t, loss_first + i] = loss[b, i, t]
        end_v[:] = 0
        end_u[:] = 0
        derivatives(net, way, tape.voltage[b], derivative, b, sigma)
        x = Sample(
            tape.voltage[b], tape.fired_at[b], tape.released_at[b], loss[b], loss_first, discards,
            by_v[b], by_u[b], sigma, by_spike, back, end_v, end_u, space,
        )  # fmt: skip
        credit_sample(net, way, x)
        if len(by_frames):
            for c in range(net.first[0], net.first[1]):
                credit(
                    net, way, c, 0, by_frames.shape[1], ALL, x.by_v, x.by_u, x.fired_at, 0,
                    before, by_frames[b], space,
                )  # fmt: skip


@on_disk
def learn_units(net, way, tape, by_v, by_u, units, gradient, before, scratch):
    """The gradients of the weights of some units, see `synapses`."""
    net, way, tape = borrow(net), borrow(way), borrow(tape)
    by_v, by_u, gradient, units = borrow(by_v), borrow(by_u), borrow(gradient), borrow(units)
    before, scratch = borrow(before), borrow(scratch)
    for i in range(len(units)):
        learn_unit(net, way, tape, by_v, by_u, units[i], gradient, before, scratch)
