"""Work in threads, which run side by side where the kernels release the GIL."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np


def cores() -> int:
    """How many this process may use; Linux alone tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def pieces(count: int, threads: int, least: int = 1) -> list[tuple[int, int]]:
    """Ranges of samples, more of them than threads, for samples differ in what they cost.

    But not so many that each has less than ``least``, for each takes a call.
    """
    return cut(count, max(threads, min(8 * threads, count // least)))


def cut(count: int, parts: int) -> list[tuple[int, int]]:
    """0..count in so many ranges of about the same length, none of them empty."""
    cuts = np.linspace(0, count, min(count, parts) + 1).astype(int).tolist()
    return list(itertools.pairwise(cuts))


def in_threads(work: Callable[..., Any], calls: Sequence[tuple[Any, ...]], threads: int) -> list:
    """What each call of ``work`` returns, in their order."""
    if threads == 1 or len(calls) <= 1:
        return [work(*arguments) for arguments in calls]
    with ThreadPoolExecutor(min(threads, len(calls))) as pool:
        return list(pool.map(lambda arguments: work(*arguments), calls))
