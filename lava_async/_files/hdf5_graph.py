"""Any graph as populations and connections, inside `hdf5_own.GROUP`; netx refuses such a file.

::

    output               index of the output population
    output_delay         for all its neurons, or one for each
    population/<i>/      shape, iDecay, vDecay, vThMant; bias of each neuron if there is one
    connection/<i>/      type, source (-1: the input), target; delay of all sources or of each
                         dense, one_to_one: weight
                         conv, conv_transpose: weight, stride, padding, dilation, groups
                         pool, unpool: weight, stride, padding, dilation
                         sparse: target_neuron, source_neuron and weight of each synapse
"""

from __future__ import annotations

import math
from typing import Any

import h5py
import numpy as np

from lava_async._files import kinds
from lava_async._files.hdf5_fields import Fields, graph_errors
from lava_async._semantics import checks
from lava_async._semantics.connections import (
    INPUT,
    Connection,
    Shape,
    Sparse,
    Synapses,
    check_delay,
)
from lava_async._semantics.graph import Graph, Population

POPULATION, CONNECTION = "population", "connection"

_NEURON = {"shape": "shape", "i_decay": "iDecay", "v_decay": "vDecay", "threshold": "vThMant"}


def write(group: h5py.Group, graph: Graph) -> None:
    group["output"] = graph.output
    group["output_delay"] = graph.output_delay
    for index, population in enumerate(graph.populations):
        fields = group.create_group(f"{POPULATION}/{index}")
        for key, name in _NEURON.items():
            fields[name] = getattr(population, key)
        if population.bias is not None:
            fields["bias"] = population.bias
    for index, connection in enumerate(graph.connections):
        kind, numbers = kinds.describe(connection, graph.source_shape(connection))
        fields = group.create_group(f"{CONNECTION}/{index}")
        fields["type"] = np.bytes_(kind.encode())
        fields["source"] = connection.source
        fields["target"] = connection.target
        fields["delay"] = connection.delay
        for name, value in numbers.items():
            fields[name] = value


def read(fields: Fields, input_shape: tuple[int, ...] | None) -> Graph:
    """The graph in the fields of our group; ``input_shape`` is recorded beside it."""
    if input_shape is None:
        raise fields.malformed("input_shape", "integers >= 1", "nothing")
    populations = [
        _population(Fields(f"{fields.where}: {POPULATION} {index}", group), index)
        for index, group in enumerate(fields.numbered(POPULATION))
    ]
    shapes = {INPUT: input_shape, **{i: p.shape for i, p in enumerate(populations)}}
    connections = [
        _connection(Fields(f"{fields.where}: {CONNECTION} {index}", group), shapes)
        for index, group in enumerate(fields.numbered(CONNECTION))
    ]
    with graph_errors(fields.where):
        output = checks.integer("", "output", fields.numbers("output"), 0, len(populations) - 1)
        delay = check_delay("", "output_delay", fields.numbers("output_delay"))
        return Graph(
            input_shape, tuple(populations), tuple(connections), output, output_delay=delay
        )


def _population(fields: Fields, index: int) -> Population:
    numbers: dict[str, Any] = {key: fields.numbers(name) for key, name in _NEURON.items()}
    bias = fields.numbers("bias") if "bias" in fields else None
    with graph_errors(fields.where):
        return Population(f"{POPULATION} {index}", bias=bias, **numbers)


def _connection(fields: Fields, shapes: dict[int, Shape]) -> Connection:
    """``shapes`` of all sources."""
    kind = fields.text("type")
    last = len(shapes) - 2
    with graph_errors(fields.where):
        source = checks.integer("", "source", fields.numbers("source"), INPUT, last)
        target = checks.integer("", "target", fields.numbers("target"), 0, last)
        delay = check_delay("", "delay", fields.numbers("delay"))
        if cls := kinds.KINDS.get(kind):
            numbers = {name: fields.numbers(name) for name in kinds.settings(cls)}
            return cls(source, target, delay=delay, **numbers)
        if kind == kinds.SPARSE:
            size = (math.prod(shapes[target]), math.prod(shapes[source]))
            entries = (fields.numbers(name, least=0) for name in kinds.SYNAPSES)
            return Sparse(source, target, Synapses.from_entries("", size, *entries), delay=delay)
    known = ", ".join([*kinds.KINDS, kinds.SPARSE])
    raise fields.unsupported("type", f"one of {known}", kind)
