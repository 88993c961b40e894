"""Folders for results."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from lava_async._files.atomic import is_temporary
from lava_async.errors import ValidationError


@contextlib.contextmanager
def results_folder(path: Path, resume: bool = False) -> Iterator[None]:
    """A folder for results that holds nothing yet; removed again if nothing was written.

    Files that a killed process left half written do not count, and are removed.

    Raises
    ------
    ValidationError
        The folder cannot be made, or there is something in it (without ``resume``).
    """
    where = f"output {path}"
    if path.exists() and not path.is_dir():
        raise ValidationError(where, "path", "a folder", "a file")
    if not path.absolute().parent.is_dir():
        raise ValidationError(where, "folder", "an existing folder", path.parent)
    if resume and not path.exists():
        raise ValidationError(where, "folder to resume", "an existing folder", "none")
    existed = path.exists()
    unfinished = [p for p in path.iterdir() if is_temporary(p) and p.is_file()] if existed else []
    if existed and not resume and len(list(path.iterdir())) > len(unfinished):
        raise ValidationError(
            where, "folder", "a new or empty folder", "one with files; left as it is"
        )
    path.mkdir(exist_ok=True)
    for file in unfinished:
        file.unlink()
    try:
        yield
    except BaseException:
        if not existed:
            with contextlib.suppress(OSError):  # not empty: a checkpoint is worth keeping
                path.rmdir()
        raise
