"""SLAYER blocks as layers of a network that runs asynchronously: checks, shapes, integers.

Whatever a block asks for and we do not run is refused here, by the block's place and name.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from lava.lib.dl.slayer.block import cuba
from torch import Tensor
from torch.nn.utils.weight_norm import WeightNorm

from lava_async._semantics import dynamics as dyn
from lava_async._semantics.connections import Connection, Conv, Dense, OneToOne
from lava_async._semantics.graph import Population
from lava_async.errors import UnsupportedError, ValidationError

Shape = tuple[int, ...]


class Layer:
    """A block at its place in the network. Base of the four kinds that are run.

    Attributes
    ----------
    where : str
        The block's place and name, for messages: ``blocks[2] (Dense)``.
    block : torch.nn.Module
    """

    spiking = True

    def __init__(self, where: str, block: Any):
        self.where = where
        self.block = block
        if getattr(block, "count_log", False):
            raise self.unsupported("count_log", "False", True)

    def unsupported(self, what: str, wanted: object, got: object) -> UnsupportedError:
        return UnsupportedError(self.where, what, wanted, got)

    def check_neuron(self) -> None:
        neuron, block = self.block.neuron, self.block
        off = [
            ("delay", block.delay, "no axonal delay"),
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
        if not 1 <= neuron.v_th_mant <= dyn.THRESHOLD_MAX:
            raise self.unsupported(
                "threshold", f"a mantissa in 1..{dyn.THRESHOLD_MAX}", neuron.v_th_mant
            )

    def integers(self, parameter: Tensor, hook: Callable[..., Tensor] | None) -> Tensor:
        """A parameter as the whole numbers that are exported, straight through."""
        if hook is None:
            raise self.unsupported("pre_hook_fx", "a quantizer such as quantize_8bit", None)
        try:
            value = hook(parameter, descale=True)
        except TypeError as error:
            raise self.unsupported(
                "pre_hook_fx", "a function (weight, descale=False), as quantize_8bit", error
            ) from error
        if not bool(torch.isfinite(value).all()):
            raise ValidationError(
                self.where, "weight", "finite numbers", "nan or inf: training diverged?"
            )
        # The hook divides and multiplies by the scale, which may leave the last bits off.
        whole = value + (value.detach().round() - value.detach())
        low, high = torch.aminmax(whole.detach())
        off = (whole - value).detach().abs().max()
        if not (off < 1e-3 and low >= dyn.WEIGHT_MIN and high <= dyn.WEIGHT_MAX):
            got = f"{float(value.detach().min())}..{float(value.detach().max())}"
            raise self.unsupported(
                "pre_hook_fx", f"integers in {dyn.WEIGHT_MIN}..{dyn.WEIGHT_MAX}", got
            )
        return whole

    def resolve(self, shape: Shape) -> Shape:
        """The shape of the layer's output; tells the block, as its first forward would."""
        raise NotImplementedError

    def settle(self, shape: Shape) -> Shape:
        """Tell the block's neuron its shape."""
        neuron = self.block.neuron
        neuron.shape = torch.Size(shape)
        neuron.num_neurons = math.prod(shape)
        return shape

    def weight(self) -> Tensor:
        """Integer weights, differentiable."""
        raise NotImplementedError

    def bias(self) -> Tensor | None:
        """Integer bias (1,), differentiable."""
        return None

    def deliver(self, weight: Tensor, spikes: Tensor) -> Tensor:
        """Weighted sums (B, size) of spikes (B, source size)."""
        raise NotImplementedError

    def layered(self, x: Tensor) -> Tensor:
        """SLAYER's own forward, without the per-layer shift: (N, ..., T) -> (N, ..., T)."""
        return self.block.neuron(self.block.synapse(x))

    def fan_in_l1(self, weight: Tensor) -> float:
        """Largest sum of absolute weights of one target."""
        return float(weight.detach().abs().flatten(1).sum(1).max())

    def connection(self, source: int, target: int) -> Connection:
        raise NotImplementedError

    def population(self) -> Population:
        neuron, bias = self.block.neuron, self.bias()
        shape = tuple(neuron.shape)
        return Population(
            self.where,
            shape,
            int(neuron.cx_current_decay),
            int(neuron.cx_voltage_decay),
            neuron.v_th_mant,
            None if bias is None else np.full(shape, int(bias), np.int64),
        )

    @contextlib.contextmanager
    def exportable(self) -> Iterator[None]:
        """While this is open, the block's export leaves the block as it is."""
        yield


