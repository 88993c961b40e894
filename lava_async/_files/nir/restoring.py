"""The way back of what `to_nir` wrote: the graph as it was, or a refusal."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from lava_async._files import kinds
from lava_async._files.digest import digest
from lava_async._files.hdf5_fields import hdf5_errors
from lava_async._files.nir import linear, writing
from lava_async._files.nir.record import FORMAT_VERSION, RECORD
from lava_async._files.nir.report import Rounding
from lava_async._files.nir.wiring import Node
from lava_async._semantics import schedule as schedules
from lava_async._semantics.connections import INPUT, Connection, Shape, Sparse, Synapses
from lava_async._semantics.decoding import Decoding
from lava_async._semantics.dynamics import DECAY_ONE
from lava_async._semantics.graph import Graph, Population
from lava_async.errors import FileFormatError, UnsupportedError

_WHERE = f"metadata {RECORD}"


def restore(graph: Any, dt: float | None) -> tuple[Graph, Rounding] | None:
    """The graph; None if another tool wrote it, or another time step than recorded is asked for.

    Raises
    ------
    FileFormatError
        It is not what was written.
    UnsupportedError
        It was written in a later format.
    """
    text = graph.metadata.get(RECORD)
    if text is None:
        return None
    with hdf5_errors(_WHERE, "content", "what to_nir wrote"):
        found = json.loads(text)
        if found["format_version"] != FORMAT_VERSION:
            version = found["format_version"]
            wanted = f"{FORMAT_VERSION}; upgrade lava_async for later ones"
            raise UnsupportedError(_WHERE, "format_version", wanted, version)
        step = float(found["dt"])
        if not 0 < step < math.inf:
            raise FileFormatError(_WHERE, "dt", "a time > 0", step)
        if dt is not None and dt != step:
            return None
        result = _Restorer(graph, found, step).graph()
        # The digest is of the integers; all else that other tools read is compared.
        same = found["digest"] == digest(result) and _holds(
            graph, writing.build(result, step, text)
        )
    if not same:
        raise FileFormatError(
            _WHERE, "digest",
            "the network that was written (was it changed on purpose? then delete this metadata)",
            "another network",
        )  # fmt: skip
    return result, Rounding(step, {})


def recorded_step(graph: Any) -> float | None:
    """The time step of what `to_nir` wrote, which `restore` has looked at."""
    text = graph.metadata.get(RECORD)
    return None if text is None else float(json.loads(text)["dt"])


class _Restorer:
    def __init__(self, graph: Any, found: dict[str, Any], dt: float) -> None:
        self.nodes, self.found, self.dt = graph.nodes, found, dt
        self.input_shape = self.node("input").shape()

    def node(self, name: str) -> Node:
        content = self.nodes[name]
        return Node(name, type(content).__name__, content)

    def shape(self, population: int) -> Shape:
        if population == INPUT:
            return self.input_shape
        return tuple(self.found["populations"][population]["shape"])

    def graph(self) -> Graph:
        found = self.found
        connections = [self.connection(i, c) for i, c in enumerate(found["connections"])]
        populations = [self.population(i, p) for i, p in enumerate(found["populations"])]
        schedule = found["schedule"]
        return Graph(
            self.input_shape,
            tuple(populations),
            tuple(connections),
            found["output"],
            None if schedule is None else schedules.from_dict(schedule, _WHERE),
            self.delay("output", found["output_delay"]),
            None if found["decoding"] is None else Decoding(**found["decoding"]),
        )

    def population(self, index: int, found: dict[str, Any]) -> Population:
        node, shape = self.node(writing.population_name(index)), self.shape(index)
        size = math.prod(shape)

        def decay(what: str, if_none: int) -> Any:
            if not hasattr(node.content, what):
                return if_none
            return np.rint(self.dt / node.numbers(what) * DECAY_ONE).reshape(shape)

        membrane = "tau_mem" if hasattr(node.content, "tau_mem") else "tau"
        bias = np.zeros(size, np.int64)
        if hasattr(node.content, "v_leak"):
            flat = (node.numbers(what).reshape(-1) for what in ("v_leak", membrane))
            leak, tau = flat
            bias += np.rint(leak * (self.dt / tau)).astype(np.int64)
        for place, c in enumerate(self.found["connections"]):
            way = self.node(writing.connection_name(place))
            if c["target"] == index and hasattr(way.content, "bias"):
                own = way.numbers("bias").astype(np.int64)
                bias += np.repeat(own, size // len(own))
        threshold = found["threshold"]
        if threshold is None:
            threshold = int(node.numbers("v_threshold").reshape(-1)[0])
        return Population(
            found["name"], shape, decay("tau_syn", DECAY_ONE), decay(membrane, 0), threshold,
            bias.reshape(shape) if found["bias"] else None,
        )  # fmt: skip

    def connection(self, index: int, found: dict[str, Any]) -> Connection:
        name, kind = writing.connection_name(index), found["kind"]
        node, source, target = self.node(name), found["source"], found["target"]
        delay = self.delay(name, found["delay"])
        beside = node.content.metadata
        if kind == kinds.SPARSE:
            to, origin = (np.asarray(beside[end]) for end in kinds.SYNAPSES[:2])
            weight = node.numbers("weight")
            size = (weight.shape[0], weight.shape[1])
            synapses = Synapses.from_entries(name, size, to, origin, weight[to, origin])
            return Sparse(source, target, synapses, delay=delay)
        cls = kinds.KINDS[kind]
        numbers = {what: beside.get(what) for what in kinds.settings(cls)}
        for what, value in numbers.items():
            if value is None:
                numbers[what] = node.numbers(what) if hasattr(node.content, what) else (
                    node.numbers("scale").reshape(-1)[0]
                )
        return cls(source, target, delay=delay, **numbers)

    def delay(self, of: str, kind: str | None) -> int | npt.NDArray[Any]:
        if kind is None:
            return 0
        node = self.node(writing.delay_name(of))
        steps = linear.delays(node, np.shape(node.content.delay), self.dt)
        return steps if kind == "each" else int(steps[0])


def _holds(graph: Any, written: Any) -> bool:
    """Whether all of ``written`` is in a graph; reading with type checks may add ends."""
    nodes = graph.nodes
    edges = {tuple(edge) for edge in graph.edges}
    return edges >= set(written.edges) and all(
        name in nodes and _is_same(nodes[name], node) for name, node in written.nodes.items()
    )


def _is_same(one: Any, other: Any) -> bool:
    fields = [f.name for f in dataclasses.fields(other) if f.name not in ("metadata", "input_type",
              "output_type")]  # fmt: skip
    return type(one) is type(other) and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in fields
    )
