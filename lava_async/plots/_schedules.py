"""Accuracy in several orders."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from lava_async._semantics.schedule import Schedule
from lava_async.errors import ValidationError
from lava_async.plots._places import numbered, places_of
from lava_async.plots._style import BLACK, COLOURS, FRAME, GRID, MARKERS, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_Orders = dict[tuple[str, int], tuple[float, tuple[float, float]]]
"""Accuracy and its interval, by the place of their schedule."""


class BySchedule(Protocol):
    """What `metrics.accuracy_by_schedule` returns, as far as it is drawn."""

    @property
    def schedules(self) -> Sequence[Schedule]: ...
    @property
    def accuracy(self) -> npt.NDArray[np.float64]: ...
    @property
    def accuracy_intervals(self) -> Sequence[tuple[float, float]]: ...


def accuracy_by_schedule_figure(
    result: BySchedule | Mapping[str, BySchedule], title: str = "Accuracy by schedule"
) -> Figure:
    """A point each schedule, with the 95% interval of its accuracy; the worst has a ring.

    Parameters
    ----------
    result : AccuracyBySchedule or dict of str to AccuracyBySchedule
        What `metrics.accuracy_by_schedule` returns; several by the name for the legend.
    title : str

    Raises
    ------
    ValidationError
        There is no result, or one is something else.
    """
    from matplotlib.lines import Line2D

    several = isinstance(result, Mapping)
    shown = {name: _orders(each) for name, each in (result if several else {"": result}).items()}
    places = places_of(shown.values())
    if not places:
        raise ValidationError(_WHERE, "result", "at least one", 0)
    names = [textwrap.fill(name, _TICK) for name, _ in places]  # those of mixtures are long
    lines = 1 + max(name.count("\n") for name in names)
    # Inches, so that no number or name hides another.
    rows = max(0.42, 0.24 * len(shown), 0.18 * lines)
    figure, (axes,) = new_figure((6.4, 1.5 + rows * len(places)), title)
    for i, (name, orders) in enumerate(shown.items()):
        shift = (i - (len(shown) - 1) / 2) * 0.8 / len(shown)
        _draw(axes, name, orders, [places[key] + shift for key in orders], i)
    axes.set_yticks(range(len(places)), names, parse_math=False)
    axes.set_ylim(len(places) - 0.5, -0.5)
    for edge in range(1, len(places)):
        axes.axhline(edge - 0.5, color=FRAME, linewidth=0.6)
    axes.tick_params(axis="y", length=0)
    axes.margins(x=0.12)  # room for the numbers
    axes.set_xticks([tick for tick in axes.get_xticks() if 0 <= tick <= 100])
    axes.set_xlabel("Accuracy (%)")
    axes.grid(axis="x", color=GRID)
    handles: list[Any] = axes.get_legend_handles_labels()[0] if several else []
    if len(places) > 1:
        handles.append(Line2D([], [], linestyle="none", label="the worst schedule", **_RING))
    if handles:
        figure.legend(
            handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=9
        )
    return figure


_WHERE = "accuracy_by_schedule_figure"
_TICK = 32
"""Characters of a line of a schedule's name beside the axis."""
_RING: dict[str, Any] = {
    "marker": "o", "color": BLACK, "markerfacecolor": "none", "markersize": 12,
    "markeredgewidth": 1.2,
}  # fmt: skip


def _orders(result: Any) -> _Orders:
    try:
        columns = result.schedules, result.accuracy.tolist(), result.accuracy_intervals
    except AttributeError:
        wanted = "what metrics.accuracy_by_schedule returns"
        raise ValidationError(_WHERE, "result", wanted, type(result).__name__) from None
    return numbered(
        (str(schedule), (share, interval))
        for schedule, share, interval in zip(*columns, strict=True)
    )


def _draw(axes: Axes, name: str, orders: _Orders, heights: list[float], place: int) -> None:
    """One network: its points, their intervals, their numbers, and the ring."""
    shares = [100 * share for share, _ in orders.values()]
    ends = [(100 * low, 100 * high) for _, (low, high) in orders.values()]
    sides = [
        [share - low for share, (low, _) in zip(shares, ends, strict=True)],
        [high - share for share, (_, high) in zip(shares, ends, strict=True)],
    ]
    colour = COLOURS[place % len(COLOURS)]
    axes.errorbar(
        shares, heights, xerr=sides, label=name, color=colour, linestyle="none", capsize=3,
        marker=MARKERS[place % len(MARKERS)], markersize=6, elinewidth=1.2,
    )  # fmt: skip
    for share, (_, high), height in zip(shares, ends, heights, strict=True):
        axes.annotate(
            f"{share:.1f}", (high, height), xytext=(5, 0), textcoords="offset points",
            va="center", fontsize=8,
        )  # fmt: skip
    if len(shares) > 1:
        worst = shares.index(min(shares))
        axes.plot([shares[worst]], [heights[worst]], linestyle="none", **_RING)
