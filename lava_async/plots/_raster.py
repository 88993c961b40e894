"""Spikes of a sample, one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lava_async._semantics.graph import Graph
from lava_async._semantics.record import Record
from lava_async.errors import ValidationError
from lava_async.plots._style import COLOURS, GREY, SHADE, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def raster_figure(
    graph: Graph, record: Record, sample: int = 0, title: str | None = None
) -> Figure:
    """Spikes of one sample on an axis that shows the forward steps inside the time steps.

    A hollow marker is a spike that fires, a filled one the same spike when it is released;
    the line between them is its time in the pool. Every second time step is shaded. A spike
    that was discarded by early decision has no filled marker.

    Parameters
    ----------
    graph : Graph
    record : Record
        Of a run with ``trace=True``.
    sample : int
        Which sample of the record.
    title : str, optional

    Raises
    ------
    ValidationError
        If the record has no trace or the sample, or is not of this graph.
    """
    where = "raster_figure"
    if record.fired_at is None:
        raise ValidationError(where, "record", "one of a run with trace=True", "none")
    samples, neurons, steps = record.fired_at.shape
    if neurons != graph.num_neurons:
        raise ValidationError(where, "neurons", graph.num_neurons, neurons)
    if not 0 <= sample < samples:
        raise ValidationError(where, "sample", f"0..{samples - 1}", sample)

    # A time step holds its evaluations 0..forward steps, one apart, each release in between.
    start = np.concatenate([[0], np.cumsum(record.forward_steps[sample] + 1)])
    size = (min(max(7.0, 1.5 + 0.09 * start[-1]), 14.0), 5.0)
    figure, (axes,) = new_figure(size, title or f"Spikes of sample {sample}")
    for t in range(1, steps, 2):
        axes.axvspan(start[t] - 0.5, start[t + 1] - 0.5, color=SHADE, linewidth=0, zorder=0)

    heights = [max(p.size, 0.05 * neurons) for p in graph.populations]
    gap = 0.03 * sum(heights)
    base = np.concatenate([[0], np.cumsum(np.add(heights, gap))])
    for i, population in enumerate(graph.populations):
        colour = COLOURS[i % len(COLOURS)]
        fired = record.fired_at[sample, graph.slice(i)]
        neuron, t = np.nonzero(fired >= 0)
        x = start[t] + fired[neuron, t]
        y = base[i] + (neuron + 0.5) * heights[i] / population.size
        axes.plot(x, y, "o", color=colour, markerfacecolor="white", markersize=3.5,
                  markeredgewidth=0.8, zorder=2)
        if record.released_at is not None:
            released = record.released_at[sample, graph.slice(i)][neuron, t]
            out = released >= 0
            end = start[t[out]] + released[out] + 0.5
            axes.hlines(y[out], x[out], end, color=colour, linewidth=0.7, alpha=0.5, zorder=1)
            axes.plot(end, y[out], "o", color=colour, markersize=3.5, markeredgewidth=0.8,
                      zorder=3)
        if i:
            axes.axhline(base[i] - gap / 2, color=GREY, linewidth=0.5, zorder=1)

    middle = [base[i] + heights[i] / 2 for i in range(len(heights))]
    axes.set_yticks(middle, [f"{p.name}\n{p.size} neurons" for p in graph.populations])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(-gap / 2, base[-1] - gap / 2)
    axes.set_xlim(-0.5, start[-1] - 0.5)
    every = max(1, int(np.ceil(steps / 20)))
    shown = np.arange(0, steps, every)
    axes.set_xticks((start[shown] + start[shown + 1] - 1) / 2, [str(t) for t in shown])
    axes.set_xticks(np.arange(start[-1]), minor=True)
    axes.tick_params(axis="x", which="major", length=0, pad=7)
    axes.tick_params(axis="x", which="minor", length=3, color=GREY)
    axes.set_xlabel("Time step (small ticks: its forward steps, from 0)")
    _raster_legend(axes, record.released_at is not None)
    return figure


def _raster_legend(axes: Axes, with_release: bool) -> None:
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
