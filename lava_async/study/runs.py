"""Runs of whole splits, of which a part at a time is in memory."""

from __future__ import annotations

import functools
import operator
from typing import Any

import numpy as np
import numpy.typing as npt

from lava_async import metrics
from lava_async._parts import Frames, parts
from lava_async._semantics.graph import Graph
from lava_async._semantics.schedule import Schedule
from lava_async._simulate import simulate


def run_split(
    graph: Graph,
    x: Frames,
    labels: npt.NDArray[np.int64],
    schedule: Schedule | None = None,
    **options: Any,
) -> metrics.Totals:
    """What `simulate` gives for a split, added up; the same whatever the size of the parts.

    Parameters
    ----------
    graph : Graph
    x : (M, *input_shape, T) frames
        See `study.data.fit_to`; a sample's place is its index for random draws.
    labels : (M,) int64
    schedule, **options
        As `simulate` has them.
    """
    found = (
        metrics.Totals.of(
            simulate(
                graph, x[part], schedule, sample_ids=np.arange(part.start, part.stop), **options
            ),
            labels[part],
        )
        for part in parts(x, graph)
    )  # fmt: skip
    return functools.reduce(operator.add, found)
