"""The tables of a study: one row a network and a way to run it, and accuracy's course."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One trained network, run in one way on labelled samples.

    Attributes
    ----------
    data : str
        Name of the data set.
    method : str
        How it was trained, or ``given`` for a network file of the user's.
    trained_with : str
        Schedule of the training, as ``momentum:8`` or ``mixture``; of a given file what it
        records, or nothing.
    group_size : int, optional
        F of that schedule; None for a mixture.
    penalty : float, optional
        On spikes, in training.
    epochs, seed : int, optional
        Of the training.
    network : str
        First 16 hex digits of the SHA-256 of the network's file.
    name : str
        Label for the network.
    run : str
        Schedule that it was run under, as ``layer:8``.
    scheduler : str
        ``Schedule.name`` of that one.
    run_group_size : int
        F of that one.
    stop_after : int, optional
        Forward steps that follow the first output spike of a time step (K); None for all.
    samples, correct : int
    accuracy, accuracy_low, accuracy_high : float
        Share of right predictions, and its 95% confidence interval (Wilson score).
    spikes_per_sample : float
        Of all neurons.
    density : float
        Spikes / (neurons x time steps).
    synops_per_sample, forward_steps_per_sample : float
    decision_step, decision_time_step : float, optional
        Forward steps and time steps until the decision that stands, mean over the samples that
        decide; None if none does.
    """

    data: str
    method: str
    trained_with: str
    group_size: int | None
    penalty: float | None
    epochs: int | None
    seed: int | None
    network: str
    name: str
    run: str
    scheduler: str
    run_group_size: int
    stop_after: int | None
    samples: int
    correct: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    spikes_per_sample: float
    density: float
    synops_per_sample: float
    forward_steps_per_sample: float
    decision_step: float | None
    decision_time_step: float | None


@dataclass(frozen=True)
class Point:
    """Accuracy of a network if every sample were decided after so many forward steps.

    Attributes
    ----------
    name, network, seed, run
        As those of the `Row` without early decision.
    forward_step : int
        Since the start of the sample.
    accuracy : float
    """

    name: str
    network: str
    seed: int | None
    run: str
    forward_step: int
    accuracy: float
