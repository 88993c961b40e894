"""The claims that a study is about, each decided from its rows alone.

Means over the seeds decide, exactly: half is half, and 3 points are 3 points. In how many seeds
a comparison would come out the same way stands beside it, since a difference that is smaller
than what seeds make of it may be chance. A network that is no better than chance in any order
decides nothing: spikes saved at the accuracy of guessing are no saving.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from lava_async.study.baselines import Baseline, baselines
from lava_async.study.grid import MIXTURE
from lava_async.study.results import Cell, Results, is_layer_by_layer, mark, order_text, share
from lava_async.study.table import Row

HOLDS, FAILS, UNTESTED = "holds", "does not hold", "not tested here"
UNDECIDED = "not decided (chance)"
MARGIN = Fraction(3, 100)
"""Of accuracy, between a network's best and worst order."""


@dataclass(frozen=True)
class Comparison:
    """What one pair of ways gives.

    Attributes
    ----------
    cells : tuple of str
        Under the columns of its `Claim`.
    holds : bool
    seeds, seeds_holding, seeds_at_chance : int
        Networks compared, those of them of which it holds alone, and those that are, or whose
        baseline is, no better than chance in any order.
    """

    cells: tuple[str, ...]
    holds: bool
    seeds: int
    seeds_holding: int
    seeds_at_chance: int

    @property
    def is_decided(self) -> bool:
        return not self.seeds_at_chance

    @property
    def verdict(self) -> str:
        if not self.is_decided:
            return UNDECIDED
        return HOLDS if self.holds else FAILS


@dataclass(frozen=True)
class Claim:
    """A statement, what it is decided by, and the comparisons that decide it.

    Attributes
    ----------
    statement, measured : str
    columns : tuple of str
        Of the comparisons; the first two are text.
    comparisons : list of Comparison
        None where the table lacks what it needs.
    missing : str
        What it needs.
    note : str
        What stands out.
    """

    statement: str
    measured: str
    columns: tuple[str, ...]
    comparisons: list[Comparison]
    missing: str
    note: str = ""

    @property
    def verdict(self) -> str:
        """Of all comparisons: one of the four, or in how many it holds."""
        verdicts = [each.verdict for each in self.comparisons]
        if len(set(verdicts)) < 2:
            return verdicts[0] if verdicts else UNTESTED
        verdict = HOLDS if HOLDS in verdicts else FAILS
        text = f"{verdict} in {verdicts.count(verdict)} of {len(verdicts)} comparisons"
        undecided = verdicts.count(UNDECIDED)
        return f"{text}, {undecided} {UNDECIDED}" if undecided else text


Pairs = Sequence[tuple[Row, Row]]


def evaluate(results: Results) -> list[Claim]:
    """The four claims, the second and third against each of the `baselines`."""
    against = baselines(results)
    return [
        _loses(results),
        *(_fewer_spikes(results, baseline) for baseline in against),
        *(_sooner(results, baseline) for baseline in against),
        _any_order(results),
    ]


def _loses(results: Results) -> Claim:
    comparisons: list[Comparison] = []
    losses: list[tuple[Fraction, str, str]] = []
    for variant in filter(lambda variant: variant.is_layered, results.variants):
        baseline = results.layer_by_layer(variant)
        for cell in results.complete(variant):
            if baseline is None or is_layer_by_layer(cell.run):
                continue
            pairs = cell.pairs(baseline)
            gains = [share(row) - share(other) for row, other in pairs]
            if not gains:
                continue
            where = (results.label(variant), order_text(cell.run))
            numbers = (*_accuracies(pairs), _points(gains))
            comparisons.append(_compared(results, where, numbers, pairs, _does_not_gain))
            if comparisons[-1].is_decided:
                losses.append((statistics.mean(gains), results.label(variant), cell.run))
    return Claim(
        "Layered networks lose accuracy or gain nothing when run asynchronously",
        "Accuracy of a network run asynchronously, less that of the same network run layer by "
        "layer, is not above 0.",
        ("trained", "run", "accuracy (%)", "layer by layer (%)", "difference (points)"),
        comparisons,
        "networks trained layer by layer, run so and asynchronously",
        _largest(losses),
    )


