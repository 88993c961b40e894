"""Surrogate derivatives in compiled code, per membrane unit; see `slayer.surrogate`."""

from __future__ import annotations

import math

import numpy as np
from llvmlite import ir
from numba import types

from lava_async._kernel._compiler import inline_early, intrinsic
from lava_async._kernel.training.layout import ARCTAN, EXPONENTIAL

_LOG2_E = np.float32(math.log2(math.e))
_ROUND = np.float32(0.5)
_ONE = np.float32(1)
_MOST = np.float32(252)  # halvings, twice as many as leave a normal number
_BIAS = np.int32(127)
_MANTISSA_BITS = np.int32(23)
# Coefficients of 2**x around 0, of which |x| <= 1/2 needs seven.
_C1, _C2, _C3, _C4, _C5, _C6, _C7 = (
    np.float32(math.log(2) ** i / math.factorial(i)) for i in range(1, 8)
)


@intrinsic
def _float_of_bits(typing_context, bits):
    """The float32 that these 32 bits are."""

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), generate


@inline_early
def _exp_of_minus(x):
    """exp(-x) of x >= 0, to two units in the last place; 0 beyond the normal numbers.

    In plain multiplications, additions and choices, so that loops over it become vector code and
    every processor gives the same bits: Numba's min and max are functions, which stay calls.
    """
    y = np.float32(x * _LOG2_E)
    y = y if y < _MOST else _MOST
    halvings = np.int32(y + _ROUND)
    f = np.float32(np.float32(halvings) - y)
    p = np.float32(_C6 + f * _C7)
    p = np.float32(_C5 + f * p)
    p = np.float32(_C4 + f * p)
    p = np.float32(_C3 + f * p)
    p = np.float32(_C2 + f * p)
    p = np.float32(_C1 + f * p)
    p = np.float32(_ONE + f * p)
    exponent = np.int32(_BIAS - halvings)
    exponent = exponent if exponent > 0 else np.int32(0)
    scale = _float_of_bits(np.int32(exponent << _MANTISSA_BITS))
    return np.float32(p * scale)


@inline_early
def derivative(kind, distance, slope, height):
    """At a distance from the threshold, membrane units."""
    x = np.float32(abs(distance) * slope)
    if kind == EXPONENTIAL:
        return np.float32(height * _exp_of_minus(x))
    if kind == ARCTAN:
        return np.float32(height / np.float32(_ONE + x * x))
    y = np.float32(_ONE + x)
    return np.float32(height / np.float32(y * y))
