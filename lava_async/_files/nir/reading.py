"""Graphs from NIR: see `lava_async.from_nir`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from lava_async._files.nir import maps, rounding
from lava_async._files.nir.neurons import NO_MEMORY, Neurons, neurons_of, with_constant
from lava_async._files.nir.paths import Arrivals, Path, trace
from lava_async._files.nir.report import Rounding
from lava_async._files.nir.wiring import Node, take_apart
from lava_async._semantics.connections import INPUT, Connection
from lava_async._semantics.graph import NETX_NEVER_FIRES, Graph, Population, components

Errors = dict[tuple[str, str], float]


def read(graph: Any, dt: float) -> tuple[Graph, Rounding]:
    """The network of a ``nir.NIRGraph``, rounded.

    Raises
    ------
    GraphError
        The graph contradicts itself, or a parameter is outside its range.
    UnsupportedError
        A node, or a combination of them, that is not run here.
    """
    wiring = take_apart(graph)
    arrivals = trace(wiring, dt)
    source, output = wiring.of("Input"), wiring.of("Output")
    last = _output(arrivals[output.name], source.name)
    firing = wiring.neurons
    if last is None:  # what leads there is read as a current, by neurons that never fire
        firing.append(output)
    firing = _ordered(firing, arrivals)
    index = {source.name: INPUT, **{node.name: place for place, node in enumerate(firing)}}
    errors: Errors = {}
    populations, connections = [], []
    for node in firing:
        population, entering = _population(node, arrivals[node.name], index, dt, errors)
        populations.append(population)
        connections += entering
    return Graph(
        source.shape(), tuple(populations), tuple(connections),
        index[output.name if last is None else last.source],
        output_delay=0 if last is None else _delay(last.delay),
    ), Rounding(dt, errors)  # fmt: skip


def _output(arrivals: Arrivals, source: str) -> Path | None:
    """The neurons whose spikes are the output as they are, if there are any."""
    if len(arrivals.paths) != 1 or arrivals.constant is not None:
        return None
    (path,) = arrivals.paths
    return path if maps.is_identity(path.map) and path.source != source else None


def _ordered(nodes: list[Node], arrivals: dict[str, Arrivals]) -> list[Node]:
    """Each after those that lead to it, as far as there are no loops; else by name."""
    place = {node.name: index for index, node in enumerate(nodes)}
    edges = [
        (place[path.source], place[node.name])
        for node in nodes
        for path in arrivals[node.name].paths
        if path.source in place
    ]
    return [nodes[index] for part in components(len(nodes), edges) for index in part]


def _neurons(node: Node, arrivals: Arrivals, dt: float) -> Neurons:
    if node.is_neuron:
        return neurons_of(node, arrivals.shape, dt)
    size = math.prod(arrivals.shape)
    return Neurons(arrivals.shape, NO_MEMORY, NO_MEMORY, np.ones(size), np.zeros(size), None)


def _population(
    node: Node, arrivals: Arrivals, index: dict[str, int], dt: float, errors: Errors
) -> tuple[Population, list[Connection]]:
    """Neurons and the connections that enter them, rounded with one scale."""
    paths = sorted(arrivals.paths, key=lambda path: index[path.source])
    neurons = _neurons(node, arrivals, dt)
    bias = with_constant(node, neurons, arrivals.constant)
    divisor, whole = rounding.thresholds(node.where, neurons.threshold)
    shape = arrivals.shape
    gain = maps.Gain(shape, shape, neurons.gain / divisor)
    entering = [maps.compose(path.map, gain) for path in paths]
    scale = rounding.scale(node.where, entering, bias / divisor, whole)
    bias = bias / divisor * scale
    rounded = np.rint(bias).astype(np.int64).reshape(shape)
    errors[node.name, "bias"] = rounding.relative(rounded.reshape(-1), bias)
    for what in ("i_decay", "v_decay"):
        decay = getattr(neurons, what)
        errors[node.name, what] = rounding.relative_each(decay.rounded, decay.exact * 4096)
    own = shape if len(shape) in (1, 3) else (math.prod(shape),)
    i_decay, v_decay = (
        np.broadcast_to(decay.rounded, math.prod(shape)).reshape(own)
        for decay in (neurons.i_decay, neurons.v_decay)
    )
    population = Population(
        node.name,
        own,
        i_decay,
        v_decay,
        NETX_NEVER_FIRES[0] if neurons.threshold is None else int(scale) * whole,
        rounded if rounded.any() else None,
    )
    connections = []
    for path, given in zip(paths, entering, strict=True):
        scaled = maps.compose(given, maps.Gain(shape, shape, np.full(math.prod(shape), scale)))
        made, error = rounding.connection(
            scaled, index[path.source], index[node.name], _delay(path.delay)
        )
        connections.append(made)
        errors[f"{path.source} -> {node.name}", "weight"] = error
    return population, connections


def _delay(delay: npt.NDArray[np.int64]) -> int | npt.NDArray[Any]:
    """One for all where it is the same."""
    return int(delay[0]) if (delay == delay[0]).all() else delay
