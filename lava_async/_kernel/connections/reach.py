"""Who receives a current, and where."""

from __future__ import annotations

import numpy as np

from lava_async._kernel._compiler import inline
from lava_async._kernel._layout import NOWHERE


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
