"""Networks to and from SLAYER's HDF5 files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import torch
from lava.lib.dl.slayer.block import cuba

from lava_async._files import hdf5
from lava_async._files.atomic import atomic_path
from lava_async._semantics import dynamics as dyn
from lava_async._semantics.connections import Connection, Conv, Dense, OneToOne
from lava_async._semantics.graph import Graph, Population
from lava_async._semantics.schedule import Momentum, Schedule
from lava_async.errors import UnsupportedError
from lava_async.slayer.layers import Layer

_SCALE = 1 << dyn.STATE_SHIFT  # SLAYER's default: a threshold of 1 is a mantissa of 64


def write(
    path: str | os.PathLike[str],
    layers: Sequence[Layer],
    schedule: Schedule,
    input_shape: tuple[int, ...],
) -> None:
    """The blocks' own export, plus the schedule and the shape of the input."""
    with atomic_path(path) as temporary:
        # In memory: after a failed write to a disk, HDF5 can neither go on nor close its file.
        memory = {"driver": "core", "backing_store": False}
        with h5py.File(temporary, "w", **memory) as file, torch.no_grad():
            groups = file.create_group("layer")
            for index, layer in enumerate(layers):
                with layer.exportable():
                    layer.block.export_hdf5(groups.create_group(str(index)))
            hdf5.write_schedule(file, schedule, input_shape)
            file.flush()
            image = file.id.get_file_image()
        temporary.write_bytes(image)


def read(
    path: str | os.PathLike[str],
    input_shape: Sequence[int] | None,
    tau_grad: float,
    scale_grad: float,
) -> tuple[list[torch.nn.Module], Schedule, tuple[int, ...]]:
    """Blocks with the weights of a file, its schedule, and the shape of its input."""
    graph = hdf5.load(path, input_shape)  # everything is checked here
    with h5py.File(path, "r") as file:
        groups: Any = file["layer"]
        layers = [groups[str(index)] for index in range(len(groups))]
        kinds = [(_kind(layer["type"][()]), "neuron" in layer) for layer in layers]
    pairs = iter(zip(graph.populations, graph.connections, strict=True))
    gradient = {"tau_grad": tau_grad, "scale_grad": scale_grad}
    blocks: list[torch.nn.Module] = []
    for kind, spiking in kinds:
        if kind == "flatten":
            blocks.append(cuba.Flatten())
        elif kind == "input" and not spiking:
            blocks.append(cuba.Input(delay_shift=False))
        else:
            blocks.append(_block(graph, *next(pairs), gradient))
    return blocks, graph.schedule or Momentum(), graph.input_shape


def _kind(value: Any) -> str:
    text = np.asarray(value).reshape(-1)[0]
    return text.decode() if isinstance(text, bytes) else str(text)


def _block(
    graph: Graph, population: Population, connection: Connection, gradient: dict[str, float]
) -> torch.nn.Module:
    neuron = {
        "threshold": population.threshold / _SCALE,
        "current_decay": population.i_decay / dyn.DECAY_ONE,
        "voltage_decay": population.v_decay / dyn.DECAY_ONE,
        "scale": _SCALE,
        **gradient,
    }
    if isinstance(connection, OneToOne):
        bias = None if population.bias is None else _shared(population.name, population.bias)
        return cuba.Input(
            neuron,
            weight=_even(population.name, "weight", np.array(connection.weight)).item() / _SCALE,
            bias=None if bias is None else bias / _SCALE,
            delay_shift=False,
        )
    if population.bias is not None:
        raise UnsupportedError(population.name, "bias", "none, to be trained", "some")
    if isinstance(connection, Dense):
        outputs, inputs = connection.weight.shape
        block = cuba.Dense(neuron, inputs, outputs, delay_shift=False)
    elif isinstance(connection, Conv):
        outputs, group, *kernel = connection.weight.shape
        block = cuba.Conv(
            neuron, group * connection.groups, outputs, tuple(kernel),
            stride=connection.stride, padding=connection.padding, dilation=connection.dilation,
            groups=connection.groups, delay_shift=False,
        )
    else:
        raise TypeError(type(connection))
    weight = _even(population.name, "weight", connection.weight).astype(np.float32) / _SCALE
    with torch.no_grad():
        block.synapse.weight.copy_(torch.from_numpy(weight).view_as(block.synapse.weight))
    return block


def _even(where: str, what: str, integers: npt.NDArray) -> npt.NDArray:
    """SLAYER's quantizer gives even integers only."""
    if (integers % 2).any():
        raise UnsupportedError(where, what, "even integers, to be trained", "odd ones")
    return integers


def _shared(where: str, bias: npt.NDArray[np.int64]) -> int:
    """The one bias that all neurons of an input layer share."""
    if (bias != bias.flat[0]).any():
        raise UnsupportedError(where, "bias", "one for all neurons", "different ones")
    return int(_even(where, "bias", bias).flat[0])
