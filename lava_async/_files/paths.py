"""Paths that users give."""

from __future__ import annotations

import os

from lava_async.errors import ValidationError


def as_text(path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> str:
    """A path as text, which may hold bytes that are none.

    Raises
    ------
    ValidationError
        It is no path, as a number or an open file.
    """
    try:
        return os.fsdecode(path)
    except TypeError:
        raise ValidationError("file", "path", "a path", type(path).__name__) from None
