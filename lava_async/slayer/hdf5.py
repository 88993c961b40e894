"""Networks from and to HDF5 files."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence

import torch
from lava.lib.dl.slayer.block import cuba

from lava_async._files import save
from lava_async._files.hdf5 import load_recorded
from lava_async._files.hdf5_own import Surrogate, Tied
from lava_async._semantics.connections import MAX_DELAY
from lava_async._semantics.graph import Graph
from lava_async.errors import TrainingWarning
from lava_async.slayer import delays, plain
from lava_async.slayer.from_graph import PerPopulation, describe, tau_grad_of
from lava_async.slayer.layers import DenseLayer, FlattenLayer, Layer, SpikingLayer
from lava_async.slayer.readout import DecodingLayer, Readout


def read(
    path: str | os.PathLike[str],
    input_shape: Sequence[int] | None,
    **given: PerPopulation | None,
) -> tuple[Graph, dict[str, PerPopulation], Tied]:
    """The graph of a file, its neurons' ``tau_grad`` and ``scale_grad``, and what is tied.

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
            TrainingWarning, stacklevel=3,
        )
    numbers = {
        name: getattr(own.surrogate, name, 1) if value is None else value
        for name, value in given.items()
    }
    return graph, numbers, own.tied


def write(
    path: str | os.PathLike[str],
    graph: Graph,
    layers: Sequence[SpikingLayer],
    chain: Sequence[Layer] | None,
    tied: Tied,
) -> None:
    """SLAYER's own export of a chain, plus what this package records; or `lava_async.save`.

    Parameters
    ----------
    path : path
    graph : Graph
    layers : sequence of SpikingLayer
        Those of the graph's populations.
    chain : sequence of Layer, optional
        If the graph is a chain of SLAYER's blocks. Their numbers are the graph's. Where netx would
        leave delays out, it is not written as one; nor with norms, which are biases by now.
    tied : sequence of sequences of int
        Connections that share their weights; none in a chain.
    """
    shapes = [population.shape for population in graph.populations]
    steps = [layer.steps(shape) for layer, shape in zip(layers, shapes, strict=True)]
    # A readout has no spike function.
    numbers = [
        (1.0, 1.0) if isinstance(layer, Readout)
        else (tau_grad_of(layer.neuron), float(layer.neuron.scale_rho))
        for layer in layers
    ]
    surrogate = Surrogate([tau for tau, _ in numbers], [scale for _, scale in numbers])
    lost = any(
        own is not None and own.any() and not isinstance(layer, DenseLayer)
        for layer, own in zip(layers, steps, strict=True)
    )
    normed = any(layer.neuron.norm is not None for layer in layers)
    if chain is None or lost or normed:
        save.write(path, graph, surrogate, tied)
        return
    for layer in chain:
        plain.refuse_overrides(layer.where, "block", layer.block, layer.kind)
    # Not the blocks themselves: their export would disable weight normalization for good.
    described = describe(graph).blocks
    fresh = iter(i for i, block in enumerate(described) if getattr(block, "neuron", None))
    found = iter(zip(shapes, steps, strict=True))
    with save.writing(path, graph, surrogate) as file, torch.no_grad():
        groups = file.create_group("layer")
        flattened = False
        for layer in chain:
            block = layer.block
            if isinstance(layer, DecodingLayer):  # which SLAYER's export fails at
                save.write_decoding(groups, layer.decoding())
                continue
            if isinstance(layer, SpikingLayer):
                index = next(fresh)
                block, before = described[index], described[max(index - 1, 0)]
                shape, own = next(found)
                block.neuron.shape = torch.Size(shape)
                if own is not None:  # a zero one has a field, too
                    by_channel = own.reshape(shape[0], -1)[:, 0]
                    block.delay = delays.held(by_channel, MAX_DELAY, learns=False)
                if isinstance(before, cuba.Flatten) and not flattened:
                    before.shape = [block.synapse.in_channels, 1, 1]  # SLAYER flattens by itself
                    before.export_hdf5(groups.create_group(str(len(groups))))
            block.export_hdf5(groups.create_group(str(len(groups))))
            flattened = isinstance(layer, FlattenLayer)
