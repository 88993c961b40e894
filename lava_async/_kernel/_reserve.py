"""Memory that serves again: to get fresh pages takes longer than the work on them."""

from __future__ import annotations

import contextlib
import mmap
import threading
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item")

_SPARE = 2  # of other kinds, that wait while one of a new kind is made


class Reserve(Generic[Key, Item]):
    """Items that one user at a time works with, and that the next one takes over as they are.

    Parameters
    ----------
    make : callable
        Makes one more of a kind.
    """

    def __init__(self, make: Callable[[Key], Item]):
        self._make = make
        self._lock = threading.Lock()
        self._free: list[tuple[Key, Item]] = []

    def take(self, key: Key) -> Item:
        """One of a kind."""
        with self._lock:
            for i, (kind, item) in enumerate(self._free):
                if kind == key:
                    del self._free[i]
                    return item
            # What has not been wanted for longest will not be.
            del self._free[: -_SPARE]
        return self._make(key)

    def give_back(self, key: Key, item: Item) -> None:
        # Without the lock: the garbage collector may call this, from anywhere, even from above.
        self._free.append((key, item))

    @contextlib.contextmanager
    def lent(self, key: Key) -> Iterator[Item]:
        """One for a while; it is not taken back from whoever fails in between."""
        item = self.take(key)
        yield item
        self.give_back(key, item)


def room(length: int, dtype: type) -> npt.NDArray:
    """An array of anything, which takes no memory where nothing is ever written.

    NumPy's own large arrays do: they come in pages of 2 MB.
    """
    memory = mmap.mmap(-1, max(1, length * np.dtype(dtype).itemsize))
    return np.frombuffer(memory, dtype, length)
