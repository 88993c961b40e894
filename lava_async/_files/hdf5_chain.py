"""Chains written as layers: the fields, types and layouts that SLAYER writes and netx reads."""

from __future__ import annotations

import math
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from lava_async._semantics.connections import (
    INPUT,
    Connection,
    Conv,
    Dense,
    OneToOne,
    Shape,
)
from lava_async._semantics.dynamics import DECAY_ONE
from lava_async._semantics.graph import Graph, Population


def holds(graph: Graph) -> bool:
    """Whether netx reads layers that run as this graph does, and refuses nothing."""
    count = len(graph.populations)
    return (
        [(c.source, c.target) for c in graph.connections] == [(i - 1, i) for i in range(count)]
        and graph.output == count - 1
        and len(graph.input_shape) in (1, 3)
        and not np.any(graph.connections[0].delay)
        and all(
            _holds(population, connection, graph.source_shape(connection), bool(np.any(delay)))
            for population, connection, delay in zip(
                graph.populations, graph.connections, _delays(graph), strict=True
            )
        )
    )


def _delays(graph: Graph) -> list[int | npt.NDArray[np.uint8]]:
    """How late the spikes of each population are, where they go."""
    return [*(c.delay for c in graph.connections[1:]), graph.output_delay]


def _holds(
    population: Population, connection: Connection, source_shape: Shape, delayed: bool
) -> bool:
    if np.ndim(population.i_decay) or np.ndim(population.v_decay):
        return False  # netx has one for all neurons, or for each channel
    bias = np.zeros(population.shape) if population.bias is None else population.bias
    if type(connection) is OneToOne:
        # SLAYER adds the bias to the current, netx to the voltage.
        return (
            connection.source == INPUT
            and population.shape == source_shape
            and not delayed
            and np.ptp(bias) == 0
            and (not np.any(bias) or population.i_decay == DECAY_ONE)
        )
    if type(connection) is Conv:
        # netx leaves the delays of a convolution out.
        return not delayed and bool(np.all(np.ptp(bias, axis=(-1, -2)) == 0))
    if type(connection) is Dense:
        # netx delays what comes in, in place of what goes out: the same but for a bias.
        return (
            len(population.shape) == 1
            and _fits_eight_bits(connection.weight)
            and not (delayed and np.any(bias))
        )
    return False


def _fits_eight_bits(weight: npt.NDArray[np.int16]) -> bool:
    """Whether netx keeps dense weights as they are.

    It doubles them until they fill eight bits. For zeros alone it fails at that; where none is
    positive and the lowest is -2^k, Lava clips the -256 that comes out, and cuts it to -128 or 0.
    """
    low, high = int(weight.min()), int(weight.max())
    return high > 0 or (low < 0 and -low & (-low - 1) != 0)


def write(layers: h5py.Group, graph: Graph) -> None:
    """Write a graph of which `holds` is true."""
    if type(graph.connections[0]) is not OneToOne:
        add(layers, "input", graph.input_shape)
    for population, connection, delay in zip(
        graph.populations, graph.connections, _delays(graph), strict=True
    ):
        source_shape = graph.source_shape(connection)
        if type(connection) is Dense and len(source_shape) > 1:
            add(layers, "flatten", (math.prod(source_shape), 1, 1))
        kind, numbers = _synapses(connection)
        layer = add(layers, kind, population.shape)
        if population.bias is not None:
            channels = 1 if kind == "input" else population.shape[0]
            numbers["bias"] = np.float32(population.bias.reshape(channels, -1)[:, 0])
        if np.any(delay):
            numbers["delay"] = np.float32(delay)
        for name, value in numbers.items():
            layer[name] = value
        # By itself: groups that HDF5 makes on the way to a name record when that was.
        fields = layer.create_group("neuron")
        for name, value in _neuron(population).items():
            fields[name] = value


def add(layers: h5py.Group, kind: str, shape: Shape) -> h5py.Group:
    """The group of one more layer."""
    layer = layers.create_group(str(len(layers)))
    layer.create_dataset("type", (1,), "S10", [kind.encode()])
    layer["shape"] = np.asarray(shape)
    return layer


def _synapses(connection: Any) -> tuple[str, dict[str, Any]]:
    weight = np.atleast_1d(connection.weight).astype(np.float32)
    if isinstance(connection, Conv):
        outputs, group, *kernel = weight.shape
        return "conv", {
            "inChannels": group * connection.groups, "outChannels": outputs,
            "kernelSize": kernel, "stride": connection.stride, "padding": connection.padding,
            "dilation": connection.dilation, "groups": connection.groups, "weight": weight,
        }
    if isinstance(connection, Dense):
        outputs, inputs = weight.shape
        return "dense", {"inFeatures": inputs, "outFeatures": outputs, "weight": weight}
    return "input", {"weight": weight}


def _neuron(population: Population) -> dict[str, Any]:
    return {
        "type": "CUBA",
        "iDecay": population.i_decay,
        "vDecay": population.v_decay,
        "vThMant": population.threshold,
        "refDelay": 1,
        "gradedSpike": False,
    }
