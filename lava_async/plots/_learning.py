"""How accuracy and activity went over the epochs of trainings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lava_async.errors import ValidationError
from lava_async.plots._style import COLOURS, DASHES, MARKERS, SHADE, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PANELS = (
    ("accuracy", 100.0, "Accuracy (%)"),
    ("spikes_per_sample", 1.0, "Spikes per sample"),
)
_MARKED = 8
"""Markers on a line, which carry it where dashes are too short to tell."""


def learning_figure(
    trainings: Mapping[str, Sequence[Sequence[Mapping[str, Any]]]],
    title: str = "Accuracy and spikes over the epochs",
) -> Figure:
    """Accuracy and spikes per sample against epochs; mean over seeds, and a band of ± 1 deviation.

    The band is the standard deviation of the sample of seeds, as in tables; one seed has none.

    Parameters
    ----------
    trainings : dict of str to list of histories
        By the name for the legend, which adds the number of seeds. A history, one a seed, is what
        training writes into ``metrics.json`` as ``epochs``: one entry an epoch with ``epoch``,
        ``accuracy`` (0..1) and ``spikes_per_sample``.
    title : str

    Raises
    ------
    ValidationError
        There is nothing to show, the seeds of a training have not the same epochs, or an entry
        lacks a measure.
    """
    from matplotlib.ticker import MaxNLocator

    if not trainings:
        raise ValidationError("learning_figure", "trainings", "at least one", 0)
    figure, panels = new_figure((9.0, 3.8), title, columns=len(_PANELS))
    for i, (name, histories) in enumerate(trainings.items()):
        epochs = _epochs(name, histories)
        seeds = len(histories)
        label = f"{name} ({seeds} seed{'s' * (seeds != 1)})"
        for axes, (measure, unit, _) in zip(panels, _PANELS, strict=True):
            _draw(axes, epochs, unit * _values(name, histories, measure), label, i)
    for axes, (_, _, words) in zip(panels, _PANELS, strict=True):
        axes.set_xlabel("Epoch")
        axes.set_ylabel(words)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(color=SHADE)
    low, _ = panels[0].get_ylim()
    panels[0].set_ylim(max(0, 10 * (low // 10)), 100)
    panels[1].set_ylim(bottom=0)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=2, frameon=False, handlelength=3
    )
    return figure


def _draw(
    axes: Axes, epochs: list[int], values: npt.NDArray[np.float64], label: str, place: int
) -> None:
    """One training: values (seeds, epochs)."""
    colour = COLOURS[place % len(COLOURS)]
    mean = values.mean(axis=0)
    axes.plot(
        epochs, mean, label=label, color=colour, linestyle=DASHES[place % len(DASHES)],
        marker=MARKERS[place % len(MARKERS)], markersize=4.5,
        markevery=max(1, len(epochs) // _MARKED),
    )  # fmt: skip
    if len(values) > 1:
        spread = values.std(axis=0, ddof=1)
        axes.fill_between(
            epochs, mean - spread, mean + spread, color=colour, alpha=0.18, linewidth=0
        )


def _epochs(name: str, histories: Sequence[Sequence[Mapping[str, Any]]]) -> list[int]:
    found = [_numbers(name, history, "epoch") for history in histories]
    if not found or not found[0]:
        raise ValidationError(f"learning_figure: {name}", "histories", "epochs of a seed", "none")
    for seed, epochs in enumerate(found):
        if epochs != found[0]:
            where = f"learning_figure: {name}, history {seed}"
            raise ValidationError(where, "epochs", f"{found[0]}, as of the first", epochs)
    return found[0]


def _values(
    name: str, histories: Sequence[Sequence[Mapping[str, Any]]], measure: str
) -> npt.NDArray[np.float64]:
    """(seeds, epochs) of a measure."""
    return np.array([_numbers(name, history, measure) for history in histories], np.float64)


def _numbers(name: str, history: Sequence[Mapping[str, Any]], measure: str) -> list[Any]:
    for place, entry in enumerate(history):
        value = entry.get(measure) if isinstance(entry, Mapping) else entry
        if not isinstance(entry, Mapping) or not isinstance(value, (int, float)):
            where = f"learning_figure: {name}, entry {place}"
            raise ValidationError(where, measure, "a number", repr(value))
    return [entry[measure] for entry in history]
