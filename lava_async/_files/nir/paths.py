"""From sources to neurons: the linear nodes on each way become one map and one delay."""

from __future__ import annotations

import dataclasses
import graphlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lava_async._files.nir import linear, maps
from lava_async._files.nir.maps import Floats, Map
from lava_async._files.nir.wiring import Node, Wiring
from lava_async._semantics.connections import Shape
from lava_async.errors import GraphError, UnsupportedError


@dataclass(frozen=True, eq=False)
class Path:
    """What a node gets of one source.

    Attributes
    ----------
    source : str
        The Input, or neurons.
    map : Map
    delay : (source size,) int
        Time steps, of each of the source's elements.
    """

    source: str
    map: Map
    delay: npt.NDArray[np.int64]


@dataclass
class Arrivals:
    """All that arrives at a node, of shape ``shape``: paths, and a constant of each time step."""

    shape: Shape
    paths: list[Path] = field(default_factory=list)
    constant: Floats | None = None


def trace(wiring: Wiring, dt: float) -> dict[str, Arrivals]:
    """What arrives at every set of neurons and at the Output, by name.

    Raises
    ------
    GraphError
        Shapes do not fit, or are not to be found.
    UnsupportedError
        Linear nodes form a loop, or a constant is delayed.
    """
    order = _linear_order(wiring)
    shapes, linear_maps = _shapes(wiring, order)
    outgoing = {
        name: Arrivals(shape, [Path(name, maps.identity(shape), np.zeros(_size(shape), np.int64))])
        for name, shape in shapes.items()
        if not linear.is_linear(wiring.nodes[name])
    }
    arrivals: dict[str, Arrivals] = {}
    for name in order:
        arrivals[name] = _sum(wiring.nodes[name], [outgoing[b] for b in wiring.before[name]])
        outgoing[name] = _through(wiring.nodes[name], arrivals[name], linear_maps[name], dt)
    for node in wiring.neurons:
        found = _sum(node, [outgoing[b] for b in wiring.before[node.name]], shapes[node.name])
        arrivals[node.name] = found
    return arrivals


def _linear_order(wiring: Wiring) -> list[str]:
    """Linear nodes, the Output among them, each after those that lead to it."""
    names = [name for name, node in wiring.nodes.items() if linear.is_linear(node)]
    inside = set(names)
    sorter = graphlib.TopologicalSorter(
        {name: [b for b in wiring.before[name] if b in inside] for name in names}
    )
    try:
        return list(sorter.static_order())
    except graphlib.CycleError as error:
        loop = " -> ".join(reversed(error.args[1]))
        raise UnsupportedError("graph", "loop", "neurons in it", loop) from None


def _shapes(wiring: Wiring, order: Iterable[str]) -> tuple[dict[str, Shape], dict[str, Map]]:
    """Of what each node gives, from the Input on and from the parameters of neurons."""
    source = wiring.of("Input")
    shapes = {source.name: source.shape()}
    for node in wiring.neurons:
        sizes = node.numbers("r").shape
        if np.prod(sizes) > 1:  # one number may be meant for any size
            shapes[node.name] = tuple(sizes)
    linear_maps: dict[str, Map] = {}
    neurons = [node.name for node in wiring.neurons]
    waiting = [name for name in (*order, *neurons) if name not in shapes]
    while waiting:
        later = []
        for name in waiting:
            given = next((shapes[b] for b in wiring.before[name] if b in shapes), None)
            if given is None:
                later.append(name)
            elif linear.is_linear(wiring.nodes[name]):
                linear_maps[name] = linear.map_of(wiring.nodes[name], given)
                shapes[name] = linear_maps[name].target
            else:
                shapes[name] = given
        if len(later) == len(waiting):
            node = wiring.nodes[later[0]]
            raise GraphError(node.where, "input", "one that leads here", "none")
        waiting = later
    return shapes, linear_maps


def _sum(node: Node, given: list[Arrivals], shape: Shape | None = None) -> Arrivals:
    """Of all that leads to a node; paths of one source and delay become one."""
    total = Arrivals(given[0].shape if shape is None else shape)
    for arrivals in given:
        if arrivals.shape != total.shape:
            raise GraphError(node.where, "input shape", total.shape, arrivals.shape)
        if arrivals.constant is not None:
            before = 0 if total.constant is None else total.constant
            total.constant = before + arrivals.constant
        for path in arrivals.paths:
            _include(total.paths, path)
    return total


def _include(paths: list[Path], path: Path) -> None:
    for place, other in enumerate(paths):
        if other.source == path.source and np.array_equal(other.delay, path.delay):
            both = maps.add(other.map, path.map)
            paths[place] = dataclasses.replace(other, map=both)
            return
    paths.append(path)


def _through(node: Node, given: Arrivals, own: Map, dt: float) -> Arrivals:
    """What a linear node gives for what arrives there."""
    if node.kind == "Delay":
        return _delayed(node, given, dt)
    result = Arrivals(own.target)
    for path in given.paths:
        result.paths.append(dataclasses.replace(path, map=maps.compose(path.map, own)))
    parts = [linear.constant_of(node, own.target)]
    if given.constant is not None:
        parts.append(maps.apply(own, given.constant))
    parts = [part for part in parts if part is not None]
    result.constant = sum(parts) if parts else None  # type: ignore[assignment]
    return result


def _delayed(node: Node, given: Arrivals, dt: float) -> Arrivals:
    steps = linear.delays(node, given.shape, dt)
    if given.constant is not None and steps.any():
        wanted = "none, as it would begin only after the delay"
        raise UnsupportedError(node.where, "bias before it", wanted, "one")
    result = Arrivals(given.shape)
    for path in given.paths:
        if isinstance(path.map, maps.Gain):  # each element is one of the source
            _include(result.paths, dataclasses.replace(path, delay=path.delay + steps))
            continue
        for step in np.unique(steps):
            part = maps.rows(path.map, steps == step)
            _include(result.paths, Path(path.source, part, path.delay + step))
    return result


def _size(shape: Shape) -> int:
    return int(np.prod(shape))
