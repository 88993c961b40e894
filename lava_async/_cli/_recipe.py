"""Options that make a recipe."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, get_args

import typer

from lava_async._cli._options import number, one_of
from lava_async.errors import ValidationError
from lava_async.study.settings import RECIPES, Gradient, Recipe

_PENALTIES = ", ".join(f"{name}: {recipe.penalty}" for name, recipe in RECIPES.items())

NeuronOption = Annotated[
    str | None,
    typer.Option(
        "--neuron",
        **one_of(RECIPES),
        help="Which recipe: neurons without memory between time steps, the default; or those of "
        "SLAYER's tutorials, with memory, and their loss.",
        show_default=False,
    ),
]
GradientOption = Annotated[
    str | None,
    typer.Option(
        "--gradient",
        **one_of(get_args(Gradient)),
        help="Through the one outcome of each neuron and time step, or through every forward "
        "step; decisive by default.",
        show_default=False,
    ),
]
PenaltyOption = Annotated[
    float | None,
    typer.Option(
        "--penalty",
        **number(float),
        metavar="X",
        help="Added to the loss for each spike a sample, 0 for none; the recipe's by default "
        f"({_PENALTIES}), chosen on folds of the training split.",
        show_default=False,
    ),
]
LayersOption = Annotated[
    str | None,
    typer.Option(
        "--layers",
        metavar="N,N,…",
        help="Neurons of the dense layers before the last one.",
        show_default=False,
    ),
]
ConvOption = Annotated[
    str | None,
    typer.Option(
        "--conv",
        metavar="C,C,…",
        help="Channels of convolutions (kernel 3, stride 2) that come first; then the last layer "
        "alone is dense, and those of --layers.",
        show_default=False,
    ),
]
BatchSizeOption = Annotated[
    int | None,
    typer.Option(
        "--batch-size", **number(int), metavar="N", help="Samples a step; the recipe's by default.",
        show_default=False,
    ),
]  # fmt: skip
LearningRateOption = Annotated[
    float | None,
    typer.Option(
        "--learning-rate", **number(float), metavar="X",
        help="Adam's, at its highest; the recipe's by default.", show_default=False,
    ),
]  # fmt: skip


_OPTIONS = {"channels": "conv", "sizes": "layers"}
"""Where they do not have the name of the recipe's field."""


def choose_recipe(
    base: Recipe,
    gradient: str | None = None,
    penalty: float | None = None,
    layers: str | None = None,
    conv: str | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
) -> Recipe:
    """The recipe that options ask for; what they do not is as in ``base``.

    Raises
    ------
    ValidationError
        A value cannot be read, or is outside of what a recipe takes.
    """
    changes: dict[str, Any] = {
        "gradient": gradient,
        "penalty": penalty,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
    }
    changes = {field: value for field, value in changes.items() if value is not None}
    classes = base.sizes[-1]
    if conv is not None:
        changes |= {"channels": _integers("--conv", conv), "sizes": (classes,)}
    if layers is not None:
        changes["sizes"] = (*_integers("--layers", layers), classes)
    return dataclasses.replace(base, **changes)


def check_recipe(where: str, recorded: Recipe, neuron: str | None, **options: Any) -> None:
    """Refuse options, as `choose_recipe` takes them, that contradict a recorded recipe."""
    names = [name for name, recipe in RECIPES.items() if recipe.neuron == recorded.neuron]
    if neuron is not None and neuron not in names:
        known = names[0] if names else "another"
        raise ValidationError(where, "neuron", f"{known}, as in the checkpoint", neuron)
    asked = choose_recipe(recorded, **options)
    for field in dataclasses.fields(Recipe):
        before, now = getattr(recorded, field.name), getattr(asked, field.name)
        if before != now:
            what = _OPTIONS.get(field.name, field.name).replace("_", "-")
            raise ValidationError(where, what, f"{before}, as in the checkpoint", now)


def _integers(option: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(int(number) for number in text.split(","))
    except ValueError:
        raise ValidationError(option, "value", "integers such as 64,64", repr(text)) from None
