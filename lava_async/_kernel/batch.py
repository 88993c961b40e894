"""Whole batches: samples run in parallel threads."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from lava_async._kernel._entry import run_samples
from lava_async._kernel._events import as_frames, check_entries, new_events
from lava_async._kernel._layout import new_state
from lava_async._kernel._lowering import compile_graph, compile_schedule
from lava_async._kernel._reserve import Reserve
from lava_async._kernel._threads import OwnThreads, cores, pieces
from lava_async._semantics.graph import Graph
from lava_async._semantics.record import Record
from lava_async._semantics.schedule import AsyncSchedule, LayerSync


def run(
    graph: Graph,
    x: npt.NDArray[np.integer],
    schedule: LayerSync | AsyncSchedule,
    stop_after: int | None = None,
    sample_ids: npt.NDArray[np.integer] | None = None,
    trace: bool = False,
    *,
    num_threads: int | None = None,
) -> Record:
    """Run a batch. Arguments are those of `simulate`, already validated.

    x : (B, *input_shape, T).
    """
    batch, num_steps = x.shape[0], x.shape[-1]
    check_entries(math.prod(graph.input_shape), num_steps)
    frames = as_frames(x.reshape(batch, -1))
    ids = np.arange(batch) if sample_ids is None else np.asarray(sample_ids, np.int64)
    net = compile_graph(graph, schedule)
    plan = compile_schedule(net, schedule, stop_after)
    output = graph.slice(graph.output)

    num_neurons = graph.num_neurons
    spikes = np.zeros((batch, num_neurons, num_steps), np.int8)
    numbers = np.zeros((3, batch, num_steps), np.int64)
    rows = num_neurons if trace else output.stop - output.start
    fired_at = np.full((batch, rows, num_steps), -1, np.int32)
    released_at = np.full((batch, num_neurons, num_steps) if trace else (0, 0, 0), -1, np.int32)

    entries = frames.shape[1]
    states = Reserve(lambda _: (new_state(graph), new_events(entries, num_steps)))

    def work(low: int, high: int) -> None:
        with states.lent(0) as (s, e):
            run_samples(
                net, plan, s, e, frames, ids, low, high, spikes, numbers, trace, fired_at,
                released_at,
            )  # fmt: skip

    team = OwnThreads(min(num_threads or cores(), batch))
    team.run(work, pieces(batch, team.size))

    shape = (batch, *graph.out_shape, num_steps)
    return Record(
        spikes=graph.delayed_output(spikes[:, output]).reshape(shape),
        all_spikes=spikes,
        forward_steps=numbers[0],
        synops=numbers[1],
        output_steps=(fired_at[:, output] if trace else fired_at).reshape(shape),
        overflows=numbers[2],
        fired_at=fired_at if trace else None,
        released_at=released_at if trace and not plan.layered else None,
    )
