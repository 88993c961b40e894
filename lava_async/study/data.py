"""Splits of data sets, by name, in the shape that a network sees."""

from __future__ import annotations

import math
import os
from typing import cast

import numpy as np
import numpy.typing as npt

from lava_async import metrics
from lava_async._semantics.graph import Graph
from lava_async.datasets import registry
from lava_async.errors import ValidationError

Split = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]
"""Inputs (M, *input_shape, T), which `registry.load_frames` may have left on the disk, and labels
(M,)."""


def load_split(name: str, train: bool, root: str | os.PathLike[str] | None = None) -> Split:
    """The training or the test split, as `registry.load_frames`."""
    return cast(Split, registry.load_frames(name, train, root))


def fit_to(
    graph: Graph, x: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], where: str
) -> npt.NDArray[np.uint8]:
    """Inputs as an array in the input shape of a network; it may see them flat, in C order.

    Raises
    ------
    ValidationError
        The network has other inputs, fewer outputs than there are classes, or outputs that
        cannot fire.
    """
    metrics.check_decides(graph, f"{where}: output population")
    shape = x.shape[1:-1]
    if math.prod(graph.input_shape) != math.prod(shape):
        raise ValidationError(where, "input shape", f"{shape}, that of the data", graph.input_shape)
    classes = int(labels.max()) + 1
    if math.prod(graph.out_shape) < classes:
        raise ValidationError(
            where, "outputs", f"at least {classes}, a class each", graph.out_shape
        )
    return np.asarray(x).reshape(len(x), *graph.input_shape, x.shape[-1])
