"""Blocks and their sources as populations and edges."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from lava.lib.dl.slayer.block import cuba

from lava_async._kernel import training
from lava_async._semantics.connections import INPUT, Shape, check_delay
from lava_async._semantics.graph import Graph
from lava_async._semantics.graph import Population as GraphPopulation
from lava_async.errors import GraphError, UnsupportedError, ValidationError
from lava_async.slayer.delays import Steps
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
    channels_of,
    persists,
)
from lava_async.slayer.links import Delay
from lava_async.slayer.population import Population, PopulationLayer
from lava_async.slayer.readout import (
    AffineLayer,
    AverageLayer,
    ConvWithoutNeurons,
    DecimationLayer,
    DenseWithoutNeurons,
    Tail,
    refuse_other_places,
)
from lava_async.slayer.recurrent import KWTALayer, RecurrentLayer
from lava_async.slayer.sources import Source, Sum, is_default
from lava_async.slayer.spatial import ConvTLayer, PoolLayer, UnpoolLayer

_KINDS: dict[type[torch.nn.Module], Callable[[str, torch.nn.Module], Layer]] = {
    cuba.Input: lambda where, block: (
        ShapeLayer if block.neuron is None else InputLayer
    )(where, block),
    cuba.Flatten: FlattenLayer,
    cuba.Dense: lambda where, block: (
        DenseWithoutNeurons if block.neuron is None else DenseLayer
    )(where, block),
    cuba.Conv: lambda where, block: (
        ConvWithoutNeurons if block.neuron is None else ConvLayer
    )(where, block),
    cuba.ConvT: ConvTLayer,
    cuba.Pool: PoolLayer,
    cuba.Unpool: UnpoolLayer,
    cuba.Recurrent: RecurrentLayer,
    cuba.KWTA: KWTALayer,
    cuba.Affine: AffineLayer,
    cuba.Average: AverageLayer,
    cuba.TimeDecimation: DecimationLayer,
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
    persists([layer for layer in layers if isinstance(layer, SpikingLayer)])
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
    return layer.neuron if isinstance(layer, SpikingLayer) else None


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
        Of the output block, which may be a Flatten, before `tail`.
    tied : list of lists of int
        Edges that share their weights, because their sources are added.
    tail : Tail
        What decodes its output.
    is_chain : bool
        Each block of SLAYER's sees the one before, the last one is the output, nothing is
        delayed but by blocks: what SLAYER's own files can say.
    steps : sequence of (size,) arrays or None
        Time steps by which each population's spikes leave late, if they may; with those of
        ``sources`` they are the delays of the edges.
    """

    layers: list[SpikingLayer]
    edges: list[Edge]
    pattern: Graph
    output_shape: Shape
    tail: Tail
    is_chain: bool
    tied: list[list[int]]
    steps: Sequence[Steps | None]

    def late(self, steps: Sequence[Steps | None], like: Wiring | None = None) -> Wiring:
        """The network with its populations' spikes that late, which here are not late yet.

        ``like``, the same with other delays, leaves it the memory that the kernel works in.
        """
        edges = [
            edge if edge.source == INPUT or steps[edge.source] is None
            else edge.late(self._total(edge.source, edge.connection.delay, steps))
            for edge in self.edges
        ]
        pattern = self.pattern.replace(
            connections=tuple(edge.connection for edge in edges),
            output_delay=self._total(self.pattern.output, self.pattern.output_delay, steps),
        )
        found = dataclasses.replace(self, edges=edges, pattern=pattern, steps=tuple(steps))
        if like is not None:
            found._before.update(like._before | like._trainers)
        return found

    def _total(self, source: int, delay: Delay, steps: Sequence[Steps | None]) -> Delay:
        own = steps[source]
        if own is None:
            return delay
        layer = self.layers[source]
        try:
            return check_delay(layer.where, "delay with that of sources", _total(delay, own))
        except GraphError as error:
            raise error.at(layer.where, ValidationError) from error

    @property
    def output(self) -> SpikingLayer:
        """The layer of the output population."""
        return self.layers[self.pattern.output]

    @functools.cached_property
    def recurs(self) -> bool:
        """Whether some edge goes back in the order in which `LayerSync` evaluates."""
        place = {p: i for i, p in enumerate(self.pattern.order)} | {INPUT: -1}
        return any(place[c.target] <= place[c.source] for c in self.pattern.connections)

    def trainer(self, layered: bool) -> training.Trainer:
        """The network in the kernel, for `LayerSync` or for all other schedules."""
        if layered not in self._trainers:
            before = self._before.pop(layered, None)
            self._trainers[layered] = training.Trainer(self.pattern, layered, before)
        return self._trainers[layered]

    @functools.cached_property
    def _trainers(self) -> dict[bool, training.Trainer]:
        return {}

    @functools.cached_property
    def _before(self) -> dict[bool, training.Trainer]:
        """Those of other delays."""
        return {}


