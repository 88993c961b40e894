"""The report of a comparison: networks trained in different ways, run in different ways."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lava_async import metrics, plots
from lava_async._files.atomic import atomic_path
from lava_async._parts import Frames, parts
from lava_async._semantics.graph import Graph
from lava_async._semantics.schedule import Schedule
from lava_async._simulate import simulate
from lava_async.study.results import with_spread

COLUMNS = (
    "trained",
    "run",
    "accuracy",
    "spikes a sample",
    "forward steps to decision",
)
"""Headings of the table, for what `Summary.cells` gives; the first two are text."""


@dataclass(frozen=True, eq=False)
class Run:
    """One network, run in one way on labelled samples.

    Attributes
    ----------
    trained, run : str
        How, in words.
    seed : int
        Of the training.
    graph : Graph
    schedule : Schedule
    totals : Totals
    """

    trained: str
    run: str
    seed: int
    graph: Graph
    schedule: Schedule
    totals: metrics.Totals

    @property
    def name(self) -> str:
        return f"trained {self.trained}, run {self.run}"


@dataclass(frozen=True)
class Summary:
    """Runs in the same way of networks trained in the same way, from several seeds.

    Attributes
    ----------
    trained, run : str
        How, in words.
    evaluations : list of Evaluation
        Of each seed.
    """

    trained: str
    run: str
    evaluations: list[metrics.Evaluation]

    def values(self, measure: str) -> list[float]:
        """A measure of each seed; without those that have none."""
        values = [getattr(each, measure) for each in self.evaluations]
        return [value for value in values if value is not None]

    def mean(self, measure: str) -> float:
        return statistics.mean(self.values(measure))

    def cells(self) -> tuple[str, ...]:
        """One row of the table: means, and standard deviations where there are several seeds."""
        return (
            self.trained,
            self.run,
            with_spread(self.values("accuracy"), 3),
            with_spread(self.values("spikes_per_sample"), 0),
            with_spread(self.values("decision_latency"), 1),
        )


def summarise(runs: Sequence[Run]) -> list[Summary]:
    """The rows of the table, in the order of the runs."""
    found: dict[tuple[str, str], list[metrics.Evaluation]] = {}
    for run in runs:
        found.setdefault((run.trained, run.run), []).append(run.totals.evaluation())
    return [Summary(*way, evaluations) for way, evaluations in found.items()]


def markdown_table(rows: Sequence[Summary]) -> str:
    """The table in Markdown, numbers aligned to the right."""
    ruler = ["---"] * 2 + ["---:"] * (len(COLUMNS) - 2)
    lines = (COLUMNS, ruler, *(row.cells() for row in rows))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write_report(
    folder: Path,
    rows: Sequence[Summary],
    runs: Sequence[Run],
    raster: Run,
    x: Frames,
    labels: npt.NDArray[np.int64],
    paragraphs: Sequence[str],
) -> None:
    """Write ``report.md`` with its figures ``accuracy.png``, ``spikes.png``, ``raster.png``.

    Parameters
    ----------
    folder : Path
        An existing folder.
    rows : sequence of Summary
        Of the table.
    runs : sequence of Run
        Curves and bars of the figures.
    raster : Run
        The run whose spikes are drawn one by one.
    x : (B, *input_shape, T) frames
    labels : (B,) int64
        What ``raster`` was run on; its first sample with a right prediction is drawn.
    paragraphs : sequence of str
        Markdown that follows the table.
    """
    curves = {run.name: run.totals.accuracy_curve() for run in runs}
    plots.save(plots.accuracy_figure(curves), folder / "accuracy.png")

    bars = {run.name: _spikes_by_layer(run) for run in runs}
    figure = plots.spikes_per_population_figure(bars, title="Spikes per layer")
    plots.save(figure, folder / "spikes.png")

    sample = _first_right(raster, x, labels)
    record = simulate(
        raster.graph, x[sample], raster.schedule, sample_ids=[sample], trace=True
    )
    title = f"Test sample {sample}, a {labels[sample]}"  # as long as the legend allows
    plots.save(plots.raster_figure(raster.graph, record, title=title), folder / "raster.png")

    text = "\n\n".join(
        (
            "# Layered and unlayered training, run asynchronously",
            markdown_table(rows),
            *paragraphs,
            "## How soon it decides",
            "Accuracy if every sample were decided after so many forward steps. This figure and "
            f"those below are of seed {raster.seed}.",
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
    graph, totals = run.graph, run.totals
    mean = np.add.reduceat(totals.spikes, graph.offsets[:-1]) / totals.samples
    names = [population.name for population in graph.populations]
    return list(zip(names, mean.tolist(), strict=True))


def _first_right(run: Run, x: Frames, labels: npt.NDArray[np.int64]) -> int:
    """The first sample with a right prediction; where there is none, the first."""
    for part in parts(x, run.graph):
        ids = np.arange(part.start, part.stop)
        record = simulate(run.graph, x[part], run.schedule, sample_ids=ids)
        right = np.flatnonzero(metrics.predict(record) == labels[part])
        if right.size:
            return int(ids[right[0]])
    return 0
