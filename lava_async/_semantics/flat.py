"""A graph as synapses one by one, whatever the kinds of its connections."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lava_async._semantics import dynamics as dyn
from lava_async._semantics.connections import INPUT
from lava_async._semantics.graph import Graph, components

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class FlatSynapses:
    """Synapses of all connections.

    Attributes
    ----------
    source : (n,) int64
        Neurons and, from N on, inputs.
    target : (n,) int64
    weight : (n,) int64
        Membrane units.
    delay : (n,) int64
        Time steps, under the schedule.
    place : (n,) int64
        Of its weight among those of all connections, one after another.
    encircled : (n,) bool
        It delivers within the time step, and source and target share a component.
    """

    source: Ints
    target: Ints
    weight: Ints
    delay: Ints
    place: Ints
    encircled: npt.NDArray[np.bool_]

    def of(self, senders: npt.NDArray[np.bool_]) -> FlatSynapses:
        """Those of the sources that (N + inputs,) marks."""
        mine = senders[self.source]
        return FlatSynapses(*(field[mine] for field in vars(self).values()))


class FlatGraph:
    """Synapses, neurons, and the circles among them under a schedule.

    Parameters
    ----------
    graph : Graph
    layered : bool
        Whether the schedule is `LayerSync`.

    Attributes
    ----------
    synapses : FlatSynapses
    components : list of (n,) int64
        Neurons of the populations that are strongly connected by what delivers within the time
        step, in topological order. Of a connection whose sources have delays of their own, one
        without suffices.
    weight_shapes : list of tuple of int
        Of each connection.
    first_weights : (connections + 1,) int64
        Place of each connection's first weight.
    i_decay, v_decay : (N,) int64
    max_delay : int
    """

    def __init__(self, graph: Graph, layered: bool):
        delays = [
            np.broadcast_to(graph.layered_delay(c) if layered else c.delay, sources.shape)
            for c in graph.connections
            for sources in [c.delays(graph.source_shape(c))]
        ]
        immediate = [
            (c.source, c.target)
            for c, delay in zip(graph.connections, delays, strict=True)
            if delay.min() == 0
        ]
        order = components(len(graph.populations), immediate)
        self.components = [np.concatenate([np.r_[graph.slice(p)] for p in c]) for c in order]
        self.weight_shapes = [c.weight_shape(graph.source_shape(c)) for c in graph.connections]
        self.first_weights = np.cumsum([0, *map(_size, self.weight_shapes)])
        self.max_delay = graph.max_delay

        component = np.full(graph.num_neurons + _size(graph.input_shape), -1)
        for number, neurons in enumerate(self.components):
            component[neurons] = number
        parts = []
        for c, delay, first in zip(
            graph.connections, delays, self.first_weights[:-1], strict=True
        ):
            shape = graph.source_shape(c)
            synapses = c.all_synapses(shape)
            before = graph.num_neurons if c.source == INPUT else graph.offsets[c.source]
            source = before + synapses.source
            target = graph.offsets[c.target] + synapses.target
            weight = synapses.weight.astype(np.int64) << dyn.STATE_SHIFT
            late = delay[synapses.source].astype(np.int64)
            encircled = (late == 0) & (component[source] == component[target])
            parts.append((source, target, weight, late, first + c.places(shape), encircled))
        self.synapses = FlatSynapses(*map(np.concatenate, zip(*parts, strict=True)))

        self.i_decay = np.concatenate([p.each(p.i_decay) for p in graph.populations])
        self.v_decay = np.concatenate([p.each(p.v_decay) for p in graph.populations])


def _size(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape))
