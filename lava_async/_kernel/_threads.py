"""Work in threads, which run side by side where the kernels release the GIL."""

from __future__ import annotations

import abc
import collections
import contextlib
import functools
import itertools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

_MOST = 256  # threads


def cores() -> int:
    """How many this process may use; Linux alone tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def pieces(count: int, threads: int) -> list[tuple[int, int]]:
    """Ranges of samples, more of them than threads, for samples differ in what they cost."""
    return cut(count, 8 * threads)


def cut(count: int, parts: int) -> list[tuple[int, int]]:
    """0..count in so many ranges of about the same length, none of them empty."""
    parts = min(count, parts)
    return list(itertools.pairwise(i * count // parts for i in range(parts + 1))) if parts else []


class Team(abc.ABC):
    """Threads that work together, the calling one among them.

    Parameters
    ----------
    size : int
        How many.
    """

    def __init__(self, size: int):
        self.size = size

    def run(self, work: Callable[..., Any], calls: Sequence[tuple[Any, ...]]) -> list:
        """What each call of ``work`` returns, in their order."""
        results: list[Any] = [None] * len(calls)
        left = collections.deque(range(len(calls)))
        failures: list[BaseException] = []

        def take() -> int | None:
            with contextlib.suppress(IndexError):
                return left.popleft()
            return None

        def work_on() -> None:
            try:
                for i in iter(take, None):
                    results[i] = work(*calls[i])
            except BaseException as failure:
                left.clear()
                failures.append(failure)

        if min(self.size, len(calls)) > 1:
            self._together(work_on, len(calls))
        work_on()  # whatever nobody has taken
        if failures:
            raise failures[0]
        return results

    @abc.abstractmethod
    def _together(self, work_on: Callable[[], None], most: int) -> None:
        """Call it in the threads, of which more than ``most`` find nothing to do."""


class OwnThreads(Team):
    """Threads of this package."""

    def _together(self, work_on, most):
        others = [_helpers().submit(work_on) for _ in range(min(self.size, most) - 1)]
        work_on()
        for other in others:
            # Whoever has not begun by now is busy elsewhere, and not needed.
            if not other.cancel():
                other.result()


@functools.cache
def _helpers() -> ThreadPoolExecutor:
    """Threads that stay: to start some for each call takes as long as the work on a few samples."""
    return ThreadPoolExecutor(_MOST, thread_name_prefix="lava_async")


if hasattr(os, "register_at_fork"):  # whose child has this thread only
    os.register_at_fork(after_in_child=_helpers.cache_clear)
