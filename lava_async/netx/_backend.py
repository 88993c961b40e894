"""The Lava process as backends of `simulate`: a batch through one runtime."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from lava.magma.core.run_configs import Loihi2SimCfg

from lava_async._semantics.graph import Graph
from lava_async._semantics.record import Record
from lava_async._semantics.schedule import AsyncSchedule, Schedule
from lava_async.netx._batch.process import Batch
from lava_async.netx.process import Network
from lava_async.runtime import Runner

_MIN_STEPS = 20
"""Time steps that a run lasts at least: starting one costs about half a time step."""


def run(
    graph: Graph,
    x: npt.NDArray[np.integer],
    schedule: Schedule,
    stop_after: int | None = None,
    sample_ids: npt.NDArray[np.integer] | None = None,
    trace: bool = False,
    *,
    as_graph: bool = False,
    progress: Callable[[int], object] | None = None,
) -> Record:
    """Run a batch in one runtime. Arguments are those of `simulate`, already validated.

    x : (B, *input_shape, T).
    as_graph : whether to run the process graph instead of the fused process.
    """
    batch, num_steps = x.shape[0], x.shape[-1]
    network = Network(
        graph,
        schedule=schedule,
        stop_after=stop_after,
        reset_interval=num_steps,
        sample_ids=None if sample_ids is None else sample_ids.tolist(),
    )
    results = Batch(network, x, trace).results
    run_cfg = Loihi2SimCfg(select_tag="fixed_pt", select_sub_proc_model=as_graph)
    with Runner(network, run_cfg) as runner:
        # A sample at a time, or a few short ones, so that the caller sees where it is.
        size = -(-_MIN_STEPS // num_steps)
        for start in range(0, batch, size):
            samples = min(size, batch - start)
            runner(num_steps=samples * num_steps)
            if progress is not None:
                progress(samples)
    forward_steps, synops, overflows = results["numbers"]
    drawn = schedule.draw(np.arange(batch) if sample_ids is None else sample_ids)
    pooled = any(isinstance(schedule.parts[i], AsyncSchedule) for i in drawn)
    readout = results.get("readout")
    if readout is not None:
        readout = graph.delayed_output(readout).reshape(results["spikes"].shape)
    return Record(
        spikes=results["spikes"],
        all_spikes=results["all_spikes"],
        forward_steps=forward_steps,
        synops=synops,
        output_steps=results["output_steps"].reshape(results["spikes"].shape),
        overflows=overflows,
        fired_at=results.get("fired_at"),
        released_at=results.get("released_at") if pooled else None,
        readout=readout,
    )
