"""Networks from HDF5 files.

A file has the layers of a chain as SLAYER writes and netx reads them (`hdf5_layers`), or any graph
in a layout of its own (`hdf5_graph`); what is neither layers nor neurons is in `hdf5_own`. What
the format allows and this package does not run raises `UnsupportedError`, everything else that is
wrong `FileFormatError`; the message starts with the path and names the place.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence

import h5py
import numpy as np

from lava_async._files import foreign, hdf5_graph, hdf5_layers, hdf5_own, kinds, nir
from lava_async._files.digest import digest
from lava_async._files.hdf5_fields import Fields, graph_errors, hdf5_errors
from lava_async._files.hdf5_open import open_hdf5
from lava_async._files.paths import as_text
from lava_async._semantics.graph import Graph
from lava_async.errors import FileFormatError, ValidationError


def load(path: str | os.PathLike[str], input_shape: Sequence[int] | None = None) -> Graph:
    """Read a network that `save`, `slayer.Network.export_hdf5` or SLAYER wrote, or one in NIR.

    A delay of a layer delays the spikes of its neurons, as in SLAYER. A file of NIR is read as
    `from_nir` does, with its time step.

    Parameters
    ----------
    path : path
        HDF5 file.
    input_shape : tuple of int, optional
        Shape of one input frame, (C,) or (C, H, W). Needed where the file does not say:
        when its first layer is a convolution and it was not written by this package.
        Otherwise it must agree with the file.

    Returns
    -------
    Graph
        One population per layer with neurons; `Graph.schedule` is the schedule that the file
        records, or None.

    Raises
    ------
    FileFormatError
        The file is missing, unreadable, truncated or foreign, lacks a field, contradicts
        itself, holds values outside Loihi's ranges, or another network than was written:
        where this package wrote it, it holds a digest of all that runs. If the change was
        meant, delete that attribute: ``del file["lava_async"].attrs["digest"]`` with h5py.
    UnsupportedError
        The file holds something valid that is not run here, such as graded spikes.
    ValidationError
        ``path`` is no path, or ``input_shape`` no shape.
    """
    return load_recorded(path, input_shape)[0]


def load_recorded(
    path: str | os.PathLike[str], input_shape: Sequence[int] | None = None
) -> tuple[Graph, hdf5_own.Own]:
    """As `load`, with what else the file records."""
    name = as_text(path)
    given = None if input_shape is None else _check_input_shape(input_shape)
    if nir.holds(path):
        graph, rounding = nir.from_nir(path, report=True)
        if given is not None and given != graph.input_shape:
            raise FileFormatError(name, "input_shape", graph.input_shape, given)
        return graph, hdf5_own.Own(graph.schedule, graph.input_shape, rounding=rounding)
    graph, own = read(path, name, given)
    if own.digest is not None and own.digest != digest(graph):
        raise FileFormatError(
            name, f"{hdf5_own.GROUP}: digest",
            "the network that was written (was it changed on purpose? then delete this attribute)",
            "another network",
        )
    return graph, own


def read(
    path: str | os.PathLike[str], name: str, given: tuple[int, ...] | None = None
) -> tuple[Graph, hdf5_own.Own]:
    """The network in a file, which messages call ``name``, and what else it records."""
    with open_hdf5(path, name) as file:
        own = hdf5_own.read(name, file)
        if given is not None and own.input_shape is not None and given != own.input_shape:
            wanted = f"{own.input_shape}, as the file records"
            raise FileFormatError(name, "input_shape", wanted, given)
        graph = _graph(name, file, given or own.input_shape)
    _check_tied(f"{name}: {hdf5_own.GROUP}", graph, own.tied)
    names = [p.name for p in graph.populations] if own.names is None else own.names
    lists: dict[str, Sequence[object]] = {"names": names}
    if own.surrogate is not None:
        lists |= vars(own.surrogate)
    for what, recorded in lists.items():
        if len(recorded) != len(graph.populations):
            wanted = f"{len(graph.populations)}, one for each population"
            raise FileFormatError(f"{name}: {hdf5_own.GROUP}", what, wanted, len(recorded))
    populations = tuple(
        dataclasses.replace(population, name=text)
        for population, text in zip(graph.populations, names, strict=True)
    )
    if own.decoding is not None:
        groups = own.decoding.groups
        if graph.decoding is not None and graph.decoding.groups != groups:
            where, got = f"{name}: {hdf5_own.GROUP}", graph.decoding.groups
            raise FileFormatError(where, "decoding", f"groups {got}, as the layers have", groups)
        with graph_errors(f"{name}: {hdf5_own.GROUP}"):
            graph = graph.replace(decoding=own.decoding)
    return graph.replace(populations=populations, schedule=own.schedule), own


def examine(
    path: str | os.PathLike[str], input_shape: Sequence[int] | None = None
) -> list[hdf5_layers.Found]:
    """The layers of a file that `load` refuses, and what is wrong with each.

    None where the file has no layers, or is in a layout of our own.

    Raises
    ------
    FileFormatError
        There is nothing to be read in the file.
    """
    name = as_text(path)
    given = None if input_shape is None else _check_input_shape(input_shape)
    with open_hdf5(path, name) as file:
        if "layer" not in Fields(name, file):
            return []
        return hdf5_layers.examine(name, file, given or hdf5_own.read(name, file).input_shape)


def _check_tied(where: str, graph: Graph, tied: hdf5_own.Tied) -> None:
    """Raise `FileFormatError` unless connections that share their weights have the same ones."""
    seen = [k for numbers in tied for k in numbers]
    last = len(graph.connections) - 1
    if len(set(seen)) != len(seen) or not all(0 <= k <= last for k in seen):
        raise FileFormatError(where, "tied", f"different connections in 0..{last}", seen)
    for numbers in tied:
        connections = [graph.connections[k] for k in numbers]
        shapes = [graph.source_shape(c) for c in connections]
        described = [kinds.describe(*pair) for pair in zip(connections, shapes, strict=True)]
        (kind, weights), *others = described
        if (
            len({c.target for c in connections}) > 1
            or len(set(shapes)) > 1
            or any(
                other != kind or not all(np.array_equal(own[name], weights[name]) for name in own)
                for other, own in others
            )
        ):
            wanted = "connections to one target with the same weights"
            raise FileFormatError(where, "tied", wanted, numbers)


def _graph(name: str, file: h5py.File, input_shape: tuple[int, ...] | None) -> Graph:
    root = Fields(name, file)
    if f"{hdf5_own.GROUP}/{hdf5_graph.POPULATION}" in root:
        return hdf5_graph.read(root.below(hdf5_own.GROUP), input_shape)
    if "layer" not in root:
        with hdf5_errors(name, "file", "a network"):
            what = foreign.describe_hdf5(file)
        if what is not None:
            raise FileFormatError(name, "file", "a network", what)
    return hdf5_layers.read(name, file, input_shape)


def _check_input_shape(shape: Sequence[int]) -> tuple[int, ...]:
    sizes = np.asarray(shape).reshape(-1)
    if sizes.dtype.kind not in "iu" or sizes.size not in (1, 3) or sizes.min() < 1:
        raise ValidationError("load", "input_shape", "(C,) or (C, H, W), integers >= 1", shape)
    return tuple(sizes.tolist())
