"""``lava-async run``: simulate a network on an input file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from lava_async import metrics
from lava_async._cli import _options as options
from lava_async._cli._console import note, print_json, progress
from lava_async._cli._files import check_output, read_input
from lava_async._files.atomic import atomic_path
from lava_async._semantics.record import Record
from lava_async._simulate import simulate
from lava_async._verify import arrays


def run(
    net: options.NetArgument,
    input_file: options.InputArgument,
    out: Annotated[Path, typer.Option("--out", metavar="OUT.npz", help="Where to write.")],
    schedule: options.ScheduleOption = None,
    group_size: options.GroupSizeOption = None,
    noise: options.NoiseOption = None,
    stop_after: options.StopAfterOption = None,
    seed: options.SeedOption = None,
    backend: options.BackendOption = "kernel",
    force: options.ForceOption = False,
    input_shape: options.InputShapeOption = None,
    json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Run a network on an input file and write what it did.

    OUT.npz holds spikes (B, *out_shape, T), all_spikes (B, N, T), output_steps
    (B, *out_shape, T), and forward_steps, synops and overflows (B, T); of a network whose
    output cannot fire also readout (B, *out_shape, T), its voltages. Schedule and group size
    default to what NET.net records, else momentum with F = 8.

    \b
    Examples:
      lava-async run network.net input.npy --out result.npz
      lava-async run network.net input.npy --out first.npz --schedule random --group-size 4 --seed 7
      lava-async run network.net input.npy --out early.npz --stop-after 2 --backend lava
    """
    check_output(out, force, inputs=(net, input_file))
    graph = options.load_network(net, input_shape)
    x = read_input(input_file, graph)
    chosen, source = options.choose_schedule(graph.schedule, schedule, group_size, noise, seed)
    with progress(f"{backend}: samples", len(x)) as advance:
        record = simulate(
            graph, x, chosen, backend=backend, stop_after=stop_after, progress=advance
        )
    # In memory: where the disk is full, NumPy's archive would complain again as it is collected.
    content = io.BytesIO()
    np.savez_compressed(content, **{name: getattr(record, name) for name in arrays(record)})
    with atomic_path(out) as path:
        path.write_bytes(content.getbuffer())
    note(f"schedule: {source}")
    summary = _summarise(record)
    if json:
        settings = {"schedule": chosen.to_dict(), "stop_after": stop_after}
        print_json({"out": str(out), "backend": backend, **settings, **summary})
    else:
        samples, steps = summary["samples"], summary["time_steps"]
        print(
            f"{out}: {samples} sample{'s' * (samples != 1)} of {steps} time "
            f"step{'s' * (steps != 1)}; {summary['spikes_per_sample']:.1f} spikes, "
            f"{summary['forward_steps_per_sample']:.1f} forward steps, "
            f"{summary['synops_per_sample']:.0f} synaptic operations a sample; "
            f"{summary['overflows']} overflows"
        )


def _summarise(record: Record) -> dict[str, Any]:
    """Plain numbers about a record."""
    samples, neurons, steps = record.shape
    return {
        "samples": samples,
        "neurons": neurons,
        "time_steps": steps,
        "spikes_per_sample": float(metrics.spikes_per_sample(record).mean()),
        "spike_density": float(metrics.spike_density(record).mean()),
        "forward_steps_per_sample": int(record.forward_steps.sum()) / samples,
        "synops_per_sample": int(record.synops.sum()) / samples,
        "overflows": int(record.overflows.sum()),
    }
