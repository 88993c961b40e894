"""A graph as blocks: SLAYER's own where they can say it, `Population` elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from lava.lib.dl.slayer import neuron as neurons
from lava.lib.dl.slayer.block import cuba

from lava_async._semantics import dynamics as dyn
from lava_async._semantics.connections import INPUT, Connection, Conv, Dense, OneToOne
from lava_async._semantics.graph import Graph
from lava_async._semantics.graph import Population as GraphPopulation
from lava_async.errors import ValidationError
from lava_async.slayer.links import Delay
from lava_async.slayer.population import Population, Synapse, quantizer_for
from lava_async.slayer.sources import Source, is_default
from lava_async.slayer.weights import SCALE, quantize_in_ones

PerPopulation = float | Sequence[float]


@dataclass
class Description:
    """Arguments of `Network`, and the order of the edges."""

    blocks: list[torch.nn.Module] = field(default_factory=list)
    sources: dict[int, list[Source]] = field(default_factory=dict)
    output: tuple[int, Delay] = (-1, 0)
    order: list[int] = field(default_factory=list)

    def add(self, block: torch.nn.Module, sources: list[Source]) -> int:
        """Append a block that sees these; its index."""
        index = len(self.blocks)
        self.blocks.append(block)
        if not is_default(index, sources):
            self.sources[index] = sources
        return index


@torch.random.fork_rng(devices=[])  # blocks draw weights, which are replaced
def describe(
    graph: Graph, tau_grad: PerPopulation = 1, scale_grad: PerPopulation = 1
) -> Description:
    """Blocks with the numbers of the graph.

    Parameters
    ----------
    graph : Graph
    tau_grad, scale_grad : float or sequence of float
        Of SLAYER's neurons, for all populations or for each.

    Raises
    ------
    ValidationError
        They are not one, nor one for each population.
    """
    tau_grad = _of_each(graph, "tau_grad", tau_grad)
    scale_grad = _of_each(graph, "scale_grad", scale_grad)
    arriving = [
        [k for k, c in enumerate(graph.connections) if c.target == p]
        for p in range(len(graph.populations))
    ]
    kinds = [_said_by(graph, p, [graph.connections[k] for k in own])
             for p, own in enumerate(arriving)]
    # A block without neurons that says the shape of a frame: netx asks for one.
    has_shape = len(graph.input_shape) == 3 and kinds[0] is not cuba.Input
    flattens = [
        kind is cuba.Dense and len(graph.source_shape(graph.connections[own[0]])) == 3
        for kind, own in zip(kinds, arriving, strict=True)
    ]
    places = (np.cumsum([1 + flatten for flatten in flattens]) - 1 + has_shape).tolist()
    places.append(0 if has_shape else INPUT)  # the place of what is at -1, the input

    found = Description(output=(places[graph.output], graph.output_delay))
    if has_shape:
        found.add(cuba.Input(delay_shift=False), [(INPUT, 0)])
    for p, own in enumerate(arriving):
        connections = [graph.connections[k] for k in own]
        sources: list[Source] = [(places[c.source], c.delay) for c in connections]
        if flattens[p]:
            sources = [(found.add(cuba.Flatten(), sources), 0)]
        neuron = _Neuron(graph.populations[p], tau_grad[p], scale_grad[p])
        found.add(_block(graph, p, kinds[p], connections, neuron), sources)
    found.order = np.argsort(np.concatenate(arriving)).tolist()
    return found


def _of_each(graph: Graph, name: str, given: PerPopulation) -> list[float]:
    count = len(graph.populations)
    values = np.asarray(given)
    if values.dtype.kind not in "iuf" or values.shape not in ((), (count,)):
        wanted = f"a number, or {count}, one for each population"
        raise ValidationError("Network", name, wanted, repr(given))
    return np.broadcast_to(values, (count,)).tolist()


def _said_by(graph: Graph, p: int, connections: Sequence[Connection]) -> type | None:
    """The block of SLAYER that says a population, if there is one."""
    population = graph.populations[p]
    if len(connections) != 1 or not 1 <= population.threshold <= dyn.THRESHOLD_MAX:
        return None
    (c,) = connections
    source = graph.source_shape(c)
    if type(c) is Dense and population.bias is None:
        return cuba.Dense if len(population.shape) == 1 and len(source) in (1, 3) else None
    if type(c) is Conv and population.bias is None:
        return cuba.Conv
    first = p == 0 and c.source == INPUT and not np.any(c.delay) and population.shape == source
    if type(c) is OneToOne and first and _is_shared(population):
        return cuba.Input
    return None


def _is_shared(population: GraphPopulation) -> bool:
    """Whether there is no bias, or one that SLAYER's input block would add to the voltage."""
    bias = population.bias
    if bias is None:
        return True
    one = bias.flat[0]
    fits = dyn.WEIGHT_MIN <= one <= dyn.WEIGHT_MAX and population.i_decay == dyn.DECAY_ONE
    return bool(fits and (bias == one).all())


