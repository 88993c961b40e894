"""Writing figures and animations, whole or not at all."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

from lava_async._files.atomic import atomic_path
from lava_async._files.paths import as_text
from lava_async.errors import ValidationError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure in the format of its suffix (png, pdf, svg …), whole or not at all.

    Raises
    ------
    ValidationError
        If the format is unknown, the folder cannot be written to, or ``path`` is no path.
    OSError
        The disk is full or failed; names ``path``.
    """
    suffix = os.path.splitext(as_text(path))[1].removeprefix(".").lower()
    formats = figure.canvas.get_supported_filetypes()
    if suffix not in formats:
        raise ValidationError(
            as_text(path), "format", f"one of {', '.join(sorted(formats))}", repr(suffix)
        )
    # In memory: where the disk is full, some of Matplotlib's formats fail in their own ways.
    content = io.BytesIO()
    figure.savefig(content, format=suffix, dpi=200)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.getbuffer())
