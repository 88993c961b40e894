"""What all figures share: colours that anyone tells apart, and a bare figure.

Colour never stands alone: whatever differs in colour differs in dashes, marker, hatch or place
as well, so that a print in greyscale can be read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# M. Okabe, K. Ito, *Color Universal Design*, 2008: told apart with any colour vision.
BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
SKY, ORANGE, BLACK = "#56B4E9", "#E69F00", "#000000"
COLOURS = (BLUE, VERMILION, GREEN, PURPLE, SKY, ORANGE, BLACK)
DASHES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
HATCHES = ("", "///", "...", "xxx", "\\\\\\", "+++", "ooo")
GREY = "#8C8C8C"
FRAME = "#C4C4C4"
GRID = "#E6E6E6"
SHADE = "#F2F2F2"


def new_figure(
    size: tuple[float, float], title: str, rows: int = 1, columns: int = 1, **options: Any
) -> tuple[Figure, list[Axes]]:
    """A figure of ``size`` (width, height) in inches, and its panels row by row.

    ``options`` are those of `Figure.subplots`.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, **options).reshape(-1).tolist()
    for axes in panels:
        bare(axes)
    if len(panels) == 1:
        panels[0].set_title(title, loc="left")
    else:
        figure.suptitle(title, x=0.01, ha="left")
    return figure, panels


def bare(axes: Axes) -> None:
    """Without the frame's upper and right lines; what is drawn hides the grid."""
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
