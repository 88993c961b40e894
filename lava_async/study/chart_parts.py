"""What the figures of a study have in common: looks of lines, panels, marks with spreads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from lava_async.study.results import Cell, Results, Variant

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Look(NamedTuple):
    """Of a line: colours that all eyes tell apart, and what tells it apart without them."""

    color: str
    marker: str
    linestyle: str


# Colours by M. Okabe, K. Ito, *Color Universal Design*, 2008.
LOOKS = (
    Look("#000000", "o", "-"),
    Look("#0072B2", "s", "--"),
    Look("#D55E00", "^", "-"),
    Look("#009E73", "D", "-."),
    Look("#CC79A7", "v", "-"),
    Look("#E69F00", "P", ":"),
    Look("#56B4E9", "X", "--"),
)
GRID = "#E6E6E6"
GREY = "#8C8C8C"
_LABEL = 40  # characters


def figure_of(size: tuple[float, float], title: str) -> tuple[Figure, Axes]:
    """A figure of one panel; ``size`` is in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    _bare(axes)
    axes.set_title(title, loc="left")
    return figure, axes


def panels_of(count: int, title: str, sharey: bool = True) -> tuple[Figure, list[Axes]]:
    """A figure of panels side by side."""
    from matplotlib.figure import Figure

    width = {1: 6.4, 2: 8.4}.get(count, 3.4 * count)
    figure = Figure(figsize=(width, 4.4), layout="constrained")
    panels = list(figure.subplots(1, count, sharey=sharey, squeeze=False)[0])
    for axes in panels:
        _bare(axes)
        axes.grid(color=GRID)
    figure.suptitle(title)
    return figure, panels


def _bare(axes: Axes) -> None:
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


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


def looks_of(results: Results, variants: Sequence[Variant]) -> Mapping[Variant, Look]:
    """The same for a way of training in all figures, whichever of its penalties they show."""
    kinds = [variant.kind for variant in results.main_variants()]
    looks = {}
    for variant in variants:
        turn, place = divmod(kinds.index(variant.kind), len(LOOKS))
        other = LOOKS[(place + turn) % len(LOOKS)]
        looks[variant] = Look(LOOKS[place].color, other.marker, other.linestyle)
    return looks


def legend_below(figure: Figure, axes: Axes) -> None:
    """What ``axes`` shows, in as many columns as the figure has room for."""
    handles, labels = axes.get_legend_handles_labels()
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


def with_spread(cell: Cell) -> str:
    """Its accuracy (%), and how it spreads over the seeds."""
    spread = cell.spread("accuracy")
    return f"{percent(cell):.1f}" + ("" if spread is None else f" ± {100 * spread:.1f}")


def short(label: str) -> str:
    """A label that leaves room for its figure; of a long path the end, which tells most."""
    return label if len(label) <= _LABEL else f"…{label[1 - _LABEL :]}"
