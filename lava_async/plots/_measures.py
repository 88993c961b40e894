"""Accuracy and spikes of runs."""

from __future__ import annotations

import numbers
import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lava_async._semantics.graph import Graph
from lava_async.errors import ValidationError
from lava_async.plots._places import numbered, places_of
from lava_async.plots._style import COLOURS, DASHES, HATCHES, SHADE, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SPIKES = "spikes_per_population_figure"


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
    figure, (axes,) = new_figure((6.4, 4.0), title)
    for i, (name, (steps, accuracy)) in enumerate(curves.items()):
        axes.step(
            np.asarray(steps),
            100 * np.asarray(accuracy),
            where="post",
            label=name,
            color=COLOURS[i % len(COLOURS)],
            linestyle=DASHES[i % len(DASHES)],
        )
    axes.set_xlabel("Forward steps since the start of the sample")
    axes.set_ylabel("Accuracy (%)")
    axes.set_xlim(0, max(1, *(np.max(steps) for steps, _ in curves.values())))
    axes.set_ylim(0, 100)
    axes.grid(color=SHADE)
    axes.legend(loc="lower right", frameon=False)
    return figure


def spikes_per_population_figure(
    spikes: Mapping[str, npt.NDArray[np.integer] | Sequence[tuple[str, float]]],
    title: str = "Spikes per population",
    *,
    graph: Graph | None = None,
) -> Figure:
    """Bars of the spikes per sample, by population.

    Parameters
    ----------
    spikes : dict of str to (B, populations) array, or to list of (population, spikes per sample)
        By the name for the legend, which adds the sum. Arrays are what
        `metrics.spikes_per_population` returns; bars are their means over the samples.
    title : str
    graph : Graph, optional
        Names the populations of arrays.

    Raises
    ------
    ValidationError
        If there is nothing to show, or an array has no graph or is not of this one, or what
        stands for it is neither an array nor such a list.
    """
    if not isinstance(spikes, Mapping):
        wanted = "a dict of what to show, by name"
        raise ValidationError(_SPIKES, "spikes", wanted, type(spikes).__name__)
    shown = {name: _bars(name, given, graph) for name, given in spikes.items()}
    places = places_of(shown.values())
    if not places:
        raise ValidationError(_SPIKES, "spikes", "at least one population", 0)
    inches = max(6.4, 1.0 + len(places) * max(1.2, 0.5 * len(spikes)))
    figure, (axes,) = new_figure((inches, 4.0), title)
    width = 0.8 / len(spikes)
    for i, (name, bars) in enumerate(shown.items()):
        drawn = axes.bar(
            [places[p] + (i - (len(spikes) - 1) / 2) * width for p in bars],
            list(bars.values()),
            0.92 * width,
            label=f"{name} ({sum(bars.values()):.0f} in all)",
            color=COLOURS[i % len(COLOURS)],
            hatch=HATCHES[i % len(HATCHES)],
            edgecolor="white",
            linewidth=0,
        )
        axes.bar_label(drawn, fmt="%.0f", fontsize=8, padding=1)
    axes.set_xticks(range(len(places)), [name for name, _ in places], parse_math=False)
    axes.tick_params(axis="x", length=0)
    axes.set_ylabel("Spikes per sample")
    axes.margins(y=0.12)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure


def _bars(
    name: str, spikes: npt.NDArray[np.integer] | Sequence[tuple[str, float]], graph: Graph | None
) -> dict[tuple[str, int], float]:
    """Spikes per sample of each population."""
    if not isinstance(spikes, np.ndarray):
        return numbered(_pairs(name, spikes))
    if not isinstance(graph, Graph):
        wanted = "the Graph that the arrays are of, for the names of its populations"
        raise ValidationError(_SPIKES, "graph", wanted, type(graph).__name__)
    populations = len(graph.populations)
    if spikes.ndim != 2 or spikes.shape[1] != populations or not len(spikes):
        wanted = f"(samples, {populations}), a sample or more, as of metrics.spikes_per_population"
        raise ValidationError(f"{_SPIKES}: {name}", "shape", wanted, spikes.shape)
    names = (population.name for population in graph.populations)
    return numbered(zip(names, spikes.mean(axis=0).tolist(), strict=True))


def _pairs(name: str, given: Any) -> Iterator[tuple[str, float]]:
    """Names and numbers; lists of counts, of which two would look alike, are none."""
    for each in given if isinstance(given, Iterable) else [given]:
        match each:
            case [str() as population, numbers.Real() as count]:
                yield population, float(count)
            case _:
                wanted = (
                    "pairs of a population's name and its spikes per sample, or the array that "
                    "metrics.spikes_per_population returns"
                )
                raise ValidationError(_SPIKES, name, wanted, reprlib.repr(each))
