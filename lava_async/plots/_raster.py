"""Spikes of a sample, one by one."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lava_async._semantics.graph import Graph
from lava_async._semantics.record import Record
from lava_async.errors import ValidationError
from lava_async.plots._style import COLOURS, GREY, SHADE, new_figure
from lava_async.plots._trace import Trace, check_time_steps

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INCHES_A_STEP = 0.09
_WIDEST = 14.0
_LARGEST = 3.5
"""Points of a marker; smaller where neurons are many."""
_SMALLEST = 1.0
_VECTORS = 4000
"""Spikes up to which a PDF holds each as a shape; beyond, as an image."""


def raster_figure(
    graph: Graph,
    record: Record | Mapping[str, Record],
    sample: int = 0,
    title: str | None = None,
    *,
    time_steps: range | None = None,
) -> Figure:
    """Spikes of one sample on an axis that shows the forward steps inside the time steps.

    A hollow marker is a spike that fires, a filled one the same spike when it is released;
    the line between them is its time in the pool. Every second time step is shaded. A spike
    that was discarded by early decision has no filled marker, nor have those of `LayerSync`,
    which has no pool.

    Parameters
    ----------
    graph : Graph
    record : Record or dict of str to Record
        Of a run with ``trace=True``. Several, by the name for their panel, stand one above the
        other on an axis of the same forward steps.
    sample : int
        Which sample of the record.
    title : str, optional
    time_steps : range, optional
        Those to show, all by default.

    Raises
    ------
    ValidationError
        If there is no record, one has no trace or not the sample or the time steps, or is not of
        this graph.
    """
    where = "raster_figure"
    records = {"": record} if isinstance(record, Record) else record
    if not records:
        raise ValidationError(where, "records", "at least one", 0)
    traces = [Trace.of(where, graph, each, sample) for each in records.values()]
    shown = [check_time_steps(where, time_steps, len(t.forward_steps)) for t in traces]
    length = max(
        int(trace.start[part.stop] - trace.start[part.start])
        for trace, part in zip(traces, shown, strict=True)
    )
    # Inches of a row of markers that do not touch, within what a page takes.
    rows = min(max(5.0, 1.2 + 0.02 * graph.num_neurons), 9.0)
    height = rows if len(traces) == 1 else max(3.2, 0.75 * rows)
    width = min(max(7.0, 1.5 + _INCHES_A_STEP * length), _WIDEST)
    figure, panels = new_figure(
        (width, len(traces) * height), title or f"Spikes of sample {sample}", rows=len(traces)
    )
    points = 72 * (width - 1.5) / length, 72 * (height - 1) / _bases(graph)[2][-1]
    with_ticks = points[0] > 2  # closer ones would be one black bar
    for axes, name, trace, part in zip(panels, records, traces, shown, strict=True):
        _draw_spikes(axes, graph, trace, part, *points)
        _draw_time(axes, trace, part, with_ticks)
        start = trace.start[part.start]
        axes.set_xlim(start - 0.5, start + length - 0.5)
        if name:
            axes.set_title(name, loc="left", fontsize=10, fontweight="bold")
    panels[-1].set_xlabel(
        "Time step (small ticks: its forward steps, from 0)" if with_ticks else "Time step"
    )
    _legend(panels[0], any(trace.released_at is not None for trace in traces))
    return figure


def _bases(graph: Graph) -> tuple[list[float], float, npt.NDArray[np.float64]]:
    """Height of each population in neurons, gap, and (populations + 1,) where each begins."""
    heights = [max(p.size, 0.05 * graph.num_neurons) for p in graph.populations]
    gap = 0.03 * sum(heights)
    return heights, gap, np.concatenate([np.zeros(1), np.cumsum(np.add(heights, gap))])


def _marker(row: float, column: float) -> float:
    """Diameter for neurons and forward steps so many points apart: few overlap."""
    return float(min(max(_SMALLEST, 2.4 * min(row, column)), _LARGEST))


def _draw_spikes(
    axes: Axes, graph: Graph, trace: Trace, shown: range, column: float, row: float
) -> None:
    """One panel; ``column`` points a forward step, ``row`` points a unit of height."""
    heights, gap, base = _bases(graph)
    start, window = trace.start, slice(shown.start, shown.stop)
    as_image = int((trace.fired_at[:, window] >= 0).sum()) > _VECTORS
    for i, population in enumerate(graph.populations):
        colour = COLOURS[i % len(COLOURS)]
        marker = _marker(row * heights[i] / population.size, column)
        draw = functools.partial(
            axes.plot, marker="o", linestyle="none", markersize=marker,
            markeredgewidth=0.23 * marker, color=colour, rasterized=as_image,
        )  # fmt: skip
        fired = trace.fired_at[graph.slice(i)]
        neuron, t = np.nonzero(fired[:, window] >= 0)
        t += shown.start
        x = start[t] + fired[neuron, t]
        y = base[i] + (neuron + 0.5) * heights[i] / population.size
        draw(x, y, markerfacecolor="white", zorder=2)
        if trace.released_at is not None:
            released = trace.released_at[graph.slice(i)][neuron, t]
            out = released >= 0
            end = start[t[out]] + released[out] + 0.5
            axes.hlines(
                y[out], x[out], end, color=colour, linewidth=min(0.7, 0.3 * marker), alpha=0.5,
                zorder=1, rasterized=as_image,
            )  # fmt: skip
            draw(end, y[out], zorder=3)
        if i:
            axes.axhline(base[i] - gap / 2, color=GREY, linewidth=0.5, zorder=1)

    middle = [base[i] + heights[i] / 2 for i in range(len(heights))]
    names = [f"{p.name}\n{p.size} neurons" for p in graph.populations]
    axes.set_yticks(middle, names, parse_math=False)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(-gap / 2, base[-1] - gap / 2)


def _draw_time(axes: Axes, trace: Trace, shown: range, with_ticks: bool) -> None:
    """Bands and names of the time steps, and ticks of their forward steps."""
    start = trace.start
    for t in shown:
        if t % 2:
            axes.axvspan(start[t] - 0.5, start[t + 1] - 0.5, color=SHADE, linewidth=0, zorder=0)
    every = max(1, int(np.ceil(len(shown) / 20)))
    ticks = np.arange(shown.start, shown.stop, every)
    axes.set_xticks((start[ticks] + start[ticks + 1] - 1) / 2, [str(t) for t in ticks])
    axes.tick_params(axis="x", which="major", length=0, pad=7)
    if with_ticks:
        axes.set_xticks(np.arange(start[shown.start], start[shown.stop]), minor=True)
        axes.tick_params(axis="x", which="minor", length=3, color=GREY)


def _legend(axes: Axes, with_release: bool) -> None:
    from matplotlib.lines import Line2D

    def marker(face: str, label: str) -> Line2D:
        return Line2D([], [], marker="o", color=GREY, markerfacecolor=face, markersize=4,
                      linestyle="none", label=label)

    handles = [marker("white", "fires")]
    if with_release:
        line = Line2D([], [], color=GREY, linewidth=1, label="waits in the pool")
        handles += [line, marker(GREY, "is released")]
    axes.legend(handles=handles, loc="lower right", bbox_to_anchor=(1.0, 0.99), ncols=3,
                frameon=False, borderaxespad=0, handlelength=1.2)
