"""The network as a graph of its populations."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lava_async._semantics.connections import INPUT, Connection
from lava_async._semantics.graph import Graph
from lava_async._semantics.record import Record
from lava_async.errors import ValidationError
from lava_async.plots._layout import Edge, Layout, Point, layered_layout, spread
from lava_async.plots._style import COLOURS, GREY, SHADE
from lava_async.plots._trace import layered_samples

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

_HEIGHT = 0.78
"""Inches, as all lengths here; of a box."""
_NARROW = 1.9
_LONGEST_NAME = 40
_BETWEEN = 0.78
_GAP = 0.22
_NAME: dict[str, Any] = {"fontsize": 9, "fontweight": "bold"}
_TEXT: dict[str, Any] = {"fontsize": 8}
_NARROWEST = 4.2
_WIDEST = 5.0
"""Points, of the arrow with the most."""

_LOOKS = {
    "within the time step": ("-", "#000000"),
    "recurrent": ((0, (4, 2)), COLOURS[1]),
    "delayed": ((0, (1, 1.2)), COLOURS[0]),
    "recurrent, delayed": ((0, (4, 1.5, 1, 1.5)), COLOURS[3]),
}


def network_figure(
    graph: Graph,
    record: Record | None = None,
    x: npt.ArrayLike | None = None,
    on_edges: str = "spikes",
    title: str = "Populations and connections",
) -> Figure:
    """The network as a graph: a box for each population, an arrow for each connection.

    An arrow is as wide as what it carries, on the mean of the record's samples. One against the
    order in which `LayerSync` evaluates the populations is called recurrent and goes back along
    the side, dashed; one with delays is dotted and says how many time steps.

    Parameters
    ----------
    graph : Graph
    record : Record, optional
        For the spikes. Where early decision discarded some, of a run with ``trace=True``.
    x : (B, *input_shape, T) or (*input_shape, T) array of int, optional
        What the record is of, for the arrows from the input; they say nothing without it.
    on_edges : {"spikes", "synops"}
        Delivered spikes of the source, or synaptic operations, of each connection.
    title : str

    Raises
    ------
    ValidationError
        If ``on_edges`` is neither, or record, input and graph do not belong together.
    """
    from matplotlib.figure import Figure

    where = "network_figure"
    if on_edges not in ("spikes", "synops"):
        raise ValidationError(where, "on_edges", "'spikes' or 'synops'", repr(on_edges))
    if x is not None and record is None:
        raise ValidationError(where, "record", "that of a run on x", "none")
    sent = {} if record is None else _sent(where, graph, record, x)
    values = [_carried(graph, c, sent, on_edges) for c in graph.connections]
    labels = [
        _label(c, value, on_edges) for c, value in zip(graph.connections, values, strict=True)
    ]
    edges = [
        Edge(c.source + 1, c.target + 1, _recurs(graph, c), _text_width(label, **_TEXT) + 0.1)
        for c, label in zip(graph.connections, labels, strict=True)
    ]
    words = [_words(graph, place, sent) for place in range(INPUT, len(graph.populations))]
    box = max(map(_box_width, words)), _HEIGHT
    layout = layered_layout([0, *(p + 1 for p in graph.order)], edges, box, _BETWEEN, _GAP)

    margin, head, foot = 0.25, 0.45, 0.5
    pad = max(margin, (_NARROWEST - (layout.right - layout.left)) / 2)
    low = (layout.left - pad, layout.bottom - foot)
    high = (layout.right + pad, layout.top + head)
    size = (high[0] - low[0], high[1] - low[1])
    figure = Figure(figsize=size)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(low[0], high[0])
    axes.set_ylim(low[1], high[1])
    axes.set_axis_off()
    figure.suptitle(title, x=0.15 / size[0], y=1 - 0.12 / size[1], ha="left", va="top")
    for node, place in enumerate(layout.nodes):
        _draw_box(axes, place, box, words[node], node - 1 == INPUT, node - 1 == graph.output)
    used = _draw_edges(axes, graph, layout, box, edges, values, labels)
    handles = [_key(name) for name in _LOOKS if name in used]
    if len(handles) > 1:
        figure.legend(
            handles=handles, loc="lower left", ncols=2, frameon=False, fontsize=8, handlelength=3
        )
    return figure


def _sent(
    where: str, graph: Graph, record: Record, x: npt.ArrayLike | None
) -> dict[int, npt.NDArray[np.float64]]:
    """Delivered spikes per sample of each neuron of a population, or of the input, if known."""
    batch, neurons, steps = record.all_spikes.shape
    if neurons != graph.num_neurons:
        raise ValidationError(where, "neurons", graph.num_neurons, neurons)
    spikes = record.all_spikes > 0
    if record.released_at is not None:
        layered = layered_samples(record.released_at, record.forward_steps)
        spikes = np.where(layered[:, None, None], spikes, record.released_at >= 0)
    total = spikes.sum(axis=(0, 2), dtype=np.int64)
    sent = {p: total[graph.slice(p)] for p in range(len(graph.populations))}
    if x is not None:
        frames, wanted = np.asarray(x), (batch, *graph.input_shape, steps)
        if frames.shape == wanted[1:]:  # one sample, as `simulate` takes it, too
            frames = frames[None]
        if frames.shape != wanted:
            raise ValidationError(where, "x shape", wanted, frames.shape)
        sent[INPUT] = frames.reshape(batch, -1, steps).sum(axis=(0, 2), dtype=np.int64)
        synops = sum(int(_fan_out(graph, c) @ sent[c.source]) for c in graph.connections)
        if synops != record.synops.sum():
            wanted = f"those of the record, {record.synops.sum()} (x is its input, and where "
            wanted += "early decision discarded spikes, it has a trace)"
            raise ValidationError(where, "synaptic operations", wanted, synops)
    return {source: each / batch for source, each in sent.items()}


def _fan_out(graph: Graph, connection: Connection) -> npt.NDArray[np.int64]:
    return connection.fan_out(graph.source_shape(connection))


def _carried(
    graph: Graph,
    connection: Connection,
    sent: dict[int, npt.NDArray[np.float64]],
    on_edges: str,
) -> float | None:
    if connection.source not in sent:
        return None
    spikes = sent[connection.source]
    if on_edges == "spikes":
        return float(spikes.sum())
    return float(_fan_out(graph, connection) @ spikes)


def _recurs(graph: Graph, connection: Connection) -> bool:
    order = graph.order
    return connection.source != INPUT and (
        order.index(connection.target) <= order.index(connection.source)
    )


# ---------------------------------------------------------------- words


def _label(connection: Connection, value: float | None, on_edges: str) -> str:
    lines = [connection.kind]
    low, high = int(np.min(connection.delay)), int(np.max(connection.delay))
    if high:
        lines.append(f"delay {low}" if low == high else f"delay {low} to {high}")
    if value is not None:
        lines.append(f"{_number(value)} {on_edges}")
    return "\n".join(lines)


def _words(
    graph: Graph, place: int, sent: dict[int, npt.NDArray[np.float64]]
) -> tuple[str, str]:
    """Name of a population or the input, and what is told of it."""
    if place == INPUT:
        name, shape, unit = "input", graph.input_shape, "channels"
    else:
        population = graph.populations[place]
        name, shape, unit = population.name, population.shape, "neurons"
    size = math.prod(shape)
    lines = [f"{size} {unit}"]
    if len(shape) > 1:
        lines = [f"{'×'.join(map(str, shape))} = {lines[0]}"]
    if place in sent:
        lines.append(f"{_number(float(sent[place].sum()))} spikes a sample")
    if len(name) > _LONGEST_NAME:
        name = name[: _LONGEST_NAME - 1] + "…"
    return name, "\n".join(lines)


def _box_width(words: tuple[str, str]) -> float:
    name, text = words
    return max(_NARROW, 0.3 + max(_text_width(name, **_NAME), _text_width(text, **_TEXT)))


def _number(value: float) -> str:
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * unit:
            return f"{value / unit:.3g}{letter}"
    return f"{value:.3g}"


def _text_width(text: str, fontsize: float, fontweight: str = "normal") -> float:
    """Inches of the longest line."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=fontsize, weight=fontweight)
    lines = [
        text_to_path.get_text_width_height_descent(line, font, ismath=False)[0]
        for line in text.splitlines()
    ]
    return max(lines, default=0.0) / 72


