"""What unlayered training is measured against: which cells of a study are held to which."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lava_async.study.grid import LAYERED, WITH_PENALTY
from lava_async.study.results import UNLAYERED, Cell, Results, Variant

_ALIKE = "networks trained unlayered and layered, from the same seeds and epochs"


@dataclass(frozen=True)
class Baseline:
    """One of them.

    Attributes
    ----------
    name : str
    pairs : list of (Cell, Cell)
        The run of unlayered networks in the asynchronous order of their training, and what it
        is held to.
    missing : str
        What a table without any lacks.
    """

    name: str
    pairs: list[tuple[Cell, Cell]]
    missing: str


def baselines(results: Results) -> list[Baseline]:
    """Layered training run alike, run as it was trained, and with the same penalty run alike."""
    layered = _with_layered(results, LAYERED)
    control = _with_layered(results, WITH_PENALTY)
    return [
        Baseline(
            "layered training, run in the same order",
            _held(layered, lambda cell, variant: results.cell(variant, cell.run)),
            f"{_ALIKE}, run in one asynchronous order",
        ),
        Baseline(
            "layered training, run layer by layer",
            _held(layered, lambda cell, variant: _layer_by_layer(results, cell, variant)),
            f"{_ALIKE}, the layered ones run layer by layer",
        ),
        Baseline(
            "layered training with the same penalty, run in the same order (the control)",
            _held(
                [(cell, other) for cell, other in control if other.penalty == cell.variant.penalty],
                lambda cell, variant: results.cell(variant, cell.run),
            ),
            f"{_ALIKE}, with the same penalty, run in one asynchronous order",
        ),
    ]


def _with_layered(results: Results, method: str) -> list[tuple[Cell, Variant]]:
    unlayered = [variant for variant in results.variants if variant.method in UNLAYERED]
    return [
        (cell, layered)
        for variant in unlayered
        if (cell := results.asynchronous(variant)) is not None
        for layered in results.variants
        if layered.method == method and layered.epochs == variant.epochs
    ]


def _held(
    found: list[tuple[Cell, Variant]], run: Callable[[Cell, Variant], Cell | None]
) -> list[tuple[Cell, Cell]]:
    """Those of which the table has the run, of networks from one seed or more in common."""
    held = ((cell, run(cell, variant)) for cell, variant in found)
    return [(cell, other) for cell, other in held if other is not None and cell.pairs(other)]


def _layer_by_layer(results: Results, cell: Cell, variant: Variant) -> Cell | None:
    """Of the same F where the table has it; only the forward steps depend on it."""
    same = results.layer_by_layer(variant, cell.rows[0].run_group_size)
    return same or results.layer_by_layer(variant)
