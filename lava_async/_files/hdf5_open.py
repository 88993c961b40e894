"""Opening HDF5 files, after the checks for which h5py has no clear answer."""

from __future__ import annotations

import os
import stat

import h5py

from lava_async._files import foreign, hdf5_heap
from lava_async._files.hdf5_fields import hdf5_errors
from lava_async.errors import FileFormatError


def open_hdf5(path: str | os.PathLike[str], name: str) -> h5py.File:
    """Open for reading; messages call the file ``name``.

    Raises
    ------
    FileFormatError
        It is missing, unreadable, another kind of file, or damaged so that HDF5 would not return.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        got = foreign.describe_missing(name) or getattr(error, "strerror", None) or error
        raise FileFormatError(name, "file", "an HDF5 file", got) from error
    if not stat.S_ISREG(mode):  # opening a pipe would wait for ever
        kind = "a directory" if stat.S_ISDIR(mode) else "a device or pipe"
        raise FileFormatError(name, "file", "an HDF5 file", kind)
    if not os.access(path, os.R_OK):
        raise FileFormatError(name, "file", "a readable file", "no permission to read")
    with hdf5_errors(name, "file", "an HDF5 file"):
        if not h5py.is_hdf5(path):
            raise FileFormatError(name, "file", "an HDF5 file", foreign.describe(path))
        file = h5py.File(path, "r")
        if not hdf5_heap.is_sound(path):
            file.close()
            raise FileFormatError(name, "file", "an undamaged HDF5 file", "a damaged global heap")
        return file
