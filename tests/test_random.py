"""Counter-based randomness against Random123's published vectors."""

import numba
import numpy as np
import pytest

from lava_async._semantics import random
from lava_async.errors import ForwardStepLimitError, ValidationError

# Random123, kat_vectors: philox4x32 with 10 rounds: counter, key, output.
KNOWN_ANSWERS = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    (
        (0xFFFFFFFF,) * 4,
        (0xFFFFFFFF,) * 2,
        (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
    ),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "want"), KNOWN_ANSWERS)
@pytest.mark.parametrize("compiled", [False, True])
def test_philox_equals_published_vectors(counter, key, want, compiled):
    philox = numba.njit(random.philox4x32) if compiled else random.philox4x32
    got = philox(*(np.uint64(w) for w in counter + key))
    assert tuple(int(w) for w in got) == want


def test_words_put_each_argument_into_its_own_counter_word():
    base = dict(
        seed=1, purpose=random.Purpose.SCHEDULE, sample=2, time_step=3, forward_step=4, neuron=5
    )
    seen = {tuple(int(w) for w in random.words(**base))}
    for name, value in base.items():
        other = random.Purpose.SPIKE_DROPOUT if name == "purpose" else value + 1
        seen.add(tuple(int(w) for w in random.words(**{**base, name: other})))
    seen.add(tuple(int(w) for w in random.words(**{**base, "seed": 1 << 40})))
    assert len(seen) == len(base) + 2


def test_words_broadcast_and_equal_single_draws():
    many, _ = random.words(7, random.Purpose.SCHEDULE, 0, 1, 2, np.arange(5))
    single = [int(random.words(7, random.Purpose.SCHEDULE, 0, 1, 2, n)[0]) for n in range(5)]
    assert many.tolist() == single


def test_uniform_ranges():
    top = np.uint64(0xFFFFFFFF)
    assert 0 <= random.uniform24(np.uint64(0)) < random.uniform24(top) < 1
    assert random.uniform24(top) == 1 - 2**-24
    assert random.uniform53(top, top) == 2**53 - 1


@pytest.mark.parametrize("seed", [-1, 1 << 64, 1.5, True, None])
def test_bad_seed(seed):
    with pytest.raises(ValidationError, match="seed: expected"):
        random.check_seed("here", seed)


@pytest.mark.parametrize("purpose", random.Purpose)
def test_forward_steps_beyond_their_bits_never_name_the_draw_of_another_purpose(purpose):
    last = (1 << 24) - 1
    assert last == random.MAX_FORWARD_STEP
    assert len(random.words(0, purpose, 0, 0, last, [1, 2])[0]) == 2
    assert len(random.words(0, purpose, 0, 0, np.zeros(0, int), [])[0]) == 0
    for beyond in (last + 1, np.array([0, last + 1]), np.int64(1) << 40):
        with pytest.raises(ForwardStepLimitError, match="random draw: forward step: expected at m"):
            random.words(0, purpose, 0, 0, beyond, [1, 2])
