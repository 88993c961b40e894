"""What a training is determined by: data, schedule, seed, and a recipe for everything else."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from lava_async._semantics import random
from lava_async._semantics import schedule as schedules
from lava_async._semantics.schedule import Schedule
from lava_async.datasets import registry
from lava_async.errors import ValidationError

Gradient = Literal["decisive", "unrolled"]
Loss = Literal["spike_count", "spike_rate"]
KERNEL_SIZE, STRIDE = 3, 2
MAX_WEIGHTS = 10**8
"""More, and the optimizer's state alone takes gigabytes."""


@dataclass(frozen=True)
class Recipe:
    """Network and training.

    Attributes
    ----------
    input_shape : (C, H, W)
    channels : tuple of int
        Of the convolutions, kernel 3 and stride 2, that come first, if any.
    sizes : tuple of int
        Neurons of the dense layers, the last one a neuron per class.
    threshold, current_decay, voltage_decay, tau_grad, scale_grad : float
        SLAYER's neuron parameters. Decays of 1: no memory between time steps.
    weight_scale : float
        Scale of the initial weights, such that spikes reach the last layer from the start.
    weight_norm : bool
        SLAYER's weight normalization.
    gradient : "decisive" or "unrolled"
    penalty : float
        Factor of the spikes a sample in the loss.
    target_density : float or None
        Spikes / (neurons x time steps) that the penalty leaves free.
    loss : "spike_count" or "spike_rate"
        Cross-entropy with the spike counts of the output neurons as logits, the mean of a batch;
        or SLAYER's ``SpikeRate``, the sum of a batch.
    true_rate, false_rate : float
        Spikes a time step that ``"spike_rate"`` wants of the class and of the others.
    input_dropout : float
        Of the input spikes, in training.
    batch_size : int
    learning_rate : float
        Adam's, at its highest; rises from a tenth over the first ``warm_up`` of the epochs, then
        falls as a cosine to ``final_rate`` of itself, and stays there.
    warm_up, final_rate : float
    weight_decay : float
    epochs : int

    Raises
    ------
    ValidationError
        A value is outside of its range, or the network is too large.
    """

    input_shape: tuple[int, int, int] = (2, 34, 34)
    channels: tuple[int, ...] = ()
    sizes: tuple[int, ...] = (64, 64, 64, 10)
    threshold: float = 1.25
    current_decay: float = 1.0
    voltage_decay: float = 1.0
    tau_grad: float = 0.0128
    scale_grad: float = 19.2
    weight_scale: float = 12.0
    weight_norm: bool = False
    gradient: Gradient = "decisive"
    penalty: float = 0.0
    target_density: float | None = None
    loss: Loss = "spike_count"
    true_rate: float = 0.2
    false_rate: float = 0.03
    input_dropout: float = 0.25
    batch_size: int = 64
    learning_rate: float = 0.08
    warm_up: float = 0.3
    final_rate: float = 0.01
    weight_decay: float = 1e-5
    epochs: int = 15

    def __post_init__(self) -> None:
        for name, (allowed, wanted) in _ALLOWED.items():
            value = getattr(self, name)
            if not allowed(value):
                raise ValidationError("recipe", name, wanted, repr(value))
        dense = itertools.pairwise(self.dense_sizes)
        weights = sum(i * o for i, o in dense)
        weights += sum(KERNEL_SIZE**2 * i * o for i, o in self.convolutions)
        if weights > MAX_WEIGHTS:
            raise ValidationError("recipe", "weights", f"at most {MAX_WEIGHTS}", weights)

    @property
    def convolutions(self) -> list[tuple[int, int]]:
        """Channels of what each convolution sees, and its own."""
        return list(itertools.pairwise((self.input_shape[0], *self.channels)))

    @property
    def dense_sizes(self) -> tuple[int, ...]:
        """Neurons of what the dense layers see, then of each of them."""
        frame = self.input_shape[1:]
        for _ in self.channels:
            if min(frame) < KERNEL_SIZE:
                wanted = f"so few that frames stay at least {KERNEL_SIZE} wide and high"
                raise ValidationError("recipe", "channels", wanted, self.channels)
            frame = [(size - KERNEL_SIZE) // STRIDE + 1 for size in frame]
        channels = (self.input_shape[0], *self.channels)[-1]
        return (channels * math.prod(frame), *self.sizes)

    @property
    def neuron(self) -> dict[str, float]:
        """Parameters of SLAYER's CUBA neuron."""
        return {name: getattr(self, name) for name in _NEURON}

    def rate_at(self, progress: float) -> float:
        """The learning rate after ``progress`` epochs."""
        done = min(progress / self.epochs, 1.0)
        if done < self.warm_up:
            factor = 0.1 + 0.9 * done / self.warm_up
        else:
            fall = (done - self.warm_up) / (1 - self.warm_up)
            cosine = (1 + math.cos(math.pi * fall)) / 2
            factor = self.final_rate + (1 - self.final_rate) * cosine
        return self.learning_rate * factor

    def for_data(self, name: str) -> Recipe:
        """The same for a data set: its input shape, and a neuron for each of its classes.

        Raises
        ------
        ValidationError
            There is no such data set, or the network does not fit it.
        """
        data = registry.describe(name)
        sizes = (*self.sizes[:-1], data.num_classes)
        return dataclasses.replace(self, input_shape=data.input_shape, sizes=sizes)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, from which `from_dict` makes the recipe again."""
        values = dataclasses.asdict(self)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    @classmethod
    def from_dict(cls, description: dict[str, Any]) -> Recipe:
        """The recipe that `to_dict` described.

        Raises
        ------
        ValidationError
            Fields are missing, unknown, or outside of their ranges.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        if set(description) != set(names):
            raise ValidationError("recipe", "fields", names, list(description))
        values: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in description.items()
        }
        return cls(**values)


