"""Who received a current in this forward step."""

from __future__ import annotations

from lava_async._kernel._compiler import inline
from lava_async._kernel._layout import HITS


@inline
def reach(n, hit, hits, count):
    """Remember that neuron n may have received a current."""
    if not hit[n]:
        hit[n] = 1
        hits[count[HITS]] = n
        count[HITS] += 1
