"""Files of NIR, read by the package ``nir`` once nothing in them can hang or exhaust it."""

from __future__ import annotations

import math
import os
from typing import Any

import h5py

from lava_async._files import hdf5_heap
from lava_async._files.hdf5_fields import MAX_ELEMENTS, hdf5_errors
from lava_async._files.hdf5_open import open_hdf5
from lava_async._files.paths import as_text
from lava_async.errors import FileFormatError, UnsupportedError, ValidationError

_MAX_TEXT = 1 << 20
"""Longest text: what `to_nir` records of a network with many populations is one."""


def package() -> Any:
    """The package ``nir``.

    Raises
    ------
    UnsupportedError
        It is not installed.
    """
    try:
        import nir
    except ImportError:
        wanted = "it installed (pip install 'lava-async[nir]')"
        raise UnsupportedError("NIR", "package nir", wanted, "none") from None
    return nir


def opened(source: Any) -> tuple[str, Any]:
    """What messages call it, and the ``nir.NIRGraph``."""
    nir = package()
    if isinstance(source, nir.NIRGraph):
        return "NIR", source
    if not isinstance(source, str | bytes | os.PathLike):
        wanted = "a path, or a nir.NIRGraph"
        raise ValidationError("from_nir", "source", wanted, type(source).__name__)
    name = as_text(source)
    with open_hdf5(name, name) as file:
        _check(name, file)
    # The package asserts, indexes and compares whatever a file holds.
    with hdf5_errors(name, "file", "a NIR graph"):
        graph = nir.read(name, type_check=False)
    if not isinstance(graph, nir.NIRGraph):
        raise FileFormatError(name, "node", "a NIR graph", type(graph).__name__)
    return name, graph


def _check(name: str, file: h5py.File) -> None:
    """Refuse what would be read without end, or into more memory than there is."""
    with hdf5_errors(name, "file", "a NIR graph"):
        first = file.get("node")
        if not isinstance(first, h5py.Group):
            got = "nothing" if first is None else "a data set"
            raise FileFormatError(name, "node", "a group", got)
        # A group that links to one above it would go on for ever.
        seen: set[Any] = set()
        todo = [first]
        while todo:
            group = todo.pop()
            if group.id in seen:
                raise FileFormatError(name, group.name, "each group once", "one inside itself")
            seen.add(group.id)
            for key in group:
                item = group[key]
                if isinstance(item, h5py.Group):
                    todo.append(item)
                else:
                    _check_data_set(name, f"{group.name}/{key}", item)


def _check_data_set(name: str, where: str, item: Any) -> None:
    is_text = h5py.check_string_dtype(item.dtype) is not None
    if not is_text and item.dtype.kind not in "biuf":
        raise FileFormatError(name, where, "numbers or text", f"dtype {item.dtype}")
    sizes = [item.shape, item.chunks or ()]
    if item.shape is None or any(math.prod(size) > MAX_ELEMENTS for size in sizes):
        raise FileFormatError(name, where, f"at most {MAX_ELEMENTS} values", f"shape {item.shape}")
    if is_text and (length := hdf5_heap.claimed_length(item)) > _MAX_TEXT:
        raise FileFormatError(name, where, "a text", f"a text of length {length}")
