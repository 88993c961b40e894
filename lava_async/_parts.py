"""How many samples are in memory at a time, where a split has any number of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lava_async._semantics.graph import Graph

HELD = 1 << 26
"""Bytes of frames, and of what a run records of them, that are held at a time."""


class Frames(Protocol):
    """Frames (M, *sample_shape): an array, or what stays elsewhere until it is indexed.

    Indexing the first axis by an integer, a slice or an array of integers gives NumPy arrays.
    """

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any, /) -> npt.NDArray[Any]: ...


def parts(x: Frames, graph: Graph | None = None) -> Iterator[slice]:
    """Samples one after the other, in parts that take `HELD` bytes at most; or one at a time.

    Parameters
    ----------
    x : (M, *input_shape, T) frames
    graph : Graph, optional
        The network that runs them: its record counts, too.
    """
    each = math.prod(x.shape[1:]) * x.dtype.itemsize
    if graph is not None:
        each += x.shape[-1] * _record_bytes(graph)
    size = max(1, HELD // max(1, each))
    for start in range(0, len(x), size):
        yield slice(start, min(start + size, len(x)))


def _record_bytes(graph: Graph) -> int:
    """Of a `Record`, in each time step of a sample."""
    outputs = math.prod(graph.out_shape)
    spikes, output_steps, counts = graph.num_neurons + outputs, 4 * outputs, 3 * 8
    readout = 0 if graph.output_can_fire else 4 * outputs
    return spikes + output_steps + counts + readout
