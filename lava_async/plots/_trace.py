"""When the spikes of one sample fired and left the pool, on one axis of forward steps."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lava_async._semantics.graph import Graph
from lava_async._semantics.record import Record
from lava_async.errors import ValidationError

Ints = npt.NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class Trace:
    """One sample of a record; N neurons, T time steps.

    Attributes
    ----------
    fired_at : (N, T) int
        As in `Record`.
    released_at : (N, T) int or None
        As in `Record`; None where the sample ran under `LayerSync`, in a mixture too.
    forward_steps : (T,) int
    """

    fired_at: Ints
    released_at: Ints | None
    forward_steps: Ints

    @classmethod
    def of(cls, where: str, graph: Graph, record: Record, sample: int) -> Trace:
        """The trace of one sample.

        Raises
        ------
        ValidationError
            If the record has no trace or no such sample, or is not of this graph.
        """
        if record.fired_at is None:
            raise ValidationError(where, "record", "one of a run with trace=True", "none")
        samples, neurons, _ = record.fired_at.shape
        if neurons != graph.num_neurons:
            raise ValidationError(where, "neurons", graph.num_neurons, neurons)
        if not 0 <= sample < samples:
            raise ValidationError(where, "sample", f"0..{samples - 1}", sample)
        released_at = None
        if record.released_at is not None:
            one = slice(sample, sample + 1)
            if not layered_samples(record.released_at[one], record.forward_steps[one])[0]:
                released_at = record.released_at[sample]
        return cls(record.fired_at[sample], released_at, record.forward_steps[sample])

    @functools.cached_property
    def start(self) -> npt.NDArray[np.int64]:
        """(T + 1,) place of each time step, which holds its evaluations 0..forward steps."""
        return np.concatenate([[0], np.cumsum(self.forward_steps + 1)])

    def releases(self, graph: Graph) -> Ints:
        """(N, T) `released_at`, also under `LayerSync`, as the same machine would release.

        There a population's spikes share the forward steps that it needs, in order of the
        neurons; which spike takes which is not part of the semantics.
        """
        if self.released_at is not None:
            return self.released_at
        released = np.full_like(self.fired_at, -1)
        for t, end in enumerate(self.forward_steps.tolist()):
            for p in reversed(graph.order):
                here = graph.slice(p)
                spikes = np.flatnonzero(self.fired_at[here, t] >= 0) + here.start
                if len(spikes):
                    begin = int(self.fired_at[spikes[0], t])
                    share = np.arange(len(spikes)) * (end - begin) // len(spikes)
                    released[spikes, t] = begin + share
                    end = begin
        return released


def layered_samples(released_at: Ints, forward_steps: Ints) -> npt.NDArray[np.bool_]:
    """(B,) whether a sample of a mixture's record ran under `LayerSync`.

    Asynchronous forward steps release at least one spike each.
    """
    return (released_at < 0).all(axis=(1, 2)) & forward_steps.any(axis=1)


def check_time_steps(where: str, time_steps: range | None, steps: int) -> range:
    """The time steps to show, all by default.

    Raises
    ------
    ValidationError
        They are no range of step 1 inside 0..steps.
    """
    if time_steps is None:
        return range(steps)
    wanted = f"a range inside range({steps}), of step 1"
    if not isinstance(time_steps, range) or time_steps.step != 1 or not time_steps:
        raise ValidationError(where, "time_steps", wanted, repr(time_steps))
    if time_steps.start < 0 or time_steps.stop > steps:
        raise ValidationError(where, "time_steps", wanted, repr(time_steps))
    return time_steps
