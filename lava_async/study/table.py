"""The tables of a study: one row a network and a way to run it, and accuracy's course."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lava_async._files.atomic import atomic_paths
from lava_async.metrics import wilson_interval
from lava_async.study.grid import Run


@dataclass(frozen=True)
class Label:
    """A trained network: what its rows begin with.

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


@dataclass(frozen=True)
class Row(Label):
    """One trained network, run in one way on labelled samples.

    Attributes
    ----------
    run : str
        Schedule that it was run under, as ``layer:8``.
    scheduler : str
        ``Schedule.name`` of that one.
    run_group_size : int
        F of that one.
    stop_after : int, optional
        Forward steps that follow the first output spike of a time step (K); None for all.
    neurons, time_steps : int
        Of the network, and of a sample.
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
    commonest : int, optional
        Samples of the commonest class: what always answering it gets right. None in tables of
        earlier versions.
    """

    run: str
    scheduler: str
    run_group_size: int
    stop_after: int | None
    neurons: int
    time_steps: int
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
    commonest: int | None = None


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


def make_row(label: Label, run: Run, sums: dict[str, Any], commonest: int) -> Row:
    """The row of a network and a way to run it.

    sums : over the samples (`cells.run`); commonest : samples of the commonest class.
    """
    samples, correct, decided = sums["samples"], sums["correct"], sums["decided"]
    low, high = wilson_interval(correct, samples)
    return Row(
        **dataclasses.asdict(label),
        run=run.spec,
        scheduler=run.schedule.name,
        run_group_size=run.schedule.group_size,
        stop_after=run.stop_after,
        neurons=sums["neurons"],
        time_steps=sums["time_steps"],
        samples=samples,
        correct=correct,
        accuracy=correct / samples,
        accuracy_low=low,
        accuracy_high=high,
        spikes_per_sample=sums["spikes"] / samples,
        density=sums["spikes"] / (samples * sums["neurons"] * sums["time_steps"]),
        synops_per_sample=sums["synops"] / samples,
        forward_steps_per_sample=sums["forward_steps"] / samples,
        decision_step=sums["decision_steps"] / decided if decided else None,
        decision_time_step=sums["decision_time_steps"] / decided if decided else None,
        commonest=commonest,
    )


def make_points(label: Label, run: Run, sums: dict[str, Any]) -> list[Point]:
    """The course of accuracy of a run, where its sums have one."""
    return [
        Point(label.name, label.network, label.seed, run.spec, step, correct / sums["samples"])
        for step, correct in enumerate(sums["curve"] or ())
    ]


def write_tables(
    folder: Path, rows: Sequence[Row], points: Sequence[Point], description: dict[str, Any]
) -> None:
    """Write ``table.csv``, ``curves.csv`` and ``table.json``: all of them, or none.

    Parameters
    ----------
    folder : Path
        An existing folder.
    rows, points : sequence
        In the order of the files.
    description : dict
        What the study was asked for, for ``table.json``.

    Raises
    ------
    OSError
        The disk is full or failed.
    """
    document = {**description, "rows": [dataclasses.asdict(row) for row in rows]}
    contents = {
        "curves.csv": _csv(Point, points),
        "table.json": json.dumps(document, indent=2) + "\n",
        "table.csv": _csv(Row, rows),
    }
    with atomic_paths(*(folder / name for name in contents)) as paths:
        for path, content in zip(paths, contents.values(), strict=True):
            path.write_text(content, encoding="utf-8", newline="")


def read_rows(folder: Path) -> list[Row]:
    """The rows that `write_tables` wrote."""
    document = json.loads((folder / "table.json").read_text(encoding="utf-8"))
    return [Row(**values) for values in document["rows"]]


def _csv(kind: type, items: Sequence[Any]) -> str:
    """A table with a heading; what is None is empty, numbers read back as they were."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(field.name for field in dataclasses.fields(kind))
    writer.writerows(dataclasses.astuple(item) for item in items)
    return text.getvalue()
