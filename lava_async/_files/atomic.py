"""Writing files so that no reader ever sees half of one."""

from __future__ import annotations

import contextlib
import io
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import h5py

from lava_async.errors import ValidationError

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}(\.\w+)?")


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path in the folder of ``path`` that becomes ``path`` if all goes well.

    On any error, Ctrl-C included, the temporary file is removed and ``path`` stays as it was.

    Raises
    ------
    ValidationError
        The folder does not exist or is not writable, or ``path`` is a folder itself.
    OSError
        The disk is full or failed; names ``path``.
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
        with temporary.open("r+b") as file:
            os.fsync(file.fileno())  # network file systems tell of a full disk only now
        os.replace(temporary, target)
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(temporary)):
            raise
        raise OSError(error.errno, error.strerror, str(target)) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_hdf5(path: str | os.PathLike[str]) -> Iterator[h5py.File]:
    """A new HDF5 file, built in memory and then written as a whole, as by `atomic_path`.

    HDF5 itself does not survive a full disk: it raises wherever it happens to write, once more
    when its objects are thrown away, and crashes the process in the end.
    """
    content = io.BytesIO()
    with atomic_path(path) as temporary:
        with h5py.File(content, "w") as file:
            yield file
        temporary.write_bytes(content.getbuffer())


def is_temporary(path: Path) -> bool:
    """Whether a file was to become another one when its process was killed."""
    return _TEMPORARY.fullmatch(path.name) is not None and path.is_file()
