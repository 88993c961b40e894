"""Rows of a study put together: networks that differ in their seed alone, by the way they run."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from lava_async._semantics.schedule import Fifo, LayerSync, Momentum, Random
from lava_async.study.chance import MARK, is_at_chance, networks_at_chance
from lava_async.study.grid import DECISIVE, GIVEN, LAYERED, MIXTURE, UNROLLED, WITH_PENALTY
from lava_async.study.table import Row

UNLAYERED = (UNROLLED, DECISIVE, MIXTURE)

_SCHEDULERS = (LayerSync.name, Momentum.name, Random.name, Fifo.name)


@dataclass(frozen=True)
class Variant:
    """One way to train, or one given file.

    Attributes
    ----------
    method, trained_with, penalty, epochs
        As those of its rows.
    file : tuple of (name, network), optional
        Of a given one.
    """

    method: str
    trained_with: str
    penalty: float | None
    epochs: int | None
    file: tuple[str, str] | None

    @classmethod
    def of(cls, row: Row) -> Variant:
        """The one that a row's network belongs to."""
        file = (row.name, row.network) if row.method == GIVEN else None
        return cls(row.method, row.trained_with, row.penalty, row.epochs, file)

    @property
    def kind(self) -> Variant:
        """The same with any penalty: what is one line of a figure over penalties."""
        return dataclasses.replace(self, penalty=None)

    @property
    def is_layered(self) -> bool:
        """Whether it was trained layer by layer; SLAYER's own files do not record how else."""
        if self.method == GIVEN:
            return not self.trained_with or is_layer_by_layer(self.trained_with)
        return self.method in (LAYERED, WITH_PENALTY)


@dataclass(frozen=True)
class Cell:
    """Networks of one variant, run in one way.

    Attributes
    ----------
    variant : Variant
    run : str
    stop_after : int, optional
    rows : tuple of Row
        One or more, by seed.
    """

    variant: Variant
    run: str
    stop_after: int | None
    rows: tuple[Row, ...]

    @property
    def accuracy(self) -> Fraction:
        """Mean over the networks, exactly."""
        return statistics.mean(share(row) for row in self.rows)

    @property
    def accuracy_text(self) -> str:
        """In %, with its spread over the seeds; marked if one of the networks is at chance."""
        return self.text("accuracy", 1, 100.0) + mark(self.rows)

    def values(self, measure: str) -> list[float]:
        """A field of each row; without those that have none."""
        found = (getattr(row, measure) for row in self.rows)
        return [value for value in found if value is not None]

    def mean(self, measure: str) -> float | None:
        """Over the networks that have it; None if none has."""
        values = self.values(measure)
        return statistics.mean(values) if values else None

    def spread(self, measure: str) -> float | None:
        """Sample standard deviation over the networks that have it; None of less than two."""
        values = self.values(measure)
        return statistics.stdev(values) if len(values) > 1 else None

    def text(self, measure: str, digits: int, factor: float = 1.0) -> str:
        """`with_spread` of a measure."""
        return with_spread(self.values(measure), digits, factor)

    def pairs(self, other: Cell) -> list[tuple[Row, Row]]:
        """Rows of both of the same seed: networks that begin alike."""
        by_seed = {row.seed: row for row in other.rows}
        return [(row, by_seed[row.seed]) for row in self.rows if row.seed in by_seed]


