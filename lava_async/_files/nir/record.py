"""What `to_nir` adds to a file, in the metadata: all that NIR has no word for.

The graph has one text, `RECORD`: JSON with ``format_version``, ``dt``, ``digest``, ``schedule``,
``output``, ``output_delay`` and ``decoding`` (null: none); of each population ``name``, ``shape``,
``bias`` (whether it has one) and ``threshold`` (if it never fires, else null); of each connection
``kind``, ``source``, ``target`` and ``delay`` (null: 0, "one" for all sources, or "each"). A node
whose matrix stands for synapses one by one, or for a kernel, has these in its own metadata.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import numpy.typing as npt

from lava_async._files import kinds
from lava_async._files.digest import digest
from lava_async._semantics.connections import Connection, Shape
from lava_async._semantics.dynamics import THRESHOLD_MAX
from lava_async._semantics.graph import Graph

RECORD = "lava_async"
FORMAT_VERSION = 1


def record(graph: Graph, dt: float) -> str:
    """The text of a graph.

    Raises
    ------
    UnsupportedError
        The schedule is one of the user's own.
    """
    populations = [
        {
            "name": p.name,
            "shape": p.shape,
            "bias": p.bias is not None,
            "threshold": p.threshold if p.threshold > THRESHOLD_MAX else None,
        }
        for p in graph.populations
    ]
    connections = [
        {
            "kind": kinds.describe(c, graph.source_shape(c))[0],
            "source": c.source,
            "target": c.target,
            "delay": _kind_of_delay(c.delay),
        }
        for c in graph.connections
    ]
    return json.dumps(
        {
            "format_version": FORMAT_VERSION,
            "dt": dt,
            "digest": digest(graph),
            "schedule": None if graph.schedule is None else graph.schedule.to_dict(),
            "output": graph.output,
            "output_delay": _kind_of_delay(graph.output_delay),
            "decoding": None if graph.decoding is None else dataclasses.asdict(graph.decoding),
            "populations": populations,
            "connections": connections,
        }
    )


def beside_matrix(connection: Connection, source_shape: Shape) -> dict[str, Any]:
    """What a matrix does not tell: a kernel that synapses share, or which synapses there are."""
    kind, numbers = kinds.describe(connection, source_shape)
    return {
        name: value if value.ndim else value.item()  # nir compresses whatever is an array
        for name, value in numbers.items()
        if kind != kinds.SPARSE or name != "weight"
    }


def _kind_of_delay(delay: int | npt.NDArray[np.uint8]) -> str | None:
    if np.ndim(delay):
        return "each"
    return "one" if delay else None
