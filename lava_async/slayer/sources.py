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


def check_sources(names: Sequence[str], sources: Any) -> list[list[Source]]:
    """Of every block, those that ``sources`` does not name included.

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


def default(index: int) -> list[Source]:
    """The block before, or the input."""
    return [(index - 1 if index else INPUT, 0)]


def is_default(index: int, sources: Sequence[Source]) -> bool:
    (before, _), *_ = default(index)
    return len(sources) == 1 and sources[0][0] == before and not np.any(sources[0][1])


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


def _checked(where: str, sources: Any, count: int) -> list[Source]:
    wanted = (
        f"a list of blocks' indices in 0..{count - 1}, INPUT, or pairs (one of these, delay)"
    )
    if not isinstance(sources, list):
        raise ValidationError(where, "sources", wanted, repr(sources))
    pairs = [_pair(where, "sources", source) for source in sources]
    for index, _ in pairs:
        if not (_is_integer(index) and (index == INPUT or 0 <= index < count)):
            raise ValidationError(where, "sources", wanted, repr(sources))
    return [(int(index), delay) for index, delay in pairs]


def _pair(where: str, what: str, source: Any) -> tuple[Any, Delay]:
    if not (isinstance(source, (tuple, list)) and len(source) == 2):
        return source, 0
    try:
        return source[0], check_delay(where, f"{what}: delay", source[1])
    except GraphError as error:
        raise error.at(where, ValidationError) from error


def _is_integer(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
