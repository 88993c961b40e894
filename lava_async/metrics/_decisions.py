"""What a run decides, and how soon; the two notions of prediction are told in
`lava_async.metrics`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from lava_async._semantics.decoding import Decoding
from lava_async._semantics.record import Record
from lava_async.errors import ValidationError
from lava_async.metrics._checks import (
    check_record,
    check_record_labels,
    number_of_classes,
)

Unit = Literal["forward_steps", "time_steps"]
"""What latencies are counted in: forward steps that ran, or time steps that were seen whole."""

_BLOCK = 1 << 22  # spike counts held at a time when predictions are followed


def predict(record: Record) -> npt.NDArray[np.int64]:
    """Class of each sample: the most output spikes, or the largest sum of the readout over time.

    The lowest class on a tie.

    Returns
    -------
    (B,) int64
    """
    check_record(record)
    given = record.output_steps >= 0 if record.readout is None else record.readout
    return _by_class(record, given.sum(axis=-1, dtype=np.int64)).argmax(axis=1)


def _by_class(record: Record, values: npt.NDArray[np.integer], rest: int = 0) -> npt.NDArray:
    """Values (B, *out_shape, …), ``rest`` dimensions after the outputs, by class (B, C, …)."""
    after = values.shape[values.ndim - rest :]
    flat = values.reshape(len(values), -1, *after)
    return (record.decoding or Decoding()).totals(flat)


def accuracy(record: Record, labels: npt.ArrayLike) -> float:
    """Share of the samples whose `predict` is right.

    Parameters
    ----------
    record : Record
    labels : (B,) array of int
        In 0..C - 1.

    Raises
    ------
    ValidationError
        If the labels do not fit the record; so do all functions here that take labels.
    """
    return float(np.mean(predict(record) == check_record_labels(record, labels)))


def confusion_matrix(record: Record, labels: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """How often samples of each class are taken for each class, by `predict`.

    As scikit-learn lays it out (Pedregosa et al., JMLR 12:2825-2830, 2011): the true class in
    rows, the predicted one in columns. A sample without an output spike counts as class 0.

    Parameters
    ----------
    record : Record
    labels : (B,) array of int
        In 0..C - 1.

    Returns
    -------
    (C, C) int64
        Its sum is B, that of its diagonal over B the `accuracy`.
    """
    labels = check_record_labels(record, labels)
    classes = number_of_classes(record)
    pairs = labels * classes + predict(record)
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def decision_latency(record: Record, unit: Unit = "forward_steps") -> npt.NDArray[np.int64]:
    """(B,) steps until the prediction no longer changes, -1 if there never is one.

    After the latency in forward steps of Koopman et al. (arXiv:2408.05098, 2024), for a
    decision that stands from then on, right or wrong.

    Parameters
    ----------
    record : Record
    unit : {"forward_steps", "time_steps"}
        Forward steps cumulated over the time steps, from the start of the sample, 0 where the
        first input makes it; or time steps, 1..T, where each prediction is of whole ones.
    """
    return follow(record, unit).decision_latency(len(record.spikes))


def first_correct_latency(
    record: Record, labels: npt.ArrayLike, unit: Unit = "forward_steps"
) -> npt.NDArray[np.int64]:
    """(B,) steps until the prediction is right for the first time, -1 if it never is.

    Parameters
    ----------
    record : Record
    labels : (B,) array of int
        In 0..C - 1.
    unit : {"forward_steps", "time_steps"}
        As `decision_latency` has it.
    """
    labels = check_record_labels(record, labels)
    return follow(record, unit).first_correct_latency(labels)


def accuracy_curve(
    record: Record, labels: npt.ArrayLike, unit: Unit = "forward_steps"
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Accuracy if every sample were decided after *j* steps in all.

    A sample that took fewer keeps its last prediction.

    Parameters
    ----------
    record : Record
    labels : (B,) array of int
        In 0..C - 1.
    unit : {"forward_steps", "time_steps"}
        As `decision_latency` has it.

    Returns
    -------
    steps : (S + 1,) int64
        Steps *j* from the start of the sample, 0..S; in time steps, S is T.
    accuracy : (S + 1,) float64
        The last is the `accuracy`, less the samples of class 0 without an output spike, or with
        a readout of 0 alone.
    """
    labels = check_record_labels(record, labels)
    right = follow(record, unit).correct_after(labels)
    return np.arange(len(right)), right / len(labels)


