"""Convolutions, walked tap by tap."""

from __future__ import annotations

import numpy as np

from lava_async._kernel._compiler import inline, jit
from lava_async._kernel._layout import AT, CONV, NEVER, OWN, SIZE, START
from lava_async._kernel.connections.currents import by_current
from lava_async._kernel.connections.layout import arrange, lay_out, restore, turn_round
from lava_async._kernel.connections.reach import reach
from lava_async._semantics.connections import Conv

(
    HEIGHT, WIDTH, OUT_GROUP, OUT_HEIGHT, OUT_WIDTH, KERNEL_H, KERNEL_W, STRIDE_H, STRIDE_W,
    PAD_H, PAD_W, DILATION_H, DILATION_W, IN_GROUP, GROUPS,
) = range(OWN, OWN + 15)  # columns  # fmt: skip


@lay_out.register
def _(connection: Conv, source_shape, target_shape, arrays):
    c = connection
    _, height, width = source_shape
    out_channels, out_height, out_width = target_shape
    _, in_group, kernel_h, kernel_w = c.weight.shape
    own = [height, width, out_channels // c.groups, out_height, out_width, kernel_h, kernel_w]
    own += [*c.stride, *c.padding, *c.dilation, in_group, c.groups]
    return CONV, arrays.add("weight", arrange(c, c.weight), np.int16), own


@arrange.register
def _(connection: Conv, weight):
    # (groups, out, in, kh, kw) -> (groups, in, kh, kw, out): source channel first, targets last
    out, *taps = weight.shape
    groups = connection.groups
    return weight.reshape(groups, out // groups, *taps).transpose(0, 2, 3, 4, 1)


@turn_round.register
def _(connection: Conv, weight):
    # Of each target the taps row by row, sources of a place side by side.
    return np.ascontiguousarray(weight.transpose(0, 2, 3, 1))


@restore.register
def _(connection: Conv, gradient):
    out, *taps = connection.weight.shape
    by_group = gradient.reshape(connection.groups, *taps, out // connection.groups)
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
def _reached(row, source):
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


@jit
def deliver(net, row, start, current, hit, hits, count, now, source, times):
    """Walk the taps of one source neuron that lie inside the target. Returns how many."""
    out_group, plane = row[OUT_GROUP], row[OUT_HEIGHT] * row[OUT_WIDTH]
    channel, y, x, top, bottom, left, right = _reached(row, source)
    first_target = start + channel // row[IN_GROUP] * out_group * plane
    factor = np.int32(times)
    synops = 0
    for i in range(top, bottom):
        ky = _tap(y - i * row[STRIDE_H], row[DILATION_H])
        if ky < 0:
            continue
        for j in range(left, right):
            kx = _tap(x - j * row[STRIDE_W], row[DILATION_W])
            if kx < 0:
                continue
            n = np.uint64(first_target + i * row[OUT_WIDTH] + j)
            tap = ((channel * row[KERNEL_H] + ky) * row[KERNEL_W] + kx) * out_group
            tap = np.uint64(row[AT] + tap)
            for o in range(np.uint64(out_group)):
                current[n] += factor * np.int32(net.weight[tap + o])
                if now:
                    reach(n, hit, hits, count)
                n += np.uint64(plane)
            synops += out_group
    return synops


@inline
def credit(
    row, weight, at, by_v, by_u, fired_at, first_source, num_sources, released_at, now, out,
    listed, canvas, marks,
):  # fmt: skip
    """What all sources get back in one time step, see `dense.credit`.

    Channels of a place are made neighbours on a padded ``canvas``, so that a target adds a whole
    row of taps at once; ``marks`` has when they were released.
    """
    height, width, groups = row[HEIGHT], row[WIDTH], row[GROUPS]
    channels, in_group, out_group = groups * row[IN_GROUP], row[IN_GROUP], row[OUT_GROUP]
    kernel_h, kernel_w, plane = row[KERNEL_H], row[KERNEL_W], row[OUT_HEIGHT] * row[OUT_WIDTH]
    line = (width + 2 * row[PAD_W]) * channels
    room = np.uint64((height + 2 * row[PAD_H]) * line)
    for i in range(room):
        canvas[i] = 0
    start, size = np.uint64(row[START]), np.uint64(row[SIZE])
    anyone = False
    if now:
        for n in range(start, start + size):
            anyone |= fired_at[n] != NEVER
    if anyone:
        for c in range(channels):
            for y in range(height):
                place = (y + row[PAD_H]) * line + row[PAD_W] * channels + c
                n = first_source + (c * height + y) * width
                for x in range(width):
                    marks[place + x * channels] = released_at[n + x]
    # Taps of a row are neighbours, as their weights are, unless something lies between.
    joined = groups == 1 and row[DILATION_W] == 1
    runs, length = (1, kernel_w * in_group) if joined else (kernel_w, in_group)
    step = row[DILATION_W] * channels
    row_of_taps = kernel_w * in_group
    for group in range(groups):
        for top in range(row[OUT_HEIGHT]):
            for left in range(row[OUT_WIDTH]):
                corner = top * row[STRIDE_H] * line + left * row[STRIDE_W] * channels
                corner += group * in_group
                count = 0
                for o in range(group * out_group, (group + 1) * out_group):
                    n = row[START] + o * plane + top * row[OUT_WIDTH] + left
                    late = by_u[n]
                    early = np.float32(by_v[n] + late)
                    if now and fired_at[n] != NEVER:
                        k = fired_at[n]
                        for ky in range(kernel_h):
                            for kx in range(runs):
                                to = np.uint64(corner + ky * row[DILATION_H] * line + kx * step)
                                tap = np.uint64(
                                    at + (o * kernel_h + ky) * row_of_taps + kx * length
                                )
                                for i in range(np.uint64(length)):
                                    g = early if marks[to + i] < k else late
                                    canvas[to + i] += weight[tap + i] * g
                    elif early != 0:
                        listed[count] = o
                        count += 1
                for first in range(0, count - count % 4, 4):
                    o0, o1 = np.int64(listed[first]), np.int64(listed[first + 1])
                    o2, o3 = np.int64(listed[first + 2]), np.int64(listed[first + 3])
                    n = row[START] + top * row[OUT_WIDTH] + left
                    g0 = by_v[n + o0 * plane] + by_u[n + o0 * plane]
                    g1 = by_v[n + o1 * plane] + by_u[n + o1 * plane]
                    g2 = by_v[n + o2 * plane] + by_u[n + o2 * plane]
                    g3 = by_v[n + o3 * plane] + by_u[n + o3 * plane]
                    taps = kernel_h * row_of_taps
                    for ky in range(kernel_h):
                        for kx in range(runs):
                            to = np.uint64(corner + ky * row[DILATION_H] * line + kx * step)
                            tap = at + ky * row_of_taps + kx * length
                            tap0, tap1 = np.uint64(tap + o0 * taps), np.uint64(tap + o1 * taps)
                            tap2, tap3 = np.uint64(tap + o2 * taps), np.uint64(tap + o3 * taps)
                            for i in range(np.uint64(length)):
                                canvas[to + i] += (
                                    (g0 * weight[tap0 + i] + g1 * weight[tap1 + i])
                                    + (g2 * weight[tap2 + i] + g3 * weight[tap3 + i])
                                )  # fmt: skip
                for i in range(count - count % 4, count):
                    o = np.int64(listed[i])
                    n = row[START] + o * plane + top * row[OUT_WIDTH] + left
                    g = by_v[n] + by_u[n]
                    for ky in range(kernel_h):
                        for kx in range(runs):
                            to = np.uint64(corner + ky * row[DILATION_H] * line + kx * step)
                            tap = np.uint64(
                                at + (o * kernel_h + ky) * row_of_taps + kx * length
                            )
                            for j in range(np.uint64(length)):
                                canvas[to + j] += g * weight[tap + j]
    for c in range(channels):
        for y in range(height):
            place = (y + row[PAD_H]) * line + row[PAD_W] * channels + c
            n = first_source + (c * height + y) * width
            for x in range(width):
                out[n + x] += canvas[place + x * channels]


@jit
def credit_one(net, row, source, by_v, by_u, fired_at, released_at, now):
    """What one source gets back."""
    plane = row[OUT_HEIGHT] * row[OUT_WIDTH]
    channel, y, x, top, bottom, left, right = _reached(row, source)
    first_target = row[START] + channel // row[IN_GROUP] * row[OUT_GROUP] * plane
    total = np.float32(0)
    for i in range(top, bottom):
        ky = _tap(y - i * row[STRIDE_H], row[DILATION_H])
        if ky < 0:
            continue
        for j in range(left, right):
            kx = _tap(x - j * row[STRIDE_W], row[DILATION_W])
            if kx < 0:
                continue
            n = np.uint64(first_target + i * row[OUT_WIDTH] + j)
            tap = ((channel * row[KERNEL_H] + ky) * row[KERNEL_W] + kx) * row[OUT_GROUP]
            tap = np.uint64(row[AT] + tap)
            for o in range(np.uint64(row[OUT_GROUP])):
                g = by_current(n, by_v, by_u, fired_at, released_at, now)
                total += np.float32(net.weight[tap + o]) * g
                n += np.uint64(plane)
    return total


@jit
def learn(row, source, times, by_v, by_u, fired_at, released_at, now, gradient, at):
    """What the weights of a spike get, in the order in which the kernel has them."""
    plane = row[OUT_HEIGHT] * row[OUT_WIDTH]
    channel, y, x, top, bottom, left, right = _reached(row, source)
    first_target = row[START] + channel // row[IN_GROUP] * row[OUT_GROUP] * plane
    for i in range(top, bottom):
        ky = _tap(y - i * row[STRIDE_H], row[DILATION_H])
        if ky < 0:
            continue
        for j in range(left, right):
            kx = _tap(x - j * row[STRIDE_W], row[DILATION_W])
            if kx < 0:
                continue
            n = np.uint64(first_target + i * row[OUT_WIDTH] + j)
            tap = ((channel * row[KERNEL_H] + ky) * row[KERNEL_W] + kx) * row[OUT_GROUP]
            tap = np.uint64(at + tap)
            for o in range(np.uint64(row[OUT_GROUP])):
                g = by_current(n, by_v, by_u, fired_at, released_at, now)
                gradient[tap + o] += times * g
                n += np.uint64(plane)
