"""Compiled, event-driven execution (Numba). Equal to `_reference`, bit for bit.

Cost grows with spikes × fan-out: a released spike walks its own synapses, convolutions are
walked tap by tap, and only neurons that received a current are evaluated. Once per time
step every neuron decays. Samples run in parallel threads (the kernels release the GIL);
each has its own state, so thread count and batch composition cannot matter.

Layout: `_Net` holds the network and `_State` one sample's state, both as flat arrays;
`_async_step` and `_layer_step` run one time step in place. The batch loop and `Stepper`
(one time step at a time, for Lava) share them.
"""

# What Numba calls with its own context is called here without.
# pyright: reportCallIssue=false

from __future__ import annotations

import hashlib
import inspect
import os
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import NamedTuple

import numba
import numba.extending
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types

from lava_async import _dynamics as dyn
from lava_async import _random
from lava_async._graph import INPUT, Connection, Conv, Dense, Graph, OneToOne
from lava_async._record import Record
from lava_async._schedule import AsyncSchedule, Momentum, Random, Schedule, noise_amplitude

# No fastmath: integer-exact, and the only floating-point numbers are ranks of spikes.
_jit = numba.njit(nogil=True)
_inline = numba.njit(nogil=True, inline="always")

_philox4x32 = _jit(_random.philox4x32)
_uniform24 = _jit(_random.uniform24)
_uniform53 = _jit(_random.uniform53)

_DENSE, _ONE_TO_ONE, _CONV = range(3)
_MOMENTUM, _NOISY_MOMENTUM, _RANDOM = range(3)
_SHIFT = dyn.STATE_SHIFT
_LIMIT = np.int32(dyn.STATE_LIMIT)
_VOLTAGE_MAX = np.int32(dyn.STATE_LIMIT - 1)
_VOLTAGE_MIN = np.int32(1 - dyn.STATE_LIMIT)
_REFRACTORY = np.int32(-(1 << 31))  # stands for the voltage until the time step ends
_SUM_MAX = np.int32(1 << 24)  # weight units; in membrane units it overflows any state
_ALL = (1 << 31) - 1  # there are no more neurons than that
_LAST_NEURON = (1 << 32) - 1
_GATHER = np.uint64(0x0102040810204080)  # times a word of eight flags: they end up in the top byte
_WORD = 8  # bytes that are looked at together where most are 0
_WORDS = 8  # words of flags that are gathered in one
_ROW = 32  # rows of dense weights are filled up to a multiple, which needs no remainder loop
_FRONT = 64  # waiting spikes that are kept in order; see `_put_in_order`
_SCHEDULE_PURPOSE = np.uint64(int(_random.Purpose.SCHEDULE) << 24)


class _Net(NamedTuple):
    """A graph as flat arrays; P populations, N neurons, C connections.

    Here and below, what serves as an index is unsigned: one that might be negative would be
    checked at each use.
    """

    start: npt.NDArray[np.uint32]  # (P + 1,) first neuron of each population
    order: npt.NDArray[np.uint32]  # (P,) topological
    population: npt.NDArray[np.uint32]  # (N,)
    i_keep: npt.NDArray[np.int32]  # (P,) 4096 - decay
    v_keep: npt.NDArray[np.int32]  # (P,)
    threshold: npt.NDArray[np.int32]  # (P,) membrane units
    bias: npt.NDArray[np.int32]  # (N,) membrane units
    first: npt.NDArray[np.uint32]  # (P + 2,) first connection by source, the input's first
    wiring: npt.NDArray[np.int64]  # (C, 19) see `_wire`
    weight: npt.NDArray[np.int16]  # all weights, fan-out of a source contiguous
    output: int  # output population


class _Plan(NamedTuple):
    """A schedule as numbers."""

    layered: bool
    kind: int
    group_size: int
    amplitude: npt.NDArray[np.float64]  # (P,) momentum noise, membrane units
    key0: np.uint64
    key1: np.uint64
    stop_after: int  # -1: never


class _State(NamedTuple):
    """One sample's neurons, and the scratch space of a time step."""

    u: npt.NDArray[np.int32]  # (N,)
    v: npt.NDArray[np.int32]  # (N,)
    current: npt.NDArray[np.int32]  # (2N + 32,) weighted sums in weight units; see `_wire`
    hit: npt.NDArray[np.uint8]  # (2N,) listed in `hits`
    hits: npt.NDArray[np.uint32]  # (2N,) targets of single synapses
    swept: npt.NDArray[np.uint8]  # (P,) populations that a whole row of weights reached
    fires: npt.NDArray[np.uint8]  # neurons of a population that fire now, and in the same
    fire_words: npt.NDArray[np.uint64]  # memory eight of them at a time
    fired: npt.NDArray[np.uint32]  # (N,) neurons that fired in this time step, in order
    fired_at: npt.NDArray[np.int32]  # (N,) how many forward steps had run then
    released: npt.NDArray[np.uint32]  # (N,) neurons whose spikes were released, in order
    released_at: npt.NDArray[np.int32]  # (N,) in which forward step
    pool: npt.NDArray[np.int64]  # (N,) waiting spikes; see `_spike`
    heap: npt.NDArray[np.int64]  # (N,) and more of them; see `_put_in_order`
    key: npt.NDArray[np.float64]  # (N,) drawn rank of each place in the pool
    count: npt.NDArray[np.uint32]  # (6,) lengths of the lists above
    number: npt.NDArray[np.int64]  # (4,) what the time step measured


