"""Convolutions: the way back to the sources.

Channels of a place are made neighbours on a padded canvas, so that a target adds whole rows of
taps; beside it there is when the sources were released.
"""

from __future__ import annotations

import numpy as np

from lava_async._kernel._compiler import apart, inline_early, jit
from lava_async._kernel._layout import AT, NEVER, START
from lava_async._kernel.connections.conv import (
    DILATION_H,
    DILATION_W,
    GROUPS,
    HEIGHT,
    IN_GROUP,
    KERNEL_H,
    KERNEL_W,
    OUT_GROUP,
    OUT_HEIGHT,
    OUT_WIDTH,
    PAD_H,
    PAD_W,
    RUNS,
    STRIDE_H,
    STRIDE_W,
    WIDTH,
    reached,
    row_of_weights,
)
from lava_async._kernel.connections.currents import by_current
from lava_async._kernel.connections.products import PLACES, ROW, add_products


@inline_early
def _channels(row):
    return row[GROUPS] * row[IN_GROUP]


@inline_early
def _line(row):
    """Entries of the canvas from one line of it to the next."""
    return (row[WIDTH] + 2 * row[PAD_W]) * _channels(row)


@inline_early
def _to(row, ky, kx):
    """Where on the canvas a run of taps begins, from the corner of its target on."""
    return ky * row[DILATION_H] * _line(row) + kx * row[DILATION_W] * _channels(row)


@apart
def _add_some(canvas, to, weight, tap, step, pieces, early, late, marks, fired_at):
    """Taps of a target that fired, for sources that may have come too late."""
    for piece in range(pieces):
        for i in range(np.uint64(ROW)):
            k = to + piece * np.uint64(ROW) + i
            g = early if marks[k] < fired_at else late
            canvas[k] += weight[tap + piece * step + i] * g


@inline_early
def _beginning(row, channel, y):
    """Where on the canvas a row of sources of a channel begins."""
    return np.uint64((y + row[PAD_H]) * _line(row) + row[PAD_W] * _channels(row) + channel)


@inline_early
def _mark(row, first_source, released_at, marks):
    """When the sources were released, as the canvas has them."""
    n, channels = np.uint64(first_source), np.uint64(_channels(row))
    for c in range(_channels(row)):
        for y in range(row[HEIGHT]):
            k = _beginning(row, c, y)
            for _ in range(row[WIDTH]):
                marks[k] = released_at[n]
                k += channels
                n += np.uint64(1)


@apart
def _add_canvas(row, first_source, canvas, out):
    """The other way round: the sources take from the canvas what is theirs."""
    n, channels = np.uint64(first_source), np.uint64(_channels(row))
    for c in range(_channels(row)):
        for y in range(row[HEIGHT]):
            k = _beginning(row, c, y)
            for _ in range(row[WIDTH]):
                out[n] += canvas[k]
                k += channels
                n += np.uint64(1)


@inline_early
def _find_corners(row, place, corner):
    """Where on the canvas the first taps of `PLACES` targets are.

    Beyond the last place there is none; what stands for it has no gains.
    """
    line, channels = _line(row), _channels(row)
    top, left = divmod(place, row[OUT_WIDTH])
    for p in range(PLACES):
        corner[p] = top * row[STRIDE_H] * line + left * row[STRIDE_W] * channels
        if place + p + 1 < row[OUT_HEIGHT] * row[OUT_WIDTH]:
            left += 1
            if left == row[OUT_WIDTH]:
                top, left = top + 1, np.int64(0)


@apart
def _take(first, count, channels, plane, by_v, by_u, fired_at, now, gains, listed):
    """Gradients of ``count`` neighbours in each channel.

    Lists the channels in which any fired, and returns how many these are; what fired has no gain
    here, see `_credit_fired`.
    """
    num_listed = np.uint64(0)
    for o in range(channels):
        begin, to = first + o * plane, o * np.uint64(PLACES)
        if count < np.uint64(PLACES):
            for p in range(np.uint64(PLACES)):
                gains[to + p] = 0
        fired = False
        for p in range(count):
            decided = now & (fired_at[begin + p] != NEVER)
            fired |= decided
            early = np.float32(by_v[begin + p] + by_u[begin + p])
            gains[to + p] = np.float32(0) if decided else early
        listed[num_listed] = o
        num_listed += np.uint64(fired)
    return num_listed


