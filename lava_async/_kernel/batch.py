"""Whole batches: samples run in parallel threads."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from lava_async._kernel._entry import run_samples
from lava_async._kernel._events import as_frames, check_entries, new_events
from lava_async._kernel._layout import new_state
from lava_async._kernel._listing import FIRED_AT, NEURON, RELEASED_AT, new_list
from lava_async._kernel._lowering import compile_graph, compile_schedule, worth_packing
from lava_async._kernel._reserve import Reserve
from lava_async._kernel._threads import OwnThreads, cores, pieces
from lava_async._semantics.graph import Graph
from lava_async._semantics.record import Events, Record, SparseRecord
from lava_async._semantics.schedule import AsyncSchedule, LayerSync


def run(
    graph: Graph,
    x: npt.NDArray[np.integer],
    schedule: LayerSync | AsyncSchedule,
    stop_after: int | None = None,
    sample_ids: npt.NDArray[np.integer] | None = None,
    trace: bool = False,
    *,
    sparse: bool = False,
    num_threads: int | None = None,
) -> Record:
    """Run a batch. Arguments are those of `simulate`, already validated.

    x : (B, *input_shape, T).
    sparse : whether to keep events only.
    """
    batch, num_steps = x.shape[0], x.shape[-1]
    check_entries(math.prod(graph.input_shape), num_steps)
    flat = x.reshape(batch, -1)
    frames, entries = as_frames(flat), flat.shape[1]
    ids = np.arange(batch) if sample_ids is None else np.asarray(sample_ids, np.int64)
    net = compile_graph(graph, schedule)
    plan = compile_schedule(net, schedule, stop_after)
    output = graph.slice(graph.output)

    num_neurons = graph.num_neurons
    kept = 0 if sparse else batch  # samples of which there are dense arrays
    spikes = np.zeros((kept, num_neurons, num_steps), np.int8)
    numbers = np.zeros((4, batch, num_steps), np.int64)
    rows = num_neurons if trace else output.stop - output.start
    fired_at = np.full((kept, rows, num_steps), -1, np.int32)
    released_at = np.full((kept, num_neurons, num_steps) if trace else (0, 0, 0), -1, np.int32)

    read = 0 if graph.output_can_fire else output.stop - output.start
    readout = np.empty((batch, read, num_steps), np.int32)

    packed = worth_packing(net)
    states = Reserve(lambda _: (new_state(graph, packed=packed), new_events(entries, num_steps)))

    def work(low: int, high: int) -> npt.NDArray[np.int32]:
        with states.lent(0) as (s, e):
            return run_samples(
                net, plan, s, e, frames, ids, low, high, num_steps, spikes, numbers, trace,
                fired_at, released_at, readout, new_list(),
            )  # fmt: skip

    team = OwnThreads(min(num_threads or cores(), batch))
    listed = team.run(work, pieces(batch, team.size))
    shape = (batch, *graph.out_shape, num_steps)
    voltages = graph.delayed_output(readout).reshape(shape) if read else None
    if sparse:
        return SparseRecord(
            graph=graph,
            events=_events(np.concatenate(listed), numbers[3]),
            forward_steps=numbers[0],
            synops=numbers[1],
            overflows=numbers[2],
            readout=voltages,
            trace=trace,
            pooled=not plan.layered,
        )

    return Record(
        spikes=graph.delayed_output(spikes[:, output]).reshape(shape),
        all_spikes=spikes,
        forward_steps=numbers[0],
        synops=numbers[1],
        output_steps=(fired_at[:, output] if trace else fired_at).reshape(shape),
        overflows=numbers[2],
        fired_at=fired_at if trace else None,
        released_at=released_at if trace and not plan.layered else None,
        readout=voltages,
    )


def _events(listed: npt.NDArray[np.int32], counts: npt.NDArray[np.int64]) -> Events:
    """Listed spikes, in the order of samples and time steps, of which there are so many (B, T)."""
    batch, num_steps = counts.shape
    frame = np.repeat(np.arange(batch * num_steps), counts.reshape(-1))
    forward_step, neuron = listed[:, FIRED_AT], listed[:, NEURON]
    # In order but for the neurons of a forward step, so that there is little to sort.
    begins = (np.diff(frame, prepend=-1) != 0) | (np.diff(forward_step, prepend=-1) != 0)
    order = np.argsort((np.cumsum(begins) << 32) | neuron, kind="stable")
    sample, time_step = np.divmod(frame, num_steps)
    columns = sample, time_step, forward_step, neuron, listed[:, RELEASED_AT]
    return Events(*(column[order].astype(np.int32, copy=False) for column in columns))
