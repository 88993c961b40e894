"""What a study is made of: networks to train, each by a method, and ways to run them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lava_async._semantics.schedule import (
    SCHEDULES,
    AsyncSchedule,
    LayerSync,
    Mixture,
    Momentum,
    Random,
    Schedule,
)
from lava_async.datasets import registry
from lava_async.errors import ValidationError
from lava_async.study.settings import DIGITS, OF_0_1_0, Recipe, Settings

GIVEN = "given"
"""The method of networks that others have trained."""


LAYERED, WITH_PENALTY = "layered", "layered + penalty"
UNROLLED, DECISIVE, MIXTURE = "unrolled", "decisive", "decisive, mixture"
METHODS = (LAYERED, WITH_PENALTY, UNROLLED, DECISIVE, MIXTURE)
"""Ways to train: the two baselines, the paper's gradient, ours, and ours over several orders."""

_SINGLE = tuple(name for name, kind in SCHEDULES.items() if kind is not Mixture)
_ASYNCHRONOUS = tuple(name for name in _SINGLE if name != LayerSync.name)


@dataclass(frozen=True)
class Study:
    """Everything that the tables of a study depend on, the package itself apart.

    Attributes
    ----------
    data : str
        Name of a data set, as `datasets.registry.describe` takes it. Networks are trained on its
        training split and run on its test split.
    methods : tuple of str
        Of `METHODS`; none where only given networks are run.
    train_schedules : tuple of str
        Asynchronous schedules that unlayered methods train with, by name.
    group_sizes : tuple of int
        F that unlayered methods train with, and that schedules run with which name none. A
        mixture has all of them, and F = 1, under momentum and random order.
    penalties : tuple of float
        On spikes, a spike and sample; each method trains with each, but ``"layered"`` without and
        ``"unrolled"`` with that of its own recipe.
    seeds : int
        How many: 0, 1, …
    schedules : tuple of str
        What every network runs under, by name, or by name and F as ``"momentum:4"``.
    stop_after : tuple of int
        K of early decision; asynchronous schedules run with each of these, and without.
    given : tuple of path
        Network files to run beside those trained.
    recipe : Recipe
        Of all trainings but the unrolled ones, penalty apart; sizes of input and output are the
        data's.
    unrolled_recipe : Recipe
        Of these: with the other's weights and penalty, that gradient leaves networks silent.
    samples : int, optional
        So many of each split only, the first ones.

    Raises
    ------
    ValidationError
        A value is outside of what is described here.
    """

    data: str = "digits"
    methods: tuple[str, ...] = METHODS
    train_schedules: tuple[str, ...] = (Momentum.name,)
    group_sizes: tuple[int, ...] = (8,)
    penalties: tuple[float, ...] = (DIGITS.penalty,)
    seeds: int = 3
    schedules: tuple[str, ...] = _SINGLE
    stop_after: tuple[int, ...] = ()
    given: tuple[str | os.PathLike[str], ...] = ()
    recipe: Recipe = DIGITS
    unrolled_recipe: Recipe = OF_0_1_0
    samples: int | None = None

    def __post_init__(self) -> None:
        try:
            registry.describe(self.data)
        except ValidationError as error:
            raise ValidationError("study", "data", error.expected, error.got) from error
        _check_each("methods", self.methods, _one_of(METHODS), at_least=0 if self.given else 1)
        _check_each("train_schedules", self.train_schedules, _one_of(_ASYNCHRONOUS))
        _check_each("group_sizes", self.group_sizes, _integers(1))
        _check_each("penalties", self.penalties, _penalties)
        _check_each("schedules", self.schedules, _specs)
        _check_each("stop_after", self.stop_after, _integers(0), at_least=0)
        if WITH_PENALTY in self.methods and not any(self.penalties):
            raise ValidationError(
                "study", "penalties", f"one above 0 for {WITH_PENALTY!r}", repr(self.penalties)
            )
        for what, value in (("seeds", self.seeds), ("samples", self.samples)):
            if value is None and what == "samples":
                continue
            if not _integers(1)[0](value):
                raise ValidationError("study", what, "an integer >= 1", repr(value))
        if self.stop_after and not any(order.asynchronous for _, order in self._orders(0)):
            raise ValidationError(
                "study", "stop_after", "none: layer-synchronized time steps run to their end",
                self.stop_after,
            )

    def trainings(self) -> list[Training]:
        """The networks to train, in the order of the tables."""
        found: dict[str, list[Training]] = {}
        for name in self.methods:
            trainings = found.setdefault(name, [])
            for recipe in self._recipes(name):
                for seed in range(self.seeds):
                    trainings += [
                        Training(name, name, Settings(self.data, schedule, seed, recipe))
                        for schedule in self._trained_with(name, seed)
                    ]
        return [each for trainings in found.values() for each in _labelled(trainings)]

    def runs(self, seed: int | None) -> list[Run]:
        """The ways to run a network whose training had this seed, in the order of the tables."""
        return [
            Run(spec, schedule, stop)
            for spec, schedule in self._orders(seed or 0)
            for stop in (None, *(self.stop_after if schedule.asynchronous else ()))
        ]

    def _recipes(self, name: str) -> list[Recipe]:
        """Those of a method, by their penalties."""
        if name == UNROLLED:
            recipe = self.unrolled_recipe.for_data(self.data)
            return [dataclasses.replace(recipe, gradient="unrolled")]
        penalties = (0.0,) if name == LAYERED else self.penalties
        if name == WITH_PENALTY:
            penalties = tuple(p for p in penalties if p)  # without, it is the other
        recipe = self.recipe.for_data(self.data)
        return [
            dataclasses.replace(recipe, gradient="decisive", penalty=float(penalty))
            for penalty in penalties
        ]

    def _trained_with(self, name: str, seed: int) -> list[Schedule]:
        if name in (LAYERED, WITH_PENALTY):
            return [LayerSync(self.group_sizes[0])]  # F counts forward steps, and changes nothing
        if name != MIXTURE:
            return [
                _schedule(order, size, seed)
                for order in self.train_schedules
                for size in self.group_sizes
            ]
        sizes = dict.fromkeys((*self.group_sizes, 1))
        parts = [kind(size, seed=seed) for kind in (Momentum, Random) for size in sizes]
        return [Mixture(tuple(parts), seed=seed)]

    def _orders(self, seed: int) -> list[tuple[str, LayerSync | AsyncSchedule]]:
        """Schedules to run, by their specs; each once."""
        found: dict[str, LayerSync | AsyncSchedule] = {}
        for text in self.schedules:
            name, colon, size = text.partition(":")
            for group_size in (int(size),) if colon else self.group_sizes:
                found[f"{name}:{group_size}"] = _schedule(name, group_size, seed)
        return list(found.items())

    def to_dict(self) -> dict[str, Any]:
        """Plain data; given files by their names alone."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        values["given"] = [Path(file).name for file in self.given]
        for name in ("recipe", "unrolled_recipe"):
            values[name] = getattr(self, name).to_dict()
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}


@dataclass(frozen=True)
class Training:
    """A network to train.

    Attributes
    ----------
    method : str
        Of `METHODS`.
    name : str
        The method, and what tells its trainings of one seed apart.
    settings : Settings
    """

    method: str
    name: str
    settings: Settings


@dataclass(frozen=True)
class Run:
    """A way to run a network.

    Attributes
    ----------
    spec : str
        Name and F, as ``"momentum:8"``.
    schedule : Schedule
    stop_after : int or None
    """

    spec: str
    schedule: LayerSync | AsyncSchedule
    stop_after: int | None


def describe(schedule: Schedule | None) -> tuple[str, int | None]:
    """What a network was trained with: as ``"momentum:8"``, and F; "" where it is not known."""
    if schedule is None:
        return "", None
    size = getattr(schedule, "group_size", None)
    return schedule.name if size is None else f"{schedule.name}:{size}", size


def _labelled(trainings: list[Training]) -> list[Training]:
    """Trainings of one method, by names that tell those of one seed apart."""
    told: list[Callable[[Settings], str]] = [
        lambda settings: describe(settings.schedule)[0],
        lambda settings: f"penalty {settings.recipe.penalty:g}",
    ]
    differ = [tell for tell in told if len({tell(each.settings) for each in trainings}) > 1]
    return [
        dataclasses.replace(
            each, name=", ".join([each.method, *(tell(each.settings) for tell in differ)])
        )
        for each in trainings
    ]


def _schedule(name: str, group_size: int, seed: int) -> LayerSync | AsyncSchedule:
    kind: Any = SCHEDULES[name]
    draws = any(field.name == "seed" for field in dataclasses.fields(kind))
    return kind(group_size, seed=seed) if draws else kind(group_size)


_Check = tuple[Callable[[Any], bool], str]


def _check_each(what: str, values: Any, check: _Check, at_least: int = 1) -> None:
    """Raise `ValidationError` unless all values are allowed, and each is there once."""
    allowed, wanted = check
    if not isinstance(values, tuple) or len(values) < at_least:
        count = "one or more, each" if at_least else "a tuple, each"
        raise ValidationError("study", what, f"{count} {wanted}", repr(values))
    for value in values:
        if not allowed(value):
            raise ValidationError("study", what, wanted, repr(value))
    if len(set(values)) < len(values):
        raise ValidationError("study", what, "each once", repr(values))


def _one_of(names: Iterable[str]) -> _Check:
    known = tuple(names)
    return lambda value: value in known, f"one of {'; '.join(known)}"


def _integers(lowest: int) -> _Check:
    return (
        lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= lowest,
        f"an integer >= {lowest}",
    )


def _is_spec(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    name, colon, size = value.partition(":")
    return name in _SINGLE and (not colon or (size.isdecimal() and int(size) >= 1))


def _is_penalty(value: Any) -> bool:
    try:
        dataclasses.replace(DIGITS, penalty=value)
    except ValidationError:
        return False
    return True


_specs = _is_spec, f"one of {', '.join(_SINGLE)}, or with F, such as momentum:4"
_penalties = _is_penalty, "a number in [0, 1e6]"


def _with_sizes(*sizes: int) -> tuple[str, ...]:
    """Layer by layer, and each asynchronous order with each F."""
    return ("layer:8", *(f"{name}:{size}" for name in _ASYNCHRONOUS for size in sizes))


PRESETS = {
    "quick": Study(schedules=_with_sizes(1, 4, 8, 32), stop_after=(0, 2, 8)),
    "paper": Study(
        train_schedules=(Momentum.name, Random.name),
        penalties=(0.0, DIGITS.penalty),
        seeds=5,
        schedules=_with_sizes(1, 2, 4, 8, 16, 32, 64),
        stop_after=(0, 1, 2, 4, 8, 16),
    ),
    "full": Study(
        train_schedules=_ASYNCHRONOUS,
        group_sizes=(1, 4, 8, 16, 32),
        penalties=(0.0, 0.001, DIGITS.penalty, 0.01),
        seeds=10,
        schedules=_with_sizes(1, 2, 4, 8, 16, 32, 64),
        stop_after=(0, 1, 2, 4, 8, 16),
    ),
}
"""Studies by name: minutes; what the paper compares; everything."""
