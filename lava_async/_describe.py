"""What a network is made of, in numbers that a table or a JSON document can hold."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from lava_async._semantics.connections import INPUT, Connection
from lava_async._semantics.graph import NETX_NEVER_FIRES, Graph, Population

Value = int | list[int]
"""One number, or the lowest and the highest of several."""


def describe(graph: Graph) -> dict[str, Any]:
    """A graph as plain data.

    Parameters
    ----------
    graph : Graph

    Returns
    -------
    dict
        ``input_shape``, ``neurons``, ``synapses``, ``weights`` (of which synapses may share
        some), ``output`` (name), ``output_delay`` (time steps), ``readout`` (whether it is read out
        as voltages), ``decoding`` and ``schedule`` (their settings, or None), and ``populations``:
        of each ``name``, ``shape``, ``neurons``, ``i_decay``, ``v_decay``, ``threshold``
        (mantissa; None: it never fires), ``bias`` (mantissas, or None)
        and ``connections`` that arrive: ``kind``, ``source`` (name), ``delay``, ``synapses``,
        ``weights``. Values that differ between neurons are [lowest, highest].
    """
    populations = [_population(graph, index) for index in range(len(graph.populations))]
    arriving = [each for population in populations for each in population["connections"]]
    return {
        "input_shape": list(graph.input_shape),
        "neurons": graph.num_neurons,
        "synapses": sum(each["synapses"] for each in arriving),
        "weights": sum(each["weights"] for each in arriving),
        "output": graph.populations[graph.output].name,
        "output_delay": _value(graph.output_delay),
        "readout": not graph.output_can_fire,
        "decoding": None if graph.decoding is None else dataclasses.asdict(graph.decoding),
        "schedule": None if graph.schedule is None else graph.schedule.to_dict(),
        "populations": populations,
    }


def _population(graph: Graph, index: int) -> dict[str, Any]:
    population = graph.populations[index]
    return {
        "name": population.name,
        "shape": list(population.shape),
        "neurons": population.size,
        "i_decay": _value(population.i_decay),
        "v_decay": _value(population.v_decay),
        "threshold": _threshold(population),
        "bias": None if population.bias is None else _value(population.bias),
        "connections": [
            _connection(graph, each) for each in graph.connections if each.target == index
        ],
    }


def _threshold(population: Population) -> int | None:
    return None if population.threshold in NETX_NEVER_FIRES else population.threshold


def _connection(graph: Graph, connection: Connection) -> dict[str, Any]:
    shape = graph.source_shape(connection)
    source = "input" if connection.source == INPUT else graph.populations[connection.source].name
    return {
        "kind": connection.kind,
        "source": source,
        "delay": _value(connection.delay),
        "synapses": int(connection.fan_out(shape).sum()),
        "weights": math.prod(connection.weight_shape(shape)),
    }


def _value(numbers: npt.ArrayLike) -> Value:
    low, high = int(np.min(numbers)), int(np.max(numbers))
    return low if low == high else [low, high]