class InputLayer(Layer):
    """`Input`: a shape, or neurons that see each input through one shared weight."""

    def __init__(self, where: str, block: Any):
        super().__init__(where, block)
        self.spiking = block.neuron is not None
        if not self.spiking:
            return
        self.check_neuron()
        if block.bias is not None and int(block.neuron.cx_current_decay) != dyn.DECAY_ONE:
            # SLAYER adds it to the current, the chip to the voltage.
            raise self.unsupported(
                "bias", "none, or neurons with current_decay 1",
                f"current_decay {int(block.neuron.cx_current_decay) / dyn.DECAY_ONE}",
            )

    def resolve(self, shape: Shape) -> Shape:
        self.block.input_shape = torch.Size(shape)
        return self.settle(shape) if self.spiking else shape

    def weight(self) -> Tensor:
        block = self.block
        if block.weight is None:
            return torch.tensor([float(block.neuron.w_scale)])
        return self.integers(block.weight, block.pre_hook_fx)

    def bias(self) -> Tensor | None:
        if self.block.bias is None:
            return None
        return self.integers(self.block.bias, self.block.pre_hook_fx)

    def deliver(self, weight: Tensor, spikes: Tensor) -> Tensor:
        return spikes * weight

    def fan_in_l1(self, weight: Tensor) -> float:
        return float(weight.detach().abs())

    def layered(self, x: Tensor) -> Tensor:
        if not self.spiking:
            return x
        # Not SLAYER's forward, which also clips the input at 254 / scale.
        neuron, bias = self.block.neuron, self.bias()
        current = x * self.weight() if bias is None else x * self.weight() + bias
        return neuron(current / neuron.w_scale)

    def connection(self, source: int, target: int) -> Connection:
        return OneToOne(source, target, int(self.weight()))


class FlattenLayer(Layer):
    """`Flatten`: a pure reshape, in C order."""

    spiking = False

    def resolve(self, shape: Shape) -> Shape:
        if len(shape) != 3:
            raise ValidationError(self.where, "input shape", "(C, H, W)", shape)
        size = math.prod(shape)
        self.block.shape = [size, 1, 1]
        return (size,)

    def layered(self, x: Tensor) -> Tensor:
        return x.flatten(1, -2)


class SynapseLayer(Layer):
    """Base of the layers with a synapse."""

    def __init__(self, where: str, block: Any):
        super().__init__(where, block)
        self.check_neuron()
        self.weight()

    def synapse_weight(self) -> Tensor:
        """The real-valued weight (out, in, kernel_h, kernel_w, 1), differentiable."""
        synapse = self.block.synapse
        for hook in synapse._forward_pre_hooks.values():
            if isinstance(hook, WeightNorm):
                return hook.compute_weight(synapse)
        return synapse.weight

    def weight(self) -> Tensor:
        return self.integers(self.synapse_weight(), self.block.synapse.pre_hook_fx).squeeze(-1)

    @contextlib.contextmanager
    def exportable(self) -> Iterator[None]:
        """SLAYER's export would disable weight normalization for good."""
        synapse = self.block.synapse
        if not synapse.weight_norm_enabled:
            yield
            return
        before = synapse.weight
        try:
            synapse.weight = self.synapse_weight().detach()
            synapse.weight_norm_enabled = False
            yield
        finally:
            synapse.weight = before
            synapse.weight_norm_enabled = True


