"""SLAYER blocks as layers of a network that runs asynchronously: checks, shapes, integers.

Whatever a block asks for and we do not run is refused here, by the block's place and name.
"""

from __future__ import annotations

import abc
import dataclasses
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
from lava_async.slayer import decays, delays, norms, plain, splitting
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
    first : int
        Which of the block's channels their first one is; pieces that share channels are added.
    """

    source: int
    delay: Delay
    shape: Shape
    first: int = 0

    @property
    def channels(self) -> slice:
        """Which of the block's channels they are."""
        return slice(self.first, self.first + self.shape[0])

    def flat(self) -> Piece:
        """In C order, each place a channel."""
        first = self.first * math.prod(self.shape[1:])
        return Piece(self.source, self.delay, (math.prod(self.shape),), first)


def channels_of(pieces: Sequence[Piece]) -> int:
    """How many channels a block sees in all."""
    return max((piece.channels.stop for piece in pieces), default=0)


_FINITE = ("threshold", "tau_rho", "scale_rho")
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

    def check(self) -> None:
        super().check()
        if delays.delay_of(self.block) is not None:
            raise self.unsupported("delay", "none: the block has no neurons", "one")

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
        return piece.flat()

    def settle(self, shape):
        self.block.shape = [math.prod(shape), 1, 1]