def _largest(losses: Sequence[tuple[Fraction, str, str]]) -> str:
    gain, label, run = min(losses, default=(Fraction(0), "", ""), key=lambda loss: loss[0])
    if gain >= 0:
        return "No network loses." if losses else ""
    return f"The largest loss is {100 * float(-gain):.1f} points: {label}, run {order_text(run)}."


def _from_to(values: Sequence[float], digits: int, sign: str = "-") -> str:
    ends = (f"{end:{sign}.{digits}f}" for end in (min(values), max(values)))
    low, high = (end.replace("-", "−") for end in ends)
    return low if low == high else f"{low} to {high}"


def _fewer_spikes(results: Results, against: Baseline) -> Claim:
    comparisons: list[Comparison] = []
    savings: list[float] = []
    points: list[float] = []
    for cell, baseline in against.pairs:
        pairs = cell.pairs(baseline)
        ours, theirs = _means("spikes_per_sample", pairs)
        saving = [100 * (1 - ours / theirs)] if theirs else []
        saved = _from_to(saving, 0) if saving else "—"
        gains = [share(row) - share(other) for row, other in pairs]
        numbers = (f"{ours:.0f}", f"{theirs:.0f}", saved, *_accuracies(pairs), _points(gains))
        where = (results.label(cell.variant), order_text(cell.run))
        comparisons.append(_compared(results, where, numbers, pairs, _is_sparser_and_no_worse))
        if comparisons[-1].is_decided:
            savings += saving
            points.append(100 * float(_gain(pairs)))
    return Claim(
        "Unlayered training gives at least 50% fewer spikes at no lower accuracy than "
        f"{against.name}",
        "Each unlayered network is run in the asynchronous order of its training (of a mixture: "
        f"{_reference(results)}), against networks from the same seeds. Both must hold: half the "
        "spikes or fewer, and an accuracy that is not below.",
        ("trained", "run", "spikes", "against", "fewer (%)", "accuracy (%)", "against (%)",
         "difference (points)"),
        comparisons,
        against.missing,
        f"Spikes saved: {_from_to(savings, 0)}%. Accuracy: {_from_to(points, 1, '+')} points."
        if savings
        else "",
    )  # fmt: skip


def _sooner(results: Results, against: Baseline) -> Claim:
    comparisons: list[Comparison] = []
    factors: list[float] = []
    for cell, baseline in against.pairs:
        pairs = [
            (row, other)
            for row, other in cell.pairs(baseline)
            if row.decision_step is not None and other.decision_step is not None
        ]
        if not pairs or _group_size(cell) != _group_size(baseline):
            continue  # forward steps of another F are no measure of time
        ours, theirs = _means("decision_step", pairs)
        factor = [theirs / ours] if ours else []
        times = _from_to(factor, 2) if factor else "—"
        numbers = (f"{ours:.1f}", f"{theirs:.1f}", times, *_accuracies(pairs))
        where = (results.label(cell.variant), order_text(cell.run))
        comparisons.append(_compared(results, where, numbers, pairs, _is_sooner))
        factors += factor if comparisons[-1].is_decided else []
    return Claim(
        f"Unlayered training decides at least 2 times sooner than {against.name}",
        "Forward steps until the decision that stands, mean over the samples that decide; the "
        "networks and their runs as above, with the same F.",
        ("trained", "run", "forward steps", "against", "times sooner", "accuracy (%)",
         "against (%)"),
        comparisons,
        against.missing,
        f"Forward steps to decision are divided by {_from_to(factors, 2)}." if factors else "",
    )  # fmt: skip


