"""Networks from and to HDF5 files."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence

import torch

from lava_async._files import save
from lava_async._files.hdf5 import load_recorded
from lava_async._files.hdf5_own import Surrogate
from lava_async._semantics.graph import Graph
from lava_async.slayer import plain
from lava_async.slayer.from_graph import PerPopulation, describe, tau_grad_of
from lava_async.slayer.layers import Layer, SpikingLayer


def read(
    path: str | os.PathLike[str],
    input_shape: Sequence[int] | None,
    **given: PerPopulation | None,
) -> tuple[Graph, dict[str, PerPopulation]]:
    """The graph of a file, and its neurons' ``tau_grad`` and ``scale_grad``.

    Parameters
    ----------
    path : path
    input_shape : tuple of int, optional
    given : float or sequence of float, optional
        Either parameter, whatever the file records; 1, with a warning, where it records none.
    """
    graph, own = load_recorded(path, input_shape)
    missing = [name for name, value in given.items() if value is None]
    if missing and own.surrogate is None:
        warnings.warn(
            f"{os.fsdecode(path)}: records no parameters of surrogate derivatives: "
            f"{' and '.join(missing)} of the neurons will be 1. Pass those of the training.",
            stacklevel=3,
        )
    return graph, {
        name: getattr(own.surrogate, name, 1) if value is None else value
        for name, value in given.items()
    }


def write(
    path: str | os.PathLike[str],
    graph: Graph,
    layers: Sequence[SpikingLayer],
    chain: Sequence[Layer] | None,
) -> None:
    """SLAYER's own export of a chain, plus what this package records; or `lava_async.save`.

    Parameters
    ----------
    path : path
    graph : Graph
    layers : sequence of SpikingLayer
        Those of the graph's populations.
    chain : sequence of Layer, optional
        If the graph is a chain of SLAYER's blocks. Their numbers are the graph's.
    """
    neurons = [layer.block.neuron for layer in layers]
    surrogate = Surrogate(
        [tau_grad_of(neuron) for neuron in neurons],
        [float(neuron.scale_rho) for neuron in neurons],
    )
    if chain is None:
        save.write(path, graph, surrogate)
        return
    for layer in chain:
        plain.refuse_overrides(layer.where, "block", layer.block, layer.kind)
    # Not the blocks themselves: their export would disable weight normalization for good.
    fresh = iter(
        block
        for block in describe(graph).blocks
        if getattr(block, "neuron", None) is not None
    )
    shapes = iter(population.shape for population in graph.populations)
    with save.writing(path, graph, surrogate) as file, torch.no_grad():
        groups = file.create_group("layer")
        for index, layer in enumerate(chain):
            block = layer.block
            if isinstance(layer, SpikingLayer):
                block = next(fresh)
                block.neuron.shape = torch.Size(next(shapes))
            block.export_hdf5(groups.create_group(str(index)))
