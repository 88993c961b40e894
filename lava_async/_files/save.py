"""Networks to HDF5 files that `load` reads."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import h5py

from lava_async._files import hdf5, hdf5_chain, hdf5_graph, hdf5_own
from lava_async._files.atomic import atomic_path
from lava_async._files.digest import digest
from lava_async._files.hdf5_own import Surrogate, Tied
from lava_async._files.paths import as_text
from lava_async._semantics.decoding import Decoding
from lava_async._semantics.graph import Graph
from lava_async.errors import FileFormatError, UnsupportedError, ValidationError

_LIBVER = ("v108", "v108")
"""HDF5 1.8 of 2008 and later: from there on its metadata have checksums."""


def save(graph: Graph, path: str | os.PathLike[str]) -> None:
    """Write a network.

    A chain of layers that netx can hold is written as SLAYER does, so that stock netx runs the
    same network. Every other graph is written in a layout of its own, which netx refuses; there
    a kind of connection of the user's own is written as its synapses, and comes back as `Sparse`.

    Parameters
    ----------
    graph : Graph
        With its schedule, if it has one.
    path : path
        Replaced, if it exists; on any error, Ctrl-C included, it stays as it was.

    Raises
    ------
    UnsupportedError
        The schedule is one of the user's own, or a field is too large for `load`.
    ValidationError
        The folder does not exist or is not writable, or ``path`` is no path, or ``graph`` no
        `Graph`.
    OSError
        The disk is full, or the like.
    """
    if not isinstance(graph, Graph):
        raise ValidationError("save", "graph", "a Graph", type(graph).__name__)
    write(path, graph)


def write(
    path: str | os.PathLike[str],
    graph: Graph,
    surrogate: Surrogate | None = None,
    tied: Tied = (),
) -> None:
    """As `save`, of a graph that was trained."""
    with writing(path, graph, surrogate, tied) as file:
        if hdf5_chain.holds(graph):
            layers = file.create_group("layer")
            hdf5_chain.write(layers, graph)
            write_decoding(layers, graph.decoding)


def write_decoding(layers: h5py.Group, decoding: Decoding | None) -> None:
    """Add the layer that says a decoding, if there is one: netx knows means over groups."""
    if decoding is not None and decoding.groups is not None:
        hdf5_chain.add(layers, "average", (decoding.groups, 1, 1))


@contextlib.contextmanager
def writing(
    path: str | os.PathLike[str],
    graph: Graph,
    surrogate: Surrogate | None = None,
    tied: Tied = (),
) -> Iterator[h5py.File]:
    """A file for the layers of ``graph``; what `hdf5_own` has is added at the end.

    Where no layers were written, the whole graph is. The file appears at once, and only if it
    holds this very graph, schedule included: it is read again before.

    Raises
    ------
    UnsupportedError
        What was written is another network than ``graph``, or none that `load` reads.
    """
    name = as_text(path)
    with atomic_path(path) as temporary:
        # In memory: after a failed write to a disk, HDF5 can neither go on nor close its file.
        with h5py.File(
            temporary, "w", driver="core", backing_store=False, libver=_LIBVER
        ) as file:
            yield file
            group = hdf5_own.write(file, graph, surrogate, tied)
            if "layer" not in file:
                hdf5_graph.write(group, graph)
            file.flush()
            image = file.id.get_file_image()
        temporary.write_bytes(image)
        try:
            written, own = hdf5.read(temporary, name)
        except FileFormatError as error:
            raise error.at(error.where, UnsupportedError) from error
        if digest(written) != own.digest:
            what = "network in the file"
            raise UnsupportedError(name, what, "the one that was given", "another one")