@inline_early
def _credit_all(row, to, pieces, tap, weight, scratch):
    """What targets at `PLACES` places send over all their taps."""
    count = np.uint64(row[OUT_GROUP])
    for ky in range(row[KERNEL_H]):
        for kx in range(row[RUNS]):
            begin = np.uint64(to + _to(row, ky, kx))
            for _ in range(pieces):
                add_products(
                    scratch.canvas, scratch.corner, begin, scratch.gains, weight, tap, count
                )
                begin += np.uint64(ROW)
                tap += count * np.uint64(ROW)


@inline_early
def _credit_fired(
    row, to, pieces, tap, weight, first, count, num_listed, by_v, by_u, fired_at, scratch
):  # fmt: skip
    """What those send that fired, of ``count`` neighbours in each of the listed channels."""
    size, plane = np.uint64(row[OUT_GROUP] * ROW), np.uint64(row[OUT_HEIGHT] * row[OUT_WIDTH])
    for i in range(num_listed):
        o = np.uint64(scratch.listed[i])
        for p in range(count):
            n = first + o * plane + p
            if fired_at[n] == NEVER:
                continue
            late, early = by_u[n], np.float32(by_v[n] + by_u[n])
            own = tap + o * np.uint64(ROW)
            for ky in range(row[KERNEL_H]):
                for kx in range(row[RUNS]):
                    begin = scratch.corner[p] + np.uint64(to + _to(row, ky, kx))
                    _add_some(
                        scratch.canvas, begin, weight, own, size, pieces, early, late,
                        scratch.marks, fired_at[n],
                    )  # fmt: skip
                    own += size * pieces


@jit
def credit(
    row, weight, at, by_v, by_u, fired_at, first_source, released_at, now, out, scratch
):  # fmt: skip
    """What all sources get back in one time step, see `dense.credit`."""
    out_group, plane = row[OUT_GROUP], row[OUT_HEIGHT] * row[OUT_WIDTH]
    pieces = np.uint64(-(-(row[KERNEL_W] // row[RUNS] * row[IN_GROUP]) // ROW))
    taps = row[KERNEL_H] * row[RUNS] * np.int64(pieces) * out_group * ROW
    scratch.canvas[: (row[HEIGHT] + 2 * row[PAD_H]) * _line(row)] = 0
    marked = False
    for group in range(row[GROUPS]):
        to, tap = group * row[IN_GROUP], np.uint64(at + group * taps)
        for place in range(0, plane, PLACES):
            first = np.uint64(row[START] + group * out_group * plane + place)
            count = np.uint64(min(plane - place, PLACES))
            _find_corners(row, place, scratch.corner)
            num_listed = _take(
                first, count, np.uint64(out_group), np.uint64(plane), by_v, by_u, fired_at, now,
                scratch.gains, scratch.listed,
            )  # fmt: skip
            _credit_all(row, to, pieces, tap, weight, scratch)
            if num_listed > 0 and not marked:
                _mark(row, first_source, released_at, scratch.marks)
                marked = True
            _credit_fired(
                row, to, pieces, tap, weight, first, count, num_listed, by_v, by_u, fired_at,
                scratch,
            )  # fmt: skip
    _add_canvas(row, first_source, scratch.canvas, out)


@jit
def credit_one(net, row, source, by_v, by_u, fired_at, released_at, now):
    """What one source gets back."""
    plane = row[OUT_HEIGHT] * row[OUT_WIDTH]
    channel, y, x, top, bottom, left, right = reached(row, source)
    first_target = row[START] + channel // row[IN_GROUP] * row[OUT_GROUP] * plane
    total = np.float32(0)
    for i in range(top, bottom):
        for j in range(left, right):
            weights = row_of_weights(row, channel, y, x, i, j)
            if weights < 0:
                continue
            n = np.uint64(first_target + i * row[OUT_WIDTH] + j)
            tap = np.uint64(row[AT] + weights * row[OUT_GROUP])
            for o in range(np.uint64(row[OUT_GROUP])):
                g = by_current(n, by_v, by_u, fired_at, released_at, now)
                total += np.float32(net.weight[tap + o]) * g
                n += np.uint64(plane)
    return total
