"""Schedules: in which order fired spikes are released (see ``semantics``: Schedulers).

A schedule is a frozen description without state. `select` is its meaning, used by the
reference; the kernels obey the same ranking. The driver owns the loop over forward steps.
"""

from __future__ import annotations

import abc
import dataclasses
import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from lava_async._semantics import random
from lava_async._semantics.brief import Brief
from lava_async.errors import ExecutionError, UnsupportedError, ValidationError


def noise_amplitude(noise: float, threshold: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """λ·θ in membrane units, rounded to 24 bits (see `random.uniform24` for why)."""
    return (noise * np.asarray(threshold, np.float64)).astype(np.float32).astype(np.float64)


@dataclass(frozen=True)
class Schedule(Brief, abc.ABC):
    """Base of all schedules."""

    name: ClassVar[str]

    def __str__(self) -> str:
        """In words, e.g. ``momentum, F = 8``; settings beyond F where they are not the default."""
        words = [getattr(self, "name", type(self).__name__)]
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name == "group_size":
                words.append(f"F = {value}")
            elif repr(value) != repr(field.default):  # a user's own may be of any type
                words.append(f"{field.name.replace('_', ' ')} {value}")
        return ", ".join(words)

    def to_dict(self) -> dict[str, Any]:
        """Plain description, e.g. ``{"scheduler": "momentum", "group_size": 8, …}``.

        Raises
        ------
        UnsupportedError
            The schedule is not one of `SCHEDULES`, so that `from_dict` would not know it.
        """
        if SCHEDULES.get(getattr(self, "name", "")) is not type(self):
            raise UnsupportedError(
                "schedule", "kind that can be recorded", f"one of {', '.join(SCHEDULES)}",
                type(self).__name__,
            )
        return {"scheduler": self.name, **dataclasses.asdict(self)}

    @property
    @abc.abstractmethod
    def parts(self) -> tuple[LayerSync | AsyncSchedule, ...]:
        """The schedules that samples run with: more than one only in a `Mixture`."""

    @property
    def layered(self) -> bool:
        """Whether every sample runs layer-synchronized.

        Of a `Mixture`, whether all of its parts do; one with parts of both kinds is neither
        `layered` nor `asynchronous`.
        """
        return all(isinstance(part, LayerSync) for part in self.parts)

    @property
    def asynchronous(self) -> bool:
        """Whether no sample runs layer-synchronized."""
        return not any(isinstance(part, LayerSync) for part in self.parts)

    def draw(self, samples: npt.ArrayLike) -> npt.NDArray[np.intp]:
        """Which of `parts` each sample runs with, by its index. (B,) int -> (B,) int."""
        return np.zeros(np.shape(samples), np.intp)

    def of_sample(self, sample: int) -> LayerSync | AsyncSchedule:
        """The schedule that a sample runs with."""
        return self.parts[int(self.draw([sample])[0])]


@dataclass(frozen=True)
class _Single(Schedule):
    """A schedule that every sample runs with."""

    group_size: int = 8

    def __post_init__(self) -> None:
        size = self.group_size
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
            raise ValidationError(
                type(self).__name__, "group_size", "an integer >= 1", repr(size)
            )
        object.__setattr__(self, "group_size", int(size))

    @property
    def parts(self):
        return (self,)


@dataclass(frozen=True)
class LayerSync(_Single):
    """Layer synchronization, the baseline: each population waits for its predecessors.

    Attributes
    ----------
    group_size : int
        F >= 1. It only counts forward steps: Σ over populations of ceil(spikes / F).
    """

    name: ClassVar[str] = "layer"


@dataclass(frozen=True)
class AsyncSchedule(_Single):
    """Base of the schedules without layer synchronization, and of a user's own.

    A subclass defines `priorities`. It runs on the backends "reference" and "graph" and in the
    trainer; compiled code, which knows the schedules of this package only, refuses it.

    Attributes
    ----------
    group_size : int
        F >= 1: how many spikes are released per forward step, over the whole network.
    """

    @abc.abstractmethod
    def priorities(
        self,
        neurons: npt.NDArray[np.int64],
        momenta: npt.NDArray[np.int64],
        thresholds: npt.NDArray[np.int64],
        fired_at: npt.NDArray[np.int64],
        sample: npt.ArrayLike,
        time_step: int,
        forward_step: int,
    ) -> npt.NDArray[np.float64]:
        """Priority of each pooled spike, highest first; equal: lowest neuron index first.

        It must be a pure function of its arguments.

        Parameters
        ----------
        neurons : (P,) int64
            Neuron of each pooled spike.
        momenta : (P,) int64
            Voltage before the reset, membrane units.
        thresholds : (P,) int64
            Firing threshold θ, membrane units.
        fired_at : (P,) int64
            Forward steps that had run in the time step when each fired.
        sample, time_step, forward_step : int
            These name the draw; ``forward_step`` counts releases from 0.

        Returns
        -------
        (P,) float64
        """

    def rank(
        self,
        neurons: npt.NDArray[np.int64],
        momenta: npt.NDArray[np.int64],
        thresholds: npt.NDArray[np.int64],
        fired_at: npt.NDArray[np.int64],
        sample: npt.ArrayLike,
        time_step: int,
        forward_step: int,
    ) -> npt.NDArray[np.float64]:
        """`priorities`; those of a user's own schedule are checked.

        Raises
        ------
        ExecutionError
            They are not one number each.
        """
        pool = neurons, momenta, thresholds, fired_at
        draw = sample, time_step, forward_step
        if SCHEDULES.get(getattr(self, "name", "")) is type(self):
            return self.priorities(*pool, *draw)
        # Views, because the arrays themselves are the caller's.
        views = neurons.view(), momenta.view(), thresholds.view(), fired_at.view()
        for view in views:
            view.flags.writeable = False
        given: Any = self.priorities(*views, *draw)
        where = f"{type(self).__name__}.priorities"
        wanted = f"{len(neurons)} numbers, one for each spike"
        try:
            found = np.asarray(given)
        except ValueError as error:
            raise ExecutionError(where, "result", wanted, error) from None
        if found.shape != neurons.shape or found.dtype.kind not in "biuf":
            raise ExecutionError(where, "result", wanted, f"{found.dtype} of shape {found.shape}")
        if np.isnan(found).any():
            raise ExecutionError(where, "result", wanted, "nan")
        return found.astype(np.float64)

    def select(
        self,
        neurons: npt.NDArray[np.int64],
        momenta: npt.NDArray[np.int64],
        thresholds: npt.NDArray[np.int64],
        fired_at: npt.NDArray[np.int64],
        sample: int,
        time_step: int,
        forward_step: int,
    ) -> npt.NDArray[np.intp]:
        """Places in the pool of the ``min(F, P)`` spikes to release now."""
        key = self.rank(neurons, momenta, thresholds, fired_at, sample, time_step, forward_step)
        return np.lexsort((neurons, -key))[: self.group_size]


@dataclass(frozen=True)
class Random(AsyncSchedule):
    """A uniformly random subset of the pool.

    Attributes
    ----------
    seed : int
        Key of the counter-based generator, 0 <= seed < 2**64.
    """

    seed: int = 0
    name: ClassVar[str] = "random"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "seed", random.check_seed("Random", self.seed))

    def priorities(
        self, neurons, momenta, thresholds, fired_at, sample, time_step, forward_step
    ):
        return random.uniform53(
            *random.words(
                self.seed, random.Purpose.SCHEDULE, sample, time_step, forward_step, neurons
            )
        )


