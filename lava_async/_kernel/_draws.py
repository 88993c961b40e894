"""Random draws in compiled code: the very functions of `_semantics.random`."""

from __future__ import annotations

import numpy as np

from lava_async._kernel._compiler import jit
from lava_async._semantics import random

philox4x32 = jit(random.philox4x32)
uniform24 = jit(random.uniform24)
uniform53 = jit(random.uniform53)

SCHEDULE = np.uint64(int(random.Purpose.SCHEDULE) << 24)
_SPIKE_DROPOUT = np.uint64(int(random.Purpose.SPIKE_DROPOUT) << 24)
_INPUT_DROPOUT = np.uint64(int(random.Purpose.INPUT_DROPOUT) << 24)


@jit
def spike_lost(plan, neuron, sample, time_step, forward_step):
    """As `Dropout.spike_lost`; layer by layer a neuron is asked once a time step."""
    step = np.uint64(0 if plan.layered else forward_step)
    word, _, _, _ = philox4x32(
        np.uint64(neuron), step | _SPIKE_DROPOUT, np.uint64(time_step),
        np.uint64(sample), plan.dropout_key0, plan.dropout_key1,
    )  # fmt: skip
    return uniform24(word) < plan.spike_dropout[neuron]


@jit
def input_lost(plan, probability, index, sample, time_step):
    """As `Dropout.input_lost`."""
    word, _, _, _ = philox4x32(
        np.uint64(index), _INPUT_DROPOUT, np.uint64(time_step), np.uint64(sample),
        plan.dropout_key0, plan.dropout_key1,
    )  # fmt: skip
    return uniform24(word) < probability
