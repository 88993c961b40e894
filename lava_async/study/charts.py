"""Figures of a study, from its rows. Each returns None where the rows hold nothing to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lava_async.plots._style import BLACK, BLUE, GREEN, GREY, GRID, PURPLE, VERMILION, new_figure
from lava_async.study.chart_parts import (
    Look,
    legends,
    looks_of,
    panels_of,
    panels_with_lanes,
    percent,
    plain_ticks,
    plot_cells,
    rows_of,
    short,
)
from lava_async.study.results import Cell, Results, Variant, is_layer_by_layer, order_text
from lava_async.study.table import Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# A marker and a colour each; orders of users' own share the last.
_SCHEDULERS = {
    "layer by layer": ("s", BLACK),
    "momentum": ("o", BLUE),
    "random": ("^", VERMILION),
    "fifo": ("D", GREEN),
}
_OWN = ("P", PURPLE)
_CONTRAST = 5.0  # points of accuracy, at least, from the darkest shade to the lightest


def accuracy_by_order(results: Results) -> Figure | None:
    """Heat map: how it was trained by how it is run, the worst order of each network framed."""
    from matplotlib.patches import Rectangle

    if len(results.orders) < 2:
        return None
    cells = {variant: results.complete(variant) for variant in results.variants}
    variants = [variant for variant, found in cells.items() if found]
    values = [
        [percent(results.cell(variant, run)) for run in results.orders] for variant in variants
    ]
    size = (2.9 + 1.12 * len(results.orders), 1.3 + 0.55 * len(variants))
    figure, [axes] = new_figure(size, "Accuracy (%); framed: the worst order of each network")
    shares = [percent(cell) for found in cells.values() for cell in found]
    # Light where all is well, so that losses stand out; small ones do not look like large ones.
    lowest = min(*shares, max(shares) - _CONTRAST)
    image = axes.imshow(
        values, cmap="Blues_r", aspect="auto", vmin=lowest, vmax=max(shares) + 0.1 * _CONTRAST
    )
    for j, run in enumerate(results.orders):
        for i, variant in enumerate(variants):
            if results.cell(variant, run) is None:
                axes.text(j, i, "not run", ha="center", va="center", fontsize=8, color=GREY)
    for i, variant in enumerate(variants):
        worst = _worst(cells[variant])
        for cell in cells[variant]:
            j = results.orders.index(cell.run)
            light = image.norm(values[i][j]) > 0.5
            axes.text(
                j, i, cell.accuracy_text, ha="center", va="center", fontsize=9,
                color="black" if light else "white",
            )  # fmt: skip
            if cell is worst and len(cells[variant]) > 1:
                for color, linewidth in (("white", 4.0), ("black", 1.6)):
                    axes.add_patch(
                        Rectangle((j - 0.47, i - 0.45), 0.94, 0.9, fill=False,
                                  edgecolor=color, linewidth=linewidth)
                    )  # fmt: skip
    axes.set_xticks(range(len(results.orders)), [_two_lines(run) for run in results.orders])
    axes.set_yticks(range(len(variants)), [short(results.label(variant)) for variant in variants])
    axes.set_xlabel("Run")
    axes.set_ylabel("Trained")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


def trade_off(results: Results) -> Figure | None:
    """Accuracy against spikes and synaptic operations, a line a method, over its penalties."""
    lines: dict[Variant, list[Cell]] = {}
    for variant in results.variants:
        cell = results.as_trained(variant)
        if cell is not None:
            lines.setdefault(variant.kind, []).append(cell)
    if sum(map(len, lines.values())) < 2:
        return None
    rows = rows_of(results, [cells[0].variant for cells in lines.values()])
    figure, panels = panels_of(len(rows), 2, "Accuracy against what it takes")
    looks = looks_of(results)
    measures = ("spikes_per_sample", "synops_per_sample")
    for variants, row in zip(rows, panels, strict=True):
        for axes, measure in zip(row, measures, strict=True):
            _draw_trade_off(axes, measure, results, [lines[v.kind] for v in variants], looks)
        row[0].set_ylabel("Accuracy (%)")
    texts = ("Spikes per sample", "Synaptic operations per sample")
    for axes, measure, text in zip(panels[-1], measures, texts, strict=True):
        axes.set_xlabel(text)
        if all(cell.mean(measure) for cells in lines.values() for cell in cells):
            axes.set_xscale("log")
            plain_ticks(axes)
    legends(figure, panels)
    return figure


def _draw_trade_off(
    axes: Axes, measure: str, results: Results, lines: Sequence[Sequence[Cell]],
    looks: Mapping[Variant, Look],
) -> None:  # fmt: skip
    labelled = 0
    for cells in lines:
        look = looks[cells[0].variant.kind]
        cells = sorted(cells, key=lambda cell: cell.variant.penalty or 0.0)
        label = short(results.kind_label(cells[0].variant))
        plot_cells(axes, cells, [cell.mean(measure) for cell in cells], look, label,
                   spread=[cell.spread(measure) for cell in cells])  # fmt: skip
        if len(cells) > 1:
            labelled += 1
            right = labelled % 2 == 1  # of their points, so that lines side by side differ
            for cell in cells:
                axes.annotate(
                    f"{cell.variant.penalty or 0:g}",
                    (cell.mean(measure) or 0.0, percent(cell)),
                    xytext=(5, -10) if right else (-5, 5), textcoords="offset points",
                    ha="left" if right else "right", fontsize=8, color=look.color,
                )  # fmt: skip
        hollow = results.asynchronous(cells[0].variant)
        if hollow is not None and hollow.run != cells[0].run:
            found = [results.cell(cell.variant, hollow.run) for cell in cells]
            found = [cell for cell in found if cell is not None]
            plot_cells(axes, found, [cell.mean(measure) for cell in found], look, None,
                       spread=[cell.spread(measure) for cell in found], hollow=True)  # fmt: skip
    axes.margins(x=0.12)  # room for the penalties


def accuracy_in_time(results: Results, points: Sequence[Point]) -> Figure | None:
    """Accuracy against forward steps; below, a lane each, the mean forward step of decision."""
    from matplotlib.ticker import MaxNLocator

    curves: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for point in points:
        curves.setdefault((point.network, point.run), []).append(
            (point.forward_step, point.accuracy)
        )
    shown: dict[str, list[tuple[Variant, list[list[tuple[int, float]]]]]] = {}
    for run in results.orders:
        for variant in results.main_variants():
            cell = results.cell(variant, run)
            found = [curves[key] for row in (cell.rows if cell else ())
                     if (key := (row.network, run)) in curves]  # fmt: skip
            if found:
                shown.setdefault(run, []).append((variant, found))
    runs = [run for run in (*results.orders[:1], results.reference) if run in shown]
    runs = list(dict.fromkeys(runs)) or list(shown)[:2]
    if not runs:
        return None
    rows = rows_of(results, dict.fromkeys(v for run in runs for v, _ in shown[run]))
    figure, panels, strips = panels_with_lanes(
        [len(variants) for variants in rows], len(runs),
        "Accuracy against forward steps; below: when it decides",
    )  # fmt: skip
    looks = looks_of(results)
    ends = dict.fromkeys(runs, 1.0)
    for variants, row, lanes in zip(rows, panels, strips, strict=True):
        for axes, strip, run in zip(row, lanes, runs, strict=True):
            for variant, found in shown[run]:
                if variant not in variants:
                    continue
                steps, accuracy = _mean_curve(found)
                look = looks[variant.kind]
                label = short(results.label(variant))
                axes.step(steps, accuracy, where="post", color=look.color, label=label,
                          linestyle=look.linestyle, linewidth=1.6, marker=look.marker,
                          markevery=[])  # fmt: skip
                cell = results.cell(variant, run)
                decided = cell.mean("decision_step") if cell else None
                ends[run] = max(ends[run], _settled(accuracy), decided or 0.0)
                if decided is not None:
                    strip.plot([decided], [variants.index(variant)], look.marker,
                               color=look.color, markersize=6)  # fmt: skip
        row[0].set_ylabel("Accuracy (%)")
        row[0].set_ylim(0, 100)
        lanes[0].set_ylabel("decides", fontsize=8, rotation=0, ha="right", va="center")
    for top, bottom, run in zip(panels[0], strips[-1], runs, strict=True):
        top.set_title(f"run {order_text(run)}", fontsize=10)
        bottom.set_xlabel("Forward steps since the start of the sample")
        bottom.set_xlim(0, 1.1 * ends[run])
        bottom.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    legends(figure, panels)
    return figure


def early_decision(results: Results) -> Figure | None:
    """Accuracy and spikes against K, and without early decision."""
    stops = sorted({cell.stop_after for cell in results.cells if cell.stop_after is not None})
    shown = []
    for variant in results.main_variants():
        whole = results.asynchronous(variant)
        found = results.stopped(variant, whole.run) if whole else []
        if whole is not None and found:
            shown.append((variant, [*found, whole]))
    if not shown:
        return None
    cells_of = dict(shown)
    rows = rows_of(results, cells_of)
    title = "Stopping K forward steps after the first output spike"
    figure, panels = panels_of(len(rows), 2, title, sharey=False)
    looks = looks_of(results)
    for variants, (left, right) in zip(rows, panels, strict=True):
        for i, variant in enumerate(variants):
            shift = 0.08 * (i - (len(variants) - 1) / 2)
            cells, look = cells_of[variant], looks[variant.kind]
            places = [
                (len(stops) if cell.stop_after is None else stops.index(cell.stop_after)) + shift
                for cell in cells
            ]
            plot_cells(left, cells, places, look, short(results.label(variant)))
            plot_cells(right, cells, places, look, None,
                       measure="spikes_per_sample", factor=1.0)  # fmt: skip
        left.set_ylabel("Accuracy (%)")
        right.set_ylabel("Spikes per sample")
    for axes in panels[-1]:
        axes.set_xticks(range(len(stops) + 1), [*map(str, stops), "never"])
        axes.set_xlabel("K, forward steps")
    panels[-1][1].set_ylim(bottom=0)
    legends(figure, panels)
    return figure


def group_size(results: Results) -> Figure | None:
    """Accuracy against F, a panel a scheduler."""
    by_scheduler: dict[str, list[str]] = {}
    for run in results.orders:
        if not is_layer_by_layer(run):
            by_scheduler.setdefault(run.partition(":")[0], []).append(run)
    by_scheduler = {name: runs for name, runs in by_scheduler.items() if len(runs) > 1}
    if not by_scheduler:
        return None
    shown = results.main_variants()
    rows = rows_of(results, [v for v in shown if any(
        results.cell(v, run) for runs in by_scheduler.values() for run in runs
    )])  # fmt: skip
    title = "Accuracy against F, spikes per forward step"
    figure, panels = panels_of(len(rows), len(by_scheduler), title)
    looks = looks_of(results)
    for variants, row in zip(rows, panels, strict=True):
        for axes, runs in zip(row, by_scheduler.values(), strict=True):
            for variant in variants:
                found = [results.cell(variant, run) for run in runs]
                cells = [cell for cell in found if cell is not None]
                sizes = [float(cell.rows[0].run_group_size) for cell in cells]
                plot_cells(
                    axes, cells, sizes, looks[variant.kind], short(results.label(variant))
                )
        row[0].set_ylabel("Accuracy (%)")
    for top, bottom, (name, runs) in zip(
        panels[0], panels[-1], by_scheduler.items(), strict=True
    ):
        sizes = sorted({cell.rows[0].run_group_size for cell in results.cells if cell.run in runs})
        bottom.set_xscale("log", base=2)
        bottom.set_xticks(sizes, map(str, sizes))
        bottom.minorticks_off()
        top.set_title(f"run {name}", fontsize=10)
        bottom.set_xlabel("F")
    legends(figure, panels)
    return figure


def worst_order(results: Results) -> Figure | None:
    """All orders of each network on one line, the worst named."""
    from matplotlib.lines import Line2D

    cells = {variant: results.complete(variant) for variant in results.variants}
    cells = {variant: found for variant, found in cells.items() if len(found) > 1}
    if not cells:
        return None
    size = (8.6, 1.5 + 0.55 * len(cells))
    figure, [axes] = new_figure(size, "Accuracy in each order; the worst is named")
    names = list(dict.fromkeys(order_text(run).partition(",")[0] for run in results.orders))
    looks = {name: _SCHEDULERS.get(name, _OWN) for name in names}
    for i, found in enumerate(cells.values()):
        worst = _worst(found)
        ends = [percent(cell) for cell in found]
        axes.plot([min(ends), max(ends)], [i, i], color=GREY, linewidth=1.5, zorder=1)
        for cell in found:
            name = order_text(cell.run).partition(",")[0]
            marker, color = looks[name]
            place = i + 0.16 * (names.index(name) - (len(names) - 1) / 2)  # else they hide others
            face = "white" if _releases_singly(cell) else color
            axes.plot([percent(cell)], [place], marker, markersize=6, zorder=3,
                      color=color, markerfacecolor=face)  # fmt: skip
        axes.annotate(
            f"{order_text(worst.run)}: {worst.accuracy_text}", (percent(worst), i),
            xytext=(-9, 0), textcoords="offset points", ha="right", va="center", fontsize=8,
        )  # fmt: skip
    axes.set_yticks(range(len(cells)), [short(results.label(variant)) for variant in cells])
    axes.set_ylim(len(cells) - 0.5, -0.5)
    left, right = axes.get_xlim()
    axes.set_xlim(left - 0.45 * (right - left), right)  # room for the names
    axes.set_xlabel("Accuracy (%)")
    axes.grid(axis="x", color=GRID)
    handles = [
        Line2D([], [], marker=marker, color=color, linestyle="none", label=name)
        for name, (marker, color) in looks.items()
    ]
    if any(_releases_singly(cell) for found in cells.values() for cell in found):
        handles.append(Line2D([], [], marker="o", color=GREY, markerfacecolor="white",
                              linestyle="none", label="hollow: F = 1"))  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    return figure


def _mean_curve(found: Sequence[Sequence[tuple[int, float]]]) -> tuple[list[int], list[float]]:
    """Accuracy (%) at 0, 1, … forward steps; a network that is done stays where it ended."""
    steps = range(max(step for curve in found for step, _ in curve) + 1)
    sums = [0.0] * len(steps)
    for curve in map(sorted, found):
        ends = [step for step, _ in curve[1:]] + [len(steps)]
        for (start, accuracy), end in zip(curve, ends, strict=True):
            for step in range(start, end):
                sums[step] += accuracy
    return list(steps), [100 * total / len(found) for total in sums]


def _settled(accuracy: Sequence[float]) -> int:
    """The forward step after which the accuracy (%) stays within 0.1 of where it ends."""
    away = [step for step, value in enumerate(accuracy) if abs(value - accuracy[-1]) > 0.1]
    return away[-1] + 1 if away else 0


def _worst(cells: Sequence[Cell]) -> Cell:
    return min(cells, key=lambda cell: cell.accuracy)


def _releases_singly(cell: Cell) -> bool:
    return cell.rows[0].run_group_size == 1 and not is_layer_by_layer(cell.run)


def _two_lines(run: str) -> str:
    text = order_text(run)
    return text.replace(", ", "\n") if ", " in text else text.replace(" by ", "\nby ")
