"""From a `Graph` and a `Schedule` to the flat arrays of `_layout`."""

from __future__ import annotations

import numpy as np

from lava_async._kernel._compiler import BLOCK
from lava_async._kernel._layout import FIFO, MOMENTUM, NOISY_MOMENTUM, RANDOM, Net, Plan
from lava_async._kernel.connections import Arrays, lay_out
from lava_async._semantics import dynamics as dyn
from lava_async._semantics import random
from lava_async._semantics.connections import INPUT
from lava_async._semantics.graph import Graph
from lava_async._semantics.schedule import (
    AsyncSchedule,
    Fifo,
    LayerSync,
    Momentum,
    Random,
    Schedule,
    noise_amplitude,
)
from lava_async.errors import UnsupportedError

_ALL = (1 << 31) - 1  # there are no more neurons than that
_COMPILED = (LayerSync, Momentum, Random, Fifo)


def compile_graph(graph: Graph, schedule: LayerSync | AsyncSchedule) -> Net:
    """A graph as arrays; what is late in it depends on the kind of schedule."""
    layered = isinstance(schedule, LayerSync)
    sizes = [p.size for p in graph.populations]
    bias = [np.zeros(p.size, np.int64) if p.bias is None else p.bias.reshape(-1)
            for p in graph.populations]
    bias.append(np.zeros(BLOCK, np.int64))
    rows, first, delayed, arrays, slots = [], [0], [], Arrays(), 0
    for source in range(INPUT, len(sizes)):
        late = []
        for c in graph.connections:
            if c.source != source:
                continue
            shape, target = graph.source_shape(c), graph.populations[c.target].shape
            kind, at, own = lay_out(c, shape, target, arrays)
            row = [kind, c.target, int(graph.offsets[c.target]), sizes[c.target], at]
            delay = np.asarray(graph.layered_delay(c) if layered else c.delay)
            if delay.any():
                slots = max(slots, int(delay.max()))
                each = np.broadcast_to(delay, int(np.prod(shape)))
                late.append([*row, arrays.add("delay", each, np.uint8), *own])
            else:
                rows.append([*row, -1, *own])
        delayed.append(len(rows))
        rows += late
        first.append(len(rows))
    wiring = np.zeros((len(rows), max(len(row) for row in rows)), np.int64)
    for place, row in zip(wiring, rows, strict=True):
        place[: len(row)] = row
    return Net(
        start=np.ascontiguousarray(graph.offsets, np.uint32),
        order=np.array(graph.order, np.uint32),
        population=np.repeat(np.arange(len(sizes), dtype=np.uint32), sizes),
        i_keep=np.array([dyn.DECAY_ONE - p.i_decay for p in graph.populations], np.int32),
        v_keep=np.array([dyn.DECAY_ONE - p.v_decay for p in graph.populations], np.int32),
        threshold=np.array([p.threshold for p in graph.populations], np.int32) << dyn.STATE_SHIFT,
        forgets=np.array(
            [
                p.i_decay == p.v_decay == dyn.DECAY_ONE and (p.bias is None or not p.bias.any())
                for p in graph.populations
            ]
        ),
        bias=(np.concatenate(bias) << dyn.STATE_SHIFT).astype(np.int32),
        first=np.array(first, np.uint32),
        delayed=np.array(delayed, np.uint32),
        wiring=wiring,
        weight=arrays.whole("weight", np.int16),
        synapse=arrays.whole("first", np.int64),
        target=arrays.whole("target", np.uint32),
        delay=arrays.whole("delay", np.uint8),
        slots=slots,
        output=graph.output,
    )


def check_schedule(schedule: Schedule) -> None:
    """Raise `UnsupportedError` if a schedule, or a part of it, is a user's own.

    Whatever samples draw; a subclass of ours may have priorities of its own.
    """
    for part in schedule.parts:
        if type(part) not in _COMPILED:
            names = ", ".join(cls.__name__ for cls in _COMPILED)
            wanted = f"one of {names} (backends 'reference' and 'graph' run any)"
            raise UnsupportedError("compiled kernel", "schedule", wanted, type(part).__name__)


def compile_schedule(
    net: Net, schedule: LayerSync | AsyncSchedule, stop_after: int | None
) -> Plan:
    """A schedule as numbers, for one network: noise is in units of its thresholds."""
    noise, seed = 0.0, 0
    match schedule:
        case Momentum():
            noise, seed = schedule.noise, schedule.seed
            kind = NOISY_MOMENTUM if noise else MOMENTUM
        case Random():
            kind, seed = RANDOM, schedule.seed
        case Fifo():
            kind = FIFO
        case _:
            kind = MOMENTUM  # whatever: layers release all at once
    key0, key1 = random.split_seed(seed)
    return Plan(
        layered=isinstance(schedule, LayerSync),
        kind=kind,
        group_size=min(schedule.group_size, _ALL),
        amplitude=noise_amplitude(noise, net.threshold),
        key0=key0,
        key1=key1,
        stop_after=-1 if stop_after is None else min(stop_after, _ALL),
    )
