"""A NIR graph with the graphs inside it taken apart: nodes by name, and what leads to each."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from lava_async._semantics.connections import Shape
from lava_async.errors import GraphError, UnsupportedError

NEURONS = ("CubaLIF", "CubaLI", "LIF", "LI", "IF", "I")
LINEAR = ("Affine", "Linear", "Scale", "Conv2d", "SumPool2d", "AvgPool2d", "Flatten", "Delay")
_ENDS = ("Input", "Output")
WIRE = "wire"
"""Input or Output of a graph inside another: what comes in goes out."""


@dataclass(frozen=True, eq=False)
class Node:
    """A node of NIR, whose fields are read as floats whatever holds them."""

    name: str
    kind: str
    content: Any

    @property
    def where(self) -> str:
        return f"node {self.name} ({self.kind})"

    @property
    def is_neuron(self) -> bool:
        return self.kind in NEURONS

    def numbers(self, what: str) -> npt.NDArray[np.float64]:
        given = getattr(self.content, what, None)
        try:
            values = np.asarray(given, np.float64)
        except (TypeError, ValueError):
            raise GraphError(self.where, what, "numbers", type(given).__name__) from None
        if given is None or not np.isfinite(values).all():
            got = "nothing" if given is None else values[~np.isfinite(values)][0]
            raise GraphError(self.where, what, "finite numbers", got)
        return values

    def spread(self, what: str, shape: Shape, trailing: int = 0) -> npt.NDArray[np.float64]:
        """(n,) for each element of ``shape``: one number for all, or what NumPy spreads to it.

        ``trailing``: so many dimensions of size 1 follow what is given.
        """
        values = self.numbers(what)
        spread = values.reshape(() if values.size == 1 else values.shape + (1,) * trailing)
        try:
            return np.broadcast_to(spread, shape).reshape(-1)
        except ValueError:
            raise GraphError(self.where, what, f"one, or shape {shape}", values.shape) from None

    def integers(self, what: str, least: int) -> tuple[int, int]:
        """One, or (height, width)."""
        values = self.numbers(what).reshape(-1)
        if values.size not in (1, 2) or (values != np.floor(values)).any() or values.min() < least:
            wanted = f"one or two integers >= {least}"
            raise GraphError(self.where, what, wanted, getattr(self.content, what))
        return int(values[0]), int(values[-1])

    def shape(self) -> Shape:
        """What an Input records."""
        sizes = (self.content.input_type or {}).get("input")
        values = np.asarray([] if sizes is None else sizes)
        if values.dtype.kind not in "iu" or values.ndim != 1 or not values.size or min(values) < 1:
            raise GraphError(self.where, "shape", "integers >= 1", sizes)
        return tuple(values.tolist())


@dataclass
class Wiring:
    """Nodes in natural order of their names, as no file keeps another.

    ``before`` has the nodes that lead to each one, in that order.
    """

    nodes: dict[str, Node] = field(default_factory=dict)
    before: dict[str, list[str]] = field(default_factory=dict)

    def of(self, kind: str) -> Node:
        """The one Input, or Output; of several, which type checks may add, that of this name."""
        found = [node for node in self.nodes.values() if node.kind == kind]
        named = [node for node in found if node.name == kind.lower()]
        if len(found) > 1 and len(named) == 1 and kind == "Output":
            return named[0]
        if len(found) != 1:
            names = ", ".join(node.name for node in found) or "none"
            raise UnsupportedError("graph", f"{kind} nodes", "exactly one", names)
        return found[0]

    @property
    def neurons(self) -> list[Node]:
        return [node for node in self.nodes.values() if node.is_neuron]


def take_apart(graph: Any) -> Wiring:
    """The wiring of a ``nir.NIRGraph``.

    Raises
    ------
    GraphError
        An edge leads nowhere.
    UnsupportedError
        A node is of a kind that is not run here, or a graph inside has several ends.
    """
    nodes: dict[str, Node] = {}
    edges: list[tuple[str, str]] = []
    _collect(graph, "", nodes, edges)
    wiring = Wiring({name: nodes[name] for name in sorted(nodes, key=_natural)})
    wiring.before = {name: [] for name in wiring.nodes}
    for source, target in sorted(set(edges), key=lambda edge: tuple(map(_natural, edge))):
        wiring.before[target].append(source)
    return wiring


def _natural(name: str) -> tuple[Any, ...]:
    """So that lif10 comes after lif9."""
    return tuple((0, int(p), p) if p.isdecimal() else (1, 0, p) for p in re.split(r"(\d+)", name))


def _collect(
    graph: Any, prefix: str, nodes: dict[str, Node], edges: list[tuple[str, str]]
) -> None:
    first: dict[str, str] = {}  # of a graph inside: where it begins and ends
    last: dict[str, str] = {}
    for name, content in graph.nodes.items():
        kind, full = type(content).__name__, f"{prefix}{name}"
        if kind == "NIRGraph":
            _collect(content, f"{full}.", nodes, edges)
            first[name] = f"{full}.{_only(content, full, 'Input')}"
            last[name] = f"{full}.{_only(content, full, 'Output')}"
            continue
        if kind not in (*NEURONS, *LINEAR, *_ENDS):
            known = ", ".join((*NEURONS, *LINEAR))
            raise UnsupportedError(f"node {full}", "kind", f"one of {known}", kind)
        if full in nodes:
            raise GraphError("graph", "node names", "different ones", full)
        is_wire = bool(prefix) and kind in _ENDS
        nodes[full] = Node(full, WIRE if is_wire else kind, content)
        first[name] = last[name] = full
    for source, target in graph.edges:
        for end in (source, target):
            if end not in first:
                raise GraphError("graph", "edge", "two of its nodes", f"{source} -> {target}")
        edges.append((last[source], first[target]))


def _only(graph: Any, where: str, kind: str) -> str:
    found = [name for name, node in graph.nodes.items() if type(node).__name__ == kind]
    if len(found) != 1:
        raise UnsupportedError(f"node {where}", f"{kind} nodes inside", "exactly one", len(found))
    return found[0]
