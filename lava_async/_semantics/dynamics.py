"""Neuron arithmetic: CUBA-LIF in Loihi's fixed point (see ``semantics``: State and arithmetic).

Pure functions on arrays of integers: the definition, for the reference. The kernel has forms
of its own, in 32 bits, that give the same numbers. Units: membrane units, in which a spike
through weight ``w`` is worth ``w << 6``.
"""

from __future__ import annotations

import numpy as np

DECAY_BITS = 12
DECAY_ONE = 1 << DECAY_BITS  # 4096: no memory
STATE_SHIFT = 6  # weights, biases and thresholds are aligned 6 bits up, as on Loihi
STATE_LIMIT = 1 << 23  # current and voltage are 24-bit
WEIGHT_MIN, WEIGHT_MAX = -256, 254
BIAS_MIN, BIAS_MAX = -(1 << 12), (1 << 12) - 1  # 13-bit mantissa
THRESHOLD_MAX = (1 << 17) - 1  # 17-bit mantissa


def decay(x, d):
    """``sign(x) * ((|x| * (4096 - d)) >> 12)``: rounds towards zero, as Loihi does.

    x : int64, state. d : int64 in 0..4096, 4096 forgets everything.
    """
    return np.sign(x) * ((np.abs(x) * (DECAY_ONE - d)) >> DECAY_BITS)


def wrap_current(u):
    """Wrap the current into 24 bits, (-2**23, 2**23].

    Equals what ``PyLifModelBitAcc`` of Lava does for |u| < 3 * 2**23; beyond, Lava's single
    wrap would leave the 24 bits.
    """
    return ((u + (STATE_LIMIT - 1)) & (2 * STATE_LIMIT - 1)) - (STATE_LIMIT - 1)


def clip_voltage(v):
    """Saturate the 24-bit voltage at ±(2**23 - 1)."""
    return np.minimum(np.maximum(v, -STATE_LIMIT + 1), STATE_LIMIT - 1)
