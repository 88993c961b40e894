"""What the figures of a study have in common: looks of lines, panels, marks with spreads."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from lava_async.plots._style import (
    BLACK,
    BLUE,
    GREEN,
    GRID,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    new_figure,
)
from lava_async.study.results import Cell, Results, Variant

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Look(NamedTuple):
    """Of a line: colours that all eyes tell apart, and what tells it apart without them."""

    color: str
    marker: str
    linestyle: str


LOOKS = (
    Look(BLACK, "o", "-"),
    Look(BLUE, "s", "--"),
    Look(VERMILION, "^", "-"),
    Look(GREEN, "D", "-."),
    Look(PURPLE, "v", "-"),
    Look(ORANGE, "P", ":"),
    Look(SKY, "X", "--"),
)
_LABEL = 40  # characters


def rows_of(results: Results, variants: Iterable[Variant]) -> list[list[Variant]]:
    """Variants by the row of panels that they are drawn in, at most as many as there are looks.

    All in one where they fit. Else methods stay together; one with too many has rows of its own.
    """
    wanted = list(variants)
    rows = [[v for v in wanted if v.kind in row] for row in _kinds(results)]
    return [row for row in rows if row]


def _kinds(results: Results) -> list[list[Variant]]:
    kinds = [variant.kind for variant in results.main_variants()]
    most = len(LOOKS)
    rows: list[list[Variant]] = [[]]
    for _, found in itertools.groupby(kinds, lambda kind: kind.method):
        method = list(found)
        count = -(-len(method) // most)
        if count == 1 and len(rows[-1]) + len(method) <= most:
            rows[-1] += method
        else:
            ends = [len(method) * part // count for part in range(count + 1)]
            rows += [method[first:end] for first, end in itertools.pairwise(ends)]
            rows += [[]] if count > 1 else []  # no other method joins a part of one
    return [row for row in rows if row]


def looks_of(results: Results) -> Mapping[Variant, Look]:
    """Of each kind of variants, the same in all figures; those of a row all differ."""
    return {kind: look for row in _kinds(results) for kind, look in zip(row, LOOKS, strict=False)}


def panels_of(
    rows: int, columns: int, title: str, sharey: bool = True
) -> tuple[Figure, list[list[Axes]]]:
    """A figure of panels, row by row; those of a column share x, and all y, or those of a column.

    Several rows have room for a legend each at their right.
    """
    shared = True if sharey else "col"
    figure, panels = new_figure(
        _size(rows, columns), title, rows, columns, sharex="col", sharey=shared
    )
    for axes in panels:
        axes.grid(color=GRID)
    return figure, _by_row(panels, columns)


def panels_with_lanes(
    lanes: Sequence[int], columns: int, title: str
) -> tuple[Figure, list[list[Axes]], list[list[Axes]]]:
    """The same, and below each panel a strip of lanes, for marks that would hide one another.

    lanes : how many the strips of each row of panels have, 0, 1, … from the top.
    """
    width, height = _size(len(lanes), columns)
    strips = [0.2 + 0.14 * count for count in lanes]  # inches
    ratios = [inches for strip in strips for inches in (3.0, strip)]
    figure, found = new_figure(
        (width, height + sum(strips)), title, 2 * len(lanes), columns, sharex="col", sharey="row",
        height_ratios=ratios,
    )  # fmt: skip
    rows = _by_row(found, columns)
    for count, above, below in zip(lanes, rows[::2], rows[1::2], strict=True):
        for axes in above:
            axes.grid(color=GRID)
        for axes in below:
            axes.grid(axis="x", color=GRID)
            axes.tick_params(axis="y", left=False, labelleft=False)
            axes.set_ylim(count - 0.3, -0.7)
    return figure, rows[::2], rows[1::2]


def _size(rows: int, columns: int) -> tuple[float, float]:
    width = {1: 6.4, 2: 8.4}.get(columns, 3.4 * columns)
    return (width, 4.4) if rows == 1 else (width + 3.4, 0.8 + 2.9 * rows)


def _by_row(panels: Sequence[Axes], columns: int) -> list[list[Axes]]:
    return [list(panels[first : first + columns]) for first in range(0, len(panels), columns)]


def plot_cells(
    axes: Axes,
    cells: Sequence[Cell],
    x: Sequence[Any],
    look: Look,
    label: str | None,
    spread: Sequence[float | None] | None = None,
    hollow: bool = False,
    measure: str = "accuracy",
    factor: float = 100.0,
) -> None:
    """A line of cells with their spreads over the seeds.

    Parameters
    ----------
    axes : Axes
    cells : sequence of Cell
    x : sequence of float
        Places of the cells.
    look : Look
    label : str, optional
        For the legend.
    spread : sequence of float or None, optional
        Along x.
    hollow : bool
        White markers, no line, below those of other calls.
    measure : str
        What is drawn upwards, times ``factor``.
    """
    height: Any = [factor * (cell.mean(measure) or 0.0) for cell in cells]
    axes.errorbar(
        x, height,
        yerr=[factor * (cell.spread(measure) or 0.0) for cell in cells],
        xerr=[each or 0.0 for each in spread] if spread else None,
        color=look.color, marker=look.marker, label=label, capsize=2, elinewidth=0.8,
        linewidth=1.4, markersize=6, markerfacecolor="white" if hollow else look.color,
        linestyle="none" if hollow else look.linestyle, zorder=2 if hollow else 3,
    )  # fmt: skip


def legends(figure: Figure, panels: Sequence[Sequence[Axes]]) -> None:
    """What the first panel of each row shows: below the only one, or at the right of each."""
    for row in panels:
        handles, labels = row[0].get_legend_handles_labels()
        if len(panels) > 1:
            row[-1].legend(
                handles, labels, loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False,
                fontsize=9,
            )  # fmt: skip
            continue
        inches = 0.7 + 0.08 * max(map(len, labels))  # of a column, in this font
        columns = max(1, min(3, int(figure.get_figwidth() / inches)))
        figure.legend(
            handles, labels, loc="outside lower center", ncols=columns, frameon=False, fontsize=9
        )


def plain_ticks(axes: Axes) -> None:
    """Whole numbers, not powers of ten, along a logarithmic x."""
    from matplotlib.ticker import LogLocator, StrMethodFormatter

    axes.xaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 4, 5, 7)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.minorticks_off()


def percent(cell: Cell | None) -> float:
    """Its accuracy; NaN of none."""
    return float("nan") if cell is None else 100 * float(cell.accuracy)


def short(label: str) -> str:
    """A label that leaves room for its figure; of a long path the end, which tells most."""
    return label if len(label) <= _LABEL else f"…{label[1 - _LABEL :]}"
