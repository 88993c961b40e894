"""Convolutions, walked tap by tap: layout and delivery."""

from __future__ import annotations

import numpy as np

from lava_async._kernel._compiler import alone, inline
from lava_async._kernel._layout import AT, CONV, OWN, START
from lava_async._kernel.connections.layout import (
    arrange,
    lay_out,
    restore,
    room_for_targets,
    room_to_learn,
    turn_round,
)
from lava_async._kernel.connections.products import ROW
from lava_async._kernel.connections.reach import reach, take_place
from lava_async._semantics.connections import Conv

(
    HEIGHT, WIDTH, OUT_GROUP, OUT_HEIGHT, OUT_WIDTH, KERNEL_H, KERNEL_W, STRIDE_H, STRIDE_W,
    PAD_H, PAD_W, DILATION_H, DILATION_W, IN_GROUP, GROUPS, RUNS,
) = range(OWN, OWN + 16)  # columns  # fmt: skip


@lay_out.register
def _(connection: Conv, source_shape, target_shape, arrays):
    c = connection
    _, height, width = source_shape
    out_channels, out_height, out_width = target_shape
    _, in_group, kernel_h, kernel_w = c.weight.shape
    own = [height, width, out_channels // c.groups, out_height, out_width, kernel_h, kernel_w]
    own += [*c.stride, *c.padding, *c.dilation, in_group, c.groups, _runs(c)[0]]
    arranged = np.zeros(c.weight.size, np.int16)
    arrange(c, c.weight, arranged)
    return CONV, arrays.add("weight", arranged, np.int16), own


@arrange.register
def _(connection: Conv, weight, arranged):
    # (groups, out, in, kh, kw) -> (groups, in, kh, kw, out): source channel first, targets last
    out, *taps = weight.shape
    groups = connection.groups
    by_group = weight.reshape(groups, out // groups, *taps)
    arranged[: weight.size].reshape(groups, *taps, -1)[:] = by_group.transpose(0, 2, 3, 4, 1)


@turn_round.register
def _(connection: Conv, weight):
    # Runs of taps, sources of a place side by side, filled up with zeros and cut into pieces of
    # `ROW`, as `credit` goes through them: (groups, runs, pieces, out, ROW).
    _, length = _runs(connection)
    groups, pieces = connection.groups, -(-length // ROW)
    taps = weight.transpose(0, 2, 3, 1).reshape(groups, len(weight) // groups, -1, length)
    taps = np.pad(taps, ((0, 0), (0, 0), (0, 0), (0, pieces * ROW - length)))
    return taps.reshape(*taps.shape[:3], pieces, ROW).transpose(0, 2, 3, 1, 4)


def _runs(connection: Conv) -> tuple[int, int]:
    """How many runs of neighbours a row of taps is, and how long each is."""
    _, in_group, _, kernel_w = connection.weight.shape
    if connection.groups == 1 and connection.dilation[1] == 1:
        return 1, kernel_w * in_group
    return kernel_w, in_group


@room_for_targets.register
def _(connection: Conv, targets):
    out = len(connection.weight) // connection.groups
    return targets // out * _filled_up(out)


@room_to_learn.register
def _(connection: Conv, weight):
    return room_for_targets(connection, weight.size)


def _filled_up(length):
    return -(-length // ROW) * ROW


@restore.register
def _(connection: Conv, gradient):
    out, *taps = connection.weight.shape
    groups = connection.groups
    by_group = gradient.reshape(groups, *taps, _filled_up(out // groups))[..., : out // groups]
    return by_group.transpose(0, 4, 1, 2, 3).reshape(connection.weight.shape)


@inline
def _place(row, source):
    """Channel and place of a source neuron; places are those of the padded source."""
    plane, width = np.uint64(row[HEIGHT] * row[WIDTH]), np.uint64(row[WIDTH])
    channel = np.uint64(source) // plane
    place = np.uint64(source) - channel * plane
    y = place // width
    return np.int64(channel), np.int64(y) + row[PAD_H], np.int64(place - y * width) + row[PAD_W]


@inline
def _targets(place, span, stride, size):
    """Which targets a place reaches along one axis, if its taps span so much: first..last."""
    first = np.int64(0)
    if place > span:
        first = np.int64(np.uint64(place - span + stride - 1) // np.uint64(stride))
    return first, min(np.int64(size), np.int64(np.uint64(place) // np.uint64(stride)) + 1)


@inline
def reached(row, source):
    """Of a source neuron: channel, place, and the ranges of rows and columns that it reaches."""
    channel, y, x = _place(row, source)
    span_h, span_w = (row[KERNEL_H] - 1) * row[DILATION_H], (row[KERNEL_W] - 1) * row[DILATION_W]
    top, bottom = _targets(y, span_h, row[STRIDE_H], row[OUT_HEIGHT])
    left, right = _targets(x, span_w, row[STRIDE_W], row[OUT_WIDTH])
    return channel, y, x, top, bottom, left, right


@inline
def _tap(distance, dilation):
    """The tap at a distance along one axis; -1 if none is there."""
    if dilation == 1:
        return distance
    tap = np.int64(np.uint64(distance) // np.uint64(dilation))
    return tap if tap * dilation == distance else np.int64(-1)


@inline
def row_of_weights(row, channel, y, x, i, j):
    """Which row of weights is between a source and the targets at row i, column j; -1: none."""
    ky = _tap(y - i * row[STRIDE_H], row[DILATION_H])
    kx = _tap(x - j * row[STRIDE_W], row[DILATION_W])
    tap = (channel * row[KERNEL_H] + ky) * row[KERNEL_W] + kx
    return tap if ky >= 0 and kx >= 0 else np.int64(-1)


@inline
def _deliver_one(synapses, targets, listed, packed, source, factor, length, free):
    """Walk the taps of one source neuron that lie inside the target.

    Returns how many, how many targets are listed then, and the free place.
    """
    row, weight, current = synapses.row, synapses.weight, targets.current
    out_group, plane = row[OUT_GROUP], row[OUT_HEIGHT] * row[OUT_WIDTH]
    channel, y, x, top, bottom, left, right = reached(row, source)
    first_target = row[START] + channel // row[IN_GROUP] * out_group * plane
    synops = 0
    for i in range(top, bottom):
        for j in range(left, right):
            weights = row_of_weights(row, channel, y, x, i, j)
            if weights < 0:
                continue
            n = np.uint64(first_target + i * row[OUT_WIDTH] + j)
            tap = np.uint64(row[AT] + weights * row[OUT_GROUP])
            synops += out_group
            if packed:
                for o in range(np.uint64(out_group)):
                    own, free = take_place(n, targets.place, targets.owner, free)
                    current[own] += factor * np.int32(weight[tap + o])
                    if listed:
                        length = reach(own, targets.hit, targets.hits, length)
                    n += np.uint64(plane)
                continue
            if listed:
                for o in range(np.uint64(out_group)):
                    length = reach(n + o * np.uint64(plane), targets.hit, targets.hits, length)
            for o in range(np.uint64(out_group)):
                current[n] += factor * np.int32(weight[tap + o])
                n += np.uint64(plane)
    return synops, length, free


@alone
def deliver(synapses, spikes, targets):
    """Walk the taps of neurons that spike. Returns how many."""
    start, listed, packed = np.uint64(synapses.row[START]), targets.listed, targets.packed
    synops, length = 0, np.uint64(targets.num_hits[0])
    free = start + np.uint64(targets.used[0])
    for i in range(spikes.count):
        source = np.int64(np.uint64(spikes.neurons[i]) - spikes.first_neuron)
        factor = spikes.times[i] if spikes.counted else np.int32(1)
        if listed or packed:
            taps, length, free = _deliver_one(
                synapses, targets, listed, packed, source, factor, length, free
            )
        else:  # known when this is compiled, which makes it faster
            taps, length, free = _deliver_one(
                synapses, targets, False, False, source, factor, length, free
            )
        synops += np.int64(factor) * taps
    targets.num_hits[0], targets.used[0] = length, free - start
    return synops
