"""Graphs as NIR whose numbers are the graph's integers: see `lava_async.to_nir`.

A node for each population, and for each connection its map, with a Delay before it where it has
one and a Flatten where shapes ask for it. NIR has no node from flat to (C, H, W): a population
that anything flat enters is written flat, and what leaves a flat one as a matrix.
"""

from __future__ import annotations

import io
import math
import os
from typing import Any

import numpy as np
import numpy.typing as npt

from lava_async._files.atomic import atomic_path
from lava_async._files.nir import opening
from lava_async._files.nir.neurons import FOREVER
from lava_async._files.nir.record import RECORD, beside_matrix, record
from lava_async._semantics.connections import INPUT, Connection, Conv, Dense, OneToOne, Shape
from lava_async._semantics.dynamics import DECAY_ONE, THRESHOLD_MAX
from lava_async._semantics.graph import Graph, Population
from lava_async.errors import UnsupportedError

MAX_MATRIX = 1 << 24
"""Elements of a matrix that stands for synapses one by one: 64 MiB."""


def write(graph: Graph, path: str | os.PathLike[str], dt: float) -> None:
    nir = opening.package()
    content = io.BytesIO()  # HDF5 can neither go on nor close its file after a failed write
    nir.write(content, build(graph, dt, record(graph, dt)))
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.getbuffer())


def build(graph: Graph, dt: float, text: str) -> Any:
    """The ``nir.NIRGraph``, with this text in its metadata."""
    return _Builder(graph, dt).build(text)


def population_name(index: int) -> str:
    return "input" if index == INPUT else f"population_{index}"


def connection_name(index: int) -> str:
    return f"connection_{index}"


def delay_name(of: str) -> str:
    return f"{of}_delay"


def written_shapes(graph: Graph) -> dict[int, Shape]:
    """Of the input and each population, as its node has it: flat, or its own."""
    own_shapes = {INPUT: graph.input_shape} | {i: p.shape for i, p in enumerate(graph.populations)}
    shapes = {i: s if i == INPUT or len(s) == 3 else (math.prod(s),) for i, s in own_shapes.items()}
    changed = True
    while changed:
        changed = False
        for c in graph.connections:
            if len(shapes[c.target]) == 3 and not _keeps_shape(c, shapes):
                shapes[c.target] = (math.prod(shapes[c.target]),)
                changed = True
    return shapes


def _keeps_shape(connection: Connection, shapes: dict[int, Shape]) -> bool:
    source, target = shapes[connection.source], shapes[connection.target]
    if isinstance(connection, Conv):
        return len(source) == 3
    return isinstance(connection, OneToOne) and source == target