def tau_unit(neuron: Any) -> float:
    """What a neuron's ``tau_grad`` is in units of, in its voltage units: the threshold."""
    return float(neuron.threshold) or 1 / neuron.w_scale


def tau_grad_of(neuron: Any) -> float:
    """The ``tau_grad`` that gives this neuron's width, of which alone SLAYER keeps a record."""
    width, unit = float(neuron.tau_rho), tau_unit(neuron)
    quotient = width / unit
    near = (quotient, math.nextafter(quotient, 0), math.nextafter(quotient, math.inf))
    return next((tau_grad for tau_grad in near if tau_grad * unit == width), quotient)


class _Neuron:
    """SLAYER's parameters of a population's neurons."""

    def __init__(self, population: GraphPopulation, tau_grad: float, scale_grad: float):
        self.population = population
        self.parameters = {
            "threshold": population.threshold / SCALE,
            "current_decay": population.i_decay / dyn.DECAY_ONE,
            "voltage_decay": population.v_decay / dyn.DECAY_ONE,
            "scale": SCALE,
            "tau_grad": tau_grad,
            "scale_grad": scale_grad,
        }

    def build(self) -> neurons.cuba.Neuron:
        neuron = neurons.cuba.Neuron(**self.parameters)
        if self.population.threshold == 0:  # SLAYER's width of the derivative would be 0, too
            neuron.tau_rho = self.parameters["tau_grad"] * tau_unit(neuron)
        return neuron


def _block(
    graph: Graph,
    p: int,
    kind: type | None,
    connections: Sequence[Connection],
    neuron: _Neuron,
) -> torch.nn.Module:
    population = graph.populations[p]
    if kind is None:
        model = neuron.build()
        bias = population.bias
        return Population(
            population.shape,
            model,
            [Synapse(c, graph.source_shape(c), model) for c in connections],
            None if bias is None else torch.from_numpy(bias.reshape(-1) / SCALE).float(),
        )
    c: Any = connections[0]
    if kind is cuba.Input:
        bias = None if population.bias is None else population.bias.flat[0] / SCALE
        block = cuba.Input(
            neuron.parameters, weight=c.weight / SCALE, bias=bias, delay_shift=False
        )
        if c.weight % 2 or (population.bias is not None and population.bias.flat[0] % 2):
            block.pre_hook_fx = quantize_in_ones
        return block
    if kind is cuba.Dense:
        block = cuba.Dense(neuron.parameters, *c.weight.shape[::-1], delay_shift=False)
    else:
        outputs, group, *kernel = c.weight.shape
        block = cuba.Conv(
            neuron.parameters, group * c.groups, outputs, tuple(kernel), stride=c.stride,
            padding=c.padding, dilation=c.dilation, groups=c.groups, delay_shift=False,
        )
    weight = torch.from_numpy(c.weight.astype(np.float32) / SCALE)
    with torch.no_grad():
        block.synapse.weight.copy_(weight.view_as(block.synapse.weight))
    block.synapse.pre_hook_fx = quantizer_for(c.weight, block.neuron)
    return block
