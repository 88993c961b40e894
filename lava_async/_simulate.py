"""`simulate`: one entry to every backend, and the checks that all of them rely on."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, cast, get_args

import numpy as np
import numpy.typing as npt

from lava_async._semantics import random
from lava_async._semantics.graph import Graph, check_early_decision
from lava_async._semantics.record import Record, SparseRecord
from lava_async._semantics.schedule import (
    AsyncSchedule,
    LayerSync,
    Momentum,
    Schedule,
    check_schedule,
    check_stop_after,
)
from lava_async.errors import UnsupportedError, ValidationError

Part = LayerSync | AsyncSchedule
Kind = Literal["dense", "sparse"]  # of a record

BACKENDS = ("reference", "kernel", "lava", "graph")

_PART = {"reference": 16, "kernel": 256}
"""Samples between two reports of progress: often enough for a bar and for Ctrl-C."""


def check_input(graph: Graph, x: npt.ArrayLike) -> npt.NDArray[np.integer]:
    """Input spikes as (B, *input_shape, T) integers.

    Raises
    ------
    ValidationError
        Wrong shape, no sample or time step, or values that are not whole numbers in
        0..`Graph.max_input`.
    """
    return _check_values(graph, x, _check_shape(graph, x))


def _check_shape(graph: Graph, x: npt.ArrayLike) -> npt.NDArray:
    """Input spikes as an array (B, *input_shape, T) of numbers; no value is looked at."""
    where = "input"
    try:
        array = np.asarray(x)
    except ValueError as error:
        raise ValidationError(where, "shape", "rows of one length", error) from None
    except (TypeError, RuntimeError) as error:  # of torch's: sparse, on a GPU, with a gradient
        wanted = "what NumPy can look at: x.detach().cpu().to_dense()"
        raise ValidationError(where, "array", wanted, error) from None
    if array.dtype.kind not in "buif":
        raise ValidationError(where, "dtype", "integers", array.dtype)
    ndim = len(graph.input_shape)
    if array.ndim == ndim + 1:
        array = array[None]
    if array.ndim != ndim + 2 or array.shape[1:-1] != graph.input_shape:
        shape = ", ".join(map(str, graph.input_shape))
        wanted = f"(B, {shape}, T) or ({shape}, T), time last"
        raise ValidationError(where, "shape", wanted, np.shape(x))
    if array.size == 0:
        raise ValidationError(where, "shape", "at least one sample and time step", np.shape(x))
    return array


def _check_values(graph: Graph, x: npt.ArrayLike, array: npt.NDArray) -> npt.NDArray[np.integer]:
    """The values of ``array``, which `_check_shape` made of ``x``, as integers."""
    if array.dtype == np.uint8 and graph.max_input >= 255:
        return array  # no value can be wrong, and looking at all takes as long as a tenth of a run
    with np.errstate(invalid="ignore"):
        low, high = array.min(), array.max()
        fits = low >= 0 and high <= graph.max_input
        if fits and array.dtype.kind == "f":
            fits = bool((array == np.floor(array)).all())
    if not fits:
        good = (array >= 0) & (array <= graph.max_input) & (array == np.floor(array))
        index = tuple(int(i) for i in np.argwhere(~good)[0])
        place = list(index[array.ndim - np.ndim(x) :])  # in what was given, perhaps one sample
        raise ValidationError(
            "input", f"value at {place}", f"a whole number in 0..{graph.max_input}", array[index]
        )
    return array.astype(np.uint8 if high <= 255 else np.int32, copy=False)


def check_sample_ids(
    where: str, sample_ids: npt.ArrayLike | None, batch: int
) -> npt.NDArray[np.int64]:
    """Sample ids (B,), or `ValidationError` if they are not that many integers in 0..2**32 - 1."""
    if sample_ids is None:
        return np.arange(batch)
    try:
        ids = np.asarray(sample_ids)
    except ValueError as error:
        wanted = f"{batch} integers"
        raise ValidationError(where, "sample_ids", wanted, error) from None
    if ids.shape != (batch,) or ids.dtype.kind not in "iu":
        raise ValidationError(
            where, "sample_ids", f"{batch} integers", f"{ids.dtype}{ids.shape}"
        )
    if ids.min() < 0 or ids.max() > random.MAX_INDEX:
        bad = ids[(ids < 0) | (ids > random.MAX_INDEX)][0]
        raise ValidationError(where, "sample_ids", "0 <= id < 2**32", bad)
    return ids.astype(np.int64)


def simulate(
    graph: Graph,
    x: npt.ArrayLike,
    schedule: Schedule | None = None,
    *,
    backend: str = "kernel",
    stop_after: int | None = None,
    sample_ids: npt.ArrayLike | None = None,
    record: Kind = "dense",
    trace: bool = False,
    num_threads: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> Record:
    """Run input spikes through a network; every sample starts from zero state.

    The result depends on nothing but (network, input, schedule, seed, sample id), and is
    the same, bit for bit, on every backend.

    Parameters
    ----------
    graph : Graph
        The network, e.g. from `load`.
    x : (B, *input_shape, T) or (*input_shape, T) array of whole numbers >= 0
        Input spikes per time step; a value of n counts as n spikes.
    schedule : Schedule, optional
        What the file records, else ``Momentum(8)``. The kernel and the fused Lava process
        refuse an `AsyncSchedule` of your own.
    backend : {"kernel", "reference", "lava", "graph"}
        Compiled kernel, readable definition, fused Lava process, or Lava process graph.
    stop_after : int, optional
        Early decision: forward steps that still run in a time step after an output neuron
        first fired; the spikes that wait then are discarded. Asynchronous schedules and outputs
        that can fire only.
    sample_ids : (B,) array of int, optional
        Each sample's own index in its data set or stream, the key of its random draws;
        0..B-1 by default.
    record : {"dense", "sparse"}
        Sparse ones keep events only and make `Record`'s arrays over neurons when asked for, so
        that memory grows with spikes; in the kernel the time, too (other backends make one of the
        dense record).
    trace : bool
        Also record in which forward step each spike was fired and released.
    num_threads : int, optional
        Threads of the kernel; all cores by default. No influence on the result.
    progress : callable, optional
        Called from time to time with the number of samples that are newly done, e.g.
        ``tqdm(total=len(x)).update``. No influence on the result.

    Raises
    ------
    ValidationError
        Any argument is outside what is described here.
    UnsupportedError
        A backend in Lava, where Lava is not installed.
    ExecutionError
        The run failed after it had started.

    Returns
    -------
    Record
        A `SparseRecord` where that is asked for.
    """
    if not isinstance(graph, Graph):
        raise ValidationError("simulate", "graph", "a Graph", type(graph).__name__)
    if schedule is None:
        schedule = graph.schedule or Momentum()
    check_schedule("simulate", schedule)
    if backend not in BACKENDS:
        wanted = f"one of {', '.join(BACKENDS)}"
        raise ValidationError("simulate", "backend", wanted, repr(backend))
    if record not in get_args(Kind):
        wanted = f"one of {', '.join(get_args(Kind))}"
        raise ValidationError("simulate", "record", wanted, repr(record))
    sparse = record == "sparse"
    if num_threads is not None and (
        isinstance(num_threads, bool)
        or not isinstance(num_threads, (int, np.integer))
        or num_threads < 1
    ):
        raise ValidationError(
            "simulate", "num_threads", "None or an integer >= 1", repr(num_threads)
        )
    if progress is not None and not callable(progress):
        raise ValidationError("simulate", "progress", "None or a callable", repr(progress))
    stop = check_stop_after(schedule, stop_after)
    check_early_decision("simulate", stop, graph.output_can_fire)
    array = _check_shape(graph, x)
    # Backends are imported when asked for: numba takes a second, Lava several.
    if backend == "kernel":
        from lava_async._kernel._events import check_entries

        # Before values are looked at or samples are copied, which takes long of so many.
        check_entries(math.prod(graph.input_shape), array.shape[-1])
    frames = _check_values(graph, x, array)
    ids = check_sample_ids("simulate", sample_ids, len(frames))

    if backend in ("lava", "graph"):
        try:
            from lava_async.netx import _backend
        except ModuleNotFoundError as error:
            raise UnsupportedError(
                "simulate", "backend",
                "reference or kernel where Lava is not installed (it needs Python 3.10 to 3.12)",
                repr(backend),
            ) from error

        ran = _backend.run(
            graph, frames, schedule, stop, ids, trace or sparse,
            as_graph=backend == "graph", progress=progress,
        )  # fmt: skip
        if sparse:
            return SparseRecord.of(graph, ran, trace)
        return dataclasses.replace(ran, decoding=graph.decoding)

    if backend == "kernel":
        from lava_async import _kernel

        _kernel.check_schedule(schedule)

    def run(samples: slice) -> Record:
        drawn = schedule.draw(ids[samples])
        places = [np.flatnonzero(drawn == i) for i in range(len(schedule.parts))]
        records = [
            run_part(part, frames[samples], ids[samples], where)
            for part, where in zip(schedule.parts, places, strict=True)
            if len(where)
        ]
        if len(records) == 1:
            return records[0]
        return _join(records, np.argsort(np.concatenate(places)))

    def run_part(part: Part, x: npt.NDArray, ids: npt.NDArray, where: npt.NDArray) -> Record:
        if len(where) < len(x):
            x, ids = x[where], ids[where]
        if backend == "reference":
            from lava_async._semantics import reference

            ran = reference.run(graph, x, part, stop, ids, trace or sparse)
            return SparseRecord.of(graph, ran, trace) if sparse else ran
        from lava_async import _kernel

        return _kernel.run(
            graph, x, part, stop, ids, trace, sparse=sparse, num_threads=num_threads
        )

    size = len(frames) if progress is None else _PART[backend]
    records = []
    for start in range(0, len(frames), size):
        records.append(run(slice(start, start + size)))
        if progress is not None:
            progress(records[-1].shape[0])
    joined = _join(records)
    if isinstance(joined, SparseRecord):
        return joined
    return dataclasses.replace(joined, decoding=graph.decoding)


def _join(records: Sequence[Record], order: npt.NDArray[np.intp] | None = None) -> Record:
    """One record of all samples, one after another or in the order given."""
    if len(records) == 1 and order is None:
        return records[0]
    if isinstance(records[0], SparseRecord):  # and so are the others
        return SparseRecord.join(cast(Sequence[SparseRecord], records), order)
    arrays: dict[str, Any] = {}
    for field in dataclasses.fields(Record):
        parts = [getattr(record, field.name) for record in records]
        known = [part for part in parts if isinstance(part, np.ndarray)]
        if not known:
            continue
        # Layer-synchronized samples of a mixture release nothing.
        filled = [
            np.full_like(record.all_spikes, -1, known[0].dtype) if part is None else part
            for part, record in zip(parts, records, strict=True)
        ]
        joined = np.concatenate(filled)
        arrays[field.name] = joined if order is None else joined[order]
    return Record(**arrays)
