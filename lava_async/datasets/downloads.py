"""N-MNIST, SHD and DVS Gesture: fetched and read by tonic, kept as frames on the disk.

tonic (GPL-3, the extra ``datasets``) is imported, and the network used, only where a split has not
been packed before. In the folder of downloaded data (`registry.data_root`) tonic keeps a folder of
each data set, and ``packed`` holds the events of each split in the time steps below
(`lava_async.datasets.packed`); a split that is packed needs neither tonic nor its files.

=========== =============== ======= ======== =======================================================
name        frames (P,H,W)  T       bin      why
=========== =============== ======= ======== =======================================================
nmnist      (2, 34, 34)     10      10 ms    the paper's (arXiv 2408.05098): the first saccade
shd         (1, 1, 700)     100     14 ms    1.4 s hold the longest recording (Cramer et al., 2020)
dvsgesture  (2, 32, 32)     60      25 ms    the first 1.5 s (Shrestha, Orchard, *SLAYER*, 2018),
                                             4 x 4 pixels made one
=========== =============== ======= ======== =======================================================

The clock of a sample of DVS Gesture starts with its first event; those of the others at 0.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import socket
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lava_async.datasets import events, packed, registry
from lava_async.errors import ValidationError

SILENCE_S = 30.0
"""A server that says nothing for so many seconds is given up."""


@dataclass(frozen=True)
class Source:
    """A data set of tonic's, and how it becomes frames.

    Attributes
    ----------
    name : str
        Ours.
    tonic_name : str
        Of the class in ``tonic.datasets``, and of the folder that it keeps.
    sensor : Sensor
    least : (int, int)
        Samples of the training and the test split: fewer, and files have not all been extracted.
    from_first_event : bool
        Whether time is counted from a sample's first event.
    record_bytes : int
        Of a sample's file, those of an event; tonic takes what is left over for an event, or not.
    """

    name: str
    tonic_name: str
    sensor: events.Sensor
    least: tuple[int, int]
    from_first_event: bool = False
    record_bytes: int = 1


SOURCES = {
    source.name: source
    for source in (
        Source(
            "nmnist", "NMNIST", events.Sensor(34, 34, (0, 1)), (60_000, 10_000),
            record_bytes=5,
        ),
        # tonic gives all events the polarity 1.
        Source("shd", "SHD", events.Sensor(700, 1, (1,)), (8_156, 2_264)),
        Source(
            "dvsgesture", "DVSGesture", events.Sensor(128, 128, (0, 1), pool=4), (1_077, 264),
            from_first_event=True,
        ),
    )
}  # fmt: skip

_BROKEN = (
    OSError, EOFError, RuntimeError, ValueError, KeyError, IndexError, TypeError,
    zipfile.BadZipFile, tarfile.TarError, zlib.error,
)  # fmt: skip
"""What tonic raises for missing, cut and foreign files, and for servers that do not answer."""


def load_nmnist(train: bool, root: Path) -> tuple[packed.PackedFrames, npt.NDArray[np.int64]]:
    """Frames (M, 2, 34, 34, 10) and labels (M,) of N-MNIST, see `load`."""
    return load("nmnist", train, root)


def load_shd(train: bool, root: Path) -> tuple[packed.PackedFrames, npt.NDArray[np.int64]]:
    """Frames (M, 1, 1, 700, 100) and labels (M,) of SHD, see `load`."""
    return load("shd", train, root)


def load_dvsgesture(train: bool, root: Path) -> tuple[packed.PackedFrames, npt.NDArray[np.int64]]:
    """Frames (M, 2, 32, 32, 60) and labels (M,) of DVS Gesture, see `load`."""
    return load("dvsgesture", train, root)


def load(
    name: str, train: bool, root: str | os.PathLike[str]
) -> tuple[packed.PackedFrames, npt.NDArray[np.int64]]:
    """A split, from the disk if it was packed before; else fetched, checked and packed.

    Parameters
    ----------
    name : str
        One of `SOURCES`.
    train : bool
    root : path
        Folder of downloaded data sets; created.

    Raises
    ------
    ValidationError
        tonic is not installed, or files are missing and cannot be fetched, or broken; says which
        to put where. Or events are none of the sensor's.
    """
    source, split = SOURCES[name], "train" if train else "test"
    described = registry.describe(name)
    bin_us, num_steps = described.bin_us, described.num_steps
    shape = (*source.sensor.frame_shape, num_steps)
    setting = {
        "data": name, "split": split, "bin_us": bin_us, "num_steps": num_steps,
        "pool": source.sensor.pool,
    }  # fmt: skip
    folder = Path(root) / "packed"
    path = folder / f"{name}-{split}-{num_steps}x{bin_us}us.h5"
    if not path.exists():
        data = _open(source, train, Path(root))
        folder.mkdir(parents=True, exist_ok=True)
        packed.write(path, _samples(source, data, bin_us, num_steps), shape, setting)
    return packed.read(path, shape, setting)


def _open(source: Source, train: bool, root: Path) -> Any:
    """tonic's data set, with its files in place."""
    where = f"data set {source.name}"
    try:
        kind = getattr(importlib.import_module("tonic.datasets"), source.tonic_name)
        importlib.import_module("numpy.lib.recfunctions")  # which tonic uses without importing it
    except ImportError:
        wanted = "it installed (pip install 'lava-async[datasets]')"
        raise ValidationError(where, "package tonic", wanted, "none") from None
    url, file = _archive(kind, train)
    wanted = f"{file} in {root / source.tonic_name}: fetch it from {url}"
    try:
        # What tonic prints is no result of a command.
        with _impatient(), contextlib.redirect_stdout(sys.stderr):
            data = _with_own_file(kind)(save_to=str(root), train=train)
    except _BROKEN as error:
        raise ValidationError(where, "download", wanted, _brief(error)) from error
    least = source.least[not train]
    if len(data) < least:
        wanted = f"at least {least}; remove what is in {root / source.tonic_name} and start again"
        raise ValidationError(where, "samples", wanted, len(data))
    return data


