"""The flat arrays that the compiled code works on: a network, a schedule, one sample's state.

`_lowering` fills them from a `Graph` and a `Schedule`. What serves as an index is unsigned: one
that might be negative would be checked at each use.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lava_async._kernel._compiler import BLOCK, LINE
from lava_async._semantics.graph import Graph

LANES = 32  # spikes, and taps, are handled in multiples, which needs no remainder loop
WORDS = LINE // 4  # numbers of 32 bits in them
ROW = BLOCK  # rows of dense weights are filled up to a multiple, which needs no remainder loop

DENSE, ONE_TO_ONE, CONV, SPARSE = range(4)  # kinds of connections
KIND, TARGET, START, SIZE, AT, DELAYS, FAN_OUT, OWN = range(8)  # columns of `Net.wiring`
MOMENTUM, FIFO, NOISY_MOMENTUM, RANDOM = range(4)  # kinds of schedules
FIRED, RELEASED, HITS, POOLED, ORDERED, HEAPED, RANKED, LOST = range(8)  # of `State.count`
NEVER = np.int32((1 << 31) - 1)  # when a neuron fires that does not
FORWARD_STEPS, SYNOPS, OVERFLOWS, FIRST_OUTPUT = range(4)  # of `State.number`


class Net(NamedTuple):
    """A graph as flat arrays; P populations, N neurons, C connections.

    Columns of ``wiring``: kind, target population, its first neuron, its size, where the weights
    and the delays are, the mean fan-out, and from `OWN` on what `lava_async._kernel.connections`
    has for the kind.
    """

    start: npt.NDArray[np.uint32]  # (P + 1,) first neuron of each population
    order: npt.NDArray[np.uint32]  # (P,) topological; matters to LayerSync only
    population: npt.NDArray[np.uint32]  # (N,) of each neuron
    i_keep: npt.NDArray[np.int32]  # (P,) 4096 - decay
    v_keep: npt.NDArray[np.int32]  # (P,)
    threshold: npt.NDArray[np.int32]  # (P,) membrane units
    forgets: npt.NDArray[np.bool_]  # (P,) everything at each boundary, and has no bias
    bias: npt.NDArray[np.int32]  # (N + 64,) membrane units
    first: npt.NDArray[np.uint32]  # (P + 2,) first connection by source, the input's first
    delayed: npt.NDArray[np.uint32]  # (P + 1,) and the first of those with delays, the last ones
    wiring: npt.NDArray[np.int64]  # (C, columns) see below
    weight: npt.NDArray[np.int16]  # all weights, fan-out of a source contiguous
    synapse: npt.NDArray[np.int64]  # of sparse connections, by source: first synapse
    target: npt.NDArray[np.uint32]  # of sparse connections, by synapse
    delay: npt.NDArray[np.uint8]  # of connections with delays, by source
    slots: int  # the longest delay: time steps ahead that `State.current` has room for
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
    spike_dropout: float  # probability
    dropout_key0: np.uint64
    dropout_key1: np.uint64


class State(NamedTuple):
    """One sample's neurons, and the scratch space of a time step."""

    u: npt.NDArray[np.int32]  # (N + 64,)
    v: npt.NDArray[np.int32]  # (N + 64,)
    # ((1 + slots) N + 64,) weighted sums in weight units: for now, and for time steps to come
    current: npt.NDArray[np.int32]
    hit: npt.NDArray[np.uint8]  # (N,) listed in `hits`
    hits: npt.NDArray[np.uint32]  # (N,) targets of single synapses
    swept: npt.NDArray[np.uint8]  # (P,) populations that a whole row of weights reached
    touched: npt.NDArray[np.uint8]  # (64,) of a block of neurons
    fired: npt.NDArray[np.uint32]  # (N + 3,) neurons that fired in this time step, in order
    fired_at: npt.NDArray[np.int32]  # (N,) how many forward steps had run then
    momentum: npt.NDArray[np.int32]  # (N,) their voltage then
    lost: npt.NDArray[np.uint32]  # (N,) neurons whose spike dropout took
    lost_at: npt.NDArray[np.int32]  # (N,)
    lost_momentum: npt.NDArray[np.int32]  # (N,)
    released: npt.NDArray[np.uint32]  # (N + 1,) neurons whose spikes were released, in order
    released_at: npt.NDArray[np.int32]  # (N,) in which forward step
    ready: npt.NDArray[np.uint32]  # (N + 3 P,) those that are delivered now, by population
    num_ready: npt.NDArray[np.uint32]  # (P,) how many of each
    pool: npt.NDArray[np.int64]  # (N + 32,) waiting spikes; see `spike`
    rank: npt.NDArray[np.int64]  # (N + 32,) of those in order; see `_rank_new`
    ahead: npt.NDArray[np.int64]  # (N,) scratch space for it
    heap: npt.NDArray[np.int64]  # (N,) and more of them; see `_put_in_order`
    key: npt.NDArray[np.float64]  # (N,) drawn rank of each place in the pool
    count: npt.NDArray[np.uint32]  # (8,) lengths of the lists above
    number: npt.NDArray[np.int64]  # (4,) what the time step measured


def zeros(shape: int | tuple[int, ...], dtype: type) -> npt.NDArray:
    """From the beginning of a cache line on: vectors that lie in two take twice as long."""
    return _at_line(np.zeros(_with_line(shape, dtype), np.uint8), shape, dtype)


def empty(shape: int | tuple[int, ...], dtype: type) -> npt.NDArray:
    """The same, of any values."""
    return _at_line(np.empty(_with_line(shape, dtype), np.uint8), shape, dtype)


def _with_line(shape: int | tuple[int, ...], dtype: type) -> int:
    length = math.prod(shape) if isinstance(shape, tuple) else shape
    return length * np.dtype(dtype).itemsize + LINE


def _at_line(memory: npt.NDArray, shape: int | tuple[int, ...], dtype: type) -> npt.NDArray:
    return memory[-memory.ctypes.data % LINE :][: memory.nbytes - LINE].view(dtype).reshape(shape)


def new_state(graph: Graph) -> State:
    """All zeros: a sample begins."""
    num_neurons = graph.num_neurons
    return State(
        u=zeros(num_neurons + BLOCK, np.int32),
        v=zeros(num_neurons + BLOCK, np.int32),
        current=zeros((1 + graph.max_delay) * num_neurons + BLOCK, np.int32),
        hit=zeros(num_neurons, np.uint8),
        hits=zeros(num_neurons, np.uint32),
        swept=zeros(len(graph.populations), np.uint8),
        touched=zeros(BLOCK, np.uint8),
        fired=zeros(num_neurons + 3, np.uint32),
        fired_at=zeros(num_neurons, np.int32),
        momentum=zeros(num_neurons, np.int32),
        lost=zeros(num_neurons, np.uint32),
        lost_at=zeros(num_neurons, np.int32),
        lost_momentum=zeros(num_neurons, np.int32),
        released=zeros(num_neurons + 1, np.uint32),
        released_at=zeros(num_neurons, np.int32),
        ready=zeros(num_neurons + 3 * len(graph.populations), np.uint32),
        num_ready=zeros(len(graph.populations), np.uint32),
        pool=zeros(num_neurons + LANES, np.int64),
        rank=zeros(num_neurons + LANES, np.int64),
        ahead=zeros(num_neurons, np.int64),
        heap=zeros(num_neurons, np.int64),
        key=zeros(num_neurons, np.float64),
        count=zeros(8, np.uint32),
        number=zeros(4, np.int64),
    )
