"""What each block sees: the argument ``sources`` of `Network`, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lava_async._semantics.connections import INPUT, check_delay
from lava_async.errors import GraphError, ValidationError
from lava_async.slayer.links import Delay

Source = tuple[int, Delay]
"""A block's index or `INPUT`, and a delay."""


class Sum:
    """One source of a block of `Network`: the spikes of several, added place by place.

    What is ``x = a(x) + b(x)`` in front of a block in SLAYER, a residual connection:
    ``sources={2: [Sum(0, 1)]}``. The block sees each of them through the same weights.

    Parameters
    ----------
    sources : int or (int, delay)
        Blocks' indices, ``la.INPUT``, or pairs (one of these, delay in time steps), of one shape.
    """

    def __init__(self, *sources: Any):
        self.sources = sources

    def __repr__(self) -> str:
        return f"Sum({', '.join(map(repr, self.sources))})"


def check_sources(names: Sequence[str], sources: Any) -> list[list[Sum]]:
    """Of every block, those that ``sources`` does not name included; each a sum of `Source`.

    Raises
    ------
    ValidationError
        They name blocks that there are not, or are no lists.
    """
    count = len(names)
    given = {} if sources is None else sources
    wanted = f"a dict of lists, by the indices of blocks, 0..{count - 1}"
    if not isinstance(given, Mapping):
        raise ValidationError("Network", "sources", wanted, type(given).__name__)
    unknown = [key for key in given if not (_is_integer(key) and 0 <= key < count)]
    if unknown:
        raise ValidationError("Network", "sources", wanted, unknown)
    return [
        _checked(names[index], given[index], count) if index in given else default(index)
        for index in range(count)
    ]


def default(index: int) -> list[Sum]:
    """The block before, or the input."""
    return [Sum((index - 1 if index else INPUT, 0))]


def is_default(index: int, sources: Sequence[Sum]) -> bool:
    seen = [source for added in sources for source in added.sources]
    before = index - 1 if index else INPUT
    return len(seen) == 1 and seen[0][0] == before and not np.any(seen[0][1])


def check_output(names: Sequence[str], output: Any) -> Source:
    """A block's index, from the end if negative, and its delay.

    Raises
    ------
    ValidationError
        There is no such block.
    """
    index, delay = _pair("Network", "output", output)
    count = len(names)
    if not (_is_integer(index) and -count <= index < count):
        wanted = f"a block's index in {-count}..{count - 1}, or (index, delay)"
        raise ValidationError("Network", "output", wanted, repr(output))
    return int(index) % count, delay


def _checked(where: str, sources: Any, count: int) -> list[Sum]:
    wanted = (
        f"a list of blocks' indices in 0..{count - 1}, INPUT, pairs (one of these, delay), or "
        "a Sum of these"
    )
    if not isinstance(sources, list):
        raise ValidationError(where, "sources", wanted, repr(sources))
    checked = []
    for source in sources:
        added = source.sources if isinstance(source, Sum) else (source,)
        pairs = [_pair(where, "sources", each) for each in added]
        if not pairs or not all(
            _is_integer(index) and (index == INPUT or 0 <= index < count) for index, _ in pairs
        ):
            raise ValidationError(where, "sources", wanted, repr(sources))
        checked.append(Sum(*((int(index), delay) for index, delay in pairs)))
    return checked


def _pair(where: str, what: str, source: Any) -> tuple[Any, Delay]:
    if not (isinstance(source, (tuple, list)) and len(source) == 2):
        return source, 0
    try:
        return source[0], check_delay(where, f"{what}: delay", source[1])
    except GraphError as error:
        raise error.at(where, ValidationError) from error


def _is_integer(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
