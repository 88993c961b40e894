"""Who received a current."""

from __future__ import annotations

import numpy as np

from lava_async._kernel._compiler import inline


@inline
def reach(n, hit, hits, length):
    """List neuron n behind the first ``length`` ones, unless it is there. Returns the new length.

    Without a branch: whether it is there is hard to predict. One more place is written than listed.
    """
    hits[length] = n
    length += np.uint64(hit[n] == 0)
    hit[n] = 1
    return length
