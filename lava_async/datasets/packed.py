"""Frames on the disk, as the places of their events; samples become arrays when asked for.

A file is HDF5 with ``events`` (E,), the flat index of each event in its sample's frame
(P, H, W, T), samples one after the other; ``offsets`` (M + 1,), where each begins; ``labels``
(M,); and the attributes ``format_version``, ``setting`` and ``shape``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from lava_async._files.atomic import atomic_path
from lava_async._semantics.brief import Brief
from lava_async.errors import FileFormatError, ValidationError

FORMAT_VERSION = 1
_CHUNK = 1 << 14  # events: so many are read at least


@dataclass(frozen=True)
class PackedFrames(Brief):
    """Frames (M, *sample_shape) of uint8 that stay on the disk until they are indexed.

    Indexing the first axis by an integer, a slice or an array gives NumPy arrays; so does
    ``np.asarray``, of everything. Processes may share it and pass it on: it holds no open file.

    Attributes
    ----------
    path : Path
    offsets : (M + 1,) int64
        Where the events of each sample begin.
    sample_shape : tuple of int
        Of one sample, time last.
    """

    path: Path
    offsets: npt.NDArray[np.int64]
    sample_shape: tuple[int, ...]

    dtype = np.dtype(np.uint8)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), *self.sample_shape)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: Any) -> npt.NDArray[np.uint8]:
        samples = np.arange(len(self))[index]
        frames = np.empty((samples.size, math.prod(self.sample_shape)), np.uint8)
        with h5py.File(self.path, "r") as file:
            events: Any = file["events"]
            for frame, sample in zip(frames, samples.reshape(-1), strict=True):
                places = events[self.offsets[sample] : self.offsets[sample + 1]]
                if len(places) and places.max() >= len(frame):
                    wanted = f"places below {len(frame)}"
                    raise FileFormatError(str(self.path), "events", wanted, places.max())
                counts = np.bincount(places, minlength=len(frame))
                np.minimum(counts, 255, out=frame, casting="unsafe")
        return frames.reshape(*samples.shape, *self.sample_shape)

    def __array__(self, dtype: npt.DTypeLike = None, copy: bool | None = None) -> npt.NDArray:
        return self[:].astype(dtype or self.dtype, copy=False)

    def reshape(self, *shape: int) -> PackedFrames:
        """The same samples, each in another shape."""
        if shape[0] not in (len(self), -1) or math.prod(shape[1:]) != math.prod(self.sample_shape):
            wanted = f"{len(self)} samples of {math.prod(self.sample_shape)} entries"
            raise ValidationError("PackedFrames.reshape", "shape", wanted, shape)
        return PackedFrames(self.path, self.offsets, tuple(shape[1:]))


def write(
    path: Path,
    samples: Iterable[tuple[npt.NDArray[np.integer], int]],
    shape: tuple[int, ...],
    setting: dict[str, Any],
) -> None:
    """Write a file of frames, one sample at a time; it takes its place when it is complete.

    Parameters
    ----------
    path : Path
    samples : iterable of (places, label)
        Flat indices of a sample's events, and its label.
    shape : tuple of int
        Of a sample, time last.
    setting : dict
        What else the frames depend on: plain data.
    """
    offsets, labels = [0], []
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        events = file.create_dataset("events", (0,), np.uint32, maxshape=(None,), chunks=(_CHUNK,))
        for places, label in samples:
            offsets.append(offsets[-1] + len(places))
            labels.append(label)
            events.resize((offsets[-1],))
            events[offsets[-2] :] = np.sort(places)
        file["offsets"], file["labels"] = np.array(offsets, np.int64), np.array(labels, np.int64)
        file.attrs["format_version"] = FORMAT_VERSION
        file.attrs["shape"] = shape
        file.attrs["setting"] = json.dumps(setting, sort_keys=True)


def read(
    path: Path, shape: tuple[int, ...], setting: dict[str, Any]
) -> tuple[PackedFrames, npt.NDArray[np.int64]]:
    """Frames and labels of a file that `write` made of the same shape and setting.

    Raises
    ------
    FileFormatError
        It is damaged, or of something else.
    """
    again = "one that was written whole; removed, it is made anew from the downloaded files"
    try:
        with h5py.File(path, "r") as opened:
            file: Any = opened
            found = {name: file.attrs[name] for name in ("format_version", "shape", "setting")}
            offsets, labels = file["offsets"][:], file["labels"][:]
            size = file["events"].shape[0]
    except (OSError, KeyError, RuntimeError, AttributeError, TypeError) as error:
        raise FileFormatError(str(path), "file of events", again, type(error).__name__) from error
    wanted = {
        "format_version": FORMAT_VERSION,
        "shape": list(shape),
        "setting": json.dumps(setting, sort_keys=True),
    }
    found["shape"] = np.asarray(found["shape"]).tolist()
    for name, value in wanted.items():
        if found[name] != value:
            raise FileFormatError(
                str(path), name, f"{value}; removed, it is made anew", found[name]
            )
    whole = offsets.shape == (len(labels) + 1,) and offsets[0] == 0 and offsets[-1] == size
    if not whole or (np.diff(offsets) < 0).any():
        raise FileFormatError(str(path), "file of events", again, "offsets of something else")
    return PackedFrames(path, offsets, shape), labels
