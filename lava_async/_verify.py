"""Comparing backends, and finding the first place where two of them part."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lava_async._semantics.graph import Graph
from lava_async._semantics.record import Record
from lava_async._semantics.schedule import Schedule
from lava_async._simulate import BACKENDS, simulate
from lava_async.errors import ExecutionError, ValidationError

ARRAYS = ("spikes", "all_spikes", "forward_steps", "synops", "output_steps", "overflows")
"""What two backends must agree on, and on `READOUT` where there is one; with `trace` also
`TRACES`."""

READOUT = "readout"

TRACES = ("fired_at", "released_at")

_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Difference:
    """The first place where two backends differ, ordered by sample, time step, forward step.

    Attributes
    ----------
    backends : (str, str)
        The one that counts as right and the other.
    sample, time_step : int
        Counted from 0.
    forward_step : int or None
        Forward steps that had run in the time step when the two parted; None if the
        backends at hand do not tell.
    neuron : int or None
        Index over the whole network; None if only a count of the time step differs.
    population : str or None
        Name of the neuron's population.
    array : str
        Array of the `Record` that shows the difference.
    expected, got : int
        Its value there in either backend.
    """

    backends: tuple[str, str]
    sample: int
    time_step: int
    forward_step: int | None
    neuron: int | None
    population: str | None
    array: str
    expected: int
    got: int

    def __str__(self) -> str:
        step = "unknown" if self.forward_step is None else self.forward_step
        place = [f"sample {self.sample}", f"time step {self.time_step}", f"forward step {step}"]
        if self.neuron is not None:
            place.append(f"neuron {self.neuron} of {self.population}")
        return (
            f"{', '.join(place)}: {self.array}: expected {self.expected} as in "
            f"{self.backends[0]} (got {self.got} in {self.backends[1]})"
        )


def verify(
    graph: Graph,
    x: npt.ArrayLike,
    schedule: Schedule | None = None,
    backends: Sequence[str] | None = None,
    *,
    stop_after: int | None = None,
    progress: Callable[[str, int], object] | None = None,
) -> Difference | None:
    """Run every backend and compare all they record, with ``==``.

    Parameters
    ----------
    graph, x, schedule, stop_after
        As in `simulate`.
    backends : sequence of str
        At least two; the first counts as right. All by default.
    progress : callable
        Called from time to time with a backend and the number of samples that it has newly
        done.

    Returns
    -------
    Difference or None
        The first place where a backend differs from the first one; None if all are equal.

    Raises
    ------
    ValidationError
        Unknown or fewer than two backends, or anything that `simulate` refuses.
    """
    given = BACKENDS if backends is None else backends
    is_known = isinstance(given, Sequence) and all(name in BACKENDS for name in given)
    names = list(dict.fromkeys(given)) if is_known else []
    if len(names) < 2:
        raise ValidationError(
            "verify", "backends", f"two or more of {', '.join(BACKENDS)}", repr(backends)
        )
    if progress is not None and not callable(progress):
        raise ValidationError("verify", "progress", "None or a callable", repr(progress))
    right: Record | None = None
    for name in names:
        record = simulate(
            graph, x, schedule, backend=name, stop_after=stop_after, trace=True,
            progress=None if progress is None else functools.partial(progress, name),
        )  # fmt: skip
        if right is None:
            right = record
            continue
        difference = first_difference(graph, right, record, (names[0], name))
        if difference is not None:
            return difference
    return None


def arrays(record: Record) -> tuple[str, ...]:
    """Names of the arrays that every backend records of such a run."""
    return ARRAYS if record.readout is None else (*ARRAYS, READOUT)


def first_difference(
    graph: Graph, right: Record, other: Record, backends: tuple[str, str]
) -> Difference | None:
    """Where two records of the same run differ first, or None.

    Traces are compared where both records have them.
    """
    differs = np.zeros(right.forward_steps.shape, bool)  # (B, T)
    for array in (*arrays(right), *TRACES):
        a, b = getattr(right, array), getattr(other, array)
        if array in TRACES and (a is None or b is None):
            continue
        if a.shape != b.shape:
            raise ExecutionError(f"backend {backends[1]}", f"{array} shape", a.shape, b.shape)
        differs |= (a != b).reshape(len(a), -1, a.shape[-1]).any(axis=1)
    if not differs.any():
        return None
    sample, time_step = (int(i) for i in np.argwhere(differs)[0])
    found = _differences(graph, right, other, sample, time_step)
    step, _, neuron, array, a, b = min(
        found, key=lambda d: (math.inf if d[0] is None else d[0], *d[1:3])
    )
    population = None
    if neuron is not None:
        index = int(np.searchsorted(graph.offsets, neuron, side="right")) - 1
        population = graph.populations[index].name
    return Difference(
        backends, sample, time_step, step, neuron, population, array, int(a), int(b)
    )


def _differences(
    graph: Graph, right: Record, other: Record, sample: int, time_step: int
) -> list[tuple[int | None, int, int | None, str, Any, Any]]:
    """All differences in one time step: (forward step, rank, neuron, array, right, other).

    Lower ranks come first within a forward step: neurons fire, then spikes are released.
    """

    def at(record: Record, array: str) -> npt.NDArray[Any]:
        return getattr(record, array)[sample, ..., time_step].reshape(-1)

    def earliest(array: str) -> npt.NDArray[np.int64]:
        """(N,) first forward step that either record has for a neuron, -1: none."""
        times = np.full((2, graph.num_neurons), _NEVER)
        for row, record in zip(times, (right, other), strict=True):
            if array == "fired_at":
                row[output] = at(record, "output_steps")
            if getattr(record, array) is not None:
                row[:] = at(record, array)
        times[times < 0] = _NEVER
        first = times.min(axis=0)
        return np.where(first == _NEVER, -1, first)

    output = graph.slice(graph.output)
    fired, released = earliest("fired_at"), earliest("released_at")
    found = []
    for rank, (array, when, first_neuron) in enumerate(
        (
            ("all_spikes", fired, 0),
            ("spikes", fired, output.start),
            ("output_steps", fired, output.start),
            (READOUT, fired, output.start),
            ("fired_at", fired, 0),
            ("released_at", released, 0),
        )
    ):
        if getattr(right, array) is None or getattr(other, array) is None:
            continue
        a, b = at(right, array), at(other, array)
        for i in np.flatnonzero(a != b):
            neuron = int(i) + first_neuron
            step = int(when[neuron]) if when[neuron] >= 0 else None
            found.append((step, rank, neuron, array, a[i], b[i]))
    if found:
        return found
    # Only a count differs, so no neuron can be named.
    for rank, array in enumerate(("forward_steps", "synops", "overflows")):
        a, b = at(right, array)[0], at(other, array)[0]
        if a != b:
            step = int(min(a, b)) if array == "forward_steps" else None
            found.append((step, rank, None, array, a, b))
    return found
