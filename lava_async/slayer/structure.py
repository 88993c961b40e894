"""What a network knows of its blocks, and learns anew when one is replaced."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch.nn import ModuleList

from lava_async._semantics.connections import Shape
from lava_async.errors import ValidationError
from lava_async.slayer.delays import Steps
from lava_async.slayer.layers import Layer, SpikingLayer
from lava_async.slayer.sources import check_output, check_sources
from lava_async.slayer.weights import unchanged
from lava_async.slayer.wiring import Wiring, layers_of, wire


class Structure:
    """Blocks, what each of them sees, and the graph that they make.

    Parameters
    ----------
    blocks : torch.nn.ModuleList
        May change.
    sources, output
        As of `Network`.

    Attributes
    ----------
    input_shape : tuple of int or None
    """

    def __init__(self, blocks: ModuleList, sources: Any, output: Any):
        self.blocks = blocks
        self.input_shape: Shape | None = None
        self._given = (sources, output)
        self._read()

    def _read(self) -> None:
        self._layers = layers_of(list(self.blocks))
        self._parts = self._parts_now()
        names = [layer.where for layer in self._layers]
        sources, output = self._given
        self._sources = check_sources(names, sources)
        self._output = check_output(names, output)
        self._wiring: Wiring | None = None  # without the delays of blocks
        self._late: Wiring | None = None  # with them
        self._names: Sequence[str] | None = None
        self._order: Sequence[int] | None = None
        with unchanged(self.blocks):
            for layer in self._layers:
                if isinstance(layer, SpikingLayer):
                    layer.weights()  # their faults show at once

    def _parts_now(self) -> list[Any]:
        """Modules that, if another takes their place, change what is known."""
        # From where PyTorch has them: its attributes take many times as long, in each pass.
        parts: list[Any] = []
        for block in self.blocks:
            inner: Any = block._modules
            parts += block, inner.get("neuron"), inner.get("synapse")
            parts += inner.get("input_synapse"), inner.get("recurrent_synapse")
            parts += inner.get("synapses") or ()  # of a Population
        return parts

    @property
    def layers(self) -> list[Layer]:
        now = self._parts_now()
        if len(now) != len(self._parts) or any(
            a is not b for a, b in zip(now, self._parts, strict=True)
        ):
            self._read()
        return self._layers

    def keep(self, names: Sequence[str], order: Sequence[int]) -> None:
        """Names of populations and order of connections, as another graph has them."""
        self._names, self._order = names, order
        self._wiring = self._late = None

    def names(self) -> Sequence[str]:
        """Of the populations."""
        if self._names is not None:
            return self._names
        return [layer.where for layer in self.layers if isinstance(layer, SpikingLayer)]

    def wire(self, shape: Shape) -> Wiring:
        """Populations and edges for inputs of that shape, which it stays with."""
        if self.input_shape is not None and shape != self.input_shape:
            raise ValidationError("Network", "input shape", self.input_shape, shape)
        layers = self.layers
        if self._wiring is None:
            if self._names is None and len(shape) not in (1, 3):
                raise ValidationError("Network", "input shape", "(C,) or (C, H, W)", shape)
            self._wiring = wire(layers, self._sources, self._output, shape, self._order)
            self.input_shape = shape
        for layer, population in zip(
            self._wiring.layers, self._wiring.pattern.populations, strict=True
        ):
            # They may have become another network's blocks, too.
            if layer.neuron.shape != layer.seen(population.shape):
                layer.settle(population.shape)
        return self._with_delays(self._wiring)

    def _with_delays(self, wiring: Wiring) -> Wiring:
        """The wiring with the blocks' delays, which may be others in each pass."""
        steps = [
            layer.steps(population.shape)
            for layer, population in zip(
                wiring.layers, wiring.pattern.populations, strict=True
            )
        ]
        if all(own is None for own in steps):
            return wiring
        if self._late is None or _numbers(steps) != _numbers(self._late.steps):
            self._late = wiring.late(steps, self._late)
        return self._late

    def wired(self, what: str) -> Wiring:
        """The same, once a shape is known."""
        if self.input_shape is None:
            raise ValidationError(
                "Network", f"input shape, before {what}",
                "a first forward pass, or Network(…, input_shape=(C, H, W))", None,
            )
        return self.wire(self.input_shape)

    def __getstate__(self) -> dict[str, Any]:
        # The wiring holds functions of the moment; it is made anew when needed.
        return {**vars(self), "_wiring": None, "_late": None}


def _numbers(steps: Sequence[Steps | None]) -> list[bytes | None]:
    return [None if own is None else own.tobytes() for own in steps]
