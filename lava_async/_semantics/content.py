"""Equality by what things hold, arrays included."""

from __future__ import annotations

import functools

import numpy as np


class Content:
    """Base of what equals another of its type that holds the same.

    That is all attributes but cached properties, which are made of them. Arrays are the same where
    shapes and numbers are. Subclasses define ``__hash__``, of as little as they like.
    """

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Content):
            return NotImplemented
        return _are_alike(self, other)

    __hash__ = None  # type: ignore[assignment]

    def _content(self) -> dict[str, object]:
        """Attributes by name."""
        return {
            name: value
            for name, value in vars(self).items()
            if not isinstance(getattr(type(self), name, None), functools.cached_property)
        }


def _are_alike(a: object, b: object) -> bool:
    if a is b:
        return True
    # Before a type's own equality: that of a dataclass takes an array for one truth value.
    if isinstance(a, Content) and isinstance(b, Content):
        if type(a) is not type(b):
            return False
        mine, others = a._content(), b._content()
        return mine.keys() == others.keys() and all(
            _are_alike(value, others[name]) for name, value in mine.items()
        )
    if isinstance(a, (tuple, list)) and isinstance(b, (tuple, list)):
        return type(a) is type(b) and len(a) == len(b) and all(map(_are_alike, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_are_alike(value, b[key]) for key, value in a.items())
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.array_equal(a, b)  # type: ignore[arg-type]
    try:
        return bool(a == b)
    except (TypeError, ValueError, RuntimeError):  # no one truth value, as of matrices and tensors
        return False