@dataclass(frozen=True)
class Course:
    """Predictions in the course of the steps, one entry where there may be a new one.

    Entries are in order of sample, then step; (E,) each. ``last`` is the last step of any sample.
    """

    sample: npt.NDArray[np.intp]
    step: npt.NDArray[np.int64]
    prediction: npt.NDArray[np.int64]
    last: int

    @classmethod
    def of(
        cls,
        sample: npt.NDArray[np.intp],
        step: npt.NDArray[np.int64],
        prediction: npt.NDArray[np.int64],
        last: int,
    ) -> Course:
        """Of what is ordered by sample and step; of one step together the last entry knows all."""
        ends = (np.diff(sample, append=-1) != 0) | (np.diff(step, append=-1) != 0)
        return cls(sample[ends], step[ends], prediction[ends], last)

    @property
    def first(self) -> npt.NDArray[np.bool_]:
        """Whether an entry is its sample's first."""
        return np.diff(self.sample, prepend=-1) != 0

    @property
    def changes(self) -> npt.NDArray[np.bool_]:
        """Whether the prediction is another than before, or the first."""
        return self.first | (np.diff(self.prediction, prepend=-1) != 0)

    def decision_latency(self, samples: int) -> npt.NDArray[np.int64]:
        """(B,) as the function of this name has it."""
        latency = np.full(samples, -1, np.int64)
        # In order of time, so that the last change of each sample is what stays.
        latency[self.sample[self.changes]] = self.step[self.changes]
        return latency

    def first_correct_latency(self, labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """(B,) as the function of this name has it."""
        right = np.flatnonzero(self.prediction == labels[self.sample])
        latency = np.full(len(labels), -1, np.int64)
        # In reverse, so that the first of each sample is what stays.
        latency[self.sample[right[::-1]]] = self.step[right[::-1]]
        return latency

    def correct_after(self, labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """(last + 1,) samples that would be right if they were decided after *j* steps."""
        right = (self.prediction == labels[self.sample]).astype(np.int64)
        before = np.where(self.first, 0, np.roll(right, 1))
        gained = np.zeros(self.last + 1, np.int64)
        np.add.at(gained, self.step, right - before)
        return np.cumsum(gained)


def follow(record: Record, unit: Unit) -> Course:
    """The predictions of all samples, by the rule that `lava_async.metrics` tells."""
    if unit not in get_args(Unit):
        raise ValidationError("latency", "unit", f"one of {', '.join(get_args(Unit))}", repr(unit))
    check_record(record)
    if record.readout is not None:
        return _predictions_of_readout(record, record.readout, unit)
    fired = record.output_steps.reshape(len(record.spikes), -1, record.spikes.shape[-1])
    sample, neuron, time_step = np.nonzero(fired >= 0)
    step, latest = time_step + 1, record.spikes.shape[-1]
    if unit == "forward_steps":
        latest = int(record.forward_steps.sum(axis=1).max())
        passed = np.cumsum(record.forward_steps, axis=1) - record.forward_steps
        step = passed[sample, time_step] + fired[sample, neuron, time_step]
    classes = number_of_classes(record)
    label = neuron // (fired.shape[1] // classes)
    order = np.lexsort((step, sample))
    sample, label, step = sample[order], label[order], step[order]

    start = np.searchsorted(sample, sample)  # each spike's sample's first spike
    prediction = np.empty(len(sample), np.int64)
    begin = 0
    while begin < len(sample):
        # Whole samples, as many as fit; one may be larger than a block.
        end = begin + max(1, _BLOCK // classes)
        end = len(sample) if end >= len(sample) else int(start[end])
        if end <= begin:
            end = int(np.searchsorted(sample, sample[begin], side="right"))
        spike = np.zeros((end - begin + 1, classes), np.int32)
        spike[np.arange(1, len(spike)), label[begin:end]] = 1
        total = np.cumsum(spike, axis=0, dtype=np.int32)
        counts = total[1:] - total[start[begin:end] - begin]
        prediction[begin:end] = counts.argmax(axis=1)
        begin = end

    return Course.of(sample, step, prediction, latest)


def _predictions_of_readout(
    record: Record, readout: npt.NDArray[np.integer], unit: Unit
) -> Course:
    """Each at the end of a time step, from the first with a readout other than 0 on."""
    totals = _by_class(record, readout, rest=1).cumsum(axis=-1)
    known = readout.reshape(len(readout), -1, readout.shape[-1]).any(axis=1)
    sample, time_step = np.nonzero(np.logical_or.accumulate(known, axis=-1))
    step, latest = time_step + 1, readout.shape[-1]
    if unit == "forward_steps":
        passed = np.cumsum(record.forward_steps, axis=1)
        step, latest = passed[sample, time_step], int(passed[:, -1].max())
    return Course.of(sample, step, totals.argmax(axis=1)[sample, time_step], latest)
