"""Options that several commands share, and the schedule that they describe."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from lava_async._cli._console import be_quiet, note, users_code
from lava_async._files.hdf5 import load_recorded
from lava_async._semantics.graph import Graph
from lava_async._semantics.schedule import SCHEDULES, Mixture, Momentum, Schedule
from lava_async._simulate import BACKENDS
from lava_async.datasets import lookup, registry
from lava_async.errors import ValidationError

SINGLE = [name for name, cls in SCHEDULES.items() if cls is not Mixture]
"""Schedules by name; a mixture is several of them."""


def one_of(names: Collection[str]) -> dict[str, Any]:
    """Options of `typer.Option` for one of some names, those that come later included."""

    def parse(name: str) -> str:
        if name not in names:
            raise typer.BadParameter(f"expected one of {', '.join(names)} (got {name!r})")
        return name

    return {
        "parser": parse,
        "metavar": f"[{'|'.join(names)}]",
        "autocompletion": completing(names),
    }


def number(kind: type[int] | type[float], least: int | None = None) -> dict[str, Any]:
    """Options of `typer.Option` for a number; its own words for others depend on its version."""
    wanted = "an integer" if kind is int else "a number"
    if least is not None:
        wanted = f"{wanted} >= {least}"

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or (least is not None and value < least):
            raise typer.BadParameter(f"expected {wanted} (got {text!r})")
        return value

    return {"parser": parse}


def completing(names: Collection[str]) -> Callable[[str], list[str]]:
    """What tells a shell which of some names a half-typed one may become."""

    def complete(incomplete: str) -> list[str]:
        return [name for name in names if name.startswith(incomplete)]

    return complete


NetArgument = Annotated[
    Path, typer.Argument(metavar="NET.net", help="Network in SLAYER/netx HDF5, or in NIR.")
]
InputArgument = Annotated[
    Path,
    typer.Argument(
        metavar="INPUT.npy",
        help="Input spikes, integers >= 0, shape (B, *input_shape, T) or (*input_shape, T).",
    ),
]
ScheduleOption = Annotated[
    list[str] | None,
    typer.Option(
        "--schedule",
        metavar=f"[{'|'.join(SINGLE)}][:F]",
        autocompletion=completing(SINGLE),
        help="Order in which spikes are released, maybe with its own F. Given several times, each "
        "sample draws one of them.",
        show_default=False,
    ),
]
GroupSizeOption = Annotated[
    int | None,
    typer.Option(
        "--group-size", **number(int), metavar="F", help="Spikes released per forward step.",
        show_default=False,
    ),
]  # fmt: skip
NoiseOption = Annotated[
    float | None,
    typer.Option(
        "--noise",
        **number(float),
        metavar="λ",
        help="Momentum noise, in units of the threshold.",
        show_default=False,
    ),
]
StopAfterOption = Annotated[
    int | None,
    typer.Option(
        "--stop-after",
        **number(int),
        metavar="K",
        help="End a time step K forward steps after its first output spike.",
        show_default=False,
    ),
]
SeedOption = Annotated[
    int | None,
    typer.Option(
        "--seed", **number(int), metavar="S", help="Seed of the schedule.", show_default=False
    ),
]
BackendOption = Annotated[
    str,
    typer.Option(
        "--backend", **one_of(BACKENDS), help="What executes the network."
    ),
]


def _known_data(context: typer.Context, name: str | None) -> str | None:
    if name is not None and not context.resilient_parsing:  # a shell that completes runs no code
        try:
            with users_code():
                registry.describe(name)
        except ValidationError as error:
            raise error.at(f"--{error.where}", ValidationError) from error
    return name


def _complete_data(incomplete: str) -> list[str]:
    return completing({*registry.NAMES, *lookup.offered()})(incomplete)


DataOption = Annotated[
    str | None,
    typer.Option(
        "--data", metavar=f"[{'|'.join(registry.NAMES)}|{lookup.FORMS.replace(' or ', '|')}]",
        autocompletion=_complete_data, callback=_known_data,
        help="Data set; digits by default. NAME is a DataSet of your own, in a module (of the "
        "working directory, or installed) or a file.",
        show_default=False,
    ),
]
DataRootOption = Annotated[
    Path | None,
    typer.Option(
        "--data-root",
        metavar="FOLDER",
        help="Where data sets that are fetched lie; by default that of the environment variable "
        f"{registry.ROOT_VARIABLE}, else one in the user's cache.",
        show_default=False,
    ),
]
DEFAULT_DATA = "digits"
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
QuietOption = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", callback=be_quiet, help="Print nothing but errors on stderr."
    ),
]
"""Does all by its callback; commands only have to take it."""


def load_network(path: Path, input_shape: str | None = None) -> Graph:
    """`load`, with the shape as the text of an option. Notes what rounding cost, if it did."""
    graph, recorded = load_recorded(path, parse_shape(input_shape))
    if recorded.rounding is not None:
        note(f"{path}: {recorded.rounding}")
    return graph


def parse_shape(text: str | None) -> tuple[int, ...] | None:
    """The shape that the text of an option says."""
    if text is None:
        return None
    try:
        return tuple(int(n) for n in text.split(","))
    except ValueError:
        raise ValidationError("--input-shape", "value", "integers such as 2,34,34", text) from None


def choose_schedule(
    recorded: Schedule | None,
    names: Sequence[str] | None = None,
    group_size: int | None = None,
    noise: float | None = None,
    seed: int | None = None,
) -> tuple[Schedule, str]:
    """The schedule to run, and one line that says where it comes from.

    What an option does not give is taken from ``recorded`` (what the file records), and
    failing that from ``Momentum(8)``. Several names, or commas, make a mixture, to whose parts
    the other options apply wherever they fit; a part with its own F keeps it.
    """
    base = recorded or Momentum()
    given = {"group_size": group_size, "noise": noise, "seed": seed}
    given = {key: value for key, value in given.items() if value is not None}
    asked = [name.strip() for text in names or () for name in text.split(",")]
    parts = [_part(name, base, given) for name in asked] or [
        dataclasses.replace(part, **_fitting(part, given)) for part in base.parts
    ]
    draws = len(parts) > 1 or (isinstance(base, Mixture) and not asked)
    for key, value in given.items():
        if not any(_fitting(part, {key: value}) for part in parts) and not (
            draws and key == "seed"
        ):
            kinds = " and ".join(dict.fromkeys(part.name for part in parts))
            raise ValidationError(f"--{key}", "option", f"none for the {kinds} schedule", value)
    schedule: Schedule = parts[0]
    if draws:
        mixture = base if isinstance(base, Mixture) else Mixture(tuple(parts))
        schedule = Mixture(
            tuple(parts), None if asked else mixture.weights, given.get("seed", mixture.seed)
        )
    told = (["schedule"] if asked else []) + [key.replace("_", " ") for key in given]
    rest = "recorded in the file" if recorded else "default, as the file records none"
    if told:
        rest = f"{', '.join(told)} as asked; else {rest}"
    return schedule, f"{describe_schedule(schedule)} ({rest})"


def _fitting(part: Schedule | type[Schedule], settings: dict[str, Any]) -> dict[str, Any]:
    """Those settings that a schedule has."""
    fields = {field.name for field in dataclasses.fields(part)}
    return {key: value for key, value in settings.items() if key in fields}


def _part(text: str, base: Schedule, given: dict[str, Any]) -> Any:
    """The schedule that ``name`` or ``name:F`` asks for."""
    name, colon, size = text.partition(":")
    if name not in SINGLE or (colon and not size.isdecimal()):
        wanted = f"one of {', '.join(SINGLE)}, or with F, such as fifo:1"
        raise ValidationError("--schedule", "value", wanted, repr(text))
    cls = SCHEDULES[name]
    like = next((part for part in base.parts if type(part) is cls), base.parts[0])
    settings = {**dataclasses.asdict(like), **given}
    if colon:
        settings["group_size"] = int(size)
    return cls(**_fitting(cls, settings))


def describe_schedule(schedule: Schedule) -> str:
    """In words, e.g. ``fifo, group size 8``."""
    if isinstance(schedule, Mixture):
        parts = "; ".join(describe_schedule(part) for part in schedule.parts)
        return f"mixture of {parts}; seed {schedule.seed}"
    settings = dataclasses.asdict(schedule).items()
    return ", ".join([schedule.name, *(f"{k.replace('_', ' ')} {v}" for k, v in settings)])