def wire(
    layers: Sequence[Layer],
    sources: Sequence[Sequence[Sum]],
    output: Source,
    input_shape: Shape,
    order: Sequence[int] | None = None,
) -> Wiring:
    """Populations and edges for inputs of that shape; tells the blocks their shapes.

    Parameters
    ----------
    layers : sequence of Layer
    sources : sequence of lists of Sum
        Of each layer; each a sum of (index or INPUT, delay).
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
    tail = Tail.of(layers, sources, output)
    view = _View(layers, sources, input_shape)
    view.find_shapes()
    spiking = list(view.populations)
    edges: list[Edge] = []
    added: dict[tuple[int, int], list[int]] = {}  # edges of the same channels of a target
    for target, index in enumerate(spiking):
        layer, pieces = view.populations[index], view.pieces(index)
        for number, piece in enumerate(pieces, len(edges)):
            added.setdefault((target, piece.first), []).append(number)
        edges += layer.edges(target, pieces, view.shape(index))
        layer.settle(view.shape(index))
    for index, layer in enumerate(layers):
        if isinstance(layer, PassingLayer):
            shapes = [piece.shape for piece in view.passed(index)]
            layer.settle((channels_of(view.passed(index)), *shapes[0][1:]))
    tied = [numbers for numbers in added.values() if len(numbers) > 1]
    if order is not None:
        edges = [edges[i] for i in order]
        place = np.argsort(order).tolist()
        tied = [[place[number] for number in numbers] for numbers in tied]
    last, output_delay = tail.output
    (out, *others) = view.passed(last)
    if others or out.source == INPUT:
        got = "the input" if out.source == INPUT else f"{1 + len(others)} blocks"
        raise ValidationError(layers[last].where, "output", "one block with neurons", got)
    populations = [
        GraphPopulation(view.populations[i].where, view.shape(i), 0, 0, 0) for i in spiking
    ]
    if (decoding := tail.decoding()) is not None:
        try:
            decoding.check(math.prod(out.shape))
        except GraphError as error:
            raise error.at(tail.layers[0].where, ValidationError) from error
    pattern = Graph(
        input_shape, tuple(populations), tuple(edge.connection for edge in edges), out.source,
        output_delay=_total(out.delay, output_delay), decoding=decoding,
    )
    spiking_layers = [view.populations[i] for i in spiking]
    refuse_other_places(spiking_layers, out.source, {c.source for c in pattern.connections})
    is_chain = (
        all(is_default(i, seen) for i, seen in enumerate(sources))
        and last + len(tail.layers) == len(layers) - 1
        and not np.any(output_delay)
        and all(layer.exported for layer in view.populations.values())
    )
    steps = [None] * len(spiking)
    return Wiring(
        spiking_layers, edges, pattern, out.shape, tail, is_chain, tied, steps
    )


class _View:
    """What each layer sees, and what those after it see of it."""

    def __init__(
        self, layers: Sequence[Layer], sources: Sequence[Sequence[Sum]], input_shape: Shape
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
            if not found:  # a circle that sees no input
                found = {
                    index: shape
                    for index, layer in self.populations.items()
                    if index not in self._shapes and (shape := layer.shape_alone())
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
        found: list[Piece] = []
        for added in self.sources[index]:
            # Where shapes are not known yet, nobody asks which channels these are.
            before = channels_of(found) if all(piece.shape for piece in found) else 0
            parts = [self._late(*source) for source in added.sources]
            self._check_added(index, parts)
            found += [
                dataclasses.replace(piece, first=before + piece.first)
                for part in parts
                for piece in part
            ]
        return found

    def _check_added(self, index: int, parts: Sequence[Sequence[Piece]]) -> None:
        """Raise `ValidationError` unless the places of those that are known are the same."""
        shapes = [[piece.shape for piece in part] for part in parts]
        known = [part for part in shapes if all(part)]
        if any(part != known[0] for part in known):
            got = [part[0] if len(part) == 1 else part for part in known]
            raise ValidationError(
                self.layers[index].where, "sources", "equal shapes where they are added", got
            )

    def passed(self, index: int) -> list[Piece]:
        """What a layer that has this one as its source sees."""
        layer = self.layers[index]
        if isinstance(layer, SpikingLayer):
            shape = self._shapes.get(index)
            return [Piece(self._number[index], 0, () if shape is None else layer.seen(shape))]
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
            dataclasses.replace(piece, delay=_total(piece.delay, part))
            for piece, part in zip(pieces, parts, strict=True)
        ]


def _total(first: Delay, second: Delay) -> Delay:
    total = np.asarray(first, np.int64) + np.asarray(second, np.int64)
    return total if total.ndim else int(total)
