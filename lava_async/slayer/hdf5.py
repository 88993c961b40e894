"""Networks to SLAYER's HDF5 files."""

from __future__ import annotations

import os
from collections.abc import Sequence

import h5py
import torch

from lava_async._files import hdf5
from lava_async._files.atomic import atomic_path
from lava_async._semantics.graph import Graph
from lava_async._semantics.schedule import Schedule
from lava_async.slayer import plain
from lava_async.slayer.from_graph import describe
from lava_async.slayer.layers import Layer, SpikingLayer


def write(
    path: str | os.PathLike[str], graph: Graph, schedule: Schedule, chain: Sequence[Layer] | None
) -> None:
    """Blocks' own export, plus the schedule and the shape of the input; or `lava_async.save`.

    Parameters
    ----------
    path : path
    graph : Graph
    schedule : Schedule
        The graph's.
    chain : sequence of Layer, optional
        If the graph is a chain of SLAYER's blocks. Their numbers are the graph's.
    """
    if chain is None:
        hdf5.save(graph, path)
        return
    for layer in chain:
        plain.refuse_overrides(layer.where, "block", layer.block, layer.kind)
    # Not the blocks themselves: their export would disable weight normalization for good.
    fresh = iter(
        block
        for block in describe(graph, tau_grad=1, scale_grad=1).blocks
        if getattr(block, "neuron", None) is not None
    )
    shapes = iter(population.shape for population in graph.populations)
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file, torch.no_grad():
        groups = file.create_group("layer")
        for index, layer in enumerate(chain):
            block = layer.block
            if isinstance(layer, SpikingLayer):
                block = next(fresh)
                block.neuron.shape = torch.Size(next(shapes))
            block.export_hdf5(groups.create_group(str(index)))
        hdf5.write_schedule(file, schedule, graph.input_shape)