# ---------------------------------------------------------------- drawing


def _draw_box(
    axes: Axes, place: Point, box: Point, words: tuple[str, str], is_input: bool, is_output: bool
) -> None:
    from matplotlib.patches import FancyBboxPatch

    x, y = place
    axes.add_patch(
        FancyBboxPatch(
            (x - box[0] / 2, y - box[1] / 2), *box, zorder=3,
            boxstyle="round,pad=0,rounding_size=0.08",
            facecolor="white" if is_input else SHADE, edgecolor=GREY if is_input else "black",
            linewidth=2.2 if is_output else 0.9,
        )
    )  # fmt: skip
    name, text = words
    look = {"ha": "center", "va": "center", "zorder": 4, "parse_math": False}
    axes.text(x, y + 0.18, name, **_NAME, **look)
    axes.text(x, y - 0.12, text, **_TEXT, **look)


def _draw_edges(
    axes: Axes,
    graph: Graph,
    layout: Layout,
    box: Point,
    edges: Sequence[Edge],
    values: Sequence[float | None],
    labels: Sequence[str],
) -> set[str]:
    """Draw all arrows. Returns the names of their looks."""
    leaves, enters = _ports(layout, box, edges)
    most = max((value for value in values if value is not None), default=0.0)
    used = set()
    for i, (edge, value) in enumerate(zip(edges, values, strict=True)):
        look = _look(edge, graph.connections[i])
        used.add(look)
        path = [leaves[i], *layout.bends[i], enters[i]]
        width = 1.2 if value is None or not most else 0.8 + (_WIDEST - 0.8) * value / most
        for patch in _arrow(path, edge.is_back, width, look):
            axes.add_patch(patch)
        x, y = layout.labels[i]
        axes.text(
            x - 0.1 * edge.is_back, y, labels[i], ha="right" if edge.is_back else "center",
            va="center", zorder=2.5, linespacing=1.1, **_TEXT,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.2},
        )  # fmt: skip
    return used