_NEURON = ("threshold", "current_decay", "voltage_decay", "tau_grad", "scale_grad")


def _number(lowest: float, highest: float = 1e6, closed: str = "both") -> tuple[Any, str]:
    """Whether a value is a number in a range, and the range in words."""

    def allowed(value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        above = lowest < value or (lowest == value and closed != "right")
        return above and (value < highest or (value == highest and closed != "left"))

    opening, closing = "(" if closed == "right" else "[", ")" if closed == "left" else "]"
    return allowed, f"a number in {opening}{lowest:g}, {highest:g}{closing}"


def _positive(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_WEIGHTS


def _integers(lowest: int, highest: int | None = None) -> tuple[Any, str]:
    """Whether a value is so many integers >= 1, and that in words."""

    def allowed(value: Any) -> bool:
        few = isinstance(value, tuple) and lowest <= len(value)
        return few and (highest is None or len(value) <= highest) and all(map(_positive, value))

    count = {(3, 3): "three", (0, None): "any number of"}.get((lowest, highest), "one or more")
    return allowed, f"{count} integers >= 1"


def _one_of(names: tuple[str, ...]) -> tuple[Any, str]:
    return lambda value: value in names, f"one of {', '.join(names)}"


_density, _wanted = _number(0, 1)
_ALLOWED: dict[str, tuple[Callable[[Any], bool], str]] = {
    "input_shape": _integers(3, 3),
    "channels": _integers(0),
    "sizes": _integers(1),
    "threshold": _number(0, closed="right"),
    "current_decay": _number(0, 1),
    "voltage_decay": _number(0, 1),
    "tau_grad": _number(0, closed="right"),
    "scale_grad": _number(0, closed="right"),
    "weight_scale": _number(0, closed="right"),
    "weight_norm": (lambda value: isinstance(value, bool), "True or False"),
    "gradient": _one_of(get_args(Gradient)),
    "penalty": _number(0),
    "target_density": (lambda value: value is None or _density(value), f"None or {_wanted}"),
    "loss": _one_of(get_args(Loss)),
    "true_rate": _number(0, 1),
    "false_rate": _number(0, 1),
    "input_dropout": _number(0, 1, "left"),
    "batch_size": (_positive, "an integer >= 1"),
    "learning_rate": _number(0, closed="right"),
    "warm_up": _number(0, 1, "left"),
    "final_rate": _number(0, 1),
    "weight_decay": _number(0),
    "epochs": (_positive, "an integer >= 1"),
}

OF_0_1_0 = Recipe(gradient="unrolled")
"""What 0.1.0 trained by, which its checkpoints do not say."""

DIGITS = Recipe(weight_scale=8.0, penalty=0.003)
"""The digits' own, chosen on folds of the training split.

The surrogate derivative is 0.6 at the threshold and falls by 1/e within 1.6 voltage units: wide
enough for silent neurons to learn from a few forward steps.
"""

TUTORIAL = Recipe(
    threshold=1.25, current_decay=0.25, voltage_decay=0.03, tau_grad=0.03, scale_grad=3.0,
    weight_scale=1.0, weight_norm=True, penalty=5e-6, loss="spike_rate", true_rate=0.5,
    false_rate=0.03, input_dropout=0.0, batch_size=32, learning_rate=0.003, warm_up=0.0,
    final_rate=0.01, weight_decay=0.0,
)  # fmt: skip
"""With memory: neurons, weight normalization and loss of SLAYER's tutorials; the rest chosen on
folds of the training split."""

RECIPES = {"default": DIGITS, "tutorial": TUTORIAL}
"""By the names that the command line has for their neurons."""


@dataclass(frozen=True)
class Settings:
    """What a training run is determined by, its number of epochs apart.

    Attributes
    ----------
    data : str
        Name of the data set.
    schedule : Schedule
        To train with; `LayerSync` is layered training.
    seed : int
        Of weights, order and dropout.
    recipe : Recipe
    """

    data: str
    schedule: Schedule
    seed: int
    recipe: Recipe = DIGITS

    def __post_init__(self) -> None:
        data = registry.describe(self.data)
        for what, wanted, got in (
            ("input_shape", data.input_shape, self.recipe.input_shape),
            ("outputs", data.num_classes, self.recipe.sizes[-1]),
        ):
            if got != wanted:
                raise ValidationError("recipe", what, f"{wanted}, as of {self.data}", got)
        random.check_seed("training", self.seed)

    @property
    def method(self) -> str:
        return "layered" if self.schedule.layered else "unlayered"

    def to_dict(self) -> dict[str, Any]:
        return {
            "data": self.data,
            "method": self.method,
            "schedule": self.schedule.to_dict(),
            "seed": self.seed,
            # As 0.1.0 wrote it, so that its files stay as they are.
            **({} if self.recipe == OF_0_1_0 else {"recipe": self.recipe.to_dict()}),
        }

    @classmethod
    def from_dict(cls, description: dict[str, Any]) -> Settings:
        """The settings that `to_dict` described."""
        check_fields("settings", description, {"data": str, "schedule": dict, "seed": int})
        schedule = schedules.from_dict(description["schedule"])
        recipe = OF_0_1_0
        if "recipe" in description:
            check_fields("settings", description, {"recipe": dict})
            recipe = Recipe.from_dict(description["recipe"])
        return cls(description["data"], schedule, description["seed"], recipe)


def check_fields(where: str, fields: dict[str, Any], kinds: dict[str, type]) -> None:
    """Raise `ValidationError` unless there are fields of these kinds."""
    for name, kind in kinds.items():
        if not isinstance(fields.get(name), kind):
            got = type(fields[name]).__name__ if name in fields else "nothing"
            raise ValidationError(where, name, f"a {kind.__name__}", got)