@dataclass(frozen=True)
class Momentum(AsyncSchedule):
    """The spikes of the highest voltage before reset first.

    Attributes
    ----------
    noise : float
        λ >= 0: adds λ·U(0, 1), in units of the threshold, to each momentum, drawn anew at
        each release.
    seed : int
        Key of the counter-based generator, 0 <= seed < 2**64.
    """

    noise: float = 0.0
    seed: int = 0
    name: ClassVar[str] = "momentum"

    def __post_init__(self) -> None:
        super().__post_init__()
        noise = self.noise
        if (
            isinstance(noise, bool)
            or not isinstance(noise, (int, float, np.integer, np.floating))
            or not 0 <= noise <= 1e6
        ):
            raise ValidationError("Momentum", "noise", "a number in [0, 1e6]", repr(noise))
        object.__setattr__(self, "noise", float(noise))
        object.__setattr__(self, "seed", random.check_seed("Momentum", self.seed))

    def priorities(
        self, neurons, momenta, thresholds, fired_at, sample, time_step, forward_step
    ):
        key = momenta.astype(np.float64)
        if self.noise:
            word, _ = random.words(
                self.seed, random.Purpose.SCHEDULE, sample, time_step, forward_step, neurons
            )
            key = key + noise_amplitude(self.noise, thresholds) * random.uniform24(word)
        return key


@dataclass(frozen=True)
class Fifo(AsyncSchedule):
    """The spikes that fired in the earliest forward step first, as event queues have it."""

    name: ClassVar[str] = "fifo"

    def priorities(
        self, neurons, momenta, thresholds, fired_at, sample, time_step, forward_step
    ):
        return -fired_at.astype(np.float64)


_TOLD = 6
"""Parts of a mixture that are named where it is printed: it stays a line of a table."""


