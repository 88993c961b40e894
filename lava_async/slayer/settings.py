"""How a network runs now."""

from __future__ import annotations

from dataclasses import dataclass

from lava_async._semantics.dropout import Dropout
from lava_async._semantics.kept import Kept
from lava_async._semantics.schedule import Schedule


@dataclass(frozen=True)
class Settings:
    """How a network runs a batch; ``dropout`` is that of training, or none.

    The threads are those of the kernel. ``with_currents``: those of all neurons at the end of
    each time step are looked at. ``kept``: where its samples go on; None where neurons do not
    persist.
    """

    schedule: Schedule
    stop_after: int | None
    dropout: Dropout
    num_threads: int
    with_currents: bool = False
    kept: Kept | None = None

    @property
    def first_step(self) -> int:
        """The time step that the batch begins with."""
        return 0 if self.kept is None else self.kept.time_step