class Results:
    """The rows of one data set.

    Attributes
    ----------
    variants : list of Variant
        In the order of the rows.
    cells : list of Cell
        By variant, then by run, the complete ones before those with early decision.
    orders : list of str
        Runs of which the table has complete ones: layer by layer at most once, as only its
        forward steps depend on F (that of the ``reference``, else the largest); then the
        asynchronous ones, by scheduler and falling F.
    reference : str, optional
        The asynchronous run to compare networks in: the one that most were trained for, of
        equals the first here. None if there is no asynchronous run.
    at_chance : dict of str to Row
        A row of each network that no run takes above chance, by the network.
    """

    def __init__(self, rows: Sequence[Row]):
        self.at_chance = networks_at_chance(rows)
        groups: dict[tuple[Variant, str, int | None], list[Row]] = {}
        for row in rows:
            groups.setdefault((Variant.of(row), row.run, row.stop_after), []).append(row)
        self.variants = list(dict.fromkeys(variant for variant, _, _ in groups))
        runs = sorted(dict.fromkeys(run for _, run, _ in groups), key=_place)
        complete = {run for _, run, stop_after in groups if stop_after is None}
        layered = [run for run in runs if is_layer_by_layer(run) and run in complete]
        unlayered = [run for run in runs if not is_layer_by_layer(run) and run in complete]
        trained = [variant.trained_with for variant in self.variants]
        self.reference = max(unlayered, key=trained.count, default=None)
        of_reference = f"{LayerSync.name}:{(self.reference or '').partition(':')[2]}"
        self.orders = ([of_reference] if of_reference in layered else layered[:1]) + unlayered

        stops = sorted({stop for _, _, stop in groups if stop is not None})
        self._cells = {
            key: Cell(*key, tuple(sorted(groups[key], key=_by_seed)))
            for variant in self.variants
            for stop_after in (None, *stops)
            for run in runs
            if (key := (variant, run, stop_after)) in groups
        }
        self.cells = list(self._cells.values())

    def cell(self, variant: Variant, run: str, stop_after: int | None = None) -> Cell | None:
        """The networks of a variant, run so; None if the table has none."""
        return self._cells.get((variant, run, stop_after))

    def complete(self, variant: Variant) -> list[Cell]:
        """Its runs in each of ``orders`` that the table has."""
        found = (self.cell(variant, run) for run in self.orders)
        return [cell for cell in found if cell is not None]

    def stopped(self, variant: Variant, run: str) -> list[Cell]:
        """Its runs with early decision, rising K."""
        return [
            cell
            for cell in self.cells
            if (cell.variant, cell.run) == (variant, run) and cell.stop_after is not None
        ]

    def label(self, variant: Variant) -> str:
        """Its method or file, and what tells it apart from the others."""
        return _label(variant, self.variants)

    def kind_label(self, variant: Variant) -> str:
        """The same for any penalty."""
        return _label(variant.kind, self.variants)

    def layer_by_layer(self, variant: Variant, group_size: int | None = None) -> Cell | None:
        """Its layer-synchronized run, the first or that of one F."""
        for cell in self.cells:
            if cell.variant == variant and cell.stop_after is None:
                is_wanted = group_size is None or cell.rows[0].run_group_size == group_size
                if is_layer_by_layer(cell.run) and is_wanted:
                    return cell
        return None

    def as_trained(self, variant: Variant) -> Cell | None:
        """Its run under the schedule of its training.

        Of layered training the first one layer by layer; of a mixture, and of a file that
        records none, the ``reference``. None if the table does not have it.
        """
        if variant.is_layered and variant.method != GIVEN:
            return self.layer_by_layer(variant)
        if self._has_one_order(variant):
            return self.cell(variant, variant.trained_with)
        return self.cell(variant, self.reference) if self.reference else None

    def asynchronous(self, variant: Variant) -> Cell | None:
        """Its run in the asynchronous order of its training, else in the ``reference``."""
        if self._has_one_order(variant) and not variant.is_layered:
            return self.cell(variant, variant.trained_with)
        return self.cell(variant, self.reference) if self.reference else None

    def main_variants(self) -> list[Variant]:
        """One of each method and schedule of training, for figures that would be too full.

        Of several penalties the one that most have, of equals the first.
        """
        penalties: list[float | None] = [v.penalty for v in self.variants if v.penalty]
        chosen: dict[Variant, Variant] = {}
        for variant in self.variants:
            best = chosen.setdefault(variant.kind, variant)
            if penalties.count(variant.penalty) > penalties.count(best.penalty):
                chosen[variant.kind] = variant
        return list(chosen.values())

    @staticmethod
    def _has_one_order(variant: Variant) -> bool:
        return variant.trained_with.partition(":")[0] in _SCHEDULERS and "," not in (
            variant.trained_with
        )


def with_spread(values: Sequence[float], digits: int, factor: float = 1.0) -> str:
    """The mean of what several seeds gave, times ``factor``, with its standard deviation."""
    if not values:
        return "never"
    mean = f"{factor * statistics.mean(values):,.{digits}f}"
    if len(values) == 1:
        return mean
    return f"{mean} ± {factor * statistics.stdev(values):,.{digits}f}"


def mark(rows: Sequence[Row]) -> str:
    """What follows an accuracy of these rows, one of which may be no better than chance."""
    return MARK if any(map(is_at_chance, rows)) else ""


def share(row: Row) -> Fraction:
    """Right predictions, exactly: claims are decided on their means."""
    return Fraction(row.correct, row.samples)


def is_layer_by_layer(schedule: str) -> bool:
    """Of a schedule as the table has it."""
    return schedule.partition(":")[0] == LayerSync.name


def order_text(schedule: str) -> str:
    """A schedule of the table in words."""
    name, _, group_size = schedule.partition(":")
    if is_layer_by_layer(schedule):
        return "layer by layer"
    return f"{name}, F = {group_size}" if group_size.isdecimal() else schedule


def _place(run: str) -> tuple[int, str, int]:
    name, _, group_size = run.partition(":")
    place = _SCHEDULERS.index(name) if name in _SCHEDULERS else len(_SCHEDULERS)
    return place, name, -int(group_size) if group_size.isdecimal() else 0


def _by_seed(row: Row) -> tuple[int, str]:
    return (-1 if row.seed is None else row.seed, row.network)


def _label(variant: Variant, variants: Sequence[Variant]) -> str:
    if variant.file is not None:
        name, network = variant.file
        names = [other.file[0] for other in variants if other.file]
        return f"{name} ({network[:8]})" if names.count(name) > 1 else name
    alike = [other for other in variants if other.method == variant.method]
    parts = [variant.method]
    penalty = f"{variant.penalty:g}" if variant.penalty is not None else ""
    has_own_penalty = bool(penalty) and len({other.penalty for other in alike}) > 1
    if has_own_penalty and variant.method == WITH_PENALTY:
        parts = [f"{variant.method} {penalty}"]
    has_own_order = not variant.is_layered and variant.method != MIXTURE
    if has_own_order or len({other.trained_with for other in alike}) > 1:
        parts.append(variant.trained_with.replace(":", " F = "))
    if has_own_penalty and variant.method != WITH_PENALTY:
        parts.append(f"penalty {penalty}")
    if variant.epochs is not None and len({other.epochs for other in alike}) > 1:
        parts.append(f"{variant.epochs} epochs")
    return ", ".join(parts)
