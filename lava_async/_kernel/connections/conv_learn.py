"""Convolutions: gradients of the weights."""

from __future__ import annotations

import numpy as np

from lava_async._kernel._compiler import apart, inline, jit
from lava_async._kernel._layout import START
from lava_async._kernel.connections.conv import (
    GROUPS,
    IN_GROUP,
    OUT_GROUP,
    OUT_HEIGHT,
    OUT_WIDTH,
    reached,
    row_of_weights,
)
from lava_async._kernel.connections.currents import by_current
from lava_async._kernel.connections.products import ROW


@inline
def _room(row):
    """How long a row of gradients of weights is."""
    return -(-row[OUT_GROUP] // ROW) * ROW


@jit
def learn_one(row, source, times, by_v, by_u, fired_at, released_at, now, gradient, at):
    """What the weights of a spike get, in rows of (sources' channels, taps, targets)."""
    plane, out_group = np.uint64(row[OUT_HEIGHT] * row[OUT_WIDTH]), np.uint64(row[OUT_GROUP])
    channel, y, x, top, bottom, left, right = reached(row, source)
    first_target = row[START] + channel // row[IN_GROUP] * np.int64(out_group * plane)
    for i in range(top, bottom):
        for j in range(left, right):
            weights = row_of_weights(row, channel, y, x, i, j)
            if weights < 0:
                continue
            n = np.uint64(first_target + i * row[OUT_WIDTH] + j)
            tap = np.uint64(at + weights * _room(row))
            for o in range(out_group):
                g = by_current(n, by_v, by_u, fired_at, released_at, now)
                gradient[tap + o] += times * g
                n += plane


@apart
def _turn(first, groups, channels, plane, room, by_v, by_u, fired_at, now, turned):
    """Channels of a place become neighbours. What fired, and the late, only if it matters."""
    for group in range(groups):
        for o in range(channels):
            n, to = first + (group * channels + o) * plane, group * plane * room + o
            for p in range(plane):
                turned.early[to + p * room] = by_v[n + p] + by_u[n + p]
            if now:
                for p in range(plane):
                    turned.late[to + p * room] = by_u[n + p]
                    turned.fired_at[to + p * room] = fired_at[n + p]


@apart
def _add_row(gradient, tap, turned, first, room, times):
    for piece in range(np.uint64(0), room, np.uint64(ROW)):
        for i in range(np.uint64(ROW)):
            k = piece + i
            gradient[tap + k] += times * turned.early[first + k]


@apart
def _add_row_in_time(gradient, tap, turned, first, room, released_at):
    for piece in range(np.uint64(0), room, np.uint64(ROW)):
        for i in range(np.uint64(ROW)):
            k = piece + i
            early, late = turned.early[first + k], turned.late[first + k]
            gradient[tap + k] += early if released_at < turned.fired_at[first + k] else late


@apart
def learn(
    row, neurons, times, first_neuron, low, high, counted, by_v, by_u, fired_at, released_at, now,
    gradient, at, turned,
):  # fmt: skip
    """What the weights of spikes low..high get, see `learn_one`.

    Their targets' gradients are turned round first, so that each tap adds a whole row.
    """
    room, plane = np.uint64(_room(row)), row[OUT_HEIGHT] * row[OUT_WIDTH]
    _turn(
        np.uint64(row[START]), np.uint64(row[GROUPS]), np.uint64(row[OUT_GROUP]), np.uint64(plane),
        room, by_v, by_u, fired_at, now, turned,
    )  # fmt: skip
    for k in range(low, high):
        source = np.int64(neurons[k])
        count = times[k] if counted else np.float32(1)
        channel, y, x, top, bottom, left, right = reached(row, source - first_neuron)
        first_place = channel // row[IN_GROUP] * plane
        for i in range(top, bottom):
            for j in range(left, right):
                weights = row_of_weights(row, channel, y, x, i, j)
                if weights < 0:
                    continue
                tap = np.uint64(at) + np.uint64(weights) * room
                place = np.uint64(first_place + i * row[OUT_WIDTH] + j) * room
                if now:
                    _add_row_in_time(gradient, tap, turned, place, room, released_at[source])
                else:
                    _add_row(gradient, tap, turned, place, room, count)
