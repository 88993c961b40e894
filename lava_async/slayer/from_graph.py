"""A graph as blocks: SLAYER's own where they can say it, `Population` elsewhere."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lava.lib.dl.slayer import neuron as neurons
from lava.lib.dl.slayer.block import cuba

from lava_async._semantics import dynamics as dyn
from lava_async._semantics.connections import (
    INPUT,
    MAX_DELAY,
    Connection,
    Conv,
    Dense,
    OneToOne,
)
from lava_async._semantics.decoding import Decoding
from lava_async._semantics.graph import NETX_NEVER_FIRES, Graph
from lava_async._semantics.graph import Population as GraphPopulation
from lava_async._semantics.spatial import ConvTranspose, Pool, Unpool
from lava_async.errors import ValidationError
from lava_async.slayer import delays
from lava_async.slayer.population import Population, Synapse, quantizer_for
from lava_async.slayer.sources import Source, Sum, is_default
from lava_async.slayer.weights import SCALE, quantize_in_ones

_FRAMES = {
    Conv: cuba.Conv,
    ConvTranspose: cuba.ConvT,
    Pool: cuba.Pool,
    Unpool: cuba.Unpool,
}
"""Blocks that see frames through a kernel."""

_ALL_TO_ALL = (cuba.Dense, cuba.Recurrent)

PerPopulation = float | Sequence[float]


@dataclass
class Description:
    """Arguments of `Network`, and the order of the edges."""

    blocks: list[torch.nn.Module] = field(default_factory=list)
    sources: dict[int, list[Sum]] = field(default_factory=dict)
    output: Source = (-1, 0)
    order: list[int] = field(default_factory=list)

    def add(self, block: torch.nn.Module, sources: list[Sum]) -> int:
        """Append a block that sees these; its index."""
        index = len(self.blocks)
        self.blocks.append(block)
        if not is_default(index, sources):
            self.sources[index] = sources
        return index


@torch.random.fork_rng(devices=[])  # blocks draw weights, which are replaced
def describe(
    graph: Graph,
    tau_grad: PerPopulation = 1,
    scale_grad: PerPopulation = 1,
    tied: Sequence[Sequence[int]] = (),
) -> Description:
    """Blocks with the numbers of the graph.

    Parameters
    ----------
    graph : Graph
    tau_grad, scale_grad : float or sequence of float
        Of SLAYER's neurons, for all populations or for each.
    tied : sequence of sequences of int
        Connections to one target that share their weights.

    Raises
    ------
    ValidationError
        They are not one, nor one for each population.
    """
    tau_grad = _of_each(graph, "tau_grad", tau_grad)
    scale_grad = _of_each(graph, "scale_grad", scale_grad)
    # Connections of each population; those that share their weights are one.
    first = {k: numbers for numbers in tied for k in numbers[:1]}
    others = {k for numbers in tied for k in numbers[1:]}
    arriving = [
        [first.get(k, [k]) for k, c in enumerate(graph.connections)
         if c.target == p and k not in others]
        for p in range(len(graph.populations))
    ]  # fmt: skip
    kinds = [_said_by(graph, p, own) for p, own in enumerate(arriving)]
    leading = [[graph.connections[numbers[0]] for numbers in own] for own in arriving]
    # A block without neurons that says the shape of a frame: netx asks for one.
    has_shape = len(graph.input_shape) == 3 and kinds[0] is not cuba.Input
    flattens = [
        kind in (*_ALL_TO_ALL, cuba.Affine) and len(graph.source_shape(own[0])) == 3
        for kind, own in zip(kinds, leading, strict=True)
    ]
    places = (np.cumsum([1 + flatten for flatten in flattens]) - 1 + has_shape).tolist()
    places.append(0 if has_shape else INPUT)  # the place of what is at -1, the input

    late = [_own_delay(graph, p, kind) for p, kind in enumerate(kinds)]
    said = [steps is not None for steps in late] + [False]  # not at -1, the input
    found = Description()
    if has_shape:
        found.add(cuba.Input(delay_shift=False), [Sum((INPUT, 0))])
    for p, connections in enumerate(leading):
        seen = arriving[p][:1] if kinds[p] is cuba.Recurrent else arriving[p]
        sources = [
            Sum(
                *(
                    (places[c.source], 0 if said[c.source] else c.delay)
                    for c in map(graph.connections.__getitem__, numbers)
                )
            )
            for numbers in seen
        ]
        if flattens[p]:
            sources = [Sum((found.add(cuba.Flatten(), sources), 0))]
        neuron = _Neuron(graph.populations[p], tau_grad[p], scale_grad[p])
        block = _block(graph, p, kinds[p], connections, neuron)
        if (steps := late[p]) is not None:
            block.delay = delays.held(steps, MAX_DELAY, learns=False)
        found.add(block, sources)
    last = places[graph.output]
    for block in _decoders(graph.decoding or Decoding()):
        last = found.add(block, [Sum((last, 0))])
    found.output = (last, 0 if said[graph.output] else graph.output_delay)
    found.order = np.argsort([k for own in arriving for numbers in own for k in numbers]).tolist()
    return found


def _decoders(decoding: Decoding) -> Iterator[torch.nn.Module]:
    if decoding.groups is not None:
        yield cuba.Average(decoding.groups)
    if decoding.time_bin > 1:
        yield cuba.TimeDecimation(decoding.time_bin)


def _of_each(graph: Graph, name: str, given: PerPopulation) -> list[float]:
    count = len(graph.populations)
    values = np.asarray(given)
    if values.dtype.kind not in "iuf" or values.shape not in ((), (count,)):
        wanted = f"a number, or {count}, one for each population"
        raise ValidationError("Network", name, wanted, repr(given))
    return np.broadcast_to(values, (count,)).tolist()


def _said_by(graph: Graph, p: int, arriving: Sequence[Sequence[int]]) -> type | None:
    """The block of SLAYER that says a population, if there is one.

    ``arriving`` are its connections; those that share their weights are one.
    """
    population = graph.populations[p]
    is_readout = _is_readout(graph, p)
    fires = 1 <= population.threshold <= dyn.THRESHOLD_MAX
    decays = population.i_decay, population.v_decay
    if any(np.size(_of_channels(population, decay)) > population.shape[0] for decay in decays):
        return None
    if not arriving or not (fires or is_readout):
        return None
    added = [graph.connections[k] for k in arriving[0]]
    others = [graph.connections[k] for numbers in arriving[1:] for k in numbers]
    c = added[0]
    source = graph.source_shape(c)
    if others:
        (feedback, *more) = others
        back = feedback.source == p and type(feedback) is Dense and not np.any(feedback.delay)
        if more or not back or any(own.source == p for own in added):
            return None
    if type(c) is Dense and population.bias is None:
        fits = len(population.shape) == 1 and len(source) in (1, 3)
        if is_readout:
            return cuba.Affine if fits and not others else None
        return (cuba.Recurrent if others else cuba.Dense) if fits else None
    if others or is_readout:
        return None
    if type(c) in _FRAMES and population.bias is None:
        crosses = isinstance(c, (Pool, Unpool)) and c.crosses_channels(source)
        return None if crosses else _FRAMES[type(c)]
    first = p == 0 and c.source == INPUT and not np.any(c.delay) and population.shape == source
    if type(c) is OneToOne and first and len(added) == 1 and _is_shared(population):
        return cuba.Input
    return None


def _own_delay(graph: Graph, p: int, kind: type | None) -> delays.Steps | None:
    """Time steps of each channel, if the block's own delay says how late all is that leaves it."""
    leaving = [c.delay for c in graph.connections if c.source == p]
    if p == graph.output:
        leaving.append(graph.output_delay)
    each = np.unique([np.ravel(delay) for delay in leaving if np.ndim(delay)], axis=0)
    whole = len(leaving) > 0 and all(np.ndim(delay) for delay in leaving)
    if kind not in (cuba.Dense, cuba.Conv) or not whole or len(each) != 1 or not each.any():
        return None
    by_channel = each.reshape(graph.populations[p].shape[0], -1)
    return None if np.ptp(by_channel, axis=1).any() else by_channel[:, 0]


