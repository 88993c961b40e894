"""Blocks at the end of a network: read out as currents or voltages, and what is made of that.

In the graph a readout is a population whose threshold no voltage reaches. One that is read out as
a current forgets everything at each time step, so that its voltage is the weighted sum of the
spikes of a time step.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from lava.lib.dl.slayer.block import cuba
from torch import Tensor

from lava_async._semantics import dynamics as dyn
from lava_async._semantics.connections import INPUT, Shape
from lava_async._semantics.decoding import Decoding
from lava_async._semantics.graph import NETX_NEVER_FIRES
from lava_async.slayer.layers import ConvLayer, DenseLayer, Layer, SpikingLayer
from lava_async.slayer.sources import Source, Sum
from lava_async.slayer.weights import SCALE

NEVER = max(NETX_NEVER_FIRES)
"""The threshold mantissa that SLAYER exports."""

_FORGETS = (dyn.DECAY_ONE, dyn.DECAY_ONE)


class Readout(SpikingLayer):
    """A block whose neurons never fire: the output of the network."""

    thresholds = range(NEVER, NEVER + 1)
    numbers = ()  # its decays are looked at as those of others are

    @property
    def threshold(self):
        return NEVER


class AffineLayer(Readout, DenseLayer):
    """`Affine`: the voltage, or without dynamics the current of each time step."""

    kind = cuba.Affine

    def check_neuron(self) -> None:
        super().check_neuron()
        if not self.block.dynamics and self.neuron.norm is not None:
            raise self.unsupported("neuron norm", "none, or dynamics=True", "one")

    @property
    def decays(self):
        return super().decays if self.block.dynamics else _FORGETS

    def learned_decays(self):
        return super().learned_decays() if self.block.dynamics else (None, None)


@dataclass
class _NoNeurons:
    """What is asked of SLAYER's neurons, of its default scale, where a block has none."""

    synapse: Any
    shape: torch.Size | None = None
    num_neurons: int = 0
    norm = drop = None
    shared_param, requires_grad = True, False
    w_scale = SCALE
    s_scale = SCALE << dyn.STATE_SHIFT
    tau_rho = scale_rho = 1.0

    @property
    def device(self) -> torch.device:
        return next(self.synapse.parameters()).device


class _WithoutNeurons(Readout):
    """A block that SLAYER can build without neurons, but not run: the current."""

    decays = _FORGETS  # type: ignore[assignment]

    def __init__(self, where: str, block: Any):
        self._stands_in = _NoNeurons(block.synapse)
        super().__init__(where, block)

    @property
    def neuron(self):
        return self._stands_in

    def learned_decays(self):
        return None, None

    def check_neuron(self) -> None:
        if self.block.delay is not None:
            raise self.unsupported("delay", "none: the block has no neurons", "one")


class DenseWithoutNeurons(_WithoutNeurons, DenseLayer):
    """`Dense` without neurons."""


class ConvWithoutNeurons(_WithoutNeurons, ConvLayer):
    """`Conv` without neurons."""

    exported = False


class DecodingLayer(Layer):
    """A block that runs on what comes out, as SLAYER runs it."""

    @abc.abstractmethod
    def decoding(self) -> Decoding:
        """What it does."""

    @abc.abstractmethod
    def decode(self, y: Tensor) -> Tensor:
        """Its output (N, …, T') of that of the block before (N, …, T)."""

    def output_shape(self, shape: Shape) -> Shape:
        """Of one frame."""
        return shape


class AverageLayer(DecodingLayer):
    """`Average`: means over groups of neurons."""

    kind = cuba.Average

    def decoding(self):
        return Decoding(groups=self.block.num_outputs)

    def decode(self, y):
        return y.reshape(len(y), self.block.num_outputs, -1, y.shape[-1]).mean(2)

    def output_shape(self, shape):
        return (self.block.num_outputs,)


class DecimationLayer(DecodingLayer):
    """`TimeDecimation`: means over bins of time steps."""

    kind = cuba.TimeDecimation

    def decoding(self):
        return Decoding(time_bin=self.block.factor)

    def decode(self, y):
        missing = -y.shape[-1] % self.block.factor
        return F.pad(y, (0, missing)).unflatten(-1, (-1, self.block.factor)).mean(-1)


@dataclass(frozen=True)
class Tail:
    """The blocks at the end that decode.

    Attributes
    ----------
    layers : list of DecodingLayer
        In their order.
    output : (index, delay)
        What the first of them sees, or the network's output if there are none.
    """

    layers: list[DecodingLayer]
    output: Source

    @classmethod
    def of(
        cls, layers: Sequence[Layer], sources: Sequence[Sequence[Sum]], output: Source
    ) -> Tail:
        """The tail of a network.

        Raises
        ------
        UnsupportedError
            Blocks that decode are elsewhere, too.
        """
        found: list[DecodingLayer] = []
        index, delay = output
        while isinstance(layer := layers[index], DecodingLayer):
            one = _seen(sources[index])
            if len(one) != 1 or one[0][0] == INPUT or np.any(one[0][1]):
                raise layer.unsupported("sources", "one block, without delay", one)
            if any(type(other) is type(layer) for other in found):
                raise layer.unsupported("place", f"one {type(layer.block).__name__}", "several")
            found.insert(0, layer)
            index = one[0][0]
        seen = {source for i, own in enumerate(sources) for source, _ in _seen(own)
                if layers[i] not in found}
        for i, layer in enumerate(layers):
            if isinstance(layer, DecodingLayer) and (layer not in found or i in seen):
                raise layer.unsupported("place", "the end of the network", "before another block")
        return cls(found, (index, delay))

    def decoding(self) -> Decoding | None:
        """All in one."""
        if not self.layers:
            return None
        parts = [layer.decoding() for layer in self.layers]
        return Decoding(
            next((p.groups for p in parts if p.groups is not None), None),
            math.prod(part.time_bin for part in parts),
        )

    def output_shape(self, shape: Shape) -> Shape:
        """Of one frame, of what the first block sees."""
        for layer in self.layers:
            shape = layer.output_shape(shape)
        return shape

    def decode(self, y: Tensor) -> Tensor:
        """The network's output of what the first block sees (N, *shape, T)."""
        for layer in self.layers:
            y = layer.decode(y)
        return y


def _seen(sources: Sequence[Sum]) -> list[Source]:
    return [source for added in sources for source in added.sources]


def refuse_other_places(layers: Sequence[SpikingLayer], output: int, seen: set[int]) -> None:
    """Raise `UnsupportedError` if a readout is not the output, or seen by other blocks.

    ``seen`` are the populations that are sources.
    """
    for place, layer in enumerate(layers):
        if isinstance(layer, Readout) and (place != output or place in seen):
            raise layer.unsupported(
                "place", "the output of the network, which no other block sees",
                "before another block",
            )
