"""Convolutions, walked tap by tap."""

from __future__ import annotations

import numpy as np

from lava_async._kernel._compiler import apart, inline, jit
from lava_async._kernel._layout import AT, CONV, LANES, NEVER, OWN, SIZE, START
from lava_async._kernel.connections.currents import by_current
from lava_async._kernel.connections.layout import arrange, lay_out, restore, turn_round
from lava_async._kernel.connections.reach import reach
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
    return CONV, arrays.add("weight", arrange(c, c.weight), np.int16), own


@arrange.register
def _(connection: Conv, weight):
    # (groups, out, in, kh, kw) -> (groups, in, kh, kw, out): source channel first, targets last
    out, *taps = weight.shape
    groups = connection.groups
    return weight.reshape(groups, out // groups, *taps).transpose(0, 2, 3, 4, 1)


@turn_round.register
def _(connection: Conv, weight):
    # Of each target its runs of taps, sources of a place side by side, filled up with zeros.
    _, length = _runs(connection)
    taps = weight.transpose(0, 2, 3, 1).reshape(len(weight), -1, length)
    room = -(-length // LANES) * LANES
    return np.pad(taps, ((0, 0), (0, 0), (0, room - length)))


def _runs(connection: Conv) -> tuple[int, int]:
    """How many runs of neighbours a row of taps is, and how long each is."""
    _, in_group, _, kernel_w = connection.weight.shape
    if connection.groups == 1 and connection.dilation[1] == 1:
        return 1, kernel_w * in_group
    return kernel_w, in_group


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


@inline
def _weights(row, channel, y, x, i, j):
    """Where the weights between a source and the targets at row i, column j are; -1: nowhere."""
    ky = _tap(y - i * row[STRIDE_H], row[DILATION_H])
    kx = _tap(x - j * row[STRIDE_W], row[DILATION_W])
    place = ((channel * row[KERNEL_H] + ky) * row[KERNEL_W] + kx) * row[OUT_GROUP]
    return place if ky >= 0 and kx >= 0 else np.int64(-1)


@jit
def deliver(net, row, start, current, hit, hits, count, now, source, times):
    """Walk the taps of one source neuron that lie inside the target. Returns how many."""
    out_group, plane = row[OUT_GROUP], row[OUT_HEIGHT] * row[OUT_WIDTH]
    channel, y, x, top, bottom, left, right = _reached(row, source)
    first_target = start + channel // row[IN_GROUP] * out_group * plane
    factor = np.int32(times)
    synops = 0
    for i in range(top, bottom):
        for j in range(left, right):
            place = _weights(row, channel, y, x, i, j)
            if place < 0:
                continue
            n = np.uint64(first_target + i * row[OUT_WIDTH] + j)
            tap = np.uint64(row[AT] + place)
            for o in range(np.uint64(out_group)):
                current[n] += factor * np.int32(net.weight[tap + o])
                if now:
                    reach(n, hit, hits, count)
                n += np.uint64(plane)
            synops += out_group
    return synops


@apart
def _add_some(canvas, to, weight, tap, room, early, late, marks, fired_at):
    """Taps of a target that fired, for sources that may have come too late."""
    for first in range(np.uint64(0), room, np.uint64(LANES)):
        for i in range(np.uint64(LANES)):
            k = first + i
            g = early if marks[to + k] < fired_at else late
            canvas[to + k] += weight[tap + k] * g


@apart
def _add_fours(canvas, to, weight, tap0, tap1, tap2, tap3, room, g0, g1, g2, g3):
    """Taps of four targets at one place, which share what they add to."""
    for first in range(np.uint64(0), room, np.uint64(LANES)):
        for i in range(np.uint64(LANES)):
            k = first + i
            canvas[to + k] += (
                (g0 * weight[tap0 + k] + g1 * weight[tap1 + k])
                + (g2 * weight[tap2 + k] + g3 * weight[tap3 + k])
            )  # fmt: skip


@jit
def credit(
    row, weight, at, by_v, by_u, fired_at, first_source, num_sources, released_at, now, out,
    listed, gains, canvas, marks,
):  # fmt: skip
    """What all sources get back in one time step, see `dense.credit`.

    Channels of a place are made neighbours on a padded ``canvas``, so that a target adds a whole
    row of taps at once; ``marks`` has when they were released.
    """
    height, width, groups = row[HEIGHT], row[WIDTH], row[GROUPS]
    channels, in_group, out_group = groups * row[IN_GROUP], row[IN_GROUP], row[OUT_GROUP]
    kernel_h, kernel_w, plane = row[KERNEL_H], row[KERNEL_W], row[OUT_HEIGHT] * row[OUT_WIDTH]
    line = (width + 2 * row[PAD_W]) * channels
    for i in range(np.uint64((height + 2 * row[PAD_H]) * line)):
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
    runs = row[RUNS]
    room = np.uint64(-(-(kernel_w // runs * in_group) // LANES) * LANES)
    step, taps = row[DILATION_W] * channels, kernel_h * runs * np.int64(room)
    for group in range(groups):
        for place in range(plane):
            top, left = divmod(place, row[OUT_WIDTH])
            corner = top * row[STRIDE_H] * line + left * row[STRIDE_W] * channels
            corner += group * in_group
            count = 0
            for o in range(group * out_group, (group + 1) * out_group):
                n = row[START] + o * plane + place
                late, early = by_u[n], np.float32(by_v[n] + by_u[n])
                if now and fired_at[n] != NEVER:
                    for ky in range(kernel_h):
                        for kx in range(runs):
                            to = np.uint64(corner + ky * row[DILATION_H] * line + kx * step)
                            tap = np.uint64(at + o * taps + (ky * runs + kx) * np.int64(room))
                            _add_some(
                                canvas, to, weight, tap, room, early, late, marks, fired_at[n]
                            )
                elif early != 0:
                    listed[count] = o
                    gains[count] = early
                    count += 1
            while count % 4:
                listed[count], gains[count] = 0, np.float32(0)
                count += 1
            for i in range(0, count, 4):
                for ky in range(kernel_h):
                    for kx in range(runs):
                        to = np.uint64(corner + ky * row[DILATION_H] * line + kx * step)
                        tap = at + (ky * runs + kx) * np.int64(room)
                        _add_fours(
                            canvas, to, weight, np.uint64(tap + listed[i] * taps),
                            np.uint64(tap + listed[i + 1] * taps),
                            np.uint64(tap + listed[i + 2] * taps),
                            np.uint64(tap + listed[i + 3] * taps), room,
                            gains[i], gains[i + 1], gains[i + 2], gains[i + 3],
                        )  # fmt: skip
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
        for j in range(left, right):
            place = _weights(row, channel, y, x, i, j)
            if place < 0:
                continue
            n = np.uint64(first_target + i * row[OUT_WIDTH] + j)
            tap = np.uint64(row[AT] + place)
            for o in range(np.uint64(row[OUT_GROUP])):
                g = by_current(n, by_v, by_u, fired_at, released_at, now)
                total += np.float32(net.weight[tap + o]) * g
                n += np.uint64(plane)
    return total


@jit
def learn(row, source, times, by_v, by_u, fired_at, released_at, now, gradient, at):
    """What the weights of a spike get, in the order in which the kernel has them."""
    plane, out_group = np.uint64(row[OUT_HEIGHT] * row[OUT_WIDTH]), np.uint64(row[OUT_GROUP])
    channel, y, x, top, bottom, left, right = _reached(row, source)
    first_target = row[START] + channel // row[IN_GROUP] * np.int64(out_group * plane)
    for i in range(top, bottom):
        for j in range(left, right):
            place = _weights(row, channel, y, x, i, j)
            if place < 0:
                continue
            n = np.uint64(first_target + i * row[OUT_WIDTH] + j)
            tap = np.uint64(at + place)
            if now:
                for o in range(out_group):
                    g = by_v[n] if released_at < fired_at[n] else np.float32(0)
                    gradient[tap + o] += g + by_u[n]
                    n += plane
            else:
                for o in range(out_group):
                    gradient[tap + o] += times * (by_v[n] + by_u[n])
                    n += plane
