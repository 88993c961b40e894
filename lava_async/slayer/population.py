"""`Population`: a block for what SLAYER's blocks cannot say."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lava.lib.dl.slayer.neuron.cuba import Neuron
from torch import Tensor

from lava_async._semantics import dynamics as dyn
from lava_async._semantics.connections import Connection, Shape, Sparse, Synapses
from lava_async._semantics.graph import NETX_NEVER_FIRES
from lava_async.errors import ValidationError
from lava_async.slayer import plain
from lava_async.slayer.edges import Edge, edge, has_edge
from lava_async.slayer.layers import Piece, SpikingLayer
from lava_async.slayer.weights import (
    SCALE,
    integers,
    quantize_bias,
    quantize_in_ones,
    shaped,
    synapse_weight,
)


class Synapse(torch.nn.Module):
    """The synapses of one connection, of any kind that a graph can hold.

    Attributes
    ----------
    weight : torch.nn.Parameter
        In SLAYER's unit, 64 of which make the integer weight; shape as the connection's own,
        (1,) if one to one, (synapses,) if they are given one by one.
    pre_hook_fx : callable
        Quantizer ``(weight, descale=False)``.
    """

    def __init__(self, connection: Connection, source_shape: Shape, neuron: Neuron):
        super().__init__()
        if not has_edge(connection):
            c = connection
            connection = Sparse(c.source, c.target, c.all_synapses(source_shape), delay=c.delay)
        self.connection: Any = connection
        given = self.connection.weight
        weight = np.atleast_1d(given.weight if isinstance(given, Synapses) else given)
        self.weight = torch.nn.Parameter(torch.from_numpy(weight.astype(np.float32) / SCALE))
        self.pre_hook_fx = quantizer_for(weight, neuron)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the weights."""
        given = self.connection.weight
        return np.shape(given.weight if isinstance(given, Synapses) else np.atleast_1d(given))

    def extra_repr(self) -> str:
        return f"{self.connection.kind}, {self.shape}"


def quantizer_for(weight: npt.NDArray[np.integer], neuron: Neuron) -> Callable[..., Tensor]:
    """SLAYER's own, which gives even integers only, or one for odd ones too."""
    return quantize_in_ones if (weight % 2).any() else neuron.quantize_8bit


class Population(torch.nn.Module):
    """Neurons with any number of connections, each of its own kind, and biases.

    `Network.from_graph` makes these where no block of SLAYER says the same. As the block of a
    `Network` it has as many sources as synapses, in their order.

    Attributes
    ----------
    shape : tuple of int
        Of the neurons.
    neuron : slayer.neuron.cuba.Neuron
    synapses : torch.nn.ModuleList of Synapse
    bias : torch.nn.Parameter, optional
        (neurons,) in SLAYER's unit; added to the voltage at each time step.
    count_log : bool
        Whether the network returns how much it spiked, as of SLAYER's blocks.
    """

    count_log = False

    def __init__(
        self,
        shape: Shape,
        neuron: Neuron,
        synapses: Sequence[Synapse],
        bias: Tensor | None = None,
    ):
        super().__init__()
        self.shape = shape
        self.neuron = neuron
        self.synapses = torch.nn.ModuleList(synapses)
        self.bias = None if bias is None else torch.nn.Parameter(bias)

    def extra_repr(self) -> str:
        return f"{self.shape}"


class PopulationLayer(SpikingLayer):
    """`Population`."""

    kind = Population
    exported = False
    thresholds = range(max(NETX_NEVER_FIRES) + 1)

    def check(self) -> None:
        super().check()
        for synapse in self.block.synapses:
            plain.refuse_overrides(self.where, "synapse", synapse, Synapse)
            plain.refuse_hooks(self.where, "synapse", synapse, weight_hooks=True)

    def output_shape(self, pieces):
        return self.block.shape

    def edges(self, target: int, pieces: Sequence[Piece], shape: Shape) -> list[Edge]:
        synapses = list(self.block.synapses)
        sources = sorted({piece.first for piece in pieces})
        if len(sources) != len(synapses):
            raise ValidationError(
                self.where, "sources", f"{len(synapses)}, one for each synapse", len(sources)
            )
        found = []
        for piece in pieces:
            number = sources.index(piece.first)  # what is added shares one
            synapse: Any = synapses[number]
            connection = dataclasses.replace(
                synapse.connection, source=piece.source, target=target, delay=piece.delay
            )
            connection.check(self.where, piece.shape, shape)
            found.append(edge(connection, piece.shape, shape, _number(number)))
        return found

    def weights(self):
        return [
            integers(self.where, "weight", self._weight(number, s), s.pre_hook_fx)
            for number, s in enumerate(self.block.synapses)
        ]

    def _weight(self, number: int, synapse: Any) -> Tensor:
        weight = synapse_weight(self.where, synapse)
        return shaped(self.where, f"synapses[{number}].weight", weight, synapse.shape)

    def bias(self):
        if self.block.bias is None:
            return None
        # One for all is as good as one for each.
        size = 1 if self.block.bias.numel() == 1 else math.prod(self.block.shape)
        bias = shaped(self.where, "bias", self.block.bias, (size,))
        return integers(self.where, "bias", bias, quantize_bias, dyn.BIAS_MIN, dyn.BIAS_MAX)


def _number(number: int) -> Callable[[Sequence[Tensor]], Tensor]:
    return lambda weights: weights[number]
