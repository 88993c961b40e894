"""The flat arrays that the compiled code works on: a network, a schedule, one sample's state.

`_lowering` fills them from a `Graph` and a `Schedule`. What serves as an index is unsigned: one
that might be negative would be checked at each use.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
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
FIRED, RELEASED, POOLED, ORDERED, HEAPED, RANKED, LOST = range(7)  # of `State.count`
NEVER = np.int32((1 << 31) - 1)  # when a neuron fires that does not
NOWHERE = np.uint32((1 << 32) - 1)  # place of a neuron that has none
FORWARD_STEPS, SYNOPS, OVERFLOWS, FIRST_OUTPUT = range(4)  # of `State.number`


class Net(NamedTuple):
    """A graph as flat arrays; P populations, N neurons, C connections.

    Columns of ``wiring``: kind, target population, its first neuron, its size, where the weights
    and the delays are, the mean fan-out of the sources that have synapses, and from `OWN` on what
    `lava_async._kernel.connections` has for the kind.
    """

    start: npt.NDArray[np.uint32]  # (P + 1,) first neuron of each population
    order: npt.NDArray[np.uint32]  # (P,) topological; matters to LayerSync only
    population: npt.NDArray[np.uint32]  # (N,) of each neuron
    i_keep: npt.NDArray[np.int32]  # (N + 64,) 4096 - decay
    v_keep: npt.NDArray[np.int32]  # (N + 64,)
    threshold: npt.NDArray[np.int32]  # (P,) membrane units
    forgets: npt.NDArray[np.bool_]  # (P,) everything at each boundary, and has no bias
    bias: npt.NDArray[np.int32]  # (N + 64,) membrane units
    varied: npt.NDArray[np.bool_]  # (P,) decays or biases that are not the same for all neurons
    word: npt.NDArray[np.uint32]  # (P + 1,) first of `State.live` of each population
    biased: npt.NDArray[np.uint64]  # (words + 64,) which neurons have a bias, as `State.live`
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
    spike_dropout: npt.NDArray[np.float64]  # (N,) probability; (0,) where there is none
    dropout_key0: np.uint64
    dropout_key1: np.uint64


class State(NamedTuple):
    """One sample's neurons, and the scratch space of a time step.

    What a time step costs must not grow with the neurons to which nothing happens. So `live` has
    a bit for each, from a word of its own on in each population, which is 0 only where current,
    voltage and bias are; `full` stands for all bits of a population. Currents that wait are
    listed, or swept where they are many: for now in the first row of `hit`, `hits` and `swept`, for
    time steps to come in the others.

    Nor with how far apart those are to which something does. So in a packed population a neuron
    has no place before a spike is on its way to it, and then the next one, until the sample ends:
    what is active lies together, as in a population that has no other neurons. What is kept by
    neuron here is kept by place, but for the lists of spikes and what orders them. What `Net` has
    by neuron is read by place, so only populations of neurons that are all alike may be packed.
    """

    packed: npt.NDArray[np.uint8]  # (P,)
    num_packed: npt.NDArray[np.uint32]  # (1,) how many populations are
    place: npt.NDArray[np.uint32]  # (N,) of each neuron, or NOWHERE; if not packed, its number
    owner: npt.NDArray[np.uint32]  # (N,) by place, whose it is; of anybody behind those in use
    used: npt.NDArray[np.uint32]  # (P,) how many places of each population are somebody's
    u: npt.NDArray[np.int32]  # (N + 64,)
    v: npt.NDArray[np.int32]  # (N + 64,)
    # ((1 + slots) N + 64,) weighted sums in weight units: for now, and for time steps to come
    current: npt.NDArray[np.int32]
    live: npt.NDArray[np.uint64]  # (words + 64,)
    full: npt.NDArray[np.uint8]  # (P,)
    hit: npt.NDArray[np.uint8]  # ((1 + slots) N,) listed in `hits`
    hits: npt.NDArray[np.uint32]  # ((1 + slots) (N + 1),) of targets of single synapses
    num_hits: npt.NDArray[np.uint32]  # (1 + slots,) how many
    swept: npt.NDArray[np.uint8]  # ((1 + slots) P,) populations that so much reached
    touched: npt.NDArray[np.uint8]  # (64,) of a block of neurons
    near: npt.NDArray[np.uint32]  # (64,) single neurons that are brought together, and theirs
    near_u: npt.NDArray[np.int32]  # (64,)
    near_v: npt.NDArray[np.int32]  # (64,)
    near_current: npt.NDArray[np.int32]  # (64,)
    near_bias: npt.NDArray[np.int32]  # (64,)
    near_i_keep: npt.NDArray[np.int32]  # (64,)
    near_v_keep: npt.NDArray[np.int32]  # (64,)
    fired: npt.NDArray[np.uint32]  # (N + 3,) neurons that fired in this time step, by forward step
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
    count: npt.NDArray[np.uint32]  # (7,) lengths of the lists above
    number: npt.NDArray[np.int64]  # (4,) what the time step measured


def words(sizes: Sequence[int]) -> npt.NDArray[np.int64]:
    """(P + 1,) where the bits of each population begin, and end: in words of 64."""
    return np.cumsum([0, *(-(-size // BLOCK) for size in sizes)])


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


def new_state(graph: Graph, slots: int = 0, packed: npt.NDArray[np.bool_] | None = None) -> State:
    """Of no activity, whatever `live` has to say of it: for `begin_sample`.

    With room for so many time steps ahead, if they are more than the graph's own; with these
    populations packed, if any, which all nets that run on it have to allow: `worth_packing`.
    """
    num_neurons, num_populations = graph.num_neurons, len(graph.populations)
    rows = 1 + max(graph.max_delay, slots)
    sizes = np.array([p.size for p in graph.populations], np.uint32)
    packed = np.zeros(num_populations, np.bool_) if packed is None else packed
    place = np.arange(num_neurons, dtype=np.uint32)
    place[np.repeat(packed, sizes)] = NOWHERE
    return State(
        packed=packed.astype(np.uint8),
        num_packed=np.array([np.count_nonzero(packed)], np.uint32),
        place=place,
        owner=np.arange(num_neurons, dtype=np.uint32),
        used=np.where(packed, np.uint32(0), sizes),
        u=zeros(num_neurons + BLOCK, np.int32),
        v=zeros(num_neurons + BLOCK, np.int32),
        current=zeros(rows * num_neurons + BLOCK, np.int32),
        live=zeros(words([p.size for p in graph.populations])[-1] + BLOCK, np.uint64),
        full=zeros(num_populations, np.uint8),
        hit=zeros(rows * num_neurons, np.uint8),
        hits=zeros(rows * (num_neurons + 1), np.uint32),
        num_hits=zeros(rows, np.uint32),
        swept=zeros(rows * num_populations, np.uint8),
        touched=zeros(BLOCK, np.uint8),
        near=zeros(BLOCK, np.uint32),
        near_u=zeros(BLOCK, np.int32),
        near_v=zeros(BLOCK, np.int32),
        near_current=zeros(BLOCK, np.int32),
        near_bias=zeros(BLOCK, np.int32),
        near_i_keep=zeros(BLOCK, np.int32),
        near_v_keep=zeros(BLOCK, np.int32),
        fired=zeros(num_neurons + 3, np.uint32),
        fired_at=zeros(num_neurons, np.int32),
        momentum=zeros(num_neurons, np.int32),
        lost=zeros(num_neurons, np.uint32),
        lost_at=zeros(num_neurons, np.int32),
        lost_momentum=zeros(num_neurons, np.int32),
        released=zeros(num_neurons + 1, np.uint32),
        released_at=zeros(num_neurons, np.int32),
        ready=zeros(num_neurons + 3 * num_populations, np.uint32),
        num_ready=zeros(num_populations, np.uint32),
        pool=zeros(num_neurons + LANES, np.int64),
        rank=zeros(num_neurons + LANES, np.int64),
        ahead=zeros(num_neurons, np.int64),
        heap=zeros(num_neurons, np.int64),
        key=zeros(num_neurons, np.float64),
        count=zeros(7, np.uint32),
        number=zeros(4, np.int64),
    )
