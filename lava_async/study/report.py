"""The report of a comparison: networks trained in different ways, run in different ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lava_async import metrics, plots
from lava_async._files.atomic import atomic_path
from lava_async._semantics.graph import Graph
from lava_async._semantics.record import Record
from lava_async._semantics.schedule import Schedule
from lava_async._simulate import simulate

COLUMNS = (
    "trained",
    "run",
    "accuracy",
    "spikes a sample",
    "forward steps to decision",
)
"""Headings of the table, for what `Run.cells` holds; the first two are text."""


@dataclass(frozen=True, eq=False)
class Run:
    """One network, run in one way on labelled samples.

    Attributes
    ----------
    trained, run : str
        How, in words.
    graph : Graph
    schedule : Schedule
    record : Record
        B samples.
    labels : (B,) int64
    """

    trained: str
    run: str
    graph: Graph
    schedule: Schedule
    record: Record
    labels: npt.NDArray[np.int64]

    @property
    def name(self) -> str:
        return f"trained {self.trained}, run {self.run}"

    def evaluate(self) -> metrics.Evaluation:
        return metrics.evaluate(self.graph, self.record, self.labels)

    def cells(self) -> tuple[str, ...]:
        """One row of the table."""
        result = self.evaluate()
        latency = result.decision_latency
        return (
            self.trained,
            self.run,
            f"{result.accuracy:.3f}",
            f"{result.spikes_per_sample:.0f}",
            "never" if latency is None else f"{latency:.1f}",
        )


def markdown_table(runs: Sequence[Run]) -> str:
    """The table in Markdown, numbers aligned to the right."""
    ruler = ["---"] * 2 + ["---:"] * (len(COLUMNS) - 2)
    return "\n".join(f"| {' | '.join(row)} |" for row in (COLUMNS, ruler, *map(Run.cells, runs)))


def write_report(
    folder: Path,
    runs: Sequence[Run],
    raster: Run,
    x: npt.NDArray[np.integer],
    paragraphs: Sequence[str],
) -> None:
    """Write ``report.md`` with its figures ``accuracy.png``, ``spikes.png``, ``raster.png``.

    Parameters
    ----------
    folder : Path
        An existing folder.
    runs : sequence of Run
        Rows of the table and curves and bars of the figures.
    raster : Run
        The run whose spikes are drawn one by one.
    x : (B, *input_shape, T) array of int
        What ``raster`` was run on; its first sample with a right prediction is drawn.
    paragraphs : sequence of str
        Markdown that follows the table.
    """
    curves = {run.name: metrics.accuracy_curve(run.record, run.labels) for run in runs}
    plots.save(plots.accuracy_figure(curves), folder / "accuracy.png")

    bars = {run.name: _spikes_by_layer(run) for run in runs}
    figure = plots.spikes_per_population_figure(bars, title="Spikes per layer")
    plots.save(figure, folder / "spikes.png")

    sample = int(np.argmax(metrics.predict(raster.record) == raster.labels))
    record = simulate(
        raster.graph, x[sample], raster.schedule, sample_ids=[sample], trace=True
    )
    title = f"Test sample {sample}, a {raster.labels[sample]}"  # as long as the legend allows
    plots.save(plots.raster_figure(raster.graph, record, title=title), folder / "raster.png")

    text = "\n\n".join(
        (
            "# Layered and unlayered training, run asynchronously",
            markdown_table(runs),
            *paragraphs,
            "## How soon it decides",
            "Accuracy if every sample were decided after so many forward steps.",
            "![accuracy against forward steps](accuracy.png)",
            "## Where the spikes are",
            "![spikes per layer](spikes.png)",
            "## One sample",
            f"The network {raster.name}. Bands are time steps, the ticks inside them forward "
            "steps.",
            "![raster of one sample](raster.png)",
        )
    )
    with atomic_path(folder / "report.md") as path:
        path.write_text(text + "\n", encoding="utf-8")


def _spikes_by_layer(run: Run) -> list[tuple[str, float]]:
    mean = metrics.spikes_per_population(run.graph, run.record).mean(axis=0)
    names = [population.name for population in run.graph.populations]
    return list(zip(names, mean.tolist(), strict=True))
