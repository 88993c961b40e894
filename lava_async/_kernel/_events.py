"""One sample's input as a list of events, found in its dense array."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lava_async._kernel._compiler import jit
from lava_async._kernel._layout import WORD
from lava_async.errors import ValidationError

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
    """One sample's input by time step; those of time step t are begin[t]..begin[t + 1]."""

    begin: npt.NDArray[np.uint32]  # (T + 1,)
    index: npt.NDArray[np.uint32]  # input neurons
    times: npt.NDArray[np.int32]  # spikes of each
    found_words: npt.NDArray[np.uint32]  # scratch space: words with events
    found_entries: npt.NDArray[np.uint32]  # scratch space: entries with events


def new_events(num_entries: int, num_steps: int) -> Events:
    room = num_entries + 1  # the entry after the last event found is written before it is known
    return Events(
        begin=np.zeros(num_steps + 1, np.uint32),
        index=np.zeros(room, np.uint32),
        times=np.zeros(room, np.int32),
        found_words=np.zeros(room, np.uint32),
        found_entries=np.zeros(room, np.uint32),
    )


def whole_words(x: npt.NDArray) -> npt.NDArray:
    """A batch (B, entries) whose samples are whole words, with zeros at their ends.

    Writeable, because Numba would compile everything again for read-only arrays.
    """
    dtype = np.dtype(x.dtype if x.dtype in (np.uint8, np.float32) else np.int32)
    missing = -x.shape[1] % (WORD // dtype.itemsize)
    if missing:
        x = np.pad(x, ((0, 0), (0, missing)))
    frames = np.require(x, dtype, ["C", "W"])
    return frames if frames.ctypes.data % WORD == 0 else frames.copy()


@jit
def find_events(e, words, flat, num_steps):
    """Find the entries that are not 0 in one sample, an (n_inputs, T) array in C order.

    ``words`` are the same bytes, eight at a time.
    """
    num_words = np.uint64(0)
    for w in range(np.uint64(len(words))):
        # Without a branch, here and below: whether an entry is 0 is hard to predict.
        e.found_words[num_words] = w
        num_words += np.uint64(words[w] != 0)
    per_word = len(flat) // len(words)
    num_found = np.uint64(0)
    for k in range(num_words):
        low = np.int64(e.found_words[k]) * per_word
        for i in range(np.uint64(low), np.uint64(low + per_word)):
            e.found_entries[num_found] = i
            num_found += np.uint64(flat[i] != 0)

    begin, steps = e.begin, np.uint32(num_steps)
    begin[:] = 0
    for k in range(num_found):
        begin[np.uint32(e.found_entries[k] % steps) + 1] += 1
    for t in range(num_steps):
        begin[t + 1] += begin[t]
    for k in range(num_found):
        i = e.found_entries[k]
        t = np.uint32(i % steps)
        e.index[begin[t]] = i // steps
        e.times[begin[t]] = np.int32(flat[i])
        begin[t] += 1
    # Each begin is now the next one.
    for t in range(num_steps, 0, -1):
        begin[t] = begin[t - 1]
    begin[0] = 0
