"""What a cost model makes of a study's counts, for its report."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from lava_async import cost
from lava_async.study.document import Block, Heading, Paragraph, Table
from lava_async.study.results import Cell, Results, order_text
from lava_async.study.table import Row

_COLUMNS = ("trained", "run", "spikes", "synaptic ops", "energy (µJ)", "latency (ms)")


def estimates(results: Results, model: cost.CostModel) -> Iterator[Block]:
    """Energy and latency a sample of each network and order, counts first."""
    yield Heading("Energy and latency: estimates")
    yield Paragraph(
        f"By the cost model {model.name}: nothing here was measured. A sample's events times what "
        "one costs, one event after another, as on a single core; memory, leakage, spikes between "
        "cores, input and output are in no constant. They compare networks on one model, not "
        f"chips. Source: {model.source}"
    )
    lines = [
        (results.label(cell.variant), order_text(cell.run), *_numbers(cell, model))
        for cell in results.cells
        if cell.stop_after is None
    ]
    yield Table(_COLUMNS, lines, text_columns=2)


def events(row: Row) -> dict[str, float]:
    """A sample's, mean over the samples of a row, as `cost.count_events` names them."""
    spikes = row.spikes_per_sample
    return {
        "synaptic_operation": row.synops_per_sample,
        "active_update": spikes,
        "inactive_update": row.neurons * row.time_steps - spikes,
        "spike": spikes,
        "forward_step": row.forward_steps_per_sample,
        "time_step": row.time_steps,
    }


def _numbers(cell: Cell, model: cost.CostModel) -> tuple[str, ...]:
    found = [cost.of_events(events(row), model) for row in cell.rows]
    energies, latencies = zip(*found, strict=True)
    return (
        f"{cell.mean('spikes_per_sample'):,.0f}",
        f"{cell.mean('synops_per_sample'):,.0f}",
        _mean(energies, 1e6),
        _mean(latencies, 1e3),
    )


def _mean(values: tuple[float | None, ...], per_unit: float) -> str:
    known = [value for value in values if value is not None]
    return f"{per_unit * statistics.mean(known):.3g}" if known else "not in the model"
