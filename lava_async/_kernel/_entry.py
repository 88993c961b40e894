"""The entry points: what Python calls, compiled once and kept on disk."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from lava_async._kernel._cache import cached
from lava_async._kernel._compiler import borrow
from lava_async._kernel._events import find_events
from lava_async._kernel._layout import (
    FIRED,
    FORWARD_STEPS,
    NOWHERE,
    OVERFLOWS,
    RELEASED,
    SYNOPS,
)
from lava_async._kernel._listing import list_spikes
from lava_async._kernel._steps import any_step, begin_sample
from lava_async._semantics import dynamics, random


def digest(files: Iterable[Path]) -> str:
    """SHA-256 of what all files hold, in this order."""
    contents = hashlib.sha256()
    for file in files:
        contents.update(file.read_bytes())
    return contents.hexdigest()


# Every module that compiled code takes a function or a constant from. Their digest alone tells
# whether code on disk is still valid, so nothing that is compiled elsewhere is kept.
SOURCES = (
    *sorted(Path(__file__).parent.rglob("*.py")),
    *(Path(inspect.getfile(module)) for module in (dynamics, random)),
)
DIGEST = digest(SOURCES)
on_disk = cached(DIGEST)


@on_disk
def run_samples(
    net, plan, s, e, frames, sample_ids, low, high, num_steps, spikes, numbers, trace, fired_at,
    released_at, readout, listed,
):  # fmt: skip
    """Run samples low..high of a batch; see `batch.run` for the arrays.

    Returns their spikes, listed; none where ``spikes`` has room for those of the batch. Room for
    the first ones, one at least, is in ``listed``.
    """
    net, plan, s, e = borrow(net), borrow(plan), borrow(s), borrow(e)
    spikes, numbers, sample_ids = borrow(spikes), borrow(numbers), borrow(sample_ids)
    frames, fired_at, released_at = borrow(frames), borrow(fired_at), borrow(released_at)
    readout = borrow(readout)
    used, listing = np.int64(0), len(spikes) == 0
    outputs = net.start[net.output], net.start[net.output + 1]
    for b in range(low, high):
        begin_sample(net, s)
        find_events(e, frames, b, num_steps)
        for t in range(num_steps):
            first, last = e.begin[t], e.stop[t]
            any_step(net, plan, s, e.index, e.times, first, last, sample_ids[b], t)
            numbers[0, b, t] = s.number[FORWARD_STEPS]
            numbers[1, b, t] = s.number[SYNOPS]
            numbers[2, b, t] = s.number[OVERFLOWS]
            numbers[3, b, t] = s.count[FIRED]
            for i in range(readout.shape[1]):
                place = s.place[outputs[0] + i]
                readout[b, i, t] = np.int32(0) if place == NOWHERE else s.v[place]
            if listing:
                listed, used = list_spikes(s, listed, used)
                continue
            for i in range(s.count[FIRED]):
                n = s.fired[i]
                spikes[b, n, t] = 1
                if trace:
                    fired_at[b, n, t] = s.fired_at[i]
                elif outputs[0] <= n < outputs[1]:
                    fired_at[b, n - outputs[0], t] = s.fired_at[i]
            if trace:
                for i in range(s.count[RELEASED]):
                    released_at[b, s.released[i], t] = s.released_at[i]
    return listed[:used]


@on_disk
def clear_state(net, s):
    """Begin a sample."""
    begin_sample(borrow(net), borrow(s))


@on_disk
def run_step(net, plan, s, index, times, sample, time_step):
    """Run one time step of one sample; see `stepper.Stepper.step` for the arrays."""
    net, plan, s = borrow(net), borrow(plan), borrow(s)
    low, high = np.uint32(0), np.uint32(len(index))  # types of all other calls: the same code
    any_step(net, plan, s, borrow(index), borrow(times), low, high, sample, time_step)