class _Builder:
    def __init__(self, graph: Graph, dt: float) -> None:
        self.nir = opening.package()
        self.graph, self.dt = graph, dt
        self.shapes = written_shapes(graph)
        self.nodes: dict[str, Any] = {}
        self.edges: list[tuple[str, str]] = []

    def build(self, text: str) -> Any:
        graph, nir = self.graph, self.nir
        self.nodes["input"] = nir.Input(np.array(self.shapes[INPUT]))
        for index, population in enumerate(graph.populations):
            carrier = bias_carrier(graph, index, self.shapes)
            bias = population.bias if carrier is None else None
            self.nodes[population_name(index)] = self.neurons(
                population, self.shapes[index], bias
            )
        for index, connection in enumerate(graph.connections):
            self.connect(index, connection)
        last = population_name(graph.output)
        shape = self.shapes[graph.output]
        self.nodes["output"] = nir.Output(np.array(shape))
        self.edges.append((self.delayed("output", last, graph.output_delay, shape), "output"))
        # Checking types would add an Output for each population that nothing leaves.
        return nir.NIRGraph(
            self.nodes, self.edges, metadata={RECORD: text}, type_check=False
        )

    def neurons(self, population: Population, shape: Shape, bias: npt.NDArray | None) -> Any:
        nir, dt = self.nir, self.dt

        def all_of(value: npt.ArrayLike) -> npt.NDArray[np.float64]:
            return np.broadcast_to(np.asarray(value, np.float64), shape).copy()

        def time(decay: npt.ArrayLike) -> npt.NDArray[np.float64]:
            each = all_of(population.each(decay).reshape(shape))
            return dt * np.where(each > 0, DECAY_ONE / np.maximum(each, 1), FOREVER)

        fires = population.threshold <= THRESHOLD_MAX
        threshold = {"v_threshold": all_of(population.threshold)} if fires else {}
        membrane = time(population.v_decay)
        no_current = np.all(population.i_decay == DECAY_ONE)
        if no_current and not np.any(population.v_decay) and bias is None:
            return (nir.IF if fires else nir.I)(r=all_of(1), **threshold)
        leak = np.zeros(shape) if bias is None else bias.reshape(shape) * (membrane / dt)
        shared = {"r": all_of(membrane / dt), "v_leak": leak, **threshold}
        if no_current:
            return (nir.LIF if fires else nir.LI)(tau=all_of(membrane), **shared)
        synapse = time(population.i_decay)
        return (nir.CubaLIF if fires else nir.CubaLI)(
            tau_syn=all_of(synapse), tau_mem=all_of(membrane), w_in=all_of(synapse / dt), **shared
        )

    def connect(self, index: int, connection: Connection) -> None:
        nir, name = self.nir, connection_name(index)
        shape, target = self.shapes[connection.source], self.shapes[connection.target]
        before = self.delayed(name, population_name(connection.source), connection.delay, shape)
        carried = None
        if bias_carrier(self.graph, connection.target, self.shapes) == index:
            carried = self.graph.populations[connection.target].bias
        if isinstance(connection, Conv) and len(shape) == 3:
            out = connection.out_shape(shape)
            bias = np.zeros(out[0]) if carried is None else carried.reshape(out)[:, 0, 0]
            node = nir.Conv2d(
                input_shape=shape[1:],
                weight=connection.weight.astype(np.float32),
                stride=connection.stride,
                padding=connection.padding,
                dilation=connection.dilation,
                groups=connection.groups,
                bias=bias.astype(np.float32),
            )
        elif isinstance(connection, OneToOne):
            out, node = shape, nir.Scale(np.full(shape, connection.weight, np.float32))
        else:
            before, out = self.flattened(f"{name}_source", before, shape), target
            node = self.matrix(index, connection, carried)
        self.nodes[name] = node
        self.edges.append((before, name))
        after = name if out == target else self.flattened(f"{name}_target", name, out)
        self.edges.append((after, population_name(connection.target)))

    def matrix(self, index: int, connection: Connection, bias: npt.NDArray | None) -> Any:
        nir, metadata = self.nir, {}
        if isinstance(connection, Dense):
            weight = connection.weight
        else:
            synapses = connection.all_synapses(self.graph.source_shape(connection))
            if math.prod(synapses.shape) > MAX_MATRIX:
                raise UnsupportedError(
                    f"connection {index} ({connection.kind})", "size as a matrix, as NIR has it",
                    f"at most {MAX_MATRIX} elements", synapses.shape,
                )  # fmt: skip
            weight = np.zeros(synapses.shape, np.int16)
            weight[synapses.target, synapses.source] = synapses.weight
            metadata = beside_matrix(connection, self.graph.source_shape(connection))
        weight = weight.astype(np.float32)
        if bias is None:
            return nir.Linear(weight, metadata=metadata)
        return nir.Affine(weight, bias.reshape(-1).astype(np.float32), metadata=metadata)

    def delayed(self, of: str, before: str, delay: int | npt.NDArray, shape: Shape) -> str:
        if np.ndim(delay) == 0 and not delay:
            return before
        times = np.broadcast_to(np.ravel(delay), (math.prod(shape),)) * self.dt
        return self.add(delay_name(of), self.nir.Delay(times.reshape(shape)), before)

    def flattened(self, name: str, before: str, shape: Shape) -> str:
        if len(shape) == 1:
            return before
        # Counted from behind, as PyTorch's tools differ in whether they count the batch.
        node = self.nir.Flatten({"input": np.array(shape)}, start_dim=-len(shape))
        return self.add(f"{name}_flatten", node, before)

    def add(self, name: str, node: Any, before: str) -> str:
        self.nodes[name] = node
        self.edges.append((before, name))
        return name


def bias_carrier(graph: Graph, population: int, shapes: dict[int, Shape]) -> int | None:
    """The connection in whose node the bias stands, where that runs alike: other tools read it.

    Else it is a leak voltage, which not all of them do.
    """
    p = graph.populations[population]
    if p.bias is None or np.any(p.i_decay != DECAY_ONE):
        return None
    for index, c in enumerate(graph.connections):
        if c.target != population:
            continue
        if isinstance(c, Dense):
            return index
        if isinstance(c, Conv) and len(shapes[c.source]) == 3:
            by_channel = p.bias.reshape(len(c.weight), -1)
            if (by_channel == by_channel[:, :1]).all():
                return index
    return None