def _any_order(results: Results) -> Claim:
    comparisons: list[Comparison] = []
    widths: list[float] = []
    for variant in results.variants:
        cells = results.complete(variant)
        if variant.method != MIXTURE or len(cells) < 2:
            continue
        by_network = _ranges(cells)
        ranges = list(by_network.values())
        worst = min(cells, key=lambda cell: cell.accuracy)
        best = max(cells, key=lambda cell: cell.accuracy)
        if not ranges:
            continue
        numbers = (
            f"{_accuracy(best.rows)}, {order_text(best.run)}",
            f"{_accuracy(worst.rows)}, {order_text(worst.run)}",
            _points(ranges, sign="-"),
        )
        comparisons.append(
            Comparison(
                (results.label(variant), f"{len(cells)} orders", *numbers),
                statistics.mean(ranges) <= MARGIN,
                len(ranges),
                sum(each <= MARGIN for each in ranges),
                len(by_network.keys() & results.at_chance),
            )
        )
        if comparisons[-1].is_decided:
            widths.append(100 * float(statistics.mean(ranges)))
    return Claim(
        "One network, trained over a mixture of orders, does in any order within 3 points",
        "The accuracy of a network in its best order less that in its worst, of all orders here "
        "and layer by layer, mean over the networks; the best and the worst of the mean are "
        "named beside it.",
        ("trained", "run", "best order (%)", "worst order (%)", "best − worst (points)"),
        comparisons,
        "a network trained over a mixture, run in two orders or more",
        f"Best and worst are {_from_to(widths, 1)} points apart." if widths else "",
    )


def _ranges(cells: Sequence[Cell]) -> dict[str, Fraction]:
    """Of each network that was run in all the orders: best less worst accuracy."""
    by_network: dict[str, list[Fraction]] = {}
    for cell in cells:
        for row in cell.rows:
            by_network.setdefault(row.network, []).append(share(row))
    return {
        network: max(found) - min(found)
        for network, found in by_network.items()
        if len(found) == len(cells)
    }


def _compared(
    results: Results,
    where: tuple[str, str],
    numbers: tuple[str, ...],
    pairs: Pairs,
    condition: Callable[[Pairs], bool],
) -> Comparison:
    alone = sum(condition([pair]) for pair in pairs)
    at_chance = sum(any(row.network in results.at_chance for row in pair) for pair in pairs)
    return Comparison((*where, *numbers), condition(pairs), len(pairs), alone, at_chance)


def _does_not_gain(pairs: Pairs) -> bool:
    return _gain(pairs) <= 0


def _is_sparser_and_no_worse(pairs: Pairs) -> bool:
    ours, theirs = _means("spikes_per_sample", pairs)
    return theirs > 0 and 2 * ours <= theirs and _gain(pairs) >= 0


def _is_sooner(pairs: Pairs) -> bool:
    ours, theirs = _means("decision_step", pairs)
    return theirs > 0 and 2 * ours <= theirs


def _gain(pairs: Pairs) -> Fraction:
    return statistics.mean(share(row) - share(other) for row, other in pairs)


def _means(measure: str, pairs: Pairs) -> tuple[float, float]:
    return (
        statistics.mean(getattr(row, measure) for row, _ in pairs),
        statistics.mean(getattr(other, measure) for _, other in pairs),
    )


def _accuracies(pairs: Pairs) -> tuple[str, str]:
    return _accuracy([row for row, _ in pairs]), _accuracy([other for _, other in pairs])


def _accuracy(rows: Sequence[Row]) -> str:
    """Mean, and the ends of the 95% interval of one network, averaged."""
    mean = float(statistics.mean(share(row) for row in rows))
    low = statistics.mean(row.accuracy_low for row in rows)
    high = statistics.mean(row.accuracy_high for row in rows)
    return f"{100 * mean:.1f} [{100 * low:.1f}, {100 * high:.1f}]{mark(rows)}"


def _points(differences: Sequence[Fraction], sign: str = "+") -> str:
    mean = f"{100 * float(statistics.mean(differences)):{sign}.2f}".replace("-", "−")
    if len(differences) < 2:
        return mean
    return f"{mean} ± {100 * statistics.stdev(map(float, differences)):.2f}"


def _group_size(cell: Cell) -> int:
    return cell.rows[0].run_group_size


def _reference(results: Results) -> str:
    return order_text(results.reference) if results.reference else "none was run"
