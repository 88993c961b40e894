"""Accuracy under several schedules: how much the order of the spikes matters."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lava_async._parts import Frames, parts
from lava_async._semantics.brief import Brief
from lava_async._semantics.graph import Graph
from lava_async._semantics.schedule import Schedule, check_schedule, check_stop_after
from lava_async._simulate import check_input, check_sample_ids, simulate
from lava_async.errors import ValidationError
from lava_async.metrics._activity import spikes_per_sample
from lava_async.metrics._checks import check_labels
from lava_async.metrics._decisions import predict
from lava_async.metrics._statistics import Interval, wilson_interval


class ScheduleAccuracy(NamedTuple):
    """What one schedule reaches."""

    accuracy: float
    schedule: Schedule

    def __str__(self) -> str:
        return f"{self.schedule}: {self.accuracy:.3f}"


@dataclass(frozen=True, eq=False)
class AccuracyBySchedule(Brief):
    """How well a network does under each of K schedules, in the order given.

    Attributes
    ----------
    schedules : tuple of Schedule
    accuracy : (K,) float64
        Share of right predictions.
    spikes_per_sample : (K,) float64
        Mean number of spikes of all neurons.
    predictions : (K, B) int64
        Class of each sample, as `predict` has it.
    """

    schedules: tuple[Schedule, ...]
    accuracy: npt.NDArray[np.float64]
    spikes_per_sample: npt.NDArray[np.float64]
    predictions: npt.NDArray[np.int64]

    @property
    def worst(self) -> ScheduleAccuracy:
        """Of the lowest accuracy; of equal ones the first."""
        return self._at(int(self.accuracy.argmin()))

    @property
    def best(self) -> ScheduleAccuracy:
        """Of the highest accuracy; of equal ones the first."""
        return self._at(int(self.accuracy.argmax()))

    @property
    def accuracy_intervals(self) -> tuple[Interval, ...]:
        """`wilson_interval` of each accuracy, 95 %."""
        samples = self.predictions.shape[1]
        return tuple(
            wilson_interval(round(share * samples), samples) for share in self.accuracy.tolist()
        )

    @property
    def agreement(self) -> npt.NDArray[np.float64]:
        """(K, K) share of the samples that two schedules decide alike."""
        return np.array([(self.predictions == own).mean(axis=1) for own in self.predictions])

    def __str__(self) -> str:
        """A line each schedule: accuracy, its interval, spikes; then which is worst and best."""
        names = [str(schedule) for schedule in self.schedules]
        width = max(map(len, names))
        lines = [
            f"{name:{width}}  {share:.3f} [{low:.3f}, {high:.3f}]  {spikes:,.1f} spikes a sample"
            for name, share, (low, high), spikes in zip(
                names, self.accuracy, self.accuracy_intervals, self.spikes_per_sample, strict=True
            )
        ]
        if len(names) > 1:
            lines += [
                f"worst: {self.worst}; best: {self.best}; two decide alike in at least "
                f"{self.agreement.min():.3f} of the samples"
            ]
        return "\n".join(lines)

    def _at(self, place: int) -> ScheduleAccuracy:
        return ScheduleAccuracy(float(self.accuracy[place]), self.schedules[place])


def accuracy_by_schedule(
    graph: Graph,
    x: npt.ArrayLike | Frames,
    labels: npt.ArrayLike,
    schedules: Iterable[Schedule],
    *,
    backend: str = "kernel",
    stop_after: int | None = None,
    sample_ids: npt.ArrayLike | None = None,
    num_threads: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> AccuracyBySchedule:
    """Run the same samples under each schedule.

    Samples are run in parts, of which only predictions and numbers of spikes are kept, so that
    memory is bounded for any number of them. What gives arrays where it is sliced, as the frames
    of `datasets.registry` that stay on the disk and data sets of HDF5 do, is read in parts, too.

    Parameters
    ----------
    graph : Graph
    x : (B, *input_shape, T) array of whole numbers >= 0
        Input spikes per time step.
    labels : (B,) array of int
        In 0..C - 1.
    schedules : iterable of Schedule
        One or more, mixtures among them.
    backend, stop_after, sample_ids, num_threads
        As `lava_async.simulate` has them, for every schedule.
    progress : callable, optional
        Called from time to time with the number of runs that are newly done, of K x B in all:
        one of each sample under each schedule.

    Raises
    ------
    ValidationError
        An argument is outside what is described here.
    """
    where = "accuracy_by_schedule"
    if not isinstance(graph, Graph):
        raise ValidationError(where, "graph", "a Graph", type(graph).__name__)
    orders = _check_schedules(where, schedules, stop_after)
    frames = _check_frames(graph, x)
    ids = check_sample_ids(where, sample_ids, len(frames))
    labels = check_labels(labels, len(frames), graph.num_classes)

    predictions = np.zeros((len(orders), len(frames)), np.int64)
    spikes = np.zeros(len(orders), np.int64)
    for part in parts(frames, graph):
        held = frames[part]
        for i, schedule in enumerate(orders):
            record = simulate(
                graph, held, schedule, backend=backend, stop_after=stop_after,
                sample_ids=ids[part], num_threads=num_threads, progress=progress,
            )  # fmt: skip
            predictions[i, part] = predict(record)
            spikes[i] += spikes_per_sample(record).sum()
    right = (predictions == labels).mean(axis=1)
    return AccuracyBySchedule(orders, right, spikes / len(frames), predictions)


def _check_frames(graph: Graph, x: Any) -> Frames:
    """As `check_input`; but what is no array before it is sliced is checked as parts of it run."""
    is_sliced = not isinstance(x, np.ndarray) and isinstance(getattr(x, "dtype", None), np.dtype)
    if is_sliced and 0 not in x.shape and x.shape[1:-1] == graph.input_shape:
        return x
    return check_input(graph, x)


def _check_schedules(
    where: str, schedules: Any, stop_after: int | None
) -> tuple[Schedule, ...]:
    given = tuple(schedules) if isinstance(schedules, Iterable) else ()
    if not given:
        raise ValidationError(where, "schedules", "one or more schedules", repr(schedules))
    for schedule in given:
        check_schedule(where, schedule)
        check_stop_after(schedule, stop_after)
    return given
