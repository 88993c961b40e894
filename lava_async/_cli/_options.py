"""Options that several commands share, and the schedule that they describe."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from lava_async._files.hdf5 import load
from lava_async._semantics.graph import Graph
from lava_async._semantics.schedule import SCHEDULES, Momentum, Schedule
from lava_async._simulate import BACKENDS
from lava_async.datasets import registry
from lava_async.errors import ValidationError


def _one_of(names: Iterable[str]) -> dict[str, Any]:
    """Options of `typer.Option` for one of some names."""
    known = list(names)

    def parse(name: str) -> str:
        if name not in known:
            raise typer.BadParameter(f"expected one of {', '.join(known)} (got {name!r})")
        return name

    return {"parser": parse, "metavar": f"[{'|'.join(known)}]"}


NetArgument = Annotated[
    Path, typer.Argument(metavar="NET.net", help="Network in SLAYER/netx HDF5.")
]
InputArgument = Annotated[
    Path,
    typer.Argument(
        metavar="INPUT.npy",
        help="Input spikes, integers >= 0, shape (B, *input_shape, T) or (*input_shape, T).",
    ),
]
ScheduleOption = Annotated[
    str | None,
    typer.Option(
        "--schedule",
        **_one_of(SCHEDULES),
        help="Order in which spikes are released.",
        show_default=False,
    ),
]
GroupSizeOption = Annotated[
    int | None,
    typer.Option(
        "--group-size", metavar="F", help="Spikes released per forward step.", show_default=False
    ),
]
NoiseOption = Annotated[
    float | None,
    typer.Option(
        "--noise",
        metavar="λ",
        help="Momentum noise, in units of the threshold.",
        show_default=False,
    ),
]
StopAfterOption = Annotated[
    int | None,
    typer.Option(
        "--stop-after",
        metavar="K",
        help="End a time step K forward steps after its first output spike.",
        show_default=False,
    ),
]
SeedOption = Annotated[
    int | None,
    typer.Option("--seed", metavar="S", help="Seed of the schedule.", show_default=False),
]
BackendOption = Annotated[
    str,
    typer.Option(
        "--backend", **_one_of(BACKENDS), help="What executes the network."
    ),
]
DataOption = Annotated[
    str,
    typer.Option(
        "--data",
        **_one_of(registry.NAMES),
        help="Data set; digits comes with the package.",
    ),
]
InputShapeOption = Annotated[
    str | None,
    typer.Option(
        "--input-shape",
        metavar="C,H,W",
        help="Shape of one input frame, for a file that does not say it.",
        show_default=False,
    ),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace an existing output file.")]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on stdout, for machines.")
]


def load_network(path: Path, input_shape: str | None = None) -> Graph:
    """`load`, with the shape as the text of an option."""
    if input_shape is None:
        return load(path)
    try:
        shape = tuple(int(n) for n in input_shape.split(","))
    except ValueError:
        raise ValidationError(
            "--input-shape", "value", "integers such as 2,34,34", input_shape
        ) from None
    return load(path, shape)


def choose_schedule(
    recorded: Schedule | None,
    name: str | None = None,
    group_size: int | None = None,
    noise: float | None = None,
    seed: int | None = None,
) -> tuple[Schedule, str]:
    """The schedule to run, and one line that says where it comes from.

    What an option does not give is taken from ``recorded`` (what the file records), and
    failing that from ``Momentum(8)``.
    """
    base = recorded or Momentum()
    settings: dict[str, Any] = dataclasses.asdict(base)
    cls = SCHEDULES[name] if name else type(base)
    given = {"group_size": group_size, "noise": noise, "seed": seed}
    given = {key: value for key, value in given.items() if value is not None}
    fields = {f.name for f in dataclasses.fields(cls)}
    for key, value in given.items():
        if key not in fields:
            raise ValidationError(f"--{key}", "option", f"none for the {cls.name} schedule", value)
    settings = {key: value for key, value in settings.items() if key in fields}
    schedule = cls(**{**settings, **given})

    text = f"{schedule.name}, " + ", ".join(
        f"{key.replace('_', ' ')} {value}" for key, value in dataclasses.asdict(schedule).items()
    )
    asked = (["schedule"] if name else []) + [key.replace("_", " ") for key in given]
    rest = "recorded in the file" if recorded else "default, as the file records none"
    if asked:
        rest = f"{', '.join(asked)} as asked; else {rest}"
    return schedule, f"{text} ({rest})"
