"""The way back through a graph, as flat arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lava_async._kernel.training.layout import EXPONENTIAL, THROUGH, Way
from lava_async._semantics.connections import INPUT
from lava_async._semantics.graph import Graph, components


def find_way(graph: Graph, layered: bool, order: Sequence[int]) -> Way:
    """Blocks and components in the order in which the gradient walks through them.

    ``order`` says which connection each row of the wiring is. What depends on weights, neurons
    and the surrogate is left open.
    """
    connections = [graph.connections[i] for i in order]
    delays = [np.asarray(graph.layered_delay(c) if layered else c.delay) for c in connections]
    count = len(graph.populations)
    at_once = [
        (c.source, c.target)
        for c, delay in zip(connections, delays, strict=True)
        if c.source != INPUT and not delay.all()
    ]
    over_time = [(c.source, c.target) for c in connections if c.source != INPUT]
    tied = components(count, at_once)
    component_of = {p: k for k, members in enumerate(tied) for p in members}
    block, component, population = [0], [0], []
    circular, block_of = [], np.zeros(count, np.int64)
    number = np.zeros(count, np.int64)
    for b, members in enumerate(reversed(components(count, over_time))):
        for k in sorted({component_of[p] for p in members}, reverse=True):
            for p in tied[k]:
                block_of[p], number[p] = b, len(circular)
            population += tied[k]
            component.append(len(population))
            circular.append(any(s in tied[k] and t in tied[k] for s, t in at_once))
        block.append(len(circular))
    nothing = np.zeros(count, np.float32)
    return Way(
        block=np.array(block, np.int64),
        component=np.array(component, np.int64),
        population=np.array(population, np.int64),
        circular=np.array(circular, np.bool_),
        block_of=block_of,
        component_of=number,
        source=np.array([c.source for c in connections], np.int64),
        late=np.array(
            [int(d.flat[0]) if np.ptp(d) == 0 else -1 for d in delays], np.int64
        ),
        at=np.zeros(len(order), np.int64),
        weight=np.zeros(0, np.float32),
        keep_u=nothing, keep_v=nothing, threshold=nothing,
        reset=THROUGH, surrogate=EXPONENTIAL, slope=nothing, height=nothing,
    )  # fmt: skip
