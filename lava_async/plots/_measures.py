"""Accuracy and spikes of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lava_async.errors import ValidationError
from lava_async.plots._style import COLOURS, DASHES, HATCHES, SHADE, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
    figure, (axes,) = new_figure((inches, 4.0), title)
    width = 0.8 / len(spikes)
    for i, (name, bars) in enumerate(spikes.items()):
        drawn = axes.bar(
            [populations.index(p) + (i - (len(spikes) - 1) / 2) * width for p, _ in bars],
            [value for _, value in bars],
            0.92 * width,
            label=f"{name} ({sum(value for _, value in bars):.0f} in all)",
            color=COLOURS[i % len(COLOURS)],
            hatch=HATCHES[i % len(HATCHES)],
            edgecolor="white",
            linewidth=0,
        )
        axes.bar_label(drawn, fmt="%.0f", fontsize=8, padding=1)
    axes.set_xticks(range(len(populations)), populations, parse_math=False)
    axes.tick_params(axis="x", length=0)
    axes.set_ylabel("Spikes per sample")
    axes.margins(y=0.12)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure
