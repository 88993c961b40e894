"""A check that the HDF5 library lacks: is a file's global heap sound?

The global heap holds texts of variable length, such as the neuron types that SLAYER writes.
On a damaged heap the library (2.0.0 at least) loops for ever inside C, where no signal
reaches it, so it must not see one. Layout: *HDF5 File Format Specification*, III.E, Global Heap.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator

_SIGNATURE = b"GCOL\x01\0\0\0"  # with the version; the library refuses others by itself
_HEADER = struct.Struct("<8sQ")  # signature, size of the collection
_OBJECT = struct.Struct("<HHIQ")  # index, reference count, reserved, size of the content


def is_sound(path: str | os.PathLike[str]) -> bool:
    """Whether the objects of every heap collection in the file follow one another."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return all(_collection_is_sound(content, start) for start in _collections(content))


def _collections(content: mmap.mmap) -> Iterator[int]:
    start = content.find(_SIGNATURE)
    while start >= 0:
        yield start
        start = content.find(_SIGNATURE, start + 1)


def _collection_is_sound(content: mmap.mmap, start: int) -> bool:
    _, size = _HEADER.unpack_from(content, start)
    place, end = start + _HEADER.size, start + size
    if not start + 4096 <= end <= len(content):
        return False
    seen = set()
    while end - place >= _OBJECT.size:
        index, _, _, size = _OBJECT.unpack_from(content, place)
        # Object 0 is the free space; its size counts its header.
        length = size if index == 0 else _OBJECT.size + -(-size // 8) * 8
        if index in seen or not _OBJECT.size <= length <= end - place:
            return False
        seen.add(index)
        place += length
    return True