def _archive(kind: Any, train: bool) -> tuple[str, str]:
    """Where tonic fetches a split from, and the name of the file that it keeps."""
    split = "train" if train else "test"
    if hasattr(kind, f"{split}_zip"):
        file = getattr(kind, f"{split}_zip")
        return kind.base_url + file, file
    return getattr(kind, f"{split}_url"), getattr(kind, f"{split}_filename")


def _with_own_file(kind: Any) -> Any:
    """The same class, but that it looks for the file of the split that is asked for.

    tonic's SHD is content with that of the other split, and then fails to open its own.
    """

    def check_exists(self: Any) -> bool:
        extracted = getattr(self, "data_filename", self.folder_name)
        return kind._check_exists(self) and Path(self.location_on_system, extracted).exists()

    return type(kind.__name__, (kind,), {"_check_exists": check_exists})


@contextlib.contextmanager
def _impatient() -> Iterator[None]:
    """tonic would wait without end for a server that does not answer."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE_S)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _samples(
    source: Source, data: Any, bin_us: int, num_steps: int
) -> Iterator[tuple[npt.NDArray[np.int64], int]]:
    """Places of the events and label of each sample, in an order that no file system decides."""
    files = [str(file) for file in data.data]
    order = sorted(range(len(data)), key=files.__getitem__) if files else range(len(data))
    for index in order:
        where = f"data set {source.name}: {files[index] if files else f'sample {index}'}"
        wanted = "one as it was published; remove it and start again"
        try:
            sample, label = data[index]
            left = os.path.getsize(files[index]) % source.record_bytes if files else 0
        except _BROKEN as error:
            raise ValidationError(where, "file", wanted, _brief(error)) from error
        if left:
            raise ValidationError(where, "file", wanted, f"{left} bytes after the last event")
        events.check(sample, source.sensor, where)
        if source.from_first_event and len(sample):
            sample["t"] -= sample["t"][0]
        yield events.places(sample, source.sensor, bin_us, num_steps), int(label)


def _brief(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:200]
