"""Networks to SLAYER's HDF5 files."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch

from lava_async._files.save import save, writing
from lava_async._semantics.graph import Graph
from lava_async.slayer import plain
from lava_async.slayer.from_graph import describe
from lava_async.slayer.layers import Layer, SpikingLayer


def write(
    path: str | os.PathLike[str], graph: Graph, chain: Sequence[Layer] | None
) -> None:
    """SLAYER's own export of a chain, plus what this package records; or `lava_async.save`.

    Parameters
    ----------
    path : path
    graph : Graph
    chain : sequence of Layer, optional
        If the graph is a chain of SLAYER's blocks. Their numbers are the graph's.
    """
    if chain is None:
        save(graph, path)
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
    with writing(path, graph) as file, torch.no_grad():
        groups = file.create_group("layer")
        for index, layer in enumerate(chain):
            block = layer.block
            if isinstance(layer, SpikingLayer):
                block = next(fresh)
                block.neuron.shape = torch.Size(next(shapes))
            block.export_hdf5(groups.create_group(str(index)))