def _is_readout(graph: Graph, p: int) -> bool:
    """Whether `Affine` says its neurons."""
    never = graph.populations[p].threshold == max(NETX_NEVER_FIRES)
    return never and p == graph.output and all(c.source != p for c in graph.connections)


def _is_shared(population: GraphPopulation) -> bool:
    """Whether there is no bias, or one that SLAYER's input block would add to the voltage."""
    bias = population.bias
    if bias is None:
        return True
    one = bias.flat[0]
    fits = dyn.WEIGHT_MIN <= one <= dyn.WEIGHT_MAX and np.all(population.i_decay == dyn.DECAY_ONE)
    return bool(fits and (bias == one).all())


def _of_channels(population: GraphPopulation, decay: npt.ArrayLike) -> npt.NDArray:
    """A decay as SLAYER has it, one for all or one for each channel; else of each neuron."""
    each = np.asarray(decay)
    rows = each.reshape(population.shape[0], -1) if each.ndim else each
    return rows[:, 0] if each.ndim and (rows == rows[:, :1]).all() else each.reshape(-1)


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
        i_decay, v_decay = population.i_decay, population.v_decay
        self.decays = {
            name: _of_channels(population, decay)
            for name, decay in (("current_decay", i_decay), ("voltage_decay", v_decay))
        }
        self.parameters = {
            "threshold": population.threshold / SCALE,
            **{name: float(own[0]) / dyn.DECAY_ONE for name, own in self.decays.items()},
            "scale": SCALE,
            "tau_grad": tau_grad,
            "scale_grad": scale_grad,
        }

    def build(self) -> neurons.cuba.Neuron:
        return self.complete(neurons.cuba.Neuron(**self.parameters))

    def complete(self, neuron: Any) -> Any:
        """What a neuron made of the parameters lacks."""
        if any(own.size > 1 for own in self.decays.values()):
            neuron.shared_param = False
            neuron.shape = torch.Size(self.population.shape)  # else its first forward draws decays
            neuron.num_neurons = self.population.size
            for name, own in self.decays.items():
                getattr(neuron, name).data = torch.tensor(own, dtype=torch.float32)
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
        neuron.complete(block.neuron)
        return block
    if kind is cuba.Affine:
        block = cuba.Affine(neuron.parameters, *c.weight.shape[::-1])
    elif kind is cuba.Dense:
        block = cuba.Dense(neuron.parameters, *c.weight.shape[::-1], delay_shift=False)
    elif kind is cuba.Recurrent:
        block = cuba.Recurrent(neuron.parameters, *c.weight.shape[::-1], delay_shift=False)
    else:
        block = _frames_block(c, kind, neuron)
    neuron.complete(block.neuron)
    parts = [block.input_synapse, block.recurrent_synapse] if kind is cuba.Recurrent else [
        block.synapse
    ]
    for synapse, connection in zip(parts, connections, strict=True):
        given: Any = connection
        weight = torch.from_numpy(given.weight.astype(np.float32) / SCALE)
        with torch.no_grad():
            synapse.weight.copy_(weight.view_as(synapse.weight))
        synapse.pre_hook_fx = quantizer_for(given.weight, block.neuron)
    return block


def _frames_block(c: Any, kind: Any, neuron: _Neuron) -> torch.nn.Module:
    *channels, height, width = c.weight.shape
    if kind is cuba.Conv:
        outputs, group = channels
        channels, groups = [group * c.groups, outputs], {"groups": c.groups}
    elif kind is cuba.ConvT:
        inputs, group = channels
        channels, groups = [inputs, group * c.groups], {"groups": c.groups}
    else:
        groups = {}
    return kind(
        neuron.parameters, *channels, (height, width), stride=c.stride, padding=c.padding,
        dilation=c.dilation, delay_shift=False, **groups,
    )  # fmt: skip
