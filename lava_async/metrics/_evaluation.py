"""A run in a few numbers."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from lava_async._semantics.brief import Brief
from lava_async._semantics.graph import Graph
from lava_async._semantics.record import Record
from lava_async.errors import ValidationError
from lava_async.metrics._activity import spikes_per_neuron
from lava_async.metrics._checks import check_graph, check_record_labels
from lava_async.metrics._decisions import follow, predict
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


@dataclass(frozen=True, eq=False)
class Totals(Brief):
    """What a run adds up to over its samples: whole numbers, so that parts add up to the whole.

    For more samples than a record has room for: run them in parts, each with the ``sample_ids``
    that are its own, and add up ``Totals.of(record, labels)``.

    Attributes
    ----------
    samples : int
        B.
    time_steps : int
        Of each sample, T.
    correct : int
        Samples whose `predict` is right.
    spikes : (N,) int64
        Of each neuron.
    forward_steps, synops, overflows : int
    decided, decision_steps, decision_time_steps : int
        Samples that have a prediction, and their `decision_latency` in either unit.
    ever_correct, first_correct_steps : int
        Samples that are right at any time, and their `first_correct_latency`.
    correct_after : (S + 1,) int64
        Samples that would be right if they were decided after *j* forward steps in all, see
        `accuracy_curve`.
    """

    samples: int
    time_steps: int
    correct: int
    spikes: npt.NDArray[np.int64]
    forward_steps: int
    synops: int
    overflows: int
    decided: int
    decision_steps: int
    decision_time_steps: int
    ever_correct: int
    first_correct_steps: int
    correct_after: npt.NDArray[np.int64]

    @classmethod
    def of(cls, record: Record, labels: npt.ArrayLike) -> Totals:
        """Those of a record, of samples with labels (B,) in 0..C - 1.

        Raises
        ------
        ValidationError
            The labels do not fit the record.
        """
        predicted = predict(record)
        labels = check_record_labels(record, labels)
        course, by_time = follow(record, "forward_steps"), follow(record, "time_steps")
        decision = course.decision_latency(len(labels))
        first_correct = course.first_correct_latency(labels)
        decided, right_once = decision >= 0, first_correct >= 0
        return cls(
            samples=len(labels),
            time_steps=record.shape[2],
            correct=int((predicted == labels).sum()),
            spikes=spikes_per_neuron(record),
            forward_steps=int(record.forward_steps.sum()),
            synops=int(record.synops.sum()),
            overflows=int(record.overflows.sum()),
            decided=int(decided.sum()),
            decision_steps=int(decision[decided].sum()),
            decision_time_steps=int(by_time.decision_latency(len(labels))[decided].sum()),
            ever_correct=int(right_once.sum()),
            first_correct_steps=int(first_correct[right_once].sum()),
            correct_after=course.correct_after(labels),
        )

    def __add__(self, other: Totals) -> Totals:
        """Those of both parts.

        Raises
        ------
        ValidationError
            They are not of the same number of neurons and time steps.
        """
        size, others = ((len(each.spikes), each.time_steps) for each in (self, other))
        if size != others:
            wanted = f"{size}, as in the other part"
            raise ValidationError("Totals", "neurons and time steps", wanted, others)
        added: dict[str, Any] = {
            field.name: getattr(self, field.name) + getattr(other, field.name)
            for field in fields(self)
            if field.name not in ("time_steps", "correct_after")
        }
        # Samples that took fewer steps keep their last prediction.
        length = max(len(self.correct_after), len(other.correct_after))
        mine, theirs = (
            np.pad(each.correct_after, (0, length - len(each.correct_after)), "edge")
            for each in (self, other)
        )
        return Totals(**added, time_steps=self.time_steps, correct_after=mine + theirs)

    def accuracy_curve(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """The same as `accuracy_curve` in forward steps."""
        return np.arange(len(self.correct_after)), self.correct_after / self.samples

    def evaluation(self) -> Evaluation:
        """The same in a few numbers, those of `evaluate`."""
        spikes = int(self.spikes.sum())
        return Evaluation(
            samples=self.samples,
            accuracy=self.correct / self.samples,
            spikes_per_sample=spikes / self.samples,
            spike_density=spikes / (self.samples * len(self.spikes) * self.time_steps),
            forward_steps_per_sample=self.forward_steps / self.samples,
            decision_latency=_mean(self.decision_steps, self.decided),
            decision_time_steps=_mean(self.decision_time_steps, self.decided),
            first_correct_latency=_mean(self.first_correct_steps, self.ever_correct),
            synops_per_sample=self.synops / self.samples,
            overflows=self.overflows,
        )


def evaluate(graph: Graph, record: Record, labels: npt.ArrayLike) -> Evaluation:
    """Summarise a run of `graph`; one in parts is `Totals`.

    Raises
    ------
    ValidationError
        If the labels or the graph do not fit the record.
    """
    check_graph(graph, record)
    return Totals.of(record, labels).evaluation()


def _mean(total: int, samples: int) -> float | None:
    return total / samples if samples else None
