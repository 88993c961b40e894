"""Measures of one record; what they mean is told in `lava_async.metrics`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lava_async._semantics.graph import Graph
from lava_async._semantics.record import Record
from lava_async.errors import ValidationError

_BLOCK = 1 << 22  # spike counts held at a time when predictions are followed


def check_decides(run: Graph | Record, where: str = "output population") -> None:
    """Raise `ValidationError` if the output population of a network cannot fire."""
    if not run.output_can_fire:
        wanted = (
            "one that can fire, to decide by spikes (else decide by voltages, such as "
            "netx.Network.v in Lava, or give it a threshold: Graph.replace)"
        )
        raise ValidationError(where, "threshold", wanted, "one that no voltage reaches")


def predict(record: Record) -> npt.NDArray[np.int64]:
    """Class of each sample: the most output spikes, the lowest class on a tie.

    Returns
    -------
    (B,) int64

    Raises
    ------
    ValidationError
        The output population cannot fire; so do all functions here that decide by spikes.
    """
    check_decides(record)
    counts = (record.output_steps >= 0).sum(axis=-1, dtype=np.int64)
    return counts.reshape(len(counts), -1).argmax(axis=1)


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
    return float(np.mean(predict(record) == _check_labels(record, labels)))


def agreement(first: Record, second: Record) -> float:
    """How often two executions of the same samples decide alike: share of equal `predict`.

    Raises
    ------
    ValidationError
        They have not the same number of samples, or of output neurons.
    """
    for what, got, wanted in (
        ("samples", len(second.spikes), len(first.spikes)),
        ("output neurons", _classes(second), _classes(first)),
    ):
        if got != wanted:
            raise ValidationError("agreement", what, f"{wanted}, as in the first record", got)
    return float(np.mean(predict(first) == predict(second)))


def spikes_per_sample(record: Record) -> npt.NDArray[np.int64]:
    """(B,) spikes of all neurons in all time steps."""
    return record.all_spikes.sum(axis=(1, 2), dtype=np.int64)


def spikes_per_population(graph: Graph, record: Record) -> npt.NDArray[np.int64]:
    """(B, populations) spikes of each population in all time steps."""
    _check_graph(graph, record)
    counts = record.all_spikes.sum(axis=2, dtype=np.int64)
    return np.add.reduceat(counts, graph.offsets[:-1], axis=1)


def spike_density(record: Record) -> npt.NDArray[np.float64]:
    """(B,) spikes / (neurons x time steps): 1 if every neuron fired in every time step."""
    _, neurons, steps = record.all_spikes.shape
    return spikes_per_sample(record) / (neurons * steps)


def decision_latency(record: Record) -> npt.NDArray[np.int64]:
    """(B,) forward steps until the prediction no longer changes, -1 if there never is one.

    Cumulated over the time steps, from the start of the sample.
    """
    path = _predictions(record)
    latency = np.full(len(record.spikes), -1, np.int64)
    # In order of time, so that the last change of each sample is what stays.
    latency[path.sample[path.changes]] = path.step[path.changes]
    return latency


def first_correct_latency(record: Record, labels: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """(B,) forward steps until the prediction is right for the first time, -1 if it never is.

    Cumulated over the time steps, from the start of the sample.
    """
    labels = _check_labels(record, labels)
    path = _predictions(record)
    right = np.flatnonzero(path.prediction == labels[path.sample])
    latency = np.full(len(labels), -1, np.int64)
    # In reverse, so that the first of each sample is what stays.
    latency[path.sample[right[::-1]]] = path.step[right[::-1]]
    return latency


def accuracy_curve(
    record: Record, labels: npt.ArrayLike
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Accuracy if every sample were decided after *j* forward steps in all.

    A sample that took fewer keeps its last prediction.

    Returns
    -------
    steps : (S + 1,) int64
        Forward steps *j* cumulated over the time steps, 0..S.
    accuracy : (S + 1,) float64
        The last is the `accuracy`, less the samples of class 0 without an output spike.
    """
    labels = _check_labels(record, labels)
    path = _predictions(record)
    right = (path.prediction == labels[path.sample]).astype(np.int64)
    before = np.where(path.first, 0, np.roll(right, 1))
    steps = np.arange(record.forward_steps.sum(axis=1).max() + 1)
    gained = np.zeros(len(steps), np.int64)
    np.add.at(gained, path.step, right - before)
    return steps, np.cumsum(gained) / len(labels)


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
        Mean over the samples that have a prediction; None if none has.
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
    first_correct_latency: float | None
    synops_per_sample: float
    overflows: int


