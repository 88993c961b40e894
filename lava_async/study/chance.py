"""Networks that learned nothing: no better than always answering the commonest class."""

from __future__ import annotations

from collections.abc import Sequence

from lava_async.study.table import Row

MARK = " †"
"""Behind an accuracy that is no better than chance."""


def is_at_chance(row: Row) -> bool:
    """Whether the 95% interval of its accuracy, at its lower end, is not above chance.

    Never of a row whose table does not tell the commonest class.
    """
    return row.commonest is not None and row.accuracy_low <= row.commonest / row.samples


def networks_at_chance(rows: Sequence[Row]) -> dict[str, Row]:
    """A row of each network that no run takes above chance, by the network."""
    found: dict[str, Row] = {}
    learned = {row.network for row in rows if not is_at_chance(row)}
    for row in rows:
        if row.network not in learned:
            found.setdefault(row.network, row)
    return found


def chance_text(rows: Sequence[Row]) -> str:
    """Chance, in % of the samples, of one row or more that tell it.

    From the least to the most where the samples are not the same; by data set where these differ.
    """
    shares: dict[str, list[float]] = {}
    for row in rows:
        shares.setdefault(row.data, []).append(100 * (row.commonest or 0) / row.samples)
    texts = {data: _range(found) for data, found in shares.items()}
    if len(set(texts.values())) == 1:
        return next(iter(texts.values()))
    return ", ".join(f"{text} ({data})" for data, text in texts.items())


def _range(shares: Sequence[float]) -> str:
    least, most = f"{min(shares):.1f}%", f"{max(shares):.1f}%"
    return least if least == most else f"{least} to {most}"


def what_mark_says(rows: Sequence[Row]) -> str:
    """What the mark beside accuracies of these rows says; nothing where none has it."""
    marked = list(filter(is_at_chance, rows))
    if not marked:
        return ""
    return (
        f"{MARK.strip()} marks an accuracy that is no better than chance: the 95% interval of one "
        "of the networks begins no higher than the share of the commonest class, "
        f"{chance_text(marked)}."
    )


def warnings_of(rows: Sequence[Row]) -> list[str]:
    """A warning for each network at chance."""
    return [
        f"{row.name if row.seed is None else f'{row.name}, seed {row.seed}'}: no better than "
        f"chance (the commonest class, {chance_text([row])} of the samples) in any order, so that "
        "the report decides no claim by it: train longer, or neurons with memory "
        '(--neuron tutorial, in Python RECIPES["tutorial"])'
        for row in networks_at_chance(rows).values()
    ]
