"""Who receives a current, and where.

Delivery over single synapses takes three tuples, of what `pointer` gives.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lava_async._kernel._compiler import inline
from lava_async._kernel._layout import NOWHERE


class Synapses(NamedTuple):
    """Of a connection."""

    row: Any  # of `Net.wiring`
    weight: Any  # arrays of all connections, as in `Net`
    synapse: Any
    target: Any


class Spikes(NamedTuple):
    """What is delivered."""

    neurons: Any  # who spikes
    times: Any  # how often
    count: Any  # how many these are
    first_neuron: Any  # of the source; they go by the numbers of all neurons
    counted: Any  # whether it is to be looked at how often: otherwise once each


class Targets(NamedTuple):
    """Where it goes: arrays of `State`, in which those of a slot begin with its own."""

    current: Any
    listed: Any  # whether targets are
    hit: Any
    hits: Any
    num_hits: Any  # of this slot
    packed: Any  # whether the target population is
    place: Any
    owner: Any
    used: Any  # of the target population


@inline
def take_place(n, place, owner, free):
    """The place of neuron n: the free one if it had none. Returns that, and which is free then."""
    taken = place[n]
    if taken == NOWHERE:
        place[n], owner[free] = free, n
        return free, free + np.uint64(1)
    return np.uint64(taken), free


@inline
def reach(n, hit, hits, length):
    """List place n behind the first ``length`` ones, unless it is there. Returns the new length.

    Without a branch: whether it is there is hard to predict. One more place is written than listed.
    """
    hits[length] = n
    length += np.uint64(hit[n] == 0)
    hit[n] = 1
    return length
