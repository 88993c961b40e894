"""What all figures share: colours that anyone tells apart, and a bare figure.

Colour never stands alone: whatever differs in colour differs in dashes, marker, hatch or place
as well, so that a print in greyscale can be read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# M. Okabe, K. Ito, *Color Universal Design*, 2008: told apart with any colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
DASHES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
HATCHES = ("", "///", "...", "xxx", "\\\\\\", "+++", "ooo")
GREY = "#8C8C8C"
FRAME = "#C4C4C4"
SHADE = "#F2F2F2"


def new_figure(
    size: tuple[float, float], title: str, rows: int = 1, columns: int = 1
) -> tuple[Figure, list[Axes]]:
    """A figure of ``size`` (width, height) in inches, and its panels row by row."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).reshape(-1).tolist()
    for axes in panels:
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    if len(panels) == 1:
        panels[0].set_title(title, loc="left")
    else:
        figure.suptitle(title, x=0.01, ha="left")
    return figure, panels
