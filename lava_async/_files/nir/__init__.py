"""Networks of NIR, the Neuromorphic Intermediate Representation (Pedersen et al., 2024).

How its floats become Loihi's integers, and what is not run, is in ``docs/nir.md``. What needs
the package ``nir``, the extra of that name, is imported where it is asked for.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, overload

from lava_async._files.hdf5_open import open_hdf5
from lava_async._files.nir.report import Rounding
from lava_async._files.paths import as_text
from lava_async._semantics.graph import Graph
from lava_async.errors import FileFormatError, GraphError, UnsupportedError, ValidationError

if TYPE_CHECKING:
    from nir import NIRGraph

DT = 1e-4
"""Time step in seconds where a file records none: what snnTorch, and NIR's paper, take."""


@overload
def from_nir(
    source: str | os.PathLike[str] | NIRGraph,
    *,
    dt: float | None = None,
    report: Literal[False] = False,
) -> Graph: ...
@overload
def from_nir(
    source: str | os.PathLike[str] | NIRGraph, *, dt: float | None = None, report: Literal[True]
) -> tuple[Graph, Rounding]: ...
def from_nir(
    source: str | os.PathLike[str] | NIRGraph, *, dt: float | None = None, report: bool = False
) -> Graph | tuple[Graph, Rounding]:
    """Read a network of NIR, whose floats become Loihi's integers.

    Parameters
    ----------
    source : path or nir.NIRGraph
    dt : float, optional
        Time step, in the unit of the time constants and delays. By default what `to_nir`
        recorded, else 1e-4.
    report : bool
        Return what rounding cost, too.

    Returns
    -------
    graph : Graph
        One population for each node with neurons. What `to_nir` wrote comes back as it was,
        schedule included.
    rounding : Rounding
        Only with ``report``: the time step, and the largest relative error of each parameter.

    Raises
    ------
    FileFormatError
        The file, or the graph, is damaged or contradicts itself, or no longer is what `to_nir`
        wrote.
    UnsupportedError
        It holds something that is not run here; or the package ``nir`` is not installed.
    ValidationError
        ``source`` is neither path nor graph, or ``dt`` no time, or one that does not fit the
        file's time constants and delays.
    """
    from lava_async._files.nir import opening, reading, restoring

    step = None if dt is None else _check_dt("from_nir", dt)
    name, graph = opening.opened(source)
    with _said_of(name):
        result = restoring.restore(graph, step)
        if result is None:
            with _beside(graph):
                result = reading.read(graph, DT if step is None else step)
    return result if report else result[0]


def to_nir(graph: Graph, path: str | os.PathLike[str], *, dt: float = DT) -> None:
    """Write a network as NIR, for other tools and chips, and for `from_nir`.

    The numbers are the graph's integers, so that nothing is rounded. Synapses one by one are
    written as a matrix. What NIR has no word for (schedule, names, kinds of connection) is in the
    metadata of the file, with a digest.

    Parameters
    ----------
    graph : Graph
    path : path
        Replaced, if it exists; on any error, Ctrl-C included, it stays as it was.
    dt : float
        Time step, by which decays become time constants, and delays times.

    Raises
    ------
    UnsupportedError
        The schedule is one of the user's own, or a matrix would be too large; or the package
        ``nir`` is not installed.
    ValidationError
        The folder does not exist or is not writable, ``path`` is no path, ``graph`` no `Graph`,
        or ``dt`` no time.
    OSError
        The disk is full, or the like.
    """
    from lava_async._files.nir import writing

    if not isinstance(graph, Graph):
        raise ValidationError("to_nir", "graph", "a Graph", type(graph).__name__)
    writing.write(graph, path, _check_dt("to_nir", dt))


def holds(path: str | os.PathLike[str]) -> bool:
    """Whether a file is NIR by its content. Not so where it cannot be read."""
    try:
        with open_hdf5(path, as_text(path)) as file:
            return "node" in file and "layer" not in file and "lava_async" not in file
    except Exception:  # of a damaged file, nearly anything
        return False


def _check_dt(where: str, dt: float) -> float:
    try:
        step = float(dt)
    except (TypeError, ValueError):
        raise ValidationError(where, "dt", "a time > 0", repr(dt)) from None
    if not 0 < step < float("inf"):
        raise ValidationError(where, "dt", "a time > 0", dt)
    return step


@contextlib.contextmanager
def _beside(graph: NIRGraph) -> Iterator[None]:
    """Say what time step the file is of, if with that one the complaint goes away."""
    from lava_async._files.nir import restoring

    try:
        yield
    except (UnsupportedError, GraphError) as error:
        recorded = restoring.recorded_step(graph)
        if recorded is None or _complaint(graph, recorded) == (error.where, error.what):
            raise
        wanted = f"{error.expected}; to_nir recorded dt={recorded:g}, taken if none is given"
        raise type(error)(error.where, error.what, wanted, error.got) from error


def _complaint(graph: NIRGraph, dt: float) -> tuple[object, object]:
    """Where, and what, is wrong with this time step; None where nothing is."""
    from lava_async._files.nir import reading

    try:
        reading.read(graph, dt)
    except (UnsupportedError, GraphError) as error:
        return error.where, error.what
    return None, None


@contextlib.contextmanager
def _said_of(name: str) -> Iterator[None]:
    """Say what is wrong with a graph of the file that holds it."""
    try:
        yield
    except UnsupportedError as error:
        raise error.at(f"{name}: {error.where}", UnsupportedError) from error
    except ValidationError as error:
        raise error.at(f"{name}: {error.where}", FileFormatError) from error
