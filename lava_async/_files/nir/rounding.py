"""Floats become Loihi's integers: one scale a population, which its threshold is.

What a neuron gets is divided by its threshold, so that thresholds may differ, and multiplied by
one integer T, the threshold mantissa, as large as weights (-256..254), biases (13 bits) and T
itself (17 bits) allow. So the threshold is exact; weights become the nearest even integers, the
8 bits with sign that Loihi and SLAYER have, and biases the nearest integers.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from lava_async._files.nir import maps
from lava_async._files.nir.maps import Floats, Map
from lava_async._semantics.connections import Connection, Conv, Dense, OneToOne, Sparse
from lava_async._semantics.dynamics import (
    BIAS_MAX,
    BIAS_MIN,
    THRESHOLD_MAX,
    WEIGHT_MAX,
    WEIGHT_MIN,
)
from lava_async.errors import UnsupportedError

_SINGLE = 1e-6
"""Where 254 / T is the largest weight, T it is, whatever single precision makes of it."""


def relative(rounded: npt.ArrayLike, exact: npt.ArrayLike) -> float:
    """Largest error, of the largest magnitude."""
    size = np.max(np.abs(exact), initial=0.0)
    error = np.max(np.abs(np.subtract(rounded, exact)), initial=0.0)
    return float(error / size) if size else 0.0


def relative_each(rounded: npt.ArrayLike, exact: npt.ArrayLike) -> float:
    """Largest error of each in units of itself; those of 0 have none."""
    off, size = np.abs(np.subtract(rounded, exact)), np.abs(exact)
    share = np.divide(off, size, out=np.zeros_like(off, np.float64), where=size > 0)
    return float(share.max(initial=0.0))


def thresholds(where: str, given: Floats | None) -> tuple[Floats | float, bool]:
    """What to divide by, of each neuron, and whether T is the threshold then.

    Not so where none has a threshold, or 0 for all neurons.
    """
    if given is None or not given.any():
        return 1.0, False
    if not given.all():
        raise UnsupportedError(where, "v_threshold", "0 for all neurons of a node, or none", "both")
    return given, True


def scale(where: str, weights: list[Map], bias: Floats, whole: bool) -> float:
    """The largest, an integer if it is to be ``whole``."""
    limit = float(THRESHOLD_MAX)
    numbers = [(values(m), WEIGHT_MIN, WEIGHT_MAX) for m in weights] + [(bias, BIAS_MIN, BIAS_MAX)]
    for found, low, high in numbers:
        for bound, extreme in ((high, found.max(initial=0.0)), (low, found.min(initial=0.0))):
            if extreme:
                limit = min(limit, bound / extreme)
    if whole and limit < 1 - _SINGLE:
        wanted = f"at most {WEIGHT_MAX} times the threshold, biases {BIAS_MAX} times"
        raise UnsupportedError(where, "weights", wanted, f"{WEIGHT_MAX / limit:.4g} times")
    return math.floor(limit * (1 + _SINGLE)) if whole else limit


def values(given: Map) -> Floats:
    """The weights that a map has, each once."""
    if isinstance(given, maps.Gain):
        return given.gain
    if isinstance(given, maps.Convolution):
        return given.weight
    entries = maps.as_entries(given)
    return entries if isinstance(entries, np.ndarray) else entries.data


def weights(given: Floats) -> npt.NDArray[np.int16]:
    """The nearest even integers; ``given`` is in range, but for an error of floats."""
    return np.clip(2 * np.rint(given / 2), WEIGHT_MIN, WEIGHT_MAX).astype(np.int16)


def connection(
    given: Map, source: int, target: int, delay: int | npt.NDArray[Any]
) -> tuple[Connection, float]:
    """A scaled map as a connection, and its relative error."""
    exact = values(given)
    rounded = weights(exact)
    error = relative(rounded, exact)
    if isinstance(given, maps.Convolution):
        return Conv(
            source, target, rounded, given.stride, given.padding, given.dilation, given.groups,
            delay=delay,
        ), error  # fmt: skip
    if isinstance(given, maps.Gain) and (rounded == rounded[0]).all():
        return OneToOne(source, target, int(rounded[0]), delay=delay), error
    entries = maps.as_entries(given)
    if isinstance(entries, np.ndarray):
        return Dense(source, target, rounded, delay=delay), error
    sparse = entries.tocoo()
    sparse.data = weights(sparse.data)
    sparse.eliminate_zeros()
    return Sparse(source, target, sparse, delay=delay), error
