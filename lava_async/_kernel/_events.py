"""One sample's input as a list of events, found in its dense array."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lava_async._kernel._compiler import BLOCK, inline, jit
from lava_async._kernel._marks import AT_ONCE, differ, list_marked, not_zero
from lava_async.errors import ValidationError

MOST_COUNT = 1 << 24  # of an entry, is below; float32 holds that exactly
MAX_ENTRIES = (1 << 32) - 1
"""Inputs times time steps of one sample that an event's 32 bits can number."""


def check_entries(num_inputs: int, num_steps: int) -> None:
    """Raise `ValidationError` if a sample has more entries than events can number."""
    if num_inputs * num_steps > MAX_ENTRIES:
        raise ValidationError(
            "input", "inputs x time steps of one sample",
            f"at most {MAX_ENTRIES} in compiled code (backend 'reference' takes any number)",
            f"{num_inputs} x {num_steps}",
        )  # fmt: skip


class Events(NamedTuple):
    """One sample's input by time step; those of time step t are begin[t]..stop[t]."""

    begin: npt.NDArray[np.uint32]  # (T,) there is room for all inputs in each
    stop: npt.NDArray[np.uint32]  # (T,)
    index: npt.NDArray[np.uint32]  # input neurons
    times: npt.NDArray[np.int32]  # spikes of each
    found: npt.NDArray[np.uint32]  # scratch space: entries with events


def new_events(num_entries: int, num_steps: int) -> Events:
    return Events(
        begin=np.arange(num_steps, dtype=np.uint32) * np.uint32(num_entries // num_steps),
        stop=np.zeros(num_steps, np.uint32),
        index=np.zeros(num_entries, np.uint32),
        times=np.zeros(num_entries, np.int32),
        found=np.zeros(num_entries + AT_ONCE, np.uint32),
    )


class Frames(NamedTuple):
    """A batch (B, entries) in the type that it has; the arrays of the others are (0, 0).

    So that there is one kernel for them all, as to compile takes long.
    """

    uint8: npt.NDArray[np.uint8]
    int32: npt.NDArray[np.int32]
    float32: npt.NDArray[np.float32]


_NO_FRAMES = Frames(
    np.zeros((0, 0), np.uint8), np.zeros((0, 0), np.int32), np.zeros((0, 0), np.float32)
)


def as_frames(x: npt.NDArray) -> Frames:
    """A batch (B, entries) in a type that the kernel reads: uint8, float32, or else int32.

    Writeable, because Numba would compile everything again for read-only arrays.
    """
    dtype = np.dtype(x.dtype if x.dtype in (np.uint8, np.float32) else np.int32)
    return _NO_FRAMES._replace(**{dtype.name: np.require(x, dtype, ["C", "W"])})


@inline
def _find_entries(found, flat):
    """List the entries that are not 0. Returns how many, and whether all of them are 1."""
    num_entries, num_found, others = np.uint64(len(flat)), np.uint64(0), np.uint64(0)
    whole = num_entries // np.uint64(BLOCK) * np.uint64(BLOCK)
    one = flat.dtype.type(1)
    for first in range(np.uint64(0), whole, np.uint64(BLOCK)):
        marks = not_zero(flat, first)
        others |= marks & differ(flat, first, one)
        num_found = list_marked(found, num_found, first, marks)
    for i in range(whole, num_entries):
        found[num_found] = i
        num_found += np.uint64(flat[i] != 0)
        others |= np.uint64((flat[i] != 0) & (flat[i] != one))
    return num_found, others == 0


@inline
def _put(e, i, steps, inverse, times):
    """Put entry i where its time step's events are."""
    # i // steps, only sooner: the half is more than all rounding.
    n = np.uint32((i + 0.5) * inverse)
    t = i - n * steps
    place = e.stop[t]
    e.index[place] = n
    e.times[place] = times
    e.stop[t] = place + np.uint32(1)


@jit
def _find(e, flat, num_steps):
    """`find_events` in an array of one type."""
    num_found, ones = _find_entries(e.found, flat)
    steps, inverse, none = np.uint32(num_steps), 1.0 / num_steps, flat.dtype.type(0)
    for t in range(num_steps):
        e.stop[t] = e.begin[t]
    if ones:  # as of spikes, which need not be looked at again
        for k in range(num_found):
            _put(e, e.found[k], steps, inverse, np.int32(1))
        return True
    counts = True
    for k in range(num_found):
        i = e.found[k]
        value = flat[i]
        inside = (value > 0) & (value < MOST_COUNT)
        times = np.int32(value if inside else none)
        counts &= inside & (times == value)
        _put(e, i, steps, inverse, times)
    return counts


@inline
def find_events(e, frames, b, num_steps):
    """Find the entries that are not 0 in sample b, an (n_inputs, T) array in C order.

    Returns whether all of them are whole numbers below `MOST_COUNT`.
    """
    if len(frames.uint8) > 0:
        return _find(e, frames.uint8[b], num_steps)
    if len(frames.int32) > 0:
        return _find(e, frames.int32[b], num_steps)
    return _find(e, frames.float32[b], num_steps)
