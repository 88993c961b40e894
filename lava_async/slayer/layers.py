"""SLAYER blocks as layers of a network that runs asynchronously: checks, shapes, integers.

Whatever a block asks for and we do not run is refused here, by the block's place and name.
"""

from __future__ import annotations

import abc
import dataclasses
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from lava.lib.dl.slayer import neuron as neurons
from lava.lib.dl.slayer import synapse as synapses
from lava.lib.dl.slayer.block import cuba
from torch import Tensor

from lava_async._semantics import dynamics as dyn
from lava_async._semantics.connections import INPUT, Conv, Dense, OneToOne, Shape
from lava_async._semantics.graph import Population
from lava_async.errors import UnsupportedError, ValidationError
from lava_async.slayer import plain, splitting
from lava_async.slayer.edges import Edge, Pick, edge
from lava_async.slayer.links import Delay
from lava_async.slayer.weights import integers, shaped, synapse_weight


@dataclass(frozen=True)
class Piece:
    """Some of the channels that a block sees.

    Attributes
    ----------
    source : int
        Population, or `INPUT`.
    delay : int or (n,) array of int
        Time steps, for all its neurons or for each.
    shape : tuple of int
        As the block sees them; () while it is not known.
    """

    source: int
    delay: Delay
    shape: Shape


_FINITE = ("current_decay", "voltage_decay", "threshold", "tau_rho", "scale_rho")
"""Numbers of a neuron."""


class Layer(abc.ABC):
    """A block at its place in the network.

    Attributes
    ----------
    where : str
        The block's place and name, for messages: ``blocks[2] (Dense)``.
    block : torch.nn.Module
    """

    kind: ClassVar[type[torch.nn.Module]]
    """The class of the block, whose subclasses may only add to it."""

    def __init__(self, where: str, block: Any):
        self.where = where
        self.block = block
        self.check()

    def unsupported(self, what: str, wanted: object, got: object) -> UnsupportedError:
        return UnsupportedError(self.where, what, wanted, got)

    def check(self) -> None:
        """Raise `UnsupportedError` if the block asks for something that is not run."""
        plain.refuse_overrides(self.where, "block", self.block, self.kind, plain.EXPORT)
        plain.refuse_hooks(self.where, "block", self.block)


class PassingLayer(Layer):
    """A block without neurons."""

    @abc.abstractmethod
    def passed(self, piece: Piece) -> Piece:
        """What a block after this one sees of what this one sees."""

    def settle(self, shape: Shape) -> None:
        """Tell the block the shape of its output, as its first forward would."""


class ShapeLayer(PassingLayer):
    """`Input` without neurons: a shape."""

    kind = cuba.Input

    def __init__(self, where: str, block: Any):
        super().__init__(where, block)
        # SLAYER's does the same, but is a local function, which no pickle can hold.
        block.pre_hook_fx = _same

    def passed(self, piece):
        return piece

    def settle(self, shape):
        self.block.input_shape = torch.Size(shape)


def _same(x: Tensor) -> Tensor:
    return x


class FlattenLayer(PassingLayer):
    """`Flatten`: a pure reshape, in C order."""

    kind = cuba.Flatten

    def passed(self, piece):
        if not piece.shape:
            return piece
        if len(piece.shape) != 3:
            raise ValidationError(self.where, "input shape", "(C, H, W)", piece.shape)
        return Piece(piece.source, piece.delay, (math.prod(piece.shape),))

    def settle(self, shape):
        self.block.shape = [math.prod(shape), 1, 1]