@dataclass(frozen=True)
class Mixture(Schedule):
    """Each sample runs with one of several schedules, drawn by its index.

    For training networks that are good in any order, and for measuring them.

    Attributes
    ----------
    schedules : tuple of Schedule
        One or more, with group sizes of their own; no mixtures.
    weights : tuple of float, optional
        How likely each is, in any unit; all alike by default.
    seed : int
        Key of the counter-based generator, 0 <= seed < 2**64.
    """

    schedules: tuple[LayerSync | AsyncSchedule, ...]
    weights: tuple[float, ...] | None = None
    seed: int = 0
    name: ClassVar[str] = "mixture"

    def __post_init__(self) -> None:
        put = functools.partial(object.__setattr__, self)
        given: Any = self.schedules
        parts = tuple(given) if isinstance(given, Iterable) else ()
        if not parts or not all(isinstance(p, (LayerSync, AsyncSchedule)) for p in parts):
            wanted = "one or more schedules that are no mixtures"
            raise ValidationError("Mixture", "schedules", wanted, repr(given))
        put("schedules", parts)
        put("seed", random.check_seed("Mixture", self.seed))
        if self.weights is not None:
            put("weights", _check_weights(self.weights, len(parts)))

    @property
    def parts(self):
        return self.schedules

    def __str__(self) -> str:
        """In words, e.g. ``mixture of 75% fifo:1; 25% random:8``; of many parts the first."""
        told = [str(part).replace(", F = ", ":", 1) for part in self.schedules[:_TOLD]]
        if self.weights is not None:
            total = sum(self.weights)
            shares = [100 * (weight / total) for weight in self.weights]
            told = [f"{share:.3g}% {part}" for share, part in zip(shares, told, strict=False)]
        if (more := len(self.schedules) - len(told)) > 0:
            told.append(f"{more} more")
        if self.seed:
            told.append(f"seed {self.seed}")
        return f"mixture of {'; '.join(told)}"

    def draw(self, samples):
        if len(self.schedules) == 1:
            return super().draw(samples)
        weights = np.ones(len(self.schedules)) if self.weights is None else self.weights
        total = np.cumsum(weights, dtype=np.float64)
        words = random.words(self.seed, random.Purpose.MIXTURE, samples, 0, 0, 0)
        place = random.uniform53(*words) * 2.0**-53 * total[-1]
        return np.minimum(np.searchsorted(total, place, side="right"), len(total) - 1)

    def to_dict(self):
        weights = None if self.weights is None else list(self.weights)
        schedules = [part.to_dict() for part in self.schedules]
        return {
            "scheduler": self.name, "schedules": schedules, "weights": weights, "seed": self.seed
        }


def _check_weights(weights: Any, count: int) -> tuple[float, ...]:
    try:
        found = np.asarray(weights).reshape(-1)
    except ValueError:
        found = np.zeros(0)  # ragged
    good = found.shape == (count,) and found.dtype.kind in "iuf"
    with np.errstate(over="ignore"):
        good = good and found.min() >= 0 and 0 < found.sum(dtype=np.float64) < np.inf
    if not good:
        wanted = f"{count} numbers >= 0, not all 0, of a finite sum"
        raise ValidationError("Mixture", "weights", wanted, repr(weights))
    return tuple(float(w) for w in found)


SCHEDULES: dict[str, type[Schedule]] = {
    s.name: s for s in (LayerSync, Random, Momentum, Fifo, Mixture)
}


def check_schedule(where: str, schedule: object) -> Schedule:
    """Raise `ValidationError` unless this is a schedule."""
    if not isinstance(schedule, Schedule):
        names = ", ".join(cls.__name__ for cls in SCHEDULES.values())
        wanted = f"one of {names}, or an AsyncSchedule of your own"
        raise ValidationError(where, "schedule", wanted, repr(schedule))
    return schedule


def from_dict(description: dict[str, Any], where: str = "schedule") -> Schedule:
    """The schedule that `Schedule.to_dict` described."""
    settings = dict(description)
    name = settings.pop("scheduler", None)
    if name not in SCHEDULES:
        raise ValidationError(where, "scheduler", f"one of {', '.join(SCHEDULES)}", name)
    cls = SCHEDULES[name]
    known = {f.name for f in dataclasses.fields(cls)}
    unknown = sorted(set(settings) - known)
    if unknown:
        raise ValidationError(where, f"settings of {name}", sorted(known), unknown)
    if cls is Mixture:
        parts = settings.get("schedules")
        if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
            raise ValidationError(where, "schedules", "a list of schedules", repr(parts))
        settings["schedules"] = tuple(from_dict(part, where) for part in parts)
    return cls(**settings)


def check_stop_after(schedule: Schedule, stop_after: int | None) -> int | None:
    """Raise `ValidationError` unless the schedule can stop after ``stop_after``."""
    if stop_after is None:
        return None
    if (
        isinstance(stop_after, bool)
        or not isinstance(stop_after, (int, np.integer))
        or stop_after < 0
    ):
        raise ValidationError(
            type(schedule).__name__, "stop_after", "None or an integer >= 0", repr(stop_after)
        )
    if not schedule.asynchronous:
        raise ValidationError(
            type(schedule).__name__, "stop_after",
            "None: layer-synchronized time steps run to their end", stop_after,
        )
    return int(stop_after)