class SpikingLayer(Layer):
    """A block with neurons: one population."""

    thresholds = range(1, dyn.THRESHOLD_MAX + 1)
    must_persist: ClassVar[bool] = False
    """Whether SLAYER's flag has to be set, and says nothing about ours."""
    persists: bool | None = None
    """Whether its neurons go on where the last call ended, as the last check found it; None: it
    has no say."""
    exported: ClassVar[bool] = True
    """Whether SLAYER's export says the block."""
    numbers: ClassVar[Sequence[str]] = _FINITE

    def check(self) -> None:
        super().check()
        self.check_neuron()

    def check_neuron(self) -> None:
        neuron, delay = self.neuron, delays.delay_of(self.block)
        if delay is not None:
            delays.check(self.where, delay)
        plain.refuse_overrides(self.where, "neuron", neuron, neurons.cuba.Neuron)
        plain.refuse_hooks(self.where, "neuron", neuron)
        if neuron.norm is not None:
            norms.check(self.where, neuron.norm)
        if neuron.drop is not None:
            plain.refuse_overrides(self.where, "neuron dropout", neuron.drop, neurons.Dropout)
            if not 0 <= neuron.drop.p < 1:
                got = neuron.drop.p
                raise ValidationError(self.where, "neuron dropout p", "0 <= p < 1", got)
        if neuron.graded_spike is not False:
            raise self.unsupported(
                "neuron graded_spike", "False: binary spikes", neuron.graded_spike
            )
        state = neuron.persistent_state
        if state is not True and (state is not False or self.must_persist):
            wanted = "True, which SLAYER's feedback needs" if self.must_persist else "True or False"
            raise self.unsupported("neuron persistent_state", wanted, state)
        if not self.must_persist:
            self.persists = state
        for name in self.numbers:
            self._check_finite(name, getattr(neuron, name))
        self._check_decays()
        usual = 0.01 / neuron.s_scale  # SLAYER's: tells "exceeds" from "reaches"
        if getattr(neuron, "threshold_eps", usual) != usual:
            raise self.unsupported("neuron threshold_eps", usual, neuron.threshold_eps)
        if self.threshold not in self.thresholds:
            low, high = self.thresholds[0], self.thresholds[-1]
            raise self.unsupported("threshold", f"a mantissa in {low}..{high}", self.threshold)

    def _check_finite(self, name: str, value: Any) -> None:
        """Raise `ValidationError` unless a neuron's number is one, and finite."""
        try:
            fits = math.isfinite(value)  # one value of any shape, as SLAYER has it
        except (TypeError, ValueError):
            fits = False
        if not fits:
            got = value.tolist() if isinstance(value, Tensor) else value
            raise ValidationError(self.where, f"neuron {name}", "one finite number", got)

    def _check_decays(self) -> None:
        """Raise `ValidationError` unless decays are finite, and one for all, or as many as fit."""
        shape = self.neuron.shape
        for name, given in self._decay_parameters().items():
            if given.numel() == 1:
                self._check_finite(name, given)
            elif shape is not None and given.numel() not in (shape[0], math.prod(shape)):
                wanted = f"1 number or {shape[0]}, one for each channel"
                raise ValidationError(self.where, f"neuron {name}", wanted, given.numel())
            elif not given.isfinite().all():
                raise ValidationError(self.where, f"neuron {name}", "finite numbers", "nan or inf")

    def _decay_parameters(self) -> dict[str, Tensor]:
        """By their names, of current and voltage."""
        return {name: getattr(self.neuron, name) for name in decays.NAMES}

    @property
    def neuron(self) -> Any:
        # From where PyTorch has it: its attributes take many times as long, in each pass.
        return self.block._modules["neuron"]

    @property
    def threshold(self) -> int:
        """Mantissa."""
        return self.neuron.v_th_mant

    @property
    def can_fire(self) -> bool:
        return self.threshold <= dyn.THRESHOLD_MAX

    @property
    def decays(self) -> tuple[decays.Decay, decays.Decay]:
        """Of current and voltage, as SLAYER's ``cx_…_decay``, of parameters of any float type."""
        i, v = (
            round(min(max(float(decay), 0), dyn.DECAY_ONE)) if decay.numel() == 1
            else self._of_each(decays.whole(decay.detach())).cpu().numpy().astype(np.int64)
            for decay in self._decay_parameters().values()
        )
        return i, v

    def learned_decays(self) -> tuple[Tensor | None, Tensor | None]:
        """Whole numbers, (1,) or (size,), differentiable; None: they are not learned."""
        if not any(decay.requires_grad for decay in self._decay_parameters().values()):
            return None, None
        self.neuron.clamp()  # as SLAYER does in each forward of learned ones
        i, v = (
            self._of_each(decays.whole(decay)) if decay.requires_grad else None
            for decay in self._decay_parameters().values()
        )
        return i, v

    def _of_each(self, decay: Tensor) -> Tensor:
        """One, or those of the channels as of each neuron."""
        if decay.numel() in (1, self.size):
            return decay.flatten()
        return decay.flatten().repeat_interleave(self.size // decay.numel())

    @property
    def size(self) -> int:
        return self.neuron.num_neurons

    @abc.abstractmethod
    def output_shape(self, pieces: Sequence[Piece]) -> Shape:
        """The population's shape, or () while too little is known of what it sees."""

    def shape_alone(self) -> Shape:
        """The population's shape whatever it sees, or () if it depends on that."""
        return ()

    def seen(self, shape: Shape) -> Shape:
        """The population's shape as SLAYER has it, and blocks after this one see it."""
        return shape

    def settle(self, shape: Shape) -> None:
        """Tell the block's neuron its shape, as its first forward would."""
        neuron = self.neuron
        neuron.shape = torch.Size(self.seen(shape))
        neuron.num_neurons = math.prod(shape)
        if decays.wait(neuron):
            decays.draw(neuron)

    @abc.abstractmethod
    def edges(self, target: int, pieces: Sequence[Piece], shape: Shape) -> list[Edge]:
        """One edge for each piece, with the shapes checked."""

    @abc.abstractmethod
    def weights(self) -> list[Tensor]:
        """The block's integer weights, differentiable; its edges pick theirs out of them."""

    def bias(self) -> Tensor | None:
        """Integer bias (1,) or (size,), differentiable."""
        return None

    def whole_weights(self) -> list[Tensor]:
        """`weights`, as the neuron's norm leaves them."""
        norm = self.neuron.norm
        weights = self.weights()
        return weights if norm is None else [norms.divided(norm, own) for own in weights]

    def whole_bias(self) -> Tensor | None:
        """`bias`, with that of the neuron's norm."""
        norm, bias = self.neuron.norm, self.bias()
        if norm is None:
            return bias
        own = self._of_each(norms.bias(norm, self.neuron.shape[0]))
        return own if bias is None else bias + own

    @property
    def dropout(self) -> float:
        """With which probability a spike is lost in this pass, by the neuron's own dropout."""
        drop = self.neuron.drop
        return float(drop.p) if drop is not None and drop.training else 0.0

    def steps(self, shape: Shape) -> delays.Steps | None:
        """Time steps (size,) by which spikes of neurons of that shape leave late, if any may."""
        delay = delays.delay_of(self.block)
        return None if delay is None else delays.steps_of(self.where, delay, shape)

    def delay(self, steps: delays.Steps) -> Tensor:
        """The same, differentiable; made as by a forward pass."""
        neuron = self.neuron
        return delays.learned(self.block.delay, steps, neuron.shape[0], neuron.device)

    def population(self, name: str, shape: Shape) -> Population:
        """With the current numbers."""
        bias = self.whole_bias()
        i_decay, v_decay = (
            decay.reshape(shape) if isinstance(decay, np.ndarray) else decay
            for decay in self.decays
        )
        if bias is not None:
            values = bias.detach().to(torch.int64).cpu().numpy()
            bias = np.broadcast_to(values, (self.size,)).reshape(shape)
        return Population(name, shape, i_decay, v_decay, self.threshold, bias)


def persists(layers: Sequence[SpikingLayer]) -> bool:
    """Whether the neurons of a network go on where the last call ended.

    Raises
    ------
    UnsupportedError
        Some do, and some do not.
    """
    first = None
    for layer in layers:
        own = layer.persists
        if own is None:
            continue
        if first is None:
            first = layer
        elif own is not first.persists:
            raise layer.unsupported(
                "neuron persistent_state", f"{first.persists}, as of {first.where}", own
            )
    return first is not None and bool(first.persists)


class InputLayer(SpikingLayer):
    """`Input` with neurons, each of which sees one input through a shared weight."""

    kind = cuba.Input

    def check(self) -> None:
        super().check()
        block = self.block
        least = np.min(self.decays[0])
        if block.bias is not None and least != dyn.DECAY_ONE:
            # SLAYER adds it to the current, the chip to the voltage.
            raise self.unsupported(
                "bias", "none, or neurons with current_decay 1",
                f"current_decay {least / dyn.DECAY_ONE}",
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
    """Base of SLAYER's blocks with synapses. Several sources are concatenated as channels."""

    synapse: ClassVar[type[torch.nn.Module]]

    @property
    def synapses(self) -> list[Any]:
        """All of them; the first are those from the sources."""
        return [self.block.synapse]

    def check(self) -> None:
        super().check()
        for synapse in self.synapses:
            plain.refuse_overrides(self.where, "synapse", synapse, self.synapse)
            plain.refuse_hooks(self.where, "synapse", synapse, weight_hooks=True)
            if synapse.bias is not None:
                raise self.unsupported("synapse bias", "none, or one of the block", "one")

    def weight(self, synapse: Any) -> Tensor:
        """Of one of them."""
        inputs = synapse.in_channels // synapse.groups
        weight = shaped(
            self.where, "weight", synapse_weight(self.where, synapse),
            (synapse.out_channels, inputs, *synapse.kernel_size),
        )  # fmt: skip
        return integers(self.where, "weight", weight, synapse.pre_hook_fx).squeeze(-1)

    def weights(self):
        return [self.weight(synapse) for synapse in self.synapses]

    def check_pieces(self, pieces: Sequence[Piece], wanted: tuple[int | str, ...]) -> None:
        """Raise `ValidationError` unless they make that shape, of which a text means any number."""
        shapes = [piece.shape for piece in pieces]
        whole = (channels_of(pieces), *shapes[0][1:])
        alike = all(s[1:] == whole[1:] for s in shapes) and len(whole) == len(wanted)
        if not alike or any(
            isinstance(n, int) and n != got for n, got in zip(wanted, whole, strict=True)
        ):
            expected: object = wanted
            if len(pieces) != 1:
                expected = f"of {wanted[0]} channels in all, each {('C', *wanted[1:])}"
            raise ValidationError(
                self.where, "input shape", expected, shapes[0] if len(shapes) == 1 else shapes
            )


class AllToAllLayer(SynapseLayer):
    """Base of the blocks that see their sources through all-to-all synapses."""

    synapse = synapses.layer.Dense

    @property
    def frame(self) -> tuple[int, int]:
        """Height and width of what the block sees: its ``in_neurons``, (1, 1) if one number."""
        height, width = self.synapses[0].kernel_size[:2]
        return height, width

    def output_shape(self, pieces):
        seen = next((piece.shape for piece in pieces if piece.shape), ())
        self._places = (1, 1) if len(seen) == 3 else ()
        return self.shape_alone() if seen else ()

    def shape_alone(self):
        return (self.synapses[0].out_channels,)

    def seen(self, shape):
        # SLAYER's are frames of one place, where it sees frames.
        return (*shape, *self._places)

    def weights(self):
        return [weight.flatten(1) for weight in super().weights()]

    def edges(self, target, pieces, shape):
        is_flat = self.frame == (1, 1) and pieces[0].shape[1:] != (1, 1)
        inputs = self.synapses[0].in_channels
        self.check_pieces(pieces, (inputs,) if is_flat else (inputs, *self.frame))
        pieces = [piece.flat() for piece in pieces]
        return [
            edge(
                Dense(p.source, target, np.zeros((shape[0], p.shape[0]), np.int16), delay=p.delay),
                p.shape, shape, _first if p.shape[0] == channels_of(pieces) else _columns(p),
            )
            for p in pieces
        ]


class DenseLayer(AllToAllLayer):
    """`Dense`: all-to-all synapses."""

    kind = cuba.Dense

    def check(self) -> None:
        super().check()
        synapse = self.block.synapse
        if self.block.mask is not None and "weight" not in synapse._parameters:
            # SLAYER masks the weight and then computes it anew.
            raise self.unsupported(
                "mask", "none with weight_norm, pruning or other reparametrisations",
                tuple(self.block.mask.shape[:2]),
            )

    def weights(self):
        if self.block.mask is not None:
            self.block.synapse.weight.data *= self.block.mask
        return super().weights()


class FramesLayer(SynapseLayer):
    """Base of the blocks that see frames (C, H, W) through a kernel."""

    @property
    def in_channels(self) -> int | None:
        """How many channels the block must see; None if any number will do."""
        return self.block.synapse.in_channels

    @property
    def _frames(self) -> tuple[int | str, ...]:
        """Shape of what it must see."""
        return ("C" if self.in_channels is None else self.in_channels, "H", "W")

    @abc.abstractmethod
    def connection(self, channels: int) -> Any:
        """The block as it sees so many channels, all weights 0."""

    def windows(self) -> dict[str, Any]:
        """What all such connections have, each (height, width)."""
        synapse = self.block.synapse
        return {name: getattr(synapse, name)[:2] for name in ("stride", "padding", "dilation")}

    def output_shape(self, pieces):
        seen = [piece.shape for piece in pieces if piece.shape]
        channels = self.in_channels
        if not seen or (channels is None and len(seen) != len(pieces)):
            return ()
        if len(seen[0]) != 3:
            raise ValidationError(self.where, "input shape", self._frames, seen[0])
        channels = channels_of(pieces) if channels is None else channels
        frames = (channels, *seen[0][1:])
        connection = self.connection(channels)
        self.check_frames(connection, frames)
        out = connection.out_shape(frames)
        if min(out) < 1:
            raise ValidationError(self.where, "output shape", "at least (1, 1, 1)", out)
        return out

    def check_frames(self, connection: Any, shape: Shape) -> None:
        """Raise `UnsupportedError` where the block does something else than the connection."""

    def edges(self, target, pieces, shape):
        self.check_pieces(pieces, self._frames)
        channels = channels_of(pieces)
        whole = self.connection(channels)
        found = []
        for p in pieces:
            if p.shape[0] == channels:
                connection, pick = whole, _first
            else:
                connection, pick = self.part(whole, p, channels)
            connection = dataclasses.replace(
                connection, source=p.source, target=target, delay=p.delay
            )
            found.append(edge(connection, p.shape, shape, pick))
        return found

    def part(self, whole: Any, piece: Piece, channels: int) -> tuple[Any, Pick]:
        """The connection from a piece with fewer channels than the whole, and its weights."""
        # It reaches a part of the targets only, which no other kind can say.
        sparse, taps = splitting.part(whole, (channels, *piece.shape[1:]), piece.channels)
        return sparse, lambda weights: weights[0].flatten()[taps]


class ConvLayer(FramesLayer):
    """`Conv`: 2-D convolution."""

    kind = cuba.Conv
    synapse = synapses.layer.Conv

    def connection(self, channels):
        s = self.block.synapse
        shape = (s.out_channels, channels // s.groups, *s.kernel_size[:2])
        return Conv(INPUT, 0, np.zeros(shape, np.int16), **self.windows(), groups=s.groups)

    def part(self, whole, piece, channels):
        if self.block.synapse.groups > 1:
            return super().part(whole, piece, channels)
        return self.connection(piece.shape[0]), _columns(piece)


def _first(weights: Sequence[Tensor]) -> Tensor:
    return weights[0]


def _columns(piece: Piece) -> Pick:
    return lambda weights: weights[0][:, piece.channels]
