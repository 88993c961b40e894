"""``lava-async evaluate``: how well a network does on a test split."""

from __future__ import annotations

import dataclasses

from lava_async._cli import _options as options
from lava_async._cli._console import note, print_json, progress, users_code
from lava_async.study.data import fit_to, load_split
from lava_async.study.runs import run_split


def evaluate(
    net: options.NetArgument,
    data: options.DataOption = None,
    data_root: options.DataRootOption = None,
    schedule: options.ScheduleOption = None,
    group_size: options.GroupSizeOption = None,
    noise: options.NoiseOption = None,
    stop_after: options.StopAfterOption = None,
    seed: options.SeedOption = None,
    backend: options.BackendOption = "kernel",
    input_shape: options.InputShapeOption = None,
    json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Measure accuracy, spikes and latency on a test split.

    \b
    Examples:
      lava-async evaluate network.net
      lava-async evaluate network.net --schedule layer
      lava-async evaluate network.net --backend lava
      lava-async evaluate network.net --group-size 4 --stop-after 0 --json
    """
    graph = options.load_network(net, input_shape)
    chosen, source = options.choose_schedule(graph.schedule, schedule, group_size, noise, seed)
    data = data or options.DEFAULT_DATA
    with users_code():
        x, labels = load_split(data, train=False, root=data_root)
    x = fit_to(graph, x, labels, str(net))
    with users_code(), progress(f"{backend}: samples", len(x)) as advance:
        result = run_split(
            graph, x, labels, chosen, backend=backend, stop_after=stop_after, progress=advance
        ).evaluation()
    note(f"schedule: {source}")
    if json:
        print_json(
            {
                "network": str(net),
                "data": data,
                "backend": backend,
                "schedule": chosen.to_dict(),
                "stop_after": stop_after,
                **dataclasses.asdict(result),
            }
        )
        return
    steps = "never" if result.decision_latency is None else f"{result.decision_latency:.1f}"
    for name, value in {
        "samples": f"{result.samples}",
        "accuracy": f"{result.accuracy:.3f}",
        "spikes a sample": f"{result.spikes_per_sample:.1f}",
        "spike density": f"{result.spike_density:.4f}",
        "synaptic operations a sample": f"{result.synops_per_sample:.0f}",
        "forward steps a sample": f"{result.forward_steps_per_sample:.1f}",
        "forward steps to decision": steps,
        "overflows": f"{result.overflows}",
    }.items():
        print(f"{name:30}{value:>10}")
