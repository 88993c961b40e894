"""A run in a few numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lava_async._semantics.graph import Graph
from lava_async._semantics.record import Record
from lava_async.metrics._activity import spikes_per_sample, synops_per_sample
from lava_async.metrics._checks import check_graph
from lava_async.metrics._decisions import accuracy, decision_latency, first_correct_latency
from lava_async.metrics._statistics import Interval, wilson_interval


@dataclass(frozen=True)
class Evaluation:
    """A run in a few numbers; see the functions of the same names.

    Attributes
    ----------
    samples : int
        B.
    accuracy : float
        Share of right predictions.
    spikes_per_sample : float
        Mean number of spikes of all neurons.
    spike_density : float
        Spikes / (neurons x time steps).
    forward_steps_per_sample : float
        Mean number of forward steps over all time steps.
    decision_latency : float or None
        Forward steps, mean over the samples that have a prediction; None if none has.
    decision_time_steps : float or None
        The same decision latency in time steps.
    first_correct_latency : float or None
        Mean over the samples that are right at any time; None if none is.
    synops_per_sample : float
        Mean number of synaptic operations.
    overflows : int
        Wraps and clips of all samples together.
    """

    samples: int
    accuracy: float
    spikes_per_sample: float
    spike_density: float
    forward_steps_per_sample: float
    decision_latency: float | None
    decision_time_steps: float | None
    first_correct_latency: float | None
    synops_per_sample: float
    overflows: int

    @property
    def accuracy_interval(self) -> Interval:
        """`wilson_interval` of the accuracy, 95 %."""
        return wilson_interval(round(self.accuracy * self.samples), self.samples)


def evaluate(graph: Graph, record: Record, labels: npt.ArrayLike) -> Evaluation:
    """Summarise a run of `graph`.

    Raises
    ------
    ValidationError
        If the labels or the graph do not fit the record.
    """
    check_graph(graph, record)
    samples = len(record.spikes)
    spikes = int(spikes_per_sample(record).sum())
    return Evaluation(
        samples=samples,
        accuracy=accuracy(record, labels),
        spikes_per_sample=spikes / samples,
        spike_density=spikes / record.all_spikes.size,
        forward_steps_per_sample=int(record.forward_steps.sum()) / samples,
        decision_latency=_mean_known(decision_latency(record)),
        decision_time_steps=_mean_known(decision_latency(record, "time_steps")),
        first_correct_latency=_mean_known(first_correct_latency(record, labels)),
        synops_per_sample=int(synops_per_sample(record).sum()) / samples,
        overflows=int(record.overflows.sum()),
    )


def _mean_known(latency: npt.NDArray[np.int64]) -> float | None:
    known = latency[latency >= 0]
    return float(known.mean()) if known.size else None
