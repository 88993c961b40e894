"""Schedules: in which order fired spikes are released (see ``semantics``: Schedulers).

A schedule is a frozen description without state. `select` is its meaning, used by the
reference; the kernels obey the same ranking. The driver owns the loop over forward steps.
"""

from __future__ import annotations

import abc
import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from lava_async._semantics import random
from lava_async.errors import ValidationError


def noise_amplitude(noise: float, threshold: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """λ·θ in membrane units, rounded to 24 bits (see `random.uniform24` for why)."""
    return (noise * np.asarray(threshold, np.float64)).astype(np.float32).astype(np.float64)


@dataclass(frozen=True)
class Schedule(abc.ABC):
    """Base of all schedules.

    Attributes
    ----------
    group_size : int
        F >= 1: how many spikes are released per forward step, over the whole network.
    """

    group_size: int = 8
    name: ClassVar[str]

    def __post_init__(self) -> None:
        size = self.group_size
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
            raise ValidationError(type(self).__name__, "group_size", "an integer >= 1", repr(size))
        object.__setattr__(self, "group_size", int(size))

    def to_dict(self) -> dict[str, Any]:
        """Plain description, e.g. ``{"scheduler": "momentum", "group_size": 8, …}``."""
        return {"scheduler": self.name, **dataclasses.asdict(self)}


@dataclass(frozen=True)
class LayerSync(Schedule):
    """Layer synchronization, the baseline: each population waits for its predecessors.

    ``group_size`` only counts forward steps: Σ over populations of ceil(spikes / F).
    """

    name: ClassVar[str] = "layer"


@dataclass(frozen=True)
class AsyncSchedule(Schedule):
    """Base of the schedules without layer synchronization."""

    @abc.abstractmethod
    def priorities(
        self,
        neurons: npt.NDArray[np.int64],
        momenta: npt.NDArray[np.int64],
        thresholds: npt.NDArray[np.int64],
        sample: npt.ArrayLike,
        time_step: int,
        forward_step: int,
    ) -> npt.NDArray[np.float64]:
        """Priority of each pooled spike, highest first; equal: lowest neuron index first.

        Parameters
        ----------
        neurons : (P,) int64
            Neuron of each pooled spike.
        momenta : (P,) int64
            Voltage before the reset, membrane units.
        thresholds : (P,) int64
            Firing threshold θ, membrane units.
        sample : int or (P,) int64
        time_step, forward_step : int
            These name the draw; ``forward_step`` counts releases from 0.
        """

    def select(
        self,
        neurons: npt.NDArray[np.int64],
        momenta: npt.NDArray[np.int64],
        thresholds: npt.NDArray[np.int64],
        sample: int,
        time_step: int,
        forward_step: int,
    ) -> npt.NDArray[np.intp]:
        """Places in the pool of the ``min(F, P)`` spikes to release now."""
        key = self.priorities(neurons, momenta, thresholds, sample, time_step, forward_step)
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

    def priorities(self, neurons, momenta, thresholds, sample, time_step, forward_step):
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

    def priorities(self, neurons, momenta, thresholds, sample, time_step, forward_step):
        key = momenta.astype(np.float64)
        if self.noise:
            word, _ = random.words(
                self.seed, random.Purpose.SCHEDULE, sample, time_step, forward_step, neurons
            )
            key = key + noise_amplitude(self.noise, thresholds) * random.uniform24(word)
        return key


SCHEDULES: dict[str, type[Schedule]] = {s.name: s for s in (LayerSync, Random, Momentum)}


def from_dict(description: dict[str, Any], where: str = "schedule") -> Schedule:
    """The schedule that `Schedule.to_dict` described."""
    settings = dict(description)
    name = settings.pop("scheduler", None)
    if name not in SCHEDULES:
        raise ValidationError(where, "scheduler", f"one of {sorted(SCHEDULES)}", name)
    cls = SCHEDULES[name]
    known = {f.name for f in dataclasses.fields(cls)}
    unknown = sorted(set(settings) - known)
    if unknown:
        raise ValidationError(where, f"settings of {name}", sorted(known), unknown)
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
    if not isinstance(schedule, AsyncSchedule):
        raise ValidationError(
            type(schedule).__name__, "stop_after",
            "None: layer-synchronized time steps run to their end", stop_after,
        )
    return int(stop_after)
