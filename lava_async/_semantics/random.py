"""Counter-based randomness: every draw is a pure function of what it is for.

Philox4x32-10 of J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, *Parallel random
numbers: as easy as 1, 2, 3*, SC'11 (the Random123 library). The key is the seed; the
counter names the draw:

====  =============================================
word  content
====  =============================================
0     neuron (or input) index
1     forward step (24 bits), purpose (top 8 bits)
2     time step
3     sample index
====  =============================================

`philox4x32` is written in operations that mean the same for NumPy arrays and for
compiled scalars; the kernels compile this very function.
"""

from __future__ import annotations

import enum

import numpy as np
import numpy.typing as npt

from lava_async.errors import ForwardStepLimitError, ValidationError

_MASK = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
_M0 = np.uint64(0xD2511F53)
_M1 = np.uint64(0xCD9E8D57)
_W0 = np.uint64(0x9E3779B9)
_W1 = np.uint64(0xBB67AE85)

MAX_FORWARD_STEP = (1 << 24) - 1
MAX_INDEX = (1 << 32) - 1
MAX_SEED = (1 << 64) - 1


class Purpose(enum.IntEnum):
    """What a draw decides. Part of the counter, so values never change their meaning."""

    SCHEDULE = 0
    REFRACTORY_DROPOUT = 1
    SPIKE_DROPOUT = 2
    INPUT_DROPOUT = 3
    MIXTURE = 4


def philox4x32(c0, c1, c2, c3, k0, k1):
    """Ten rounds of Philox4x32 on 32-bit words held in ``uint64``.

    Returns the four output words, each below 2**32, as ``uint64``.
    """
    for _ in range(10):
        p0 = _M0 * c0
        p1 = _M1 * c2
        c0 = (p1 >> _SHIFT) ^ c1 ^ k0
        c1 = p1 & _MASK
        c2 = (p0 >> _SHIFT) ^ c3 ^ k1
        c3 = p0 & _MASK
        k0 = (k0 + _W0) & _MASK
        k1 = (k1 + _W1) & _MASK
    return c0, c1, c2, c3


def split_seed(seed: int) -> tuple[np.uint64, np.uint64]:
    """The two key words of a 64-bit seed."""
    return np.uint64(seed & 0xFFFFFFFF), np.uint64(seed >> 32)


def words(
    seed: int,
    purpose: Purpose,
    sample: npt.ArrayLike,
    time_step: npt.ArrayLike,
    forward_step: npt.ArrayLike,
    neuron: npt.ArrayLike,
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """The first two Philox words of the named draws (arguments broadcast).

    Raises
    ------
    ForwardStepLimitError
        A forward step has more than its 24 bits, which would name the draws of another purpose.
    """
    if np.max(forward_step, initial=0) > MAX_FORWARD_STEP:
        raise ForwardStepLimitError(
            "random draw", "forward step", f"at most {MAX_FORWARD_STEP} in one time step",
            np.max(forward_step),
        )
    k0, k1 = split_seed(seed)
    u64 = np.uint64
    forward = np.asarray(forward_step, u64) | u64(int(purpose) << 24)
    c0, c1, c2, c3 = np.broadcast_arrays(
        np.asarray(neuron, u64), forward, np.asarray(time_step, u64), np.asarray(sample, u64)
    )
    w0, w1, _, _ = philox4x32(c0, c1, c2, c3, k0, k1)
    return w0, w1


def uniform24(word):
    """A word as a uniform number in [0, 1) with 24 bits.

    24 bits keep the product with a 24-bit amplitude exact in double precision, so a
    fused multiply-add gives the same result as two roundings: the same bits everywhere.
    """
    return (word >> np.uint64(8)) * 5.9604644775390625e-08


def uniform53(word0, word1):
    """Two words as a uniform integer-valued double in [0, 2**53)."""
    return ((word0 << np.uint64(21)) | (word1 >> np.uint64(11))) * 1.0


def check_seed(where: str, seed: int) -> int:
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise ValidationError(where, "seed", "an integer", repr(seed))
    if not 0 <= int(seed) <= MAX_SEED:
        raise ValidationError(where, "seed", "0 <= seed < 2**64", seed)
    return int(seed)
