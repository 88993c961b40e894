"""Writing files so that no reader ever sees half of one."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from lava_async.errors import ValidationError


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path in the folder of ``path`` that becomes ``path`` if all goes well.

    On any error, Ctrl-C included, the temporary file is removed and ``path`` stays as it was.

    Raises
    ------
    ValidationError
        The folder does not exist or is not writable, or ``path`` is a folder itself.
    """
    target = Path(path)
    folder = target.parent
    if not folder.is_dir():
        raise ValidationError(str(target), "folder", "an existing folder", folder)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ValidationError(str(target), "folder", "a writable folder", folder)
    if target.is_dir():
        raise ValidationError(str(target), "path", "a file", "a folder")
    # The suffix stays last: np.savez and matplotlib choose by it.
    name = f".{target.stem[:32]}.{secrets.token_hex(4)}{target.suffix}"
    temporary = target.with_name(name)
    try:
        yield temporary
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
