"""Delivery: spikes become weighted sums at their targets.

A released spike walks its own synapses only, a convolution tap by tap. Of the targets of
single synapses a list is kept; of those of a whole row of weights, the population.
"""

from __future__ import annotations

import numpy as np

from lava_async._kernel._compiler import inline, jit
from lava_async._kernel._layout import (
    AT,
    BLOCKS,
    CONV,
    DENSE,
    HITS,
    KIND,
    ROW,
    SIZE,
    START,
    SYNOPS,
    TARGET,
)


@inline
def _reach(n, hit, hits, count):
    """Remember that neuron n may have received a current."""
    if not hit[n]:
        hit[n] = 1
        hits[count[HITS]] = n
        count[HITS] += 1


@inline
def _deliver_dense(wiring, c, weight, current, source, times):
    """Add one row of weights; the compiler turns the loop into vector code."""
    # What lies beyond the population receives zeros.
    start, length = np.uint64(wiring[c, START]), np.uint64(wiring[c, BLOCKS]) * np.uint64(ROW)
    first = np.uint64(wiring[c, AT]) + np.uint64(source) * length
    factor = np.int32(times)
    for o in range(length):
        current[start + o] += factor * np.int32(weight[first + o])


@inline
def _deliver_dense_events(wiring, c, weight, current, index, times, low, high):
    """Add a row of weights for each event. Four at once, which share what they add to."""
    start, length = np.uint64(wiring[c, START]), np.uint64(wiring[c, BLOCKS]) * np.uint64(ROW)
    at = np.uint64(wiring[c, AT])
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


@jit
def _deliver_conv(row, weight, current, hit, hits, count, source, times):
    """Walk the taps of one source neuron that lie inside the target."""
    start, at, height, width, out_group = row[START], row[AT], row[5], row[6], row[7]
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


@jit
def _deliver_sparse(row, weight, current, hit, hits, count, source, times):
    """Walk the single synapses of one source neuron. Returns how many."""
    if row[KIND] == CONV:
        return _deliver_conv(row, weight, current, hit, hits, count, source, times)
    n = row[START] + source
    current[n] += np.int32(times) * np.int32(weight[row[AT]])
    _reach(n, hit, hits, count)
    return 1


@inline
def deliver_input(net, s, index, times, low, high):
    """Deliver the events low..high, those of an input frame."""
    wiring, weight, current, count = net.wiring, net.weight, s.current, s.count
    synops, spikes = 0, 0
    for i in range(low, high):
        spikes += times[i]
    for c in range(net.first[0], net.first[1]):
        if wiring[c, KIND] == DENSE:
            _deliver_dense_events(wiring, c, weight, current, index, times, low, high)
            synops += wiring[c, SIZE] * spikes
        else:
            for i in range(low, high):
                synops += times[i] * _deliver_sparse(
                    wiring[c], weight, current, s.hit, s.hits, count, np.int64(index[i]), times[i]
                )
    s.number[SYNOPS] += synops


@inline
def deliver_spikes(net, s, neurons, low, high):
    """Deliver one spike of each of the neurons low..high."""
    wiring, weight, start, first = net.wiring, net.weight, net.start, net.first
    population, current, swept, count = net.population, s.current, s.swept, s.count
    synops = 0
    for i in range(low, high):
        p = population[neurons[i]]
        source = np.int64(neurons[i]) - np.int64(start[p])
        for c in range(first[p + 1], first[p + 2]):
            if wiring[c, KIND] == DENSE:
                _deliver_dense(wiring, c, weight, current, source, 1)
                swept[wiring[c, TARGET]] = 1
                synops += wiring[c, SIZE]
            else:
                synops += _deliver_sparse(
                    wiring[c], weight, current, s.hit, s.hits, count, source, 1
                )
    s.number[SYNOPS] += synops


@inline
def forget_reached(s):
    """Where every neuron is evaluated anyway, nobody needs to know who received a current."""
    for i in range(s.count[HITS]):
        s.hit[s.hits[i]] = 0
    s.count[HITS] = 0
    s.swept[:] = 0
