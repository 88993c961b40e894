"""The entry points of training: what Python calls, compiled once and kept on disk."""

from __future__ import annotations

import numpy as np

from lava_async._kernel._compiler import borrow, draw_number, jit
from lava_async._kernel._draws import input_lost
from lava_async._kernel._entry import on_disk
from lava_async._kernel._events import find_events
from lava_async._kernel._kept import leave, take_up
from lava_async._kernel._layout import DENSE, FIRED, KIND
from lava_async._kernel._marks import AT_ONCE
from lava_async._kernel._steps import any_step, begin_sample
from lava_async._kernel.connections import dense, sparse
from lava_async._kernel.training.credit import ALL, credit, credit_sample, derivatives
from lava_async._kernel.training.layout import Sample
from lava_async._kernel.training.record import record_events, record_step
from lava_async._kernel.training.synapses import learn_sources


@jit
def _drop(plan, probability, e, sample, first_step, num_steps):
    """Take out the input spikes that dropout loses."""
    for t in range(num_steps):
        kept = e.begin[t]
        for i in range(e.begin[t], e.stop[t]):
            e.index[kept], e.times[kept] = e.index[i], e.times[i]
            if not input_lost(plan, probability, e.index[i], sample, first_step + t):
                kept += np.uint32(1)
        e.stop[t] = kept


@on_disk
def record_samples(
    net, plan, s, e, frames, sample_ids, parts, counter, input_dropout, outputs, spikes, taped,
    tape, kept, first_step,
):  # fmt: skip
    """Run samples; writes a tape, and the spikes of neurons outputs[0]..outputs[1].

    ``parts`` are bounds (parts + 1,) between samples. Who runs them draws them from the counter,
    as samples differ in what they cost. Where ``kept`` (B, 2 + slots, N) has samples, they go on
    there, and leave there where they end; the first time step is ``first_step``.

    Returns the first sample whose input is not of whole numbers that are counts, or -1.
    """
    net, plan, s, e, tape = borrow(net), borrow(plan), borrow(s), borrow(e), borrow(tape)
    frames, spikes, sample_ids = borrow(frames), borrow(spikes), borrow(sample_ids)
    parts, counter, kept = borrow(parts), borrow(counter), borrow(kept)
    num_steps = spikes.shape[2]
    first_output, last_output = outputs
    part = draw_number(counter)
    while part + 1 < len(parts):
        low, high = parts[part], parts[part + 1]
        # Each part has its own of the lists, with room for all that its samples may need.
        next_event = low * np.int64(len(e.index))
        next_sent = low * (np.int64(num_steps) * len(net.population) + AT_ONCE)
        for b in range(low, high):
            begin_sample(net, s)
            if len(kept):
                take_up(net, s, kept[b], first_step)
            if not find_events(e, frames, b, num_steps):
                return b
            if input_dropout > 0:
                _drop(plan, input_dropout, e, sample_ids[b], first_step, num_steps)
            if taped:
                next_event = record_events(e, tape, b, next_event, num_steps)
            for t in range(num_steps):
                any_step(
                    net, plan, s, e.index, e.times, e.begin[t], e.stop[t], sample_ids[b],
                    first_step + t,
                )  # fmt: skip
                for i in range(s.count[FIRED]):
                    n = s.fired[i]
                    if first_output <= n < last_output:
                        spikes[b, n - first_output, t] = 1
                if taped:
                    next_sent = record_step(net, s, plan.layered, tape, b, t, next_sent)
            if len(kept):
                leave(net, s, kept[b], first_step + num_steps)
        part = draw_number(counter)
    return np.int64(-1)


@on_disk
def credit_samples(
    net, way, tape, loss, loss_first, discards, derivative, parts, counter, by_v, by_u, by_frames,
    learned, gradients, scratch,
):  # fmt: skip
    """The gradients of voltages and currents (B, T, N) of samples, times 64.

    ``parts`` and ``counter`` as in `record_samples`. Where ``by_frames`` (B, T, inputs) has
    samples, those of the input counts, too. ``derivative`` (B, T, N) is looked at where the
    surrogate is `GIVEN`. ``gradients`` (parts, weights) are of the weights of some connections:
    rows of ``learned`` are connection, number of sources, place.
    """
    net, way, tape, loss = borrow(net), borrow(way), borrow(tape), borrow(loss)
    by_v, by_u, by_frames = borrow(by_v), borrow(by_u), borrow(by_frames)
    scratch, derivative = borrow(scratch), borrow(derivative)
    learned, gradients = borrow(learned), borrow(gradients)
    parts, counter = borrow(parts), borrow(counter)
    sigma, by_spike, back, end_v, end_u, space, turned, at_once, before = scratch
    part = draw_number(counter)
    while part + 1 < len(parts):
        gradient = gradients[part]
        gradient[:] = 0
        for b in range(parts[part], parts[part + 1]):
            by_spike[:] = 0
            for i in range(loss.shape[1]):
                for t in range(loss.shape[2]):
                    by_spike[t, loss_first + i] = loss[b, i, t]
            end_v[:] = 0
            end_u[:] = 0
            derivatives(net, way, tape.voltage[b], derivative, b, sigma)
            x = Sample(
                tape.voltage[b], tape.fired_at[b], tape.released_at[b], loss[b], loss_first,
                discards, by_v[b], by_u[b], sigma, by_spike, back, end_v, end_u, space,
            )  # fmt: skip
            credit_sample(net, way, x)
            if len(by_frames):
                for c in range(net.first[0], net.first[1]):
                    credit(
                        net, way, c, 0, by_frames.shape[1], ALL, x.by_v, x.by_u, x.fired_at, 0,
                        at_once, by_frames[b], space,
                    )  # fmt: skip
            for i in range(len(learned)):
                c, sources, at = learned[i]
                learn_sources(
                    net, way, tape, by_v, by_u, c, (0, sources), (b, b + 1), gradient, at,
                    before, turned,
                )  # fmt: skip
        part = draw_number(counter)


@on_disk
def learn_samples(
    net, way, tape, by_v, by_u, connection, low, high, by_source, before, scratch, in_order
):  # fmt: skip
    """The gradient of the weights of sources low..high of a connection; see `learn_sources`.

    Added up in ``by_source``, which may hold anything before; of all-to-all connections it is put
    into the weights' own order then, ``in_order``.
    """
    net, way, tape = borrow(net), borrow(way), borrow(tape)
    by_v, by_u, by_source = borrow(by_v), borrow(by_u), borrow(by_source)
    row = net.wiring[connection]
    if row[KIND] == DENSE:
        dense.clear_rows(row, by_source, low, high)
    else:
        sparse.clear_rows(net, row, by_source, low, high)
    learn_sources(
        net, way, tape, by_v, by_u, connection, (low, high), (0, len(tape.voltage)), by_source, 0,
        borrow(before), borrow(scratch),
    )  # fmt: skip
    if row[KIND] == DENSE:
        dense.put_in_order(row, by_source, low, high, borrow(in_order))
