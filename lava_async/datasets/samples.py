"""What the data sets here have in common with tonic's: samples are ``(events, label)``."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from lava_async.datasets.frames import EVENT_DTYPE

Transform = Callable[[npt.NDArray], Any]
TargetTransform = Callable[[int], Any]


class EventSamples(abc.ABC):
    """Base of data sets of events, to which tonic's transforms, caches and collation apply.

    Attributes
    ----------
    targets : (M,) int64
        Labels of all samples.
    transform, target_transform : callable or None
        Applied to the events of a sample, and to its label.
    """

    dtype: ClassVar[np.dtype] = EVENT_DTYPE
    ordering: ClassVar[tuple[str, ...]] = ("x", "y", "t", "p")

    targets: npt.NDArray[np.int64]

    def __init__(
        self, train: bool, transform: Transform | None, target_transform: TargetTransform | None
    ) -> None:
        self.train = train
        self.transform = transform
        self.target_transform = target_transform

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        sample: Any = self._events_of(index)
        label: Any = int(self.targets[index])
        if self.transform is not None:
            sample = self.transform(sample)
        if self.target_transform is not None:
            label = self.target_transform(label)
        return sample, label

    @abc.abstractmethod
    def _events_of(self, index: int) -> npt.NDArray:
        """A sample's events, its own copy."""
