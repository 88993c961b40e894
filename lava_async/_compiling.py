"""Telling that kernels are compiled, which takes long enough to be taken for a hang."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable
from pathlib import Path

LOGGER = logging.getLogger("lava_async")

_RUNNING = "running networks", "half a minute"
_STEPPING = "running networks in Lava", "half a minute"
_TRAINING = "training", "a minute"

KERNELS = {
    "run_samples": _RUNNING,
    "clear_state": _STEPPING,
    "run_step": _STEPPING,
    "record_samples": _TRAINING,
    "credit_samples": _TRAINING,
    "learn_samples": _TRAINING,
}
"""What each kernel is for, and about how long it takes to compile all that are for that."""

_announced: set[str] = set()


def announce(kernel: str, folder: Path | None) -> None:
    """Say once in a process, of all kernels for the same, that they are being compiled.

    By a record of the level INFO. Where nothing would show that, who sits before a terminal or a
    notebook gets the line on stderr instead; what runs unattended does not.

    Parameters
    ----------
    kernel : str
    folder : path or None
        Where they will be kept; None: nowhere.
    """
    if kernel not in KERNELS:
        return
    purpose, duration = KERNELS[kernel]
    if purpose in _announced:
        return
    _announced.add(purpose)
    text = f"compiling the kernels for {purpose}, which takes about {duration}, "
    if folder is None:
        text += "at each start, as no folder to keep them in can be written: set NUMBA_CACHE_DIR"
    else:
        text += f"once on this machine; kept in {folder}"
    if _is_heard():
        LOGGER.info(text)
    elif LOGGER.level <= logging.INFO and _somebody_waits():
        print(f"lava_async: {text}", file=sys.stderr, flush=True)


def leave_untold() -> None:
    """From here on say nothing of what this process compiles: the one that started it does."""
    _announced.update(purpose for purpose, _ in KERNELS.values())


def first_writable(folders: Iterable[Path]) -> Path | None:
    """The first folder in which files can be made."""
    return next((folder for folder in folders if can_write(folder)), None)


def can_write(folder: Path) -> bool:
    """Whether files can be made in a folder, which may not be there yet."""
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def _is_heard() -> bool:
    """Whether a handler takes our records of the level INFO; Lava's take errors only."""
    logger = LOGGER if LOGGER.isEnabledFor(logging.INFO) else None
    while logger is not None:
        if any(handler.level <= logging.INFO for handler in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False


def _somebody_waits() -> bool:
    """Whether this is an interactive Python, a notebook, or a program in a terminal."""
    return hasattr(sys, "ps1") or (sys.stderr is not None and sys.stderr.isatty())
