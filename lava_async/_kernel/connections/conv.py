"""Convolutions, walked tap by tap."""

from __future__ import annotations

import numpy as np

from lava_async._kernel._compiler import jit
from lava_async._kernel._layout import AT, CONV, OWN
from lava_async._kernel.connections.layout import lay_out
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
    # (groups, out, in, kh, kw) -> (groups, in, kh, kw, out): source channel first, targets last
    weight = c.weight.reshape(c.groups, -1, in_group, kernel_h, kernel_w)
    return CONV, arrays.add("weight", weight.transpose(0, 2, 3, 4, 1), np.int16), own


@jit
def deliver(net, row, start, current, hit, hits, count, now, source, times):
    """Walk the taps of one source neuron that lie inside the target. Returns how many."""
    height, width, out_group = row[HEIGHT], row[WIDTH], row[OUT_GROUP]
    out_height, out_width = row[OUT_HEIGHT], row[OUT_WIDTH]
    kernel_h, kernel_w = row[KERNEL_H], row[KERNEL_W]
    channel, place = divmod(source, height * width)
    y, x = divmod(place, width)
    plane = out_height * out_width
    first_target = start + channel // row[IN_GROUP] * out_group * plane
    factor = np.int32(times)
    synops = 0
    for ky in range(kernel_h):
        top = y + row[PAD_H] - ky * row[DILATION_H]
        if top < 0 or top % row[STRIDE_H] or top // row[STRIDE_H] >= out_height:
            continue
        for kx in range(kernel_w):
            left = x + row[PAD_W] - kx * row[DILATION_W]
            if left < 0 or left % row[STRIDE_W] or left // row[STRIDE_W] >= out_width:
                continue
            target = first_target + top // row[STRIDE_H] * out_width + left // row[STRIDE_W]
            tap = row[AT] + ((channel * kernel_h + ky) * kernel_w + kx) * out_group
            for o in range(out_group):
                n = target + o * plane
                current[n] += factor * np.int32(net.weight[tap + o])
                if now:
                    reach(n, hit, hits, count)
            synops += out_group
    return synops
