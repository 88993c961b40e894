"""Ctrl-C, which a terminal sends to every process of a command."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator


@contextlib.contextmanager
def without_ctrl_c() -> Iterator[None]:
    """Processes begun here never get a Ctrl-C: the one that begins them decides what ends.

    The mask is inherited, which leaves no moment in which they could be interrupted. Here Ctrl-C
    takes effect once the block has ended.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
