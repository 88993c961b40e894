"""Places of named things along an axis, where several may have one name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TypeVar

Value = TypeVar("Value")


def numbered(pairs: Iterable[tuple[str, Value]]) -> dict[tuple[str, int], Value]:
    """Values by their name and how many of that name came before."""
    seen: Counter[str] = Counter()
    found: dict[tuple[str, int], Value] = {}
    for name, value in pairs:
        found[name, seen[name]] = value
        seen[name] += 1
    return found


def places_of(sets: Iterable[Iterable[tuple[str, int]]]) -> dict[tuple[str, int], int]:
    """A place for each key of `numbered` things, 0, 1, … as they first come."""
    keys = dict.fromkeys(key for each in sets for key in each)
    return {key: place for place, key in enumerate(keys)}
