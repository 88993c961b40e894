"""The flat arrays that the compiled code works on: a network, a schedule, one sample's state.

Built here from a `Graph` and a `Schedule`. What serves as an index is unsigned: one that might
be negative would be checked at each use.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lava_async._semantics import dynamics as dyn
from lava_async._semantics import random
from lava_async._semantics.connections import INPUT, Connection, Conv, Dense, OneToOne
from lava_async._semantics.graph import Graph
from lava_async._semantics.schedule import (
    AsyncSchedule,
    Momentum,
    Random,
    Schedule,
    noise_amplitude,
)

WORD = 8  # bytes that are looked at together where most are 0
WORDS = 8  # words of flags that are gathered in one
ROW = 32  # rows of dense weights are filled up to a multiple, which needs no remainder loop
_ALL = (1 << 31) - 1  # there are no more neurons than that

DENSE, ONE_TO_ONE, CONV = range(3)  # kinds of connections
KIND, TARGET, START, SIZE, AT, BLOCKS = range(6)  # columns of `Net.wiring`, see `_wire`
MOMENTUM, NOISY_MOMENTUM, RANDOM = range(3)  # kinds of schedules
FIRED, RELEASED, HITS, POOLED, ORDERED, HEAPED = range(6)  # of `State.count`
FORWARD_STEPS, SYNOPS, OVERFLOWS, FIRST_OUTPUT = range(4)  # of `State.number`


class Net(NamedTuple):
    """A graph as flat arrays; P populations, N neurons, C connections."""

    start: npt.NDArray[np.uint32]  # (P + 1,) first neuron of each population
    order: npt.NDArray[np.uint32]  # (P,) topological; matters to LayerSync only
    population: npt.NDArray[np.uint32]  # (N,) of each neuron
    i_keep: npt.NDArray[np.int32]  # (P,) 4096 - decay
    v_keep: npt.NDArray[np.int32]  # (P,)
    threshold: npt.NDArray[np.int32]  # (P,) membrane units
    bias: npt.NDArray[np.int32]  # (N,) membrane units
    first: npt.NDArray[np.uint32]  # (P + 2,) first connection by source, the input's first
    wiring: npt.NDArray[np.int64]  # (C, 19) see `_wire`
    weight: npt.NDArray[np.int16]  # all weights, fan-out of a source contiguous
    output: int  # output population


class Plan(NamedTuple):
    """A schedule as numbers."""

    layered: bool
    kind: int
    group_size: int
    amplitude: npt.NDArray[np.float64]  # (P,) momentum noise, membrane units
    key0: np.uint64
    key1: np.uint64
    stop_after: int  # -1: never


class State(NamedTuple):
    """One sample's neurons, and the scratch space of a time step.

    What has 2N places is twice there: for this time step, and for what arrives in the next one.
    """

    u: npt.NDArray[np.int32]  # (N,)
    v: npt.NDArray[np.int32]  # (N,)
    current: npt.NDArray[np.int32]  # (2N + 32,) weighted sums in weight units; see `_wire`
    hit: npt.NDArray[np.uint8]  # (2N,) listed in `hits`
    hits: npt.NDArray[np.uint32]  # (2N,) targets of single synapses
    swept: npt.NDArray[np.uint8]  # (P,) populations that a whole row of weights reached
    fires: npt.NDArray[np.uint8]  # (largest population, filled up) marks who fires now
    fire_words: npt.NDArray[np.uint64]  # the same memory, eight marks at a time
    fired: npt.NDArray[np.uint32]  # (N,) neurons that fired in this time step, in order
    fired_at: npt.NDArray[np.int32]  # (N,) how many forward steps had run then
    released: npt.NDArray[np.uint32]  # (N,) neurons whose spikes were released, in order
    released_at: npt.NDArray[np.int32]  # (N,) in which forward step
    pool: npt.NDArray[np.int64]  # (N,) waiting spikes; see `spike`
    heap: npt.NDArray[np.int64]  # (N,) and more of them; see `_put_in_order`
    key: npt.NDArray[np.float64]  # (N,) drawn rank of each place in the pool
    count: npt.NDArray[np.uint32]  # (6,) lengths of the lists above
    number: npt.NDArray[np.int64]  # (4,) what the time step measured


def _wire(
    graph: Graph, c: Connection, at: int, late: bool
) -> tuple[list[int], npt.NDArray[np.int16]]:
    """One row of `Net.wiring` and the weights, laid out source by source.

    All rows: kind, target population, where its currents start, its size, where the weights
    are. Dense: how many blocks of `ROW` weights a source has. Convolution: what is listed below.

    What a ``late`` connection delivers waits for the next time step: it goes to the second
    half of `State.current`.
    """
    start = int(graph.offsets[c.target]) + late * graph.num_neurons
    size = graph.populations[c.target].size
    if isinstance(c, Dense):
        blocks = -(-size // ROW)
        weight = np.pad(c.weight.T, ((0, 0), (0, blocks * ROW - size)))
        return [DENSE, c.target, start, size, at, blocks] + [0] * 13, weight.reshape(-1)
    if isinstance(c, OneToOne):
        return [ONE_TO_ONE, c.target, start, size, at] + [0] * 14, np.array([c.weight], np.int16)
    if not isinstance(c, Conv):
        raise TypeError(type(c))
    _, height, width = graph.source_shape(c)
    out_channels, out_height, out_width = graph.populations[c.target].shape
    _, in_group, kernel_h, kernel_w = c.weight.shape
    row = [CONV, c.target, start, size, at, height, width, out_channels // c.groups]
    row += [out_height, out_width, kernel_h, kernel_w, *c.stride, *c.padding, *c.dilation]
    # (groups, out, in, kh, kw) -> (groups, in, kh, kw, out): source channel first, targets last
    weight = c.weight.reshape(c.groups, -1, in_group, kernel_h, kernel_w)
    return [*row, in_group], weight.transpose(0, 2, 3, 4, 1).reshape(-1)


def compile_graph(graph: Graph, schedule: Schedule) -> Net:
    """A graph as arrays; which of its connections are late depends on the kind of schedule."""
    layered = not isinstance(schedule, AsyncSchedule)
    place = {p: i for i, p in enumerate(graph.order)}
    sizes = [p.size for p in graph.populations]
    bias = [np.zeros(p.size, np.int64) if p.bias is None else p.bias.reshape(-1)
            for p in graph.populations]
    rows, weights, first, at = [], [], [0], 0
    for source in range(INPUT, len(sizes)):
        for c in graph.connections:
            if c.source == source:
                recurrent = source != INPUT and place[c.target] <= place[source]
                row, weight = _wire(graph, c, at, late=layered and recurrent)
                rows.append(row)
                weights.append(weight)
                at += len(weight)
        first.append(len(rows))
    return Net(
        start=np.ascontiguousarray(graph.offsets, np.uint32),
        order=np.array(graph.order, np.uint32),
        population=np.repeat(np.arange(len(sizes), dtype=np.uint32), sizes),
        i_keep=np.array([dyn.DECAY_ONE - p.i_decay for p in graph.populations], np.int32),
        v_keep=np.array([dyn.DECAY_ONE - p.v_decay for p in graph.populations], np.int32),
        threshold=np.array([p.threshold for p in graph.populations], np.int32) << dyn.STATE_SHIFT,
        bias=(np.concatenate(bias) << dyn.STATE_SHIFT).astype(np.int32),
        first=np.array(first, np.uint32),
        wiring=np.array(rows, np.int64),
        weight=np.concatenate(weights),
        output=graph.output,
    )


def compile_schedule(net: Net, schedule: Schedule, stop_after: int | None) -> Plan:
    """A schedule as numbers, for one network: noise is in units of its thresholds."""
    noise = schedule.noise if isinstance(schedule, Momentum) else 0.0
    seed = schedule.seed if isinstance(schedule, (Momentum, Random)) else 0
    kind = RANDOM if isinstance(schedule, Random) else NOISY_MOMENTUM if noise else MOMENTUM
    key0, key1 = random.split_seed(seed)
    return Plan(
        layered=not isinstance(schedule, AsyncSchedule),
        kind=kind,
        group_size=min(schedule.group_size, _ALL),
        amplitude=noise_amplitude(noise, net.threshold),
        key0=key0,
        key1=key1,
        stop_after=-1 if stop_after is None else min(stop_after, _ALL),
    )


def new_state(graph: Graph) -> State:
    """All zeros: a sample begins."""
    num_neurons = graph.num_neurons
    gathered = WORD * WORDS
    fires = np.zeros(-(-max(p.size for p in graph.populations) // gathered) * gathered, np.uint8)
    return State(
        u=np.zeros(num_neurons, np.int32),
        v=np.zeros(num_neurons, np.int32),
        current=np.zeros(2 * num_neurons + ROW, np.int32),
        hit=np.zeros(2 * num_neurons, np.uint8),
        hits=np.zeros(2 * num_neurons, np.uint32),
        swept=np.zeros(len(graph.populations), np.uint8),
        fires=fires,
        fire_words=fires.view(np.uint64),
        fired=np.zeros(num_neurons, np.uint32),
        fired_at=np.zeros(num_neurons, np.int32),
        released=np.zeros(num_neurons, np.uint32),
        released_at=np.zeros(num_neurons, np.int32),
        pool=np.zeros(num_neurons, np.int64),
        heap=np.zeros(num_neurons, np.int64),
        key=np.zeros(num_neurons, np.float64),
        count=np.zeros(6, np.uint32),
        number=np.zeros(4, np.int64),
    )
