"""The layers of a network as SLAYER writes and netx reads them.

A group ``layer/<i>`` for each. Shapes are in (C, H, W) order, convolution weights in PyTorch's
cross-correlation order.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from lava_async._files.hdf5_fields import MAX_ELEMENTS, Fields, graph_errors
from lava_async._semantics.connections import INPUT, Connection, Conv, Dense, OneToOne, check_delay
from lava_async._semantics.decoding import Decoding
from lava_async._semantics.dynamics import DECAY_ONE
from lava_async._semantics.graph import Graph, Population
from lava_async._semantics.spatial import ConvTranspose, Pool, Unpool, crossing
from lava_async.errors import FileFormatError, UnsupportedError, ValidationError

Delay = int | npt.NDArray[np.uint8]

_NEURON_TYPES = ("CUBA", "LOIHI")
_ONLY_VALUE = {"refDelay": 1, "gradedSpike": 0, "wgtExp": 0, "weight_exp": 0, "messageBits": 0}
"""Neuron fields of which one value is run."""

_NETX_DEFAULT_NEURON = {"i_decay": 0, "v_decay": DECAY_ONE, "threshold": 1 << 17}
_NETX_DEFAULT_INPUT_WEIGHT = 64


@dataclass
class _Layer(Fields):
    """The fields of ``layer/<i>``."""

    index: int = 0
    type: str = ""

    @property
    def name(self) -> str:
        return f"layer {self.index} ({self.type})"

    def shape(self) -> tuple[int, ...]:
        """(C,) or (C, H, W)."""
        shape = self.integers("shape", 1, 1, 3)
        if math.prod(shape) > MAX_ELEMENTS:
            raise self.malformed("shape", f"at most {MAX_ELEMENTS} neurons", shape)
        return shape

    def weight(self) -> npt.NDArray:
        if "weight/imag" in self:
            raise self.unsupported("weight", "real numbers", "complex numbers")
        return self.numbers("weight")

    def kernel(self) -> npt.NDArray:
        """Weights of four dimensions; SLAYER's may have a time axis of length 1, too."""
        weight = self.weight()
        if weight.ndim == 5 and weight.shape[4] == 1:
            weight = weight[..., 0]
        if weight.ndim != 4:
            raise self.malformed("weight dimensions", 4, weight.ndim)
        return weight

    def windows(self) -> dict[str, Any]:
        """Stride, padding and dilation, each (height, width)."""
        fields = {"stride": 1, "padding": 0, "dilation": 1}
        found = {name: self.integers(name, least, 1, 2) for name, least in fields.items()}
        return {name: (values[0], values[-1]) for name, values in found.items()}

    def bias(self, shape: tuple[int, ...]) -> npt.NDArray | None:
        """One bias, or one per channel, for each neuron."""
        if "bias" not in self:
            return None
        bias = self.numbers("bias").reshape(-1)
        if bias.size not in (1, shape[0]):
            raise self.malformed("bias", f"1 or {shape[0]} values", f"{bias.size} values")
        return spread(bias, shape)

    def refuse_delay(self) -> None:
        """Neither SLAYER nor netx delays here."""
        if "delay" in self and self.numbers("delay").any():
            raise self.unsupported("delay", "0, or none", "delays other than 0")

    def delays(self, shape: tuple[int, ...], inputs: int = 0) -> tuple[Delay, Delay]:
        """Of what comes in and of the spikes that go out, as many as one or the other has.

        SLAYER delays each channel of a block's spikes. netx reads as many delays as there are
        inputs as theirs, if there are not as many outputs.
        """
        if "delay" not in self:
            return 0, 0
        delay = self.numbers("delay")
        count, size = delay.size, math.prod(shape)
        with graph_errors(self.where):
            delay = check_delay("", "delay", delay)
        if np.ndim(delay) and count in (shape[0], size):
            return 0, np.repeat(delay, size // count)
        if count == 1:
            return 0, int(np.ravel(delay)[0])
        if count == inputs:
            return delay, 0
        if count == size * inputs:
            raise self.unsupported("delay", "one for each neuron", "one for each synapse")
        raise self.malformed("delay", f"1 or {shape[0]} values", f"{count} values")

    def neuron(self, shape: tuple[int, ...]) -> dict[str, Any]:
        """The neuron parameters of `Population`; their ranges are checked there.

        SLAYER writes a decay for each channel where these do not share one.
        """
        fields = self.below("neuron")
        kind = fields.text("type")
        if kind not in _NEURON_TYPES:
            raise fields.unsupported("type", " or ".join(_NEURON_TYPES), kind)
        for name, only in _ONLY_VALUE.items():
            if name in fields and (got := fields.numbers(name).reshape(-1) != only).any():
                raise fields.unsupported(name, only, fields.numbers(name).reshape(-1)[got][0])
        threshold = fields.numbers("vThMant").reshape(-1)
        if threshold.size != 1:
            got = f"{threshold.size} values"
            raise fields.unsupported("vThMant", "one value per layer", got)
        parameters = {"threshold": threshold[0]}
        for key, name in {"i_decay": "iDecay", "v_decay": "vDecay"}.items():
            values = fields.numbers(name).reshape(-1)
            if values.size not in (1, shape[0], math.prod(shape)):
                wanted = f"1 or {shape[0]} values"
                raise fields.malformed(name, wanted, f"{values.size} values")
            parameters[key] = values[0] if values.size == 1 else spread(values, shape)
        return parameters


def spread(values: npt.NDArray, shape: tuple[int, ...]) -> npt.NDArray:
    """One number, one for each channel, or one for each neuron as one for each neuron."""
    if values.size == math.prod(shape):
        return values.reshape(shape)
    return np.broadcast_to(values.reshape(-1, *[1] * (len(shape) - 1)), shape)


# Layer types


@dataclass
class _Network:
    """What the layers read so far have built.

    ``shape`` is what the next layer sees: None while unknown, flat after a flatten layer;
    ``delay`` is how late it sees it.
    """

    shape: tuple[int, ...] | None
    input_shape: tuple[int, ...] | None
    populations: list[Population] = field(default_factory=list)
    connections: list[Connection] = field(default_factory=list)
    delay: Delay = 0
    decoding: Decoding | None = None

    @property
    def source(self) -> int:
        """Index of the population that feeds the next layer."""
        return len(self.populations) - 1 if self.populations else INPUT

    @property
    def target(self) -> int:
        """Index of the next population."""
        return len(self.populations)

    def add(self, population: Population, connection: Connection, delay: Delay = 0) -> None:
        self.populations.append(population)
        self.connections.append(connection)
        self.shape = population.shape
        self.delay = delay


def _read_input(layer: _Layer, network: _Network) -> None:
    """Only a shape, or neurons that see each input through one shared weight."""
    layer.refuse_delay()
    if layer.index != 0:
        raise layer.malformed("type", "an input layer as layer 0 only", f"layer {layer.index}")
    shape = layer.shape()
    if network.shape is not None and network.shape != shape:
        raise layer.malformed("shape", f"{network.shape}, the given input_shape", shape)
    network.shape = network.input_shape = shape
    if "neuron" not in layer:
        return
    neuron = layer.neuron(shape)
    bias = layer.bias(shape)
    # SLAYER adds this bias to the current, netx to the voltage: the same without memory only.
    if bias is not None and bias.any() and (got := np.min(neuron["i_decay"])) != DECAY_ONE:
        raise layer.unsupported("bias", f"0, or iDecay {DECAY_ONE}", f"iDecay {got}")
    weight = _NETX_DEFAULT_INPUT_WEIGHT
    with graph_errors(layer.where):
        if "weight" in layer:
            weight = layer.numbers("weight")
        one_to_one = OneToOne(network.source, network.target, weight)  # type: ignore[arg-type]
        network.add(Population(layer.name, shape, bias=bias, **neuron), one_to_one)


def _read_flatten(layer: _Layer, network: _Network) -> None:
    """A pure reshape, in C order."""
    layer.refuse_delay()
    if network.shape is None:
        return
    network.shape = (math.prod(network.shape),)
    if "shape" in layer and math.prod(shape := layer.shape()) != network.shape[0]:
        raise layer.malformed("shape", f"{network.shape[0]} values", shape)


def _read_dense(layer: _Layer, network: _Network) -> None:
    """All-to-all synapses, back to the layer itself, too; without neurons, netx's default."""
    shape = (math.prod(layer.shape()),)
    weight = layer.weight()
    if weight.ndim == 1 and weight.size % shape[0] == 0:
        weight = weight.reshape(*shape, -1)
    if weight.ndim != 2 or len(weight) != shape[0]:
        raise layer.malformed("weight shape", f"({shape[0]}, inputs)", weight.shape)
    layer.check_equal("outFeatures", weight.shape[0])
    layer.check_equal("inFeatures", weight.shape[1])
    if network.shape is None:
        network.shape = network.input_shape = (weight.shape[1],)
    before, after = layer.delays(shape, weight.shape[1])
    delay: Any = network.delay + before
    with graph_errors(layer.where):
        dense = Dense(network.source, network.target, weight, delay=delay)
        dense.check(layer.name, network.shape, shape)
        neuron = layer.neuron(shape) if "neuron" in layer else _NETX_DEFAULT_NEURON
        network.add(Population(layer.name, shape, bias=layer.bias(shape), **neuron), dense, after)
        if layer.type == "dense_rec":
            weight = layer.numbers("weight_rec")
            if weight.size != shape[0] ** 2:
                wanted = f"({shape[0]}, {shape[0]})"
                raise layer.malformed("weight_rec shape", wanted, weight.shape)
            own = network.source
            network.connections.append(Dense(own, own, weight.reshape(shape[0], shape[0])))


def _read_conv(layer: _Layer, network: _Network) -> None:
    kind = Conv if layer.type == "conv" else ConvTranspose
    (groups,) = layer.integers("groups", 1, 1)
    weight = layer.kernel()
    with graph_errors(layer.where):
        conv = kind(
            network.source, network.target, weight, **layer.windows(), groups=groups,
            delay=network.delay,
        )
    # The channels of the weight's second axis are those of one group.
    first, second = weight.shape[0], weight.shape[1] * groups
    outputs, inputs = (first, second) if kind is Conv else (second, first)
    layer.check_equal("outChannels", outputs)
    layer.check_equal("inChannels", inputs)
    _add_frames(layer, network, conv)


def _read_pool(layer: _Layer, network: _Network) -> None:
    """One kernel for all channels, each of which is pooled, or unpooled, by itself."""
    kind = Pool if layer.type == "pool" else Unpool
    weight = layer.kernel()
    if weight.shape[:2] != (1, 1):
        raise layer.malformed("weight shape", "(1, 1, kernel_h, kernel_w)", weight.shape)
    with graph_errors(layer.where):
        pool = kind(
            network.source, network.target, weight[0, 0], **layer.windows(), delay=network.delay
        )
    seen = network.shape
    if seen is not None and len(seen) == 3 and pool.crosses_channels(seen):
        raise layer.unsupported(*crossing(pool, seen))
    _add_frames(layer, network, pool)


def _add_frames(layer: _Layer, network: _Network, connection: Any) -> None:
    """Neurons that see frames through a kernel."""
    shape = layer.shape()
    if network.shape is None:
        raise layer.malformed(
            "input shape", "an input layer, or the argument input_shape=(C, H, W)", "neither"
        )
    with graph_errors(layer.where):
        layer.check_equal("kernelSize", *connection.weight.shape[-2:])
        connection.check(layer.name, network.shape, shape)
        population = Population(layer.name, shape, bias=layer.bias(shape), **layer.neuron(shape))
    network.add(population, connection, layer.delays(shape)[1])


def _read_average(layer: _Layer, network: _Network) -> None:
    """Means over so many groups of what the last layer with neurons sends."""
    layer.refuse_delay()
    with graph_errors(layer.where):
        decoding = Decoding(groups=math.prod(layer.shape()))
        decoding.check(math.prod(network.shape or ()))
    network.decoding, network.shape = decoding, (math.prod(layer.shape()),)


_READERS: dict[str, Callable[[_Layer, _Network], None]] = {
    "input": _read_input,
    "flatten": _read_flatten,
    "dense": _read_dense,
    "dense_rec": _read_dense,
    "conv": _read_conv,
    "convT": _read_conv,
    "pool": _read_pool,
    "unpool": _read_pool,
    "average": _read_average,
}


@dataclass(frozen=True)
class Found:
    """What there is to say of a layer, whether it runs or not."""

    name: str
    shape: tuple[int, ...] | None
    problem: ValidationError | None


def read(path: str, file: h5py.File, input_shape: tuple[int, ...] | None) -> Graph:
    """The graph of the layers; ``input_shape`` is what is known of it otherwise."""
    network = _Network(shape=input_shape, input_shape=input_shape)
    for index, group in enumerate(Fields(path, file).numbered("layer")):
        _read(_layer(path, index, group), network)
    if network.input_shape is None or not network.populations:
        raise FileFormatError(path, "layer", "a layer with neurons", "none")
    with graph_errors(path):
        return Graph(
            network.input_shape,
            tuple(network.populations),
            tuple(network.connections),
            output_delay=network.delay,
            decoding=network.decoding,
        )


def examine(
    path: str, file: h5py.File, input_shape: tuple[int, ...] | None
) -> list[Found]:
    """What keeps each layer from being run, where `read` raises for the first such one."""
    network = _Network(shape=input_shape, input_shape=input_shape)
    found = []
    for index, group in enumerate(Fields(path, file).numbered("layer")):
        name, shape, problem = f"layer {index}", None, None
        try:
            layer = _layer(path, index, group)
            name = layer.name
            if "shape" in layer:
                shape = layer.shape()
            if network.shape is None and any(other.problem for other in found):
                raise layer.malformed("input shape", "one that the layers before tell", "none")
            _read(layer, network)
            shape = network.shape
        except (FileFormatError, UnsupportedError) as error:
            problem = error
            network.shape, network.delay = shape, 0
        found.append(Found(name, shape, problem))
    return found


def _layer(path: str, index: int, group: h5py.Group) -> _Layer:
    where = f"{path}: layer {index}"
    kind = Fields(where, group).text("type")
    return _Layer(f"{where} ({kind})", group, index=index, type=kind)


def _read(layer: _Layer, network: _Network) -> None:
    if network.decoding is not None:
        raise layer.unsupported("type", "none after an average layer", layer.type)
    if layer.type not in _READERS:
        raise layer.unsupported("type", f"one of {', '.join(_READERS)}", layer.type)
    _READERS[layer.type](layer, network)