def evaluate(graph: Graph, record: Record, labels: npt.ArrayLike) -> Evaluation:
    """Summarise a run of `graph`.

    Raises
    ------
    ValidationError
        If the labels or the graph do not fit the record.
    """
    _check_graph(graph, record)
    samples = len(record.spikes)
    spikes = int(spikes_per_sample(record).sum())
    return Evaluation(
        samples=samples,
        accuracy=accuracy(record, labels),
        spikes_per_sample=spikes / samples,
        spike_density=spikes / record.all_spikes.size,
        forward_steps_per_sample=int(record.forward_steps.sum()) / samples,
        decision_latency=_mean_known(decision_latency(record)),
        first_correct_latency=_mean_known(first_correct_latency(record, labels)),
        synops_per_sample=int(record.synops.sum()) / samples,
        overflows=int(record.overflows.sum()),
    )


@dataclass(frozen=True)
class _Path:
    """Predictions in the course of the forward steps, one entry where output neurons fired.

    Entries are in order of sample, then forward step; (E,) each.
    """

    sample: npt.NDArray[np.intp]
    step: npt.NDArray[np.int64]
    prediction: npt.NDArray[np.int64]

    @property
    def first(self) -> npt.NDArray[np.bool_]:
        """Whether an entry is its sample's first."""
        return np.diff(self.sample, prepend=-1) != 0

    @property
    def changes(self) -> npt.NDArray[np.bool_]:
        """Whether the prediction is another than before, or the first."""
        return self.first | (np.diff(self.prediction, prepend=-1) != 0)


def _predictions(record: Record) -> _Path:
    check_decides(record)
    fired = record.output_steps.reshape(len(record.spikes), -1, record.spikes.shape[-1])
    passed = np.cumsum(record.forward_steps, axis=1) - record.forward_steps
    sample, label, time_step = np.nonzero(fired >= 0)
    step = passed[sample, time_step] + fired[sample, label, time_step]
    order = np.lexsort((step, sample))
    sample, label, step = sample[order], label[order], step[order]

    start = np.searchsorted(sample, sample)  # each spike's sample's first spike
    classes, prediction = fired.shape[1], np.empty(len(sample), np.int64)
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

    # Spikes of the same forward step count together: its last one knows them all.
    last = (np.diff(sample, append=-1) != 0) | (np.diff(step, append=-1) != 0)
    return _Path(sample[last], step[last], prediction[last])


def _mean_known(latency: npt.NDArray[np.int64]) -> float | None:
    known = latency[latency >= 0]
    return float(known.mean()) if known.size else None


def _classes(record: Record) -> int:
    return int(np.prod(record.spikes.shape[1:-1]))


def _check_labels(record: Record, labels: npt.ArrayLike) -> npt.NDArray[np.int64]:
    return check_labels(labels, len(record.spikes), _classes(record))


def check_labels(
    labels: npt.ArrayLike, samples: int, classes: int
) -> npt.NDArray[np.int64]:
    """Labels (samples,), or `ValidationError` if they are not integers in 0..classes - 1."""
    try:
        array = np.asarray(labels)
    except ValueError as error:
        raise ValidationError("labels", "shape", (samples,), error) from None
    if array.dtype.kind not in "iu":
        raise ValidationError("labels", "dtype", "integers", array.dtype)
    if array.shape != (samples,):
        raise ValidationError("labels", "shape", (samples,), array.shape)
    bad = np.flatnonzero((array < 0) | (array >= classes))
    if bad.size:
        place = f"value at [{bad[0]}]"
        raise ValidationError("labels", place, f"0..{classes - 1}", array[bad[0]])
    return array.astype(np.int64)


def _check_graph(graph: Graph, record: Record) -> None:
    neurons = record.all_spikes.shape[1]
    if neurons != graph.num_neurons:
        raise ValidationError("record", "neurons", f"{graph.num_neurons}, as in the graph", neurons)
