"""How a network runs now."""

from __future__ import annotations

from dataclasses import dataclass

from lava_async._semantics.dropout import Dropout
from lava_async._semantics.schedule import Schedule


@dataclass(frozen=True)
class Settings:
    """How a network runs a batch; ``dropout`` is that of training, or none.

    The threads are those of the kernel.
    """

    schedule: Schedule
    stop_after: int | None
    dropout: Dropout
    num_threads: int
