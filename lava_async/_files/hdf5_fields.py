"""Fields of HDF5 groups, read so that damage of any kind ends in one clear line."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from lava_async._files import hdf5_heap
from lava_async.errors import FileFormatError, GraphError, LavaAsyncError, UnsupportedError

MAX_ELEMENTS = 1 << 27
"""A field that claims more is taken for damage and not read: it could claim 2**60."""

_MAX_NAME = 64


@contextlib.contextmanager
def hdf5_errors(where: str, what: str, wanted: str) -> Iterator[None]:
    """Turn whatever h5py raises into a `FileFormatError`.

    On damaged files that is OSError, RuntimeError, KeyError, ValueError, TypeError,
    UnicodeDecodeError, MemoryError and more, hence every `Exception`.
    """
    try:
        yield
    except LavaAsyncError:
        raise
    except Exception as error:
        raise FileFormatError(where, what, wanted, " ".join(str(error).split())) from error


@contextlib.contextmanager
def graph_errors(where: str) -> Iterator[None]:
    """Say where in the file a `GraphError` comes from, in place of where in the graph."""
    try:
        yield
    except GraphError as error:
        raise error.at(where, FileFormatError) from error


def _is_number(dtype: np.dtype) -> bool:
    return dtype.kind in "biuf"


def _is_text(dtype: np.dtype) -> bool:
    """Not so for the other types that NumPy holds as objects, some of which crash h5py."""
    return h5py.check_string_dtype(dtype) is not None


def attribute(where: str, attributes: h5py.AttributeManager, name: str) -> bool | int | float | str:
    """One number or text."""
    stored = attributes.get_id(name)
    if stored.shape != () or not (_is_number(stored.dtype) or _is_text(stored.dtype)):
        got = f"dtype {stored.dtype}, shape {stored.shape}"
        raise FileFormatError(where, name, "one number or text", got)
    value: Any = attributes[name]
    if isinstance(value, bytes):
        return value.decode("ascii", "replace")
    return value.item() if isinstance(value, np.generic) else value


@dataclass
class Fields:
    """The fields of one HDF5 group; knows path and place for messages."""

    where: str
    group: h5py.Group
    prefix: str = ""

    def malformed(self, name: str, wanted: object, got: object) -> FileFormatError:
        return FileFormatError(self.where, self.prefix + name, wanted, got)

    def unsupported(self, name: str, wanted: object, got: object) -> UnsupportedError:
        return UnsupportedError(self.where, self.prefix + name, wanted, got)

    def _reading(self, name: str) -> contextlib.AbstractContextManager[None]:
        return hdf5_errors(self.where, self.prefix + name, "a readable field")

    def __contains__(self, name: str) -> bool:
        with self._reading(name):
            return name in self.group

    def below(self, name: str) -> Fields:
        """The fields of a group inside this one."""
        with self._reading(name):
            item = self.group.get(name)
        if not isinstance(item, h5py.Group):
            raise self.malformed(name, "a group", "nothing" if item is None else "a data set")
        return Fields(self.where, item, f"{self.prefix}{name}/")

    def numbered(self, name: str) -> list[h5py.Group]:
        """The groups 0, 1, 2, … inside a group: layers, populations, connections."""
        inside = self.below(name)
        with self._reading(name):
            names = list(inside.group)
        if not names:
            raise self.malformed(name, f"at least one {name}", "none")
        wanted = [str(index) for index in range(len(names))]
        if set(names) != set(wanted):
            raise self.malformed(name, f"{name}s 0 to {len(names) - 1}", ascii(names)[:80])
        return [inside.below(index).group for index in wanted]

    def _data_set(
        self, name: str, wanted: str, is_wanted: Callable[[np.dtype], bool], least: int
    ) -> h5py.Dataset:
        item = self.group.get(name)
        if not isinstance(item, h5py.Dataset):
            raise self.malformed(name, wanted, "nothing" if item is None else "a group")
        if not is_wanted(item.dtype):
            raise self.malformed(name, wanted, f"dtype {item.dtype}")
        # Before reading: the size that a damaged field claims may exceed any memory.
        if item.shape is None or not least <= math.prod(item.shape) <= MAX_ELEMENTS:
            raise self.malformed(name, f"{least} to {MAX_ELEMENTS} values", f"shape {item.shape}")
        return item

    def numbers(self, name: str, least: int = 1) -> npt.NDArray:
        """The numbers of a field, ``least`` or more, in the shape that they have in the file."""
        with self._reading(name):
            return np.asarray(self._data_set(name, "numbers", _is_number, least)[()])

    def integers(self, name: str, low: int, *counts: int) -> tuple[int, ...]:
        """As many integers >= ``low`` as one of ``counts`` says."""
        values = self.numbers(name).reshape(-1)
        got = values[:4].tolist()
        if values.size not in counts or not all(n >= low and float(n).is_integer() for n in got):
            count = " or ".join(map(str, counts))
            raise self.malformed(name, f"{count} integers >= {low}", got)
        return tuple(int(n) for n in got)

    def text(self, name: str) -> str:
        """A name: letters, digits and underscores."""
        with self._reading(name):
            item = self._data_set(name, "text", _is_text, 1)
            if item.size != 1:
                raise self.malformed(name, "one name", f"{item.size} values")
            fixed = item.dtype.kind == "S"
            length = item.dtype.itemsize if fixed else hdf5_heap.claimed_length(item)
            if length > _MAX_NAME:
                raise self.malformed(name, "one name", f"a text of length {length}")
            text = np.asarray(item[()]).reshape(-1)[0]
        if isinstance(text, bytes):
            text = text.decode("ascii", "replace")
        if not (isinstance(text, str) and text.isidentifier()):
            raise self.malformed(name, "one name", ascii(text))
        return text

    def check_equal(self, name: str, *wanted: int) -> None:
        """Refuse a field that repeats what the weight or the shape says, but differs."""
        if name in self:
            got = self.numbers(name).reshape(-1)
            if not np.array_equal(got, wanted):
                values = wanted[0] if len(wanted) == 1 else list(wanted)
                raise self.malformed(name, f"{values} as in weight and shape", got[:4].tolist())
