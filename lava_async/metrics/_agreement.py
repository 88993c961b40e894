"""How far two executions of the same samples agree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lava_async._semantics.record import Record
from lava_async.errors import ValidationError
from lava_async.metrics._checks import check_record, is_finite, number_of_classes
from lava_async.metrics._decisions import predict


def agreement(first: Record, second: Record) -> float:
    """How often two executions of the same samples decide alike: share of equal `predict`.

    Raises
    ------
    ValidationError
        They have not the same number of samples, or of output neurons.
    """
    check_record(first, "first record")
    check_record(second, "second record")
    _check_equal("agreement", "samples", len(first.spikes), len(second.spikes))
    _check_equal(
        "agreement", "output neurons", number_of_classes(first), number_of_classes(second)
    )
    return float(np.mean(predict(first) == predict(second)))


@dataclass(frozen=True)
class SpikeDifference:
    """A spike that one of two executions has and the other has not.

    Attributes
    ----------
    sample, time_step, neuron : int
        Counted from 0, the neuron over the whole network.
    first, second : int
        Spikes of that neuron in that time step in either record, 0 or 1.
    """

    sample: int
    time_step: int
    neuron: int
    first: int
    second: int

    def __str__(self) -> str:
        place = f"sample {self.sample}, time step {self.time_step}, neuron {self.neuron}"
        return f"{place}: {self.first} and {self.second} spikes"


def first_difference(first: Record, second: Record) -> SpikeDifference | None:
    """Where two executions first differ in a spike: lowest sample, then time step, then neuron.

    Other than `lava_async.verify`, whose two runs should be the same in all that they record,
    this looks at who fired alone, so that two schedules can be told apart.

    Returns
    -------
    SpikeDifference or None
        None if every neuron fired in the same time steps.

    Raises
    ------
    ValidationError
        The records have not the same numbers of samples, neurons and time steps.
    """
    check_same_shape("first_difference", first, second)
    for sample, (a, b) in enumerate(zip(first.all_spikes, second.all_spikes, strict=True)):
        differs = a != b
        steps = differs.any(axis=0)
        if steps.any():
            step = int(steps.argmax())
            neuron = int(differs[:, step].argmax())
            spikes = int(a[neuron, step]), int(b[neuron, step])
            return SpikeDifference(sample, step, neuron, *spikes)
    return None


def van_rossum_distance(
    first: Record, second: Record, tau: float, *, relative: bool = False
) -> npt.NDArray[np.float64]:
    """Distance between the spike trains of two executions, of each sample.

    Each spike becomes an exponential that decays with ``tau``; the distance of two trains f, g
    is D, with D² = 1/tau ∫ (f − g)² dt to the end of all decay: van Rossum, *A novel spike
    distance*, Neural Computation 13(4):751-763, 2001. The squares of all neurons add up, each
    neuron a label of its own, as in Houghton and Sen, *A new multineuron spike train metric*,
    Neural Computation 20(6):1495-1511, 2008. So a spike that the other execution lacks weighs
    D² = 1/2, one that is d time steps late 1 − exp(−d / tau). All spikes of a time step are at
    one time: what happens inside it, in forward steps, is not seen.

    After one look at all, it takes time in proportion to the spikes in which the trains differ.

    Parameters
    ----------
    first, second : Record
        B samples each, of the same network and time steps.
    tau : float
        Time constant in time steps, > 0. Small ones count spikes that do not coincide, large
        ones compare the numbers of spikes.
    relative : bool
        Divide by ``√(|f|² + |g|²)``, the distance of either execution from silence, so that 0 is
        the same and 1 are trains without any overlap.

    Returns
    -------
    (B,) float64
        Without a unit.

    Raises
    ------
    ValidationError
        The records do not have the same shape, or tau is not a number > 0.
    """
    check_same_shape("van_rossum_distance", first, second)
    if not is_finite(tau) or tau <= 0:
        raise ValidationError("van_rossum_distance", "tau", "a finite number > 0", repr(tau))
    squared = _energy(first.all_spikes - second.all_spikes, tau)
    if relative:
        whole = _energy(first.all_spikes, tau) + _energy(second.all_spikes, tau)
        squared = np.minimum(squared / np.where(whole > 0, whole, 1), 1)  # but for rounding
    return np.sqrt(squared)


def check_same_shape(where: str, first: Record, second: Record) -> None:
    """Raise `ValidationError` unless two records are of equally many samples, neurons and steps."""
    check_record(first, "first record")
    check_record(second, "second record")
    names = ("samples", "neurons", "time steps")
    shapes = first.shape, second.shape
    for name, wanted, got in zip(names, *shapes, strict=True):
        _check_equal(where, name, wanted, got)


def _check_equal(where: str, what: str, first: int, second: int) -> None:
    if first != second:
        raise ValidationError(where, what, f"{first}, as in the first record", second)


def _energy(trains: npt.NDArray[np.int8], tau: float) -> npt.NDArray[np.float64]:
    """(B,) 1/tau ∫ f² dt of trains (B, N, T) of weighted spikes, summed over the neurons.

    Between two spikes f only decays, so its square integrates to ½ f² (1 − exp(−2 gap / tau)).
    """
    samples, neurons, _ = trains.shape
    row, time = np.nonzero(trains.reshape(samples * neurons, -1))
    weight = trains.reshape(samples * neurons, -1)[row, time]
    gap = np.where(np.diff(row, append=-1) == 0, np.diff(time, append=0), np.inf)
    place = np.flatnonzero(np.diff(row, prepend=-1))  # of each train's next spike
    left = np.diff(place, append=len(row))
    total, trace = np.zeros(samples), np.zeros(len(place))
    with np.errstate(over="ignore"):  # of the smallest tau: all is forgotten at once
        elapsed = gap / tau
    while len(place):
        trace += weight[place]
        shares = trace**2 * -np.expm1(-2 * elapsed[place]) / 2
        total += np.bincount(row[place] // neurons, shares, samples)
        trace *= np.exp(-elapsed[place])
        left -= 1
        more = left > 0
        place, left, trace = place[more] + 1, left[more], trace[more]
    return total