class SpikingLayer(Layer):
    """A block with neurons: one population."""

    thresholds = range(1, dyn.THRESHOLD_MAX + 1)

    def check(self) -> None:
        super().check()
        neuron, block = self.block.neuron, self.block
        plain.refuse_overrides(self.where, "neuron", neuron, neurons.cuba.Neuron)
        plain.refuse_hooks(self.where, "neuron", neuron)
        off = [
            ("delay", getattr(block, "delay", None), "no axonal delay"),
            ("norm", neuron.norm, "no normalization"),
            ("dropout", neuron.drop, "none (use spike_dropout of the network)"),
        ]
        for what, value, wanted in off:
            if value is not None:
                raise self.unsupported(what, wanted, type(value).__name__)
        flags = [
            ("requires_grad", neuron.requires_grad, False, "fixed decays"),
            ("shared_param", neuron.shared_param, True, "one decay for all neurons"),
            ("graded_spike", neuron.graded_spike, False, "binary spikes"),
            ("persistent_state", neuron.persistent_state, False, "each sample from zero state"),
        ]
        for what, value, wanted, why in flags:
            if value is not wanted:
                raise self.unsupported(f"neuron {what}", f"{wanted}: {why}", value)
        for name in _FINITE:
            self._check_finite(name, getattr(neuron, name))
        usual = 0.01 / neuron.s_scale  # SLAYER's: tells "exceeds" from "reaches"
        if getattr(neuron, "threshold_eps", usual) != usual:
            raise self.unsupported("neuron threshold_eps", usual, neuron.threshold_eps)
        if neuron.v_th_mant not in self.thresholds:
            low, high = self.thresholds[0], self.thresholds[-1]
            raise self.unsupported("threshold", f"a mantissa in {low}..{high}", neuron.v_th_mant)

    def _check_finite(self, name: str, value: Any) -> None:
        """Raise `ValidationError` unless a neuron's number is one, and finite."""
        try:
            fits = math.isfinite(value)  # one value of any shape, as SLAYER has it
        except (TypeError, ValueError):
            fits = False
        if not fits:
            got = value.tolist() if isinstance(value, Tensor) else value
            raise ValidationError(self.where, f"neuron {name}", "one finite number", got)

    @property
    def decays(self) -> tuple[int, int]:
        """Of current and voltage, as SLAYER's ``cx_…_decay``, of parameters of any float type."""
        i, v = (
            round(min(max(float(decay), 0), dyn.DECAY_ONE))
            for decay in (self.block.neuron.current_decay, self.block.neuron.voltage_decay)
        )
        return i, v

    @property
    def size(self) -> int:
        return self.block.neuron.num_neurons

    @abc.abstractmethod
    def output_shape(self, pieces: Sequence[Piece]) -> Shape:
        """The population's shape, or () while too little is known of what it sees."""

    def settle(self, shape: Shape) -> None:
        """Tell the block's neuron its shape, as its first forward would."""
        neuron = self.block.neuron
        neuron.shape = torch.Size(shape)
        neuron.num_neurons = math.prod(shape)

    @abc.abstractmethod
    def edges(self, target: int, pieces: Sequence[Piece], shape: Shape) -> list[Edge]:
        """One edge for each piece, with the shapes checked."""

    @abc.abstractmethod
    def weights(self) -> list[Tensor]:
        """The block's integer weights, differentiable; its edges pick theirs out of them."""

    def bias(self) -> Tensor | None:
        """Integer bias (1,) or (size,), differentiable."""
        return None

    def population(self, name: str) -> Population:
        """With the current numbers."""
        neuron, bias = self.block.neuron, self.bias()
        shape = tuple(neuron.shape)
        if bias is not None:
            values = bias.detach().to(torch.int64).cpu().numpy()
            bias = np.broadcast_to(values, (self.size,)).reshape(shape)
        return Population(name, shape, *self.decays, neuron.v_th_mant, bias)


class InputLayer(SpikingLayer):
    """`Input` with neurons, each of which sees one input through a shared weight."""

    kind = cuba.Input

    def check(self) -> None:
        super().check()
        block = self.block
        if block.bias is not None and self.decays[0] != dyn.DECAY_ONE:
            # SLAYER adds it to the current, the chip to the voltage.
            raise self.unsupported(
                "bias", "none, or neurons with current_decay 1",
                f"current_decay {self.decays[0] / dyn.DECAY_ONE}",
            )

    def output_shape(self, pieces):
        return pieces[0].shape

    def settle(self, shape):
        super().settle(shape)
        self.block.input_shape = torch.Size(shape)

    def edges(self, target, pieces, shape):
        if [(piece.source, np.any(piece.delay)) for piece in pieces] != [(INPUT, False)]:
            raise self.unsupported("sources", "the network's input, without delay", "others")
        return [edge(OneToOne(INPUT, target, 0), shape, shape, _first)]

    def weight(self) -> Tensor:
        block = self.block
        if block.weight is None:
            return torch.tensor([float(block.neuron.w_scale)], device=block.neuron.device)
        weight = shaped(self.where, "weight", block.weight, (1,))
        return integers(self.where, "weight", weight, block.pre_hook_fx)

    def weights(self):
        return [self.weight()]

    def bias(self):
        if self.block.bias is None:
            return None
        bias = shaped(self.where, "bias", self.block.bias, (1,))
        return integers(self.where, "bias", bias, self.block.pre_hook_fx)


