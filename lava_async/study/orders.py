"""How well a trained network does in any order."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lava_async import metrics
from lava_async._parts import Frames
from lava_async._semantics.graph import Graph
from lava_async._semantics.schedule import (
    Fifo,
    LayerSync,
    Mixture,
    Momentum,
    Random,
    Schedule,
)

ORDERS: tuple[Schedule, ...] = (
    LayerSync(8), Momentum(8), Momentum(1), Random(8), Random(1), Fifo(8)
)  # fmt: skip
COLUMNS = ("run", "accuracy", "spikes a sample", "")
"""Headings of the table, for what `cells` gives."""


def accuracy_by_order(
    graph: Graph, x: Frames, labels: npt.NDArray[np.int64]
) -> list[dict[str, Any]]:
    """What a network reaches in each of `ORDERS`, and in the one that it was trained with.

    Parameters
    ----------
    graph : Graph
        Its schedule is the one of the training.
    x : (B, *input_shape, T) frames
    labels : (B,) int64

    Returns
    -------
    list of dict
        Plain data of each order: ``schedule``, ``accuracy``, ``spikes_per_sample``, and whether
        it is the ``trained``, the ``best`` and the ``worst`` one.
    """
    trained = graph.schedule
    orders = ORDERS if trained is None or trained in ORDERS else (*ORDERS, trained)
    found = metrics.accuracy_by_schedule(graph, x, labels, orders)
    best, worst = int(found.accuracy.argmax()), int(found.accuracy.argmin())
    return [
        {
            "schedule": order.to_dict(),
            "accuracy": float(found.accuracy[place]),
            "spikes_per_sample": float(found.spikes_per_sample[place]),
            "trained": order == trained,
            "best": place == best,
            "worst": place == worst,
        }
        for place, order in enumerate(orders)
    ]


def cells(entry: dict[str, Any]) -> tuple[str, ...]:
    """One row of the table, of an entry of `accuracy_by_order`."""
    marks = [mark for mark in ("trained", "best", "worst") if entry[mark]]
    return (
        _describe(entry["schedule"]),
        f"{entry['accuracy']:.3f}",
        f"{entry['spikes_per_sample']:.0f}",
        ", ".join(marks),
    )


def _describe(schedule: dict[str, Any]) -> str:
    if schedule["scheduler"] == Mixture.name:
        return f"mixture of {len(schedule['schedules'])}"
    return f"{schedule['scheduler']}, F = {schedule['group_size']}"
