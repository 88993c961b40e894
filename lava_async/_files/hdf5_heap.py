"""Checks that the HDF5 library lacks, on the heap of texts of variable length.

SLAYER writes the neuron types as such texts. On a damaged global heap the library (2.0.0 at
least) loops for ever inside C, where no signal reaches it, and it allocates whatever length
a reference to a text claims. So both are looked at before the library reads them. Layout:
*HDF5 File Format Specification*, III.E, Global Heap.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator

import h5py

_SIGNATURE = b"GCOL\x01"  # with its version, without which it may be text
_HEADER = struct.Struct("<8sQ")  # signature, version, size of the collection
_OBJECT = struct.Struct("<HHIQ")  # index, reference count, reserved, size of the content


def is_sound(path: str | os.PathLike[str]) -> bool:
    """Whether in every heap collection of a file the objects follow one another."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return all(_collection_is_sound(content, start) for start in _collections(content))


def claimed_length(dataset: h5py.Dataset) -> int:
    """Length of the longest text of a data set, as its references to the heap claim.

    0 where the references lie inside other structures: compact and chunked data sets.
    """
    offset, size = dataset.id.get_offset(), dataset.id.get_type().get_size()
    if offset is None:
        return 0
    with open(dataset.file.filename, "rb") as file:
        file.seek(offset)
        references = file.read(size * dataset.size)
    starts = range(0, len(references), size)
    return max((int.from_bytes(references[at : at + 4], "little") for at in starts), default=0)


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
