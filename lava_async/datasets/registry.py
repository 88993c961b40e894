"""The data sets that commands know by name."""

from __future__ import annotations

import importlib

import numpy as np
import numpy.typing as npt

_LOADERS = {"digits": "lava_async.datasets.digits:load_frames"}
"""Where the frames of each come from; imported when asked for."""

NAMES = tuple(_LOADERS)


def load_frames(name: str, train: bool) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Input frames (M, *input_shape, T) and labels (M,) of the training or the test split."""
    module, _, function = _LOADERS[name].partition(":")
    return getattr(importlib.import_module(module), function)(train)
