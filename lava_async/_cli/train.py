"""``lava-async train``: train the digits network, layered or unlayered."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lava_async._cli import _options as options
from lava_async._cli._console import note, print_json, progress, quiet
from lava_async._semantics.schedule import LayerSync, Momentum, Schedule
from lava_async.errors import ValidationError
from lava_async.study.folders import results_folder

if TYPE_CHECKING:
    from lava_async.study.training import Settings

DEFAULT_EPOCHS = 15  # the recipe's own; torch would have to be loaded to look it up


class Method(str, enum.Enum):
    """How gradients flow."""

    layered = "layered"
    unlayered = "unlayered"


def train(
    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="A new or empty folder for results.")
    ],
    method: Annotated[
        Method | None,
        typer.Option(
            "--method",
            help="Layer-synchronized or unlayered backprop; unlayered by default.",
            show_default=False,
        ),
    ] = None,
    schedule: options.ScheduleOption = None,
    group_size: options.GroupSizeOption = None,
    noise: options.NoiseOption = None,
    epochs: Annotated[
        int,
        typer.Option(
            "--epochs",
            min=1,
            help="Epochs in all, those before --resume included; the learning rate is planned "
            f"for {DEFAULT_EPOCHS}.",
        ),
    ] = DEFAULT_EPOCHS,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed",
            metavar="S",
            help="Seed of weights, order, dropout and schedule; 0 by default.",
            show_default=False,
        ),
    ] = None,
    data: options.DataOption = "digits",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint in FOLDER.")
    ] = False,
    json: options.JsonOption = False,
) -> None:
    """Train a network and export it for Lava.

    FOLDER gets network.pt (the checkpoint), network.net (for run, verify and Lava) and
    metrics.json, all of them after each epoch. --resume continues to the same bits as
    training without a break.

    \b
    Examples:
      lava-async train --out digits
      lava-async train --out layered --method layered --epochs 10
      lava-async train --out digits --resume --epochs 30
    """
    with quiet():
        from lava_async.study import training as study  # loads torch and SLAYER

    with results_folder(out, resume):
        if resume:
            training = study.Training.resume(out)
            given = {
                "method": method and method.value,
                "scheduler": schedule and ",".join(schedule),
                "group_size": group_size,
                "noise": noise,
                "seed": seed,
                "data": data,
            }
            _check_agreement(out, training.settings, given)
        else:
            chosen = _choose_schedule(method, schedule, group_size, noise, seed)
            settings = study.Settings(data, chosen, 0 if seed is None else seed)
            training = study.Training(settings)
        left = max(epochs - training.epoch, 0)
        with progress(f"{training.settings.method}: starting", left) as advance:
            training.run(epochs, out, on_epoch=lambda text: advance(text=text))
    last = training.history[-1]
    if json:
        print_json({"out": str(out), **training.settings.to_dict(), **last})
        return
    if not left:
        note(f"nothing to do: {out} has {training.epoch} epochs already")
    print(f"{out}: {training.settings.method}, {study.describe(last)}")


def _choose_schedule(
    method: Method | None,
    names: list[str] | None,
    group_size: int | None,
    noise: float | None,
    seed: int | None,
) -> Schedule:
    if not names:
        names = [LayerSync.name if method is Method.layered else Momentum.name]
    schedule, _ = options.choose_schedule(None, names, group_size, noise)
    if method is not None and (method is Method.layered) != schedule.layered:
        asynchronous = ", ".join(name for name in options.SINGLE if name != LayerSync.name)
        wanted = LayerSync.name if method is Method.layered else f"one of {asynchronous}"
        what, got = f"schedule for {method.value} training", ",".join(names)
        raise ValidationError("--schedule", what, wanted, got)
    # Where the schedule draws nothing, the seed is for weights and order all the same.
    draws = any(hasattr(part, "seed") for part in (schedule, *schedule.parts))
    return options.choose_schedule(None, names, group_size, noise, seed if draws else None)[0]


def _check_agreement(folder: Path, settings: Settings, given: dict[str, Any]) -> None:
    """Refuse options that contradict what the checkpoint was trained with."""
    parts = settings.schedule.parts
    recorded: dict[str, Any] = settings.to_dict()
    recorded["scheduler"] = ",".join(part.name for part in parts)
    for name in ("group_size", "noise"):
        values = [getattr(part, name) for part in parts if hasattr(part, name)]
        recorded[name] = values[0] if len(set(values)) == 1 else None
    for name, value in given.items():
        if value is not None and value != recorded.get(name):
            raise ValidationError(
                f"{folder}: --resume", name.replace("_", "-"),
                f"{recorded.get(name)}, as in the checkpoint", value,
            )
