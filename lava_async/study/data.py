"""Splits of data sets, by name, in the shape that a network sees."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lava_async._parts import Frames
from lava_async._semantics.graph import Graph
from lava_async.datasets import registry
from lava_async.errors import ValidationError

Split = tuple[Frames, npt.NDArray[np.int64]]
"""Inputs (M, *input_shape, T), which may be on the disk until they are indexed, and labels (M,)."""


@dataclass(frozen=True)
class View:
    """The first samples of frames that are no array, each in another shape.

    Attributes
    ----------
    frames : Frames
    shape : tuple of int
        (M, *input_shape, T): as many samples as `frames` has or fewer, with as many entries each.
    """

    frames: Frames
    shape: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.frames.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> npt.NDArray[Any]:
        samples = np.arange(len(self))[index]
        frames = np.asarray(self.frames[samples])
        return frames.reshape(*samples.shape, *self.shape[1:])

    def __array__(self, dtype: npt.DTypeLike = None, copy: bool | None = None) -> npt.NDArray:
        return self[:].astype(dtype or self.dtype, copy=False)


def load_split(name: str, train: bool, root: str | os.PathLike[str] | None = None) -> Split:
    """The training or the test split, as `registry.load_frames`."""
    return registry.load_frames(name, train, root)


def first(samples: int | None, split: Split) -> Split:
    """The first samples of a split, or all; what is no array stays where it is."""
    x, labels = split
    labels = labels[:samples]
    return _view(x, (len(labels), *x.shape[1:])), labels


def fit_to(graph: Graph, x: Frames, labels: npt.NDArray[np.int64], where: str) -> Frames:
    """Inputs in the input shape of a network; it may see them flat, in C order.

    An array as an array, and anything else as a `View` of it: what is on the disk stays there.

    Raises
    ------
    ValidationError
        The network has other inputs, or decides between fewer classes than there are.
    """
    shape = x.shape[1:-1]
    if math.prod(graph.input_shape) != math.prod(shape):
        raise ValidationError(where, "input shape", f"{shape}, that of the data", graph.input_shape)
    classes = int(labels.max()) + 1
    if graph.num_classes < classes:
        raise ValidationError(
            where, "outputs", f"at least {classes}, a class each", graph.num_classes
        )
    return _view(x, (len(x), *graph.input_shape, x.shape[-1]))


def _view(x: Frames, shape: tuple[int, ...]) -> Frames:
    if isinstance(x, np.ndarray):
        return np.asarray(x[: shape[0]]).reshape(shape)
    return View(x, shape)
