"""Figures of what a run measured. matplotlib is loaded with the first of them.

Every function returns a ``matplotlib.figure.Figure`` that belongs to no window and to no
global state: it works without a display, in a notebook it shows itself, `save` writes it.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lava_async._files.atomic import atomic_path
from lava_async._files.paths import as_text
from lava_async._semantics.graph import Graph
from lava_async._semantics.record import Record
from lava_async.errors import ValidationError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# M. Okabe, K. Ito, *Color Universal Design*, 2008: told apart with any colour vision.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_DASHES = ("-", "--", "-.", ":")
_GREY = "#8C8C8C"
_SHADE = "#F2F2F2"


def accuracy_figure(
    curves: Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]],
    title: str = "Accuracy against forward steps",
) -> Figure:
    """Accuracy against forward steps.

    Parameters
    ----------
    curves : dict of str to (steps, accuracy)
        What `metrics.accuracy_curve` returns, by the name for the legend.
    title : str

    Raises
    ------
    ValidationError
        If there is no curve.
    """
    if not curves:
        raise ValidationError("accuracy_figure", "curves", "at least one", 0)
    figure, axes = _figure((6.4, 4.0), title)
    for i, (name, (steps, accuracy)) in enumerate(curves.items()):
        axes.step(
            np.asarray(steps),
            100 * np.asarray(accuracy),
            where="post",
            label=name,
            color=_COLOURS[i % len(_COLOURS)],
            linestyle=_DASHES[i % len(_DASHES)],
        )
    axes.set_xlabel("Forward steps since the start of the sample")
    axes.set_ylabel("Accuracy (%)")
    axes.set_xlim(0, max(1, *(np.max(steps) for steps, _ in curves.values())))
    axes.set_ylim(0, 100)
    axes.grid(color=_SHADE)
    axes.legend(loc="lower right", frameon=False)
    return figure


def spikes_per_population_figure(
    spikes: Mapping[str, Sequence[tuple[str, float]]],
    title: str = "Spikes per population",
) -> Figure:
    """Bars of the spikes per sample, by population.

    Parameters
    ----------
    spikes : dict of str to list of (population, spikes per sample)
        By the name for the legend, which adds the sum. See `metrics.spikes_per_population`.
    title : str

    Raises
    ------
    ValidationError
        If there is nothing to show.
    """
    populations = list(dict.fromkeys(p for bars in spikes.values() for p, _ in bars))
    if not populations:
        raise ValidationError(
            "spikes_per_population_figure", "spikes", "at least one population", 0
        )
    inches = max(6.4, 1.0 + len(populations) * max(1.2, 0.5 * len(spikes)))
    figure, axes = _figure((inches, 4.0), title)
    width = 0.8 / len(spikes)
    for i, (name, bars) in enumerate(spikes.items()):
        drawn = axes.bar(
            [populations.index(p) + (i - (len(spikes) - 1) / 2) * width for p, _ in bars],
            [value for _, value in bars],
            0.92 * width,
            label=f"{name} ({sum(value for _, value in bars):.0f} in all)",
            color=_COLOURS[i % len(_COLOURS)],
        )
        axes.bar_label(drawn, fmt="%.0f", fontsize=8, padding=1)
    axes.set_xticks(range(len(populations)), populations)
    axes.tick_params(axis="x", length=0)
    axes.set_ylabel("Spikes per sample")
    axes.margins(y=0.12)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure


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
    figure, axes = _figure(size, title or f"Spikes of sample {sample}")
    for t in range(1, steps, 2):
        axes.axvspan(start[t] - 0.5, start[t + 1] - 0.5, color=_SHADE, linewidth=0, zorder=0)

    heights = [max(p.size, 0.05 * neurons) for p in graph.populations]
    gap = 0.03 * sum(heights)
    base = np.concatenate([[0], np.cumsum(np.add(heights, gap))])
    for i, population in enumerate(graph.populations):
        colour = _COLOURS[i % len(_COLOURS)]
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
            axes.axhline(base[i] - gap / 2, color=_GREY, linewidth=0.5, zorder=1)

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
    axes.tick_params(axis="x", which="minor", length=3, color=_GREY)
    axes.set_xlabel("Time step (small ticks: its forward steps, from 0)")
    _raster_legend(axes, record.released_at is not None)
    return figure


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure in the format of its suffix (png, pdf, svg …), whole or not at all.

    Raises
    ------
    ValidationError
        If the format is unknown, the folder cannot be written to, or ``path`` is no path.
    OSError
        The disk is full or failed; names ``path``.
    """
    suffix = os.path.splitext(as_text(path))[1].removeprefix(".").lower()
    formats = figure.canvas.get_supported_filetypes()
    if suffix not in formats:
        raise ValidationError(
            as_text(path), "format", f"one of {', '.join(sorted(formats))}", repr(suffix)
        )
    # In memory: where the disk is full, some of Matplotlib's formats fail in their own ways.
    content = io.BytesIO()
    figure.savefig(content, format=suffix, dpi=200)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.getbuffer())


def _figure(size: tuple[float, float], title: str) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(title, loc="left")
    return figure, axes


def _raster_legend(axes: Axes, with_release: bool) -> None:
    from matplotlib.lines import Line2D

    def marker(face: str, label: str) -> Line2D:
        return Line2D([], [], marker="o", color=_GREY, markerfacecolor=face, markersize=4,
                      linestyle="none", label=label)

    handles = [marker("white", "fires")]
    if with_release:
        line = Line2D([], [], color=_GREY, linewidth=1, label="waits in the pool")
        handles += [line, marker(_GREY, "is released")]
    axes.legend(handles=handles, loc="lower right", bbox_to_anchor=(1.0, 0.99), ncols=3,
                frameon=False, borderaxespad=0, handlelength=1.2)