class DenseLayer(SynapseLayer):
    """`Dense`: all-to-all synapses."""

    def __init__(self, where: str, block: Any):
        super().__init__(where, block)
        synapse = block.synapse
        if tuple(synapse.kernel_size) != (1, 1, 1):
            raise self.unsupported(
                "in_neurons", "an integer (with a Flatten block before)",
                (*synapse.kernel_size[1::-1], synapse.in_channels),
            )
        if block.mask is not None and synapse.weight_norm_enabled:
            # SLAYER masks the weight and then computes it anew from its norm.
            raise self.unsupported("mask", "none with weight_norm", tuple(block.mask.shape[:2]))

    def resolve(self, shape: Shape) -> Shape:
        wanted = self.block.synapse.in_channels
        if shape != (wanted,):
            raise ValidationError(self.where, "input shape", (wanted,), shape)
        return self.settle((self.block.synapse.out_channels,))

    def synapse_weight(self) -> Tensor:
        if self.block.mask is not None:
            self.block.synapse.weight.data *= self.block.mask
        return super().synapse_weight()

    def weight(self) -> Tensor:
        return super().weight().flatten(1)

    def deliver(self, weight: Tensor, spikes: Tensor) -> Tensor:
        return spikes @ weight.t()

    def layered(self, x: Tensor) -> Tensor:
        if self.block.mask is not None:
            self.block.synapse.weight.data *= self.block.mask
        return super().layered(x)

    def connection(self, source: int, target: int) -> Connection:
        return Dense(source, target, self.weight().detach().cpu().numpy())


class ConvLayer(SynapseLayer):
    """`Conv`: 2-D convolution."""

    @property
    def geometry(self) -> dict[str, Any]:
        synapse = self.block.synapse
        return {
            "stride": synapse.stride[:2],
            "padding": synapse.padding[:2],
            "dilation": synapse.dilation[:2],
            "groups": synapse.groups,
        }

    def resolve(self, shape: Shape) -> Shape:
        channels = self.block.synapse.in_channels
        if len(shape) != 3 or shape[0] != channels:
            raise ValidationError(self.where, "input shape", (channels, "H", "W"), shape)
        self.in_shape = shape
        out = self.connection(0, 0).out_shape(shape)
        if min(out) < 1:
            raise ValidationError(self.where, "output shape", "at least (1, 1, 1)", out)
        return self.settle(out)

    def deliver(self, weight: Tensor, spikes: Tensor) -> Tensor:
        frames = spikes.reshape(len(spikes), *self.in_shape)
        return F.conv2d(frames, weight, **self.geometry).flatten(1)

    def connection(self, source: int, target: int) -> Conv:
        return Conv(source, target, self.weight().detach().cpu().numpy(), **self.geometry)


_KINDS: dict[type, type[Layer]] = {
    cuba.Input: InputLayer,
    cuba.Flatten: FlattenLayer,
    cuba.Dense: DenseLayer,
    cuba.Conv: ConvLayer,
}


def layers_of(blocks: Sequence[torch.nn.Module]) -> list[Layer]:
    """The blocks as layers.

    Raises
    ------
    UnsupportedError
        A block asks for something that is not run.
    """
    layers: list[Layer] = []
    for index, block in enumerate(blocks):
        where = f"blocks[{index}] ({type(block).__name__})"
        kind = next((k for b, k in _KINDS.items() if isinstance(block, b)), None)
        if kind is None:
            names = ", ".join(b.__name__ for b in _KINDS)
            got = f"{type(block).__module__}.{type(block).__qualname__}"
            raise UnsupportedError(where, "block type", f"slayer.block.cuba: {names}", got)
        if kind is InputLayer and index:
            raise UnsupportedError(where, "place", "blocks[0]", f"blocks[{index}]")
        layers.append(kind(where, block))
    if not any(layer.spiking for layer in layers):
        raise ValidationError(
            "Network", "blocks", "at least one with neurons", f"{len(layers)} without"
        )
    return layers
