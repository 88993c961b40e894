"""A digest of everything in a graph that runs, whatever file holds it.

Names do not run and are left out. What runs alike is alike: no bias and a bias of 0; one delay
for all neurons and the same delay for each; no decoding and one that changes nothing; a kind of
one's own and its synapses.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from lava_async._files import kinds
from lava_async._semantics.decoding import Decoding
from lava_async._semantics.graph import Graph


def digest(graph: Graph) -> str:
    """SHA-256, in hexadecimal digits.

    Of, for each part of `_parts`, its name and shape as text, a line break, and its numbers as
    little-endian int32; then of the schedule as JSON with sorted keys.

    Raises
    ------
    UnsupportedError
        The schedule is one of the user's own, which no file can hold.
    """
    sha = hashlib.sha256()
    for name, value in _parts(graph):
        sha.update(f"{name} {np.shape(value)}\n".encode())
        sha.update(np.ascontiguousarray(value, "<i4").data)
    schedule = None if graph.schedule is None else graph.schedule.to_dict()
    sha.update(json.dumps(schedule, sort_keys=True).encode())
    return sha.hexdigest()


def _parts(graph: Graph) -> Iterator[tuple[str, npt.ArrayLike]]:
    yield "input_shape", graph.input_shape
    yield "output", graph.output
    yield "output_delay", _delay(graph.output_delay)
    decoding = graph.decoding or Decoding()
    if decoding != Decoding():
        yield "decoding", (decoding.groups or 0, decoding.time_bin)
    for population in graph.populations:
        yield "population", population.shape
        decays = population.i_decay, population.v_decay
        # As of the first versions, whose files have one decay for all.
        yield "neuron", (*(_one(decay) for decay in decays), population.threshold)
        for name, decay in zip(("iDecay", "vDecay"), decays, strict=True):
            if np.ndim(decay):
                yield name, decay
        if population.bias is not None and population.bias.any():
            yield "bias", population.bias
    for connection in graph.connections:
        kind, numbers = kinds.describe(connection, graph.source_shape(connection))
        yield kind, (connection.source, connection.target)
        yield "delay", _delay(connection.delay)
        yield from numbers.items()


def _one(decay: npt.ArrayLike) -> int:
    """A decay that is one for all; -1 of others."""
    return -1 if np.ndim(decay) else int(decay)  # type: ignore[arg-type]


def _delay(delay: npt.ArrayLike) -> npt.ArrayLike:
    different = np.unique(delay)
    return different[0] if different.size == 1 else delay
