"""Writing figures and animations, whole or not at all."""

from __future__ import annotations

import hashlib
import io
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from lava_async._files.atomic import atomic_path
from lava_async._files.paths import as_text
from lava_async.errors import ValidationError

if TYPE_CHECKING:
    from matplotlib.animation import FuncAnimation
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


def save_animation(
    animation: FuncAnimation, path: str | os.PathLike[str], fps: int = 4
) -> None:
    """Write an animation as ``.gif``, or as ``.html`` with its frames inside and buttons.

    The HTML needs nothing else, no network either.

    Parameters
    ----------
    animation : matplotlib.animation.FuncAnimation
        As `sample_animation` returns.
    path : path
        Written whole or not at all.
    fps : int
        Frames a second.

    Raises
    ------
    ValidationError
        If the suffix is another, ``fps`` is not in 1..50, or the folder cannot be written to.
    OSError
        The disk is full or failed; names ``path``.
    """
    from matplotlib.animation import PillowWriter

    suffix = os.path.splitext(as_text(path))[1]
    if suffix not in _ANIMATED:
        wanted = f"one of {', '.join(_ANIMATED)}"
        raise ValidationError(as_text(path), "format", wanted, repr(suffix))
    _check_fps("save_animation", fps)
    with atomic_path(path) as temporary:
        if suffix == ".gif":
            animation.save(temporary, PillowWriter(fps=fps), dpi=_DPI)
        else:
            temporary.write_text(_HEAD + _write_html(animation, temporary, fps), encoding="utf-8")


def animation_html(animation: FuncAnimation, fps: int = 4) -> str:
    """An animation as HTML with its frames inside and buttons, for a notebook.

    ``IPython.display.HTML`` shows it. Unlike matplotlib's ``to_jshtml`` it needs no network,
    neither in the notebook nor in pages that are made of it.

    Parameters
    ----------
    animation : matplotlib.animation.FuncAnimation
        As `sample_animation` returns.
    fps : int
        Frames a second.

    Raises
    ------
    ValidationError
        If ``fps`` is not in 1..50.
    """
    _check_fps("animation_html", fps)
    with tempfile.TemporaryDirectory() as folder:
        return _write_html(animation, Path(folder, "animation.html"), fps)


def _check_fps(where: str, fps: int) -> None:
    if isinstance(fps, bool) or not isinstance(fps, int) or not 1 <= fps <= 50:
        raise ValidationError(where, "fps", "an integer in 1..50", repr(fps))


def _write_html(animation: FuncAnimation, path: Path, fps: int) -> str:
    """Matplotlib's page, which it writes to ``path``, as a part of one that needs nothing else."""
    from matplotlib.animation import HTMLWriter

    # Past its limit the writer would drop frames; ours are bounded in number.
    writer = HTMLWriter(fps=fps, embed_frames=True, default_mode="once", embed_limit=1 << 12)
    animation.save(path, writer, dpi=_DPI)
    text = _FOREIGN.sub("", path.read_text(encoding="utf-8"), count=1)
    name = _NAME.search(text)
    if name is not None:  # at random: the same animation would be another text each time
        # Nor the same for all, as several may stand on one page.
        digest = hashlib.sha256(text.replace(name[1], "").encode()).hexdigest()
        text = text.replace(name[1], digest[:16])
    return _STYLE + text


_ANIMATED = (".gif", ".html", ".htm")
_DPI = 90

# Matplotlib's page fetches a font of icons for its buttons; these are in those that all have.
_FOREIGN = re.compile(r"<link\b[^>]*>")
_NAME = re.compile(r'id="_anim_img(\w+)"')
_ICONS = {
    "minus": "−", "plus": "+", "fast-backward": "«", "fast-forward": "»", "step-backward": "‹",
    "step-forward": "›", "play": "▶", "pause": "||",
}  # fmt: skip
_HEAD = '<!DOCTYPE html>\n<meta charset="utf-8">\n<title>Animation</title>\n'
_STYLE = (
    "<style>\n"
    + "".join(f'.fa-{name}::before {{ content: "{icon}"; }}\n' for name, icon in _ICONS.items())
    + ".fa { font-style: normal; display: inline-block; }\n"
    + ".fa-flip-horizontal { transform: scaleX(-1); }\n</style>\n"
)
