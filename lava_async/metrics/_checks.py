"""What the measures ask of records, graphs and labels."""

from __future__ import annotations

import math
from typing import TypeGuard

import numpy as np
import numpy.typing as npt

from lava_async._semantics.graph import Graph
from lava_async._semantics.record import Record, SparseRecord
from lava_async.errors import ValidationError


def check_record(record: Record, where: str = "record") -> None:
    """Raise `ValidationError` unless there are samples, and arrays that fit each other."""
    if not isinstance(record, Record):
        raise ValidationError(where, "type", "a Record", type(record).__name__)
    if isinstance(record, SparseRecord):
        return  # its arrays are made to fit
    shape = np.shape(record.all_spikes)
    if len(shape) != 3 or 0 in shape:
        wanted = "(B, N, T), at least one sample, neuron and time step"
        raise ValidationError(where, "all_spikes shape", wanted, shape)
    samples, _, steps = shape
    counts = (samples, steps)
    outputs = (samples, *np.shape(record.spikes)[1:-1], steps)
    for name, wanted in (
        ("spikes", outputs), ("output_steps", outputs),
        ("forward_steps", counts), ("synops", counts), ("overflows", counts),
    ):  # fmt: skip
        got = np.shape(getattr(record, name))
        if got != wanted:
            raise ValidationError(where, f"{name} shape", wanted, got)
    if record.readout is not None and np.shape(record.readout) != outputs:
        raise ValidationError(where, "readout shape", outputs, np.shape(record.readout))


def check_graph(graph: Graph, record: Record) -> None:
    """Raise `ValidationError` unless a record can be of this graph."""
    if not isinstance(graph, Graph):
        raise ValidationError("graph", "type", "a Graph", type(graph).__name__)
    check_record(record)
    neurons = record.shape[1]
    if neurons != graph.num_neurons:
        raise ValidationError("record", "neurons", f"{graph.num_neurons}, as in the graph", neurons)


def number_of_classes(record: Record) -> int:
    """Output neurons, of any shape, or groups of them."""
    outputs = math.prod(record.spikes.shape[1:-1])
    return outputs if record.decoding is None else record.decoding.classes(outputs)


def check_record_labels(record: Record, labels: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Labels (B,) of a record's samples, or `ValidationError`."""
    check_record(record)
    return check_labels(labels, len(record.spikes), number_of_classes(record))


def check_labels(
    labels: npt.ArrayLike, samples: int, classes: int
) -> npt.NDArray[np.int64]:
    """Labels (samples,), or `ValidationError` if they are not integers in 0..classes - 1."""
    try:
        array = np.asarray(labels)
    except ValueError as error:
        raise ValidationError("labels", "shape", (samples,), error) from None
    if array.dtype.kind not in "iu":
        raise ValidationError("labels", "dtype", "integers", array.dtype)
    if array.shape != (samples,):
        raise ValidationError("labels", "shape", (samples,), array.shape)
    bad = np.flatnonzero((array < 0) | (array >= classes))
    if bad.size:
        place = f"value at [{bad[0]}]"
        raise ValidationError("labels", place, f"0 <= label < {classes}", array[bad[0]])
    return array.astype(np.int64)


def is_finite(value: object) -> TypeGuard[float]:
    """Whether something is a real number that a float can hold: not NaN, and no truth value."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # of a larger integer
        return False
