"""The pool: spikes that fired and wait, and which of them are released next."""

from __future__ import annotations

import numpy as np

from lava_async._kernel._compiler import inline, jit
from lava_async._kernel._draws import SCHEDULE, philox4x32, uniform24, uniform53
from lava_async._kernel._layout import FIFO, HEAPED, MOMENTUM, ORDERED, POOLED, RANDOM, RELEASED

_LAST_NEURON = (1 << 32) - 1
_FRONT = 64  # waiting spikes that are kept in order; see `_put_in_order`


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
    i = np.int64(count[HEAPED])
    count[HEAPED] += 1
    while i > 0 and heap[(i - 1) >> 1] < spike:
        heap[i] = heap[(i - 1) >> 1]
        i = (i - 1) >> 1
    heap[i] = spike


@jit
def _pop_heap(heap, count):
    """Take out the first-ranked spike."""
    last = np.int64(count[HEAPED]) - 1
    count[HEAPED] = last
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


@jit
def _put_in_order(pool, heap, count):
    """Sort in the spikes that have entered the pool since the last time.

    The first-ranked stand in ascending order, so that a group is taken off the end. They are
    few, for that is the fastest with few; the others, all behind them, wait in a heap.
    """
    ordered = np.int64(count[ORDERED])
    for i in range(ordered, np.int64(count[POOLED])):
        spike = pool[i]
        if ordered == _FRONT and spike > pool[0]:
            _push_heap(heap, count, pool[0])
            j = 0
            while j + 1 < _FRONT and pool[j + 1] < spike:
                pool[j] = pool[j + 1]
                j += 1
            pool[j] = spike
        elif ordered == _FRONT or (count[HEAPED] > 0 and spike < heap[0]):
            _push_heap(heap, count, spike)
        else:
            j = ordered
            while j > 0 and pool[j - 1] > spike:
                pool[j] = pool[j - 1]
                j -= 1
            pool[j] = spike
            ordered += 1
    count[ORDERED] = count[POOLED] = ordered


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
    if size < waiting:  # otherwise their order does not matter
        if plan.kind == MOMENTUM or plan.kind == FIFO:  # ranked once, as they fired
            _put_in_order(pool, s.heap, count)
        else:
            _rank(net, plan, s, sample, time_step, forward_step)
            _select_last(pool, s.key, waiting, size)
    taken = min(size, np.int64(count[POOLED]))
    rest = np.int64(count[POOLED]) - taken
    count[POOLED] = rest
    count[ORDERED] = min(np.int64(count[ORDERED]), rest)
    first = np.int64(count[RELEASED])
    count[RELEASED] = first + size
    for i in range(taken):
        released[first + i] = _neuron(pool[rest + i])
    for i in range(taken, size):
        released[first + i] = _neuron(_pop_heap(s.heap, count))
    for i in range(first, first + size):
        s.released_at[i] = forward_step
