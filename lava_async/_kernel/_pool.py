"""The pool: spikes that fired and wait, and which of them are released next."""

from __future__ import annotations

import numpy as np

from lava_async._kernel._compiler import apart, inline, jit
from lava_async._kernel._draws import SCHEDULE, philox4x32, uniform24, uniform53
from lava_async._kernel._layout import (
    FIFO,
    HEAPED,
    LANES,
    MOMENTUM,
    ORDERED,
    POOLED,
    RANDOM,
    RANKED,
    RELEASED,
)

_LAST_NEURON = (1 << 32) - 1
_FEW = 128  # waiting spikes that are ranked all against all, see `_push_back` ...
_LARGE_GROUP = 4  # ... where so many are taken at once
_FRONT = np.uint64(64)  # waiting spikes that are kept in order; see `_put_in_order`
_ONE = np.uint64(1)


@inline
def spike(neuron, momentum):
    """A spike as one number: the higher is released first, of equal momentum the lower index.

    Where age counts instead, the forward step of firing, negative, stands for the momentum.
    """
    return (np.int64(momentum) << 32) | (_LAST_NEURON - np.int64(neuron))


@inline
def _neuron(spike):
    """Its index: the lower half of a spike."""
    return _LAST_NEURON - (spike & _LAST_NEURON)


@inline
def _momentum(spike):
    """The upper half of a spike."""
    return spike >> 32


@jit
def _push_heap(heap, count, spike):
    """Add a spike. In this binary heap the first-ranked one stands first."""
    i = np.uint64(count[HEAPED])
    count[HEAPED] += 1
    while i > 0:
        parent = (i - _ONE) >> _ONE
        if heap[parent] >= spike:
            break
        heap[i] = heap[parent]
        i = parent
    heap[i] = spike


@jit
def _pop_heap(heap, count):
    """Take out the first-ranked spike."""
    last = np.uint64(count[HEAPED]) - _ONE
    count[HEAPED] = last
    first, moved = heap[0], heap[last]
    i = np.uint64(0)
    while True:
        child = i + i + _ONE
        if child >= last:
            break
        if child + _ONE < last and heap[child + _ONE] > heap[child]:
            child += _ONE
        if heap[child] <= moved:
            break
        heap[i] = heap[child]
        i = child
    heap[i] = moved
    return first


@jit
def _put_in_order(pool, heap, count):
    """Sort in the spikes that have entered the pool since the last time.

    The first-ranked stand in ascending order, so that a group is taken off the end. They are
    few, for that is the fastest with few; the others, all behind them, wait in a heap.
    """
    ordered = np.uint64(count[ORDERED])
    for i in range(ordered, np.uint64(count[POOLED])):
        spike = pool[i]
        if ordered == _FRONT and spike > pool[0]:
            _push_heap(heap, count, pool[0])
            j = np.uint64(0)
            while j + _ONE < _FRONT and pool[j + _ONE] < spike:
                pool[j] = pool[j + _ONE]
                j += _ONE
            pool[j] = spike
        elif ordered == _FRONT or (count[HEAPED] > 0 and spike < heap[0]):
            _push_heap(heap, count, spike)
        else:
            j = ordered
            while j > 0 and pool[j - _ONE] > spike:
                pool[j] = pool[j - _ONE]
                j -= _ONE
            pool[j] = spike
            ordered += _ONE
    count[ORDERED] = count[POOLED] = ordered


@apart
def _push_back(pool, rank, spike, length, ordered, kept):
    """Those behind this spike move one rank back. Returns how many ordered ones are ahead of it.

    Only ``kept`` ones have a rank yet. Without a branch, because how two spikes compare is hard
    to predict: that takes less time than to insert it into a sorted list.
    """
    ahead = ordered
    for i in range(length):
        behind = np.int64(pool[i] < spike)
        rank[i] = (rank[i] if np.int64(i) < kept else 0) + behind
        ahead -= behind if np.int64(i) < ordered else 0
    return ahead


@jit
def _rank_new(pool, rank, ahead, count):
    """Rank the spikes that have entered the pool since the last time, the first-ranked 0."""
    ordered, pooled = np.int64(count[RANKED]), np.int64(count[POOLED])
    length = np.uint64(pooled + LANES - 1) // np.uint64(LANES) * np.uint64(LANES)
    kept = ordered
    for i in range(np.uint64(ordered), np.uint64(pooled)):
        ahead[i] = _push_back(pool, rank, pool[i], length, ordered, kept)
        kept = pooled
    for i in range(np.uint64(ordered), np.uint64(pooled)):
        rank[i] += ahead[i]


@jit
def _take_ranked(pool, rank, count, released, size):
    """Move the spikes with a rank below ``size``; the others close up."""
    kept, taken = np.uint64(0), np.uint64(count[RELEASED])
    for i in range(np.uint64(count[POOLED])):
        spike, place = pool[i], rank[i]
        released[taken] = _neuron(spike)  # or of a later one that is taken
        taken += np.uint64(place < size)
        pool[kept], rank[kept] = spike, place - size
        kept += np.uint64(place >= size)
    count[POOLED] = count[RANKED] = kept
    count[ORDERED] = 0


@jit
def _ahead(key_a, spike_a, key_b, spike_b):
    """By key; of equal ones the lower index, which is the higher remainder of the spike."""
    if key_a != key_b:
        return key_a > key_b
    return (spike_a & _LAST_NEURON) > (spike_b & _LAST_NEURON)


@jit
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


@jit
def _rank(net, plan, s, sample, time_step, forward_step):
    """Draw the keys of all pooled spikes."""
    pool, key, population = s.pool, s.key, net.population
    counter1 = np.uint64(forward_step) | SCHEDULE
    for i in range(s.count[POOLED]):
        n = _neuron(pool[i])
        word0, word1, _, _ = philox4x32(
            np.uint64(n), counter1, np.uint64(time_step), np.uint64(sample), plan.key0, plan.key1
        )
        if plan.kind == RANDOM:
            key[i] = uniform53(word0, word1)
        else:
            key[i] = _momentum(pool[i]) + plan.amplitude[population[n]] * uniform24(word0)


@inline
def take_group(net, plan, s, sample, time_step, forward_step):
    """Move min(F, |pool|) spikes from the pool to the released ones."""
    pool, count, released = s.pool, s.count, s.released
    waiting = np.int64(count[POOLED]) + np.int64(count[HEAPED])
    size = min(plan.group_size, waiting)
    first = np.int64(count[RELEASED])
    taken = np.int64(0)
    if size < waiting:  # otherwise their order does not matter
        if plan.kind != MOMENTUM and plan.kind != FIFO:
            _rank(net, plan, s, sample, time_step, forward_step)
            _select_last(pool, s.key, waiting, size)
        elif size >= _LARGE_GROUP and waiting <= _FEW and count[HEAPED] == 0:
            _rank_new(pool, s.rank, s.ahead, count)
            _take_ranked(pool, s.rank, count, released, size)
            taken = size
        else:
            _put_in_order(pool, s.heap, count)
            count[RANKED] = 0
    if taken == 0:
        taken = min(size, np.int64(count[POOLED]))
        rest = np.int64(count[POOLED]) - taken
        count[POOLED] = rest
        count[ORDERED] = min(np.int64(count[ORDERED]), rest)
        count[RANKED] = min(np.int64(count[RANKED]), rest)
        for i in range(taken):
            released[first + i] = _neuron(pool[rest + i])
        for i in range(taken, size):
            released[first + i] = _neuron(_pop_heap(s.heap, count))
    for i in range(first, first + size):
        s.released_at[i] = forward_step
    count[RELEASED] = first + size
