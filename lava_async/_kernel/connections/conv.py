"""Convolutions, walked tap by tap."""

from __future__ import annotations

import numpy as np

from lava_async._kernel._compiler import inline, jit
from lava_async._kernel._layout import AT, CONV, OWN, START
from lava_async._kernel.connections.currents import by_current
from lava_async._kernel.connections.layout import arrange, lay_out, restore
from lava_async._kernel.connections.reach import reach
from lava_async._semantics.connections import Conv

(
    HEIGHT, WIDTH, OUT_GROUP, OUT_HEIGHT, OUT_WIDTH, KERNEL_H, KERNEL_W, STRIDE_H, STRIDE_W,
    PAD_H, PAD_W, DILATION_H, DILATION_W, IN_GROUP,
) = range(OWN, OWN + 14)  # columns  # fmt: skip


@lay_out.register
def _(connection: Conv, source_shape, target_shape, arrays):
    c = connection
    _, height, width = source_shape
    out_channels, out_height, out_width = target_shape
    _, in_group, kernel_h, kernel_w = c.weight.shape
    own = [height, width, out_channels // c.groups, out_height, out_width, kernel_h, kernel_w]
    own += [*c.stride, *c.padding, *c.dilation, in_group]
    return CONV, arrays.add("weight", arrange(c, c.weight), np.int16), own


@arrange.register
def _(connection: Conv, weight):
    # (groups, out, in, kh, kw) -> (groups, in, kh, kw, out): source channel first, targets last
    out, *taps = weight.shape
    groups = connection.groups
    return weight.reshape(groups, out // groups, *taps).transpose(0, 2, 3, 4, 1)


@restore.register
def _(connection: Conv, gradient):
    out, *taps = connection.weight.shape
    by_group = gradient.reshape(connection.groups, *taps, out // connection.groups)
    return by_group.transpose(0, 4, 1, 2, 3).reshape(connection.weight.shape)


@inline
def _place(row, source):
    """Channel and place of a source neuron."""
    channel, place = divmod(source, row[HEIGHT] * row[WIDTH])
    y, x = divmod(place, row[WIDTH])
    return channel, y, x


@inline
def _inside(reach, stride, size):
    """The target that a source reaches along one axis over a tap; -1 if there is none."""
    if reach < 0 or reach % stride or reach // stride >= size:
        return -1
    return reach // stride


@inline
def _tap(row, channel, ky, kx):
    """Where the weights of a tap begin, among those of the connection."""
    return ((channel * row[KERNEL_H] + ky) * row[KERNEL_W] + kx) * row[OUT_GROUP]


@jit
def deliver(net, row, start, current, hit, hits, count, now, source, times):
    """Walk the taps of one source neuron that lie inside the target. Returns how many."""
    out_group, plane = row[OUT_GROUP], row[OUT_HEIGHT] * row[OUT_WIDTH]
    channel, y, x = _place(row, source)
    first_target = start + channel // row[IN_GROUP] * out_group * plane
    factor = np.int32(times)
    synops = 0
    for ky in range(row[KERNEL_H]):
        top = _inside(y + row[PAD_H] - ky * row[DILATION_H], row[STRIDE_H], row[OUT_HEIGHT])
        if top < 0:
            continue
        for kx in range(row[KERNEL_W]):
            left = _inside(x + row[PAD_W] - kx * row[DILATION_W], row[STRIDE_W], row[OUT_WIDTH])
            if left < 0:
                continue
            target = first_target + top * row[OUT_WIDTH] + left
            tap = row[AT] + _tap(row, channel, ky, kx)
            for o in range(out_group):
                n = target + o * plane
                current[n] += factor * np.int32(net.weight[tap + o])
                if now:
                    reach(n, hit, hits, count)
            synops += out_group
    return synops


@jit
def credit_one(net, row, source, by_v, by_u, fired_at, released_at, now):
    """What one source gets back."""
    plane = row[OUT_HEIGHT] * row[OUT_WIDTH]
    channel, y, x = _place(row, source)
    first = row[START] + channel // row[IN_GROUP] * row[OUT_GROUP] * plane
    total = np.float32(0)
    for ky in range(row[KERNEL_H]):
        top = _inside(y + row[PAD_H] - ky * row[DILATION_H], row[STRIDE_H], row[OUT_HEIGHT])
        if top < 0:
            continue
        for kx in range(row[KERNEL_W]):
            left = _inside(x + row[PAD_W] - kx * row[DILATION_W], row[STRIDE_W], row[OUT_WIDTH])
            if left < 0:
                continue
            target = first + top * row[OUT_WIDTH] + left
            tap = row[AT] + _tap(row, channel, ky, kx)
            for o in range(row[OUT_GROUP]):
                n = target + o * plane
                g = by_current(n, by_v, by_u, fired_at, released_at, now)
                total += np.float32(net.weight[tap + o]) * g
    return total


@jit
def learn(row, source, times, by_v, by_u, fired_at, released_at, now, gradient, at):
    """What the weights of a spike get, in the order in which the kernel has them."""
    plane = row[OUT_HEIGHT] * row[OUT_WIDTH]
    channel, y, x = _place(row, source)
    first = row[START] + channel // row[IN_GROUP] * row[OUT_GROUP] * plane
    for ky in range(row[KERNEL_H]):
        top = _inside(y + row[PAD_H] - ky * row[DILATION_H], row[STRIDE_H], row[OUT_HEIGHT])
        if top < 0:
            continue
        for kx in range(row[KERNEL_W]):
            left = _inside(x + row[PAD_W] - kx * row[DILATION_W], row[STRIDE_W], row[OUT_WIDTH])
            if left < 0:
                continue
            target = first + top * row[OUT_WIDTH] + left
            tap = at + _tap(row, channel, ky, kx)
            for o in range(row[OUT_GROUP]):
                n = target + o * plane
                g = by_current(n, by_v, by_u, fired_at, released_at, now)
                gradient[tap + o] += times * g
