"""The input as a list of events: every entry that is not 0, by time step, and no other."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lava_async._kernel._compiler import BLOCK
from lava_async._kernel._events import MOST_COUNT, as_frames, find_events, new_events
from lava_async._kernel._marks import list_marked

DTYPES = (np.uint8, np.int32, np.float32)


@numba.njit
def _find(entries, frames, sample, num_steps):
    return find_events(entries, frames, sample, num_steps)


def events(x):
    """What the kernel finds in one sample (inputs, T): by time step, index and times."""
    entries = new_events(x.size, x.shape[1])
    counts = _find(entries, as_frames(x.reshape(1, -1)), 0, x.shape[1])
    parts = [slice(*ends) for ends in zip(entries.begin, entries.stop, strict=True)]
    return counts, [(entries.index[part], entries.times[part]) for part in parts]


def check(x):
    counts, found = events(x)
    assert counts
    for t, (index, times) in enumerate(found):
        expected = np.flatnonzero(x[:, t])
        np.testing.assert_array_equal(index, expected)
        np.testing.assert_array_equal(times, x[expected, t])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("most", [1, 9])
@pytest.mark.parametrize("rate", [0, 0.01, 0.05, 0.2, 0.6, 1])
def test_any_density(rate, most, dtype):
    """Few marks in a word, more than are listed at once, and all."""
    rng = np.random.default_rng(1)
    for num_inputs, num_steps in ((1, 1), (7, 9), (32, 2), (64, 3), (200, 10), (33, 31)):
        x = (rng.random((num_inputs, num_steps)) < rate) * rng.integers(1, most + 1)
        check(x.astype(dtype))


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_sample(data):
    """Counts among spikes, wherever they are, the last entries included."""
    dtype = data.draw(st.sampled_from(DTYPES))
    shape = data.draw(st.tuples(st.integers(1, 90), st.integers(1, 12)))
    x = np.zeros(shape, dtype)
    most = 255 if dtype == np.uint8 else MOST_COUNT - 1
    places = st.tuples(st.integers(0, shape[0] - 1), st.integers(0, shape[1] - 1))
    values = st.integers(1, 3) | st.integers(1, most)
    for place, value in data.draw(st.lists(st.tuples(places, values), max_size=60)):
        x[place] = value
    check(x)


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        (np.float32, 0.5), (np.float32, 1.5), (np.float32, -1), (np.float32, np.nan),
        (np.float32, np.inf), (np.float32, -np.inf), (np.float32, MOST_COUNT), (np.int32, -1),
        (np.int32, MOST_COUNT), (np.float32, np.float32(1e-40)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", [0, 63, 64, 127, 130])
def test_what_is_no_count_is_seen(place, dtype, value):
    """Alone among spikes, in a whole block or behind the last one."""
    x = np.ones(131, dtype)
    x[place] = value
    assert not events(x.reshape(131, 1))[0]


@numba.njit
def _list(found, place, first, marks):
    return list_marked(found, np.uint64(place), np.uint64(first), marks)


@settings(max_examples=200, deadline=None)
@given(
    marks=st.integers(0, 2**64 - 1)
    | st.sets(st.integers(0, 63)).map(lambda bits: sum(1 << bit for bit in bits))
)
def test_marks_are_listed(marks):
    found = np.zeros(3 + 2 * BLOCK, np.uint32)
    behind = _list(found, 3, 1000, np.uint64(marks))
    expected = [1000 + bit for bit in range(BLOCK) if marks >> bit & 1]
    assert behind == 3 + len(expected)
    np.testing.assert_array_equal(found[3:behind], expected)