class SynapseLayer(SpikingLayer):
    """Base of SLAYER's blocks with a synapse. Several sources are concatenated as channels."""

    synapse: ClassVar[type[torch.nn.Module]]

    def check(self) -> None:
        super().check()
        synapse = self.block.synapse
        plain.refuse_overrides(self.where, "synapse", synapse, self.synapse)
        plain.refuse_hooks(self.where, "synapse", synapse, weight_hooks=True)
        if synapse.bias is not None:
            raise self.unsupported("synapse.bias", "none", "some")

    def weight(self) -> Tensor:
        synapse = self.block.synapse
        inputs = synapse.in_channels // synapse.groups
        weight = shaped(
            self.where, "weight", synapse_weight(self.where, synapse),
            (synapse.out_channels, inputs, *synapse.kernel_size),
        )  # fmt: skip
        return integers(self.where, "weight", weight, synapse.pre_hook_fx).squeeze(-1)

    def weights(self):
        return [self.weight()]

    def channels(self, pieces: Sequence[Piece], rank: int) -> list[slice]:
        """Which of the block's input channels each piece is."""
        wanted = self.block.synapse.in_channels
        shapes = [piece.shape for piece in pieces]
        fits = all(len(s) == rank and s[1:] == shapes[0][1:] for s in shapes)
        if not fits or sum(s[0] for s in shapes) != wanted:
            expected: object = (wanted, "H", "W")[:rank]
            if len(pieces) != 1:
                expected = f"of {wanted} channels in all, each {('C', 'H', 'W')[:rank]}"
            raise ValidationError(
                self.where, "input shape", expected, shapes[0] if len(shapes) == 1 else shapes
            )
        ends = np.cumsum([0, *(s[0] for s in shapes)]).tolist()
        return [slice(*pair) for pair in itertools.pairwise(ends)]


class DenseLayer(SynapseLayer):
    """`Dense`: all-to-all synapses."""

    kind = cuba.Dense
    synapse = synapses.layer.Dense

    def check(self) -> None:
        super().check()
        synapse = self.block.synapse
        if tuple(synapse.kernel_size) != (1, 1, 1):
            raise self.unsupported(
                "in_neurons", "an integer (with a Flatten block before)",
                (*synapse.kernel_size[1::-1], synapse.in_channels),
            )
        if self.block.mask is not None and "weight" not in synapse._parameters:
            # SLAYER masks the weight and then computes it anew.
            raise self.unsupported(
                "mask", "none with weight_norm, pruning or other reparametrisations",
                tuple(self.block.mask.shape[:2]),
            )

    def output_shape(self, pieces):
        return (self.block.synapse.out_channels,)

    def weight(self):
        if self.block.mask is not None:
            self.block.synapse.weight.data *= self.block.mask
        return super().weight().flatten(1)

    def edges(self, target, pieces, shape):
        return [
            edge(
                Dense(p.source, target, np.zeros((shape[0], p.shape[0]), np.int16), delay=p.delay),
                p.shape, shape, _first if len(pieces) == 1 else _columns(channels),
            )
            for p, channels in zip(pieces, self.channels(pieces, 1), strict=True)
        ]


class ConvLayer(SynapseLayer):
    """`Conv`: 2-D convolution."""

    kind = cuba.Conv
    synapse = synapses.layer.Conv

    def connection(self, in_channels: int) -> Conv:
        """The block as it sees so many channels, all weights 0."""
        s = self.block.synapse
        shape = (s.out_channels, in_channels // s.groups, *s.kernel_size[:2])
        weight = np.zeros(shape, np.int16)
        return Conv(INPUT, 0, weight, s.stride[:2], s.padding[:2], s.dilation[:2], s.groups)

    def output_shape(self, pieces):
        seen = next((piece.shape for piece in pieces if piece.shape), ())
        if not seen:
            return ()
        channels = self.block.synapse.in_channels
        if len(seen) != 3:
            raise ValidationError(self.where, "input shape", (channels, "H", "W"), seen)
        out = self.connection(channels).out_shape(seen)
        if min(out) < 1:
            raise ValidationError(self.where, "output shape", "at least (1, 1, 1)", out)
        return out

    def edges(self, target, pieces, shape):
        parts = self.channels(pieces, 3)
        if len(pieces) == 1 or self.block.synapse.groups == 1:
            return [
                edge(
                    _between(self.connection(p.shape[0]), p, target),
                    p.shape, shape, _first if len(pieces) == 1 else _columns(channels),
                )
                for p, channels in zip(pieces, parts, strict=True)
            ]
        # A part of the channels reaches a part of the targets only, which no Conv can say.
        whole = self.connection(self.block.synapse.in_channels)
        return [
            edge(_between(sparse, p, target), p.shape, shape, _taps(taps))
            for p, (sparse, taps) in zip(
                pieces, splitting.parts(whole, [p.shape for p in pieces]), strict=True
            )
        ]


def _first(weights: Sequence[Tensor]) -> Tensor:
    return weights[0]


def _columns(channels: slice) -> Pick:
    return lambda weights: weights[0][:, channels]


def _taps(taps: Tensor) -> Pick:
    return lambda weights: weights[0].flatten()[taps]


def _between(connection: Any, piece: Piece, target: int) -> Any:
    """The connection with the ends and the delay of a piece."""
    return dataclasses.replace(
        connection, source=piece.source, target=target, delay=piece.delay
    )
