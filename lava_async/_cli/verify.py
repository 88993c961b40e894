"""``lava-async verify``: do all backends do the same?"""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from lava_async._cli import _options as options
from lava_async._cli._console import note, print_json, progress
from lava_async._cli._files import read_input
from lava_async._simulate import BACKENDS
from lava_async._verify import ARRAYS, READOUT
from lava_async._verify import verify as compare

DEFAULT_BACKENDS = ",".join(BACKENDS)


def verify(
    net: options.NetArgument,
    input_file: options.InputArgument,
    schedule: options.ScheduleOption = None,
    group_size: options.GroupSizeOption = None,
    noise: options.NoiseOption = None,
    stop_after: options.StopAfterOption = None,
    seed: options.SeedOption = None,
    backends: Annotated[
        str,
        typer.Option(
            "--backends", metavar="A,B,…", help="Backends to compare; the first counts as right."
        ),
    ] = DEFAULT_BACKENDS,
    input_shape: options.InputShapeOption = None,
    json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Run every backend and compare all that they record, bit for bit.

    Names the first sample, time step, forward step and neuron where two backends differ;
    the exit status is then 1.

    \b
    Examples:
      lava-async verify network.net input.npy
      lava-async verify network.net input.npy --backends reference,kernel --schedule random
    """
    graph = options.load_network(net, input_shape)
    x = read_input(input_file, graph)
    chosen, source = options.choose_schedule(graph.schedule, schedule, group_size, noise, seed)
    names = [name.strip() for name in backends.split(",")]
    with progress("samples", len(x) * len(names)) as advance:
        difference = compare(
            graph, x, chosen, backends=names, stop_after=stop_after,
            progress=lambda name, done: advance(done, f"{name}: samples"),
        )  # fmt: skip
    note(f"schedule: {source}")
    if json:
        print_json(
            {
                "equal": difference is None,
                "backends": names,
                "samples": len(x),
                "schedule": chosen.to_dict(),
                "stop_after": stop_after,
                "difference": difference and dataclasses.asdict(difference),
            }
        )
    elif difference is None:
        samples = f"{len(x)} sample{'s' * (len(x) != 1)}"
        compared = ARRAYS if graph.output_can_fire else (*ARRAYS, READOUT)
        print(f"equal: {', '.join(names)} on {samples} ({', '.join(compared)})")
    else:
        print(f"different: {difference}")
    if difference is not None:
        raise typer.Exit(1)
