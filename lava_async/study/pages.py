"""The report of a study, from its rows alone: the same rows give the same bytes."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lava_async._files.atomic import atomic_paths
from lava_async.cost import CostModel
from lava_async.errors import ValidationError
from lava_async.study import charts, claims
from lava_async.study.chance import chance_text, what_mark_says
from lava_async.study.document import (
    Block,
    Code,
    Heading,
    Paragraph,
    Picture,
    Table,
    from_markdown,
    to_html,
    to_markdown,
)
from lava_async.study.estimates import estimates
from lava_async.study.grid import GIVEN
from lava_async.study.results import Cell, Results, Variant, is_layer_by_layer, order_text
from lava_async.study.table import Point, Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "What layer synchronization costs"
QUESTION = (
    "Neuromorphic chips run their neurons asynchronously; spiking networks are mostly trained as "
    "if every layer waited for the one before it. How much accuracy do such networks lose when no "
    "layer waits, what does training for asynchronous execution give instead, and at what cost "
    "in spikes and synaptic operations?"
)
_COLUMNS = (
    "trained",
    "run",
    "accuracy (%)",
    "95% interval",
    "samples",
    "seeds",
    "spikes",
    "synaptic ops",
    "forward steps",
    "to decision",
)


_KINDS = ("png", "pdf")
"""Each figure is written as these."""
_OF_DATA = "Data: "
"""Begins the heading of a data set, where there are several."""
_LONGEST = 50
"""Characters of the name of a data set in those of files; most systems end these at 255 bytes."""


class _Chart(NamedTuple):
    """A figure of the report."""

    file: str
    title: str
    caption: str
    missing: str
    draw: Callable[[Results, Sequence[Point]], Figure | None]


_CHARTS = (
    _Chart(
        "accuracy-by-order", "Accuracy by how it was trained and how it is run",
        "A row a way to train, a column a way to run; mean ± spread over the seeds. A network "
        "whose order does not matter has a row of one shade; dark is what an order costs.",
        "Accuracy by trained and run: the table has less than two ways to run.",
        lambda results, points: charts.accuracy_by_order(results),
    ),
    _Chart(
        "worst-order", "The worst order of each way to train",
        "Each marker is one order, the mean over the seeds; the line is what the order alone can "
        "do to a network. The shorter it is and the further to the right its left end, the "
        "better.",
        "The worst order: no network was run in two orders.",
        lambda results, points: charts.worst_order(results),
    ),
    _Chart(
        "trade-off", "Accuracy against spikes and synaptic operations",
        "One line a way to train, over its penalties on spikes (small numbers); up and to the "
        "left is better. Filled: run as trained. Hollow: layered networks run asynchronously. "
        "Bars are the spread over the seeds.",
        "The trade-off: it needs two networks that were run as trained.",
        lambda results, points: charts.trade_off(results),
    ),
    _Chart(
        "forward-steps", "Accuracy against forward steps",
        "Accuracy if every sample were decided after so many forward steps, mean over the seeds; "
        "the markers below are the mean forward step of the decision that stands. Further to the "
        "left is sooner.",
        "Accuracy against forward steps: it was not recorded.",
        charts.accuracy_in_time,
    ),
    _Chart(
        "early-decision", "Accuracy and spikes against K",
        "A time step ends K forward steps after its first output spike. Where a line on the left "
        "is flat, what is saved on the right costs nothing. Each network is run in the "
        "asynchronous order of its training, others in the one that most were trained for.",
        "Accuracy against K: nothing was run with early decision.",
        lambda results, points: charts.early_decision(results),
    ),
    _Chart(
        "group-size", "The effect of F",
        "F spikes are released in a forward step; the fewer, the more their order matters. "
        "Bars are the spread over the seeds.",
        "The effect of F: each scheduler was run with one F.",
        lambda results, points: charts.group_size(results),
    ),
)  # fmt: skip


def write_pages(
    rows: Sequence[Row],
    points: Sequence[Point],
    folder: Path,
    *,
    title: str = TITLE,
    paragraphs: Sequence[str] = (),
    command: str = "",
    model: CostModel | None = None,
) -> list[Path]:
    """Write ``report.md`` with its figures (PNG and PDF), and ``report.html`` that needs no other.

    All files appear together or not at all. Figures that an earlier report in this folder has,
    and this one has not, are removed then.

    Parameters
    ----------
    rows : sequence of Row
        One or more.
    points : sequence of Point
        Of some of the same networks and runs, or none.
    folder : Path
        An existing folder.
    title : str
    paragraphs : sequence of str
        Plain text that follows the question.
    command : str
        What made the rows, for the reader to repeat.
    model : CostModel, optional
        For estimates of energy and latency; without, there are none.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    ValidationError
        There is no row, or the folder cannot be written to.
    """
    if not rows:
        raise ValidationError("write_pages", "rows", "one or more", 0)
    figures: dict[str, Figure] = {}
    blocks = [Heading(title, 1), Paragraph(QUESTION), *map(Paragraph, paragraphs)]
    if command:
        blocks += [Paragraph("This report comes from:"), Code(command)]
    sets = list(dict.fromkeys(row.data for row in rows))
    for data, prefix in zip(sets, _prefixes(sets), strict=True):
        own = [row for row in rows if row.data == data]
        if len(sets) > 1:
            blocks.append(Heading(f"{_OF_DATA}{data}"))
        blocks += _section(own, points, prefix if len(sets) > 1 else "", figures, model)

    files = {f"{name}.{kind}": _rendered(figure, kind)
             for name, figure in figures.items() for kind in _KINDS}  # fmt: skip
    files["report.md"] = to_markdown(blocks).encode()
    files["report.html"] = to_html(blocks, files).encode()
    stale = [
        folder / f"{name}.{kind}"
        for name in _figures_before(folder / "report.md")
        if name not in figures
        for kind in _KINDS
    ]
    paths = [folder / name for name in files]
    with atomic_paths(*paths) as temporaries:
        for temporary, content in zip(temporaries, files.values(), strict=True):
            temporary.write_bytes(content)
    for path in stale:
        path.unlink(missing_ok=True)
    return paths


def _figures_before(report: Path) -> list[str]:
    """Figures that the report of this place shows, of whatever data sets it was."""
    if not report.is_file():
        return []
    text = report.read_text("utf-8", errors="replace")
    sets = map(from_markdown, re.findall(rf"^## {_OF_DATA}(.+)$", text, re.MULTILINE))
    names = [prefix + chart.file for prefix in ("", *_prefixes(sets)) for chart in _CHARTS]
    return [name for name in names if f"]({name}.png)" in text]


def _prefixes(sets: Iterable[str]) -> list[str]:
    """Of the figures of each data set, in the order of the report.

    A data set may be named by the path of a file, which is no part of a file's name. Spaces that
    a heading does not keep make no difference, so that both name the same figures.
    """
    found: list[str] = []
    taken: set[str] = set()
    for data in sets:
        plain = re.sub(r"[^\w.-]+", "-", data)[-_LONGEST:].strip(".-")
        names = itertools.chain([plain], (f"{plain}-{i}" for i in itertools.count(2)))
        # Of "a" and "A" some file systems make one.
        name = next(name for name in names if name.casefold() not in taken)
        taken.add(name.casefold())
        found.append(f"{name}-")
    return found


def _section(
    rows: Sequence[Row], points: Sequence[Point], prefix: str, figures: dict[str, Figure],
    model: CostModel | None,
) -> Iterator[Block]:  # fmt: skip
    """Everything about one data set; adds its figures to ``figures``."""
    results = Results(rows)
    found = claims.evaluate(results)
    yield Heading("The claims in short")
    yield _in_short(found)
    if results.at_chance:
        yield Paragraph(_without_use(results), strong="No better than chance in any order:")
    yield Heading("The setting")
    yield from map(Paragraph, _setting(rows))

    yield Heading("Figures")
    # Figures of early decision have no marks.
    marked = what_mark_says([row for row in rows if row.stop_after is None])
    yield Paragraph(" ".join(filter(None, (_intervals(rows), marked))))
    for chart in _CHARTS:
        figure = chart.draw(results, points)
        if figure is None:
            yield Paragraph(f"Left out. {chart.missing}")
        else:
            figures[prefix + chart.file] = figure
            yield Picture(f"{prefix}{chart.file}.png", chart.title, chart.caption)

    yield from _one_by_one([claim for claim in found if claim.comparisons])
    yield Heading("All numbers")
    yield from map(Paragraph, _reading(rows, model))
    yield from _numbers(results)
    if model is not None:
        yield from estimates(results, model)


def _in_short(found: Sequence[claims.Claim]) -> Table:
    lines = [
        (
            claim.statement,
            claim.verdict,
            claim.note if claim.comparisons else f"It needs {claim.missing}.",
        )
        for claim in found
    ]
    return Table(("claim", "here", "by how much"), lines, text_columns=3)


def _without_use(results: Results) -> str:
    """Which networks are at chance, and what follows."""
    seeds: dict[str, list[int]] = {}
    for row in results.at_chance.values():
        found = seeds.setdefault(results.label(Variant.of(row)), [])
        found += [] if row.seed is None else [row.seed]
    names = [
        f"{label} (seed{'s' * (len(of) > 1)} {_list(of)})" if of else label
        for label, of in seeds.items()
    ]
    rows = [row for cell in results.cells for row in cell.rows if row.network in results.at_chance]
    return (
        f"{'; '.join(names)}. Chance is the share of the commonest class among the samples, "
        f"{chance_text(rows)}, and the 95% interval of such a network begins no higher. No claim "
        "is decided by a comparison with one of them."
    )


def _one_by_one(tested: Sequence[claims.Claim]) -> Iterator[Block]:
    if tested:
        yield Heading("The claims, one by one")
        yield Paragraph(
            "The means over the seeds decide each comparison, exactly. The last column is the "
            "number of seeds of which alone it would hold: where they disagree, a difference may "
            "be chance, as may one below the 95% interval of the samples, in brackets beside each "
            "accuracy."
        )
    for claim in tested:
        yield Heading(claim.statement, 3)
        text = " ".join(part for part in (claim.measured, claim.note) if part)
        yield Paragraph(text, strong=f"{claim.verdict}.".capitalize())
        lines = [
            (*each.cells, each.verdict, _seeds(each))
            for each in claim.comparisons
        ]
        yield Table((*claim.columns, "verdict", "seeds"), lines, text_columns=2)


def _seeds(each: claims.Comparison) -> str:
    if each.is_decided:
        return f"{each.seeds_holding} of {each.seeds}"
    return f"{each.seeds_at_chance} of {each.seeds} at chance"


def _numbers(results: Results) -> Iterator[Block]:
    whole = [cell for cell in results.cells if cell.stop_after is None]
    yield Table(_COLUMNS, [_line(results, cell) for cell in whole], text_columns=2)
    stopped = [cell for cell in results.cells if cell.stop_after is not None]
    if stopped:
        yield Paragraph("With early decision, K forward steps after the first output spike:")
        lines = [(_line(results, cell), str(cell.stop_after)) for cell in stopped]
        yield Table(
            (*_COLUMNS[:2], "K", *_COLUMNS[2:]),
            [(*line[:2], stop_after, *line[2:]) for line, stop_after in lines],
            text_columns=2,
        )


def _intervals(rows: Sequence[Row]) -> str:
    widest = max(
        max(row.accuracy_high - row.accuracy, row.accuracy - row.accuracy_low) for row in rows
    )
    return (
        f"Every accuracy is of {_range([row.samples for row in rows])} samples, whose 95% interval "
        f"reaches up to {100 * widest:.1f} points to a side (all of them in the tables below). "
        "Spreads are the sample standard deviation over the seeds."
    )


def _setting(rows: Sequence[Row]) -> Iterator[str]:
    trained = list(dict.fromkeys(row.network for row in rows))
    yield (
        f"Data: {rows[0].data}; {_range([row.samples for row in rows])} test samples. Networks: "
        f"{len(trained)}. Epochs: {_range([row.epochs for row in rows])}. Seeds of the training: "
        f"{_list([row.seed for row in rows])}. Penalties on spikes: "
        f"{_list([row.penalty for row in rows])}."
    )
    schedules = dict.fromkeys(row.trained_with for row in rows if row.trained_with)
    runs = dict.fromkeys(row.run for row in rows)
    yield f"Trained with: {', '.join(schedules) or 'not recorded'}. Run with: {', '.join(runs)}."


def _reading(rows: Sequence[Row], model: CostModel | None) -> Iterator[str]:
    yield (
        "Mean over the seeds ± their sample standard deviation, where there are several. The "
        "interval is Wilson's, of one network on so many samples, its ends averaged over the "
        "seeds: the seeds share the test samples, so that more seeds do not make it narrower."
    )
    yield (
        "Spikes, synaptic operations (deliveries of a spike to a neuron) and forward steps are a "
        "sample's. They are the cost; energy and time would follow only from a model of a chip, "
        f"{'and none is used here' if model is None else 'whose estimates come last'}. Forward "
        "steps to decision are until the prediction no longer changes, over the samples that "
        "decide."
    )
    if marked := what_mark_says(rows):
        yield marked
    if any(row.method == GIVEN for row in rows):
        yield (
            "A given file that records no schedule counts as trained layer by layer, since "
            "SLAYER has no other way."
        )


def _line(results: Results, cell: Cell) -> tuple[str, ...]:
    low, high = cell.mean("accuracy_low"), cell.mean("accuracy_high")
    interval = "—" if low is None or high is None else f"{100 * low:.1f} to {100 * high:.1f}"
    run = order_text(cell.run)
    if is_layer_by_layer(cell.run):
        run += f", F = {cell.rows[0].run_group_size}"
    return (
        results.label(cell.variant),
        run,
        cell.accuracy_text,
        interval,
        _range([row.samples for row in cell.rows]),
        str(len(cell.rows)),
        cell.text("spikes_per_sample", 0),
        cell.text("synops_per_sample", 0),
        cell.text("forward_steps_per_sample", 1),
        cell.text("decision_step", 1),
    )


def _range(values: Sequence[int | None]) -> str:
    found = sorted({value for value in values if value is not None})
    if not found:
        return "not recorded"
    return f"{found[0]:,}" if len(found) == 1 else f"{found[0]:,} to {found[-1]:,}"


def _list(values: Sequence[float | None]) -> str:
    found = sorted({value for value in values if value is not None})
    return ", ".join(f"{value:g}" for value in found) or "not recorded"


def _rendered(figure: Figure, kind: str) -> bytes:
    content = io.BytesIO()
    undated = {"CreationDate": None} if kind == "pdf" else None
    figure.savefig(content, format=kind, dpi=160, metadata=undated)
    return content.getvalue()