def _look(edge: Edge, connection: Connection) -> str:
    if edge.is_back:
        return "recurrent, delayed" if connection.max_delay else "recurrent"
    return "delayed" if connection.max_delay else "within the time step"


def _ports(
    layout: Layout, box: Point, edges: Sequence[Edge]
) -> tuple[list[Point], list[Point]]:
    """Where each edge leaves its source and enters its target."""
    leaves: list[Point] = [(0.0, 0.0)] * len(edges)
    enters = leaves.copy()
    half, reach = box[1] / 2, 0.42 * box[0]
    for node, (x, y) in enumerate(layout.nodes):
        for ports, bend, at, side in (
            (leaves, 0, [e.source for e in edges], -half),
            (enters, -1, [e.target for e in edges], half),
        ):
            mine = [i for i, n in enumerate(at) if n == node and not edges[i].is_back]
            mine.sort(key=lambda i, bend=bend: layout.bends[i][bend][0])
            if mine:
                wanted = [min(max(layout.bends[i][bend][0], x - reach), x + reach) for i in mine]
                apart = [min(0.2, 2 * reach / len(mine))] * (len(mine) - 1)
                for i, port in zip(mine, spread(wanted, apart), strict=True):
                    ports[i] = float(port), y + side
    back = [i for i, edge in enumerate(edges) if edge.is_back]
    back.sort(key=lambda i: -max(x for x, _ in layout.bends[i]))  # loops inside, others around
    taken = [0] * len(layout.nodes)
    for i in back:
        edge = edges[i]
        down = layout.nodes[edge.target][1] < layout.nodes[edge.source][1]
        for ports, node, sign in ((leaves, edge.source, -1), (enters, edge.target, 1)):
            x, y = layout.nodes[node]
            away = min(0.11 + 0.1 * taken[node], 0.9 * half)
            ports[i] = x - box[0] / 2, y + (-sign if down else sign) * away
        for node in {edge.source, edge.target}:
            taken[node] += 1
    return leaves, enters


def _arrow(points: Sequence[Point], is_back: bool, width: float, look: str) -> list[Patch]:
    """Line and head: one patch of both would have dashes in its head."""
    from matplotlib.patches import PathPatch, Polygon
    from matplotlib.path import Path

    dashes, colour = _LOOKS[look]
    tip_x, tip_y = points[-1]
    long, half = 0.1 + 0.02 * width, 0.045 + 0.01 * width
    if is_back:
        end = tip_x - long, tip_y
        head = [points[-1], (end[0], tip_y + half), (end[0], tip_y - half)]
    else:
        end = tip_x, tip_y + long
        head = [points[-1], (tip_x - half, end[1]), (tip_x + half, end[1])]
    points = [*points[:-1], end]
    vertices, codes = [points[0]], [Path.MOVETO]
    for i, ((x0, y0), (x1, y1)) in enumerate(itertools.pairwise(points)):
        if is_back and i in (0, len(points) - 2):
            corner = (x1, y0) if i == 0 else (x0, y1)
            vertices += [corner, (x1, y1)]
            codes += [Path.CURVE3] * 2
        else:
            middle = (y0 + y1) / 2
            vertices += [(x0, middle), (x1, middle), (x1, y1)]
            codes += [Path.CURVE4] * 3
    return [
        PathPatch(
            Path(vertices, codes), fill=False, linewidth=width, linestyle=dashes,
            edgecolor=colour, capstyle="butt", zorder=2,
        ),
        Polygon(head, facecolor=colour, edgecolor="none", zorder=2),
    ]  # fmt: skip


def _key(name: str) -> Line2D:
    from matplotlib.lines import Line2D

    dashes, colour = _LOOKS[name]
    return Line2D([], [], linestyle=dashes, color=colour, linewidth=1.5, label=name)
