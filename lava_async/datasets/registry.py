"""The data sets that are known by name, each described once, here or by its user.

One's own needs no registration where its name is ``"module:name"`` or ``"path/to/file.py:name"``:
every command and function finds the `DataSet` there, in other processes, too. By a short name it
is known to all in this process once it is registered:

>>> import numpy as np
>>> from lava_async.datasets import registry
>>> def load_blinks(train):  # half of the samples blink early, half of them late
...     labels = np.arange(40 if train else 20) % 2
...     x = np.zeros((len(labels), 1, 2, 2, 4), np.uint8)
...     x[np.arange(len(labels)), ..., 3 * labels] = 1
...     return x, labels
>>> blinks = registry.register(
...     registry.DataSet(
...         name="blinks",
...         about="four pixels that blink early or late",
...         input_shape=(1, 2, 2),
...         num_classes=2,
...         num_steps=4,
...         bin_us=10_000,
...         loader=load_blinks,
...     )
... )
>>> x, labels = registry.load_frames("blinks", train=False)
>>> x.shape, labels.shape
((20, 1, 2, 2, 4), (20,))
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Callable, KeysView
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lava_async._parts import Frames as Frames
from lava_async.datasets import lookup
from lava_async.errors import LavaAsyncError, ValidationError

ROOT_VARIABLE = "LAVA_ASYNC_DATA"


@dataclass(frozen=True)
class DataSet:
    """What a data set is, and where its frames come from.

    Attributes
    ----------
    name : str
        Lower-case letters, digits, ``-`` and ``_``; begins with a letter.
    about : str
        In a few words.
    input_shape : (C, H, W)
        Of one frame: polarities, height, width.
    num_classes : int
        Labels are in 0..num_classes - 1.
    num_steps : int
        Time steps T of each sample.
    bin_us : int
        Length of a time step in µs.
    loader : callable or str
        Called as ``loader(train)`` for frames (M, *input_shape, T) of uint8, an array or any
        `Frames` (commands ask for some samples at a time), and labels (M,); as
        ``loader(train, root)``, with a folder for files, where ``download`` is set. A text
        ``"module:function"`` is imported when the data are asked for.
    download : str or None
        Where the files come from; None where nothing is fetched.

    Raises
    ------
    ValidationError
        A field is outside of what it may be.
    """

    name: str
    about: str
    input_shape: tuple[int, int, int]
    num_classes: int
    num_steps: int
    bin_us: int
    loader: Callable[..., tuple[Any, Any]] | str
    download: str | None = None

    def __post_init__(self) -> None:
        where = f"data set {self.name}"
        if not isinstance(self.name, str) or not re.fullmatch(r"[a-z][a-z0-9_-]*", self.name):
            wanted = "lower-case letters, digits, - and _, a letter first"
            raise ValidationError("data set", "name", wanted, repr(self.name))
        shape = self.input_shape
        if not isinstance(shape, tuple) or len(shape) != 3 or not all(map(_positive, shape)):
            raise ValidationError(where, "input_shape", "three integers >= 1", shape)
        for field in ("num_classes", "num_steps", "bin_us"):
            if not _positive(getattr(self, field)):
                raise ValidationError(where, field, "an integer >= 1", repr(getattr(self, field)))
        if not callable(self.loader) and not re.fullmatch(r"[\w.]+:\w+", str(self.loader)):
            wanted = "a function or 'module:function'"
            raise ValidationError(where, "loader", wanted, repr(self.loader))

    def load(self, train: bool, root: Path) -> tuple[Any, Any]:
        """What the loader gives."""
        loader = self.loader
        if isinstance(loader, str):
            module, _, function = loader.partition(":")
            loader = getattr(importlib.import_module(module), function)
        return loader(train) if self.download is None else loader(train, root)


def _positive(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


_BY_NAME: dict[str, DataSet] = {}

NAMES: KeysView[str] = _BY_NAME.keys()
"""Of all data sets, in order of registration; sees those that come later, too."""


def register(data_set: DataSet) -> DataSet:
    """Make a data set known by its name, and return it.

    Processes that start afresh know it only once they have registered it themselves, or where it
    is named as ``"module:name"``.

    Raises
    ------
    ValidationError
        The name is taken.
    """
    if data_set.name in _BY_NAME:
        raise ValidationError("register", "name", "one that is not taken", repr(data_set.name))
    _BY_NAME[data_set.name] = data_set
    return data_set


def describe(name: str) -> DataSet:
    """The data set of that name.

    Parameters
    ----------
    name : str
        One of `NAMES`; what an installed package has as an entry point of the group
        ``lava_async.datasets``; or of one's own ``"module:name"`` or ``"path/to/file.py:name"``,
        whose code is run once in a process: with the working directory on the path, as by
        ``python -m``, or the file's folder, as by ``python path/to/file.py``.

    Raises
    ------
    ValidationError
        There is none; the module or file cannot be found or raises; or what it has there is no
        `DataSet`, or one with the name of another that is registered.
    """
    if lookup.is_text(name):
        found = lookup.find(name, DataSet)
        if _BY_NAME.get(found.name, found) is not found:
            wanted = "one that no other data set has"
            raise ValidationError(f"data {name}", "name", wanted, repr(found.name))
        return found
    return _BY_NAME[name] if name in _BY_NAME else _register_installed(name)


def _register_installed(name: str) -> DataSet:
    """That which an installed package offers."""
    where, offered = f"data {name}", lookup.offered()
    if name not in offered:
        known = f"one of {', '.join([*NAMES, *offered])}, or your own as {lookup.FORMS}"
        raise ValidationError(where, "name", known, repr(name))
    text, *others = sorted(offered[name])
    if others:
        wanted = f"one that has it as entry point of {lookup.GROUP}"
        raise ValidationError(where, "package", wanted, " and ".join([text, *others]))
    found = lookup.find(text, DataSet, installed=True)
    if found.name != name:
        raise ValidationError(where, text, "a DataSet of that name", repr(found.name))
    return _BY_NAME.setdefault(name, found)


def data_root(root: str | os.PathLike[str] | None = None) -> Path:
    """The folder for downloaded data sets.

    The one given, else that of the environment variable ``LAVA_ASYNC_DATA``, else
    ``lava_async/data`` in the user's cache folder (``XDG_CACHE_HOME``, else ``~/.cache``).
    Nothing is created.
    """
    if root is None:
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        root = os.environ.get(ROOT_VARIABLE) or Path(cache) / "lava_async" / "data"
    return Path(root).expanduser()


def load_frames(
    name: str, train: bool, root: str | os.PathLike[str] | None = None
) -> tuple[Frames, npt.NDArray[np.int64]]:
    """The training or the test split of a data set.

    Parameters
    ----------
    name : str
        As `describe` takes it.
    train : bool
    root : path, optional
        Folder of downloaded data sets, see `data_root`.

    Returns
    -------
    x : (M, *input_shape, T) uint8
        Event counts. Those of the data sets to download stay on the disk
        (`packed.PackedFrames`): index them, or make them an array.
    labels : (M,) int64

    Raises
    ------
    ValidationError
        There is no such data set, it cannot be had, its loader raises, or it is not as described.
    """
    data_set, where = describe(name), f"data set {name}"
    try:
        x, labels = data_set.load(train, data_root(root))
        _, _, labels = x.shape, x.dtype, np.asarray(labels)
    except (LavaAsyncError, MemoryError):  # which tell of themselves
        raise
    except (Exception, SystemExit) as error:  # a script may end the process
        if data_set in _OURS and isinstance(error, (ImportError, OSError)):  # as do ours
            raise
        got = f"{type(error).__name__}: {error}"
        raise ValidationError(where, "loader", "frames and labels of it", got) from error
    shape = (len(labels), *data_set.input_shape, data_set.num_steps)
    if tuple(x.shape) != shape or x.dtype != np.uint8:
        raise ValidationError(where, "frames", f"{shape} of uint8", f"{x.shape} of {x.dtype}")
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or not len(labels):
        got = f"{labels.shape} of {labels.dtype}"
        raise ValidationError(where, "labels", "one or more integers, one a sample", got)
    wrong = (labels < 0) | (labels >= data_set.num_classes)
    if wrong.any():
        wanted = f"0 <= label < {data_set.num_classes}"
        raise ValidationError(where, "labels", wanted, labels[wrong][0])
    return x, labels.astype(np.int64)


_DOWNLOADS = "lava_async.datasets.downloads:load_"

_OURS = (
    DataSet(
        "digits", "handwritten digits before an event camera", (2, 34, 34), 10, 10, 10_000,
        "lava_async.datasets.digits:load_frames",
    ),
    DataSet(
        "motion", "in which of four directions a digit moves", (2, 34, 34), 4, 12, 10_000,
        "lava_async.datasets.motion:load_frames",
    ),
    DataSet(
        "motion-shuffled", "its control: the same frames, in an order that tells nothing",
        (2, 34, 34), 4, 12, 10_000, "lava_async.datasets.motion:load_shuffled_frames",
    ),
    DataSet(
        "vowels", "which of nine speakers says the vowels, of LPC coefficients", (2, 1, 12), 9, 29,
        6_400, "lava_async.datasets.vowels:load_frames",
    ),
    DataSet(
        "nmnist", "N-MNIST, handwritten digits before a moving event camera, the first saccade",
        (2, 34, 34), 10, 10, 10_000, f"{_DOWNLOADS}nmnist",
        "https://data.mendeley.com/datasets/468j46mzdv",
    ),
    DataSet(
        "shd", "Spiking Heidelberg Digits, spoken in German and English, through a cochlea",
        (1, 1, 700), 20, 100, 14_000, f"{_DOWNLOADS}shd",
        "https://zenkelab.org/datasets",
    ),
    DataSet(
        "dvsgesture", "IBM DVS Gesture, eleven gestures of arms and hands, the first 1.5 s",
        (2, 32, 32), 11, 60, 25_000, f"{_DOWNLOADS}dvsgesture",
        "https://research.ibm.com/dvsgesture",
    ),
)  # fmt: skip

for _data_set in _OURS:
    register(_data_set)
