"""Kinds of connection in files: those held as such, and every other one as its synapses."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from lava_async._semantics.connections import (
    Connection,
    Conv,
    Dense,
    OneToOne,
    Shape,
)
from lava_async._semantics.spatial import ConvTranspose, Pool, Unpool

KINDS: dict[str, type[Connection]] = {
    "dense": Dense,
    "conv": Conv,
    "one_to_one": OneToOne,
    "pool": Pool,
    "unpool": Unpool,
    "conv_transpose": ConvTranspose,
}
SPARSE, SYNAPSES = "sparse", ("target_neuron", "source_neuron", "weight")


def settings(kind: type[Connection]) -> list[str]:
    """What a kind has beyond source, target and delay."""
    shared = {field.name for field in dataclasses.fields(Connection)}
    return [field.name for field in dataclasses.fields(kind) if field.name not in shared]


def describe(connection: Connection, source_shape: Shape) -> tuple[str, dict[str, npt.NDArray]]:
    """Name of the kind and its numbers."""
    for name, kind in KINDS.items():
        if type(connection) is kind:
            return name, {s: np.asarray(getattr(connection, s)) for s in settings(kind)}
    synapses = connection.all_synapses(source_shape)
    target, source = (n.astype(np.int32) for n in (synapses.target, synapses.source))
    numbers = target, source, synapses.weight
    return SPARSE, dict(zip(SYNAPSES, numbers, strict=True))
