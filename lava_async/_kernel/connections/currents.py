"""The gradient of a current, by when it arrived: what the ways back over synapses share."""

from __future__ import annotations

from lava_async._kernel._compiler import inline_early


@inline_early
def by_current(n, by_v, by_u, fired_at, released_at, now):
    """Of the current of a spike that was released then, at neuron n.

    A spike that comes within the time step may come after its target has decided.
    """
    if now and released_at >= fired_at[n]:
        return by_u[n]
    return by_v[n] + by_u[n]
