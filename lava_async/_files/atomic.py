"""Writing files so that no reader ever sees half of one."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

from lava_async._files.paths import as_text
from lava_async.errors import ValidationError

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}(\.\w+)?")


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path in the folder of ``path`` that becomes ``path`` if all goes well.

    On any error, Ctrl-C included, the temporary file is removed and ``path`` stays as it was.

    Raises
    ------
    ValidationError
        The folder does not exist or is not writable, or ``path`` is a folder itself, or no path.
    OSError
        The disk is full or failed; names ``path``.
    """
    try:
        with atomic_paths(path) as (temporary,):
            yield temporary
    except OSError as error:
        is_of_another = error.filename is not None and not is_temporary(Path(error.filename))
        if error.errno is None or is_of_another:
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


@contextlib.contextmanager
def atomic_paths(*paths: str | os.PathLike[str]) -> Iterator[tuple[Path, ...]]:
    """As `atomic_path`, for files that belong together.

    None becomes what it is to be before all are safely on the disk; then they do, in this order.
    """
    targets = [Path(as_text(path)) for path in paths]
    for target in targets:
        check_target(str(target), target)
    # The suffix stays last: np.savez and matplotlib choose by it.
    temporaries = tuple(
        target.with_name(f".{target.stem[:32]}.{secrets.token_hex(4)}{target.suffix}")
        for target in targets
    )
    try:
        yield temporaries
        for temporary in temporaries:
            _flush(temporary)
        for temporary, target in zip(temporaries, targets, strict=True):
            os.replace(temporary, target)
    finally:
        for temporary in temporaries:
            temporary.unlink(missing_ok=True)


def check_target(where: str, target: Path) -> None:
    """Raise `ValidationError` unless a file can be written at a place."""
    if "\0" in str(target):
        raise ValidationError("file", "path", "one that the file system takes", repr(str(target)))
    folder = target.parent
    if not folder.is_dir():
        raise ValidationError(where, "folder", "an existing folder", folder)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ValidationError(where, "folder", "a writable folder", folder)
    if target.is_dir():
        raise ValidationError(where, "path", "a file", "a folder")


def _flush(path: Path) -> None:
    """Network file systems tell of a full disk only when they have to."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def is_temporary(path: Path) -> bool:
    """Whether a file by this name was to become another one, before an error or a kill."""
    return _TEMPORARY.fullmatch(path.name) is not None
