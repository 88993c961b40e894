"""The flat arrays of training: what is remembered of a forward pass, and the way back."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

# When a spike was released, where no forward step did it.
IN_TIME = np.int32(-1)  # before anyone decided, or a silent neuron's, had there been one
UNSENT = np.int32(-2)  # the spike was discarded
LOST = np.int32(-3)  # spike dropout took it

THROUGH, DETACHED, FULL = range(3)  # what the reset does to the gradient
GIVEN, EXPONENTIAL, ARCTAN, FAST_SIGMOID = range(4)  # kinds of surrogate derivatives


class Tape(NamedTuple):
    """What the gradient needs of a forward pass: B samples, T time steps, N neurons and some more.

    Rows of neurons are filled up to whole cache lines, as those of gradients are.
    """

    voltage: npt.NDArray[np.int32]  # (B, T, N) that decided, membrane units
    fired_at: npt.NDArray[np.int32]  # (B, T, N) forward steps that had run then, or NEVER
    released_at: npt.NDArray[np.int32]  # (B, T, N) in which forward step, or one of the above
    # Lists of all samples: those of one begin somewhere behind those of the one before.
    sent: npt.NDArray[np.uint32]  # neurons whose spikes were delivered, ascending
    sent_begin: npt.NDArray[np.int64]  # (B, T, P + 1) of each population among them
    event: npt.NDArray[np.uint32]  # input neurons, ascending
    times: npt.NDArray[np.float32]  # spikes of each
    event_begin: npt.NDArray[np.int64]  # (B, T + 1) of each time step among them
    active: npt.NDArray[np.uint8]  # (N,) which neurons fired at all
    # (B, T, N) currents at the end of the time step, membrane units; (0, 0, 0) where nobody asks
    current: npt.NDArray[np.int32]


class Way(NamedTuple):
    """In which order the gradient walks back, and what it needs of each population.

    Connections that may close a circle within a time step tie populations to a component, those
    that may close one over time tie components to a block.
    """

    block: npt.NDArray[np.int64]  # (blocks + 1,) first component of each, in order of the way back
    component: npt.NDArray[np.int64]  # (components + 1,) first of its populations
    population: npt.NDArray[np.int64]  # (P,) populations, component by component
    circular: npt.NDArray[np.bool_]  # (components,) closes a circle within a time step
    block_of: npt.NDArray[np.int64]  # (P,)
    component_of: npt.NDArray[np.int64]  # (P,)
    source: npt.NDArray[np.int64]  # (C,) population, -1: the input
    late: npt.NDArray[np.int64]  # (C,) the delay of all sources, -1: each has its own
    at: npt.NDArray[np.int64]  # (C,) where `weight` has its weights
    weight: npt.NDArray[np.float32]  # of kinds with a fast way back, in their own order
    keep_u: npt.NDArray[np.float32]  # (N + 64,) 1 - decay
    keep_v: npt.NDArray[np.float32]  # (N + 64,)
    threshold: npt.NDArray[np.float32]  # (P,) membrane units
    reset: int
    surrogate: int
    slope: npt.NDArray[np.float32]  # (P,) 1 / width of the surrogate, in membrane units
    height: npt.NDArray[np.float32]  # (P,) of it, per membrane unit


class Scratch(NamedTuple):
    """Scratch space of the way back over connections."""

    listed: npt.NDArray[np.uint32]  # (N,) and room for fours
    gains: npt.NDArray[np.float32]  # `PLACES` times as many
    # Of convolutions:
    canvas: npt.NDArray[np.float32]  # the padded source of any of them
    marks: npt.NDArray[np.int32]  # as large
    corner: npt.NDArray[np.uint64]  # (`PLACES`,)


class Turned(NamedTuple):
    """Scratch space of the gradients of weights: what the targets of a connection have."""

    early: npt.NDArray[np.float32]  # the gradient of a current that came in time
    late: npt.NDArray[np.float32]  # and of one that came later
    fired_at: npt.NDArray[np.int32]


class Sample(NamedTuple):
    """One sample on the way back: its rows of the tape and of the result, and scratch space.

    Gradients are by spike, voltage and current; those of voltage and current times 64.
    """

    voltage: npt.NDArray[np.int32]  # (T, N)
    fired_at: npt.NDArray[np.int32]  # (T, N)
    released_at: npt.NDArray[np.int32]  # (T, N)
    loss: npt.NDArray[np.float32]  # (neurons, T) by the spikes of some neurons
    loss_first: int  # the first of these
    discards: bool  # whether spikes may have been lost, or never delivered
    by_v: npt.NDArray[np.float32]  # (T, N)
    by_u: npt.NDArray[np.float32]  # (T, N)
    sigma: npt.NDArray[np.float32]  # (T, N) derivative of the spike function
    by_spike: npt.NDArray[np.float32]  # (T, N)
    back: npt.NDArray[np.float32]  # (T, N) what comes over a circle within a time step
    end_v: npt.NDArray[np.float32]  # (N,) by the state at the end of the time step
    end_u: npt.NDArray[np.float32]  # (N,)
    scratch: Scratch
