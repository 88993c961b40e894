"""``lava-async train``: train a network, layered or unlayered."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated, Any

import typer

from lava_async._cli import _options as options
from lava_async._cli import _recipe as recipes
from lava_async._cli._console import (
    note,
    print_json,
    print_table,
    progress,
    silenced,
    training_warnings,
    users_code,
)
from lava_async._semantics.schedule import LayerSync, Momentum, Schedule
from lava_async.errors import ValidationError
from lava_async.study.folders import results_folder
from lava_async.study.orders import COLUMNS, cells
from lava_async.study.settings import RECIPES, Settings

_EPOCHS = ", ".join(f"{name}: {recipe.epochs}" for name, recipe in RECIPES.items())


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
    neuron: recipes.NeuronOption = None,
    gradient: recipes.GradientOption = None,
    penalty: recipes.PenaltyOption = None,
    layers: recipes.LayersOption = None,
    conv: recipes.ConvOption = None,
    batch_size: recipes.BatchSizeOption = None,
    learning_rate: recipes.LearningRateOption = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            "--epochs",
            **options.number(int, 1),
            metavar="N",
            help="Epochs in all, those before --resume included; by default those that the "
            f"recipe plans the learning rate for ({_EPOCHS}).",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed",
            **options.number(int),
            metavar="S",
            help="Seed of weights, order, dropout and schedule; 0 by default.",
            show_default=False,
        ),
    ] = None,
    data: options.DataOption = None,
    data_root: options.DataRootOption = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint in FOLDER.")
    ] = False,
    json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Train a network and export it for Lava.

    FOLDER gets network.pt (the checkpoint), network.net (for run, verify and Lava) and
    metrics.json, all of them after each epoch. --resume continues to the same bits as
    training without a break. At the end a table says how well the network does in other
    orders than the one that it was trained with.

    \b
    Examples:
      lava-async train --out digits
      lava-async train --out layered --method layered --penalty 0 --epochs 10
      lava-async train --out digits --resume --epochs 30
      lava-async train --out any-order --schedule momentum:8,momentum:1,random:8,random:1
      lava-async train --out published --gradient unrolled --penalty 0
      lava-async train --out conv --conv 8,16,32 --batch-size 32
      lava-async train --out memory --neuron tutorial --layers 128,64 --learning-rate 0.002
      lava-async train --out motion --data motion --neuron tutorial --layers 128,64
      lava-async train --out own --data own.py:halves
    """
    if gradient != "unrolled":
        from lava_async._kernel.ahead import compile_ahead  # loads numba

        compile_ahead()
    with silenced():
        from lava_async.study import training as study  # loads torch and SLAYER

    asked = {
        "gradient": gradient, "penalty": penalty, "layers": layers, "conv": conv,
        "batch_size": batch_size, "learning_rate": learning_rate,
    }  # fmt: skip
    with results_folder(out, resume):
        if resume:
            training = study.Training.resume(out, data_root, data)
            given = {
                "method": method and method.value,
                "schedule": schedule and options.choose_schedule(
                    training.settings.schedule, schedule
                )[0],
                "group_size": group_size,
                "noise": noise,
                "seed": seed,
                "data": data,
            }
            _check_agreement(out, training.settings, given)
            where = f"{out}: --resume"
            recipes.check_recipe(where, training.settings.recipe, neuron, **asked)
        else:
            data = data or options.DEFAULT_DATA
            base = RECIPES[neuron or "default"].for_data(data)
            recipe = recipes.choose_recipe(base, **asked)
            chosen = _choose_schedule(method, schedule, group_size, noise, seed)
            training = study.Training(
                Settings(data, chosen, 0 if seed is None else seed, recipe), data_root
            )
        wanted = training.settings.recipe.epochs if epochs is None else epochs
        left = max(wanted - training.epoch, 0)
        bar = progress(f"{training.settings.method}: starting", left)
        with users_code(), training_warnings(), bar as advance:
            training.run(wanted, out, on_epoch=lambda text: advance(text=text))
    with users_code():
        last, by_order = training.history[-1], training.by_order()
    if json:
        settings = training.settings.to_dict()
        print_json({"out": str(out), **settings, **last, "by_order": by_order})
        return
    if not left:
        note(f"nothing to do: {out} has {training.epoch} epochs already")
    print(f"{out}: {training.settings.method}, {study.describe(last)}")
    print_table(COLUMNS, [cells(entry) for entry in by_order])


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
    recorded = {**settings.to_dict(), "schedule": settings.schedule}
    for name in ("group_size", "noise"):
        values = [getattr(part, name) for part in parts if hasattr(part, name)]
        recorded[name] = values[0] if len(set(values)) == 1 else None
    for name, value in given.items():
        if value is not None and value != recorded.get(name):
            raise ValidationError(
                f"{folder}: --resume", name.replace("_", "-"),
                f"{recorded.get(name)}, as in the checkpoint", value,
            )