_FIRED, _RELEASED, _HITS, _POOLED, _ORDERED, _HEAPED = range(6)  # of `_State.count`
_FORWARD_STEPS, _SYNOPS, _OVERFLOWS, _FIRST_OUTPUT = range(4)  # of `_State.number`


def _wire(
    graph: Graph, c: Connection, at: int, late: bool
) -> tuple[list[int], npt.NDArray[np.int16]]:
    """One row of `_Net.wiring` and the weights, laid out source by source.

    What a ``late`` connection delivers waits for the next time step: it goes to the second
    half of `_State.current`.
    """
    start = int(graph.offsets[c.target]) + late * graph.num_neurons
    size = graph.populations[c.target].size
    if isinstance(c, Dense):
        row = -(-size // _ROW)
        weight = np.pad(c.weight.T, ((0, 0), (0, row * _ROW - size)))
        return [_DENSE, c.target, start, size, at, row] + [0] * 13, weight.reshape(-1)
    if isinstance(c, OneToOne):
        return [_ONE_TO_ONE, c.target, start, size, at] + [0] * 14, np.array([c.weight], np.int16)
    if not isinstance(c, Conv):
        raise TypeError(type(c))
    _, height, width = graph.source_shape(c)
    out_channels, out_height, out_width = graph.populations[c.target].shape
    _, in_group, kernel_h, kernel_w = c.weight.shape
    row = [_CONV, c.target, start, size, at, height, width, out_channels // c.groups]
    row += [out_height, out_width, kernel_h, kernel_w, *c.stride, *c.padding, *c.dilation]
    # (groups, out, in, kh, kw) -> (groups, in, kh, kw, out): source channel first, targets last
    weight = c.weight.reshape(c.groups, -1, in_group, kernel_h, kernel_w)
    return [*row, in_group], weight.transpose(0, 2, 3, 4, 1).reshape(-1)


def _compile_graph(graph: Graph, schedule: Schedule) -> _Net:
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
    return _Net(
        start=np.ascontiguousarray(graph.offsets, np.uint32),
        order=np.array(graph.order, np.uint32),
        population=np.repeat(np.arange(len(sizes), dtype=np.uint32), sizes),
        i_keep=np.array([dyn.DECAY_ONE - p.i_decay for p in graph.populations], np.int32),
        v_keep=np.array([dyn.DECAY_ONE - p.v_decay for p in graph.populations], np.int32),
        threshold=np.array([p.threshold for p in graph.populations], np.int32) << _SHIFT,
        bias=(np.concatenate(bias) << _SHIFT).astype(np.int32),
        first=np.array(first, np.uint32),
        wiring=np.array(rows, np.int64),
        weight=np.concatenate(weights),
        output=graph.output,
    )


def _compile_schedule(net: _Net, schedule: Schedule, stop_after: int | None) -> _Plan:
    noise = schedule.noise if isinstance(schedule, Momentum) else 0.0
    seed = schedule.seed if isinstance(schedule, (Momentum, Random)) else 0
    kind = _RANDOM if isinstance(schedule, Random) else _NOISY_MOMENTUM if noise else _MOMENTUM
    key0, key1 = _random.split_seed(seed)
    return _Plan(
        layered=not isinstance(schedule, AsyncSchedule),
        kind=kind,
        group_size=min(schedule.group_size, _ALL),
        amplitude=noise_amplitude(noise, net.threshold),
        key0=key0,
        key1=key1,
        stop_after=-1 if stop_after is None else min(stop_after, _ALL),
    )


def _new_state(graph: Graph) -> _State:
    num_neurons = graph.num_neurons
    gathered = _WORD * _WORDS
    fires = np.zeros(-(-max(p.size for p in graph.populations) // gathered) * gathered, np.uint8)
    return _State(
        np.zeros(num_neurons, np.int32),
        np.zeros(num_neurons, np.int32),
        np.zeros(2 * num_neurons + _ROW, np.int32),
        np.zeros(2 * num_neurons, np.uint8),
        np.zeros(2 * num_neurons, np.uint32),
        np.zeros(len(graph.populations), np.uint8),
        fires,
        fires.view(np.uint64),
        np.zeros(num_neurons, np.uint32),
        np.zeros(num_neurons, np.int32),
        np.zeros(num_neurons, np.uint32),
        np.zeros(num_neurons, np.int32),
        np.zeros(num_neurons, np.int64),
        np.zeros(num_neurons, np.int64),
        np.zeros(num_neurons, np.float64),
        np.zeros(6, np.uint32),
        np.zeros(4, np.int64),
    )


@numba.extending.intrinsic
def _borrow(typing_context, array):
    """The same array without reference counting, while the caller keeps it alive.

    Numba counts at each use, atomically; on a few neurons that takes longer than the work,
    and threads that count the same arrays slow each other.
    """

    def generate(context, builder, signature, arguments):
        same = context.make_array(array)(context, builder, arguments[0])
        same.meminfo = context.get_constant_null(types.MemInfoPointer(types.voidptr))
        return same._getvalue()

    return array(array), generate


@_jit
def _borrow_net(net):
    return _Net(
        _borrow(net.start), _borrow(net.order), _borrow(net.population), _borrow(net.i_keep),
        _borrow(net.v_keep), _borrow(net.threshold), _borrow(net.bias), _borrow(net.first),
        _borrow(net.wiring), _borrow(net.weight), net.output,
    )  # fmt: skip


@_jit
def _borrow_state(s):
    return _State(
        _borrow(s.u), _borrow(s.v), _borrow(s.current), _borrow(s.hit), _borrow(s.hits),
        _borrow(s.swept), _borrow(s.fires), _borrow(s.fire_words), _borrow(s.fired),
        _borrow(s.fired_at), _borrow(s.released), _borrow(s.released_at), _borrow(s.pool),
        _borrow(s.heap), _borrow(s.key), _borrow(s.count), _borrow(s.number),
    )  # fmt: skip


@_inline
def _begin(s):
    """Forget the spikes of the time step before. The scratch space is clean otherwise."""
    s.count[:] = 0
    s.number[:] = 0
    s.number[_FIRST_OUTPUT] = -1


@_inline
def _end(s):
    """Refractoriness ends; spikes that still wait are discarded."""
    for i in range(s.count[_FIRED]):
        s.v[s.fired[i]] = 0
    s.count[_POOLED] = s.count[_ORDERED] = s.count[_HEAPED] = 0


# Below, functions that run per neuron or per synapse take the arrays they touch one by one:
# handing over a whole _Net or _State there costs more than the work itself.

# ---------------------------------------------------------------- delivery


@_inline
def _reach(n, hit, hits, count):
    """Remember that neuron n may have received a current."""
    if not hit[n]:
        hit[n] = 1
        hits[count[_HITS]] = n
        count[_HITS] += 1


@_inline
def _deliver_dense(wiring, c, weight, current, source, times):
    """Add one row of weights; the compiler turns the loop into vector code."""
    # Unsigned, because an index that might be negative would be checked in each turn. What lies
    # beyond the population receives zeros.
    start, length = np.uint64(wiring[c, 2]), np.uint64(wiring[c, 5]) * np.uint64(_ROW)
    first = np.uint64(wiring[c, 4]) + np.uint64(source) * length
    factor = np.int32(times)
    for o in range(length):
        current[start + o] += factor * np.int32(weight[first + o])


@_inline
def _deliver_dense_events(wiring, c, weight, current, index, times, low, high):
    """Add a row of weights for each event. Four at once, which share what they add to."""
    start, length = np.uint64(wiring[c, 2]), np.uint64(wiring[c, 5]) * np.uint64(_ROW)
    at = np.uint64(wiring[c, 4])
    i = low
    while i + 4 <= high:
        row0, row1 = at + np.uint64(index[i]) * length, at + np.uint64(index[i + 1]) * length
        row2, row3 = at + np.uint64(index[i + 2]) * length, at + np.uint64(index[i + 3]) * length
        times0, times1, times2, times3 = times[i], times[i + 1], times[i + 2], times[i + 3]
        for o in range(length):
            current[start + o] += (
                times0 * weight[row0 + o] + times1 * weight[row1 + o]
                + times2 * weight[row2 + o] + times3 * weight[row3 + o]
            )  # fmt: skip
        i += 4
    for j in range(i, high):
        _deliver_dense(wiring, c, weight, current, index[j], times[j])


@_jit
def _deliver_conv(row, weight, current, hit, hits, count, source, times):
    """Walk the taps of one source neuron that lie inside the target."""
    start, at, height, width, out_group = row[2], row[4], row[5], row[6], row[7]
    out_height, out_width, kernel_h, kernel_w = row[8], row[9], row[10], row[11]
    stride_h, stride_w, pad_h, pad_w = row[12], row[13], row[14], row[15]
    dilation_h, dilation_w, in_group = row[16], row[17], row[18]
    channel, place = divmod(source, height * width)
    y, x = divmod(place, width)
    plane = out_height * out_width
    first_target = start + channel // in_group * out_group * plane
    factor = np.int32(times)
    synops = 0
    for ky in range(kernel_h):
        top = y + pad_h - ky * dilation_h
        if top < 0 or top % stride_h or top // stride_h >= out_height:
            continue
        for kx in range(kernel_w):
            left = x + pad_w - kx * dilation_w
            if left < 0 or left % stride_w or left // stride_w >= out_width:
                continue
            target = first_target + top // stride_h * out_width + left // stride_w
            tap = at + ((channel * kernel_h + ky) * kernel_w + kx) * out_group
            for o in range(out_group):
                n = target + o * plane
                current[n] += factor * np.int32(weight[tap + o])
                _reach(n, hit, hits, count)
            synops += out_group
    return synops


@_jit
def _deliver_sparse(row, weight, current, hit, hits, count, source, times):
    """Walk the single synapses of one source neuron. Returns how many."""
    if row[0] == _CONV:
        return _deliver_conv(row, weight, current, hit, hits, count, source, times)
    n = row[2] + source
    current[n] += np.int32(times) * np.int32(weight[row[4]])
    _reach(n, hit, hits, count)
    return 1


@_inline
def _deliver_input(net, s, index, times, low, high):
    """Deliver the events low..high, those of an input frame."""
    wiring, weight, current, count = net.wiring, net.weight, s.current, s.count
    synops, spikes = 0, 0
    for i in range(low, high):
        spikes += times[i]
    for c in range(net.first[0], net.first[1]):
        if wiring[c, 0] == _DENSE:
            _deliver_dense_events(wiring, c, weight, current, index, times, low, high)
            synops += wiring[c, 3] * spikes
        else:
            for i in range(low, high):
                synops += times[i] * _deliver_sparse(
                    wiring[c], weight, current, s.hit, s.hits, count, np.int64(index[i]), times[i]
                )
    s.number[_SYNOPS] += synops


@_inline
def _deliver_spikes(net, s, neurons, low, high):
    """Deliver one spike of each of the neurons low..high."""
    wiring, weight, start, first = net.wiring, net.weight, net.start, net.first
    population, current, swept, count = net.population, s.current, s.swept, s.count
    synops = 0
    for i in range(low, high):
        p = population[neurons[i]]
        source = np.int64(neurons[i]) - np.int64(start[p])
        for c in range(first[p + 1], first[p + 2]):
            if wiring[c, 0] == _DENSE:
                _deliver_dense(wiring, c, weight, current, source, 1)
                swept[wiring[c, 1]] = 1
                synops += wiring[c, 3]
            else:
                synops += _deliver_sparse(
                    wiring[c], weight, current, s.hit, s.hits, count, source, 1
                )
    s.number[_SYNOPS] += synops


@_inline
def _forget_reached(s):
    for i in range(s.count[_HITS]):
        s.hit[s.hits[i]] = 0
    s.count[_HITS] = 0
    s.swept[:] = 0


# ---------------------------------------------------------------- the pool


@_inline
def _spike(neuron, momentum):
    """A spike as one number: the higher is released first, of equal momentum the lower index."""
    return (np.int64(momentum) << 32) | (_LAST_NEURON - np.int64(neuron))


@_inline
def _neuron(spike):
    return _LAST_NEURON - (spike & _LAST_NEURON)


@_inline
def _momentum(spike):
    return spike >> 32


@_jit
def _push_heap(heap, count, spike):
    i = np.int64(count[_HEAPED])
    count[_HEAPED] += 1
    while i > 0 and heap[(i - 1) >> 1] < spike:
        heap[i] = heap[(i - 1) >> 1]
        i = (i - 1) >> 1
    heap[i] = spike


@_jit
def _pop_heap(heap, count):
    last = np.int64(count[_HEAPED]) - 1
    count[_HEAPED] = last
    first, moved = heap[0], heap[last]
    i = 0
    while True:
        child = 2 * i + 1
        if child >= last:
            break
        if child + 1 < last and heap[child + 1] > heap[child]:
            child += 1
        if heap[child] <= moved:
            break
        heap[i] = heap[child]
        i = child
    heap[i] = moved
    return first


@_jit
def _put_in_order(pool, heap, count):
    """Sort in the spikes that have entered the pool since the last time.

    The first-ranked stand in ascending order, so that a group is taken off the end. They are
    few, for that is the fastest with few; the others, all behind them, wait in a heap.
    """
    ordered = np.int64(count[_ORDERED])
    for i in range(ordered, np.int64(count[_POOLED])):
        spike = pool[i]
        if ordered == _FRONT and spike > pool[0]:
            _push_heap(heap, count, pool[0])
            j = 0
            while j + 1 < _FRONT and pool[j + 1] < spike:
                pool[j] = pool[j + 1]
                j += 1
            pool[j] = spike
        elif ordered == _FRONT or (count[_HEAPED] > 0 and spike < heap[0]):
            _push_heap(heap, count, spike)
        else:
            j = ordered
            while j > 0 and pool[j - 1] > spike:
                pool[j] = pool[j - 1]
                j -= 1
            pool[j] = spike
            ordered += 1
    count[_ORDERED] = count[_POOLED] = ordered


@_jit
def _ahead(key_a, spike_a, key_b, spike_b):
    """By key; of equal ones the lower index, which is the higher remainder of the spike."""
    if key_a != key_b:
        return key_a > key_b
    return (spike_a & _LAST_NEURON) > (spike_b & _LAST_NEURON)


@_jit
def _select_last(pool, key, length, size):
    """Partition the pool so that its ``size`` first-ranked spikes stand at its end.

    Quickselect on (key descending, neuron ascending); that order is strict, so the chosen
    set does not depend on how the pool was arranged before.
    """
    low, high = 0, length - 1
    cut = length - size  # places cut.. hold the chosen
    while low < high:
        middle = (low + high) // 2
        pivot_key, pivot = key[middle], pool[middle]
        i, j = low, high
        while i <= j:
            while _ahead(pivot_key, pivot, key[i], pool[i]):
                i += 1
            while _ahead(key[j], pool[j], pivot_key, pivot):
                j -= 1
            if i <= j:
                pool[i], pool[j] = pool[j], pool[i]
                key[i], key[j] = key[j], key[i]
                i += 1
                j -= 1
        if cut <= j:
            high = j
        elif cut >= i:
            low = i
        else:
            return


@_jit
def _rank(net, plan, s, sample, time_step, forward_step):
    """Draw the keys of all pooled spikes."""
    pool, key, population = s.pool, s.key, net.population
    counter1 = np.uint64(forward_step) | _SCHEDULE_PURPOSE
    for i in range(s.count[_POOLED]):
        n = _neuron(pool[i])
        word0, word1, _, _ = _philox4x32(
            np.uint64(n), counter1, np.uint64(time_step), np.uint64(sample), plan.key0, plan.key1
        )
        if plan.kind == _RANDOM:
            key[i] = _uniform53(word0, word1)
        else:
            key[i] = _momentum(pool[i]) + plan.amplitude[population[n]] * _uniform24(word0)


@_inline
def _take_group(net, plan, s, sample, time_step, forward_step):
    """Move min(F, |pool|) spikes from the pool to the released ones."""
    pool, count, released = s.pool, s.count, s.released
    waiting = np.int64(count[_POOLED]) + np.int64(count[_HEAPED])
    size = min(plan.group_size, waiting)
    if size < waiting:  # otherwise their order does not matter
        if plan.kind == _MOMENTUM:
            _put_in_order(pool, s.heap, count)
        else:
            _rank(net, plan, s, sample, time_step, forward_step)
            _select_last(pool, s.key, waiting, size)
    taken = min(size, np.int64(count[_POOLED]))
    rest = np.int64(count[_POOLED]) - taken
    count[_POOLED] = rest
    count[_ORDERED] = min(np.int64(count[_ORDERED]), rest)
    first = np.int64(count[_RELEASED])
    count[_RELEASED] = first + size
    for i in range(taken):
        released[first + i] = _neuron(pool[rest + i])
    for i in range(taken, size):
        released[first + i] = _neuron(_pop_heap(s.heap, count))
    for i in range(first, first + size):
        s.released_at[i] = forward_step


# ---------------------------------------------------------------- time steps


# The arithmetic of `_dynamics` in 32 bits, eight neurons to a vector register. State has 24
# bits, biases 19; only sums of weights need more, see `_SUM_MAX`.
# Index ranges are unsigned, because an index that might be negative would be checked in each
# turn; and there are no slices, because those count references to shared arrays. So these
# loops become vector code.


@_inline
def _decay(x, keep):
    """`_dynamics.decay`; the product is split, so that its parts fit 32 bits."""
    size = np.int32(abs(x))
    low = np.int32((size & (dyn.DECAY_ONE - 1)) * keep)
    kept = np.int32((size >> dyn.DECAY_BITS) * keep + (low >> dyn.DECAY_BITS))
    return kept if x >= 0 else np.int32(-kept)


@_inline
def _clip_voltage(v):
    return min(max(v, _VOLTAGE_MIN), _VOLTAGE_MAX)


@_inline
def _wrap_current(i):
    return np.int32(((i + (_LIMIT - 1)) & (2 * _LIMIT - 1)) - (_LIMIT - 1))


@_inline
def _membrane_units(current):
    """Sum of weights -> what arrives. Twice: saturated, which overflows wherever the true
    number does; and modulo 2**32, which wraps as the true number does."""
    saturated = min(max(current, -_SUM_MAX), _SUM_MAX)
    return np.int32(saturated << _SHIFT), np.int32(current << _SHIFT)


@_inline
def _begin_range(start, stop, u, v, current, bias, i_keep, v_keep, threshold, fires):
    """Boundary and first integration of a population's neurons; marks those that fire.

    Returns the overflows.
    """
    overflows = np.int32(0)
    first = np.uint64(start)
    for k in range(np.uint64(stop) - first):
        n = first + k
        i = _decay(u[n], i_keep)
        residual = np.int32(i + bias[n])
        volt = np.int32(_decay(v[n], v_keep) + residual)
        clipped = _clip_voltage(volt)
        overflows = np.int32(overflows + (clipped != volt))
        arriving, modulo = _membrane_units(current[n])
        wrapped = _wrap_current(np.int32(i + modulo))
        overflows = np.int32(overflows + (wrapped != np.int32(i + arriving)))
        volt = np.int32(clipped + arriving)
        clipped = _clip_voltage(volt)
        overflows = np.int32(overflows + (clipped != volt))
        u[n] = wrapped
        v[n] = clipped
        touched = (current[n] != 0) | (residual != 0)
        fires[k] = touched & (clipped > threshold)
        current[n] = 0
    return overflows


@_inline
def _integrate_range(start, stop, u, v, current, threshold, fires):
    """Integrate the currents that wait for a population's neurons; marks those that fire.

    Returns the overflows.
    """
    overflows = np.int32(0)
    first = np.uint64(start)
    for k in range(np.uint64(stop) - first):
        n = first + k
        arriving, modulo = _membrane_units(current[n])
        wrapped = _wrap_current(np.int32(u[n] + modulo))
        overflows = np.int32(overflows + (wrapped != np.int32(u[n] + arriving)))
        u[n] = wrapped
        able = v[n] != _REFRACTORY
        volt = np.int32(v[n] + arriving)
        clipped = _clip_voltage(volt)
        overflows = np.int32(overflows + ((clipped != volt) & able))
        v[n] = clipped if able else _REFRACTORY
        fires[k] = able & (current[n] != 0) & (clipped > threshold)
        current[n] = 0
    return overflows


@numba.extending.intrinsic
def _trailing_zeros(typing_context, word):
    """Number of the lowest bit that is set, of a number that is not 0."""

    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate


@_inline
def _forget_marks(size, fire_words):
    """Clear what the last marks of a population are gathered with."""
    last = np.uint64(size - 1) // np.uint64(_WORD * _WORDS) * np.uint64(_WORDS)
    for w in range(np.uint64(_WORDS)):
        fire_words[last + w] = 0


@_inline
def _fire_marked(start, stop, is_output, forward_step, s):
    """Fire the marked neurons of a population, in their order."""
    for first in range(np.uint64(0), np.uint64(stop - start), np.uint64(_WORD * _WORDS)):
        marks = np.uint64(0)
        for w in range(np.uint64(_WORDS)):
            word = s.fire_words[(first >> np.uint64(3)) + w]
            # One bit of each byte, side by side.
            marks |= ((word * _GATHER) >> np.uint64(56)) << (np.uint64(8) * w)
        while marks != 0:
            n = np.uint32(start + np.int64(first + _trailing_zeros(marks)))
            marks &= marks - np.uint64(1)
            _fire(n, s.v[n], is_output, forward_step, s)


@_inline
def _fire(n, momentum, is_output, forward_step, s):
    """A spike enters the pool; its neuron is refractory from now on."""
    count = s.count
    s.pool[count[_POOLED]] = _spike(n, momentum)
    count[_POOLED] += 1
    s.v[n] = _REFRACTORY
    s.fired[count[_FIRED]] = n
    s.fired_at[count[_FIRED]] = forward_step
    count[_FIRED] += 1
    if is_output and s.number[_FIRST_OUTPUT] < 0:
        s.number[_FIRST_OUTPUT] = forward_step


@_inline
def _begin_population(net, s, p, forward_steps):
    """Boundary, the current that waits, and who fires on them."""
    start, stop = np.int64(net.start[p]), np.int64(net.start[p + 1])
    _forget_marks(stop - start, s.fire_words)
    s.number[_OVERFLOWS] += _begin_range(
        start, stop, s.u, s.v, s.current, net.bias, net.i_keep[p], net.v_keep[p],
        net.threshold[p], s.fires,
    )  # fmt: skip
    _fire_marked(start, stop, p == net.output, forward_steps, s)


@_inline
def _evaluate_reached(net, s, forward_step):
    """Evaluate every neuron that may have received a current."""
    u, v, current, count = s.u, s.v, s.current, s.count
    swept, hit, hits = s.swept, s.hit, s.hits
    first, thresholds, population = net.start, net.threshold, net.population
    for p in range(len(swept)):
        if swept[p]:
            swept[p] = 0
            start, stop = np.int64(first[p]), np.int64(first[p + 1])
            _forget_marks(stop - start, s.fire_words)
            s.number[_OVERFLOWS] += _integrate_range(
                start, stop, u, v, current, thresholds[p], s.fires
            )
            _fire_marked(start, stop, p == net.output, forward_step, s)
    for j in range(count[_HITS]):
        n = hits[j]
        hit[n] = 0
        if current[n] == 0:  # cancelled out, or evaluated above
            continue
        arriving, modulo = _membrane_units(current[n])
        current[n] = 0
        wrapped = _wrap_current(np.int32(u[n] + modulo))
        s.number[_OVERFLOWS] += wrapped != np.int32(u[n] + arriving)
        u[n] = wrapped
        if v[n] == _REFRACTORY:
            continue
        volt = np.int32(v[n] + arriving)
        clipped = _clip_voltage(volt)
        s.number[_OVERFLOWS] += clipped != volt
        v[n] = clipped
        p = population[n]
        if clipped > thresholds[p]:
            _fire(n, clipped, p == net.output, forward_step, s)
    count[_HITS] = 0


@_inline
def _async_step(net, plan, s, index, times, low, high, sample, time_step):
    """One asynchronous time step on the events low..high, of inputs ``index``."""
    _begin(s)
    _deliver_input(net, s, index, times, low, high)
    _forget_reached(s)  # every neuron decays now anyway
    for p in range(len(net.order)):
        _begin_population(net, s, p, 0)
    forward_step = 0
    while s.count[_POOLED] + s.count[_HEAPED] > 0:
        if plan.stop_after >= 0 and s.number[_FIRST_OUTPUT] >= 0 and (
            forward_step - s.number[_FIRST_OUTPUT] >= plan.stop_after
        ):
            break
        first = s.count[_RELEASED]
        _take_group(net, plan, s, sample, time_step, forward_step)
        _deliver_spikes(net, s, s.released, first, s.count[_RELEASED])
        forward_step += 1
        _evaluate_reached(net, s, forward_step)
    s.number[_FORWARD_STEPS] = forward_step
    _end(s)


@_jit
def _layer_step(net, plan, s, index, times, low, high):
    """One layer-synchronized time step."""
    _begin(s)
    late = s.current[len(s.u) : 2 * len(s.u)]
    s.current[: len(s.u)] = late
    late[:] = 0
    _deliver_input(net, s, index, times, low, high)
    fired, count = s.fired, s.count
    forward_steps = 0
    for p in net.order:
        first_fired = np.int64(count[_FIRED])
        _begin_population(net, s, p, forward_steps)
        spikes = np.int64(count[_FIRED]) - first_fired
        forward_steps += (spikes + plan.group_size - 1) // plan.group_size
        _deliver_spikes(net, s, fired, first_fired, np.int64(count[_FIRED]))
    _forget_reached(s)  # every population was evaluated once
    s.number[_FORWARD_STEPS] = forward_steps
    _end(s)


@_inline
def _any_step(net, plan, s, index, times, low, high, sample, time_step):
    if plan.layered:
        _layer_step(net, plan, s, index, times, low, high)
    else:
        _async_step(net, plan, s, index, times, low, high, sample, time_step)


# ---------------------------------------------------------------- batches


class _Events(NamedTuple):
    """One sample's input by time step; those of time step t are begin[t]..begin[t + 1]."""

    begin: npt.NDArray[np.uint32]  # (T + 1,)
    index: npt.NDArray[np.uint32]  # input neurons
    times: npt.NDArray[np.int32]  # spikes of each
    words: npt.NDArray[np.uint32]  # scratch space: words with events
    entries: npt.NDArray[np.uint32]  # scratch space: entries with events


def _new_events(num_entries: int, num_steps: int) -> _Events:
    return _Events(
        np.zeros(num_steps + 1, np.uint32),
        np.zeros(num_entries + 1, np.uint32),
        np.zeros(num_entries + 1, np.int32),
        np.zeros(num_entries + 1, np.uint32),
        np.zeros(num_entries + 1, np.uint32),
    )


@_jit
def _find_events(e, words, flat, num_steps):
    """Find the entries that are not 0 in one sample, an (n_inputs, T) array in C order.

    ``words`` are the same bytes, eight at a time.
    """
    found_words = np.uint64(0)
    for w in range(np.uint64(len(words))):
        # Without a branch, here and below: whether an entry is 0 is hard to predict.
        e.words[found_words] = w
        found_words += np.uint64(words[w] != 0)
    per_word = len(flat) // len(words)
    found = np.uint64(0)
    for k in range(found_words):
        low = np.int64(e.words[k]) * per_word
        for i in range(np.uint64(low), np.uint64(low + per_word)):
            e.entries[found] = i
            found += np.uint64(flat[i] != 0)

    begin, steps = e.begin, np.uint32(num_steps)
    begin[:] = 0
    for k in range(found):
        begin[np.uint32(e.entries[k] % steps) + 1] += 1
    for t in range(num_steps):
        begin[t + 1] += begin[t]
    for k in range(found):
        i = e.entries[k]
        t = np.uint32(i % steps)
        e.index[begin[t]] = i // steps
        e.times[begin[t]] = flat[i]
        begin[t] += 1
    # Each begin is now the next one.
    for t in range(num_steps, 0, -1):
        begin[t] = begin[t - 1]
    begin[0] = 0


@_jit
def _borrow_events(e):
    return _Events(
        _borrow(e.begin), _borrow(e.index), _borrow(e.times), _borrow(e.words),
        _borrow(e.entries),
    )  # fmt: skip


@_jit
def _any_samples(
    net, plan, s, e, words, frames, sample_ids, low, high, spikes, numbers, trace, fired_at,
    released_at,
):  # fmt: skip
    """Run samples low..high of a batch; see `run` for the arrays."""
    net, s, e = _borrow_net(net), _borrow_state(s), _borrow_events(e)
    spikes, numbers, sample_ids = _borrow(spikes), _borrow(numbers), _borrow(sample_ids)
    fired_at, released_at = _borrow(fired_at), _borrow(released_at)
    num_steps = spikes.shape[2]
    outputs = net.start[net.output], net.start[net.output + 1]
    for b in range(low, high):
        s.u[:] = 0
        s.v[:] = 0
        s.current[:] = 0
        _find_events(e, _borrow(words[b]), _borrow(frames[b]), num_steps)
        for t in range(num_steps):
            first, last = e.begin[t], e.begin[t + 1]
            _any_step(net, plan, s, e.index, e.times, first, last, sample_ids[b], t)
            numbers[0, b, t] = s.number[_FORWARD_STEPS]
            numbers[1, b, t] = s.number[_SYNOPS]
            numbers[2, b, t] = s.number[_OVERFLOWS]
            for i in range(s.count[_FIRED]):
                n = s.fired[i]
                spikes[b, n, t] = 1
                if trace:
                    fired_at[b, n, t] = s.fired_at[i]
                elif outputs[0] <= n < outputs[1]:
                    fired_at[b, n - outputs[0], t] = s.fired_at[i]
            if trace:
                for i in range(s.count[_RELEASED]):
                    released_at[b, s.released[i], t] = s.released_at[i]


def _entry_points(sources: str):
    """What Python calls, compiled once and kept on disk (Numba: beside this file, or in the
    user's cache folder where that is read-only).

    Numba's cache notices changes of this file only, yet the arithmetic stands in others. What
    a function closes over is part of its key in the cache, so ``sources``, a digest of all of
    them, voids it. That is also why nothing else here is cached.
    """

    @numba.njit(cache=True, nogil=True)
    def run_samples(
        net, plan, s, e, words, frames, sample_ids, low, high, spikes, numbers, trace, fired_at,
        released_at,
    ):  # fmt: skip
        if sources != "":
            _any_samples(
                net, plan, s, e, words, frames, sample_ids, low, high, spikes, numbers, trace,
                fired_at, released_at,
            )  # fmt: skip

    @numba.njit(cache=True, nogil=True)
    def step(net, plan, s, index, times, sample, time_step):
        if sources != "":
            _any_step(
                _borrow_net(net), plan, _borrow_state(s), index, times, 0, len(index), sample,
                time_step,
            )  # fmt: skip

    return run_samples, step


def _digest(*modules: ModuleType) -> str:
    digest = hashlib.sha256()
    for module in modules:
        digest.update(inspect.getsource(module).encode())
    return digest.hexdigest()


_run_samples, _step = _entry_points(_digest(dyn, _random))


def _whole_words(x: npt.NDArray[np.integer]) -> npt.NDArray:
    """A batch (B, entries) whose samples are whole words, with zeros at their ends.

    Writeable, because Numba would compile everything again for read-only arrays.
    """
    dtype = np.dtype(np.uint8 if x.dtype == np.uint8 else np.int32)
    missing = -x.shape[1] % (_WORD // dtype.itemsize)
    if missing:
        x = np.pad(x, ((0, 0), (0, missing)))
    frames = np.require(x, dtype, ["C", "W"])
    return frames if frames.ctypes.data % _WORD == 0 else frames.copy()


def run(
    graph: Graph,
    x: npt.NDArray[np.integer],
    schedule: Schedule,
    stop_after: int | None = None,
    sample_ids: npt.NDArray[np.integer] | None = None,
    trace: bool = False,
    *,
    num_threads: int | None = None,
) -> Record:
    """Run a batch. Arguments are those of `simulate`, already validated.

    x : (B, *input_shape, T).
    """
    batch, num_steps = x.shape[0], x.shape[-1]
    frames = _whole_words(x.reshape(batch, -1))
    ids = np.arange(batch) if sample_ids is None else np.asarray(sample_ids, np.int64)
    net = _compile_graph(graph, schedule)
    plan = _compile_schedule(net, schedule, stop_after)
    output = graph.slice(graph.output)

    num_neurons = graph.num_neurons
    spikes = np.zeros((batch, num_neurons, num_steps), np.int8)
    numbers = np.zeros((3, batch, num_steps), np.int64)
    rows = num_neurons if trace else output.stop - output.start
    fired_at = np.full((batch, rows, num_steps), -1, np.int32)
    released_at = np.full((batch, num_neurons, num_steps) if trace else (0, 0, 0), -1, np.int32)

    def work(low: int, high: int) -> None:
        # Made here, so that it is alive while the kernel borrows it.
        s, e = _new_state(graph), _new_events(frames.shape[1], num_steps)
        _run_samples(
            net, plan, s, e, frames.view(np.uint64), frames, ids, low, high, spikes, numbers,
            trace, fired_at, released_at,
        )  # fmt: skip

    threads = min(num_threads or len(os.sched_getaffinity(0)), batch)
    if threads == 1:
        work(0, batch)
    else:
        # More pieces than threads: samples differ in how many events they hold.
        cuts = np.linspace(0, batch, min(batch, 8 * threads) + 1).astype(int)
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, cuts[:-1], cuts[1:]))

    shape = (batch, *graph.out_shape, num_steps)
    return Record(
        spikes=spikes[:, output].reshape(shape),
        all_spikes=spikes,
        forward_steps=numbers[0],
        synops=numbers[1],
        output_steps=(fired_at[:, output] if trace else fired_at).reshape(shape),
        overflows=numbers[2],
        fired_at=fired_at if trace else None,
        released_at=released_at if trace and not plan.layered else None,
    )


# ---------------------------------------------------------------- one time step at a time


class StepResult(NamedTuple):
    """What one time step measured; N neurons."""

    spikes: npt.NDArray[np.int8]  # (N,)
    fired_at: npt.NDArray[np.int32]  # (N,) forward steps run when it fired, -1: did not
    released_at: npt.NDArray[np.int32]  # (N,) forward step that released it, -1: none did
    forward_steps: int
    synops: int
    overflows: int
    first_output: int  # fired_at of the first output spike, -1: none


class Stepper:
    """One sample after the other, one time step at a time, on one thread.

    Parameters
    ----------
    graph : Graph
    schedule : Schedule
    stop_after : int, optional
        As in `simulate`.

    Attributes
    ----------
    current, voltage : (N,) int32
        The state, in membrane units; may be written between steps.
    """

    def __init__(self, graph: Graph, schedule: Schedule, stop_after: int | None = None):
        self._net = _compile_graph(graph, schedule)
        self._plan = _compile_schedule(self._net, schedule, stop_after)
        self._state = _new_state(graph)
        self.reset()

    @property
    def current(self) -> npt.NDArray[np.int32]:
        return self._state.u

    @property
    def voltage(self) -> npt.NDArray[np.int32]:
        return self._state.v

    def reset(self, sample: int = 0) -> None:
        """Zero the state; a sample with this index begins."""
        for state in (self._state.u, self._state.v, self._state.current):
            state[:] = 0
        self._sample, self._time_step = sample, 0

    def step(self, frame: npt.NDArray[np.integer]) -> StepResult:
        """Run one time step on an input frame (n_inputs,) of whole numbers >= 0."""
        s = self._state
        index = np.flatnonzero(frame).astype(np.uint32)
        times = frame[index].astype(np.int32)
        _step(self._net, self._plan, s, index, times, self._sample, self._time_step)
        self._time_step += 1
        fired_at = self._list(s.fired, s.fired_at, _FIRED)
        return StepResult(
            (fired_at >= 0).astype(np.int8),
            fired_at,
            self._list(s.released, s.released_at, _RELEASED),
            int(s.number[_FORWARD_STEPS]),
            int(s.number[_SYNOPS]),
            int(s.number[_OVERFLOWS]),
            int(s.number[_FIRST_OUTPUT]),
        )

    def _list(
        self, neurons: npt.NDArray[np.uint32], times: npt.NDArray[np.int32], count: int
    ) -> npt.NDArray[np.int32]:
        """When it happened to each neuron (N,), -1: it did not."""
        result = np.full(len(self._state.u), -1, np.int32)
        length = self._state.count[count]
        result[neurons[:length]] = times[:length]
        return result
