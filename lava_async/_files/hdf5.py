"""Networks from HDF5 files.

A file has the layers of a chain as SLAYER writes and netx reads them (`hdf5_layers`), or any graph
in a layout of its own (`hdf5_graph`); what is neither layers nor neurons is in `hdf5_own`. What
the format allows and this package does not run raises `UnsupportedError`, everything else that is
wrong `FileFormatError`; the message starts with the path and names the place.
"""

from __future__ import annotations

import dataclasses
import os
import stat
from collections.abc import Sequence

import h5py
import numpy as np

from lava_async._files import foreign, hdf5_graph, hdf5_heap, hdf5_layers, hdf5_own
from lava_async._files.digest import digest
from lava_async._files.hdf5_fields import Fields, hdf5_errors
from lava_async._files.paths import as_text
from lava_async._semantics.graph import Graph
from lava_async.errors import FileFormatError, ValidationError


def load(path: str | os.PathLike[str], input_shape: Sequence[int] | None = None) -> Graph:
    """Read a network that `save`, `slayer.Network.export_hdf5` or SLAYER wrote.

    A delay of a layer delays the spikes of its neurons, as in SLAYER.

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
    with _open(path, name) as file:
        own = hdf5_own.read(name, file)
        if given is not None and own.input_shape is not None and given != own.input_shape:
            wanted = f"{own.input_shape}, as the file records"
            raise FileFormatError(name, "input_shape", wanted, given)
        graph = _graph(name, file, given or own.input_shape)
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
    return graph.replace(populations=populations, schedule=own.schedule), own


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


def _open(path: str | os.PathLike[str], name: str) -> h5py.File:
    """Open for reading, after the checks for which h5py has no clear answer."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        got = foreign.describe_missing(name) or getattr(error, "strerror", None) or error
        raise FileFormatError(name, "file", "an HDF5 file", got) from error
    if not stat.S_ISREG(mode):  # opening a pipe would wait for ever
        kind = "a directory" if stat.S_ISDIR(mode) else "a device or pipe"
        raise FileFormatError(name, "file", "an HDF5 file", kind)
    if not os.access(path, os.R_OK):
        raise FileFormatError(name, "file", "a readable file", "no permission to read")
    with hdf5_errors(name, "file", "an HDF5 file"):
        if not h5py.is_hdf5(path):
            raise FileFormatError(name, "file", "an HDF5 file", foreign.describe(path))
        file = h5py.File(path, "r")
        if not hdf5_heap.is_sound(path):
            file.close()
            raise FileFormatError(name, "file", "an undamaged HDF5 file", "a damaged global heap")
        return file
