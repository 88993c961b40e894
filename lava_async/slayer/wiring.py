"""Blocks and their sources as populations and edges."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from lava.lib.dl.slayer.block import cuba

from lava_async._kernel import training
from lava_async._semantics.connections import INPUT, Shape
from lava_async._semantics.graph import Graph
from lava_async._semantics.graph import Population as GraphPopulation
from lava_async.errors import UnsupportedError, ValidationError
from lava_async.slayer.edges import Edge
from lava_async.slayer.layers import (
    ConvLayer,
    DenseLayer,
    FlattenLayer,
    InputLayer,
    Layer,
    PassingLayer,
    Piece,
    ShapeLayer,
    SpikingLayer,
)
from lava_async.slayer.links import Delay
from lava_async.slayer.population import Population, PopulationLayer
from lava_async.slayer.sources import Source, is_default

_KINDS: dict[type[torch.nn.Module], Callable[[str, torch.nn.Module], Layer]] = {
    cuba.Input: lambda where, block: (
        ShapeLayer if block.neuron is None else InputLayer
    )(where, block),
    cuba.Flatten: FlattenLayer,
    cuba.Dense: DenseLayer,
    cuba.Conv: ConvLayer,
    Population: PopulationLayer,
}


def layers_of(blocks: Sequence[torch.nn.Module]) -> list[Layer]:
    """The blocks as layers.

    Raises
    ------
    UnsupportedError
        A block asks for something that is not run.
    ValidationError
        No block has neurons.
    """
    layers: list[Layer] = []
    for index, block in enumerate(blocks):
        where = name_of(index, block)
        kind = next((k for b, k in _KINDS.items() if isinstance(block, b)), None)
        if kind is None:
            names = ", ".join(b.__name__ for b in _KINDS if b is not Population)
            got = f"{type(block).__module__}.{type(block).__qualname__}"
            raise UnsupportedError(where, "block type", f"slayer.block.cuba: {names}", got)
        if index and isinstance(block, cuba.Input):
            raise UnsupportedError(where, "place", "blocks[0]", f"blocks[{index}]")
        layers.append(kind(where, block))
    _refuse_sharing(layers)
    if not any(isinstance(layer, SpikingLayer) for layer in layers):
        raise ValidationError(
            "Network", "blocks", "at least one with neurons", f"{len(layers)} without"
        )
    return layers


def name_of(index: int, block: torch.nn.Module) -> str:
    return f"blocks[{index}] ({type(block).__name__})"


def _refuse_sharing(layers: Sequence[Layer]) -> None:
    """Two places cannot share what holds a shape."""
    seen: dict[int, Layer] = {}
    for layer in layers:
        for what, module in (("block", layer.block), ("neuron", _neuron(layer))):
            other = seen.setdefault(id(module), layer) if module is not None else layer
            if other is not layer:
                raise UnsupportedError(
                    layer.where, what, "one that is in one place (share a synapse instead)",
                    f"that of {other.where}",
                )


def _neuron(layer: Layer) -> torch.nn.Module | None:
    return layer.block.neuron if isinstance(layer, SpikingLayer) else None


@dataclass(frozen=True)
class Wiring:
    """The network as a graph.

    Attributes
    ----------
    layers : list of SpikingLayer
        One for each population.
    edges : list of Edge
        One for each connection, in their order.
    pattern : Graph
        The graph with all weights and parameters 0: shapes, delays, orders.
    output_shape : tuple of int
        Of the output block, which may be a Flatten.
    is_chain : bool
        Each block of SLAYER's sees the one before, the last one is the output, nothing is
        delayed: what SLAYER's own files can say.
    """

    layers: list[SpikingLayer]
    edges: list[Edge]
    pattern: Graph
    output_shape: Shape
    is_chain: bool

    @functools.cached_property
    def recurs(self) -> bool:
        """Whether some edge goes back in the order in which `LayerSync` evaluates."""
        place = {p: i for i, p in enumerate(self.pattern.order)} | {INPUT: -1}
        return any(place[c.target] <= place[c.source] for c in self.pattern.connections)


    def trainer(self, layered: bool) -> training.Trainer:
        """The network in the kernel, for `LayerSync` or for all other schedules."""
        if layered not in self._trainers:
            self._trainers[layered] = training.Trainer(self.pattern, layered)
        return self._trainers[layered]

    @functools.cached_property
    def _trainers(self) -> dict[bool, training.Trainer]:
        return {}


def wire(
    layers: Sequence[Layer],
    sources: Sequence[Sequence[Source]],
    output: Source,
    input_shape: Shape,
    order: Sequence[int] | None = None,
) -> Wiring:
    """Populations and edges for inputs of that shape; tells the blocks their shapes.

    Parameters
    ----------
    layers : sequence of Layer
    sources : sequence of lists of (index or INPUT, delay)
        Of each layer.
    output : (index, delay)
    input_shape : tuple of int
    order : sequence of int, optional
        Of the edges, which otherwise come layer by layer.

    Raises
    ------
    ValidationError, UnsupportedError
        Shapes do not fit, or sources lead in a circle without neurons.
    """
    for layer, seen in zip(layers, sources, strict=True):
        if not seen and not isinstance(layer, PopulationLayer):
            raise ValidationError(layer.where, "sources", "at least one", "none")
    view = _View(layers, sources, input_shape)
    view.find_shapes()
    spiking = list(view.populations)
    edges = []
    for target, index in enumerate(spiking):
        layer = view.populations[index]
        edges += layer.edges(target, view.pieces(index), view.shape(index))
        layer.settle(view.shape(index))
    for index, layer in enumerate(layers):
        if isinstance(layer, PassingLayer):
            shapes = [piece.shape for piece in view.passed(index)]
            channels = sum(shape[0] for shape in shapes)
            layer.settle((channels, *shapes[0][1:]))
    if order is not None:
        edges = [edges[i] for i in order]
    last, output_delay = output
    (out, *others) = view.passed(last)
    if others or out.source == INPUT:
        got = "the input" if out.source == INPUT else f"{1 + len(others)} blocks"
        raise ValidationError(layers[last].where, "output", "one block with neurons", got)
    populations = [
        GraphPopulation(view.populations[i].where, view.shape(i), 0, 0, 0) for i in spiking
    ]
    pattern = Graph(
        input_shape, tuple(populations), tuple(edge.connection for edge in edges), out.source,
        output_delay=_total(out.delay, output_delay),
    )
    is_chain = (
        all(is_default(i, seen) for i, seen in enumerate(sources))
        and last == len(layers) - 1
        and not np.any(output_delay)
        and not any(isinstance(layer, PopulationLayer) for layer in layers)
    )
    spiking_layers = [view.populations[i] for i in spiking]
    return Wiring(spiking_layers, edges, pattern, out.shape, is_chain)


class _View:
    """What each layer sees, and what those after it see of it."""

    def __init__(
        self, layers: Sequence[Layer], sources: Sequence[Sequence[Source]], input_shape: Shape
    ):
        self.layers = layers
        self.sources = sources
        self.input_shape = input_shape
        self.populations = {
            index: layer for index, layer in enumerate(layers) if isinstance(layer, SpikingLayer)
        }
        self._number = {index: p for p, index in enumerate(self.populations)}
        self._shapes: dict[int, Shape] = {}
        self._open: list[int] = []

    def shape(self, index: int) -> Shape:
        return self._shapes[index]

    def find_shapes(self) -> None:
        """Those of the populations, from the input on; recurrent sources follow."""
        while len(self._shapes) < len(self.populations):
            found = {
                index: shape
                for index, layer in self.populations.items()
                if index not in self._shapes
                and (shape := layer.output_shape(self.pieces(index)))
            }
            if not found:
                lost = next(i for i in self.populations if i not in self._shapes)
                raise ValidationError(
                    self.layers[lost].where, "sources", "some that lead back to the input",
                    self.sources[lost],
                )
            self._shapes.update(found)

    def pieces(self, index: int) -> list[Piece]:
        """What the layer sees."""
        return [piece for source in self.sources[index] for piece in self._late(*source)]

    def passed(self, index: int) -> list[Piece]:
        """What a layer that has this one as its source sees."""
        layer = self.layers[index]
        if isinstance(layer, SpikingLayer):
            return [Piece(self._number[index], 0, self._shapes.get(index, ()))]
        if index in self._open:
            raise ValidationError(
                layer.where, "sources", "no circle without neurons", self.sources[index]
            )
        self._open.append(index)
        try:
            pass_on = cast(PassingLayer, layer).passed
            return [pass_on(piece) for piece in self.pieces(index)]
        finally:
            self._open.pop()

    def _late(self, index: int, delay: Delay) -> list[Piece]:
        if index == INPUT:
            return [Piece(INPUT, delay, self.input_shape)]
        pieces = self.passed(index)
        if len(pieces) == 1 or np.ndim(delay) == 0:
            parts = [delay] * len(pieces)
        else:
            sizes = [math.prod(piece.shape) for piece in pieces]
            parts = np.split(np.asarray(delay), np.cumsum(sizes)[:-1])
        return [
            Piece(piece.source, _total(piece.delay, part), piece.shape)
            for piece, part in zip(pieces, parts, strict=True)
        ]


def _total(first: Delay, second: Delay) -> Delay:
    total = np.asarray(first, np.int64) + np.asarray(second, np.int64)
    return total if total.ndim else int(total)
