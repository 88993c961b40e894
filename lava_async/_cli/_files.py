"""Checking what is read and what would be overwritten.

A file is read only once its header and size are known to agree, so that a damaged one can
neither hang us nor take all memory.
"""

from __future__ import annotations

import os
import stat
import tokenize
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from lava_async._files.atomic import check_target
from lava_async._semantics.graph import Graph
from lava_async._simulate import check_input
from lava_async.errors import FileFormatError, ValidationError

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}

_HDF5 = b"\x89HDF\r\n\x1a\n"
_KINDS = {
    b"PK": "an archive, as of numpy.savez or torch.save",
    _HDF5: "an HDF5 file, as networks are; the network comes first, then the input",
}
"""How files begin that are mistaken for arrays."""


def read_array(path: Path) -> npt.NDArray[Any]:
    """A plain numeric array from a ``.npy`` file.

    Raises
    ------
    FileFormatError
        If the file is missing, not a regular file, not in NumPy's format, truncated, longer
        than its header says, or holds anything but integers, booleans or floats.
    """
    where = str(path)
    if not path.exists():
        raise FileFormatError(where, "file", "a .npy file", "no such file")
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):  # opening a pipe would wait for ever
        kind = "a directory" if stat.S_ISDIR(mode) else "a device or pipe"
        raise FileFormatError(where, "file", "a .npy file", kind)
    with path.open("rb") as file:
        shape, dtype = _read_header(where, file)
        if dtype.hasobject or dtype.kind not in "biuf":
            raise FileFormatError(where, "dtype", "integers, booleans or floats", _brief(dtype))
        count = 1
        for n in shape:  # Python's integers: a header may claim more than 64 bits hold
            count *= n
        if min(shape, default=1) < 0 or count == 0:
            raise FileFormatError(where, "shape", "at least one in every dimension", _brief(shape))
        size = os.fstat(file.fileno()).st_size - file.tell()
        if size != count * dtype.itemsize:
            raise FileFormatError(where, "bytes of data", _brief(count * dtype.itemsize), size)
        file.seek(0)
        return np.lib.format.read_array(file, allow_pickle=False)


def read_input(path: Path, graph: Graph) -> npt.NDArray[np.integer]:
    """Input spikes for a network, (B, *input_shape, T), from a ``.npy`` file.

    Raises
    ------
    ValidationError
        As `read_array` and `check_input` do; the message starts with the path.
    """
    array = read_array(path)
    try:
        return check_input(graph, array)
    except ValidationError as error:
        raise error.at(f"{path}: {error.where}", ValidationError) from error


def _read_header(where: str, file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    try:
        version = np.lib.format.read_magic(file)
    except ValueError:
        file.seek(0)
        start = file.read(len(_HDF5))
        what = _KINDS.get(start[:2], _KINDS.get(start, "another or an empty file"))
        raise FileFormatError(where, "file", "a .npy file, as numpy.save writes it", what) from None
    if version not in _HEADERS:
        raise FileFormatError(where, ".npy version", "1.0 or 2.0", version)
    try:
        shape, _, dtype = _HEADERS[version](file)
        return shape, dtype
    # NumPy evaluates the header as Python text: damage shows in as many ways.
    except (ValueError, TypeError, SyntaxError, tokenize.TokenError, RecursionError,
            MemoryError, KeyError) as error:
        raise FileFormatError(
            where, ".npy header", "shape, dtype and order", _brief(error)
        ) from None


def _brief(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 80 else text[:77] + "..."


def check_output(path: Path, force: bool = False, inputs: tuple[Path, ...] = ()) -> None:
    """Refuse an output file that cannot be written or would overwrite something.

    Parameters
    ----------
    path : Path
    force : bool
        Allow to replace an existing regular file.
    inputs : tuple of Path
        Files that must not be replaced even so.
    """
    where = f"output {path}"
    check_target(where, path)
    if not os.path.lexists(path):
        return
    if not path.is_file():
        raise ValidationError(where, "path", "a file", "a device or pipe")
    if any(other.exists() and path.samefile(other) for other in inputs):
        raise ValidationError(where, "file", "another than the input files", path)
    if not force:
        raise ValidationError(
            where, "file", "a new file, or --force", "an existing one; left as it is"
        )
